// What the page shows of a prediction.

import type { Prediction } from "./model.js";
import { SIDE } from "./normal_form.js";
import type { Grey } from "./pixels.js";

/** The elements of the page that show a result. */
export class ResultView {
  private readonly digit = element("digit", HTMLElement);
  private readonly verdict = element("verdict", HTMLElement);
  private readonly detail = element("detail", HTMLElement);
  private readonly latency = element("latency", HTMLElement);
  private readonly spoken = element("spoken", HTMLElement);
  private readonly input = element("input", HTMLCanvasElement);
  private readonly bars: { row: HTMLElement; bar: HTMLElement; share: HTMLElement }[] = [];
  private timer = 0;

  constructor() {
    const table = element("bars", HTMLTableSectionElement);
    for (let digit = 0; digit <= 9; digit++) {
      const row = table.insertRow();
      const label = document.createElement("th");
      label.scope = "row";
      label.textContent = String(digit);
      const bar = document.createElement("span");
      bar.className = "bar";
      const share = row.insertCell();
      row.prepend(label);
      row.insertCell(1).append(bar);
      this.bars.push({ row, bar, share });
    }
    this.showNothing("");
  }

  /** A prediction, what the model was given, and how long both took, ms. */
  show(prediction: Prediction, minConfidence: number, form: Grey, ms: number): void {
    const { digit, confidence, probabilities } = prediction;
    const isAccepted = confidence >= minConfidence;
    this.digit.textContent = String(digit);
    this.digit.classList.toggle("doubtful", !isAccepted);
    this.verdict.textContent = isAccepted ? `It is ${withArticle(digit)}` : "Not a digit?";
    this.detail.textContent = isAccepted
      ? `${percent(confidence)} sure`
      : `most like ${withArticle(digit)}: ${percent(confidence)} sure ` +
        `(${percent(minConfidence)} needed)`;
    this.latency.textContent = `read in ${ms.toFixed(1)} ms`;
    this.bars.forEach(({ row, bar, share }, i) => {
      row.classList.toggle("best", i === digit);
      bar.style.width = `${100 * probabilities[i]}%`;
      share.textContent = percent(probabilities[i]);
    });
    this.showInput(form.data);
    this.speak(`${this.verdict.textContent}, ${this.detail.textContent}`);
  }

  /** No result, and why. */
  showNothing(why: string): void {
    this.digit.textContent = "–";
    this.digit.classList.add("doubtful");
    this.verdict.textContent = why;
    this.detail.textContent = this.latency.textContent = "";
    for (const { row, bar, share } of this.bars) {
      row.classList.remove("best");
      bar.style.width = "0";
      share.textContent = "";
    }
    this.showInput(new Uint8Array(SIDE * SIDE));
    this.speak(why);
  }

  private showInput(levels: Uint8Array): void {
    const pixels = new ImageData(SIDE, SIDE);
    levels.forEach((level, i) => pixels.data.set([level, level, level, 255], 4 * i));
    this.input.getContext("2d")?.putImageData(pixels, 0, 0);
  }

  /** For screen readers: not each change while drawing, but what it comes to. */
  private speak(text: string): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => (this.spoken.textContent = text), 600);
  }
}

/** The element of the page with this id. */
export function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}

function withArticle(digit: number): string {
  return digit === 8 ? "an 8" : `a ${digit}`;
}

/** As digitkit prints it: nothing is certain. */
function percent(share: number): string {
  return share < 0.9995 ? `${(100 * share).toFixed(1)}%` : ">99.9%";
}
