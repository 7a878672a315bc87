// The golden vectors in Node; tests/browser/test_demo.py has the same for Chromium.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";

import { Model } from "../build/model.js";
import { digitImage } from "../build/normal_form.js";
import { toGrey } from "../build/pixels.js";
import { setUp } from "../build/runtime.js";
import { compareGolden } from "./golden.mjs";

const bytes = (path) => {
  const data = readFileSync(new URL(path, import.meta.url));
  return data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
};

test("the golden vectors give the same pixels, digits and probabilities as digitkit", async () => {
  const { buffer, byteOffset, length } = gunzipSync(bytes("../golden/golden.bin.gz"));
  setUp(bytes("../build/onnxruntime/ort-wasm-simd-threaded.wasm"));
  const model = await Model.load(new Uint8Array(bytes("../build/digits-int8.onnx")));
  const golden = buffer.slice(byteOffset, byteOffset + length);
  const found = await compareGolden(golden, { toGrey, digitImage, model });
  console.log(JSON.stringify(found));
  assert.equal(found.pictures, 200);
  assert.ok(found.differentByMore <= 0.01 * found.pixels, `${found.differentByMore} pixels`);
  assert.equal(found.sameDigit, 200);
  assert.ok(found.probabilityError <= 1e-5, `probabilities differ by ${found.probabilityError}`);
});
