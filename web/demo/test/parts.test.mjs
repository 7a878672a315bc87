// What the golden vectors do not reach: transparency, blank pictures, damaged and foreign models.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { readMetadata } from "../build/metadata.js";
import { Model } from "../build/model.js";
import { digitImage } from "../build/normal_form.js";
import { roundHalfEven, toGrey } from "../build/pixels.js";

const model = readFileSync(new URL("../../../exported/digits-int8.onnx", import.meta.url));

const dot = (width, height, [red, green, blue, alpha]) => {
  const data = new Uint8Array(4 * width * height);
  data.set([red, green, blue, alpha], 4 * (Math.floor(height / 2) * width + Math.floor(width / 2)));
  return { width, height, data };
};

test("a transparent picture is laid on white, or on black where it is light", () => {
  assert.deepEqual([...toGrey(dot(3, 1, [0, 0, 0, 255])).data], [255, 0, 255]);
  assert.deepEqual([...toGrey(dot(3, 1, [250, 250, 250, 255])).data], [0, 250, 0]);
  assert.deepEqual([...toGrey(dot(3, 1, [0, 0, 0, 51])).data], [255, 204, 255]);
});

test("colours weigh what they do in OpenCV", () => {
  const grey = (colour) => toGrey(dot(1, 1, [...colour, 255])).data[0];
  assert.deepEqual([[255, 0, 0], [0, 255, 0], [0, 0, 255]].map(grey), [76, 150, 29]);
});

test("a picture of a single colour has nothing to read", () => {
  for (const level of [0, 128, 255]) {
    const data = new Uint8Array(200 * 100).fill(level);
    assert.equal(digitImage({ width: 200, height: 100, data }), null);
  }
});

test("pictures of a pixel's width or height have a normal form", () => {
  for (const [width, height] of [[1, 2], [2, 1], [1, 900], [900, 1], [3, 2]]) {
    const data = new Uint8Array(width * height);
    data[0] = 255;
    const form = digitImage({ width, height, data });
    assert.deepEqual([form.width, form.height, form.data.length], [28, 28, 784]);
  }
});

test("halves are rounded to even", () => {
  assert.deepEqual([0.5, 1.5, 2.5, 2.51, -1.5].map(roundHalfEven), [0, 2, 2, 3, -2]);
});

test("a model's metadata are read from its file", () => {
  const metadata = readMetadata(model);
  assert.equal(metadata.get("digitkit.labels"), "0123456789");
  assert.equal(metadata.get("digitkit.min_confidence"), "0.899");
});

test("a damaged file is an error, wherever it ends", () => {
  assert.throws(() => readMetadata(model.subarray(0, model.length - 1)), RangeError);
  assert.throws(() => readMetadata(Uint8Array.of(255, 255, 255)), RangeError);
  assert.equal(readMetadata(new Uint8Array()).size, 0);
});

test("a model without digitkit's contract is refused before it is loaded", async () => {
  await assert.rejects(Model.load(new Uint8Array(), new ArrayBuffer(0)), /does not fit/);
});
