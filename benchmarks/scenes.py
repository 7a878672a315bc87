"""Write a folder of synthetic pages (`digitkit.training.scenes`) to measure a detector on.

    python benchmarks/scenes.py FOLDER --count 300 --seed 1
    python benchmarks/photos.py FOLDER digits-int8

The shipped detector was trained on scenes with other seeds; ``--digits test`` uses digits that
neither net was trained on, for the final figure.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from digitkit.datasets.mnist import load_mnist
from digitkit.images.cv import cv2
from digitkit.system import atomic
from digitkit.training.scenes.scene import compose_scene


def main() -> None:
    """Compose and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--digits", choices=["train", "test"], default="train", help="of MNIST")
    options = parser.parse_args()
    mnist = load_mnist(options.digits)
    lines = []
    for i in range(options.count):
        scene = compose_scene(
            mnist.images, mnist.labels, np.random.default_rng([2026, options.seed, i])
        )
        name = f"scene-{i:04d}.png"
        _, data = cv2.imencode(".png", scene.image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        atomic.write_bytes(options.folder / name, data.tobytes())
        label = {
            "file": name, "kind": "page", "text": scene.text, "hard": False,
            "reading_order": "scattered" not in scene.tags,
            "boxes": scene.boxes, "tags": scene.tags,
        }  # fmt: skip
        lines.append(json.dumps(label) + "\n")
    atomic.write_text(options.folder / "labels.jsonl", "".join(lines))


if __name__ == "__main__":
    main()
