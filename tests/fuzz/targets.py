"""What is fuzzed: for each kind of file, valid ones, how they are mutated, and what reads them."""

import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path
from unittest import mock

import numpy as np

from fuzz import mutate, seeds


@dataclass(frozen=True)
class Target:
    """A kind of file.

    Attributes:
        seeds: makes valid files; the current folder may be used.
        mutate: makes hostile ones of them.
        read: reads such a file; may raise `DigitkitError` and nothing else.
        file: its name, relative to the current folder.
        memory_mb: how much memory may grow meanwhile, megabytes.
    """

    seeds: Callable[[], list[bytes]]
    mutate: mutate.Mutation
    read: Callable[[Path], object]
    file: str = "input"
    memory_mb: int = 100


def expect(condition: bool, what: object) -> None:
    """Fail, as ``assert`` does, whatever options Python runs with."""
    if not condition:
        raise AssertionError(what)


# --- images ---


def read_image(path: Path) -> None:
    from digitkit.images.decode import decode_file

    image = decode_file(path)
    expect(image.dtype == np.uint8, image.dtype)
    expect(image.ndim == 2 or image.shape[2:] == (3,), image.shape)


@cache
def make_readers() -> list:
    from digitkit.reading.reader import Reader

    page = Reader("digits-tiny", mode="page", orientation="auto")
    return [page, Reader(page.classifier, mode="digit")]


MOST_PIXELS = 300_000
"""Larger images are not read: that takes long, and shows nothing else."""


def read_page(path: Path) -> None:
    from digitkit.sinks.explain import explain
    from digitkit.sinks.lines import LineSink
    from digitkit.sources.files import load_frame

    frame = load_frame(path)
    if frame.image.size > MOST_PIXELS:
        return
    for reader in make_readers():
        reading = reader.read_frame(frame)
        json.dumps(reading.to_json(), allow_nan=False)
        for how in ("text", "jsonl", "csv"):
            LineSink(io.StringIO(), how).write(frame, reading)
        explain(frame.image, reading)


MOST_PAGES = 30


def read_document(path: Path) -> None:
    from digitkit.sources.files import FileOpener, item_frames
    from digitkit.sources.frames import Failure

    for item in islice(item_frames(path, FileOpener()), MOST_PAGES):
        if isinstance(item, Failure):
            expect("\n" not in item.error, item.error)
        else:
            expect(item.image.dtype == np.uint8, item.image.dtype)


MOST_PATHS = 20


def read_list(path: Path) -> None:
    from digitkit.inference.infer_config import InferConfig
    from digitkit.inference.infer_job import run_infer

    paths = re.split(rb"[\n\0]", path.read_bytes())
    if len(paths) > MOST_PATHS or any(p.startswith(b"/") or b".." in p for p in paths):
        return  # out of this folder, into all of the machine
    for nul in (False, True):
        with path.open("rb") as file, mock.patch("sys.stdin", io.TextIOWrapper(file)):
            out = io.StringIO()
            config = InferConfig(sources=("-",), null=nul, model="digits-tiny", format="jsonl")
            failures: list = []
            run_infer(config, out, on_failure=failures.append, notice=print)
        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        expect(len(failures) == sum("error" in line for line in lines), lines)


def read_video(path: Path) -> None:
    from digitkit.sources.frames import Failure
    from digitkit.sources.video import video_frames

    for item in islice(video_frames(path), MOST_FRAMES):
        if not isinstance(item, Failure):
            expect(item.image.dtype == np.uint8, item.image.dtype)


MOST_FRAMES = 100


def read_container(path: Path) -> None:
    from digitkit.images.containers import check_container, is_video_container

    with path.open("rb") as file:
        is_video_container(file.read(64))
        check_container(file)


def read_idx(path: Path) -> None:
    from digitkit.datasets.idx import parse_idx, read_maybe_gzipped

    parse_idx(read_maybe_gzipped(path), str(path))


