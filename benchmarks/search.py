"""Compare candidate nets for digits and digits-tiny: validation accuracy against latency.

    python benchmarks/search.py                     train what is missing, measure all, draw
    python benchmarks/search.py --only tiny-a       train one (several may run in parallel)
    python benchmarks/search.py --no-train          only measure and draw

Each candidate is trained by recipe best with a few changes (12 epochs), in the same way and on one
thread, and kept in runs/search. Accuracy is measured on the validation images, 5,001 unchanged and
six times as many with mild augmentation (which separates the nets better); the test set is not
used. Rows go to benchmarks/search.json, the figure to the model card in exported.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from common import PEER, interleaved, ran_on, ratio

from digitkit.datasets.digits import DigitData
from digitkit.datasets.mnist import load_mnist
from digitkit.export import card, deploy, graph, quantize
from digitkit.figures import figure_to_png, new_figure
from digitkit.models.contract import INPUT, OUTPUT
from digitkit.models.registry import models_folder
from digitkit.models.session import make_session
from digitkit.system import atomic
from digitkit.system.git import git_revision
from digitkit.training import loop, nets, recipes
from digitkit.training.augment import Augmentation, augment
from digitkit.training.material import split_validation
from digitkit.training.record import EpochRecord

CANDIDATES = {
    "a": "32x5s2 64x3s2p1 64x3 64x3",
    "b": "32x5s2 64x3s2p1 80x3 80x3",
    "c": "32x5s2 48x3 64x3s2p1 64x3",
    "digits": "32x5s2 64x3 64x3s2p1 80x3",
    "e": "16x5s2 64x3 64x3s2p1 96x3",
    "tiny-a": "16x5s2 32x3s2p1 32x3",
    "tiny-b": "32x5s2 32x3s2p1 32x3 32x3",
    "tiny-c": "32x5s2 40x3s2p1 40x3 32x3",
    "digits-tiny": "16x5s2 32x3 32x3s2p1 48x3",
}
"""Layers as `digitkit.training.nets.convnet` takes them."""

CHANGES = {
    "epochs": "12",
    "augmentation.texture": "0.3",
    "augmentation.light": "0.3",
    "augmentation.noise": "0.3",
    "augmentation.erase": "0.2",
}
MILD = Augmentation(
    rotate=8, shear=0.15, scale=0.08, stretch=0.1, translate=1, elastic=0.5, stroke=0.3
)
FOLDER = Path("runs/search")
ROWS = Path(__file__).resolve().parent / "search.json"
ZOO = "zoo-mnist-7"
KINDS = ("fp32", "int8")


class EpochPrinter:
    """Prints one line per epoch."""

    def __init__(self, name: str) -> None:
        self.name = name

    def batch(self, *_: object) -> None:
        """Print nothing."""

    def epoch(self, record: EpochRecord, checkpoint: loop.Checkpoint) -> None:
        """Print the validation accuracy."""
        print(f"{self.name}  epoch {record.epoch}  val {record.val_accuracy:.2%}", flush=True)


def split() -> tuple[DigitData, DigitData]:
    """The images that candidates are trained on, and those that they are measured on."""
    training, validation = split_validation(load_mnist("train"), recipes.get_recipe("best"))
    assert validation is not None
    return training, validation


def train(name: str, layers: str) -> None:
    """Train a candidate and write it to the folder, as fp32."""
    torch.set_num_threads(1)
    nets.NETS["candidate"] = lambda: nets.convnet(layers)
    recipe = recipes.override(recipes.get_recipe("best"), CHANGES | {"net": "candidate"})
    checkpoint = loop.fit(recipe, *split(), EpochPrinter(name))
    net = nets.build_net("candidate")
    net.load_state_dict(checkpoint.best)
    model = deploy.to_onnx(deploy.deploy_net(net, 1.0, knows_digits=True))
    settings = {"recipe": asdict(recipe), "revision": git_revision()}
    atomic.write_text(FOLDER / f"{name}.json", json.dumps(settings))
    atomic.write_bytes(FOLDER / f"{name}-fp32.onnx", graph.to_bytes(model, {}))


def read_settings() -> dict[str, Any]:
    """The recipe and the commit that all candidates have in common."""
    settings = {(FOLDER / f"{name}.json").read_text() for name in CANDIDATES}
    if len(settings) > 1:
        raise SystemExit(f"{FOLDER}: not all nets were trained in the same way; remove it")
    return dict(json.loads(settings.pop()))


def validation_sets(validation: DigitData) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images uint8 ``[N, 1, 28, 28]`` and labels, by name: unchanged, and with augmentation."""
    images = torch.from_numpy(validation.images.copy())
    generator = torch.Generator().manual_seed(0)
    varied = torch.cat([augment(nets.to_input(images), MILD, generator) for _ in range(6)])
    return {
        "val": (validation.images[:, None], validation.labels),
        "varied": (
            (255 * varied).round().to(torch.uint8).numpy(),
            np.tile(validation.labels, 6),
        ),
    }


