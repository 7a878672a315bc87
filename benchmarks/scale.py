"""Many pictures: rate, memory, and runs that are killed and continued.

    python benchmarks/scale.py
    python benchmarks/scale.py --ray
    python benchmarks/scale.py --crops 2000 --pages 50 --kills 2
    python benchmarks/scale.py --names 1000000
    python benchmarks/scale.py --names 1000000 --read

Generates crops of 28×28 (MNIST's test digits, 1,000 a folder) and pages of 640×480 (the page of
data/samples, moved by some pixels), and reads them with ``digitkit infer --output X.parquet``: with
one process, with one per core, and with ``--ray`` on a Ray cluster of this machine. For each run:
images per second of wall-clock time, start included; CPU time; resident memory of the largest
process. A run over a tenth (of crops, over the first folder) tells the time of each further image
from that of the start. Then runs over the crops are killed (SIGKILL, all processes) at random
moments and continued; the exit code is 1 if a file is then missing, or there twice.

``--names`` only lists so many names (hard links to 10,000 crops), as ``digitkit infer`` does on one
machine, for a cluster, and with ``--watch``: the process's resident memory at its peak. With
``--read`` they are read instead, by one process into a table, which is then continued with nothing
left. Linux only.
"""

from __future__ import annotations

import argparse
import os
import random
import re
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
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from common import ran_on, table

from digitkit.cluster.manifest import write_manifest
from digitkit.cluster.table_folder import TableFolder, manifest_name
from digitkit.datasets.mnist import load_mnist
from digitkit.images.cv import cv2
from digitkit.images.encode import encode_jpeg, encode_png
from digitkit.inference.infer_config import InferConfig
from digitkit.inference.input_files import find_inputs, guarded
from digitkit.sinks.parquet import import_pyarrow
from digitkit.sources.files import expand_sources
from digitkit.sources.watch import FolderWatch
from digitkit.system.machine import usable_cores
from digitkit.system.run_file import run_file_path

PAGE = Path(__file__).resolve().parents[1] / "data/samples/page.jpg"
FOLDER = 1000
"""Crops of a folder."""

WAYS = ("listed for one machine", "listed for a cluster", "watched")
"""What names are listed for."""


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
        path.write_bytes(encode_png(images[i % len(images)]))


