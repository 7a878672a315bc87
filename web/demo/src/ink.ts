// Ink of a picture of one digit: its polarity, even light, full contrast. The same as
// `digitkit/images/ink.py`, which says why.

import {
  blur,
  brighterThan,
  filterSquare,
  otsuThreshold,
  resizeArea,
  scaleLevels,
} from "./opencv.js";
import { type Grey, levels, roundHalfEven } from "./pixels.js";

/** A picture is reduced to this side before its ink is extracted, pixels. */
export const WORK_SIDE = 160;

/** Pictures up to this side are lit evenly, pixels. */
const EVEN_SIDE = 64;

const POLARITY_WEIGHTS = [8.84, 4.92, -2.95, 4.44] as const;

/** Ink bright on dark, paper at 0, strokes near 255; reduced to at most `WORK_SIDE`. */
export function extractInk(picture: Grey): Grey {
  const grey = reduce(picture);
  let ink = paperIsBright(otsuMask(grey)) ? invert(grey) : grey;
  if (Math.max(grey.width, grey.height) > EVEN_SIDE) ink = flattenLight(ink);
  return stretchContrast(ink, otsuMask(ink));
}

function reduce(grey: Grey): Grey {
  const ratio = WORK_SIDE / Math.max(grey.width, grey.height);
  if (ratio >= 1) return grey;
  const width = Math.max(1, roundHalfEven(grey.width * ratio));
  const height = Math.max(1, roundHalfEven(grey.height * ratio));
  return resizeArea(grey, width, height);
}

function otsuMask(grey: Grey): Grey {
  return brighterThan(grey, otsuThreshold(grey));
}

function invert(grey: Grey): Grey {
  return { ...grey, data: grey.data.map((level) => 255 - level) };
}

function paperIsBright(mask: Grey): boolean {
  const brightness = measureBrightness(mask);
  return POLARITY_WEIGHTS.reduce((sum, weight, i) => sum + weight * brightness[i], 0) > 0;
}

/** How bright the corners, the sides and the whole are, and how many sides: -0.5 to 0.5. */
function measureBrightness({ width, height, data }: Grey): [number, number, number, number] {
  const count = (left: number, top: number, right: number, bottom: number): number => {
    let bright = 0;
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) bright += data[y * width + x];
    }
    return bright;
  };
  const side = Math.max(1, Math.min(width, height) >> 3);
  const inCorners =
    count(0, 0, side, side) +
    count(width - side, 0, width, side) +
    count(0, height - side, side, height) +
    count(width - side, height - side, width, height);
  const sides = [
    count(0, 0, width, 1) / width,
    count(0, height - 1, width, height) / width,
    count(0, 0, 1, height) / height,
    count(width - 1, 0, width, height) / height,
  ];
  return [
    inCorners / (4 * side * side) - 0.5,
    (sides[0] + sides[1] + sides[2] + sides[3]) / 4 - 0.5,
    count(0, 0, width, height) / data.length - 0.5,
    (sides.filter((share) => share > 0.5).length - 2) / 4,
  ];
}

/** Subtract the paper's own brightness, estimated under the strokes by a wide opening. */
function flattenLight(ink: Grey): Grey {
  const side = Math.floor(Math.max(ink.width, ink.height) / 3) | 1;
  const lowest = filterSquare(ink, side, "lowest");
  const { low, high } = levels(lowest);
  if (low === high) return { ...ink, data: ink.data.map((level) => level - low) };
  const paper = blur(filterSquare(lowest, side, "highest"), side);
  return { ...ink, data: ink.data.map((level, i) => Math.max(level - paper.data[i], 0)) };
}

/** Map paper to 0 and strokes to 255, linearly, by the middle level on each side of the mask. */
function stretchContrast(ink: Grey, mask: Grey): Grey {
  const bright = ink.data.filter((_, i) => mask.data[i]).sort();
  const dark = ink.data.filter((_, i) => !mask.data[i]).sort();
  if (!bright.length || !dark.length) return ink;
  const at = Math.floor((3 * (bright.length - 1)) / 4);
  const quarters = (3 * (bright.length - 1)) % 4;
  const low = bright[at];
  const high = bright[Math.min(at + 1, bright.length - 1)];
  const strokes = low + ((high - low) * quarters) / 4;
  const paper = (dark[(dark.length - 1) >> 1] + dark[dark.length >> 1]) / 2;
  const floor = roundHalfEven(paper);
  const gain = 255 / Math.max(strokes - paper, 1);
  const raised = { ...ink, data: ink.data.map((level) => Math.max(level, floor)) };
  return scaleLevels(raised, gain, -paper * gain);
}
