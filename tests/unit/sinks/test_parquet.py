"""Parquet tables: their columns, parts and rows."""

import json
import time

import pytest
from support.cli import run
from support.errors import error_of
from support.readings import make_digit, make_reading

from digitkit.cluster.table_folder import open_rows
from digitkit.errors import OutputError
from digitkit.forms.output.parquet_table import open_form_parquet
from digitkit.models.classifier import Classifier
from digitkit.sinks import parquet
from digitkit.sinks.parquet import RowSink, TableForm, open_parquet, table_schema
from digitkit.sources.frames import Failure
from digitkit.system.run_file import create_run_file, open_run_file
from digitkit.version import __version__

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

READING = make_reading(make_digit({4: 0.99}), make_digit({2: 0.6}, 40), source="a.png", frame=None)


def test_a_row_has_what_a_json_line_has(digit_file, tmp_path, one_of_each):
    (tmp_path / "no.png").write_bytes(b"no image")
    files = [digit_file(7, size=200), tmp_path / "no.png"]
    run("infer", *files, "--output", tmp_path / "out.parquet")
    lines = run("infer", *files, "--format", "jsonl").stdout.splitlines()
    read, failed = pq.read_table(tmp_path / "out.parquet").to_pylist()
    line, failure = map(json.loads, lines)
    assert read["text"] == line["text"] == "7"
    assert (read["source"], failed["source"]) == (line["source"], failure["source"])
    (number,), (expected,) = read["numbers"], line["numbers"]
    assert [number[name] for name in ("x", "y", "width", "height")] == expected["box"]
    for name in ("text", "complete", "confidence", "row", "column", "digits"):
        assert number[name] == expected[name]
    (digit,), (expected,) = read["digits"], line["digits"]
    assert [digit[name] for name in ("x", "y", "width", "height")] == expected["box"]
    for name in ("digit", "confidence", "accepted", "row"):
        assert digit[name] == expected[name]
    assert read["complete"] is True
    assert read["error"] is None
    assert failed["error"] == failure["error"]
    assert failed["complete"] is failed["numbers"] is None
    for row in (read, failed):
        assert (row["model"], row["version"]) == (Classifier().sha256, __version__)
        assert abs(row["time"].timestamp() - time.time()) < 600
    assert read["ms"] > 0


def test_a_row_per_number(tmp_path):
    sink = RowSink(TableForm("numbers", "m"))
    sink.write(None, make_reading(make_digit({4: 0.99}), make_digit({5: 0.99}, 400), frame=None))
    sink.write(None, make_reading(source="empty.png", frame=None))
    sink.fail(Failure("bad.png", "broken", 3))
    found = [(r["source"], r["page"], r["number"], r.get("text"), r["error"]) for r in sink.rows]
    assert found == [
        *(("camera 0", None, 0, "4", None), ("camera 0", None, 1, "5", None)),
        *(("empty.png", None, 0, None, None), ("bad.png", 3, 0, None, "broken")),
    ]


@pytest.mark.parametrize("rows", ["pictures", "numbers"])
def test_a_table_is_valid_from_its_first_moment(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(parquet, "PART_ROWS", 4)
    monkeypatch.setattr(parquet, "_HELD_ROWS", 1)
    folder, state = tmp_path / "t.parquet", tmp_path / "t.parquet.run"
    form = TableForm(rows, "m")
    lengths = []
    with create_run_file(state, {}) as file, open_parquet(folder, form, file) as sink:
        for _ in range(10):
            table = pq.read_table(folder)
            assert table.schema.names == table_schema(rows).names
            lengths.append(len(table))
            sink.write(None, READING)
    assert lengths == [0, 0, 0, 0, 4, 4, 4, 4, 8, 8]
    assert len(pq.read_table(folder)) == 10
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_rows_in_no_part_are_in_the_state(tmp_path, monkeypatch):
    """A killed process: rows are in a part or in the state, and never in both."""
    monkeypatch.setattr(parquet, "_HELD_ROWS", 1)
    folder, state = tmp_path / "t.parquet", tmp_path / "t.parquet.run"
    form = TableForm("pictures", "m")
    with create_run_file(state, {}) as file, open_parquet(folder, form, file) as sink:
        for _ in range(3):
            sink.write(None, READING)
        before = state.read_bytes()
        assert len(pq.read_table(folder)) == 0
    assert len(pq.read_table(folder)) == 3
    state.write_bytes(before)  # killed after the part was written, before the state was cleared
    with open_run_file(state) as file, open_parquet(folder, form, file):
        pass
    assert len(pq.read_table(folder)) == 3
    sorted(folder.iterdir())[-1].unlink()
    state.write_bytes(before)  # killed before the part was written
    with open_run_file(state) as file, open_parquet(folder, form, file):
        assert len(pq.read_table(folder)) == 3


def open_form_table(path):
    return open_form_parquet(path, ["amount"])


def open_list(path):
    return open_rows(str(path), pa.schema([("source", pa.string())]))


@pytest.mark.parametrize("opened", [open_form_table, open_list])
def test_what_arrow_cannot_write_is_an_error_that_names_the_file(tmp_path, opened):
    path = tmp_path / "out.parquet"

    def write() -> None:
        with opened(path):
            raise pa.ArrowNotImplementedError("no such type")

    assert error_of(OutputError, write).subject == str(path)
    assert list(tmp_path.iterdir()) == []


def test_wrong_options(digit_file, tmp_path):
    image = digit_file(1)
    for options, named in (
        (("--format", "parquet"), "--output"),
        (("--rows", "numbers"), "--rows"),
        (("--output", tmp_path / "x.csv", "--rows", "numbers"), "--rows"),
        (("--output", tmp_path), "--output"),
    ):
        result = run("infer", image, *options)
        assert named in result.stderr or str(tmp_path) in result.stderr
        assert result.exit_code in (1, 2)
    (tmp_path / "x.parquet").mkdir()
    (tmp_path / "x.parquet/mine").touch()
    assert run("infer", image, "--output", tmp_path / "x.parquet").exit_code == 2
    assert [path.name for path in (tmp_path / "x.parquet").iterdir()] == ["mine"]
