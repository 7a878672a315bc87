// What OpenCV does to grey pictures, in its arithmetic: floats of 32 bits where it has them, halves
// rounded to even. The golden vectors show how close this is.

import { type Grey, makeGrey, toByte } from "./pixels.js";

const float = Math.fround;

/** Reduce a picture: each pixel is the mean of the area that it covers (`INTER_AREA`). */
export function resizeArea(grey: Grey, width: number, height: number): Grey {
  if (width === grey.width && height === grey.height) return grey;
  const across = grey.width / width;
  const down = grey.height / height;
  if (Number.isInteger(across) && Number.isInteger(down)) {
    return resizeByWhole(grey, width, height);
  }
  const columns = areaWeights(grey.width, width);
  const rows = areaWeights(grey.height, height);
  const sums = new Float32Array(width * height);
  const line = new Float32Array(width);
  for (const { to, from, weight } of rows) {
    line.fill(0);
    for (const column of columns) {
      const level = grey.data[from * grey.width + column.from];
      line[column.to] += float(level * column.weight);
    }
    for (let x = 0; x < width; x++) sums[to * width + x] += float(line[x] * weight);
  }
  return { width, height, data: Uint8Array.from(sums, toByte) };
}

/** `resizeArea` where whole pixels become one. */
function resizeByWhole(grey: Grey, width: number, height: number): Grey {
  const across = grey.width / width;
  const down = grey.height / height;
  const small = makeGrey(width, height);
  const scale = float(1 / (across * down));
  const isHalf = across === 2 && down === 2;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let row = y * down; row < (y + 1) * down; row++) {
        const start = row * grey.width + x * across;
        for (let i = start; i < start + across; i++) sum += grey.data[i];
      }
      small.data[y * width + x] = isHalf ? (sum + 2) >> 2 : toByte(float(sum * scale));
    }
  }
  return small;
}

interface Share {
  readonly to: number;
  readonly from: number;
  readonly weight: number;
}

/** Which pixels of a line become which ones of a shorter line, and with what weight. */
function areaWeights(length: number, shorter: number): Share[] {
  const scale = 1 / (shorter / length);
  const shares: Share[] = [];
  for (let to = 0; to < shorter; to++) {
    const start = to * scale;
    const end = start + scale;
    const span = Math.min(scale, length - start);
    const last = Math.min(Math.floor(end), length - 1);
    const first = Math.min(Math.ceil(start), last);
    if (first - start > 1e-3) {
      shares.push({ to, from: first - 1, weight: float((first - start) / span) });
    }
    for (let from = first; from < last; from++) shares.push({ to, from, weight: float(1 / span) });
    if (end - last > 1e-3) {
      shares.push({ to, from: last, weight: float(Math.min(end - last, 1, span) / span) });
    }
  }
  return shares;
}

/** Enlarge a picture by cubic interpolation (`INTER_CUBIC`). */
export function resizeCubic(grey: Grey, width: number, height: number): Grey {
  if (width === grey.width && height === grey.height) return grey;
  const columns = cubicWeights(grey.width, width);
  const rows = cubicWeights(grey.height, height);
  const large = makeGrey(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let row = 0; row < 4; row++) {
        const start = rows[y].from[row] * grey.width;
        let line = 0;
        for (let i = 0; i < 4; i++) {
          line += grey.data[start + columns[x].from[i]] * columns[x].weights[i];
        }
        sum += line * rows[y].weights[row];
      }
      large.data[y * width + x] = toByte(sum / CUBIC_ONE ** 2);
    }
  }
  return large;
}

const CUBIC_ONE = 2048;
const CUBIC_A = -0.75;

/** The four pixels of a line that each one of a longer line is made of, and their weights. */
function cubicWeights(length: number, longer: number): { from: number[]; weights: number[] }[] {
  const scale = 1 / (longer / length);
  return Array.from({ length: longer }, (_, to) => {
    const place = float((to + 0.5) * scale - 0.5);
    const first = Math.floor(place);
    const x = place - first;
    const a = CUBIC_A;
    const outer = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a;
    const left = ((a + 2) * x - (a + 3)) * x * x + 1;
    const right = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1;
    const weights = [outer, left, right, 1 - outer - left - right];
    return {
      from: [-1, 0, 1, 2].map((i) => Math.min(Math.max(first + i, 0), length - 1)),
      weights: weights.map((weight) => Math.round(weight * CUBIC_ONE)),
    };
  });
}

/** Otsu's threshold (IEEE Trans. SMC 9, 1979): levels above it are the bright side. */
export function otsuThreshold(grey: Grey): number {
  const counts = new Float64Array(256);
  for (const level of grey.data) counts[level]++;
  const scale = 1 / grey.data.length;
  let mean = 0;
  for (let level = 0; level < 256; level++) mean += level * counts[level];
  mean *= scale;
  let [darkMean, darkShare, best, threshold] = [0, 0, 0, 0];
  const least = 1.1920928955078125e-7; // the least float of 32 bits that makes a difference to 1
  for (let level = 0; level < 256; level++) {
    const share = counts[level] * scale;
    darkMean *= darkShare;
    darkShare += share;
    const brightShare = 1 - darkShare;
    if (Math.min(darkShare, brightShare) < least || Math.max(darkShare, brightShare) > 1 - least) {
      continue;
    }
    darkMean = (darkMean + level * share) / darkShare;
    const brightMean = (mean - darkShare * darkMean) / brightShare;
    const variance = darkShare * brightShare * (darkMean - brightMean) ** 2;
    if (variance > best) {
      best = variance;
      threshold = level;
    }
  }
  return threshold;
}

/** 1 where a picture is brighter than a level, else 0. */
export function brighterThan(grey: Grey, level: number): Grey {
  const data = grey.data.map((value) => (value > level ? 1 : 0));
  return { width: grey.width, height: grey.height, data };
}

