"""Many pictures: rate, memory, and runs that are killed and continued.

    python benchmarks/scale.py
    python benchmarks/scale.py --ray
    python benchmarks/scale.py --crops 2000 --pages 50 --kills 2

Generates crops of 28×28 (MNIST's test digits, 1,000 a folder) and pages of 640×480 (the page of
data/samples, moved by some pixels), and reads them with ``digitkit infer --output X.parquet``: with
one process, with one per core, and with ``--ray`` on a Ray cluster of this machine. For each run:
images per second of wall-clock time, start included; CPU time; resident memory of the largest
process. Then runs over the crops are killed (SIGKILL, all processes) at random moments and
continued; the exit code is 1 if a file is then missing, or there twice. Linux only.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import ran_on, table

from digitkit.datasets.mnist import load_mnist
from digitkit.images.cv import cv2
from digitkit.sinks.parquet import import_pyarrow
from digitkit.system.machine import usable_cores
from digitkit.system.run_file import run_file_path

PAGE = Path(__file__).resolve().parents[1] / "data/samples/page.jpg"
FOLDER = 1000
"""Crops of a folder."""


@dataclass(frozen=True)
class Run:
    """One command.

    Attributes:
        seconds: wall-clock time, with the start.
        cpu: CPU time of all processes, seconds.
        megabytes: resident memory of the largest process at its peak.
    """

    seconds: float
    cpu: float
    megabytes: float


def write_crops(folder: Path, count: int) -> None:
    """Crops of digits, PNG."""
    images = load_mnist("test").images
    for i in range(count):
        path = folder / f"{i // FOLDER:04d}" / f"{i:07d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", images[i % len(images)])[1].tobytes())


def write_pages(folder: Path, count: int) -> None:
    """Pages of handwritten numbers, JPEG."""
    folder.mkdir()
    page = cv2.resize(cv2.imread(str(PAGE)), (640, 480), interpolation=cv2.INTER_AREA)
    for i in range(count):
        moved = np.roll(page, (i % 23 - 11, i % 17 - 8), (0, 1))
        (folder / f"{i:06d}.jpg").write_bytes(cv2.imencode(".jpg", moved)[1].tobytes())


def start(source: Path, output: Path, options: Sequence[str]) -> subprocess.Popen[bytes]:
    """Begin to read a folder into a table."""
    return subprocess.Popen(
        [sys.executable, "-m", "digitkit", "infer", source, "--output", output, "-q", *options],
        start_new_session=True,
    )


def measure(source: Path, output: Path, options: Sequence[str]) -> Run:
    """Read a folder into a new table."""
    remove(output)
    begun = time.monotonic()
    process = start(source, output, options)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"digitkit infer ended with exit code {process.returncode}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)


def remove(output: Path) -> None:
    """Remove a table and what is beside it."""
    shutil.rmtree(output, ignore_errors=True)
    for path in (run_file_path(output), output.with_name(f"{output.name}.files.parquet")):
        path.unlink(missing_ok=True)


def check(output: Path, source: Path) -> tuple[int, int]:
    """How many files of a folder are missing in a table, and how many rows are too many."""
    found: Counter[str] = Counter()
    for path in sorted(output.glob("*.parquet")):
        found.update(
            import_pyarrow().parquet.ParquetFile(path).read(["source"])["source"].to_pylist()
        )
    expected = {str(path) for path in source.rglob("*") if path.is_file()}
    return len(expected - found.keys()), sum(found.values()) - len(found.keys() & expected)


def kill_and_resume(
    source: Path, output: Path, kills: int, seconds: float, rng: random.Random
) -> int:
    """Kill runs at random moments, continue them, and let the last one end.

    Args:
        source: what is read.
        output: the table.
        kills: how many runs are killed.
        seconds: how long a whole run takes.
        rng: for the moments.

    Returns:
        How many were killed before they ended.
    """
    remove(output)
    killed = 0
    options = ("--workers", "auto", "--resume")
    for _ in range(kills):
        process = start(source, output, options)
        time.sleep(0.5 + rng.random() * 2 * seconds / kills)
        killed += process.poll() is None
        with suppress(ProcessLookupError):  # it had ended
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(1)  # workers see that their parent is gone
    if start(source, output, options).wait():
        sys.exit("the last run failed")
    return killed


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--crops", type=int, default=100_000)
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--ray", action="store_true", help="also with --engine ray")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sets = {"crops": options.crops, "pages": options.pages}
        write_crops(folder / "crops", options.crops)
        write_pages(folder / "pages", options.pages)
        cores = usable_cores()
        ways = {"1 process": ("--workers", "1"), f"{cores} processes": ("--workers", str(cores))}
        if options.ray:
            ways["Ray"] = ("--engine", "ray")
        print(f"{ran_on()} a process, {cores} cores\n", flush=True)
        rows = []
        few = measure(folder / "crops/0000", folder / "few.parquet", ways["1 process"])
        least = min(FOLDER, options.crops)
        rows.append(row(f"{least:,} crops", "1 process", least, few, few))
        for kind, count in sets.items():
            base = None
            for way, how in ways.items():
                run = measure(folder / kind, folder / f"{kind}.parquet", how)
                base = base or run
                rows.append(row(f"{count:,} {kind}", way, count, run, base))
                if kind == "crops" and way != "Ray":
                    seconds = run.seconds
        heads = ("images", "read by", "per s", "times", "CPU s", "largest process")
        print(table(heads, rows, 2), flush=True)
        output = folder / "killed.parquet"
        rng = random.Random(options.seed)
        killed = kill_and_resume(folder / "crops", output, options.kills, seconds, rng)
        missing, extra = check(output, folder / "crops")
        print(f"\nkilled {killed} times: {missing} files missing, {extra} rows too many")
        sys.exit(1 if missing or extra else 0)


def row(what: str, way: str, count: int, run: Run, base: Run) -> tuple[str, ...]:
    """A row of the table."""
    return (
        *(what, way, f"{count / run.seconds:,.1f}", f"{base.seconds / run.seconds:.2f}"),
        *(f"{run.cpu:,.1f}", f"{run.megabytes:.0f} MB"),
    )


if __name__ == "__main__":
    main()
