"""The suite: models, start-up, memory, throughput, whole images, photos, training; compared.

    python benchmarks/suite.py
    python benchmarks/suite.py --photos DIR --peer mnist-7.onnx --store
    python benchmarks/suite.py --quick

It writes a folder: ``bench.json``, the report of ``digitkit bench`` on the shipped models;
``suite.json``, the results of the other benchmarks here (or why one cannot run); and a figure. Then
it compares ``bench.json`` with the stored one of the same class of machine, if there is one.
``--store`` makes this run the stored one and updates the page of results.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import PEER, table
from results import HERE as STORED
from results import machine_class, write_page

from digitkit.benchmark.report import load_report, save_report
from digitkit.system.machine import usable_cores

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = ROOT.parent / "shared" / "photos"
Part = dict[str, Any]


def run(*command: object) -> int:
    """Run a command, show its output, and return its exit code."""
    words = [str(word) for word in command]
    print(f"\n$ {shlex.join(words)}", flush=True)
    return subprocess.run([sys.executable, *words], check=False).returncode


def measure(out: Path, *command: object) -> Part:
    """What a benchmark writes into `out`, or why there is nothing."""
    code = run(*command, "--json", out)
    if code:
        return {"missing": f"{Path(str(command[0])).name} ended with exit code {code}"}
    found: Part = json.loads(out.read_text("utf-8"))
    out.unlink()
    return found


def figures(parts: dict[str, Part]) -> Iterator[tuple[str, str]]:
    """The figures of the other benchmarks that are worth comparing, by name."""
    for programs in parts["start"].get("programs", []):
        for one in programs:
            yield f"{one['name']}: wall time relative to a bare script", f"{one['wall_ratio']:.2f}"
    for name, reader in parts["photos"].get("readers", {}).items():
        for group, found in reader["groups"].items():
            yield f"{name}, {group}: digits read correctly", f"{found['digits_right']:.1%}"
    for name, trainings in parts["training"].get("trainings", {}).items():
        seconds = [s for points in trainings for s, accuracy in points if accuracy >= 0.9912]
        if seconds:
            yield f"training {name} to 99.12%", f"{min(seconds):.0f} s"


def main() -> int:
    """Measure, compare, store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--out", type=Path, default=Path("build/bench"), metavar="DIR")
    add("--photos", type=Path, default=PHOTOS, metavar="DIR", help="as benchmarks/photos.py has it")
    add("--peer", type=Path, default=PEER, metavar="FILE", help="a model to compare with ours")
    add("--quick", action="store_true", help="to see that everything works; cannot be stored")
    add("--store", action="store_true", help="keep it in benchmarks/results")
    options = parser.parse_args()
    if options.quick and options.store:
        parser.error("a quick run cannot be stored; omit --quick or --store")
    # Relative to the checkout: reports travel.
    out, photos, peer = (
        Path(os.path.relpath(path, ROOT)) for path in (options.out, options.photos, options.peer)
    )
    os.chdir(ROOT)
    out.mkdir(parents=True, exist_ok=True)
    report = out / "bench.json"
    models = ",".join(["digits", "digits-tiny", *[str(peer)] * peer.is_file()])
    drawn = ["--plot", out / "bench.png"] if importlib.util.find_spec("matplotlib") else []
    workers = ",".join(str(n) for n in sorted({1, usable_cores()}))
    code = run(
        "-m", "digitkit", "bench", "--models", models, "--workers", workers, "--json", report,
        *drawn, *["--quick"] * options.quick,
    )  # fmt: skip
    if code:
        return code
    few = ["--rounds", "3"] if options.quick else []
    parts: dict[str, Part] = {
        "start": measure(out / "start.json", "benchmarks/startup.py", *few),
    }
    if (photos / "labels.jsonl").is_file():
        parts["photos"] = measure(out / "photos.json", "benchmarks/photos.py", photos)
    else:
        parts["photos"] = {"missing": f"{photos}: contains no labels.jsonl"}
    if options.quick:
        parts["training"] = {"missing": "not part of a quick run"}
    elif importlib.util.find_spec("torch") is None:
        parts["training"] = {"missing": "torch is not installed"}
    else:
        parts["training"] = measure(
            out / "training.json", "benchmarks/training.py", "--recipes", "quick",
            "--seeds", 1,
        )  # fmt: skip
    (out / "suite.json").write_text(json.dumps(parts, indent=1, ensure_ascii=False) + "\n", "utf-8")
    loaded = load_report(report)
    stored = STORED / machine_class(loaded)
    if (stored / "bench.json").is_file():
        run("-m", "digitkit", "bench", "compare", os.path.relpath(stored / "bench.json"), report)
        before = json.loads((stored / "suite.json").read_text("utf-8"))
        old, new = (dict(figures(of)) for of in (before, parts))
        rows = [[name, old.get(name, "–"), new.get(name, "–")] for name in {**old, **new}]
        print(f"\n{table(['', 'stored', 'now'], rows)}")
    else:
        print(f"\nno stored results for {stored.name}; --store keeps this run")
    if options.store:
        stored.mkdir(exist_ok=True)
        for name in ("suite.json", *["bench.png"] * bool(drawn)):
            shutil.copyfile(out / name, stored / name)
        # Megabytes of samples stay where they were written.
        save_report(replace(loaded, samples=None), stored / "bench.json")
        write_page()
        print(f"stored in {stored}; updated {STORED / 'README.md'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
