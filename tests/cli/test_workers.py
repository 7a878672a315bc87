"""Several processes write what one writes."""

import json

import pytest
from support.cli import one_error_line, run
from support.documents import pages_of, write_tiff
from support.processes import die

from digitkit.inference import infer_job, workers
from digitkit.inference.infer_config import InferConfig
from digitkit.inference.parsing import parse_workers
from digitkit.system import machine


@pytest.fixture
def scans(digit_file, tmp_path, one_of_each):
    for digit in range(10):
        digit_file(digit, f"scans/{digit}.png")
    (tmp_path / "scans/bad.png").write_bytes(b"no image")
    write_tiff(tmp_path / "scans/document.tiff", pages_of(one_of_each, "123"))
    return tmp_path / "scans"


def without_times(text: str) -> list:
    lines = [json.loads(line) for line in text.splitlines()]
    return [{name: value for name, value in line.items() if name != "ms"} for line in lines]


@pytest.mark.parametrize("options", [(), ("--pattern", "[1-5]"), ("--expect", "2")])
def test_all_formats_are_those_of_one_process(scans, tmp_path, options):
    for how in ("jsonl", "csv", "text"):
        alone = run("infer", scans, "--format", how, *options)
        two = run("infer", scans, "--format", how, *options, "--workers", 2)
        if how == "jsonl":
            assert without_times(alone.stdout) == without_times(two.stdout)
        else:
            assert alone.stdout == two.stdout
        assert "bad.png" in two.stderr
        assert alone.exit_code == two.exit_code == 1


def test_a_page_that_does_not_exist_is_that_of_one_process(scans):
    sources = [f"{scans}/document.tiff#{page}" for page in (0, 3, 4)]
    alone = run("infer", *sources, "--format", "jsonl")
    two = run("infer", *sources, "--format", "jsonl", "--workers", 2)
    assert without_times(alone.stdout) == without_times(two.stdout)
    assert ["error" in line for line in without_times(two.stdout)] == [True, False, True]


@pytest.mark.parametrize("rows", ["pictures", "numbers"])
def test_a_parquet_table_is_that_of_one_process(scans, tmp_path, rows):
    pq = pytest.importorskip("pyarrow.parquet")
    tables = []
    for count in (1, 2):
        output = tmp_path / f"{count}.parquet"
        run("infer", scans, "--output", output, "--rows", rows, "--workers", count)
        tables.append(pq.read_table(output).drop_columns(["ms", "time"]))
    assert tables[0].equals(tables[1])


def test_rotating_files_are_written_next_to_the_lines(scans, tmp_path):
    settings, log = tmp_path / "settings.toml", tmp_path / "log.jsonl"
    settings.write_text(f"[output]\nfile = '{log}'\n")
    result = run("infer", scans, "--config", settings, "--format", "jsonl", "--workers", 2)
    assert result.exit_code == 1
    assert log.read_text() == result.stdout


def test_unordered_has_the_same_lines(scans):
    alone = without_times(run("infer", scans, "--format", "jsonl").stdout)
    result = run("infer", scans, "--format", "jsonl", "--workers", 2, "--unordered")
    assert sorted(without_times(result.stdout), key=str) == sorted(alone, key=str)


@pytest.mark.parametrize(
    ("cores", "quota", "files", "expected"),
    [
        (8, None, 10_000, 8),
        (8, None, 250, 2),
        (8, None, 5, 1),
        (8, 1.5, 10_000, 2),
        (4, None, 0, 4),
    ],
)
def test_auto_goes_by_cores_and_files(monkeypatch, cores, quota, files, expected):
    monkeypatch.setattr(machine, "usable_cores", lambda: cores)
    real = machine.read_machine()
    monkeypatch.setattr(
        machine, "read_machine", lambda: type("M", (), {**vars(real), "cpu_quota": quota})
    )
    config = InferConfig(sources=("a",), workers=parse_workers("auto"))
    assert infer_job.count_workers(config, files) == expected


@pytest.mark.parametrize("text", ["many", "1.5", "0", "2000", "", "-1"])
def test_wrong_numbers_of_workers(digit_file, text):
    result = run("infer", digit_file(1), f"--workers={text}")
    assert result.exit_code == 2
    assert "--workers" in result.stderr


@pytest.mark.parametrize("options", [(), ("--unordered",)])
def test_a_process_that_dies_names_the_files_that_were_out(digit_file, monkeypatch, options):
    files = [digit_file(digit, f"{digit}.png") for digit in range(3)]
    monkeypatch.setattr(workers, "work", die)
    line = one_error_line(run("infer", *files, "--workers", 2, *options), 1)
    assert line.count(str(files[0])) == line.count(str(files[2])) == 1
    assert str(files[1]) not in line
