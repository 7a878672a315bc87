"""A benchmark from its configuration to its report, most of it with jobs that only pretend."""

import hashlib
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import reports
from support.errors import error_of

from digitkit.benchmark import candidates, job_results, rounds, runner, whole_images
from digitkit.benchmark.bench_config import PACED_CALLS, BenchConfig
from digitkit.benchmark.job_calls import JobError
from digitkit.benchmark.report import BenchResult
from digitkit.benchmark.runner import run_benchmark
from digitkit.benchmark.variants import Throughput
from digitkit.datasets.load import load_test
from digitkit.errors import InputNotFoundError, ModelError, ReportError
from digitkit.models.registry import models_folder

TINY = "digits-tiny-int8"
SHORT = {
    "models": (TINY,), "processes": 1, "runs": 1, "seconds": 0, "warmup_runs": 0,
    "warmup_seconds": 0, "paced": 0, "whole": False, "accuracy": False, "command": "x",
    "max_spread": 1e9,
}  # fmt: skip


def measure(progress=lambda what, done, total: None, **changes) -> BenchResult:
    return run_benchmark(BenchConfig(**(SHORT | changes)), progress)


def test_a_real_run(quick_run, small_data):
    report, samples = quick_run.report, quick_run.samples
    assert report.quick
    assert [v.name for v in report.measured] == [TINY, f"{TINY}, batch 2"]
    assert set(samples) == {"0/0", "0/0/paced", "1/0", "1/0/paced"}
    for place, variant in enumerate(report.measured):
        durations = samples[f"{place}/0"]
        assert durations.dtype == np.int64
        assert len(durations) == variant.latency.runs >= 64
        assert variant.p50_us == pytest.approx(np.median(durations) / 1000)
        assert variant.p50_low_us == variant.p50_high_us == variant.p50_us
        assert variant.images_per_second == pytest.approx(variant.batch / variant.p50_us * 1e6)
        assert (variant.accuracy_count, variant.accuracy > 0.95) == (300, True)
        assert min(variant.import_ms, variant.create_ms, variant.first_ms) > 0
        assert variant.options["session.intra_op.allow_spinning"] == "0"
        assert (variant.paced.hz, variant.paced.calls) == (250, 10)
        (throughput,) = variant.throughput
        assert (throughput.workers, throughput.images_per_second > 0) == (2, True)
    first, second = report.measured
    assert (first.ratio, second.ratio) == (1, pytest.approx(second.p50_us / 2 / first.p50_us))
    digits = {stages.picture: stages.digits for stages in report.stages}
    assert digits == {"28×28": 1, "640×480": 12, "12 MP": 12}
    assert [start.model for start in report.cold_starts] == [TINY, whole_images.INTERPRETER]
    ours, bare = report.cold_starts
    assert ours.min_ms <= ours.p50_ms <= ours.max_ms
    # Not by their times: a machine that stalls may do so during the one start of either kind.
    assert bare.peak_mb is None or bare.peak_mb < ours.peak_mb
    assert report.models[0].card_accuracy > 0.99
    assert report.settings.data == str(small_data)
    assert report.environment.versions["onnxruntime"]


def test_models_and_runtimes_that_cannot_be_loaded(monkeypatch, tmp_path):
    """Ratios refer to the first variant that works; samples are numbered as the variants."""
    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino/__init__.py").write_text("raise ImportError('libtbb.so.12: no such')")
    monkeypatch.syspath_prepend(tmp_path)
    bad, detector = tmp_path / "bad.onnx", models_folder() / "finder.onnx"
    bad.write_bytes(b"garbage")
    models = (str(bad), str(detector), TINY)
    result = measure(models=models, runtimes=("openvino", "onnxruntime"))
    *broken, other, ours = result.report.variants
    assert [v.error.partition(": ")[0] for v in broken] == [*[bad.name] * 2, *[detector.name] * 2]
    assert result.report.models[0].sha256 == hashlib.sha256(b"garbage").hexdigest()
    assert other.name == f"{TINY}, openvino"
    assert "libtbb.so.12" in other.error
    assert "pip install openvino" in other.error
    assert (ours.error, ours.ratio, other.ratio) == (None, 1.0, None)
    assert set(result.samples) == {"5/0"}
    report = measure(models=(str(bad),), whole=True, accuracy=True, workers=(2,)).report
    assert (report.measured, report.stages, report.cold_starts) == ((), (), ())


