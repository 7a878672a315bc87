"""The nets that were tried for digits and digits-tiny: validation accuracy against latency.

    python benchmarks/search.py                     train what is missing, measure all, draw
    python benchmarks/search.py --only tiny-a       train one (several may run side by side)
    python benchmarks/search.py --no-train          measure again, and draw

Each candidate is trained by recipe best for fewer epochs, all in the same way and on one thread,
and exported in both precisions into runs/search. Accuracy is on the validation images; the test
set is not looked at. Rows go to benchmarks/search.json, the picture to the model card in exported.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from models import PEER, interleaved, ran_on, ratio

from digitkit import Classifier, atomic, card, datasets, export, figures, graph, quantize
from digitkit.classifier import models_folder
from digitkit.training import loop, nets, recipes

CANDIDATES = {
    "a": "32x5s2 64x3s2p1 64x3 64x3",
    "b": "32x5s2 64x3s2p1 80x3 80x3",
    "c": "32x5s2 48x3 64x3s2p1 64x3",
    "d": "32x5s2 64x3 64x3s2p1 80x3",
    "e": "16x5s2 64x3 64x3s2p1 96x3",
    "f": "16x5s2 32x3 48x3 80x3s2p1 96x3",
    "tiny-a": "16x5s2 32x3s2p1 32x3",
    "tiny-b": "16x5s2 32x3s2p1 64x3",
    "tiny-c": "32x5s2 32x3s2p1 48x3",
    "tiny-d": "32x5s2 32x3s2p1 32x3 32x3",
    "tiny-e": "16x5s2 32x3 32x3s2p1 48x3",
    "tiny-f": "32x5s2 40x3s2p1 40x3 32x3",
}
"""Layers as `digitkit.training.nets.convnet` takes them."""

CHANGES = {"epochs": "12"}
FOLDER = Path("runs/search")
HERE = Path(__file__).resolve().parent
ROWS = HERE / "search.json"
ZOO = "zoo-mnist-7"


class Quiet:
    """Prints a line an epoch."""

    def __init__(self, name: str) -> None:
        self.name = name

    def batch(self, *_: object) -> None:
        """Say nothing."""

    def epoch(self, record: loop.EpochRecord, checkpoint: loop.Checkpoint) -> None:
        """Say how it goes."""
        print(f"{self.name}  epoch {record.epoch}  val {record.val_accuracy:.2%}", flush=True)


def train(name: str, layers: str) -> None:
    """Train a candidate and leave its files and its row in the folder."""
    torch.set_num_threads(1)
    nets.NETS[name] = lambda: nets.convnet(layers)
    recipe = recipes.override(recipes.get_recipe("best"), CHANGES | {"net": name})
    data = datasets.load_mnist("train")
    kept, split_off = datasets.stratified_split(data.labels, recipe.validation, recipe.seed)
    done = loop.fit(recipe, data.take(kept), data.take(split_off), Quiet(name))
    net = nets.build_net(name)
    net.load_state_dict(done.best)
    model = export.to_onnx(export.deployed(net, 1.0, knows_digits=True))
    facts = graph.facts(model)
    small = quantize.quantize(model, data.images[kept[: quantize.CALIBRATION_IMAGES]])
    best = done.history[done.best_epoch - 1]
    row = {
        "name": name,
        "layers": layers,
        "parameters": facts.parameters,
        "multiply_adds": facts.multiply_adds,
        "val_accuracy": best.val_accuracy,
        "val_loss": best.val_loss,
        "val_count": len(split_off),
    }
    for precision, graph_ in (("fp32", model), ("int8", small)):
        content = graph.to_bytes(graph_, {})
        row[f"{precision}_bytes"] = len(content)
        atomic.write_bytes(FOLDER / f"{name}-{precision}.onnx", content)
    atomic.write_text(FOLDER / f"{name}.json", json.dumps(row))


def measure(rows: list[dict[str, Any]]) -> None:
    """Add every candidate's latency in both precisions, and its ratio to the zoo's net."""
    names = [f"{row['name']}-{precision}" for row in rows for precision in ("fp32", "int8")]
    models = {ZOO: Classifier(PEER)}
    models |= {name: Classifier(FOLDER / f"{name}.onnx") for name in names}
    single = interleaved(models, batch=1, rounds=60, runs=60)
    many = interleaved(models, batch=64, rounds=10, runs=5)
    for row in rows:
        for precision in ("fp32", "int8"):
            samples = single[f"{row['name']}-{precision}"]
            row[f"{precision}_us"] = round(float(np.median(samples)), 1)
            row[f"{precision}_ratio"] = round(ratio(samples, single[ZOO])[0], 3)
            of_64 = float(np.median(many[f"{row['name']}-{precision}"]))
            row[f"{precision}_us_of_64"] = round(of_64 / 64, 1)


def main() -> None:
    """Train, measure, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=CANDIDATES, nargs="+", help="train just these")
    parser.add_argument("--no-train", action="store_true", help="measure what has been trained")
    options = parser.parse_args()
    if not options.no_train:
        for name in options.only or CANDIDATES:
            if not (FOLDER / f"{name}.json").exists():
                train(name, CANDIDATES[name])
    if options.only:
        return
    rows = [json.loads((FOLDER / f"{name}.json").read_text()) for name in CANDIDATES]
    measure(rows)
    record = {"machine": ran_on(), "zoo": ZOO, "changes_to_best": CHANGES, "nets": rows}
    atomic.write_text(ROWS, json.dumps(record, indent=1) + "\n")
    atomic.write_bytes(models_folder() / card.TRIED, figures.plane(rows, ran_on()))
    card.write(models_folder())
    for row in sorted(rows, key=lambda row: row["int8_ratio"]):
        print(
            f"{row['name']:<8}{row['layers']:<38}{row['parameters']:>9,}{row['multiply_adds']:>11,}"
            f"  val {row['val_accuracy']:.2%} loss {row['val_loss']:.4f}"
            f"  fp32 {row['fp32_ratio']:.2f} int8 {row['int8_ratio']:.2f} of {ZOO}"
            f"  {row['int8_bytes'] / 1000:.0f} KB"
        )


if __name__ == "__main__":
    main()
