"""What people wrote in the report of forms, put in place of what was read."""

import csv
import json
import re

import pytest
from support.cli import json_lines, one_error_line, run
from support.documents import write_tiff
from support.forms import WRITTEN, blank_form, fill_form, save, write_form

from digitkit import Form


@pytest.fixture
def template(tmp_path):
    return write_form(tmp_path / "template")


@pytest.fixture
def scan(tmp_path, one_of_each):
    """A form whose total breaks its rule, and one that is right."""
    folder = tmp_path / "scans"
    folder.mkdir()
    save(folder / "right.png", fill_form(one_of_each))
    return save(folder / "wrong.png", fill_form(one_of_each, WRITTEN | {"total": "1234"}))


@pytest.fixture
def items(scan, template, tmp_path):
    """The items of the report, by the names of their fields, as its review has them."""
    report = tmp_path / "report.html"
    assert run("infer", scan.parent, "--form", template, "--report", report).exit_code == 0
    found = json.loads(re.search(r'id="items">(.*?)</script>', report.read_text(), re.S)[1])
    return {item["name"]: item for item in found}


@pytest.fixture
def correct(items, tmp_path):
    """Writes what a person says of some fields, as the report's button does; the file."""

    def write(**texts: str):
        path = tmp_path / "corrections.jsonl"
        keys = ("id", "kind", "source", "name", "read")
        lines = []
        for name, text in texts.items():
            images = [url.partition(",")[2] for url in items[name]["seen"]]
            values = {key: items[name][key] for key in keys} | {"text": text, "images": images}
            lines.append(json.dumps(values) + "\n")
        path.write_text("".join(lines), "utf-8")
        return path

    return write


def test_a_corrected_field_is_ok_and_so_are_those_of_its_rule(scan, template, correct, tmp_path):
    table = tmp_path / "table.csv"
    file = correct(total="1000")
    result = run("infer", scan.parent, "--form", template, "--corrections", file, "--output", table)
    assert result.exit_code == 0, result.output
    right, wrong = csv.DictReader(table.read_text("utf-8").splitlines())
    for row in (right, wrong):
        assert {name: row[name] for name in WRITTEN} == WRITTEN
        assert {row[f"{name}_status"] for name in WRITTEN} == {"ok"}
        assert row["complete"] == "true"
    assert right["reasons"] == ""
    assert wrong["reasons"] == "total: corrected from 1234 by hand"
    assert "not used" not in result.stderr


@pytest.mark.parametrize(
    ("texts", "status", "reason"),
    [
        ({"total": "1234"}, "invalid", "total: confirmed by hand; total: breaks the rule"),
        ({"total": "12,5"}, "invalid", "total: is not made of digits alone"),
        ({"total": "12345"}, "invalid", "total: has 5 digits, the field 4 cells"),
        ({"total": ""}, "empty", "total: corrected from 1234 by hand"),
    ],
)
def test_what_a_person_says_is_checked_too(scan, template, correct, texts, status, reason):
    options = ("--form", template, "--corrections", correct(**texts), "--format", "jsonl")
    (line,) = json_lines(run("infer", scan, *options))
    total = line["fields"]["total"]
    assert total["status"] == status
    assert total["text"] == texts["total"].replace(",", ".")
    assert reason in "; ".join(f"total: {each}" for each in total.get("reasons", []))


def test_a_correction_settles_the_other_fields_of_a_rule(scan, template, correct, items):
    wrong = correct(a="965")
    (line,) = json_lines(
        run("infer", scan, "--form", template, "--corrections", wrong, "--format", "jsonl")
    )
    assert set(items) == {"a", "b", "total"}
    assert {name: line["fields"][name]["text"] for name in ("a", "b", "total")} == {
        "a": "965", "b": "269", "total": "1234",
    }  # fmt: skip
    assert line["complete"] is True


def test_a_form_in_python_takes_one_file_or_several(scan, template, correct):
    file = correct(total="1000")
    for files in (file, str(file), [file]):
        assert Form(template, corrections=files).read(scan).complete


def test_corrections_of_other_pictures_are_named(scan, template, correct):
    file = correct(total="1000")
    other = scan.with_name("right.png")
    result = run("infer", other, "--form", template, "--corrections", file)
    assert result.exit_code == 0
    assert "not used: 1 of the corrections, such as total of" in result.stderr


def test_a_correction_of_a_field_that_the_form_has_not(scan, template, correct):
    file = correct(total="1000")
    file.write_text(file.read_text().replace('"total"', '"sum"'))
    result = run("infer", scan, "--form", template, "--corrections", file)
    assert f"such as sum of {scan}, whose form has no such field" in result.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_pages_and_workers(template, one_of_each, tmp_path, workers):
    wrong = fill_form(one_of_each, WRITTEN | {"total": "1234"})
    pages = write_tiff(tmp_path / "pages.tiff", [wrong, wrong])
    file = tmp_path / "c.jsonl"
    line = {"id": "1", "kind": "field", "source": f"{pages}#2", "name": "total", "images": []}
    file.write_text(
        "".join(json.dumps(line | {"text": text}) + "\n" for text in ("1", "1000")), "utf-8"
    )
    options = ("--form", template, "--corrections", file, "--workers", workers)
    first, second = json_lines(run("infer", pages, *options, "--format", "jsonl"))
    assert (first["complete"], second["complete"]) == (False, True)
    assert second["fields"]["total"]["text"] == "1000"  # the later counts


def test_mistakes_are_one_line(scan, template, correct, tmp_path):
    def fails(*arguments) -> str:
        return one_error_line(run("infer", scan, *arguments), 2)

    assert "requires a form" in fails("--corrections", correct(total="1000"))
    empty = tmp_path / "empty.jsonl"
    assert "does not exist" in fails("--form", template, "--corrections", empty)
    empty.write_text("")
    assert "no correction of a form's field" in fails("--form", template, "--corrections", empty)
    empty.write_text("{}\n")
    assert f"{empty}:1" in fails("--form", template, "--corrections", empty)
    line = {"id": "1", "kind": "field", "text": "1", "images": []}
    empty.write_text(json.dumps(line))
    assert "earlier version" in fails("--form", template, "--corrections", empty)
    output = correct(total="1000")
    message = fails(
        "--form", template, "--corrections", output, "--format", "jsonl", "--output", output
    )
    assert "must not replace" in message


def test_a_run_with_other_corrections_is_not_resumed(scan, template, correct, tmp_path):
    save(scan.with_name("other.png"), blank_form(1))  # so that the run can be resumed
    command = ("infer", scan.parent, "--form", template, "--resume", "--output")
    assert run(*command, tmp_path / "t.csv").exit_code == 1
    result = run(*command, tmp_path / "t.csv", "--corrections", correct(total="1000"))
    assert result.exit_code == 2
    assert "--corrections" in result.stderr
