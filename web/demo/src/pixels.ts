// Grey pictures, and how colours become grey.

/** A grey picture, row by row: one byte a pixel, 0 is black. */
export interface Grey {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** RGBA pixels, not premultiplied, such as an `ImageData`. */
export interface Colours {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** A grey picture of this size, all black. */
export function makeGrey(width: number, height: number): Grey {
  return { width, height, data: new Uint8Array(width * height) };
}

/** To the nearest whole number; halves to the even one, as Python and OpenCV do. */
export function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/** To the nearest whole number that a byte can hold. */
export function toByte(value: number): number {
  return Math.min(Math.max(roundHalfEven(value), 0), 255);
}

/** The lowest and the highest grey level. */
export function levels(grey: Grey): { low: number; high: number } {
  let low = 255;
  let high = 0;
  for (const level of grey.data) {
    if (level < low) low = level;
    if (level > high) high = level;
  }
  return { low, high };
}

/** Whether a picture has a single grey level, so that there is nothing to read. */
export function isBlank(grey: Grey): boolean {
  const { low, high } = levels(grey);
  return low >= high;
}

/** A part of a picture. */
export function cut(grey: Grey, x: number, y: number, width: number, height: number): Grey {
  const part = makeGrey(width, height);
  for (let row = 0; row < height; row++) {
    const start = (y + row) * grey.width + x;
    part.data.set(grey.data.subarray(start, start + width), row * width);
  }
  return part;
}

/**
 * Colours as luminance; a transparent picture is laid on white, or on black where it is light
 * (`digitkit/images/convert.py`).
 */
export function toGrey(colours: Colours): Grey {
  const flat = isOpaque(colours) ? colours.data : flatten(colours);
  const grey = makeGrey(colours.width, colours.height);
  for (let i = 0; i < grey.data.length; i++) {
    grey.data[i] = luminance(flat[4 * i], flat[4 * i + 1], flat[4 * i + 2]);
  }
  return grey;
}

/** OpenCV's weights of red, green and blue: 0.299, 0.587 and 0.114, in 15 bits. */
function luminance(red: number, green: number, blue: number): number {
  return (9798 * red + 19235 * green + 3735 * blue + (1 << 14)) >> 15;
}

function isOpaque({ data }: Colours): boolean {
  for (let i = 3; i < data.length; i += 4) if (data[i] < 255) return false;
  return true;
}

function flatten({ data }: Colours): Uint8Array {
  let opaque = 0;
  let light = 0;
  for (let i = 0; i < data.length; i += 4) {
    const weight = data[i + 3] / 255;
    opaque += weight;
    light += weight * luminance(data[i], data[i + 1], data[i + 2]);
  }
  const paper = opaque > 0 && light / opaque > 127 ? 0 : 255;
  const flat = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const weight = data[i | 3] / 255;
    flat[i] = toByte(data[i] * weight + paper * (1 - weight));
  }
  return flat;
}
