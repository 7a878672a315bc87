// Reading pictures: files, what is pasted, and those of the browser's camera.
// @ts-check

import { countOpen } from "./decisions.js";
import { byId, make, makeSvg, numberItems, percent, refill, say, toBlob, wait } from "./dom.js";
import { postPicture } from "./service.js";

/** @typedef {import("./types.js").NumberRead} NumberRead */
/** @typedef {import("./types.js").Reading} Reading */

const MAX_SENT = 1280; // longer side of a camera's frame that is sent, pixels
const MAX_SHOWN = 1600; // longer side of a picture on the page, pixels

/** Draw the boxes of numbers over a picture of this size. */
function drawBoxes(/** @type {SVGSVGElement} */ svg, /** @type {number} */ width, /** @type {number} */ height, /** @type {NumberRead[]} */ numbers) {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const pixel = width / (svg.clientWidth || width); // of the screen, in pixels of the picture
  const pad = 3 * pixel;
  svg.replaceChildren(...numbers.map((number) => {
    const [x, y, w, h] = number.box;
    const place = { x: x - pad, y: y - pad, width: w + 2 * pad, height: h + 2 * pad, rx: 4 * pixel };
    const size = Math.max(13 * pixel, Math.min(0.45 * h, 24 * pixel));
    const above = y - pad - 0.3 * size > size;
    const at = { x: x - pad, y: above ? y - pad - 0.3 * size : y + h + pad + size, "font-size": size };
    return makeSvg(
      "g", { class: number.complete ? "complete" : "incomplete" },
      makeSvg("rect", { class: "halo", ...place }), makeSvg("rect", place), makeSvg("text", at, number.text),
    );
  }));
}

/** What `read` shows, which is drawn anew where its size changes. @type {(() => void)|null} */
let redrawRead = null;

