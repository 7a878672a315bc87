// The page of `digitkit serve`. All URLs are relative, so that it works under any path.
// @ts-check

import { startReview } from "./review.js";

/**
 * @typedef {{text: string, complete: boolean, confidence: number, box: number[], guess?: string,
 *   reasons?: string[], row: number, column: number, digits?: number[]}} NumberRead
 * @typedef {{digit: number, confidence: number, accepted: boolean, probabilities: number[],
 *   is_digit: number, image: string}} DigitRead
 * @typedef {{text: string, turn?: number, numbers: NumberRead[], digits: DigitRead[],
 *   dropped?: {text: string, reasons: string[]}[], ms: Record<string, number>}} Reading
 * @typedef {{id: number, written: string, time?: string, source: string, page?: number,
 *   event?: string, number?: NumberRead, previous?: string, numbers?: NumberRead[]}} Stored
 * @typedef {{fps: number, age: number|null, stale: boolean, note: string|null, source?: string,
 *   numbers?: NumberRead[]}} LiveState
 * @typedef {{body?: BodyInit, method?: string, headers?: Record<string, string>,
 *   signal?: AbortSignal}} CallOptions
 */

const MAX_SENT = 1280; // longer side of a camera's frame that is sent, pixels
const MAX_SHOWN = 1600; // longer side of a picture on the page, pixels
const LOST_MS = 4000; // the service says each second how things are
const MAX_EVENTS = 30;
const PAGE_ROWS = 1000; // readings of a request, the most that there may be
const SHOWN_ROWS = 100;

// --- small helpers ---

/** @returns {any} the element of an id, as what it is */
const byId = (/** @type {string} */ id) => document.getElementById(id);

/**
 * @param {string} tag
 * @param {string} [className]
 * @param {...(Node|string)} children
 * @returns {HTMLElement}
 */
function make(tag, className = "", ...children) {
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
function makeSvg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, `${value}`);
  element.append(...children);
  return element;
}

const wait = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A confidence, never rounded up to 100%. */
function percent(/** @type {number} */ confidence) {
  return `${(Math.floor(Math.min(confidence, 0.9999) * 1000) / 10).toFixed(1)}%`;
}

function seconds(/** @type {number} */ value) {
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 120) return `${Math.floor(value)} s`;
  return value < 7200 ? `${Math.floor(value / 60)} min` : `${Math.floor(value / 3600)} h`;
}

function clock(/** @type {Date} */ time) {
  const today = time.toDateString() === new Date().toDateString();
  const of = time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const day = { month: /** @type {const} */ ("short"), day: /** @type {const} */ ("numeric") };
  return today ? of : `${time.toLocaleDateString([], day)}, ${of}`;
}

const timeOf = (/** @type {Stored} */ stored) => new Date(stored.time ?? stored.written);

/** Show an error in an element, or take it away. */
function say(/** @type {HTMLElement} */ element, /** @type {unknown} */ error = null) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  element.hidden = error === null;
  element.textContent = error instanceof Error ? error.message : `${error ?? ""}`;
}

/** A number's text, in which what is missing stands out. */
function numberText(/** @type {NumberRead} */ number, className = "text") {
  const parts = number.text.split(/(\?)/).filter(Boolean);
  return make("span", className, ...parts.map((part) => (part === "?" ? make("span", "open", part) : part)));
}

/** The items of a list of numbers: text, confidence, and in words what is wrong. */
function numberItems(/** @type {NumberRead[]} */ numbers, /** @type {string} */ none) {
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
function refill(/** @type {HTMLElement} */ element, /** @type {Node[]} */ children) {
  const holder = make("div", "", ...children);
  if (holder.innerHTML !== element.innerHTML) element.replaceChildren(...holder.childNodes);
}

// --- the service ---

class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {number} retryAfter seconds
   */
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/**
 * @param {string} path
 * @param {CallOptions} [options]
 * @returns {Promise<Response>} a response that is fine
 */
async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    showOffline(true);
    throw new Error("The service cannot be reached.", { cause: error });
  }
  showOffline(false);
  if (response.ok) return response;
  const message = await response.json().then((value) => value.error.message, () => "");
  if (response.status === 401 && path !== "api/login") askForToken();
  const text = message ? `${message[0].toUpperCase()}${message.slice(1)}.` : `The service answered ${response.status}.`;
  throw new ApiError(response.status, text, Number(response.headers.get("Retry-After")) || 1);
}

