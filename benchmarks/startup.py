"""Start-up time: ``digitkit`` against a bare script that loads the same packages.

    python benchmarks/startup.py
    python benchmarks/startup.py --rounds 51 --command digitkit

Reading one digit is compared with a script that imports numpy, cv2, onnxruntime and typer, creates
a session for the same model and runs it once on the same image; ``--help`` and ``--version`` with a
script that only imports typer. Each run is a fresh process, and the processes take turns, so that
other load on the machine affects all of them. The figures are medians over the rounds, also of the
ratio to the script's wall time within a round, and the highest peak of resident memory. Files are
in the disk cache: the first round is not counted. Without ``--command`` this checkout is run; with
PYTHONDONTWRITEBYTECODE set, each start compiles it again, and the figures are not those of an
installed package. Linux and macOS.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from digitkit.system.machine import cpu_name, versions

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "exported" / "digits-int8.onnx"
SAMPLE = ROOT / "data" / "samples" / "0-as-in-mnist.png"

BARE = """
import sys
import numpy as np, cv2, onnxruntime as ort, typer
options = ort.SessionOptions()
options.intra_op_num_threads = int(sys.argv[3])
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
image = cv2.imread(sys.argv[2], 0)[None, None]
print(np.argmax(session.run(None, {"image": image})[0]))
"""
"""For ONNX Runtime, 0 threads means one per core, its default."""


@dataclass
class Program:
    """A command line and the measurements of its runs."""

    name: str
    words: list[str]
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: float = 0.0  # MB

    def run(self, environment: dict[str, str]) -> None:
        """Run it once, in a fresh process."""
        begun = time.perf_counter()
        process = subprocess.Popen(self.words, stdout=subprocess.DEVNULL, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        self.seconds.append(time.perf_counter() - begun)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{self.name}: ends with exit code {process.returncode}")
        self.cpu.append(used.ru_utime + used.ru_stime)
        unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
        self.peak = max(self.peak, used.ru_maxrss * unit / 1e6)

    def row(self, base: Program) -> list[str]:
        """Its row in the table."""
        ratio = median(a / b for a, b in zip(self.seconds, base.seconds, strict=True))
        return [
            self.name, f"{1000 * median(self.seconds):.0f}", f"{ratio:.2f}",
            f"{1000 * median(self.cpu):.0f}", f"{self.peak:.0f}", f"{self.peak / base.peak:.2f}",
        ]  # fmt: skip


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--image", type=Path, default=SAMPLE, help="the image to read")
    parser.add_argument("--command", help="an installed digitkit; default: this checkout")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    options = parser.parse_args()
    digitkit = [options.command] if options.command else [sys.executable, "-m", "digitkit"]
    environment = os.environ | {"ORT_DISABLE_TELEMETRY": "1"}
    if not options.command:
        environment["PYTHONPATH"] = str(ROOT)
    bare = [sys.executable, "-c", BARE, str(MODEL), str(options.image)]
    groups = [
        [
            Program("bare script, threads by default", [*bare, "0"]),
            Program("bare script, 1 thread", [*bare, "1"]),
            Program("digitkit infer", [*digitkit, "infer", str(options.image)]),
            Program("  --format jsonl", [*digitkit, "infer", str(options.image), "--format=jsonl"]),
        ],
        [
            Program("import typer", [sys.executable, "-c", "import typer"]),
            Program("digitkit --help", [*digitkit, "--help"]),
            Program("digitkit --version", [*digitkit, "--version"]),
        ],
    ]
    ran = versions("onnxruntime", "opencv-python", "numpy", "typer")
    print(f"{cpu_name()}, {', '.join(f'{name} {text}' for name, text in ran.items())}")
    print(f"{options.rounds} rounds, medians\n")
    heads = ["", "wall, ms", "ratio", "CPU, ms", "peak, MB", "ratio"]
    for programs in groups:
        for program in programs:
            program.run(environment)
            program.seconds.clear()
            program.cpu.clear()
        for turn in range(options.rounds):
            for step in range(len(programs)):
                programs[(turn + step) % len(programs)].run(environment)
    # Only after measuring: a child's peak includes its parent's memory at the fork.
    from common import table

    tables = [[program.row(programs[0]) for program in programs] for programs in groups]
    for rows in tables:
        print(table(heads, rows) + "\n")
    if options.json:
        names = ("name", "wall_ms", "wall_ratio", "cpu_ms", "peak_mb", "peak_ratio")
        report = [
            [dict(zip(names, [row[0].strip(), *map(float, row[1:])], strict=True)) for row in rows]
            for rows in tables
        ]
        options.json.write_text(json.dumps({"ran_on": ran, "programs": report}) + "\n", "utf-8")


if __name__ == "__main__":
    main()