function showReading(/** @type {Reading} */ reading) {
  byId("read-result").hidden = false;
  byId("read-hint").hidden = true;
  refill(byId("read-numbers"), numberItems(reading.numbers, "No number was found."));
  const left = (reading.dropped ?? []).map((one) => `${one.text} left out: ${one.reasons.join("; ")}`);
  byId("read-numbers").append(...left.map((text) => make("li", "none", text)));
  const ms = Object.values(reading.ms).reduce((sum, value) => sum + value, 0);
  const count = reading.numbers.length;
  byId("read-facts").textContent = `${count} ${count === 1 ? "number" : "numbers"}, read in ${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  byId("copy").disabled = count === 0;
  byId("copy").textContent = "Copy the text";
  byId("copy").dataset.text = reading.text;
  showSeen(reading);
}

/** What the classifier saw of each digit, by numbers, then of those that are in none. */
function showSeen(/** @type {Reading} */ reading) {
  if (byId("read-seen").hidden) {
    byId("read-seen").replaceChildren();
    return;
  }
  const used = new Set(reading.numbers.flatMap((number) => number.digits ?? []));
  const rest = reading.digits.map((_, place) => place).filter((place) => !used.has(place));
  const groups = [...reading.numbers.map((number) => number.digits ?? []), rest];
  byId("read-seen").replaceChildren(...groups.filter((places) => places.length).map((places) => {
    const figures = places.map((place) => {
      const digit = reading.digits[place];
      const image = /** @type {HTMLImageElement} */ (make("img"));
      image.src = digit.image;
      image.alt = "";
      const text = `${digit.digit}${digit.accepted ? "" : "?"} ${percent(digit.confidence)}`;
      return make("figure", digit.accepted ? "" : "doubtful", image, make("figcaption", "", text));
    });
    return make("div", "seen-row", ...figures);
  }));
}

/** Options of the form that are set. @returns {Record<string, string>} */
function readOptions() {
  const form = new FormData(byId("options"));
  const entries = ["mode", "orientation", "expect", "pattern"].map((name) => [name, `${form.get(name) ?? ""}`.trim()]);
  return { ...Object.fromEntries(entries.filter(([, value]) => value)), store: `${form.has("store")}` };
}

/** Show a picture as it was read; false where the browser cannot decode it. */
async function showPicture(/** @type {Blob} */ picture, /** @type {Reading} */ reading) {
  const bitmap = await createImageBitmap(picture).catch(() => null);
  if (bitmap === null) return false;
  const turn = reading.turn ?? 0;
  const [width, height] = turn % 180 ? [bitmap.height, bitmap.width] : [bitmap.width, bitmap.height];
  const ratio = Math.min(1, MAX_SHOWN / Math.max(width, height));
  const canvas = byId("read-picture");
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.translate(canvas.width / 2, canvas.height / 2);
  context.rotate((turn * Math.PI) / 180);
  context.scale(ratio, ratio);
  context.drawImage(bitmap, -bitmap.width / 2, -bitmap.height / 2);
  bitmap.close();
  redrawRead = () => drawBoxes(byId("read-boxes"), width, height, reading.numbers);
  return true;
}

/** Show the service's own picture, of a kind that browsers do not decode. */
async function showFallback(/** @type {Blob} */ picture, /** @type {AbortSignal} */ signal) {
  const options = { ...readOptions(), store: "false" };
  const response = await postPicture(picture, options, { signal, headers: { Accept: "image/jpeg" } });
  const image = byId("read-fallback");
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(await response.blob());
  redrawRead = null;
}

let reading = new AbortController();

async function readPicture(/** @type {Blob} */ picture, /** @type {string} */ name) {
  stopCamera();
  reading.abort();
  reading = new AbortController();
  const { signal } = reading;
  say(byId("read-problem"));
  byId("read-facts").textContent = "";
  byId("read-busy").textContent = "Reading …";
  try {
    const options = { ...readOptions(), detail: "true", name: name.slice(0, 200) };
    const result = await (await postPicture(picture, options, { signal })).json();
    lastRead = result;
    const shown = await showPicture(picture, result);
    if (!shown) await showFallback(picture, signal);
    if (signal.aborted) return;
    byId("read-figure").hidden = false;
    byId("drop").classList.add("small");
    byId("read-picture").hidden = !shown;
    byId("read-boxes").toggleAttribute("hidden", !shown);
    byId("read-fallback").hidden = shown;
    redrawRead?.();
    showReading(result);
    countOpen();
  } catch (error) {
    if (signal.aborted) return;
    byId("read-figure").hidden = byId("read-result").hidden = true;
    say(byId("read-problem"), error);
  } finally {
    if (!signal.aborted) byId("read-busy").textContent = "";
  }
}

/** @type {Reading|null} */
let lastRead = null;
/** @type {MediaStream|null} */
let camera = null;

export function stopCamera() {
  camera?.getTracks().forEach((track) => track.stop());
  camera = null;
  byId("camera-figure").hidden = true;
  byId("camera-start").disabled = false;
}

async function startCamera() {
  reading.abort();
  say(byId("read-problem"));
  byId("camera-start").disabled = true;
  try {
    const video = { facingMode: "environment", width: { ideal: MAX_SENT } };
    const stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    if (byId("section-read").hidden) { // left while the browser asked
      stream.getTracks().forEach((track) => track.stop());
      byId("camera-start").disabled = false;
      return;
    }
    camera = stream;
  } catch (error) {
    byId("camera-start").disabled = false;
    const denied = error instanceof DOMException && error.name === "NotAllowedError";
    const denial = "The browser may not use the camera. Allow camera access for this page.";
    say(byId("read-problem"), denied ? denial : "The browser found no camera.");
    return;
  }
  byId("read-figure").hidden = byId("read-result").hidden = true;
  byId("camera-figure").hidden = false;
  byId("camera-facts").textContent = "Starting the camera …";
  const video = byId("camera-video");
  video.srcObject = camera;
  await video.play().catch(() => undefined);
  readCamera(camera, video);
}

/** Read frames of the browser's camera, one after the other, until it is stopped. */
async function readCamera(/** @type {MediaStream} */ stream, /** @type {HTMLVideoElement} */ video) {
  const canvas = document.createElement("canvas");
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  while (camera === stream) {
    const ratio = Math.min(1, MAX_SENT / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(video.videoWidth * ratio);
    canvas.height = Math.round(video.videoHeight * ratio);
    if (!canvas.width) {
      await wait(100);
      continue;
    }
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const picture = await toBlob(canvas, "image/jpeg", 0.85);
    const begin = performance.now();
    try {
      const options = { ...readOptions(), store: "false", detail: "true", name: "camera" };
      const result = await (await postPicture(picture, options)).json();
      if (camera !== stream) return;
      lastRead = result;
      say(byId("read-problem"));
      drawBoxes(byId("camera-boxes"), canvas.width, canvas.height, result.numbers);
      showReading(result);
      byId("camera-facts").textContent = `Live, ${Math.round(performance.now() - begin)} ms per picture`;
    } catch (error) {
      if (camera !== stream) return;
      say(byId("read-problem"), error);
      await wait(1000);
    }
  }
}

export function prepareRead() {
  for (const input of [byId("file"), byId("photo")]) {
    input.addEventListener("change", () => {
      const file = input.files[0];
      input.value = ""; // so that the same file can be chosen again
      if (file) readPicture(file, file.name);
    });
  }
  const drop = byId("section-read");
  const touch = navigator.maxTouchPoints > 0 || matchMedia("(any-pointer: coarse)").matches;
  document.documentElement.classList.toggle("touch", touch);
  const over = (/** @type {boolean} */ on) => byId("drop").classList.toggle("over", on);
  drop.addEventListener("dragover", (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    over(true);
  });
  drop.addEventListener("dragleave", () => over(false));
  drop.addEventListener("drop", (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    over(false);
    takeFile(event.dataTransfer);
  });
  document.addEventListener("paste", (event) => {
    if (!byId("section-read").hidden) takeFile(event.clipboardData);
  });
  byId("camera-start").hidden = !navigator.mediaDevices?.getUserMedia;
  byId("camera-start").addEventListener("click", startCamera);
  byId("camera-stop").addEventListener("click", stopCamera);
  byId("copy").addEventListener("click", () => copyText(byId("copy")));
  byId("show-seen").addEventListener("change", () => {
    byId("read-seen").hidden = !byId("show-seen").checked;
    if (lastRead) showSeen(lastRead);
  });
  byId("options").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
  new ResizeObserver(() => redrawRead?.()).observe(byId("read-boxes"));
}

function takeFile(/** @type {DataTransfer|null} */ transfer) {
  const file = transfer?.files[0];
  if (file) readPicture(file, file.name);
  else if (transfer && transfer.types.length) say(byId("read-problem"), "That is not a picture file.");
}

/** Copy the text of a reading. Without HTTPS the clipboard is not available: select the text instead. */
async function copyText(/** @type {HTMLElement} */ button) {
  const text = button.dataset.text ?? "";
  const area = /** @type {HTMLTextAreaElement} */ (make("textarea", "hidden-text"));
  area.value = text;
  area.setAttribute("aria-hidden", "true");
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy") || await navigator.clipboard?.writeText(text).then(() => true, () => false);
  area.remove();
  button.focus();
  button.textContent = copied ? "Copied" : "Cannot copy here";
}
