// The page: a drawing or a photo goes through the normal form to the model, and back comes a digit.

import { type Colouring, Drawing, type Point } from "./drawing.js";
import { Finder } from "./finder.js";
import { Model } from "./model.js";
import { digitImage } from "./normal_form.js";
import { Photo } from "./photo.js";
import { type Grey, toGrey } from "./pixels.js";
import { element, ResultView } from "./result.js";
import { setUp } from "./runtime.js";

/** Side of the picture that a drawing becomes, pixels. */
const SIDE = 280;

/** How far an arrow key goes, as a fraction of the drawing area. */
const STEP = 0.025;

const ARROWS: Readonly<Record<string, Point>> = {
  ArrowLeft: { x: -STEP, y: 0 },
  ArrowRight: { x: STEP, y: 0 },
  ArrowUp: { x: 0, y: -STEP },
  ArrowDown: { x: 0, y: STEP },
};

const HINTS = {
  empty: "Draw a digit from 0 to 9",
  loading: "Loading the model…",
  finding: "Looking for the digit…",
  blank: "Nothing to read: the picture has a single colour",
} as const;

const area = element("area", HTMLCanvasElement);
const hint = element("hint", HTMLElement);
const undoButton = element("undo", HTMLButtonElement);
const clearButton = element("clear", HTMLButtonElement);
const view = new ResultView();
const drawing = new Drawing();
const dark = matchMedia("(prefers-color-scheme: dark)");

let photo: Photo | null = null;
let model: Model | null = null;
let finder: Promise<Finder> | null = null; // loaded for the first photo
let failure = "";
let pen: Point = { x: 0.5, y: 0.5 };
let penIsDown = false; // by keys
let start: Point | null = null; // where the pointer was put down
let isWaiting = false; // for the next repaint
let isReading = false;
let isFinding = false; // the digit in a photo
let isStale = false; // something changed while it was read

function colours(): Colouring & { around: string } {
  return dark.matches
    ? { paper: "#111a19", pen: "#f4fffd", around: "#111a19" }
    : { paper: "#ffffff", pen: "#14211f", around: "#eef3f2" };
}

function context(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const found = canvas.getContext("2d", { willReadFrequently: canvas !== area });
  if (!found) throw new Error("this browser has no canvas");
  return found;
}

/** Repaint, and read what is there; once for all changes before the next frame. */
function change(): void {
  undoButton.disabled = photo !== null || drawing.isEmpty;
  clearButton.disabled = photo === null && drawing.isEmpty;
  hint.hidden = photo !== null || !drawing.isEmpty || penIsDown;
  document.body.classList.toggle("with-photo", photo !== null);
  if (isWaiting) return;
  isWaiting = true;
  requestAnimationFrame(() => {
    isWaiting = false;
    paint();
    void read();
  });
}

function paint(): void {
  const side = Math.max(1, Math.round(area.clientWidth * devicePixelRatio));
  if (area.width !== side) area.width = area.height = side;
  const canvas = context(area);
  (photo ?? drawing).paint(canvas, side, colours());
  if (!photo && document.activeElement === area && area.matches(":focus-visible")) {
    canvas.beginPath();
    canvas.arc(pen.x * side, pen.y * side, side / 40, 0, 7);
    canvas.strokeStyle = "#009688";
    canvas.lineWidth = side / (penIsDown ? 60 : 140);
    canvas.stroke();
  }
}

const sheet = document.createElement("canvas");
sheet.width = sheet.height = SIDE;

/** What there is to read; null for nothing. */
function picture(): Grey | null {
  if (photo) return photo.read();
  if (drawing.isEmpty) return null;
  const canvas = context(sheet);
  drawing.paint(canvas, SIDE, colours());
  return toGrey(canvas.getImageData(0, 0, SIDE, SIDE));
}

async function read(): Promise<void> {
  isStale = isReading;
  if (isReading) return;
  isReading = true;
  try {
    await readOnce();
  } catch (error) {
    fail("The model failed", error);
  }
  isReading = false;
  if (isStale) change();
}

async function readOnce(): Promise<void> {
  if (failure) return view.showNothing(failure);
  const begin = performance.now();
  const grey = picture();
  if (!model || !grey) return view.showNothing(model ? HINTS.empty : HINTS.loading);
  if (photo && isFinding) return view.showNothing(HINTS.finding);
  const form = digitImage(grey);
  if (!form) return view.showNothing(HINTS.blank);
  const prediction = await model.classify(form);
  view.show(prediction, model.minConfidence, form, performance.now() - begin);
}

