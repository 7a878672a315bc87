"""digitkit infer --report."""

import json
import re

import numpy as np
import pytest
from support.cli import one_error_line, run
from support.forms import fill_form, save, write_form

from digitkit.images.cv import cv2


def items(path) -> list[dict]:
    html = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="items">(.*?)</script>', html, re.S)[1])


def names(path) -> list[str]:
    return re.findall(r"<h3>(.*?)</h3>", path.read_text(encoding="utf-8"))


def test_a_report_next_to_other_outputs(digit_file, tmp_path):
    files = [digit_file(3, "3.png"), digit_file(8, "8.png")]
    report, table = tmp_path / "out" / "report.html", tmp_path / "table.csv"
    (tmp_path / "bad.png").write_bytes(b"nothing")
    done = run("infer", *files, tmp_path / "bad.png", "--report", report, "--output", table,
               "--min-confidence", "1")  # fmt: skip
    assert done.exit_code == 1
    assert len(table.read_text().splitlines()) == 4
    assert sorted(names(report)) == sorted(map(str, files))
    assert {item["read"] for item in items(report)} == {"3", "8"}
    assert "bad.png" in report.read_text()


@pytest.mark.slow
def test_workers_make_the_same_report(digit_file, tmp_path):
    folder = digit_file(3, "in/3.png").parent
    digit_file(8, "in/8.png")
    made = []
    for workers in (1, 2):
        report = tmp_path / f"{workers}.html"
        run("infer", folder, "--report", report, "--workers", workers, "--min-confidence", "1")
        made.append((names(report), items(report)))
    assert made[0] == made[1]
    assert len(made[0][1]) == 2


@pytest.mark.parametrize(
    "options",
    [
        ("--camera", "0"),
        ("in", "--output", "a.csv", "--resume"),
        ("--watch", "in", "--output", "a.csv"),
        ("in", "--output", "a.parquet", "--engine", "ray"),
    ],
)
def test_what_it_cannot_be_combined_with(options, tmp_path):
    report = tmp_path / "report.html"
    error = one_error_line(run("infer", *options, "--report", report), 2)
    assert error.startswith("digitkit: --report is made of files that are read in one run")
    assert not report.exists()


def test_it_does_not_replace_what_is_read(digit_file):
    file = digit_file(3)
    error = one_error_line(run("infer", file, "--report", file), 2)
    assert str(file) in error
    assert cv2.imread(str(file)) is not None


def test_fields_of_forms_are_items(one_of_each, tmp_path):
    wrong = fill_form(one_of_each)
    wrong[323:365, 65:120] = np.where(wrong[323:365, 65:120] < 128, 128, 200)  # a smear
    wrong[445:480, 345:380] = 255  # the total lacks a digit
    scans = [save(tmp_path / "good.png", fill_form(one_of_each)), save(tmp_path / "bad.png", wrong)]
    template, report = write_form(tmp_path), tmp_path / "report.html"
    done = run("infer", *scans, "--form", template, "--report", report)
    assert done.exit_code == 0
    assert names(report) == [str(scans[1]), str(scans[0])]
    found = items(report)
    assert found
    assert {item["kind"] for item in found} == {"field"}
    assert {item["source"] for item in found} == {str(scans[1])}
    assert all(item["image"].startswith("data:image/jpeg") for item in found)
    total = next(item for item in found if item["reasons"][0].startswith("total: "))
    assert len(total["seen"]) == sum(character.isdigit() for character in total["read"])
    x, y, w, h = total["box"]
    assert min(x, y) > 0
    assert min(w, h) > 0


def test_a_report_does_not_replace_a_template(one_of_each, tmp_path):
    scan, template = save(tmp_path / "a.png", fill_form(one_of_each)), write_form(tmp_path)
    error = one_error_line(run("infer", scan, "--form", template, "--report", template), 2)
    assert str(template) in error
