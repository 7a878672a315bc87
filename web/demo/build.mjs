// Builds the demo into a folder of static files:
//
//     node build.mjs [FOLDER]
//
// The runtime is copied from its npm package, which npm has checked against package-lock.json; the
// models are the exported ones, unchanged.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, "build"));
const runtime = join(here, "node_modules/onnxruntime-web/dist");
const compiler = join(here, "node_modules/typescript/bin/tsc");

const files = [
  ["index.html", "index.html"],
  ["style.css", "style.css"],
  ["icon.svg", "icon.svg"],
  ...["digits-int8.onnx", "finder.onnx"].map((name) => [join("../../exported", name), name]),
  ["onnxruntime-LICENSE.txt", "onnxruntime/LICENSE.txt"],
  ...["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"].map((name) => [
    join(runtime, name),
    join("onnxruntime", name),
  ]),
];

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, "onnxruntime"), { recursive: true });
try {
  execFileSync(process.execPath, [compiler, "--project", here, "--outDir", out], {
    stdio: "inherit",
  });
} catch {
  process.exit(1); // the compiler has said why
}
for (const [from, to] of files) cpSync(resolve(here, from), join(out, to));
