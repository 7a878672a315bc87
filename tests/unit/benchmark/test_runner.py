"""A benchmark from its configuration to its report, most of it with jobs that only pretend."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import reports

from digitkit.benchmark import candidates, rounds, runner, whole_images
from digitkit.benchmark.config import PACED_CALLS, BenchConfig
from digitkit.benchmark.job_calls import JobError
from digitkit.benchmark.job_results import (
    ImageReadings,
    InspectedFacts,
    ModelInspection,
    Score,
    StartedProgram,
    SteadyState,
)
from digitkit.benchmark.report import BenchReport
from digitkit.benchmark.runner import run_benchmark
from digitkit.datasets.load import load_test
from digitkit.errors import InputNotFoundError, ModelError, ReportError
from digitkit.models.registry import models_folder

TINY = "digits-tiny-int8"
SHORT = {
    "models": (TINY,), "processes": 1, "runs": 1, "seconds": 0, "warmup_runs": 0,
    "warmup_seconds": 0, "paced": 0, "whole": False, "accuracy": False, "command": "x",
    "max_spread": 1e9,
}  # fmt: skip


def short(**changes) -> BenchConfig:
    return BenchConfig(**(SHORT | changes))


def measure(**changes) -> BenchReport:
    return run_benchmark(short(**changes)).report


# --- real processes --------------------------------------------------------------------------


def test_a_real_run(quick_run, small_data):
    report, samples = quick_run.report, quick_run.samples
    assert report.quick
    assert [v.name for v in report.measured] == [TINY, f"{TINY}, batch 2"]
    assert set(samples) == {"0/0", "0/0/paced", "1/0", "1/0/paced"}
    closed = (samples["0/0"], samples["1/0"])
    for variant, taken in zip(report.measured, closed, strict=True):
        assert taken.dtype == np.int64
        assert len(taken) == variant.latency.runs >= 64
        assert variant.p50_us == pytest.approx(np.median(taken) / 1000)
        assert variant.p50_low_us == variant.p50_high_us == variant.p50_us
        assert variant.images_per_second == pytest.approx(variant.batch / variant.p50_us * 1e6)
        assert variant.latency.p999_us is None or variant.latency.runs >= 10_000
        assert (variant.accuracy_count, variant.accuracy > 0.95) == (300, True)
        assert min(variant.import_ms, variant.create_ms, variant.first_ms) > 0
        assert variant.options["intra_op_num_threads"] == 1
        assert variant.options["session.intra_op.allow_spinning"] == "0"
        assert (variant.paced.hz, variant.paced.calls) == (250, 10)
        (together,) = variant.throughput
        assert (together.workers, together.error) == (2, None)
        assert together.images_per_second > 0
    first, second = report.measured
    assert first.ratio == 1.0
    assert second.ratio == pytest.approx(second.p50_us / 2 / first.p50_us)
    assert [s.picture for s in report.stages] == ["28×28", "640×480", "12 MP"]
    assert [s.digits for s in report.stages] == [1, 12, 12]
    assert [c.model for c in report.cold_starts] == [TINY, whole_images.INTERPRETER]
    ours, bare = report.cold_starts
    assert ours.min_ms <= ours.p50_ms <= ours.max_ms
    # Not by their times: a machine that stalls may do so during the one start of either kind.
    assert bare.peak_mb is None or bare.peak_mb < ours.peak_mb
    (facts,) = report.models
    assert facts.card_accuracy > 0.99
    assert report.settings.data == str(small_data)
    assert report.environment.versions["onnxruntime"]


def test_models_and_runtimes_that_cannot_be_loaded(monkeypatch, tmp_path):
    """Ratios refer to the first variant that works; samples are numbered as the variants."""
    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino/__init__.py").write_text("raise ImportError('libtbb.so.12: no such')")
    monkeypatch.syspath_prepend(tmp_path)
    bad, detector = tmp_path / "bad.onnx", models_folder() / "finder.onnx"
    bad.write_bytes(b"garbage")
    result = run_benchmark(
        short(models=(str(bad), str(detector), TINY), runtimes=("openvino", "onnxruntime"))
    )
    report = result.report
    *broken, other, ours = report.variants
    assert [v.error.partition(": ")[0] for v in broken] == [*[bad.name] * 2, *[detector.name] * 2]
    assert report.models[0].sha256 == hashlib.sha256(b"garbage").hexdigest()
    assert other.name == f"{TINY}, openvino"
    assert "libtbb.so.12" in other.error
    assert "pip install openvino" in other.error
    assert (ours.error, ours.ratio, other.ratio) == (None, 1.0, None)
    assert set(result.samples) == {"5/0"}
    report = measure(models=(str(bad),), whole=True, accuracy=True, workers=(2,))
    assert (report.measured, report.stages, report.cold_starts) == ((), (), ())


def test_a_real_third_party_model_of_one_image(tmp_path, small_data):
    """Its score for 3 is the mean of the upper half of the image."""
    onnx = pytest.importorskip("onnx")
    weights = np.zeros((784, 10), np.float32)
    weights[:392, 3] = 1
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Flatten", ["pixels"], ["flat"]),
            onnx.helper.make_node("MatMul", ["flat", "w"], ["scores"]),
        ],
        "g",
        [onnx.helper.make_tensor_value_info("pixels", 1, [1, 1, 28, 28])],
        [onnx.helper.make_tensor_value_info("scores", 1, [1, 10])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    path = tmp_path / "other.onnx"
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    report = measure(models=(str(path),), batches=(1, 2), accuracy=True, data=small_data)
    one, two = report.variants
    labels = load_test(small_data).labels
    assert one.accuracy == pytest.approx((labels == 3).mean())
    assert one.accuracy_count == 300
    assert two.error.startswith(f"{path.name}: ")
    (facts,) = report.models
    assert (facts.precision, facts.opset, facts.card_accuracy) == (None, 17, None)
    assert (facts.parameters, facts.op_counts) == (7840, {"Flatten": 1, "MatMul": 1})


# --- jobs that pretend -----------------------------------------------------------------------


class Jobs:
    """Answers for the fresh processes."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict]] = []
        self.medians: dict[str, list[int | list[int]]] = {}  # a list: calls, over and over
        self.clocks: list[tuple[tuple[float, ...], ...]] = []
        self.errors: dict[str, str] = {}
        self.fixed_batch = False

    def run(self, limit, job, **values):
        self.asked.append((job.__name__, values))
        if job.__name__ in self.errors:
            raise JobError(self.errors[job.__name__])
        return getattr(self, job.__name__)(**values)

    def inspect_model(self, model):
        own = "digits" in model
        facts = InspectedFacts(
            "0" * 64, 1, "int8" if own else None, 0.995 if own else None, 10_000 if own else None
        )
        return ModelInspection("1.32.0", "x", self.fixed_batch, facts)

    def measure_accuracy(self, **values):
        return Score(99, 100, "some digits")

    def measure_stages(self, pictures, runs, **values):
        return [ImageReadings(1, ((1.0, 2.0, 3.0, 4.0, 10.0),) * count) for count in runs]

    def start_program(self, command):
        return StartedProgram(100.0, None)

    def measure_steady(self, model, samples, **values):
        asked = [v for v in self.calls("measure_steady") if v["model"] == model]
        medians = self.medians.get(Path(model).stem, [30_000])
        np.save(samples, np.resize(medians[(len(asked) - 1) % len(medians)], 10))
        clocks = self.clocks.pop(0) if self.clocks else ((), ())
        return SteadyState(1.0, 2.0, 3.0, None, None, None, 0.05, clocks, None, {})

    def calls(self, job: str) -> list[dict]:
        return [values for name, values in self.asked if name == job]


