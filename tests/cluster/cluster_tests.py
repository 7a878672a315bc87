"""``digitkit infer --engine ray`` on a cluster of three nodes, which are processes of this machine.

Whatever is lost while it reads, each file is in the table once. `make test-cluster` runs this: it
takes minutes, so the other tests leave it out by its name.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import IO
from urllib.parse import unquote

import numpy as np
import pytest
from support.cli import run
from support.documents import pages_of, write_tiff
from support.object_store import BUCKET, KEYS, object_store
from support.paths import ROOT

from digitkit.cluster.ray_job import import_ray
from digitkit.cluster.stores import locate
from digitkit.images.cv import cv2
from digitkit.system.run_file import run_file_path

ray = import_ray()
psutil = pytest.importorskip("psutil")
pq = pytest.importorskip("pyarrow.parquet")

from ray.cluster_utils import Cluster

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ENV = {**os.environ, "PYTHONPATH": f"{ROOT}"}
PAGES = 60


@pytest.fixture(scope="module")
def cluster():
    """A head and two nodes, of a CPU each."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    made.add_node(num_cpus=1)
    try:
        yield made
    finally:
        made.shutdown()


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    """Pages of 640×480 that differ."""
    folder = tmp_path_factory.mktemp("pages")
    page = cv2.resize(cv2.imread(str(ROOT / "data/samples/page.jpg")), (640, 480))
    for i in range(PAGES):
        moved = np.roll(page, (i % 11 - 5, i % 7 - 3), (0, 1))
        (folder / f"{i:04d}.jpg").write_bytes(cv2.imencode(".jpg", moved)[1].tobytes())
    return folder


def start(
    cluster, pages: Path | str, output: Path, *options: object, stdin: IO | int | None = None
) -> subprocess.Popen:
    command = [
        *(sys.executable, "-m", "digitkit", "infer", pages, "--output", output, *options),
        *("--engine", "ray", "--ray-address", cluster.address),
    ]
    return subprocess.Popen(
        [str(part) for part in command], env=ENV, stdin=stdin, stderr=subprocess.PIPE, text=True
    )


def wait_for_parts(process: subprocess.Popen, output: Path, count: int) -> None:
    """Wait until so many parts are there, which are not all."""
    deadline = time.monotonic() + 120
    while len(list(output.glob("part-0*.parquet"))) < count:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def finish(process: subprocess.Popen, code: int = 0) -> str:
    try:
        errors = process.communicate(timeout=200)[1]
    finally:
        process.kill()
    assert process.returncode == code, errors
    return errors


def assert_each_once(output: Path, pages: Path) -> None:
    found = Counter(pq.read_table(output)["source"].to_pylist())
    assert found == Counter(str(path) for path in pages.iterdir())


def readers() -> list[int]:
    """The processes that read."""
    found = psutil.process_iter(["name", "cmdline"])
    return [each.pid for each in found if "MapWorker" in " ".join(each.info["cmdline"] or ())]


def test_the_table_is_that_of_one_machine(cluster, tmp_path, one_of_each, digit_file, monkeypatch):
    for digit in range(10):
        digit_file(digit, f"scans/{digit}.png")
    digit_file(4, "scans/large.png", size=200)
    (tmp_path / "scans/bad.png").write_bytes(b"no image")
    write_tiff(tmp_path / "scans/document.tiff", pages_of(one_of_each, "12345"))
    monkeypatch.chdir(tmp_path)
    for rows in ("pictures", "numbers"):
        more = ("none.png", "scans/document.tiff#2", "--rows", rows, "--pattern", "[1-7]")
        here = run("infer", "scans", *more, "--output", f"here-{rows}.parquet")
        there = finish(start(cluster, "scans", f"there-{rows}.parquet", *more), code=1)
        tables = [
            pq.read_table(f"{where}-{rows}.parquet").drop_columns(["time", "ms"])
            for where in ("here", "there")
        ]
        columns = ["source", "page", *(["number"] if rows == "numbers" else [])]
        first, second = (
            table.sort_by([(name, "ascending") for name in columns]) for table in tables
        )
        assert first.equals(second)
        for errors in (here.stderr, there):
            assert "bad.png" in errors
            assert "none.png" in errors


def test_a_killed_process_loses_nothing(cluster, pages, tmp_path):
    output = tmp_path / "out.parquet"
    process = start(cluster, pages, output)
    wait_for_parts(process, output, 2)
    victims = readers()
    os.kill(victims[0], 9)
    finish(process)
    assert_each_once(output, pages)


def test_a_node_goes_and_another_joins(cluster, pages, tmp_path):
    output = tmp_path / "out.parquet"
    process = start(cluster, pages, output)
    wait_for_parts(process, output, 2)
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    cluster.add_node(num_cpus=1)
    finish(process)
    assert_each_once(output, pages)


def test_a_killed_driver_is_resumed(cluster, pages, tmp_path):
    output = tmp_path / "out.parquet"
    process = start(cluster, pages, output)
    wait_for_parts(process, output, 3)
    process.kill()
    process.communicate()
    before = {path: path.stat().st_mtime_ns for path in output.glob("part-*.parquet")}
    for path in before:
        pq.read_table(path)  # each is whole
    assert "--resume" in finish(start(cluster, pages, output), code=2)
    errors = finish(start(cluster, pages, output, "--resume"))
    assert "were read before" in errors
    assert_each_once(output, pages)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