# --- models ---


def read_contract(path: Path) -> None:
    from digitkit.models.contract import ModelContract

    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return
    if isinstance(values, dict):
        texts = {key: str(value) for key, value in values.items()}  # as in a model
        contract = ModelContract.from_metadata(texts, "model.onnx")
        if contract is not None:
            expect(0 <= contract.min_confidence <= 1, contract)
            json.dumps(contract.to_metadata(), allow_nan=False)


FIRST_CALL_SECONDS = 2.0


def read_model(path: Path) -> None:
    from digitkit.models import classifier

    with mock.patch.object(classifier, "FIRST_CALL_SECONDS", FIRST_CALL_SECONDS):
        model = classifier.Classifier(path)
        prediction = model.classify(np.full((28, 28), 7, np.uint8))
    expect(0 <= prediction.confidence <= 1.01, prediction)


# --- settings, profiles, reports, runs ---


def read_settings(path: Path) -> None:
    from digitkit.inference.infer_config import InferConfig
    from digitkit.inference.settings import load_settings

    InferConfig.create({"camera": "0"} | load_settings(path).values)


def read_profile(path: Path) -> None:
    from digitkit.models.profiles import find_profile

    with mock.patch.dict(os.environ, DIGITKIT_PROFILE=str(path)):
        profile, error = find_profile("digits")
    expect(profile is None or error is None, error)
    if profile is not None:
        expect(profile.threads >= 1, profile)
        expect(profile.batch is None or profile.batch >= 1, profile)


def read_report(path: Path) -> None:
    from digitkit.benchmark import summary
    from digitkit.benchmark.compare import compare, comparison_table
    from digitkit.benchmark.recommend import recommend
    from digitkit.benchmark.report import load_report

    report, good = load_report(path), seeds.GOOD_REPORT
    for reports in ([report, good], [good, report], [good, report, report]):
        comparison_table(compare(reports))
    summary.make_tables(report)
    summary.render_markdown(report)
    recommend(report)


def read_run(path: Path) -> None:
    from digitkit.training.folder import load_run

    calibration = load_run(path.parent).record.calibration
    expect(0 <= calibration.min_confidence <= 1, calibration)
    expect(0 < calibration.temperature < np.inf, calibration)


TARGETS = {
    "image": Target(seeds.images, mutate.mutate_image, read_image, memory_mb=400),
    "page": Target(seeds.pages, mutate.mutate_bytes, read_page, memory_mb=400),
    "document": Target(seeds.documents, mutate.mutate_bytes, read_document, memory_mb=400),
    "heic": Target(seeds.heic_images, mutate.mutate_bytes, read_image, memory_mb=400),
    "list": Target(seeds.path_lists, mutate.mutate_bytes, read_list, memory_mb=200),
    # A frame may have as many pixels as an image, whatever the size of the file.
    "video": Target(seeds.videos, mutate.mutate_bytes, read_video, "input.avi", memory_mb=2000),
    "container": Target(seeds.containers, mutate.mutate_bytes, read_container),
    "idx": Target(seeds.idx_files, mutate.mutate_bytes, read_idx),
    "contract": Target(seeds.contracts, mutate.mutate_metadata, read_contract),
    "model": Target(seeds.models, mutate.mutate_model, read_model, memory_mb=500),
    "settings": Target(seeds.settings, mutate.mutate_settings, read_settings, "digitkit.toml"),
    "profile": Target(seeds.profiles, mutate.mutate_json, read_profile),
    "report": Target(seeds.benchmark_reports, mutate.mutate_json, read_report, memory_mb=300),
    "run": Target(
        partial(seeds.run_files, "run.json"), mutate.mutate_json, read_run, "run/run.json",
        memory_mb=300,
    ),
    "weights": Target(
        partial(seeds.run_files, "model.safetensors"), mutate.mutate_bytes, read_run,
        "run/model.safetensors", memory_mb=300,
    ),
}  # fmt: skip
