"""Shared by the benchmarks here: digits, options, progress, interleaved timing, and tables."""

from __future__ import annotations

import argparse
import gc
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from digitkit.cli import show
from digitkit.datasets.digits import DigitData
from digitkit.datasets.mnist import load_mnist, split_mnist
from digitkit.images.cv import cv2
from digitkit.models.session import load_onnxruntime
from digitkit.system.machine import cpu_name

PEER = Path(__file__).resolve().parents[2] / "shared/peers/zoo-mnist-7.onnx"
Samples = npt.NDArray[np.float64]
Item = TypeVar("Item")

DIGITS = ("validation", "train", "test")
"""Parts of MNIST that images are composed of: see `load_digits`."""


def load_digits(part: str) -> DigitData:
    """MNIST's digits for composed images.

    Args:
        part: ``validation`` for the training images that no shipped classifier was trained on,
            ``train`` for all training images, or ``test``, for final figures only.
    """
    if part != "validation":
        return load_mnist("test" if part == "test" else "train")
    return split_mnist()[1]


def tracked(items: Sequence[Item], what: str = "reading") -> Iterator[Item]:
    """The items, with a progress bar on standard error."""
    with show.progress() as report:
        for done, item in enumerate(items, 1):
            yield item
            report(what, done, len(items))


def interleaved(
    sessions: Mapping[str, Any], batch: int, rounds: int, runs: int
) -> dict[str, Samples]:
    """Time sessions of ONNX Runtime in turns: microseconds per run, float64 ``[rounds, runs]``.

    Every round times each model for `runs` runs. A model that takes one image at a time is run
    `batch` times for each of them.
    """
    images = load_mnist("train").images[: batch + runs, None]
    calls = []
    for session in sessions.values():
        source = session.get_inputs()[0]
        outputs = [output.name for output in session.get_outputs()]
        size = 1 if source.shape[0] == 1 else batch
        kind = np.uint8 if source.type == "tensor(uint8)" else np.float32
        feeds = [{source.name: images[i : i + size].astype(kind)} for i in range(runs)]
        calls.append((session.run, outputs, feeds, batch // size))
        for feed in feeds:
            session.run(outputs, feed)
    samples = np.zeros((len(calls), rounds, runs))
    gc.disable()
    for turn in range(rounds):
        for step in range(len(calls)):
            place = (turn + step) % len(calls)
            run, outputs, feeds, times = calls[place]
            for i, feed in enumerate(feeds):
                begun = time.perf_counter_ns()
                for _ in range(times):
                    run(outputs, feed)
                samples[place, turn, i] = time.perf_counter_ns() - begun
    gc.enable()
    return dict(zip(sessions, samples / 1000, strict=True))


def ratio(samples: Samples, base: Samples) -> tuple[float, float, float]:
    """Median ratio of the rounds' medians, with its 5th and 95th percentile over the rounds."""
    ratios = np.median(samples, axis=1) / np.median(base, axis=1)
    low, middle, high = np.percentile(ratios, [5, 50, 95])
    return float(middle), float(low), float(high)


def fit_options(doc: str | None, count: int) -> argparse.Namespace:
    """The options of a script that fits weights: ``--count`` and ``--model``.

    OpenCV runs on one thread from then on.

    Args:
        doc: of the script.
        count: its default.
    """
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=count, metavar="N", help="images")
    parser.add_argument("--model", default="digits-int8", help="the classifier")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    return options


def ran_on() -> str:
    """Machine and versions, one line."""
    runtime, python = load_onnxruntime().__version__, platform.python_version()
    return f"{cpu_name()}, ONNX Runtime {runtime}, Python {python}, 1 thread"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A text table; the first `left` columns are left-aligned, the others right-aligned."""
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    lines = []
    for row in [heads, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row[:left], widths, strict=False)]
        cells += [cell.rjust(width) for cell, width in zip(row[left:], widths[left:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