def test_a_second_driver_leaves_the_first_alone(cluster, pages, tmp_path):
    output = tmp_path / "out.parquet"
    first = start(cluster, "-", output, stdin=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not run_file_path(output).exists():
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for more in ((), ("--resume",)):  # the first waits for its list
        assert "another run" in finish(start(cluster, pages, output, *more), code=1)
    first.stdin.write("".join(f"{path}\n" for path in pages.iterdir()))
    first.stdin.close()
    first.stdin = None
    finish(first)
    assert_each_once(output, pages)


def test_what_cannot_be_reached_is_one_line(digit_file, tmp_path):
    process = subprocess.run(
        [
            *(sys.executable, "-m", "digitkit", "infer", digit_file(1), "--engine", "ray"),
            *("--output", tmp_path / "x.parquet", "--ray-address", "127.0.0.1:1"),
        ],
        env=ENV, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith("digitkit: 127.0.0.1:1: ")
    assert "Traceback" not in process.stderr
    assert not list(tmp_path.glob("x.*"))


def test_addresses_are_read_through_pyarrow(cluster, pages, tmp_path):
    """A file's address stands for an object store's, which pyarrow opens in the same way."""
    output = tmp_path / "out.parquet"
    some = tmp_path / "some"
    some.mkdir()
    for path in sorted(pages.iterdir())[:5]:
        (some / path.name).write_bytes(path.read_bytes())
    finish(start(cluster, f"file://{some}", output, f"file://{some}/none.png"), code=1)
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"file://{path}\n" for path in [*some.iterdir(), some / "none.png"]))
    with listed.open() as stdin:
        finish(start(cluster, "-", tmp_path / "listed.parquet", stdin=stdin), code=1)
    rows, again = (
        table.sort_by("source").drop_columns(["time", "ms"]).to_pylist()
        for table in map(pq.read_table, (output, tmp_path / "listed.parquet"))
    )
    assert rows == again
    assert Counter(bool(row["error"]) for row in rows) == {False: 5, True: 1}
    here = run("infer", some, "--output", tmp_path / "here.parquet")
    assert here.exit_code == 0
    texts = {Path(row["source"]).name: row["text"] for row in rows if not row["error"]}
    expected = pq.read_table(tmp_path / "here.parquet").to_pylist()
    assert texts == {Path(row["source"]).name: row["text"] for row in expected}


def test_an_object_store_is_read_and_written(pages, tmp_path):
    images = dict(zip(("a b.png", "7#2.png", "100%.jpg", "ä.jpg"), pages.iterdir(), strict=False))
    with object_store() as (client, end):
        for name, path in images.items():
            client.put_object(Bucket=BUCKET, Key=f"in/{name}", Body=path.read_bytes())
        names = [f"s3://{BUCKET}{name}{end}" for name in ("/in", "/none.png", "/none", "-no/x")]
        output = f"s3://{BUCKET}/out/readings.parquet{end}"
        command = [
            *(sys.executable, "-m", "digitkit", "infer", *names, "--output", output),
            *("--engine", "ray"),
        ]
        env = {**ENV, **KEYS, "AWS_SECRET_ACCESS_KEY": "geheim-1"}
        for code, more in ((1, []), (0, ["--resume"]), (2, [])):
            process = subprocess.run(
                [*command, *more],
                **{"env": env, "cwd": tmp_path, "capture_output": True, "text": True},
                timeout=200,
            )
            assert process.returncode == code, process.stderr
            if more:
                assert "nothing new to read" in process.stderr
        assert "belongs to a run that can be continued" in process.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["readings.parquet.run"]
        system, path = locate(output)
        rows = {row["source"]: row for row in pq.read_table(path, filesystem=system).to_pylist()}
        keys = [each["Key"] for each in client.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert not any(key.endswith(".tries") for key in keys)
    assert {rows.pop(name)["error"] for name in names[1:]} == {"does not exist"}
    assert {unquote(name.removesuffix(end)) for name in rows} == {
        f"s3://{BUCKET}/in/{name}" for name in images
    }
    assert all(row["text"] for row in rows.values())
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or b"geheim" not in path.read_bytes()


STATISTICS = """
from digitkit.cluster.ray_job import import_ray
from digitkit.cluster.stores import locate
ray = import_ray()
from ray._common.usage import usage_lib
ray.init('local', num_cpus=1, include_dashboard=False, log_to_driver=False)
here = usage_lib.usage_stats_enabled()
there = ray.get(ray.remote(lambda: usage_lib.usage_stats_enabled()).remote())
print(here, there)
"""


def test_usage_statistics_are_off():
    env = {name: value for name, value in ENV.items() if name != "RAY_USAGE_STATS_ENABLED"}
    process = subprocess.run(
        [sys.executable, "-c", STATISTICS], env=env, capture_output=True, text=True, timeout=200
    )
    assert process.stdout.split() == ["False", "False"], process.stderr


@pytest.mark.parametrize("cpus", [1, 2])
def test_small_clusters_do_not_stand_still(pages, tmp_path, cpus):
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus})
    try:
        too_many = start(made, pages, tmp_path / "no.parquet", "--workers", cpus + 1)
        assert f"at most {cpus}" in " ".join(finish(too_many, code=2).split())
        finish(start(made, pages, tmp_path / "out.parquet", "--workers", cpus))
    finally:
        made.shutdown()
    assert_each_once(tmp_path / "out.parquet", pages)
