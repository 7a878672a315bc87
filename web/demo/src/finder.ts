// Where the digit of a photo is: the exported detector, of whose answers the best one is taken. What
// digitkit does with all of them, to read pages, is in `digitkit/reading/detection/pages.py`.

import { readMetadata } from "./metadata.js";
import { resizeArea } from "./opencv.js";
import { type Grey, makeGrey, roundHalfEven } from "./pixels.js";
import { type InferenceSession, openSession, Tensor } from "./runtime.js";

/** Version of the detector that is understood here (`digitkit/reading/networks/detector.py`). */
const VERSION = "2";

/** A photo is searched at these longer sides, pixels: the detector knows digits of 9 to 140. */
const SIDES = [320, 160, 80];

/** The detector takes multiples of this, and has a centre for so many pixels. */
const STEP = 16;
const CENTRE = 4;

/** The least score of a digit, 0–1. */
const MIN_SCORE = 0.3;

/** Paper around a digit that belongs to its frame, as a fraction of its longer side. */
const MARGIN = 0.15;

/** A rectangle, as fractions of a picture's width and height. */
export interface Frame {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** The detector, ready to run. */
export class Finder {
  private constructor(private readonly session: InferenceSession) {}

  /** Load the detector from its bytes. */
  static async load(file: Uint8Array): Promise<Finder> {
    if (readMetadata(file).get("digitkit.finder") !== VERSION) {
      throw new Error("the detector does not fit this page: build it again");
    }
    return new Finder(await openSession(file));
  }

  /** The frame around the clearest digit of a picture; null where there is none. */
  async find(picture: Grey): Promise<Frame | null> {
    let best: { frame: Frame; score: number } | null = null;
    for (const side of SIDES) {
      const ratio = Math.min(1, side / Math.max(picture.width, picture.height));
      const width = Math.max(1, roundHalfEven(picture.width * ratio));
      const height = Math.max(1, roundHalfEven(picture.height * ratio));
      const found = await this.findIn(resizeArea(picture, width, height));
      if (found && found.score > (best?.score ?? MIN_SCORE)) best = found;
    }
    return best?.frame ?? null;
  }

  private async findIn(grey: Grey): Promise<{ frame: Frame; score: number } | null> {
    const padded = pad(grey);
    const page = new Tensor("uint8", padded.data, [1, 1, padded.height, padded.width]);
    const outputs = await this.session.run({ page }, ["centre", "reach"]);
    const centre = outputs["centre"].data as Float32Array;
    const reach = outputs["reach"].data as Float32Array;
    const columns = padded.width / CENTRE;
    let best: { frame: Frame; score: number } | null = null;
    for (let i = 0; i < centre.length; i++) {
      const [left, top, right, bottom] = [0, 1, 2, 3].map((side) => reach[side * centre.length + i]);
      const x = ((i % columns) + 0.5) * CENTRE;
      const y = (Math.floor(i / columns) + 0.5) * CENTRE;
      if (x >= grey.width || y >= grey.height) continue;
      const tall = top + bottom;
      const score = centre[i] * Math.min(1, tall / 20, 140 / tall);
      if (score <= (best?.score ?? 0)) continue;
      const margin = MARGIN * Math.max(left + right, tall);
      const clip = (edge: number, side: number): number => Math.min(Math.max(edge / side, 0), 1);
      const frame = {
        left: clip(x - left - margin, grey.width),
        top: clip(y - top - margin, grey.height),
        right: clip(x + right + margin, grey.width),
        bottom: clip(y + bottom + margin, grey.height),
      };
      best = { frame, score };
    }
    return best;
  }
}

/** A picture whose last row and column are repeated up to a multiple of `STEP`. */
function pad(grey: Grey): Grey {
  const padded = makeGrey(
    Math.ceil(grey.width / STEP) * STEP,
    Math.ceil(grey.height / STEP) * STEP,
  );
  for (let y = 0; y < padded.height; y++) {
    const from = Math.min(y, grey.height - 1) * grey.width;
    const line = padded.data.subarray(y * padded.width, (y + 1) * padded.width);
    line.set(grey.data.subarray(from, from + grey.width));
    line.fill(line[grey.width - 1], grey.width);
  }
  return padded;
}
