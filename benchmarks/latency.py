"""Latency of digit models from Python, batch 1, interleaved: one run, rounds that take turns.

    python benchmarks/latency.py
    python benchmarks/latency.py digits-int8 digits-fp32 some/other.onnx --rounds 200

Every round times each model for a stretch, in an order that turns, so that whatever the machine
does in between hits all of them. The first model is what the others are compared with. A small,
honest figure; no warm device, no paced calls, no other processes.
"""

from __future__ import annotations

import argparse
import gc
import time
from pathlib import Path

import numpy as np

from digitkit import Classifier, machine
from digitkit.classifier import models_folder
from digitkit.datasets import load_mnist

PEER = Path(__file__).resolve().parents[2] / "shared/peers/zoo-mnist-7.onnx"


def loaded(name: str) -> Classifier:
    """A model by file, or by a shipped file's stem (``digits-int8``)."""
    shipped = models_folder() / f"{name}.onnx"
    return Classifier(shipped if shipped.is_file() else name)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    shipped = sorted(path.stem for path in models_folder().glob("*.onnx"))
    peers = [str(PEER)] if PEER.is_file() else []
    parser.add_argument("models", nargs="*", default=peers + shipped, help="shipped stems or files")
    parser.add_argument("--rounds", type=int, default=100, help="turns of every model")
    parser.add_argument("--runs", type=int, default=100, help="runs of a model in one turn")
    options = parser.parse_args()

    models = [(Path(name).stem, loaded(name)) for name in options.models]
    images = load_mnist("test").images[: options.runs, None]
    for _, model in models:
        for image in images:
            model.probabilities(image)
    samples = np.zeros((len(models), options.rounds, options.runs))
    gc.disable()
    for turn in range(options.rounds):
        for step in range(len(models)):
            place = (turn + step) % len(models)
            run = models[place][1].probabilities
            for i, image in enumerate(images):
                begun = time.perf_counter_ns()
                run(image)
                samples[place, turn, i] = time.perf_counter_ns() - begun
    gc.enable()

    ran = machine.versions("onnxruntime", "numpy")
    print(
        f"{machine.cpu_name()}, ONNX Runtime {ran['onnxruntime']}, Python {ran['python']}, 1 thread"
    )
    print(f"{options.rounds} rounds of {options.runs} runs, batch 1, microseconds")
    print(f"{'model':<24}{'p50':>8}{'p90':>8}{'p99':>8}   ratio of p50, over the rounds")
    medians = np.median(samples, axis=2)
    for place, (name, _) in enumerate(models):
        p50, p90, p99 = np.percentile(samples[place], [50, 90, 99]) / 1000
        low, middle, high = np.percentile(medians[place] / medians[0], [5, 50, 95])
        ratio = f"{middle:.2f} ({low:.2f} to {high:.2f})"
        print(f"{name:<24}{p50:8.1f}{p90:8.1f}{p99:8.1f}   {ratio}")


if __name__ == "__main__":
    main()
