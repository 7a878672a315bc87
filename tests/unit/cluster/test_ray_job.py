"""What the driver of a cluster does before the cluster reads."""

import io
import json
import sys
from pathlib import Path

import pytest
from support.cli import one_error_line, run

from digitkit.cluster import ray_job
from digitkit.cluster.manifest import PartFiles
from digitkit.cluster.table_folder import TableFolder, writing
from digitkit.errors import InputNotFoundError, OutputError
from digitkit.inference.infer_config import InferConfig
from digitkit.inference.pipeline import Tally
from digitkit.inference.worker import ResultFormat
from digitkit.sinks.parquet import TableForm

pq = pytest.importorskip("pyarrow.parquet")


def begin(config: InferConfig, *, continues: bool) -> list[str]:
    """List the files, and write what could not be listed; the names of that."""
    failures = []
    folder = TableFolder(str(config.output))
    made = ray_job._find_files(config, folder, 1, print, continues=continues)
    folder.make()
    form = ResultFormat(TableForm("pictures", "m"))
    ray_job._write_unlisted(made, form, folder, Tally(), failures.append)
    return [failure.source for failure in failures]


def test_what_could_not_be_listed_is_in_the_table_once(digit_file, tmp_path, monkeypatch):
    output = tmp_path / "out.parquet"
    sources = (str(digit_file(1)), str(tmp_path / "*.tiff"))
    config = InferConfig.create(sources=sources, output=output, engine="ray")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TableFolder, "write", killed)
        begin(config, continues=False)
    assert begin(config, continues=True) == [sources[1]]
    assert begin(config, continues=True) == []
    (row,) = pq.read_table(output).to_pylist()
    assert (row["source"], row["error"]) == (sources[1], "no file matches this pattern")


def piped(monkeypatch, *lines: object) -> None:
    """These lines on standard input."""
    data = "".join(f"{line}\n" for line in lines).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_a_list_may_hold_paths_and_addresses(digit_file, tmp_path, monkeypatch):
    path, folder = digit_file(1), digit_file(2, "more/b.png").parent
    piped(
        monkeypatch, path, "s3://bucket/x.png", f"file://{folder}", "", f"file://{tmp_path}/none",
        "https://host/scans", "s3://me:ge/heim@bucket/y.png", "gs://b/y.png?token=geheim",
    )  # fmt: skip
    config = InferConfig.create(sources=("-",), output=tmp_path / "o.parquet", engine="ray")
    table = TableFolder(str(config.output))
    made = ray_job._find_files(config, table, 1, print, continues=False)
    files = PartFiles(made.name)
    names = [name.decode() for part in range(made.parts) for name in files.of(part)]
    assert names == [str(path), "s3://bucket/x.png", f"file://{folder}/b.png"]
    sources = [failure.source for failure in made.failures]
    assert sources[2:] == ["s3://me:***@bucket/y.png", "gs://b/y.png?token=***"]
    assert sources[:2] == [f"file://{tmp_path}/none", "https://host/scans"]
    assert "geheim" not in str(made.failures)


def test_a_password_in_a_source_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for address in ("s3://me:ge/heim@bucket/x.png", "s3://bucket/scans?secret_key=geheim"):
        result = run("infer", address, "--engine", "ray", "--output", "o.parquet")
        line = one_error_line(result, 2)
        assert "SOURCES" in line
        assert "***" in line
        assert "heim" not in line
    assert list(tmp_path.iterdir()) == []


def test_addresses_without_a_cluster_are_refused_line_by_line(digit_file, tmp_path):
    addresses = ["s3://me:geheim@bucket/*.png", f"file://{digit_file(1)}", "https://h/x?token=geh"]
    result = run(
        "infer", "-", "--format", "jsonl", stdin="\n".join([*addresses, str(digit_file(2))])
    )
    assert result.exit_code == 1
    *failed, read = map(json.loads, result.stdout.splitlines())
    assert [each["source"] for each in failed] == [
        "s3://me:***@bucket/*.png", addresses[1], "https://h/x?token=***",
    ]  # fmt: skip
    assert all("--engine ray" in each["error"] for each in failed)
    assert read["text"] == "2"
    assert "geh" not in result.output


@pytest.mark.parametrize(
    ("address", "options", "problem"),
    [
        (
            "s3://me:geheim@bucket/o.parquet",
            ["--engine", "ray"],
            "--output must not hold a password",
        ),
        ("s3://bucket/o.parquet", [], "--output must be a path"),
        ("s3://bucket/o.csv", ["--engine", "ray"], "ray requires"),
    ],
)
def test_a_table_at_an_address_is_parquet_of_a_cluster(
    tmp_path, monkeypatch, digit_file, address, options, problem
):
    monkeypatch.chdir(tmp_path)
    path = digit_file(1)
    result = run("infer", path, "--output", address, *options)
    assert problem in one_error_line(result, 2)
    assert "geheim" not in result.output
    assert list(tmp_path.iterdir()) == [path]


def test_an_address_is_taken_as_it_is_typed():
    config = InferConfig.create(
        sources=("a.png",), output=Path("s3://b/deep/o.parquet?scheme=http"), engine="ray"
    )
    assert config.output_address == "s3://b/deep/o.parquet?scheme=http"
    assert config.state_output == Path("o.parquet")
    assert config.output_files == {}
    folder = TableFolder(config.output_address)
    assert folder.beside(".files.parquet") == "s3://b/deep/o.parquet.files.parquet?scheme=http"


def test_an_error_of_what_is_listed_is_not_one_of_writing():
    with pytest.raises(InputNotFoundError, match="no.png"), writing("s3://b/o.parquet"):
        raise InputNotFoundError("does not exist", subject="no.png")
    with pytest.raises(OutputError, match=r"o\.parquet"), writing("s3://b/o.parquet"):
        raise OSError("no room")
