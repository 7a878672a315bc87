// From a picture of one digit to the model's input: MNIST's normal form. The same as
// `digitkit/images/normal_form.py`, which says why.

import { extractInk } from "./ink.js";
import {
  boxAbove,
  brighterThan,
  centreOfMass,
  countEroded,
  dilateEllipse,
  resizeArea,
  resizeCubic,
  scaleLevels,
} from "./opencv.js";
import { cut, type Grey, isBlank, levels, makeGrey, roundHalfEven } from "./pixels.js";

/** Version of the normal form: a model must have been trained on this one. */
export const NORMAL_FORM_VERSION = 1;

/** Side of the normal form, pixels. */
export const SIDE = 28;

/** Side of the box that a digit is fitted into, pixels. */
const BOX = 20;
const CENTRE = 14;
const INK_LEVEL = 48;
const MIN_STROKE = 1.7 / BOX;

/** A picture is halved as often as leaves its longer side this long, pixels, but three times at most. */
const REDUCED_SIDE = 1280;
const MAX_HALVINGS = 3;

/** The normal form of a picture that shows one digit, 28×28; null if it has a single grey level. */
export function digitImage(picture: Grey): Grey | null {
  const grey = halveLarge(picture);
  return isBlank(grey) ? null : normalForm(extractInk(grey));
}

/** A large picture halved as often as the reader does it (`digitkit/images/grey.py`). */
export function halveLarge(picture: Grey): Grey {
  let grey = picture;
  const longer = Math.max(picture.width, picture.height);
  const shorter = Math.min(picture.width, picture.height);
  for (let times = 0; times < MAX_HALVINGS; times++) {
    if (longer >> (times + 1) < REDUCED_SIDE || shorter >> (times + 2) === 0) break;
    const [width, height] = [grey.width >> 1, grey.height >> 1];
    grey = resizeArea(cut(grey, 0, 0, 2 * width, 2 * height), width, height);
  }
  return grey;
}

/** Ink fitted into 20×20 keeping its shape, centre of mass in the middle of 28×28. */
export function normalForm(ink: Grey): Grey {
  const box = boxAbove(ink, INK_LEVEL);
  if (!box) return makeGrey(SIDE, SIDE);
  if (isNormal(ink, Math.max(box.width, box.height))) return ink;
  const crop = widenStrokes(cut(ink, box.x, box.y, box.width, box.height));
  const ratio = BOX / Math.max(crop.width, crop.height);
  const width = Math.max(1, roundHalfEven(crop.width * ratio));
  const height = Math.max(1, roundHalfEven(crop.height * ratio));
  const resize = ratio < 1 ? resizeArea : resizeCubic;
  const small = resize(crop, width, height);
  const peak = levels(small).high;
  return placeCentred(peak > 0 && peak < 255 ? scaleLevels(small, 255 / peak) : small);
}

function isNormal(ink: Grey, longer: number): boolean {
  if (ink.width !== SIDE || ink.height !== SIDE || longer < BOX - 1 || longer > BOX) return false;
  const { x, y } = centreOfMass(ink);
  return Math.abs(x - CENTRE) <= 0.6 && Math.abs(y - CENTRE) <= 0.6;
}

/** Dilate strokes that would all but vanish at 20 pixels; the result is larger, so none is cut. */
function widenStrokes(crop: Grey): Grey {
  const side = Math.max(crop.width, crop.height);
  if (side <= 2 * BOX) return crop;
  const mask = brighterThan(crop, 127);
  const area = mask.data.reduce((sum, value) => sum + value, 0);
  if (area === 0) return crop;
  const strokeWidth = (2 * area) / (area - countEroded(mask));
  const missing = roundHalfEven(MIN_STROKE * side - strokeWidth);
  if (missing < 1) return crop;
  const pad = (missing >> 1) + 1;
  const framed = makeGrey(crop.width + 2 * pad, crop.height + 2 * pad);
  for (let y = 0; y < crop.height; y++) {
    const line = crop.data.subarray(y * crop.width, (y + 1) * crop.width);
    framed.data.set(line, (y + pad) * framed.width + pad);
  }
  return dilateEllipse(framed, missing + 1);
}

function placeCentred(small: Grey): Grey {
  const { x, y } = centreOfMass(small);
  const left = Math.min(Math.max(roundHalfEven(CENTRE - x), 0), SIDE - small.width);
  const top = Math.min(Math.max(roundHalfEven(CENTRE - y), 0), SIDE - small.height);
  const out = makeGrey(SIDE, SIDE);
  for (let row = 0; row < small.height; row++) {
    const line = small.data.subarray(row * small.width, (row + 1) * small.width);
    out.data.set(line, (top + row) * SIDE + left);
  }
  return out;
}