@pytest.fixture
def jobs(monkeypatch):
    fake = Jobs()
    for module in (candidates, rounds, whole_images):
        monkeypatch.setattr(module, "run_job", fake.run)
    return fake


@pytest.fixture
def conditions(monkeypatch):
    """The conditions before and after; calm unless a test changes them."""
    moments = {"before": reports.CALM, "after": reports.CALM}
    turn = iter(("before", "after"))
    monkeypatch.setattr(runner, "read_machine", lambda: reports.MACHINE)
    monkeypatch.setattr(runner, "read_conditions", lambda: moments[next(turn)])
    return moments


def test_variants_take_turns(jobs):
    measure(models=("digits",), processes=3)
    order = [Path(values["model"]).stem for values in jobs.calls("measure_steady")]
    assert order == [
        *("digits-int8", "digits-fp32"), *("digits-fp32", "digits-int8"),
        *("digits-int8", "digits-fp32"),
    ]  # fmt: skip


def test_the_length_is_divided_among_the_processes(jobs):
    measure(processes=3, runs=100, seconds=6.0, paced=10, warmup_runs=7, warmup_seconds=0.5)
    for values in jobs.calls("measure_steady"):
        assert (values["runs"], values["seconds"]) == (34, 2.0)
        assert (values["warmup_runs"], values["warmup_seconds"]) == (7, 0.5)
        assert values["paced_calls"] * 3 >= PACED_CALLS


