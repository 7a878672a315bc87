// ONNX Runtime's WebAssembly: one thread, no files but its own, no other hosts.

import * as ort from "./onnxruntime/ort.wasm.bundle.min.mjs";

export { type InferenceSession, Tensor } from "./onnxruntime/ort.wasm.bundle.min.mjs";

/** Set it up with the bytes of `ort-wasm-simd-threaded.wasm`, before the first session. */
export function setUp(binary: ArrayBuffer): void {
  ort.env.wasm.numThreads = 1; // more require headers that isolate the page (COOP and COEP)
  ort.env.wasm.wasmBinary = binary;
}

/** A session that runs a model, from the model's bytes. */
export function openSession(model: Uint8Array): Promise<ort.InferenceSession> {
  return ort.InferenceSession.create(model, { executionProviders: ["wasm"], logSeverityLevel: 3 });
}
