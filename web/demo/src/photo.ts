// A photo of a digit, and the part of it that is read.

import type { Point } from "./drawing.js";
import type { Finder, Frame } from "./finder.js";
import { halveLarge } from "./normal_form.js";
import { cut, type Grey, toGrey } from "./pixels.js";

/** A larger photo is reduced while it is decoded: phones refuse canvases above this, pixels. */
const MAX_PIXELS = 16_000_000;

/** A picture up to this side is one digit (`digitkit/reading/reader.py`), pixels. */
const ONE_DIGIT_SIDE = 64;

/** The frame's sides are at least this fraction of the shorter side of a photo. */
const MIN_FRAME = 0.05;

const WHOLE: Frame = { left: 0, top: 0, right: 1, bottom: 1 };

/** A photo, and the frame around what is read. */
export class Photo {
  frame = WHOLE;

  private constructor(
    private readonly image: HTMLCanvasElement,
    private readonly grey: Grey,
  ) {}

  /** Decode a file, upright by its EXIF orientation. Throws if the browser cannot. */
  static async load(file: Blob): Promise<Photo> {
    const bitmap = await createImageBitmap(file, { premultiplyAlpha: "none" });
    const ratio = Math.min(1, Math.sqrt(MAX_PIXELS / (bitmap.width * bitmap.height)));
    const image = document.createElement("canvas");
    image.width = Math.max(1, Math.floor(bitmap.width * ratio));
    image.height = Math.max(1, Math.floor(bitmap.height * ratio));
    const context = image.getContext("2d", { willReadFrequently: true });
    if (!context) throw new Error("this browser has no canvas");
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, image.width, image.height);
    bitmap.close();
    const colours = context.getImageData(0, 0, image.width, image.height);
    return new Photo(image, halveLarge(toGrey(colours)));
  }

  /** Put the frame around the digit; around the whole of a photo that it fills, or that has none. */
  async findDigit(finder: Finder): Promise<void> {
    const { width, height } = this.grey;
    const found = Math.max(width, height) > ONE_DIGIT_SIDE ? await finder.find(this.grey) : null;
    if (found && this.isWhole) this.frame = found; // unless someone was faster
  }

  get isWhole(): boolean {
    return this.frame === WHOLE;
  }

  /** What is in the frame. */
  read(): Grey {
    const { width, height } = this.grey;
    const [left, top] = [Math.floor(this.frame.left * width), Math.floor(this.frame.top * height)];
    const right = Math.max(Math.ceil(this.frame.right * width), left + 1);
    const bottom = Math.max(Math.ceil(this.frame.bottom * height), top + 1);
    return cut(this.grey, left, top, right - left, bottom - top);
  }

  /** Put the frame around two corners, on the drawing area; the whole photo if it is too small. */
  frameBetween(a: Point, b: Point): void {
    const [from, to] = [this.toPhoto(a), this.toPhoto(b)];
    const frame = {
      left: Math.min(from.x, to.x),
      top: Math.min(from.y, to.y),
      right: Math.max(from.x, to.x),
      bottom: Math.max(from.y, to.y),
    };
    const { width, height } = this.grey;
    const least = MIN_FRAME * Math.min(width, height);
    const isSmall =
      (frame.right - frame.left) * width < least || (frame.bottom - frame.top) * height < least;
    this.frame = isSmall ? WHOLE : frame;
  }

  /** Move the frame by fractions of the photo, and make it larger or smaller by a factor. */
  adjust(across: number, down: number, factor: number): void {
    const { left, top, right, bottom } = this.frame;
    const [x, width] = fit((left + right) / 2 + across, (right - left) * factor);
    const [y, height] = fit((top + bottom) / 2 + down, (bottom - top) * factor);
    this.frame =
      width === 1 && height === 1
        ? WHOLE
        : { left: x - width / 2, top: y - height / 2, right: x + width / 2, bottom: y + height / 2 };
  }

  /** Paint the photo into a square of this side, as large as it fits, and dim what is not read. */
  paint(context: CanvasRenderingContext2D, side: number, colours: Readonly<{ around: string }>): void {
    context.fillStyle = colours.around;
    context.fillRect(0, 0, side, side);
    const { x, y, width, height } = this.place();
    const box = [x * side, y * side, width * side, height * side] as const;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.image, ...box);
    if (this.isWhole) return;
    const left = (x + this.frame.left * width) * side;
    const top = (y + this.frame.top * height) * side;
    const across = (this.frame.right - this.frame.left) * width * side;
    const down = (this.frame.bottom - this.frame.top) * height * side;
    context.beginPath();
    context.rect(...box);
    context.rect(left, top, across, down);
    context.fillStyle = "rgb(0 0 0 / 0.55)";
    context.fill("evenodd");
    context.strokeStyle = "#4db6ac";
    context.lineWidth = side / 140;
    context.strokeRect(left, top, across, down);
  }

  /** Where the photo lies on the drawing area. */
  private place(): { x: number; y: number; width: number; height: number } {
    const longer = Math.max(this.image.width, this.image.height);
    const [width, height] = [this.image.width / longer, this.image.height / longer];
    return { x: (1 - width) / 2, y: (1 - height) / 2, width, height };
  }

  private toPhoto({ x, y }: Point): Point {
    const place = this.place();
    const clip = (value: number): number => Math.min(Math.max(value, 0), 1);
    return { x: clip((x - place.x) / place.width), y: clip((y - place.y) / place.height) };
  }
}

/** A part of a line from 0 to 1, by its middle and length, moved and limited so that it fits. */
function fit(middle: number, length: number): [number, number] {
  const fitting = Math.min(Math.max(length, MIN_FRAME), 1);
  return [Math.min(Math.max(middle, fitting / 2), 1 - fitting / 2), fitting];
}