def test_medians_of_processes_and_ratios_of_pairs_in_the_same_round(jobs):
    """A slow round is slow for both."""
    jobs.medians = {
        "digits-int8": [10_000, 20_000, 11_000], "digits-fp32": [15_000, 30_000, 17_600]
    }  # fmt: skip
    first, second = measure(models=("digits",), processes=3).measured
    assert (first.p50_us, first.p50_low_us, first.p50_high_us) == (11, 10, 20)
    assert first.spread == pytest.approx(10 / 11)
    assert [process.p50_us for process in first.processes] == [10, 20, 11]
    assert (first.ratio, second.ratio) == (1.0, 1.5)


@pytest.mark.parametrize("batches", [(1,), (3,)])
def test_the_first_variants_own_ratio_is_1_to_the_last_bit(jobs, batches):
    """Where the median lies between two calls, two ways to compute it may differ in the last."""
    jobs.medians[TINY] = [[ns, ns + 1] for ns in (28_000, 28_002, 28_003)]
    (variant,) = measure(processes=3, batches=batches).measured
    assert variant.ratio == 1.0


def test_the_ratio_is_per_image(jobs):
    report = measure(batches=(1, 4))
    assert [v.ratio for v in report.measured] == [1.0, 0.25]
    assert report.measured[1].images_per_second == pytest.approx(4 / 30e-6)


def test_whole_images_cold_starts_and_progress(jobs):
    steps = []
    report = run_benchmark(
        short(models=("digits-int8",), processes=2, accuracy=True, whole=True),
        lambda what, done, total: steps.append((done, total)),
    ).report
    assert steps == [(done, len(steps)) for done in range(len(steps))]
    assert [stages.runs for stages in report.stages] == [80, 40, 8]
    assert (report.stages[0].locate_ms, report.stages[0].total_ms) == (2, 10)
    assert [start.runs for start in report.cold_starts] == [4, 4]


def test_a_variant_that_fails_is_not_tried_again(jobs):
    jobs.errors["measure_steady"] = "the process was killed by SIGKILL"
    report = measure(processes=3, accuracy=True, workers=(2,))
    (variant,) = report.variants
    assert (variant.error, variant.p50_us) == (jobs.errors["measure_steady"], None)
    assert variant.model_sha256 is not None
    assert [job for job, _ in jobs.asked] == ["inspect_model", "measure_steady"]


def test_what_fails_does_not_cost_the_other_figures(jobs, monkeypatch):
    """A small board runs out of memory at 12 megapixels."""

    def fail(limit, workers, **values):
        raise JobError("one of 2 processes: died")

    monkeypatch.setattr(rounds, "run_throughput", fail)
    jobs.errors = {
        "measure_stages": "out of memory", "start_program": "killed", "measure_accuracy": "lost"
    }  # fmt: skip
    report = measure(whole=True, workers=(2,), accuracy=True)
    (variant,) = report.measured
    assert {stage.error for stage in report.stages} == {"out of memory"}
    assert {start.error for start in report.cold_starts} == {"killed"}
    assert (variant.accuracy, variant.accuracy_note) == (None, "lost")
    (several,) = variant.throughput
    assert (several.images_per_second, several.error) == (None, "one of 2 processes: died")


# --- accuracy, input scales, batches ---------------------------------------------------------


