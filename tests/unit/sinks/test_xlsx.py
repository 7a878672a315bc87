"""Tables for Excel: what is in the file, read as the ZIP archive of XML that it is."""

import errno
import re
import sys
import zipfile
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from support.errors import error_of
from support.readings import make_digit, make_reading

from digitkit.errors import MissingDependencyError, OutputError, install_command
from digitkit.reading.results import Event
from digitkit.sinks import workbook
from digitkit.sinks.xlsx import COLUMNS, crop_number, open_xlsx
from digitkit.sources.frames import Failure, Frame

xlsxwriter = pytest.importorskip("xlsxwriter")
FileCreateError = xlsxwriter.exceptions.FileCreateError

FRAME = Frame("=pages/1.png", np.full((140, 200, 3), 200, np.uint8))
SHEET = "xl/worksheets/sheet1.xml"


def write(path, *readings, failures=(), frame=FRAME):
    with open_xlsx(path) as sink:
        for reading in readings:
            sink.write(frame, reading)
        for failure in failures:
            sink.fail(failure)


def pictures(path) -> list[str]:
    return [name for name in zipfile.ZipFile(path).namelist() if name.startswith("xl/media/")]


def table(path) -> list[dict[str, tuple[str, str]]]:
    """Rows below the header: each cell's type (s text, n number, b truth) and its value."""
    root = ElementTree.fromstring(zipfile.ZipFile(path).read(SHEET))
    rows = []
    for row in root.findall(".//{*}row"):
        cells = {}
        for cell in row.findall("{*}c"):
            column = list(COLUMNS)[ord(re.sub(r"\d", "", cell.get("r"))) - 65]
            if len(cell):  # else a format only
                kind = {"inlineStr": "s"}.get(cell.get("t", "n"), cell.get("t", "n"))
                cells[column] = (kind, "".join(cell.itertext()))
        rows.append(cells)
    assert [value for _, value in rows[0].values()] == list(COLUMNS)
    return rows[1:]


def number(*texts: str, row: int = 0, likely: float = 0.99999):
    return [
        make_digit({int(t): likely}, x=10 + 35 * i, row=row) for i, t in enumerate("".join(texts))
    ]


def test_a_row_per_number_with_texts_as_texts(tmp_path):
    path = tmp_path / "new" / "table.xlsx"
    reading = make_reading(*number("0123"), *number("7", row=1), source=FRAME.source, frame=None)
    empty = make_reading(source="empty.png", frame=3)
    empty = replace(empty, seconds=0.1)
    write(path, reading, empty, failures=[Failure("bad.png", "broken")])
    first, second, nothing, failed = table(path)
    assert first["text"] == ("s", "0123")
    assert first["source"] == ("s", "=pages/1.png")
    assert first["complete"] == ("b", "1")
    assert float(first["confidence"][1]) == round(reading.numbers[0].confidence, 4)
    assert [first[name] for name in ("x", "y", "width", "height")] == [
        ("n", text) for text in ("10", "50", "135", "60")
    ]
    assert (second["text"], second["row"]) == (("s", "7"), ("n", "1"))
    assert {name: value for name, (_, value) in nothing.items()} == {
        "source": "empty.png", "frame": "3", "position": "0.1",
    }  # fmt: skip
    assert {name: value for name, (_, value) in failed.items()} == {
        "source": "bad.png", "error": "broken"
    }  # fmt: skip
    sheet = zipfile.ZipFile(path).read(SHEET).decode()
    assert '<autoFilter ref="A1:Q5"' in sheet
    assert 'state="frozen"' in sheet
    assert 'numberStoredAsText="1"' in sheet
    assert not pictures(path)


def test_a_picture_of_each_number_that_is_not_complete(tmp_path, monkeypatch):
    path = tmp_path / "table.xlsx"
    doubtful = [make_digit({8: 0.6}), *number("45"), *number("7", row=1)]
    reading = make_reading(*doubtful, frame=None)
    write(path, reading)
    first, _ = table(path)
    assert first["complete"] == ("b", "0")
    assert "doubtful (8 at 60%)" in first["reasons"][1]
    assert pictures(path) == ["xl/media/image1.jpeg"]
    monkeypatch.setattr(workbook, "MAX_PICTURES", 1)
    write(path, reading, reading)
    assert len(pictures(path)) == 1
    assert table(path)[2]["picture"] == ("s", "not shown")


def test_events_of_a_video(tmp_path):
    path = tmp_path / "table.xlsx"
    reading = make_reading(make_digit({8: 0.6}), *number("45"), frame=3)
    (doubtful,) = reading.numbers
    gone = replace(reading, digits=(), numbers=(), events=(Event("disappeared", doubtful),))
    write(path, replace(reading, events=(Event("appeared", doubtful),)), gone)
    assert [row["event"][1] for row in table(path)] == ["appeared", "disappeared"]
    assert len(pictures(path)) == 1  # what is gone is not on the frame


def test_pictures_of_any_number():
    image = np.arange(100 * 3000, dtype=np.uint32).astype(np.uint8).reshape(100, 3000)
    for box in (
        (0, 0, 1, 1),
        (0, 0, 3000, 100),
        (2990, 90, 10, 10),
        (5, 5, 2900, 2),
        (7, 1, 1, 99),
    ):
        crop = crop_number(image, box)
        assert 1 <= crop.shape[0] <= 2 * workbook.HEIGHT
        assert 1 <= crop.shape[1] <= 2 * workbook.WIDTH


def test_a_table_that_is_not_completed_leaves_no_file(tmp_path, monkeypatch):
    path = tmp_path / "table.xlsx"
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(KeyboardInterrupt), open_xlsx(path) as sink:
        sink.write(FRAME, make_reading(*number("12")))
        raise KeyboardInterrupt
    monkeypatch.setattr(workbook, "MAX_ROWS", 2)
    readings = [make_reading(*number("1"))] * 3
    assert "csv" in str(error_of(OutputError, write, path, *readings))
    assert not list(tmp_path.iterdir())


def test_tables_that_cannot_be_written(tmp_path):
    (tmp_path / "taken").write_text("")
    for path in (tmp_path, tmp_path / "taken/table.xlsx"):
        assert str(path) in str(error_of(OutputError, write, path))


def test_a_full_disk(tmp_path, monkeypatch):
    close = xlsxwriter.Workbook.close

    def fail(self):
        close(self)
        raise FileCreateError(OSError(errno.ENOSPC, "No space left on device"))

    monkeypatch.setattr(xlsxwriter.Workbook, "close", fail)
    assert "No space left" in str(error_of(OutputError, write, tmp_path / "table.xlsx"))
    assert not list(tmp_path.iterdir())


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    error = error_of(MissingDependencyError, write, tmp_path / "table.xlsx")
    assert install_command("xlsx") in str(error)


def test_long_names_and_controls(tmp_path):
    source = "a\x1b\n" + "x" * 40_000
    write(tmp_path / "t.xlsx", make_reading(source=source, frame=None))
    (row,) = table(tmp_path / "t.xlsx")
    assert len(row["source"][1]) >= 32_000