def measure() -> list[dict[str, Any]]:
    """Size, accuracy and latency of every candidate in both precisions."""
    training, validation = split()
    sets = validation_sets(validation)
    rows: list[dict[str, Any]] = []
    sessions = {ZOO: make_session(PEER)}
    for name, layers in CANDIDATES.items():
        model = onnx.load(FOLDER / f"{name}-fp32.onnx")
        facts = graph.count_graph(model)
        row = {
            "name": name,
            "layers": layers,
            "parameters": facts.parameters,
            "multiply_adds": facts.multiply_adds,
        }
        small = quantize.quantize(model, training.images[: quantize.CALIBRATION_IMAGES])
        atomic.write_bytes(FOLDER / f"{name}-int8.onnx", graph.to_bytes(small, {}))
        for kind in KINDS:
            path = FOLDER / f"{name}-{kind}.onnx"
            session = sessions[f"{name}-{kind}"] = make_session(path)
            row[f"{kind}_bytes"] = path.stat().st_size
            for set_name, (images, labels) in sets.items():
                predicted = [
                    session.run([OUTPUT], {INPUT: images[i : i + 500]})[0].argmax(1)
                    for i in range(0, len(images), 500)
                ]
                accuracy = float((np.concatenate(predicted) == labels).mean())
                row[f"{kind}_{set_name}_accuracy"] = round(accuracy, 5)
        rows.append(row)
    single = interleaved(sessions, batch=1, rounds=100, runs=60)
    many = interleaved(sessions, batch=64, rounds=15, runs=5)
    for row in rows:
        for kind in KINDS:
            name = f"{row['name']}-{kind}"
            row[f"{kind}_us"] = round(float(np.median(single[name])), 1)
            row[f"{kind}_ratio"] = round(ratio(single[name], single[ZOO])[0], 3)
            row[f"{kind}_us_of_64"] = round(float(np.median(many[name])) / 64, 1)
    return rows


def plot_candidates(rows: Sequence[Mapping[str, Any]], machine: str) -> bytes:
    """Validation error against latency, one point per network and precision.

    Points that no other beats in both are joined.

    Args:
        rows: of each network ``name`` and, prefixed with ``fp32_`` and ``int8_``,
            ``varied_accuracy`` (0–1) and ``ratio`` (latency relative to the reference network).
        machine: where it was measured, for the title.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    figure = new_figure(9, 5.5)
    axes = figure.subplots()
    axes.set_title(f"candidate networks\n{machine}", fontsize=10)
    points: list[tuple[float, float]] = []
    for kind, colour, mark in (("fp32", "tab:blue", "s"), ("int8", "tab:orange", "o")):
        ours = [(row[f"{kind}_ratio"], 100 * (1 - row[f"{kind}_varied_accuracy"])) for row in rows]
        axes.scatter(*zip(*ours, strict=True), color=colour, marker=mark, label=kind)
        for row, place in zip(rows, ours, strict=True):
            axes.annotate(
                row["name"], place, (5, 4), textcoords="offset points", fontsize=8, color=colour
            )
        points += ours
    best = [p for p in points if not any(q[0] < p[0] and q[1] < p[1] for q in points)]
    front = list(zip(*sorted(best), strict=True))
    axes.plot(*front, color="grey", linestyle="--", linewidth=1, label="Pareto front")
    axes.axvline(1.0, color="grey", linewidth=1, linestyle=":", label="ONNX model zoo's network")
    axes.margins(x=0.1, y=0.1)
    axes.set_xlim(left=0)
    axes.set(xlabel="latency per image, relative to the model zoo's network")
    axes.set(ylabel="error on slightly augmented validation images, %")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure_to_png(figure)


def main() -> None:
    """Train, measure, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=CANDIDATES, nargs="+", help="train only these")
    parser.add_argument("--no-train", action="store_true", help="only measure what is trained")
    options = parser.parse_args()
    if not PEER.is_file():
        raise SystemExit(f"{PEER}: not found; latency is measured relative to it")
    if not options.no_train:
        for name in options.only or CANDIDATES:
            if not (FOLDER / f"{name}-fp32.onnx").exists():
                train(name, CANDIDATES[name])
    if options.only:
        return
    settings = read_settings()
    rows = measure()
    record = {"machine": ran_on(), "reference": ZOO, **settings, "nets": rows}
    atomic.write_text(ROWS, json.dumps(record, indent=1) + "\n")
    atomic.write_bytes(models_folder() / card.TRIED, plot_candidates(rows, ran_on()))
    card.write_card(models_folder())
    for row in sorted(rows, key=lambda row: float(row["int8_ratio"])):
        print(
            f"{row['name']:<12}{row['layers']:<32}{row['parameters']:>9,}"
            f"{row['multiply_adds']:>11,}  val {row['int8_val_accuracy']:.2%} varied "
            f"{row['int8_varied_accuracy']:.2%}  fp32 {row['fp32_ratio']:.2f} int8 "
            f"{row['int8_ratio']:.2f} of {ZOO}  {row['int8_bytes'] / 1000:.0f} KB"
        )


if __name__ == "__main__":
    main()