def test_accuracy_is_measured_in_the_batches_that_are_timed(jobs, small_data):
    report = measure(threads=(1, 2), batches=(1, 8), accuracy=True, data=small_data)
    assert [values["batch"] for values in jobs.calls("measure_accuracy")] == [1, 8]
    assert {(v.accuracy, v.accuracy_data) for v in report.variants} == {(0.99, "some digits")}


def test_without_mnist(jobs, monkeypatch):
    monkeypatch.setattr("digitkit.benchmark.config.find_mnist", lambda split: None)
    report = measure(accuracy=True)
    (variant,) = report.variants
    assert (variant.accuracy, report.models[0].card_accuracy) == (None, 0.995)
    assert "--data" in variant.accuracy_note
    assert jobs.calls("measure_accuracy") == []


def test_missing_data_is_reported_at_once(jobs, tmp_path):
    with pytest.raises(InputNotFoundError):
        measure(accuracy=True, data=tmp_path / "none")
    assert jobs.asked == []


@pytest.fixture
def other(tmp_path) -> str:
    """A third-party model."""
    (tmp_path / "other.onnx").write_bytes(b"x")
    return str(tmp_path / "other.onnx")


@pytest.mark.parametrize(("given", "used"), [(None, 1 / 255), (0.5, 0.5)])
def test_input_scales(jobs, other, given, used):
    measure(models=(TINY, other), input_scale=given)
    assert [v["scale"] for v in jobs.calls("measure_steady")] == [None, used]


def test_what_no_model_can_satisfy(jobs, other):
    with pytest.raises(ModelError) as error:
        measure(input_scale=0.5)
    assert error.value.subject == TINY
    with pytest.raises(ReportError) as error:
        measure(models=(other,), recommend=True)
    assert error.value.subject == "other"
    assert jobs.calls("measure_steady") == []


def test_a_fixed_batch(jobs, other):
    jobs.fixed_batch = True
    single, several = measure(models=(other,), batches=(1, 8), accuracy=True).variants
    assert (single.error, several.p50_us) == (None, None)
    assert several.error.startswith("other.onnx: ")
    for job in ("measure_steady", "measure_accuracy"):
        assert [values["batch"] for values in jobs.calls(job)] == [1]


# --- trust -----------------------------------------------------------------------------------


def test_findings_and_their_sentences(jobs, conditions):
    jobs.medians[TINY] = [30_000, 40_000]
    conditions["after"] = replace(reports.CALM, throttled=0x40004, cpu_seconds=(60.0, 200.0))
    report = measure(processes=2, max_spread=0.28)
    assert [(f.kind, f.variant) for f in report.findings] == [
        ("throttled", None), ("other_load", None), ("spread", TINY),
    ]  # fmt: skip
    assert not report.valid
    assert report.invalid == (
        "throttled during the run",
        f"{TINY}: its processes differ by 29%, more than 28%",
    )
    assert report.noisy == ("other processes used 50% of the CPU time during the run",)


def test_a_calm_run_is_valid_up_to_the_limit_of_the_spread(jobs, conditions):
    jobs.medians[TINY] = [30_000, 40_000]
    report = measure(processes=2, max_spread=0.29)
    assert (report.valid, report.invalid, report.noisy, report.findings) == (True, (), (), ())
    assert report.environment.governor == "ondemand"


@pytest.mark.parametrize(
    ("clocks", "fall"),
    [
        ([((2400.0,), (2400.0,)), ((2400.0,), (2300.0,))], None),
        ([((2400.0,), (2400.0,)), ((2400.0,), (1800.0,))], (2400, 1800)),
        ([((2400.0,), (1800.0,)), ((2400.0,), (2400.0,))], (2400, 1800)),  # and recovered
        (  # three idle cores do not hide it
            [((800.0, 800, 800, 3000), (800.0,) * 4), ((800.0,) * 4, (800.0, 800, 2000, 800))],
            (3000, 800),
        ),
        # nor do cores that fall idle mean anything
        ([((2800.0, 3000, 2900), (3000.0, 800, 800))] * 2, None),
        ([((), ())] * 2, None),
    ],
)
def test_a_clock_that_falls(jobs, conditions, clocks, fall):
    jobs.clocks = clocks
    report = measure(processes=2)
    assert report.valid is (fall is None)
    assert [f.frequencies_mhz for f in report.findings] == ([] if fall is None else [fall])
