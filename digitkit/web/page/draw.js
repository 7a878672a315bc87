// Drawing a digit.
// @ts-check

import { byId, make, percent, say, toBlob } from "./dom.js";
import { postPicture } from "./service.js";

/** @typedef {import("./types.js").DigitRead} DigitRead */

/** @type {{x: number, y: number}[][]} */
let strokes = [];
let drawn = 0; // counts changes
let read = 0; // the change that was read last
let drawing = false; // whether a request is on its way

function paint() {
  const pad = byId("pad");
  const context = /** @type {CanvasRenderingContext2D} */ (pad.getContext("2d"));
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, pad.width, pad.height);
  context.strokeStyle = "#10201d";
  context.lineWidth = pad.width / 12;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    context.beginPath();
    context.moveTo(stroke[0].x, stroke[0].y);
    for (const { x, y } of stroke) context.lineTo(x, y);
    context.stroke();
  }
}

/** Read what is drawn: one request at a time, and the last state always. */
async function readDrawing() {
  if (drawing) return;
  drawing = true;
  try {
    while (read !== drawn) {
      read = drawn;
      if (strokes.length === 0) {
        showDigit(null);
        continue;
      }
      // One digit, whatever numbers the service expects elsewhere.
      const options = { mode: "digit", expect: "1", detail: "true", store: "false", name: "drawing" };
      const result = await (await postPicture(await toBlob(byId("pad")), options)).json();
      say(byId("draw-problem"));
      if (strokes.length) showDigit(result.digits[0] ?? null);
    }
  } catch (error) {
    say(byId("draw-problem"), error);
  } finally {
    drawing = false;
  }
}

function changeDrawing() {
  drawn += 1;
  byId("pad-clear").disabled = byId("pad-undo").disabled = strokes.length === 0;
  paint();
  readDrawing();
}

function showDigit(/** @type {DigitRead|null} */ digit) {
  const likely = digit !== null && digit.is_digit >= 0.5;
  byId("draw-digit").textContent = digit === null ? "–" : digit.accepted ? `${digit.digit}` : "?";
  byId("draw-digit").classList.toggle("doubtful", digit !== null && !digit.accepted);
  let verdict = "Nothing drawn yet";
  if (digit !== null && digit.accepted) verdict = `A ${digit.digit}, ${percent(digit.confidence)} sure`;
  else if (likely) verdict = `Doubtful: maybe a ${digit.digit} (${percent(digit.confidence)})`;
  else if (digit !== null) verdict = "Probably not a digit";
  byId("draw-verdict").textContent = verdict;
  byId("draw-seen").hidden = digit === null;
  if (digit !== null) byId("draw-seen").src = digit.image;
  const most = digit === null ? -1 : digit.digit;
  [...byId("bars").children].forEach((item, place) => {
    const share = digit === null ? 0 : digit.probabilities[place];
    item.classList.toggle("first", place === most);
    item.querySelector(".fill").style.width = `${100 * share}%`;
    item.querySelector(".share").textContent = digit === null ? "–" : percent(share);
  });
}

export function prepareDraw() {
  const pad = byId("pad");
  for (let digit = 0; digit < 10; digit += 1) {
    const bar = make("span", "bar", make("span", "fill"));
    bar.setAttribute("aria-hidden", "true");
    byId("bars").append(make("li", "", make("span", "", `${digit}`), bar, make("span", "share", "–")));
  }
  const pointOf = (/** @type {PointerEvent} */ event) => {
    const box = pad.getBoundingClientRect();
    const scale = pad.width / box.width;
    return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
  };
  /** @type {number|null} */
  let pointer = null;
  pad.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    if (pointer !== null || event.button !== 0) return;
    pointer = event.pointerId;
    pad.setPointerCapture(pointer);
    strokes.push([pointOf(event)]);
    changeDrawing();
  });
  pad.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
    if (event.pointerId !== pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    strokes[strokes.length - 1]?.push(...(events.length ? events : [event]).map(pointOf));
    changeDrawing();
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    pad.addEventListener(kind, (/** @type {PointerEvent} */ event) => {
      if (event.pointerId === pointer) pointer = null;
    });
  }
  byId("pad-clear").addEventListener("click", clearDrawing);
  byId("pad-undo").addEventListener("click", () => {
    strokes.pop();
    changeDrawing();
  });
  prepareKeys(pad);
  changeDrawing();
}

function clearDrawing() {
  strokes = [];
  changeDrawing();
}

/** Draw with the keyboard: arrows move a pen, the space bar puts it down and lifts it. */
function prepareKeys(/** @type {HTMLCanvasElement} */ pad) {
  const step = pad.width / 32;
  const pen = byId("pen");
  const at = { x: pad.width / 2, y: pad.height / 4 };
  let down = false;
  const show = () => {
    pen.style.left = `${(100 * at.x) / pad.width}%`;
    pen.style.top = `${(100 * at.y) / pad.height}%`;
    pen.classList.toggle("down", down);
  };
  const move = (/** @type {number} */ x, /** @type {number} */ y) => {
    at.x = Math.min(pad.width, Math.max(0, at.x + x * step));
    at.y = Math.min(pad.height, Math.max(0, at.y + y * step));
    if (!down || !strokes.length) return;
    strokes[strokes.length - 1].push({ ...at });
    changeDrawing();
  };
  /** @type {Record<string, () => void>} */
  const keys = {
    ArrowLeft: () => move(-1, 0),
    ArrowRight: () => move(1, 0),
    ArrowUp: () => move(0, -1),
    ArrowDown: () => move(0, 1),
    " ": () => {
      down = !down;
      if (!down) return;
      strokes.push([{ ...at }]);
      changeDrawing();
    },
    Escape: () => {
      down = false;
      clearDrawing();
    },
  };
  pad.addEventListener("keydown", (event) => {
    if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
    show();
  });
  pad.addEventListener("blur", () => {
    down = false;
    show();
  });
  show();
}
