// The numbers that a person decides about.
// @ts-check

import { byId, clock, make, say } from "./dom.js";
import { startReview } from "./review.js";
import { call, getJson, postJson, repeat } from "./service.js";

export async function countOpen() {
  const { open } = await getJson("api/review?limit=1");
  showOpen(open);
  return open;
}

export function showOpen(/** @type {number} */ open) {
  const badge = byId("open-count");
  badge.hidden = open === 0;
  badge.replaceChildren(open > 99 ? "99+" : `${open}`, make("span", "hidden-text", " to decide"));
}

export function showReview(/** @type {AbortSignal} */ signal) {
  const known = new Set();
  const decided = new Set();
  /** @type {{add: (items: any[]) => void, stop: () => void}|null} */
  let review = null;

  const decide = async (/** @type {{id: string}} */ item, /** @type {string} */ text) => {
    await postJson(`api/review/${item.id}`, { text });
    decided.add(item.id);
    countOpen().catch(() => undefined);
  };
  const undo = async (/** @type {{id: string}} */ item) => {
    await call(`api/review/${item.id}`, { method: "DELETE" });
    decided.delete(item.id);
    countOpen().catch(() => undefined);
  };

  async function fetchItems() {
    if (review !== null && await countOpen() <= known.size - decided.size) return;
    const { open, items } = await getJson("api/review?limit=1000", { signal });
    showOpen(open);
    say(byId("review-problem"));
    const fresh = items.filter((/** @type {{id: string}} */ item) => !known.has(item.id));
    fresh.forEach((/** @type {{id: string}} */ item) => known.add(item.id));
    const shown = fresh.map((/** @type {{time?: string}} */ item) => (item.time ? { ...item, time: clock(new Date(item.time)) } : item));
    if (signal.aborted) return;
    if (review === null) review = startReview(byId("review-root"), shown, { decide, undo });
    else if (shown.length) review.add(shown);
  }

  byId("learn").open ||= matchMedia("(min-width: 60rem)").matches;
  repeat(5000, signal, () => fetchItems().catch((error) => say(byId("review-problem"), error)));
  signal.addEventListener("abort", () => review?.stop());
}
