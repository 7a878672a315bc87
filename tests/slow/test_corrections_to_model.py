"""From a hand that the shipped model misreads to a model that reads it, by the command line."""

import json
import re

import numpy as np
import pytest

pytest.importorskip("torch")

from support.cli import run
from support.odd_hand import DIGITS, draw_odd_digit

from digitkit import Reader
from digitkit.images.cv import cv2
from digitkit.training.forgetting import MAX_FORGOTTEN


def draw(folder, count: int, seed: int) -> dict[str, int]:
    """Pictures by the odd hand: their paths to their digits."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    written = {}
    for i in range(count):
        digit = DIGITS[i % len(DIGITS)]
        path = folder / f"{i:03d}.png"
        cv2.imwrite(str(path), draw_odd_digit(digit, rng))
        written[str(path)] = digit
    return written


def read_right(written: dict[str, int], model) -> float:
    """The fraction of pictures whose digit is accepted and right, 0–1."""
    texts = [reading.text for reading in Reader(model).read(list(written))]
    return float(np.mean([text == str(d) for text, d in zip(texts, written.values(), strict=True)]))


def correct(report, written: dict[str, int], count: int) -> str:
    """What the review of a report gives for its first items, decided on by who wrote them."""
    html = report.read_text(encoding="utf-8")
    items = json.loads(re.search(r'id="items">(.*?)</script>', html, re.S)[1])
    lines = []
    for item in items[:count]:
        images = [url.partition(",")[2] for url in item["seen"]]
        kept = {name: item[name] for name in ("id", "kind", "source", "read")}
        text = str(written[item["source"]])
        lines.append(json.dumps(kept | {"text": text, "images": images}))
    return "\n".join(lines)


def test_a_hand_that_is_misread_is_read_after_100_corrections(tmp_path):
    written, fresh = draw(tmp_path / "seen", 130, 1), draw(tmp_path / "fresh", 300, 2)
    assert read_right(fresh, "digits-tiny") < 0.1

    report = tmp_path / "report.html"
    model = ("--model", "digits-tiny")
    assert run("infer", tmp_path / "seen", "-q", *model, "--report", report).exit_code == 0
    lines = tmp_path / "corrections.jsonl"
    lines.write_text(correct(report, written, 100))
    assert len(lines.read_text().splitlines()) == 100

    corrections, folder = tmp_path / "corrections", tmp_path / "run"
    assert run("corrections", lines, "--out", corrections).exit_code == 0
    trained = run("train", "--init", "digits-tiny", "--data", corrections, "--out", folder)
    assert trained.exit_code == 0, trained.stderr
    mix = json.loads((folder / "run.json").read_text())["mix"]
    assert mix["own"]["count"] == 100
    assert mix["start"]["mnist"] - mix["result"]["mnist"] <= MAX_FORGOTTEN

    assert run("export", folder, "--name", "mine").exit_code == 0
    for precision in ("fp32", "int8"):
        assert read_right(fresh, folder / "exported" / f"mine-{precision}.onnx") >= 0.95


def test_the_odd_hand_differs_from_picture_to_picture():
    rng = np.random.default_rng(0)
    first, second = (draw_odd_digit(4, rng) for _ in range(2))
    assert (first != second).mean() > 0.5