/** @returns {Promise<any>} */
const getJson = async (/** @type {string} */ path, /** @type {CallOptions} */ options = {}) =>
  (await call(path, options)).json();

const postJson = (/** @type {string} */ path, /** @type {unknown} */ value) =>
  call(path, { method: "POST", body: JSON.stringify(value), headers: { "Content-Type": "application/json" } });

/**
 * Send a picture to be read; where too many wait, once more after a while.
 *
 * @param {Blob} picture
 * @param {Record<string, string>} options
 * @param {{signal?: AbortSignal, headers?: Record<string, string>}} [more]
 */
async function postPicture(picture, options, more = {}) {
  const path = `api/read?${new URLSearchParams(options)}`;
  const request = { method: "POST", body: picture, ...more };
  try {
    return await call(path, request);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 429) throw error;
    await wait(1000 * error.retryAfter);
    return call(path, request);
  }
}

function showOffline(/** @type {boolean} */ offline) {
  say(byId("offline"), offline ? "The service cannot be reached; trying again." : null);
}

/**
 * Call a function now and again after each pause, until the signal.
 *
 * @param {number} ms
 * @param {AbortSignal} signal
 * @param {() => Promise<void>} act
 */
async function repeat(ms, signal, act) {
  while (!signal.aborted) {
    await act().catch(() => undefined); // what was shown stays; `call` says so
    await wait(ms);
  }
}

// --- live ---

/** @type {Stored[]} */
let liveEvents = [];

function showLive(/** @type {AbortSignal} */ signal) {
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
    // A history that cannot be read, on a full disk say, is no reason to show nothing.
    const { readings } = await getJson(`api/readings?limit=${MAX_EVENTS}`, { signal }).catch(() => ({ readings: null }));
    if (locked || signal.aborted) return;
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

function prepareLive() {
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

// --- read ---

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

function stopCamera() {
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
    say(byId("read-problem"), denied ? "The browser may not use the camera; allow it for this page." : "There is no camera that the browser can use.");
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

/** @returns {Promise<Blob>} */
function toBlob(/** @type {HTMLCanvasElement} */ canvas, type = "image/png", quality = 1) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The picture is empty."))), type, quality);
  });
}

