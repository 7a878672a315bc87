// What the golden vectors do not reach: transparency, blank pictures, damaged and foreign models.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Finder } from "../build/finder.js";
import { readMetadata } from "../build/metadata.js";
import { Model } from "../build/model.js";
import { digitImage } from "../build/normal_form.js";
import { cut, roundHalfEven, toGrey } from "../build/pixels.js";
import { setUp } from "../build/runtime.js";

const exported = (name) => readFileSync(new URL(`../../../exported/${name}`, import.meta.url));
const model = exported("digits-int8.onnx");
const detector = exported("finder.onnx");

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

/** Paper that is darker to one side, with a 7 in `ink`, as large as `side`, at (x, y). */
function photograph(width, height, x, y, side, ink) {
  const picture = { width, height, data: new Uint8Array(width * height) };
  for (let i = 0; i < picture.data.length; i++) {
    const [across, down] = [((i % width) - x) / side, (Math.floor(i / width) - y) / side];
    const isTop = down >= 0 && down < 0.12 && across >= 0 && across < 0.6;
    const isStem = down >= 0 && down < 1 && Math.abs(across - 0.54 + 0.4 * down) < 0.07;
    picture.data[i] = isTop || isStem ? ink : 225 - (60 * (i % width)) / width;
  }
  return picture;
}

setUp(readFileSync(new URL("../build/onnxruntime/ort-wasm-simd-threaded.wasm", import.meta.url)));

test("the digit of a photo is framed, and read in its frame", async () => {
  const finder = await Finder.load(detector);
  const classifier = await Model.load(model);
  for (const [x, y, side] of [[100, 80, 90], [420, 300, 150], [60, 40, 400]]) {
    const photo = photograph(700, 500, x, y, side, 60);
    const { left, top, right, bottom } = await finder.find(photo);
    const frame = [left * 700, top * 500, right * 700, bottom * 500].map(Math.round);
    const ink = [x + 0.07 * side, y, x + 0.6 * side, y + side];
    for (const [i, edge] of frame.entries()) {
      const outside = i < 2 ? ink[i] - edge : edge - ink[i];
      assert.ok(outside > -0.05 * side && outside < 0.35 * side, `${frame} around ${ink}`);
    }
    const part = cut(photo, frame[0], frame[1], frame[2] - frame[0], frame[3] - frame[1]);
    const prediction = await classifier.classify(digitImage(part));
    assert.equal(prediction.digit, 7);
    assert.ok(prediction.confidence >= classifier.minConfidence, `${prediction.confidence}`);
  }
  assert.equal(await finder.find(photograph(700, 500, 900, 900, 9, 60)), null);
});

test("another exported model takes the place of the shipped one", async () => {
  const tiny = await Model.load(exported("digits-tiny-int8.onnx"));
  const { width, height, data } = photograph(100, 100, 20, 10, 80, 60);
  assert.equal((await tiny.classify(digitImage({ width, height, data }))).digit, 7);
});

test("a file that is no detector is refused", async () => {
  await assert.rejects(Finder.load(model), /does not fit/);
});

test("a model without digitkit's contract is refused before it is loaded", async () => {
  await assert.rejects(Model.load(new Uint8Array()), /does not fit/);
});

test("packages are pinned by their digests, whatever registry they are from", () => {
  const lock = readFileSync(new URL("../package-lock.json", import.meta.url), "utf-8");
  const { "": root, ...packages } = JSON.parse(lock).packages;
  assert.ok(root && Object.keys(packages).length > 2);
  for (const [name, { integrity }] of Object.entries(packages)) {
    assert.match(integrity ?? "", /^sha512-/, name);
  }
  assert.ok(!lock.includes("://"));
});