/** The lowest or the highest level in a square of odd side around each pixel. */
export function filterSquare(grey: Grey, side: number, which: "lowest" | "highest"): Grey {
  return filterRows(filterRows(grey, side, which), side, which);
}

/** `filterSquare` along the rows only, which become columns. */
function filterRows({ width, height, data }: Grey, side: number, which: string): Grey {
  const out = makeGrey(height, width);
  const line = new Uint8Array(width + side - 1);
  const choose = which === "lowest" ? lower : higher;
  for (let y = 0; y < height; y++) {
    line.fill(which === "lowest" ? 255 : 0);
    line.set(data.subarray(y * width, (y + 1) * width), side >> 1);
    // Of one pixel, of two, of four, ...; then of two such spans, which cover the side.
    let span = 1;
    for (; 2 * span <= side; span *= 2) {
      for (let i = 0; i + span < line.length; i++) line[i] = choose(line[i], line[i + span]);
    }
    for (let x = 0; x < width; x++) {
      out.data[x * height + y] = choose(line[x], line[x + side - span]);
    }
  }
  return out;
}

const lower = (a: number, b: number): number => (a < b ? a : b);
const higher = (a: number, b: number): number => (a > b ? a : b);

/** The mean of a square of odd side around each pixel; the picture is mirrored at its border. */
export function blur(grey: Grey, side: number): Grey {
  const { width, height } = grey;
  const sums = sumRows(sumRows(grey.data, width, height, side), height, width, side);
  const scale = float(1 / side ** 2);
  return { width, height, data: Uint8Array.from(sums, (sum) => toByte(float(sum * scale))) };
}

/** The sums of `side` pixels of a row around each one; rows become columns. */
function sumRows(
  values: Uint8Array | Float64Array,
  width: number,
  height: number,
  side: number,
): Float64Array {
  const out = new Float64Array(width * height);
  const places = Array.from({ length: width + side }, (_, i) => mirror(i - (side >> 1), width));
  for (let y = 0; y < height; y++) {
    const row = values.subarray(y * width, (y + 1) * width);
    let sum = 0;
    for (let i = 0; i < side; i++) sum += row[places[i]];
    for (let x = 0; x < width; x++) {
      out[x * height + y] = sum;
      sum += row[places[x + side]] - row[places[x]];
    }
  }
  return out;
}

/** The place in a line for one beyond its ends: cb|abc|ba (`BORDER_REFLECT_101`). */
function mirror(place: number, length: number): number {
  if (length === 1) return 0;
  while (place < 0 || place >= length) {
    place = place < 0 ? -place : 2 * (length - 1) - place;
  }
  return place;
}

/** Multiply, add, take the absolute value, and round to a byte (`convertScaleAbs`). */
export function scaleLevels(grey: Grey, gain: number, offset = 0): Grey {
  const [alpha, beta] = [float(gain), float(offset)];
  const scaled = Uint8Array.from({ length: 256 }, (_, level) =>
    toByte(Math.abs(float(level * alpha + beta))), // rounded once, as a fused multiplication is
  );
  return { width: grey.width, height: grey.height, data: grey.data.map((level) => scaled[level]) };
}

/** How many pixels of a mask are left after erosion by a cross of 3×3; beyond the border is 0. */
export function countEroded({ width, height, data }: Grey): number {
  let count = 0;
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      const i = y * width + x;
      if (data[i] && data[i - 1] && data[i + 1] && data[i - width] && data[i + width]) count++;
    }
  }
  return count;
}

/** The highest level in an ellipse of this side around each pixel (`dilate`, `MORPH_ELLIPSE`). */
export function dilateEllipse(grey: Grey, side: number): Grey {
  const { width, height } = grey;
  const out = makeGrey(width, height);
  const spans = ellipse(side);
  const anchor = side >> 1;
  for (let y = 0; y < height; y++) {
    for (let row = 0; row < side; row++) {
      const from = y + row - anchor;
      if (from < 0 || from >= height) continue;
      const [start, end] = spans[row];
      for (let x = 0; x < width; x++) {
        const last = Math.min(x + end - anchor, width);
        let highest = out.data[y * width + x];
        for (let i = Math.max(x + start - anchor, 0); i < last; i++) {
          highest = Math.max(highest, grey.data[from * width + i]);
        }
        out.data[y * width + x] = highest;
      }
    }
  }
  return out;
}

/** Where each row of an ellipse begins, and ends behind. */
function ellipse(side: number): [number, number][] {
  const radius = side >> 1;
  return Array.from({ length: side }, (_, row) => {
    const dy = row - radius;
    const dx = Math.round(radius * Math.sqrt((radius * radius - dy * dy) / (radius * radius)));
    return [Math.max(radius - dx, 0), Math.min(radius + dx + 1, side)];
  });
}

/** The smallest box around all pixels above a level; null if there are none. */
export function boxAbove(
  grey: Grey,
  level: number,
): { x: number; y: number; width: number; height: number } | null {
  let [left, top, right, bottom] = [grey.width, grey.height, -1, -1];
  for (let y = 0; y < grey.height; y++) {
    for (let x = 0; x < grey.width; x++) {
      if (grey.data[y * grey.width + x] <= level) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = y;
    }
  }
  if (right < 0) return null;
  return { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}

/** The centre of mass, as a pixel index. */
export function centreOfMass(grey: Grey): { x: number; y: number } {
  let [mass, across, down] = [0, 0, 0];
  for (let y = 0; y < grey.height; y++) {
    for (let x = 0; x < grey.width; x++) {
      const level = grey.data[y * grey.width + x];
      mass += level;
      across += level * x;
      down += level * y;
    }
  }
  return { x: across / mass, y: down / mass };
}
