"""The list of files that a cluster reads, and what a process of it does with a part."""

import os
from functools import partial

import pytest
from support.errors import error_of

from digitkit.cluster import manifest, part_reader
from digitkit.cluster.manifest import PartFiles, read_manifest, write_manifest
from digitkit.cluster.part_reader import MAX_TRIES, PartReader, unpack
from digitkit.cluster.table_folder import TableFolder
from digitkit.errors import ClusterError, ConfigError, ModelError
from digitkit.images.cv import cv2
from digitkit.inference.infer_config import InferConfig
from digitkit.inference.worker import ResultFormat
from digitkit.reading.reader import Reader
from digitkit.sinks.parquet import TableForm
from digitkit.sources.frames import Failure
from digitkit.sources.items import ImageBytes, PageOfFile

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.mark.parametrize(
    ("count", "readers", "parts"),
    [(0, 2, 0), (3, 2, 3), (64, 2, 16), (100, 1, 9), (70_000, 4, 140)],
)
def test_each_file_is_in_one_part(tmp_path, count, readers, parts):
    names = [f"{i}.png" for i in range(count)]
    made = write_manifest(str(tmp_path / "list.parquet"), names, readers)
    assert (made.files, made.parts) == (count, parts)
    assert read_manifest(made.name) == made
    files = PartFiles(made.name)
    listed = [name for part in range(made.parts) for name in files.of(part)]
    assert listed == [name.encode() for name in names]
    assert all(len(files.of(part)) <= manifest.PART_FILES for part in range(made.parts))


def test_names_of_any_bytes_pages_and_failures(tmp_path):
    odd = tmp_path / os.fsdecode(b"\xff.png")
    failure = Failure("none", "no file matches this pattern")
    items = [odd, failure, PageOfFile(odd, 3), "s3://bucket/a.png"]
    made = write_manifest(str(tmp_path / "list.parquet"), items, 1)
    assert made.failures == (failure,)
    names = [name for part in range(made.parts) for name in PartFiles(made.name).of(part)]
    assert names == [os.fsencode(odd), os.fsencode(odd) + b"#3", b"s3://bucket/a.png"]
    error_of(ConfigError, write_manifest, str(tmp_path / "x.parquet"), [ImageBytes(b"", "-")], 1)
    (tmp_path / "bad.parquet").write_bytes(b"no list")
    assert "bad.parquet" in str(
        error_of(ClusterError, read_manifest, str(tmp_path / "bad.parquet"))
    )


@pytest.fixture
def reader(digit_file, tmp_path, monkeypatch):
    """Reads two parts of a digit each."""
    monkeypatch.chdir(tmp_path)
    made = write_manifest(str(tmp_path / "list.parquet"), [digit_file(3, "a.png"), "none.png"], 1)
    folder = tmp_path / "out.parquet"
    folder.mkdir()
    form = ResultFormat(TableForm("pictures", Reader().classifier.sha256))
    return PartReader(Reader, form, made.name, TableFolder(str(folder)), tmp_path), folder


def test_a_part_is_read_once(reader):
    read, folder = reader
    batch = pa.table({"part": [0, 1]})
    (first, none), (second, failures) = unpack(read(batch))
    assert (first.images, first.failures, none) == (1, 0, ())
    assert (second.images, second.failures, failures[0].kind) == (0, 1, "missing")
    rows = pq.read_table(folder).to_pylist()
    assert [row["text"] for row in rows] == ["3", None]
    before = [path.stat().st_mtime_ns for path in sorted(folder.iterdir())]
    assert [summary.done_before for summary, _ in unpack(read(batch))] == [1, 1]
    assert [path.stat().st_mtime_ns for path in sorted(folder.iterdir())] == before


def test_a_part_that_kills_its_processes_is_given_up(reader):
    read, folder = reader
    (folder / ".part-000000000.tries").write_bytes(b"." * MAX_TRIES)
    error = error_of(ClusterError, read, pa.table({"part": [0]}))
    assert "a.png" in str(error)


def test_another_model_on_a_node_is_refused(reader, tmp_path):
    form = ResultFormat(TableForm("pictures", "0" * 64))
    make = partial(
        PartReader,
        Reader,
        form,
        str(tmp_path / "list.parquet"),
        TableFolder(str(tmp_path)),
        tmp_path,
    )
    error_of(ModelError, make)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"engine": "ray"}, "engine"),
        ({"engine": "ray", "output": "x.csv"}, "engine"),
        ({"engine": "ray", "output": "x.parquet", "annotate": "seen"}, "annotate"),
        ({"ray_address": "auto"}, "ray_address"),
        ({"engine": "dask"}, "engine"),
    ],
)
def test_options_that_do_not_go_together(options, field, tmp_path):
    options = {
        name: tmp_path / value if name in ("output", "annotate") else value
        for name, value in options.items()
    }
    assert error_of(ConfigError, InferConfig.create, sources=("a",), **options).field == field


@pytest.mark.parametrize("name", ["a b.png", "100%.png", "7#2.png", "ä?.png"])
def test_remote_files_may_have_any_name(tmp_path, one_of_each, name):
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / name).write_bytes(cv2.imencode(".png", one_of_each[7])[1].tobytes())
    (address,) = manifest.list_remote(f"file://{folder}")
    assert isinstance(part_reader._load(address), ImageBytes)


def test_all_kinds_of_files_that_are_read_are_listed_at_an_address(tmp_path):
    for name in ("a.heic", "b.PDF", "c.png", "d.txt"):
        (tmp_path / name).touch()
    found = manifest.list_remote(f"file://{tmp_path}")
    assert [address.rpartition("/")[2] for address in found] == ["a.heic", "b.PDF", "c.png"]


def test_an_address_that_cannot_be_opened_is_a_failure():
    failure = part_reader._load("file:///no such place/a b.png")
    assert isinstance(failure, Failure)
    assert failure.source == "file:///no such place/a b.png"