def few_of(pages: int) -> int:
    """How many pages are read first."""
    return max(1, pages // 10)


def write_pages(folder: Path, count: int) -> None:
    """Pages of handwritten numbers, JPEG."""
    page = cv2.resize(cv2.imread(str(PAGE)), (640, 480), interpolation=cv2.INTER_AREA)
    for i in range(count):
        moved = np.roll(page, (i % 23 - 11, i % 17 - 8), (0, 1))
        path = folder / ("few" if i < few_of(count) else "more") / f"{i:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_jpeg(moved, 95))


def write_names(folder: Path, count: int, per_folder: int) -> None:
    """Crops of digits, of which many are one file: hard links."""
    images = load_mnist("test").images
    files: list[Path] = []
    for i in range(count):
        inner = i // per_folder
        path = folder / f"{inner // 100:03d}" / f"{inner:05d}" / f"{i:07d}.png"
        if i % per_folder == 0:
            path.parent.mkdir(parents=True)
        if i < len(images):
            path.write_bytes(encode_png(images[i]))
            files.append(path)
        else:
            os.link(files[i % len(files)], path)


def list_names(source: Path, output: Path, way: str, total: int) -> tuple[int, float, float]:
    """List a folder as ``digitkit infer`` does; in a process of its own.

    Args:
        source: the folder.
        output: of the run.
        way: for what, one of `WAYS`.
        total: how many files there are.

    Returns:
        How many files there are, how many seconds it took, and the process's megabytes at its peak.
    """
    begun = time.monotonic()
    config = InferConfig((str(source),), output=output)
    if way == "watched":
        count = sum(1 for _ in islice(FolderWatch(source), total))
    elif way == "listed for a cluster":
        files = guarded(config, expand_sources(config.sources))
        count = write_manifest(manifest_name(TableFolder(str(output))), files, usable_cores()).files
    else:
        count = sum(1 for _ in find_inputs(config, print).items)
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return count, time.monotonic() - begun, int(peak[1]) / 1000


def measure_names(folder: Path, count: int, *, read: bool) -> None:
    """Print how much memory listing takes; or reading, and continuing with nothing left."""
    rows = []
    sets = {"1,000 a folder": FOLDER, "one folder": count}
    ways = ("read", "continued") if read else WAYS
    for kind, per_folder in sets.items():
        for number in (FOLDER, *([count // 10] if read else []), count):
            source, output = folder / f"{kind}-{number}", folder / f"{number}.parquet"
            write_names(source, number, per_folder)
            remove(output)
            for way in ways:
                if read:
                    run = measure(source, output, ("--workers", "1", "--resume"))
                    found, seconds, megabytes = number, run.seconds, run.megabytes
                else:
                    with get_context("spawn").Pool(1) as pool:
                        found, seconds, megabytes = pool.apply(
                            list_names, (source, output, way, number)
                        )
                rows.append((f"{found:,}", kind, way, f"{seconds:.1f}", f"{megabytes:.0f} MB"))
            if read:
                # A child's peak is at least what its parent holds when it is started.
                with get_context("spawn").Pool(1) as pool:
                    missing, extra = pool.apply(check, (output, source))
                print(f"{number:,} in {kind}: {missing} files missing, {extra} rows too many")
            shutil.rmtree(source)
    print(table(("crops", "in", "", "s", "memory at peak"), rows, 3))


def start(source: Path, output: Path, options: Sequence[str]) -> subprocess.Popen[bytes]:
    """Begin to read a folder into a table."""
    return subprocess.Popen(
        [sys.executable, "-m", "digitkit", "infer", source, "--output", output, "-q", *options],
        start_new_session=True,
    )


def measure(source: Path, output: Path, options: Sequence[str]) -> Run:
    """Read a folder into a table."""
    begun = time.monotonic()
    process = start(source, output, options)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"digitkit infer ended with exit code {process.returncode}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)


def measure_anew(source: Path, output: Path, options: Sequence[str]) -> Run:
    """Read a folder into a new table."""
    remove(output)
    return measure(source, output, options)


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
    parser.add_argument("--names", type=int, help="list so many names, and nothing else")
    parser.add_argument("--read", action="store_true", help="with --names: read them")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{ran_on()} a process, {usable_cores()} cores\n", flush=True)
        if options.names:
            measure_names(folder, options.names, read=options.read)
            return
        write_crops(folder / "crops", options.crops)
        write_pages(folder / "pages", options.pages)
        seconds = measure_all(folder, options)
        output = folder / "killed.parquet"
        rng = random.Random(options.seed)
        killed = kill_and_resume(folder / "crops", output, options.kills, seconds, rng)
        missing, extra = check(output, folder / "crops")
        print(f"\nkilled {killed} times: {missing} files missing, {extra} rows too many")
        sys.exit(1 if missing or extra else 0)


def measure_all(folder: Path, options: argparse.Namespace) -> float:
    """Print the table of rates; how long reading the crops takes, seconds."""
    sets = {
        "crops": (options.crops, min(FOLDER, options.crops), folder / "crops/0000"),
        "pages": (options.pages, few_of(options.pages), folder / "pages/few"),
    }
    cores = usable_cores()
    ways = {"1 process": ("--workers", "1"), f"{cores} processes": ("--workers", str(cores))}
    if options.ray:
        ways["Ray"] = ("--engine", "ray")
    rows = []
    for kind, (count, few, part) in sets.items():
        base = None
        for way, how in ways.items():
            short = measure_anew(part, folder / f"{kind}.parquet", how)
            run = measure_anew(folder / kind, folder / f"{kind}.parquet", how)
            each = (run.seconds - short.seconds) / max(1, count - few)
            base = base or run
            if kind == "crops" and way != "Ray":
                seconds = run.seconds
            if way == "1 process":
                rows.append((f"{few:,} {kind}", way, *cells(few, short, short), "", ""))
            times = (f"{short.seconds - few * each:.1f}", f"{1000 * each:.2f}")
            rows.append((f"{count:,} {kind}", way, *cells(count, run, base), *times))
    heads = (
        "images", "read by", "per s", "times", "CPU s", "largest process", "start s", "ms each"
    )  # fmt: skip
    print(table(heads, rows, 2), flush=True)
    return seconds


def cells(count: int, run: Run, base: Run) -> tuple[str, ...]:
    """What a run says of so many images, compared with another run."""
    return (
        *(f"{count / run.seconds:,.1f}", f"{base.seconds / run.seconds:.2f}"),
        *(f"{run.cpu:,.1f}", f"{run.megabytes:.0f} MB"),
    )


if __name__ == "__main__":
    main()
