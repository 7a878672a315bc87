// The build copies the package's file of this name here, so that the page needs no bundler.
export * from "onnxruntime-web/wasm";
