"""``digitkit form`` and ``digitkit infer --form``, through the command line."""

import csv
import json
import signal
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.cli import json_lines, one_error_line, run
from support.documents import write_tiff
from support.forms import FIELDS, WRITTEN, blank_form, fill_form, save, sheet, write_form
from support.paths import ROOT

from digitkit import Form
from digitkit.forms.blank.propose import propose_fields
from digitkit.forms.output.drawing import BLUE, COLOURS, draw_fields
from digitkit.forms.output.tables import FormLines
from digitkit.forms.registration.matching import Registrar
from digitkit.forms.templates.template import FormField
from digitkit.images.cv import cv2
from digitkit.system.hashes import file_sha256

SAMPLE = ROOT / "data/samples/form"


@pytest.fixture
def scans(tmp_path, one_of_each):
    folder = tmp_path / "scans"
    folder.mkdir()
    save(folder / "1.png", fill_form(one_of_each))
    save(folder / "2.png", fill_form(one_of_each, WRITTEN | {"total": "1234"}))
    save(folder / "3.png", blank_form(1))
    return folder


@pytest.fixture
def template(tmp_path):
    return write_form(tmp_path / "template")


def test_a_row_per_form(scans, template, tmp_path):
    table = tmp_path / "table.csv"
    result = run("infer", scans, "--form", template, "--output", table)
    assert result.exit_code == 1
    assert "3.png" in result.stderr
    first, second, third = csv.DictReader(table.read_text("utf-8").splitlines())
    assert {name: first[name] for name in WRITTEN} == WRITTEN
    assert first["number_status"] == "ok"
    assert (first["template"], first["error"]) == ("form", "")
    assert second["total_status"] == "invalid"
    assert "total = a + b" in second["reasons"]
    assert third["template"] == ""
    assert "no form" in third["error"]


def test_the_template_s_own_pictures_in_a_folder_are_no_forms(one_of_each, tmp_path):
    template = write_form(tmp_path)
    (tmp_path / "form-fields.png").write_bytes((tmp_path / "form.png").read_bytes())
    save(tmp_path / "page.png", fill_form(one_of_each))
    read = ("infer", tmp_path, "--form", template, "--format", "jsonl")
    assert [Path(line["source"]).name for line in json_lines(run(*read))] == ["page.png"]
    for named in (tmp_path / "form.png", tmp_path / "form.p*"):
        lines = json_lines(run("infer", named, *read[2:]))
        assert [Path(line["source"]).name for line in lines] == ["form.png"]
    listed = json_lines(run("infer", "-", *read[2:], stdin=f"{tmp_path / 'form.png'}\n"))
    assert [Path(line["source"]).name for line in listed] == ["form.png"]


