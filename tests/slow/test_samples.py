"""``make samples`` draws the sample form; what it draws is read as its template says."""

import os
import shutil
import subprocess
import sys

import numpy as np
from support.paths import ROOT

from digitkit import Form
from digitkit.images.cv import cv2

SAMPLE = ROOT / "data/samples/form"


def test_the_sample_form_is_drawn_as_it_is(tmp_path, mnist_train):
    folder = tmp_path / "data/samples/form"
    folder.mkdir(parents=True)
    (tmp_path / "docs/images").mkdir(parents=True)
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    script = shutil.copy(SAMPLE / "make_form.py", folder)
    subprocess.run(
        [sys.executable, script], check=True, timeout=300,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    for name in ("blank.jpg", "scan.jpg", "photo.jpg"):
        drawn, known = (cv2.imread(str(where / name)) for where in (folder, SAMPLE))
        assert drawn.shape == known.shape
        # The print of the samples is in the font of OpenCV 5.
        limit = 2 if int(cv2.__version__.split(".")[0]) >= 5 else 6
        assert np.abs(drawn.astype(int) - known).mean() < limit
    assert cv2.imread(str(tmp_path / "docs/images/forms-fields.jpg")) is not None
    made, kept = (Form(where / "form.toml") for where in (folder, SAMPLE))
    for name in ("scan.jpg", "photo.jpg"):
        first, second = made.read(folder / name), kept.read(SAMPLE / name)
        assert list(first.values) == list(second.values)
        both = [(a.text, b.text) for a, b in zip(first.fields, second.fields, strict=True)
                if a.status == b.status == "ok"]  # fmt: skip
        assert len(both) >= 10
        assert all(text == other for text, other in both)