function fail(what: string, error: unknown): void {
  failure = `${what}: ${error instanceof Error ? error.message : String(error)}`;
  view.showNothing(failure);
}

function clear(): void {
  photo = null;
  drawing.clear();
  penIsDown = false;
  failure = model ? "" : failure;
  change();
}

function undo(): void {
  penIsDown = false;
  if (!photo) drawing.undo();
  change();
}

async function usePhoto(file: Blob | null | undefined): Promise<void> {
  if (!file) return;
  let opened: Photo;
  try {
    opened = await Photo.load(file);
  } catch {
    view.showNothing("This browser cannot open that file as a picture");
    return;
  }
  clear();
  photo = opened;
  isFinding = true;
  change();
  try {
    await ready;
    finder ??= load("finder.onnx").then((bytes) => Finder.load(new Uint8Array(bytes)));
    await opened.findDigit(await finder);
  } catch (error) {
    finder = null;
    console.warn("the digit is not searched for:", error); // a frame can be drawn by hand
  }
  isFinding = photo !== opened && isFinding;
  change();
}

function pointOf(event: PointerEvent): Point {
  const box = area.getBoundingClientRect();
  return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
}

function frameTo(point: Point): void {
  if (photo && start) photo.frameBetween(start, point);
  isFinding = false;
}

area.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || start) return;
  area.setPointerCapture(event.pointerId);
  penIsDown = false;
  start = pen = pointOf(event);
  if (!photo) drawing.begin(start);
  change();
});

area.addEventListener("pointermove", (event) => {
  if (!start || !area.hasPointerCapture(event.pointerId)) return;
  const parts = event.getCoalescedEvents?.() ?? [];
  for (const part of parts.length ? parts : [event]) {
    pen = pointOf(part);
    if (photo) frameTo(pen);
    else drawing.extend(pen);
  }
  change();
});

area.addEventListener("pointerup", (event) => {
  if (!start || !area.hasPointerCapture(event.pointerId)) return;
  if (photo) frameTo(pointOf(event)); // a tap is a frame of no size: the whole photo
  change();
});

area.addEventListener("lostpointercapture", () => (start = null));

area.addEventListener("keydown", (event) => {
  const arrow = ARROWS[event.key];
  const factor = { "+": 1 / 0.9, "-": 0.9 }[event.key];
  if (photo && (arrow || factor)) {
    photo.adjust(arrow?.x ?? 0, arrow?.y ?? 0, factor ?? 1);
  } else if (!photo && arrow) {
    const clip = (value: number): number => Math.min(Math.max(value, 0), 1);
    pen = { x: clip(pen.x + arrow.x), y: clip(pen.y + arrow.y) };
    if (penIsDown) drawing.extend(pen);
  } else if (!photo && event.key === " ") {
    penIsDown = !penIsDown;
    if (penIsDown) drawing.begin(pen);
  } else return;
  event.preventDefault();
  change();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "z" && (event.ctrlKey || event.metaKey)) undo();
  else if (event.key === "Escape") clear();
  else return;
  event.preventDefault();
});

undoButton.addEventListener("click", undo);
clearButton.addEventListener("click", clear);
for (const id of ["camera", "file"]) {
  const input = element(id, HTMLInputElement);
  input.addEventListener("change", () => {
    void usePhoto(input.files?.[0]);
    input.value = ""; // the same file may be chosen again
  });
  element(`${id}-button`, HTMLButtonElement).addEventListener("click", () => input.click());
}
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  void usePhoto(files.find((file) => file.type.startsWith("image/")));
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  void usePhoto(event.dataTransfer?.files[0]);
});
dark.addEventListener("change", change);
new ResizeObserver(change).observe(area);
for (const kind of ["focus", "blur"]) area.addEventListener(kind, change);

async function load(path: string): Promise<ArrayBuffer> {
  const response = await fetch(new URL(path, import.meta.url));
  if (!response.ok) throw new Error(`${path}: ${response.status} ${response.statusText}`);
  return response.arrayBuffer();
}

async function begin(): Promise<void> {
  change();
  try {
    const [file, binary] = await Promise.all([
      load("digits-int8.onnx"),
      load("onnxruntime/ort-wasm-simd-threaded.wasm"),
    ]);
    setUp(binary);
    model = await Model.load(new Uint8Array(file));
  } catch (error) {
    fail("The model cannot be loaded", error);
  }
  change();
}

const ready = begin();