def test_a_picture_on_which_opencv_fails_does_not_end_a_run(scans, template, monkeypatch):
    register = Registrar.register

    def fail(self, picture, kinds):
        if picture.image.halved(0).min() == 1:
            cv2.resize(np.zeros((0, 1), np.uint8), (1, 1))
        return register(self, picture, kinds)

    monkeypatch.setattr(Registrar, "register", fail)
    page = cv2.imread(str(scans / "1.png"), cv2.IMREAD_GRAYSCALE)
    save(scans / "1.png", np.maximum(page, 1))
    save(scans / "2.png", page // 2 * 2)
    first, second, third = json_lines(run("infer", scans, "--form", template, "--format", "jsonl"))
    assert "cannot be processed by OpenCV" in first["error"]
    assert "error" not in second
    assert "no form" in third["error"]


def test_json_lines_have_boxes_and_standard_output_is_text(scans, template):
    first, second, third = json_lines(run("infer", scans, "--form", template, "--format", "jsonl"))
    assert first["fields"]["number"]["text"] == WRITTEN["number"]
    assert len(first["fields"]["number"]["digits"][0]["box"]) == 4
    assert second["complete"] is False
    assert set(third) == {"source", "error"}
    text = run("infer", scans / "2.png", "--form", template)
    assert text.exit_code == 0
    assert "total 1234!" in text.stdout
    assert run("infer", scans / "1.png", "-q", "--form", template).stdout.split() == list(
        WRITTEN.values()
    )
    empty = run("infer", template.with_suffix(".png"), "-q", "--form", template).stdout.split()
    assert {text.rstrip("?!") for text in empty} == {"-"}


def test_pages_and_workers(template, one_of_each, tmp_path):
    file = write_tiff(tmp_path / "pages.tiff", [fill_form(one_of_each), blank_form()])
    lines = {}
    for workers in (1, 2):
        result = run("infer", file, "--form", template, "--format", "jsonl", "--workers", workers)
        assert result.exit_code == 0, result.output
        lines[workers] = [line | {"ms": None} for line in json_lines(result)]
        assert [line["page"] for line in lines[workers]] == [1, 2]
    assert lines[1] == lines[2]


def test_a_parquet_table_has_a_column_per_field(scans, template, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    table = tmp_path / "table.parquet"
    assert run("infer", scans, "--form", template, "--output", table).exit_code == 1
    first, second, third = pq.read_table(table).to_pylist()
    assert {name: first[name] for name in WRITTEN} == WRITTEN
    assert {first[f"{name}_status"] for name in WRITTEN} == {"ok"}
    assert second["total_status"] == "invalid"
    assert third["error"]
    assert third["total"] is None


@pytest.mark.parametrize("out", ["form.toml", "form.png", "scan.png"])
def test_what_is_read_is_not_replaced(template, one_of_each, out):
    scan = save(template.parent / "scan.png", fill_form(one_of_each))
    path = template.parent / out
    before = path.read_bytes()
    result = run("form", "check", template, scan, "--out", path)
    assert result.exit_code == 2
    assert ("must not replace" if out.endswith(".png") else "must be a .png") in result.stderr
    result = run("infer", scan, "--form", template, "--format", "jsonl", "--output", path)
    assert result.exit_code == 2
    assert path.read_bytes() == before


@pytest.mark.parametrize("out", ["form.png", "."])
def test_a_template_is_a_toml_file(tmp_path, monkeypatch, out):
    blank = save(tmp_path / "blank.png", blank_form())
    monkeypatch.chdir(tmp_path)
    assert ".toml" in one_error_line(run("form", "new", blank, "--out", out, "--overwrite"), 2)


def test_columns_of_two_templates_must_differ(template, scans, tmp_path):
    fields = FIELDS.replace('name = "b"', 'name = "a_status"').replace('name = "a"', 'name = "z"')
    other = write_form(tmp_path / "other", fields, "", name="other")
    result = run("infer", scans, "--form", template, "--form", other)
    assert "two columns 'a_status'" in one_error_line(result, 2)


def test_a_field_may_be_named_as_a_status(one_of_each, tmp_path):
    fields = FIELDS.replace('name = "a"', 'name = "family_status"')
    template = write_form(tmp_path, fields, "")
    cv2.imwrite(str(tmp_path / "scan.png"), fill_form(one_of_each, WRITTEN | {"a": "07"}))
    result = run("infer", tmp_path / "scan.png", "--form", template, "--format", "csv")
    (row,) = csv.DictReader(result.stdout.splitlines())
    assert (row["family_status"], row["family_status_status"]) == ('="07"', "ok")


def test_csv_is_safe_for_spreadsheets(template, one_of_each, tmp_path, monkeypatch):
    folder = tmp_path / "scans"
    folder.mkdir()
    save(folder / "1.png", fill_form(one_of_each))
    monkeypatch.chdir(folder)
    (folder / "1.png").rename("=1+1.png")
    result = run("infer", "=1+1.png", "--form", template, "--format", "csv")
    (row,) = csv.DictReader(result.stdout.splitlines())
    assert row["source"] == "'=1+1.png"
    for name, text in WRITTEN.items():
        assert row[name] in (text, f'="{text}"')
        assert not text.startswith("0") or row[name] == f'="{text}"'


def test_an_excel_table_lists_what_is_in_doubt(scans, template, tmp_path):
    pytest.importorskip("xlsxwriter")
    table = tmp_path / "table.xlsx"
    assert run("infer", scans, "--form", template, "--output", table).exit_code == 1
    archive = zipfile.ZipFile(table)
    pictures = [name for name in archive.namelist() if name.startswith("xl/media/")]
    assert len(pictures) == 3  # a, b and total of the second form
    doubts = archive.read("xl/worksheets/sheet2.xml").decode()
    assert doubts.count("<row ") == 4
    assert "breaks the rule" in doubts


def test_mistakes_are_one_line(scans, template, tmp_path):
    assert "none.toml" in one_error_line(run("infer", scans, "--form", tmp_path / "none.toml"), 2)
    line = one_error_line(run("infer", scans, "--form", scans / "1.png"), 2)
    assert "1.png: is a picture, not a template; create one with digitkit form new" in line
    template.write_text("reference = 3", "utf-8")
    assert str(template) in one_error_line(run("infer", scans, "--form", template), 2)


@pytest.mark.parametrize(
    "options",
    [
        ("--gap", 1),
        ("--mode", "digit"),
        ("--expect", 3),
        ("--orientation", "auto"),
        ("--hold", 3),
        ("--checksum", "a"),
        ("--resume", "--output", "t.xlsx"),
        ("--resume", "--output", "t.parquet"),
        ("--rows", "numbers", "--output", "t.parquet"),
    ],
)
def test_options_that_do_not_go_with_forms(scans, template, options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("infer", scans, "--form", template, *options)
    assert result.exit_code == 2
    assert options[0] in result.stderr


@pytest.mark.parametrize(("suffix", "writer"), [("xlsx", "xlsxwriter"), ("parquet", "pyarrow")])
def test_ctrl_c_says_which_tables_can_be_continued(
    scans, template, tmp_path, monkeypatch, suffix, writer
):
    pytest.importorskip(writer)

    def interrupt(self, frame):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Form, "read_frame", interrupt)
    result = run("infer", scans, "--form", template, "--output", tmp_path / f"out.{suffix}")
    assert result.exit_code == 130
    assert f"out.{suffix} was not written; .jsonl and .csv can be continued" in result.stderr


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_keeps_forms_and_resume_reads_the_rest(
    scans, template, tmp_path, monkeypatch, suffix, count, workers
):
    output, whole = tmp_path / f"out.{suffix}", tmp_path / f"whole.{suffix}"
    command = ("infer", scans, "--form", template, "--workers", workers, "--output")
    run(*command, whole)
    with monkeypatch.context() as patch:
        taken, write = iter(range(count)), FormLines.write

        def interrupt(self, frame, reading):
            write(self, frame, reading)
            if next(taken, None) == count - 1:
                signal.raise_signal(signal.SIGINT)

        patch.setattr(FormLines, "write", interrupt)
        stopped = run(*command, output)
    assert stopped.exit_code == 130
    assert "--resume" in stopped.stderr
    kept = rows_of(output)
    assert len(kept) == count
    assert kept == rows_of(whole)[:count]
    assert run(*command, output).exit_code == 2  # it would be replaced
    resumed = run(*command, output, "--resume")
    assert resumed.exit_code == 1  # of the form that is another
    assert f"{count} were read before" in resumed.stderr
    assert rows_of(output) == rows_of(whole)


def rows_of(path):
    """The rows of JSON lines or CSV, without times."""
    lines = path.read_text("utf-8").splitlines()
    if path.suffix == ".csv":
        return list(csv.DictReader(lines))
    return [json.loads(line) | {"ms": None} for line in lines]


def test_another_template_does_not_resume(scans, template, tmp_path):
    command = ("infer", scans, "--form", template, "--resume", "--output", tmp_path / "t.csv")
    assert run(*command).exit_code == 1
    template.write_text(template.read_text("utf-8").replace("cells = 6", "cells = 5"), "utf-8")
    result = run(*command)
    assert result.exit_code == 2
    assert "form.toml" in result.stderr


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_readings_do_not_continue_forms(scans, template, tmp_path, suffix):
    output = tmp_path / f"t.{suffix}"
    with_form = ("infer", scans, "--resume", "--output", output, "--form", template)
    assert run(*with_form).exit_code == 1
    before = output.read_bytes()
    line = one_error_line(run(*with_form[:-2]), 2)
    assert "--form" in line
    assert output.read_bytes() == before


def test_a_blank_form_is_neither_complete_nor_doubtful(template, tmp_path):
    folder = tmp_path / "blank"
    folder.mkdir()
    for name in ("1.png", "2.png"):
        save(folder / name, blank_form())
    result = run("infer", folder, "--form", template, "--output", tmp_path / "t.csv")
    assert "0 complete, 0 doubtful, 2 without a number" in result.stderr


def test_a_checksum_without_a_form(scans):
    assert run("infer", scans, "--checksum", "a=b:c").exit_code == 2


def test_the_template_is_not_replaced(scans, template):
    before = template.read_bytes()
    result = run("infer", scans, "--form", template, "--output", template, "--format", "csv")
    assert result.exit_code == 2
    assert template.read_bytes() == before


def test_new_finds_the_fields_of_a_scan(tmp_path):
    blank, out = save(tmp_path / "blank.png", blank_form()), tmp_path / "new.toml"
    result = run("form", "new", blank, "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("4 fields found")
    assert {path.name for path in tmp_path.iterdir()} == {
        "blank.png", "new.toml", "new.png", "new-fields.png",
    }  # fmt: skip
    text = out.read_text("utf-8")
    assert text.count("cells = ") == 3
    assert run("form", "new", blank, "--out", out).exit_code == 2  # they exist
    assert run("form", "new", blank, "--out", out, "--overwrite").exit_code == 0
    line = one_error_line(run("form", "new", blank, "--out", tmp_path / "blank.toml"), 2)
    assert "writes blank.png, too, which would replace the blank form" in line


def test_new_names_fields_where_the_print_stays_seen(tmp_path):
    page = blank_form()
    fields = propose_fields(page)
    assert [one.name for one in fields] == [f"field_{number}" for number in range(1, 5)]
    drawn = draw_fields(page, fields)
    outside = np.full(page.shape, True)
    for one in fields:
        x, y, w, h = one.box
        assert np.ptp(drawn[y + 3 : y + h - 3, x + 3 : x + w - 3].astype(int), axis=2).any()
        outside[y - 3 : y + h + 3, x - 3 : x + w + 3] = False
    assert not np.ptp(drawn[outside].astype(int), axis=1).any()  # nothing has a colour


def test_the_names_of_narrow_fields_cover_no_print():
    page = blank_form()
    fields = [
        FormField(f"field_{number}", (60 + 30 * number, 640, 24, 24)) for number in range(1, 8)
    ]
    page[638:641, 60:400] = 0
    drawn, printed = draw_fields(page, fields), page < 100
    printed[630:670, 60:400] = False
    assert not (drawn[printed] == BLUE).all(1).any()


def test_new_refuses_more_boxes_than_fields(tmp_path):
    page = blank_form()
    for x in range(30, 580, 26):
        for y in range(180, 850, 14):
            cv2.rectangle(page, (x, y), (x + 26, y + 14), 0, 1)
    blank = save(tmp_path / "blank.png", page)
    line = one_error_line(run("form", "new", blank, "--out", tmp_path / "x.toml"), 2)
    assert "500" in line


def test_new_refuses_what_is_no_form(tmp_path):
    blank = save(tmp_path / "blank.png", np.full((500, 400), 255, np.uint8))
    line = one_error_line(run("form", "new", blank, "--out", tmp_path / "x.toml"), 2)
    assert "blank.png" in line
    assert list(tmp_path.glob("x*")) == []


def test_new_writes_a_template_to_add_fields_to_where_none_are_found(tmp_path):
    page = sheet()
    cv2.circle(page, (300, 400), 20, 0, 1)
    blank, out = save(tmp_path / "blank.png", page), tmp_path / "x.toml"
    result = run("form", "new", blank, "--out", out)
    assert result.exit_code == 0, result.output
    assert "x.toml" in one_error_line(result, 0)
    assert "1 to 500 fields" in one_error_line(run("form", "check", out), 2)
    with out.open("a", encoding="utf-8") as file:
        file.write('[[field]]\nname = "rating"\nbox = [280, 380, 40, 40]\n')
    assert run("form", "check", out, "--out", tmp_path / "check.png").exit_code == 0


def test_check_writes_no_picture_of_a_reference_that_no_form_is_found_by(tmp_path):
    template, out = write_form(tmp_path), save(tmp_path / "check.png", sheet())
    printed = template.with_suffix(".png")
    known = file_sha256(printed)
    save(printed, np.full_like(blank_form(), 255))
    template.write_text(template.read_text("utf-8").replace(known, file_sha256(printed)), "utf-8")
    before = out.read_bytes()
    line = one_error_line(run("form", "check", template, "--out", out), 2)
    assert "too little print" in line
    assert out.read_bytes() == before


def test_check_finds_the_form_once(scans, template, tmp_path, monkeypatch):
    found, register = [], Registrar.register
    monkeypatch.setattr(
        Registrar, "register", lambda self, *given: found.append(1) or register(self, *given)
    )
    command = ("form", "check", template, scans / "1.png", "--out", tmp_path / "check.png")
    assert run(*command).exit_code == 0
    assert len(found) == 1


def test_check_draws_what_is_read(scans, template, tmp_path):
    out = tmp_path / "check.png"
    result = run("form", "check", template, scans / "1.png", "--out", out)
    assert result.exit_code == 0, result.output
    assert f"number: {WRITTEN['number']} ok" in result.stdout
    assert out.stat().st_size > 1000
    drawn = cv2.imread(str(out))
    printed = cv2.imread(str(template.with_suffix(".png")), cv2.IMREAD_GRAYSCALE) < 100
    for x, y, w, h in (field["box"] for field in tomllib.loads(FIELDS)["field"]):
        printed[y - 3 : y + h + 3, x - 3 : x + w + 3] = False
    assert not (drawn[printed] == COLOURS["ok"]).all(1).any()  # no label covers the captions
    out.unlink()
    assert run("form", "check", template, "--out", out).exit_code == 0
    assert out.exists()
    assert run("form", "check", template, scans / "3.png", "--out", out).exit_code == 1


def test_the_sample_form(tmp_path):
    result = run("infer", SAMPLE / "photo.jpg", "--form", SAMPLE / "form.toml", "--format", "jsonl")
    (line,) = json_lines(result)
    assert line["complete"]
    assert line["fields"]["total"]["text"] == "5030.21"
    assert json.dumps(line["fields"]["total"]["reasons"]).count("5030.11") == 1
    made = run("form", "new", SAMPLE / "blank.jpg", "--out", tmp_path / "form.toml")
    assert made.exit_code == 0
    assert (tmp_path / "form.toml").read_text("utf-8").count("[[field]]") >= 12
