// The numbers over time, as a plot.
// @ts-check

import { byId, clock, makeSvg } from "./dom.js";

/** @typedef {import("./types.js").NumberRead} NumberRead */
/** @typedef {import("./history.js").Row} Row */

/** The value of a number, or of what it most likely is; NaN for none. */
function valueOf(/** @type {NumberRead} */ number) {
  const text = number.complete ? number.text : number.guess ?? number.text;
  return /^-?\d+([.,]\d+)?$/.test(text) ? Number(text.replace(",", ".")) : NaN;
}

/** Values that lie evenly, at 1, 2 or 5 times a power of ten. */
function ticksOf(/** @type {number} */ low, /** @type {number} */ high, /** @type {number} */ count) {
  const raw = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw) ?? raw;
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step / 1e6; tick += step) ticks.push(tick);
  return ticks;
}

/** The numbers over time; those of a camera's events at one place are joined by steps. */
export function drawPlot(/** @type {Row[]} */ rows, /** @type {boolean} */ all) {
  const points = rows
    .filter((row) => row.stored.event !== "disappeared")
    .map((row) => ({ ...row, value: valueOf(row.number), at: row.time.getTime() }))
    .filter((point) => Number.isFinite(point.value) && Number.isFinite(point.at))
    .reverse();
  byId("plot-card").hidden = points.length < 2;
  if (points.length < 2) return;
  const width = Math.max(280, byId("plot").getBoundingClientRect().width); // so that texts are not scaled
  const narrow = width < 640;
  const height = narrow ? 220 : 280;
  const values = points.map((point) => point.value);
  let [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
  if (low === high) [low, high] = [low - 1, high + 1];
  const margin = (high - low) * 0.06;
  const ticks = ticksOf(low, high, 4);
  const format = new Intl.NumberFormat([], { maximumFractionDigits: 3, useGrouping: false });
  const left = 18 + 7.5 * Math.max(...ticks.map((tick) => format.format(tick).length));
  const first = points.reduce((a, point) => Math.min(a, point.at), Infinity);
  const last = points.reduce((a, point) => Math.max(a, point.at), -Infinity);
  const x = (/** @type {number} */ at) => left + ((width - left - 14) * (at - first)) / (last - first || 1);
  const y = (/** @type {number} */ value) =>
    height - 28 - ((height - 42) * (value - low + margin)) / (high - low + 2 * margin);
  const parts = ticks.flatMap((tick) => [
    makeSvg("line", { class: "grid", x1: left, x2: width - 8, y1: y(tick), y2: y(tick) }),
    makeSvg("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, format.format(tick)),
  ]);
  parts.push(makeSvg("line", { class: "axis", x1: left, x2: width - 8, y1: height - 26, y2: height - 26 }));
  const marks = Math.max(1, Math.min(5, Math.floor((width - left) / 130)));
  for (let place = 0; place <= marks; place += 1) {
    const at = first + ((last - first) * place) / marks;
    const anchor = place === 0 ? "start" : place === marks ? "end" : "middle";
    parts.push(makeSvg("text", { x: x(at), y: height - 8, "text-anchor": anchor }, shortTime(at, last - first)));
  }
  parts.push(...stepsOf(points).map((path) => {
    const steps = path.map((point, place) => (place ? `H${x(point.at)}V${y(point.value)}` : `M${x(point.at)} ${y(point.value)}`));
    return makeSvg("path", { class: "step", d: steps.join("") });
  }));
  const radius = points.length > width / 8 ? 2 : 3.5;
  parts.push(...points.map((point) => makeSvg(
    "circle", { class: point.number.complete ? "complete" : "incomplete", cx: x(point.at), cy: y(point.value), r: radius },
    makeSvg("title", {}, `${point.number.text}, ${clock(point.time)}`),
  )));
  const svg = byId("plot");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(...parts);
  const hollow = points.filter((point) => !point.number.complete).length;
  const newest = points[points.length - 1];
  byId("plot-text").textContent =
    `${all ? "" : "The newest "}${points.length} numbers, ${clock(new Date(first))} to ${clock(new Date(last))}: `
    + `lowest ${format.format(low)}, highest ${format.format(high)}, last ${newest.number.text}. `
    + (hollow ? `${hollow} incomplete, shown hollow with what they most likely are.` : "All are complete.");
}

function shortTime(/** @type {number} */ at, /** @type {number} */ span) {
  const time = new Date(at);
  if (span > 2 * 86_400_000) return time.toLocaleDateString([], { month: "short", day: "numeric" });
  const parts = { hour: /** @type {const} */ ("2-digit"), minute: /** @type {const} */ ("2-digit") };
  return time.toLocaleTimeString([], span < 600_000 ? { ...parts, second: "2-digit" } : parts);
}

/**
 * Points of events at the same place, in order.
 *
 * @template {Row} T
 * @param {T[]} points
 * @returns {T[][]}
 */
function stepsOf(points) {
  /** @type {Map<string, T[]>} */
  const series = new Map();
  for (const point of points) {
    if (!point.stored.event) continue;
    const key = `${point.stored.source} ${point.number.row} ${point.number.column}`;
    series.set(key, [...(series.get(key) ?? []), point]);
  }
  return [...series.values()].filter((path) => path.length > 1);
}
