"""The benchmarks run, in small, and print what they promise. No figure of theirs is asserted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

pytest.importorskip("torch")
pytest.importorskip("onnx")

from digitkit._opencv import cv2


def run(name: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / name, *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("markdown", [True, False])
def test_models(markdown):
    options = ["--rounds", 3, "--runs", 3] + ["--markdown"] * markdown
    out = run("models.py", "digits-int8", "digits-fp32", *options)
    assert "ONNX Runtime" in out
    rows = [line for line in out.splitlines() if line.lstrip("| ").startswith("digits-")]
    assert len(rows) == 2
    assert all("99." in row and "%" in row for row in rows)


def test_nondigits():
    out = run("nondigits.py", "digits-int8")
    for kind in ("cut digit", "two digits", "letter", "letter*", "three digits*", "mean"):
        assert f"\n{kind} " in out


def test_area_under_the_curve(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from nondigits import auc

    assert auc(np.array([0.9, 0.8]), np.array([0.1, 0.2])) == 1
    assert auc(np.array([0.1]), np.array([0.2, 0.3])) == 0
    assert auc(np.array([0.5, 0.5]), np.array([0.5])) == 0.5
    assert auc(np.array([0.3, 0.9]), np.array([0.5, 0.1])) == 0.75


def test_photos(tmp_path, one_of_each):
    for digit in (3, 7):
        cv2.imwrite(str(tmp_path / f"{digit}.png"), one_of_each[digit])
    labels = [
        {"file": "3.png", "text": "3", "kind": "single"},
        {"file": "7.png", "text": "1", "kind": "single"},  # a wrong label: a mistake to be shown
        {"file": "page.png", "text": "12", "kind": "page"},
    ]
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, labels)))
    out = run("photos.py", tmp_path, "digits-int8")
    assert "digits-int8: 1 of 2 right" in out
    assert "7.png: 1 read as 7" in out


def test_seeds(small_run, tmp_path, monkeypatch):
    from digitkit import export

    folder = tmp_path / "run"
    shutil.copytree(small_run.folder, folder)
    monkeypatch.setattr(export, "INT8_LOSS", 0.02)
    export.export(small_run, folder / "exported", "quick")
    better = tmp_path / "better"
    shutil.copytree(folder, better)
    record = json.loads((better / "run.json").read_text())
    record["validation"]["accuracy"] += 0.01
    (better / "run.json").write_text(json.dumps(record))
    for order in ((folder, better), (better, folder)):
        out = run("seeds.py", *order)
        assert f"ships: {better}" in out
    assert "2 seeds" in out


def test_training_reached(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from training import reached

    points = [(5.0, 0.98), (10.0, 0.9912), (15.0, 0.993)]
    assert reached(points, 0.9912) == 10.0
    assert reached(points, 0.994) is None