function prepareRead() {
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

/** Copy the text of a reading; without HTTPS there is no clipboard, and it is selected instead. */
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

// --- draw ---

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

function prepareDraw() {
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

// --- history ---

/** @type {Record<string, number>} */
const RANGES = { hour: 3600, day: 86_400, week: 604_800, all: Infinity };
let range = "day";

/** A row per number. @typedef {{stored: Stored, number: NumberRead, time: Date}} Row */

/** @returns {Row[]} */
function rowsOf(/** @type {Stored} */ stored) {
  const numbers = stored.event && stored.number ? [stored.number] : stored.numbers ?? [];
  return numbers.map((number) => ({ stored, number, time: timeOf(stored) }));
}

function showHistory(/** @type {AbortSignal} */ signal) {
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
function drawPlot(/** @type {Row[]} */ rows, /** @type {boolean} */ all) {
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

// --- review ---

async function countOpen() {
  const { open } = await getJson("api/review?limit=1");
  showOpen(open);
  return open;
}

function showOpen(/** @type {number} */ open) {
  const badge = byId("open-count");
  badge.hidden = open === 0;
  badge.replaceChildren(open > 99 ? "99+" : `${open}`, make("span", "hidden-text", " to decide"));
}

function showReview(/** @type {AbortSignal} */ signal) {
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

// --- device ---

function fillFacts(/** @type {HTMLElement} */ list, /** @type {[string, unknown][]} */ facts) {
  const known = facts.filter(([, value]) => value !== null && value !== undefined && value !== "");
  refill(list, known.flatMap(([name, value]) => [make("dt", "", name), make("dd", "", `${value}`)]));
}

async function showHealth() {
  const health = await getJson("api/health");
  const seen = health.camera;
  fillFacts(byId("health"), [
    ["Service", health.status === "ok" ? "fine" : "the camera does not deliver pictures"],
    ["Running for", seconds(health.uptime)],
    ["Pictures waiting", health.waiting],
    ["Camera", seen === null ? "none" : seen.age === null ? "no picture yet" : `${seen.fps.toFixed(1)} frames/s, updated ${seconds(seen.age)} ago`],
    ["Camera’s last message", seen?.note],
    ["Processor", health.temperature === null ? null : `${health.temperature.toFixed(0)} °C`],
  ]);
}

async function showFacts() {
  const { digitkit, machine, model, token } = await getJson("api/device");
  byId("logout").hidden = !token;
  fillFacts(byId("versions"), [
    ["Board", machine.board], ["Processor", machine.cpu], ["System", machine.system], ["digitkit", digitkit],
    ["Python", machine.python], .../** @type {[string, unknown][]} */ (Object.entries(machine.packages)),
  ]);
  const number = new Intl.NumberFormat("en");
  const share = (/** @type {number|undefined} */ value, digits = 2) => (value == null ? null : `${(100 * value).toFixed(digits)}%`);
  const accuracy = share(model.test_accuracy);
  fillFacts(byId("model"), [
    ["File", model.file],
    ["Recipe", model.recipe],
    ["Accuracy", accuracy && `${accuracy} on ${model.test_data ?? "test images"} (${number.format(model.test_count)})`],
    ["Calibration error", share(model.calibration_error)],
    ["Accepts digits from", share(model.min_confidence, 1)],
    ["Precision", model.precision],
    ["Parameters", model.parameters && number.format(model.parameters)],
    ["Multiply-adds", model.multiply_adds && `${number.format(model.multiply_adds)} per digit`],
    ["Trained on", model.data],
    ["Licence", model.licence],
    ["SHA-256", model.sha256],
  ]);
}

function showDevice(/** @type {AbortSignal} */ signal) {
  const page = location.href.split("#")[0];
  byId("curl").textContent = `curl --data-binary @page.jpg ${page}api/read`;
  keepWords(byId("curl"));
  repeat(5000, signal, showHealth);
  showFacts().then(() => say(byId("device-problem")), (error) => say(byId("device-problem"), error));
}

const STATES = { ok: "fine", warning: "", problem: "bad", skipped: "plain" };

async function runDoctor() {
  const button = byId("doctor");
  button.disabled = true;
  byId("doctor-summary").textContent = "Looking …";
  try {
    const { checks } = await getJson("api/doctor");
    const count = (/** @type {string} */ state) => checks.filter((/** @type {any} */ check) => check.state === state).length;
    const [problems, warnings] = [count("problem"), count("warning")];
    byId("doctor-summary").textContent = problems || warnings
      ? `${problems} ${problems === 1 ? "problem" : "problems"}, ${warnings} ${warnings === 1 ? "warning" : "warnings"}`
      : "Nothing is wrong.";
    byId("doctor-table").hidden = false;
    byId("doctor-rows").replaceChildren(...checks.map((/** @type {any} */ check) => {
      const tag = make("span", `tag ${STATES[/** @type {keyof STATES} */ (check.state)]}`, check.state);
      const found = make("td", "", check.found);
      if (check.remedy) found.append(make("span", "remedy", check.remedy));
      const cells = [make("td", "", check.name), make("td", "", tag), found];
      cells.forEach((cell) => cell.setAttribute("role", "cell"));
      const row = make("tr", "", ...cells);
      row.setAttribute("role", "row");
      return row;
    }));
  } catch (error) {
    byId("doctor-summary").textContent = error instanceof Error ? error.message : `${error}`;
  } finally {
    button.disabled = false;
  }
}

// --- which section is shown; the others rest ---

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

/** Keep the words of commands whole: a line may break before an option, and not in its dashes. */
function keepWords(/** @type {Element} */ command) {
  const words = (command.textContent ?? "").split(" ");
  command.replaceChildren(...words.flatMap((word) => [make("span", "word", word), " "]).slice(0, -1));
}

prepareLogin();
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
