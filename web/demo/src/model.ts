// The exported classifier: a digit in normal form in, what it is out.

import { readMetadata } from "./metadata.js";
import { NORMAL_FORM_VERSION, SIDE } from "./normal_form.js";
import type { Grey } from "./pixels.js";
import { type InferenceSession, openSession, Tensor } from "./runtime.js";

/** Newest version of the contract that is understood here (`digitkit/models/contract.py`). */
const CONTRACT_VERSION = 1;

/** What a model says of a digit. */
export interface Prediction {
  /** The most likely digit. */
  readonly digit: number;
  /** Probability that it is a digit, and this one, 0–1. */
  readonly confidence: number;
  /** Probability that it is a digit at all, 0–1; 1 from a model that does not say. */
  readonly isDigit: number;
  /** Of 0 to 9, given that it is a digit; they sum to 1. */
  readonly probabilities: Float32Array;
}

/** A model that is ready to run. */
export class Model {
  private constructor(
    private readonly session: InferenceSession,
    /** A digit with less confidence is not accepted, 0–1. */
    readonly minConfidence: number,
  ) {}

  /** Load a model that digitkit exported, from its bytes. */
  static async load(file: Uint8Array): Promise<Model> {
    const metadata = readMetadata(file);
    const threshold = Number(metadata.get("digitkit.min_confidence"));
    if (
      !(Number(metadata.get("digitkit.contract")) <= CONTRACT_VERSION) ||
      metadata.get("digitkit.preprocessing") !== String(NORMAL_FORM_VERSION) ||
      metadata.get("digitkit.labels") !== "0123456789" ||
      !(threshold >= 0 && threshold <= 1)
    ) {
      throw new Error("the model does not fit this page: build it again");
    }
    return new Model(await openSession(file), threshold);
  }

  /** Classify a digit in normal form. */
  async classify(form: Grey): Promise<Prediction> {
    const image = new Tensor("uint8", form.data, [1, 1, SIDE, SIDE]);
    const outputs = await this.session.run({ image });
    const probabilities = Float32Array.from(outputs["probabilities"].data as Float32Array);
    // A custom model may not tell digits from other ink.
    const isDigit = "is_digit" in outputs ? (outputs["is_digit"].data as Float32Array)[0] : 1;
    const digit = probabilities.indexOf(Math.max(...probabilities));
    return { digit, confidence: probabilities[digit] * isDigit, isDigit, probabilities };
  }
}
