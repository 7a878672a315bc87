// What all sections of the page need to show something.
// @ts-check

/** @typedef {import("./types.js").NumberRead} NumberRead */
/** @typedef {import("./types.js").Stored} Stored */

/** @returns {any} the element of an id, as what it is */
export const byId = (/** @type {string} */ id) => document.getElementById(id);

/**
 * @param {string} tag
 * @param {string} [className]
 * @param {...(Node|string)} children
 * @returns {HTMLElement}
 */
export function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/**
 * @param {string} tag
 * @param {Record<string, string|number>} attributes
 * @param {...(Node|string)} children
 */
export function makeSvg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, `${value}`);
  element.append(...children);
  return element;
}

export const wait = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A confidence, rounded down. */
export function percent(/** @type {number} */ confidence) {
  const steps = Math.floor(1000 * confidence + 1e-3); // rounded down, as in Python
  return confidence < 0.9995 ? `${(steps / 10).toFixed(1)}%` : ">99.9%";
}

export function seconds(/** @type {number} */ value) {
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 120) return `${Math.floor(value)} s`;
  return value < 7200 ? `${Math.floor(value / 60)} min` : `${Math.floor(value / 3600)} h`;
}

export function clock(/** @type {Date} */ time) {
  const today = time.toDateString() === new Date().toDateString();
  const of = time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const day = { month: /** @type {const} */ ("short"), day: /** @type {const} */ ("numeric") };
  return today ? of : `${time.toLocaleDateString([], day)}, ${of}`;
}

export const timeOf = (/** @type {Stored} */ stored) => new Date(stored.time ?? stored.written);

/** Show an error in an element, or take it away. */
export function say(/** @type {HTMLElement} */ element, /** @type {unknown} */ error = null) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  element.hidden = error === null;
  element.textContent = error instanceof Error ? error.message : `${error ?? ""}`;
}

/** A number's text, in which what is missing stands out. */
export function numberText(/** @type {NumberRead} */ number, className = "text") {
  const parts = number.text.split(/(\?)/).filter(Boolean);
  return make("span", className, ...parts.map((part) => (part === "?" ? make("span", "open", part) : part)));
}

/** The items of a list of numbers: text, confidence, and in words what is wrong. */
export function numberItems(/** @type {NumberRead[]} */ numbers, /** @type {string} */ none) {
  if (numbers.length === 0) return [make("li", "none", none)];
  return numbers.map((number) => {
    const confidence = make("span", "confidence", percent(number.confidence));
    const item = make("li", number.complete ? "" : "incomplete", numberText(number), confidence);
    const reasons = (number.reasons ?? []).join("; ");
    if (!number.complete) item.append(make("span", "why", make("span", "tag", "incomplete"), reasons));
    else if (reasons) item.append(make("span", "why", reasons));
    return item;
  });
}

/** Replace what an element contains only where that changes something, so that selections stay. */
export function refill(/** @type {HTMLElement} */ element, /** @type {Node[]} */ children) {
  const holder = make("div", "", ...children);
  if (holder.innerHTML !== element.innerHTML) element.replaceChildren(...holder.childNodes);
}

/** @returns {Promise<Blob>} */
export function toBlob(/** @type {HTMLCanvasElement} */ canvas, type = "image/png", quality = 1) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The picture is empty."))), type, quality);
  });
}

/** Keep the words of commands whole: a line may break before an option, and not in its dashes. */
export function keepWords(/** @type {Element} */ command) {
  const words = (command.textContent ?? "").split(" ");
  command.replaceChildren(...words.flatMap((word) => [make("span", "word", word), " "]).slice(0, -1));
}
