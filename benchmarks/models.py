"""Digit models side by side: accuracy, latency, throughput, size. Trains nothing.

    python benchmarks/models.py
    python benchmarks/models.py digits-int8 digits-fp32 some/other.onnx --rounds 200 --markdown

Latency is of ``InferenceSession.run`` from Python, batch 1, one thread, with the input at hand in
the kind that the model takes. The models take turns, in an order that turns as well, so that
whatever the machine does in between hits all of them. The first one is what the others are compared
with. Accuracy is on the MNIST test set. No warm device, no paced calls, no other processes.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from digitkit import Classifier, graph, machine
from digitkit.classifier import models_folder
from digitkit.datasets import load_mnist
from digitkit.evaluation import evaluate

PEER = Path(__file__).resolve().parents[2] / "shared/peers/zoo-mnist-7.onnx"
Samples = npt.NDArray[np.float64]


def loaded(name: str) -> Classifier:
    """A model by file, or by a shipped file's stem (``digits-int8``)."""
    shipped = models_folder() / f"{name}.onnx"
    return Classifier(shipped if shipped.is_file() else name)


def interleaved(
    sessions: Mapping[str, Any], batch: int, rounds: int, runs: int
) -> dict[str, Samples]:
    """Microseconds of single runs, float64 ``[rounds, runs]`` a session of ONNX Runtime.

    Every round times each model for `runs` runs. A model that takes one image at a time runs
    `batch` times for each.
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


def ran_on() -> str:
    """Machine and versions, one line."""
    ran = machine.versions("onnxruntime", "numpy")
    return (
        f"{machine.cpu_name()}, ONNX Runtime {ran['onnxruntime']}, Python {ran['python']}, 1 thread"
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Lines of text, the first `left` columns flush left, the others flush right."""
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    lines = []
    for row in [heads, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row[:left], widths, strict=False)]
        cells += [cell.rjust(width) for cell, width in zip(row[left:], widths[left:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    shipped = sorted(path.stem for path in models_folder().glob("*.onnx"))
    peers = [str(PEER)] if PEER.is_file() else []
    parser.add_argument("models", nargs="*", default=peers + shipped, help="shipped stems or files")
    parser.add_argument("--rounds", type=int, default=100, help="turns of every model")
    parser.add_argument("--runs", type=int, default=100, help="runs of a model in one turn")
    parser.add_argument("--markdown", action="store_true", help="a table for a README")
    options = parser.parse_args()

    stems = [Path(name).stem for name in options.models]
    names = [
        stem if stems.count(stem) == 1 else str(Path(name).with_suffix(""))
        for stem, name in zip(stems, options.models, strict=True)
    ]
    models = {name: loaded(file) for name, file in zip(names, options.models, strict=True)}
    sessions = {name: model.session for name, model in models.items()}
    single = interleaved(sessions, 1, options.rounds, options.runs)
    many = interleaved(sessions, 64, max(3, options.rounds // 5), 5)
    first = next(iter(models))
    test = load_mnist("test")
    heads = [
        "model", "MNIST test", "p50 us", "p90", "p99", f"p50 / {first}", "images/s, batch 64",
        "KB", "parameters", "multiply-adds",
    ]  # fmt: skip
    rows = []
    for name, model in models.items():
        p50, p90, p99 = np.percentile(single[name], [50, 90, 99])
        middle, low, high = ratio(single[name], single[first])
        accuracy = evaluate(model, test).accuracy
        contract = model.contract or graph.facts(onnx.load(model.path))
        rows.append(
            [
                name, f"{accuracy:.2%}", f"{p50:.1f}", f"{p90:.1f}", f"{p99:.1f}",
                f"{middle:.2f} ({low:.2f} to {high:.2f})",
                f"{64e6 / np.median(many[name]):,.0f}", f"{model.path.stat().st_size / 1000:.1f}",
                f"{contract.parameters:,}", f"{contract.multiply_adds:,}",
            ]
        )  # fmt: skip
    print(ran_on())
    print(f"{options.rounds} rounds of {options.runs} runs at batch 1, {len(test):,} test images\n")
    if options.markdown:
        for row in [heads, ["---"] * len(heads), *rows]:
            print(f"| {' | '.join(row)} |")
        return
    print(table(heads, rows))


if __name__ == "__main__":
    main()
