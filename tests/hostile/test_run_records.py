"""Damaged ``run.json``: each gives a run or a `RunError`, and nothing else."""

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cli import run
from support.errors import error_of
from support.training import FAST, Silent, train_config

pytest.importorskip("torch")

from digitkit.errors import DigitkitError, RunError
from digitkit.training.record import read_record
from digitkit.training.run import resume, train

DROPPED = object()
VALUES = (DROPPED, None, "", "x" * 300, -1, 1e300, float("nan"), [], {})


def places(values: Any) -> Iterator[tuple[str | int, ...]]:
    """The path of every value below a JSON value."""
    if isinstance(values, dict | list):
        for key in list(values) if isinstance(values, dict) else range(len(values)):
            yield (key,)
            yield from ((key, *rest) for rest in places(values[key]))


def mutate(record: Any, place: tuple[str | int, ...], value: object) -> Any:
    """A copy with one value replaced or dropped."""
    changed = copy.deepcopy(record)
    parent = changed
    for key in place[:-1]:
        parent = parent[key]
    if value is DROPPED:
        del parent[place[-1]]
    else:
        parent[place[-1]] = value
    return changed


@pytest.fixture
def finished(fast_run, tmp_path):
    return shutil.copytree(fast_run.folder, tmp_path / "finished")


@pytest.fixture
def interrupted(few_digits, tmp_path):
    config = train_config(tmp_path / "interrupted", few_digits, FAST)
    error_of(KeyboardInterrupt, train, config, Silent(stop_after=1))
    return config.out


def write(folder: Path, record: Any) -> None:
    (folder / "run.json").write_text(json.dumps(record))


def test_every_damage_gives_a_record_or_an_error(finished):
    record = json.loads((finished / "run.json").read_text())
    del record["epochs"][1:], record["overrides"]["net"]
    record["versions"], record["best_epoch"] = {"digitkit": "1"}, 1
    outcomes = set()
    for place in places(record):
        for value in VALUES:
            write(finished, mutate(record, place, value))
            try:
                read_record(finished)
                outcomes.add("record")
            except RunError as error:
                outcomes.add("error")
                assert error.subject == str(finished / "run.json")
                assert len(str(error).splitlines()) == 1
    assert outcomes == {"record", "error"}


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b'{"format": 1' + b"0" * 5000 + b"}", b'{"format": NaN}', b"\xff\xfe"],
)
def test_no_json_of_a_record(finished, content):
    (finished / "run.json").write_bytes(content)
    assert error_of(RunError, read_record, finished).subject == str(finished / "run.json")


@pytest.mark.parametrize(
    ("place", "values"),
    [
        ("validation.temperature", (-1, 0, 1e-300, 1e300)), ("epochs", ([],)),
        ("validation.min_confidence", (-1, 1.5)), ("calibration.min_confidence", (-1, 1.5)),
        ("calibration.temperature", (-1, 0, 1e-300, 1e300)), ("calibration.source", ("", "init")),
        ("validation.count", (-1,)), ("data.train.count", (-1,)), ("test.accuracy", (-1, 1.5)),
        ("epochs.0.epoch", (0, 2, 10**30)), ("epochs.0.val_accuracy", (7,)),
        ("best_epoch", (None, 0, -1, 4)), ("threads", (0, 10**9)), ("wall_seconds", (-1,)),
        ("recipe.seed", (-1, 2**63, 10**30)), ("recipe.batch_size", (10**30,)),
        ("recipe.augmentation.scale", (-5, 1e300)), ("recipe.augmentation.noise", (2,)),
        ("recipe.learning_rate", (0, 1e300)),
    ],
)  # fmt: skip
def test_values_out_of_range(finished, place, values):
    record = json.loads((finished / "run.json").read_text())
    path = tuple(int(key) if key.isdigit() else key for key in place.split("."))
    for value in values:
        write(finished, mutate(record, path, value))
        error_of(RunError, read_record, finished)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("data", "source"), "x" * 300), (("data", "source"), "a\0b"), (("recipe", "name"), "a\0b"),
        (("status",), DROPPED), (("recipe",), DROPPED), (("data",), DROPPED),
        (("overrides",), DROPPED), (("calibration", "temperature"), -1),
    ],
)  # fmt: skip
def test_the_export_of_a_damaged_run(finished, place, value):
    record = json.loads((finished / "run.json").read_text())
    write(finished, mutate(record, place, value))
    before = sorted(finished.rglob("*"))
    assert run("export", finished).exit_code == 2
    assert sorted(finished.rglob("*")) == before


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("recipe", "optimizer"), "sgd"), (("recipe", "optimizer"), "adadelta"),
        (("data", "source"), "x" * 300), (("threads",), 10**9), (("recipe", "seed"), 2**63),
        (("status",), DROPPED),
    ],
)  # fmt: skip
def test_a_damaged_run_is_not_resumed(interrupted, place, value):
    write(interrupted, mutate(json.loads((interrupted / "run.json").read_text()), place, value))
    before = (interrupted / "run.json").read_bytes()
    assert error_of(DigitkitError, resume, interrupted, Silent())
    assert (interrupted / "run.json").read_bytes() == before


def test_the_start_of_a_resumed_run_may_be_gone(interrupted):
    (interrupted / "checkpoint.pt").unlink()
    record = json.loads((interrupted / "run.json").read_text())
    for name in ("x" * 300, "a\0b", ""):
        record["init"] = {"run": name, "recipe": "quick", "weights_sha256": ""}
        write(interrupted, record)
        error_of(DigitkitError, resume, interrupted, Silent())
