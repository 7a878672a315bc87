"""What a benchmark is asked to measure: its configuration, the models and their names."""

from pathlib import Path

import pytest
from support.errors import error_of

from digitkit.benchmark.bench_config import BenchConfig
from digitkit.benchmark.candidates import find_models, format_name
from digitkit.errors import ConfigError, InputNotFoundError, ModelError
from digitkit.models.registry import models_folder, shipped_files

FLOATS = (-0.1, float("nan"), float("inf"))


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("models", ((), "digits")),
        ("runtimes", ((), ("opencv", "opencv"), ("torch",), "opencv")),
        ("threads", ((), (1, 0), (10**9,), (1, 2, 1), (1.5,), 4)),
        ("batches", ((), (-1,), (10**20,))),
        ("workers", ((0,), (2, 2), 4)),
        *(("processes", (0, 1.5)), ("runs", (0, 1.5)), ("warmup_runs", (-1, 1.5))),
        *((name, FLOATS) for name in ("seconds", "warmup_seconds", "paced", "max_spread")),
    ],
)
def test_a_value_out_of_range(field, values):
    for value in values:
        assert error_of(ConfigError, BenchConfig, **{field: value}).field == field


def test_values_that_exclude_each_other():
    for field, changes in (
        ("recommend", {"recommend": True, "runtimes": ("opencv",)}),
        ("whole", {"whole": True, "runtimes": ("opencv",)}),
        ("data", {"data": Path("x"), "accuracy": False}),
    ):
        assert error_of(ConfigError, BenchConfig, **changes).field == field


def test_presets():
    config = BenchConfig.preset(runs=None)
    assert config == BenchConfig()
    assert (config.processes, config.runs, config.seconds, config.quick) == (5, 1024, 10, False)
    assert (config.reads_images, config.accuracy, config.paced) == (True, True, 10)
    quick = BenchConfig.preset(quick=True, runs=7)
    assert (quick.quick, quick.runs, quick.processes) == (True, 7, 2)
    settings = BenchConfig(data=Path("some/digits"), runtimes=("opencv",)).settings
    assert (settings.data, settings.whole) == ("some/digits", False)


@pytest.mark.parametrize(("cores", "threads"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4))])
def test_the_preset_for_a_recommendation(monkeypatch, cores, threads):
    monkeypatch.setattr("digitkit.benchmark.bench_config.usable_cores", lambda: cores)
    config = BenchConfig.preset(recommend=True)
    assert (config.threads, config.batches) == (threads, (1, 8, 64))
    assert (config.reads_images, config.paced) == (False, 0)
    assert BenchConfig.preset(recommend=True, threads=(3,), whole=True).threads == (3,)


def test_the_time_limit_is_longer_than_what_is_asked_for():
    for changes, seconds in (
        ({"paced": 0.001}, 10_000),  # 10 of 50 calls in each process
        ({"paced": 0.001, "quick": True, "processes": 2}, 5_000),
        ({"warmup_seconds": 5_000.0}, 5_000),
        ({"seconds": 5_000.0, "paced": 0.0}, 5_000),
    ):
        assert BenchConfig(**changes).time_limit > seconds
    assert BenchConfig(paced=1e-300).time_limit * 1000 < 2**31


TINY = "digits-tiny-int8"


def find_names(*models: object) -> list[str]:
    return [name for name, _ in find_models([str(model) for model in models])]


def test_models_are_found_by_name_by_stem_and_by_file_once(tmp_path, monkeypatch):
    assert find_names("digits") == ["digits-int8", "digits-fp32"]
    assert find_models([TINY]) == [(TINY, shipped_files(TINY)[0].resolve())]
    folder, file = models_folder(), f"{TINY}.onnx"
    monkeypatch.chdir(folder)
    same = (TINY, "digits-tiny", file, folder / file, f"../{folder.name}/{file}")
    assert find_names(*same) == [TINY, "digits-tiny-fp32"]
    # Different files of the same name have their paths as names.
    (tmp_path / file).write_bytes((folder / file).read_bytes())
    assert find_names(TINY, tmp_path / file) == [str(folder / file), str(tmp_path / file)]


def test_a_model_that_does_not_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("nothing", "none.onnx", "", "digits-int4"):
        error_of(InputNotFoundError, find_models, [name])
    for name in ("digits", "photos"):
        (tmp_path / name).mkdir()
    assert find_models(["digits"])[0][1] == shipped_files("digits")[0].resolve()
    error_of(ModelError, find_models, ["photos"])


def test_names_of_variants():
    assert format_name("m", "onnxruntime") == "m"
    assert format_name("m", "opencv", 2, 8) == "m, opencv, 2 threads, batch 8"
