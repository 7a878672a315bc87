// The page of `digitkit serve`: which section is shown. All URLs are relative, so that it works under
// any path.
// @ts-check

import { countOpen, showOpen, showReview } from "./decisions.js";
import { runDoctor, showDevice } from "./device.js";
import { byId, keepWords, say } from "./dom.js";
import { prepareDraw } from "./draw.js";
import { showHistory } from "./history.js";
import { prepareLive, showLive } from "./live.js";
import { prepareRead, stopCamera } from "./read.js";
import { call, postJson, repeat } from "./service.js";

/** @type {Record<string, (signal: AbortSignal) => void>} */
const SECTIONS = {
  live: showLive,
  read: (signal) => signal.addEventListener("abort", stopCamera),
  draw: () => undefined,
  history: showHistory,
  review: showReview,
  device: showDevice,
  login: () => byId("token").focus(),
};
let locked = false;
let active = "";
let work = new AbortController();

/** Show what the address says, unless the token is missing; rest while the tab is hidden. */
function route() {
  const name = location.hash.slice(1);
  const wanted = locked ? "login" : name in SECTIONS && name !== "login" ? name : "live";
  const changed = wanted !== active;
  if (!changed && !document.hidden && !work.signal.aborted) return;
  work.abort();
  if (changed) {
    for (const section of Object.keys(SECTIONS)) byId(`section-${section}`).hidden = section !== wanted;
    for (const link of byId("tabs").children) {
      if (link.hash === `#${wanted}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = wanted === "login" ? "digitkit" : `${byId(`title-${wanted}`).textContent} – digitkit`;
    scrollTo(0, 0);
    if (active && wanted === "review") /** @type {HTMLElement} */ (document.activeElement)?.blur();
    else if (active && wanted !== "login") byId(`title-${wanted}`).focus({ preventScroll: true });
  }
  active = wanted;
  if (document.hidden) return;
  work = new AbortController();
  SECTIONS[wanted](work.signal);
}

function askForToken() {
  if (locked) return;
  locked = true;
  byId("tabs").hidden = true;
  showOpen(0);
  route();
}

function prepareLogin() {
  byId("login").addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    const input = byId("token");
    say(byId("login-problem"));
    try {
      await postJson("api/login", { token: input.value.trim() });
    } catch (error) {
      say(byId("login-problem"), error);
      input.select();
      return;
    }
    input.value = "";
    locked = false;
    byId("tabs").hidden = false;
    route();
  });
  byId("logout").addEventListener("click", async () => {
    await call("api/logout", { method: "POST" });
    askForToken();
  });
}

prepareLogin();
addEventListener("unauthorised", askForToken);
document.querySelectorAll("pre code").forEach(keepWords);
prepareLive();
prepareRead();
prepareDraw();
byId("doctor").addEventListener("click", runDoctor);
byId("skip").addEventListener("click", (/** @type {Event} */ event) => {
  event.preventDefault();
  byId("main").focus();
});
addEventListener("hashchange", route);
document.addEventListener("visibilitychange", route);
route();
repeat(30_000, new AbortController().signal, async () => {
  if (!document.hidden && !locked && active !== "review") await countOpen();
});