def test_a_real_third_party_model_of_one_image(tmp_path, small_data):
    """Its score for 3 is the mean of the upper half of the image."""
    onnx = pytest.importorskip("onnx")
    weights = np.zeros((784, 10), np.float32)
    weights[:392, 3] = 1
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> '
        "g (float[1, 1, 28, 28] pixels) => (float[1, 10] scores) "
        "{ flat = Flatten(pixels) scores = MatMul(flat, w) }"
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    path = tmp_path / "other.onnx"
    onnx.save(model, path)
    report = measure(models=(str(path),), batches=(1, 2), accuracy=True, data=small_data).report
    single, double = report.variants
    assert single.accuracy == pytest.approx((load_test(small_data).labels == 3).mean())
    assert single.accuracy_count == 300
    assert double.error.startswith(f"{path.name}: ")
    (facts,) = report.models
    assert (facts.precision, facts.opset, facts.card_accuracy) == (None, 17, None)
    assert (facts.parameters, facts.op_counts) == (7840, {"Flatten": 1, "MatMul": 1})


class Jobs:
    """Answers for the fresh processes."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict]] = []
        self.samples: dict[str, list] = {}  # of each round, nanoseconds
        self.clocks: list[tuple[tuple[float, ...], ...]] = []
        self.errors: dict[str, str] = {}
        self.fixed_batch = False

    def run(self, limit, job, **values):
        self.calls.append((job.__name__, values))
        if job.__name__ in self.errors:
            raise JobError(self.errors[job.__name__])
        return getattr(self, job.__name__)(**values)

    def get_calls(self, job: str) -> list[dict]:
        return [values for name, values in self.calls if name == job]

    def inspect_model(self, model, name):
        card = ("int8", 0.995, 10_000) if "digits" in model else (None, None, None)
        fields = ("precision", "card_accuracy", "card_count")
        stated = dict(zip(fields, card, strict=True))
        facts = job_results.ModelFacts(name, Path(model).name, "0" * 64, 1, **stated)
        return job_results.ModelInspection("1.32.0", "x", self.fixed_batch, facts)

    def measure_accuracy(self, **values):
        return job_results.Score(99, 100, "some digits")

    def measure_stages(self, pictures, runs, **values):
        steps = (1.0, 2.0, 3.0, 4.0, 10.0)
        return [job_results.ImageReadings(1, (steps,) * count) for count in runs]

    def start_program(self, command, seconds):
        return job_results.StartedProgram(100.0, None)

    def measure_steady(self, model, samples, **values):
        number = sum(call["model"] == model for call in self.get_calls("measure_steady")) - 1
        rounds_ = self.samples.get(Path(model).stem, [30_000])
        np.save(samples, np.resize(rounds_[number % len(rounds_)], 10))
        clocks = self.clocks.pop(0) if self.clocks else ((), ())
        return job_results.SteadyState(1.0, 2.0, 3.0, None, None, None, 0.05, clocks, None, {})


@pytest.fixture
def jobs(monkeypatch):
    fake = Jobs()
    for module in (candidates, rounds, whole_images):
        monkeypatch.setattr(module, "run_job", fake.run)
    return fake


@pytest.fixture
def conditions(monkeypatch):
    """The conditions before and after; calm unless a test changes them."""
    moments, turn = [reports.CALM, reports.CALM], itertools.cycle((0, 1))
    monkeypatch.setattr(runner, "read_machine", lambda: reports.MACHINE)
    monkeypatch.setattr(runner, "read_conditions", lambda: moments[next(turn)])
    return moments


def test_variants_take_turns_and_share_the_length(jobs):
    length = {"runs": 100, "seconds": 6.0, "paced": 10, "warmup_runs": 7, "warmup_seconds": 0.5}
    measure(models=("digits",), processes=3, **length)
    calls = jobs.get_calls("measure_steady")
    order = [Path(values["model"]).stem.removeprefix("digits-") for values in calls]
    assert order == ["int8", "fp32", "fp32", "int8", "int8", "fp32"]
    for values in calls:
        assert (values["runs"], values["seconds"]) == (34, 2.0)
        assert (values["warmup_runs"], values["warmup_seconds"]) == (7, 0.5)
        assert values["paced_calls"] * 3 >= PACED_CALLS


def test_medians_of_processes_and_ratios_of_pairs_in_the_same_round(jobs):
    """A slow round is slow for both."""
    jobs.samples["digits-int8"] = [10_000, 20_000, 11_000]
    jobs.samples["digits-fp32"] = [15_000, 30_000, 17_600]
    first, second = measure(models=("digits",), processes=3).report.measured
    assert (first.p50_us, first.p50_low_us, first.p50_high_us) == (11, 10, 20)
    assert first.spread == pytest.approx(10 / 11)
    assert [process.p50_us for process in first.processes] == [10, 20, 11]
    assert (first.ratio, second.ratio) == (1.0, 1.5)


def test_ratios_are_per_image_and_the_first_is_1_to_the_last_bit(jobs):
    """Where the median lies between two calls, two ways to compute it may differ in the last."""
    jobs.samples[TINY] = [[ns, ns + 1] for ns in (28_000, 28_000, 28_002, 28_002, 28_003, 28_003)]
    for batch in (1, 3):
        first, second = measure(processes=3, batches=(batch, 4 * batch)).report.measured
        assert (first.ratio, second.ratio) == (1.0, 0.25)
        assert second.images_per_second == pytest.approx(4 * batch / second.p50_us * 1e6)


def test_whole_images_cold_starts_and_progress(jobs):
    steps = []
    report = measure(
        lambda what, done, total: steps.append((done, total)),
        models=("digits-int8",), processes=2, accuracy=True, whole=True,
    ).report  # fmt: skip
    assert steps == [(done, len(steps)) for done in range(len(steps))]
    assert [stages.runs for stages in report.stages] == [80, 40, 8]
    assert (report.stages[0].locate_ms, report.stages[0].total_ms) == (2, 10)
    assert [start.runs for start in report.cold_starts] == [4, 4]


def test_a_variant_that_fails_is_not_tried_again(jobs):
    jobs.errors["measure_steady"] = "killed"
    (variant,) = measure(processes=3, accuracy=True, workers=(2,)).report.variants
    assert (variant.error, variant.p50_us, variant.model_sha256) == ("killed", None, "0" * 64)
    assert [job for job, _ in jobs.calls] == ["inspect_model", "measure_steady"]


def test_what_fails_does_not_cost_the_other_figures(jobs, monkeypatch):
    """A small board runs out of memory at 12 megapixels."""

    def fail(limit, workers, **values):
        raise JobError("one of 2 processes: died")

    monkeypatch.setattr(rounds, "run_throughput", fail)
    jobs.errors = {"measure_stages": "memory", "start_program": "killed", "measure_accuracy": "no"}
    report = measure(whole=True, workers=(2,), accuracy=True).report
    (variant,) = report.measured
    assert {stage.error for stage in report.stages} == {"memory"}
    assert {start.error for start in report.cold_starts} == {"killed"}
    assert (variant.accuracy, variant.accuracy_note) == (None, "no")
    assert variant.throughput == (Throughput(2, None, "one of 2 processes: died"),)


def test_accuracy_is_measured_in_the_batches_that_are_timed(jobs, small_data):
    report = measure(threads=(1, 2), batches=(1, 8), accuracy=True, data=small_data).report
    assert [values["batch"] for values in jobs.get_calls("measure_accuracy")] == [1, 8]
    assert {(v.accuracy, v.accuracy_data) for v in report.variants} == {(0.99, "some digits")}


def test_data_that_is_missing(jobs, monkeypatch, tmp_path):
    error_of(InputNotFoundError, measure, accuracy=True, data=tmp_path / "none")
    assert jobs.calls == []
    monkeypatch.setattr("digitkit.benchmark.bench_config.find_mnist", lambda split: None)
    report = measure(accuracy=True).report
    (variant,) = report.variants
    assert (variant.accuracy, report.models[0].card_accuracy) == (None, 0.995)
    assert "--data" in variant.accuracy_note
    assert jobs.get_calls("measure_accuracy") == []


@pytest.fixture
def other(tmp_path) -> str:
    """A third-party model."""
    (tmp_path / "other.onnx").write_bytes(b"x")
    return str(tmp_path / "other.onnx")


def test_input_scales(jobs, other):
    for scale in (None, 0.5):
        measure(models=(TINY, other), input_scale=scale)
    scales = [values["scale"] for values in jobs.get_calls("measure_steady")]
    assert scales == [None, 1 / 255, None, 0.5]
    # What no model can satisfy is refused before.
    assert error_of(ModelError, measure, input_scale=0.5).subject == TINY
    assert error_of(ReportError, measure, models=(other,), recommend=True).subject == "other"
    assert len(jobs.get_calls("measure_steady")) == len(scales)


def test_a_fixed_batch(jobs, other):
    jobs.fixed_batch = True
    single, several = measure(models=(other,), batches=(1, 8), accuracy=True).report.variants
    assert (single.error, several.p50_us) == (None, None)
    assert several.error.startswith("other.onnx: ")
    for job in ("measure_steady", "measure_accuracy"):
        assert [values["batch"] for values in jobs.get_calls(job)] == [1]


def test_findings_and_their_sentences(jobs, conditions):
    jobs.samples[TINY] = [30_000, 40_000]
    report = measure(processes=2, max_spread=0.29).report  # calm, and within the limit
    assert (report.valid, report.invalid, report.noisy, report.findings) == (True, (), (), ())
    conditions[1] = replace(reports.CALM, throttled=0x40004, cpu_seconds=(60.0, 200.0))
    report = measure(processes=2, max_spread=0.28).report
    kinds = [(finding.kind, finding.variant) for finding in report.findings]
    assert kinds == [("throttled", None), ("other_load", None), ("spread", TINY)]
    assert (report.valid, len(report.invalid), len(report.noisy)) == (False, 2, 1)
    assert report.environment.governor == "ondemand"


@pytest.mark.parametrize(
    ("clocks", "fall"),
    [
        ([((2400,), (2400,)), ((2400,), (2300,))], None),
        ([((2400,), (2400,)), ((2400,), (1800,))], (2400, 1800)),
        ([((2400,), (1800,)), ((2400,), (2400,))], (2400, 1800)),  # and recovered
        # Three idle cores do not hide it, nor do cores that fall idle mean anything.
        ([((9, 9, 9, 3000), (9,) * 4), ((9,) * 4, (9, 9, 2000, 9))], (3000, 9)),
        ([((2800, 3000, 2900), (3000, 800, 800))] * 2, None),
        ([((), ())] * 2, None),
    ],
)
def test_a_clock_that_falls(jobs, conditions, clocks, fall):
    jobs.clocks = clocks
    report = measure(processes=2).report
    expected = [] if fall is None else [(fall, 1 - fall[1] / fall[0])]
    assert [(f.frequencies_mhz, f.value) for f in report.findings] == expected
    assert report.valid is (fall is None)
