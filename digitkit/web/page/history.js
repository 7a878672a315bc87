// What was read before.
// @ts-check

import { byId, clock, make, numberText, percent, refill, say, timeOf, wait } from "./dom.js";
import { drawPlot } from "./plot.js";
import { getJson, repeat } from "./service.js";

/** @typedef {import("./types.js").NumberRead} NumberRead */
/** @typedef {import("./types.js").Stored} Stored */

const PAGE_ROWS = 1000; // readings of a request, the most that there may be
const SHOWN_ROWS = 100;

/** @type {Record<string, number>} */
const RANGES = { hour: 3600, day: 86_400, week: 604_800, all: Infinity };
let range = "day";

/** A row per number. @typedef {{stored: Stored, number: NumberRead, time: Date}} Row */

/** @returns {Row[]} */
function rowsOf(/** @type {Stored} */ stored) {
  const numbers = stored.event && stored.number ? [stored.number] : stored.numbers ?? [];
  return numbers.map((number) => ({ stored, number, time: timeOf(stored) }));
}

export function showHistory(/** @type {AbortSignal} */ signal) {
  /** @type {Row[]} */
  let rows = []; // the newest first
  let shown = SHOWN_ROWS;
  let newest = 0;
  let oldest = 0;
  let complete = false; // whether the oldest of the range is there
  let current = new AbortController();

  function render() {
    const visible = rows.slice(0, shown);
    byId("history-none").hidden = rows.length > 0;
    byId("history-table").hidden = rows.length === 0;
    refill(byId("rows"), visible.map(tableRow));
    byId("more").hidden = complete && shown >= rows.length;
    drawPlot(rows, complete);
  }

  const since = () => (range === "all" ? "" : `since=${(Date.now() / 1000 - RANGES[range]).toFixed(0)}`);

  async function fetchOlder() {
    const before = oldest ? `&before=${oldest}` : "";
    const { readings } = await getJson(`api/readings?limit=${PAGE_ROWS}&${since()}${before}`, { signal: current.signal });
    complete = readings.length < PAGE_ROWS;
    rows.push(...readings.flatMap(rowsOf));
    oldest = readings.at(-1)?.id ?? oldest;
    newest = Math.max(newest, readings[0]?.id ?? 0);
  }

  async function fetchNewer() {
    const { readings } = await getJson(`api/readings?limit=${PAGE_ROWS}&after=${newest}`, { signal: current.signal });
    if (readings.length === 0) return;
    newest = readings.at(-1).id;
    rows.unshift(...readings.reverse().flatMap(rowsOf));
    render();
  }

  async function load() {
    current.abort();
    current = new AbortController();
    const own = current.signal;
    [rows, shown, newest, oldest] = [[], SHOWN_ROWS, 0, 0];
    byId("csv").href = `api/readings.csv?${since()}`;
    for (const button of byId("ranges").children) {
      button.setAttribute("aria-pressed", `${button.dataset.range === range}`);
    }
    try {
      await fetchOlder();
      say(byId("history-problem"));
      render();
    } catch (error) {
      say(byId("history-problem"), error);
    }
    await wait(5000);
    repeat(5000, own, fetchNewer);
  }

  byId("ranges").addEventListener("click", (/** @type {MouseEvent} */ event) => {
    const chosen = /** @type {HTMLElement} */ (event.target).dataset.range;
    if (chosen === undefined) return;
    range = chosen;
    load();
  }, { signal });
  byId("more").addEventListener("click", async () => {
    shown += SHOWN_ROWS;
    try {
      if (shown > rows.length && !complete) await fetchOlder();
      render();
    } catch (error) {
      say(byId("history-problem"), error);
    }
  }, { signal });
  signal.addEventListener("abort", () => current.abort());
  load();
}

function tableRow(/** @type {Row} */ { stored, number, time }) {
  const name = stored.page === undefined ? stored.source : `${stored.source}, page ${stored.page}`;
  const happened = stored.event === "changed" ? `changed from ${stored.previous}` : stored.event ?? "read";
  const complete = number.complete ? make("span", "tag fine", "complete") : make("span", "tag", "incomplete");
  if (number.reasons) complete.title = number.reasons.join("; ");
  const moment = /** @type {HTMLTimeElement} */ (make("time", "", clock(time)));
  moment.dateTime = time.toISOString();
  const cells = [
    make("td", "quiet", moment), make("td", "number-cell", numberText(number)), make("td", "", happened),
    make("td", "", complete), make("td", "", percent(number.confidence)), make("td", "quiet", name),
  ];
  const row = make("tr", "", ...cells);
  row.setAttribute("role", "row");
  cells.forEach((cell) => cell.setAttribute("role", "cell"));
  return row;
}
