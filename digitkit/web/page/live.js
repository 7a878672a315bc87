// What the camera sees now.
// @ts-check

import { byId, clock, make, numberItems, refill, say, seconds, timeOf } from "./dom.js";
import { getJson, repeat } from "./service.js";

/** @typedef {import("./types.js").Stored} Stored */
/** @typedef {import("./types.js").LiveState} LiveState */

const LOST_MS = 4000; // the service says each second how things are
const MAX_EVENTS = 30;

/** @type {Stored[]} */
let liveEvents = [];

export function showLive(/** @type {AbortSignal} */ signal) {
  const picture = byId("stream");
  /** @type {LiveState|null} */
  let state = null;
  /** @type {any} */
  let health = null;
  let heard = 0; // when, by performance.now
  let streaming = false;
  let failedAt = -Infinity;
  /** @type {EventSource|null} */
  let source = null;
  /** @type {Stored[]} */
  let unsaid = [];

  const onFailure = () => {
    streaming = false;
    failedAt = performance.now();
  };
  picture.addEventListener("error", onFailure, { signal });

  function receive(/** @type {MessageEvent} */ message) {
    const event = { ...JSON.parse(message.data), id: Number(message.lastEventId), written: new Date().toISOString() };
    liveEvents = [event, ...liveEvents.filter((one) => !event.id || one.id !== event.id)].slice(0, MAX_EVENTS);
    unsaid.push(event);
    showEvents();
  }

  function receiveState(/** @type {MessageEvent} */ message) {
    state = JSON.parse(message.data);
    heard = performance.now();
    if (state?.age !== null && !streaming && heard - failedAt > 2000) {
      streaming = true;
      picture.src = `stream.mjpg?t=${Date.now()}`;
    }
    showState();
  }

  function showState() {
    if (state === null) return;
    const silent = (performance.now() - heard) / 1000;
    const age = (state.age ?? 0) + silent;
    const lost = silent * 1000 > LOST_MS;
    const stale = lost || state.stale;
    byId("live-empty").hidden = state.age !== null;
    byId("live-view").hidden = state.age === null;
    if (state.age === null) {
      showEmpty(health?.camera !== null, state.note);
      return;
    }
    const over = health?.camera === null && !lost;
    byId("viewer").classList.toggle("stale", stale && !over);
    byId("live-state").textContent = !stale ? "Live" : over ? "Finished" : lost ? "Not connected" : "Not live";
    byId("live-rate").textContent = stale ? "" : `${state.fps.toFixed(1)} frames/s`;
    byId("live-age").textContent = `updated ${seconds(age)} ago`;
    byId("live-source").textContent = state.source ?? "";
    const note = (state.note ?? "").replace(`${state.source}: `, ""); // which is shown above
    const what = lost ? "the connection to the service is lost" : note;
    const banner = `No new picture for ${seconds(age)}${what ? `: ${what}` : ""}`;
    // Each second anew it would be read aloud each second.
    byId("live-banner").setAttribute("aria-live", byId("live-banner").hidden ? "polite" : "off");
    say(byId("live-banner"), stale && !over ? banner : null);
    const numbers = state.numbers ?? [];
    byId("live-when").textContent = stale ? "Last numbers" : "Numbers now";
    byId("live-numbers").classList.toggle("few", numbers.length < 3);
    refill(byId("live-numbers"), numberItems(numbers, "No number in the picture"));
  }

  function sayEvents() {
    if (unsaid.length === 0) return;
    const said = unsaid.length > 3 ? `${unsaid.length} changes` : unsaid.map(describeEvent).join("; ");
    unsaid = [];
    byId("live-said").textContent = said;
  }

  async function connect() {
    if (source !== null && source.readyState !== EventSource.CLOSED) return;
    health = await getJson("api/health", { signal });
    // If the history cannot be read, for example because the disk is full, show the rest.
    const { readings } = await getJson(`api/readings?limit=${MAX_EVENTS}`, { signal }).catch(() => ({ readings: null }));
    if (signal.aborted) return;
    liveEvents = (readings ?? []).filter((/** @type {Stored} */ one) => one.event);
    showEvents();
    source = new EventSource(readings === null ? "api/live" : `api/live?after=${readings[0]?.id ?? 0}`);
    for (const kind of ["appeared", "changed", "disappeared"]) source.addEventListener(kind, receive);
    source.addEventListener("state", receiveState);
    source.addEventListener("error", () => {
      streaming = false; // the picture's connection has most likely ended, too, which it does not say
    });
  }

  repeat(2000, signal, connect);
  repeat(4000, signal, async () => sayEvents());
  const ticking = setInterval(showState, 250);
  signal.addEventListener("abort", () => {
    clearInterval(ticking);
    source?.close();
    picture.removeAttribute("src"); // ends the stream
  });
}

function showEmpty(/** @type {boolean} */ camera, /** @type {string|null} */ note) {
  byId("live-commands").hidden = camera;
  byId("live-empty-title").textContent = camera ? "Waiting for the first picture" : "No camera is read here";
  const text = camera ? "The camera has not delivered a picture yet." : "This service reads the pictures that are sent to it.";
  byId("live-empty-text").textContent = note ?? text;
}

function describeEvent(/** @type {Stored} */ event) {
  const text = event.number?.text ?? "";
  return event.event === "changed" ? `${event.previous} changed to ${text}` : `${text} ${event.event}`;
}

function showEvents() {
  const items = liveEvents.map((event) => {
    const time = make("time", "", clock(timeOf(event)));
    const number = make("strong", "", event.number?.text ?? "");
    const parts = event.event === "changed" ? [`${event.previous} changed to `, number] : [number, ` ${event.event}`];
    return make("li", "", time, make("span", "", ...parts));
  });
  refill(byId("live-events"), items.length ? items : [make("li", "none", "Nothing yet")]);
}

export function prepareLive() {
  byId("snapshot").addEventListener("click", () => {
    byId("snapshot").href = `snapshot.jpg?t=${Date.now()}`;
  });
  byId("full").hidden = !document.fullscreenEnabled;
  byId("full").addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else byId("viewer").requestFullscreen();
  });
  byId("stream").addEventListener("dblclick", () => byId("full").click());
}
