"""Whether graphs that were optimised on this machine are worth keeping: time to make sessions.

    python benchmarks/optimized.py

ONNX Runtime can write the graph that it has rewritten for the processor, and load it later
without rewriting. It holds for one model file, version of ONNX Runtime and processor, so finding
the right one takes a hash of the file and a look at the processor; that belongs to the time. Each
sample is a fresh process, as every ``digitkit infer`` is one, and both ways take turns; the
interpreter, NumPy and ONNX Runtime are loaded before the clock starts.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import ran_on, table

from digitkit.classifier import load_onnxruntime, models_folder

_PLAIN = """
import sys, time
from pathlib import Path
from digitkit.classifier import load_onnxruntime, make_session
ort = load_onnxruntime()
begun = time.perf_counter_ns()
for path in sys.argv[2:]:
    make_session(Path(path))
print(time.perf_counter_ns() - begun)
"""

_KEPT = """
import sys, time
from pathlib import Path
from digitkit.classifier import load_onnxruntime
ort = load_onnxruntime()
begun = time.perf_counter_ns()
import hashlib
cpu = b"".join(
    line
    for line in Path("/proc/cpuinfo").read_bytes().splitlines()
    if line.startswith((b"model name", b"flags", b"Features", b"CPU part"))
)
for path in map(Path, sys.argv[2:]):
    hashlib.sha256(path.read_bytes() + ort.__version__.encode() + cpu).hexdigest()
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    ort.InferenceSession(
        Path(sys.argv[1]) / path.name, options, providers=["CPUExecutionProvider"]
    )
print(time.perf_counter_ns() - begun)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--processes", type=int, default=40, help="fresh ones of each kind")
    options = parser.parse_args()
    ort = load_onnxruntime()
    sets = {
        "one digit: digits-int8": ["digits-int8"],
        "a page: digits-int8 and the finder": ["digits-int8", "finder"],
    }
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("digits-int8", "finder"):
            session = ort.SessionOptions()
            session.optimized_model_filepath = str(Path(folder) / f"{name}.onnx")
            session.log_severity_level = 4
            ort.InferenceSession(
                models_folder() / f"{name}.onnx", session, providers=["CPUExecutionProvider"]
            )
        for what, names in sets.items():
            files = [str(models_folder() / f"{name}.onnx") for name in names]
            took: dict[str, list[float]] = {_PLAIN: [], _KEPT: []}
            for _ in range(options.processes):
                for code, samples in took.items():
                    done = subprocess.run(
                        [sys.executable, "-c", code, folder, *files],
                        capture_output=True,
                        check=True,
                        text=True,
                    )
                    samples.append(int(done.stdout) / 1e6)
            plain, kept = took.values()
            ratio = statistics.median(b / a for a, b in zip(plain, kept, strict=True))
            middle = [f"{statistics.median(samples):.2f}" for samples in (plain, kept)]
            rows.append([what, *middle, f"{ratio:.2f}"])
    print(f"{ran_on()}, {options.processes} processes of each kind\n")
    print(table(["", "as shipped, ms", "found and loaded optimised, ms", "ratio"], rows))


if __name__ == "__main__":
    main()
