"""Checks of the model: its files, its contract, real readings, and this device's profile."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import partial

from digitkit.device.doctor.answers import (
    NO_ANSWER,
    FileFacts,
    ModelReading,
    ProbedModelFacts,
    ProbeFailure,
)
from digitkit.device.doctor.checks import Check
from digitkit.device.doctor.evidence import Evidence
from digitkit.device.doctor.remedies import reinstall, repair_package, replace_onnxruntime

SAMPLE_DIGIT_TEXT = "0"
"""What `digitkit.images.samples.SAMPLE_DIGIT` shows."""

_Check = partial(Check, group="model")


def check_model(evidence: Evidence) -> Iterator[Check]:
    """Check the model's files, what it states about itself, and how it reads the samples."""
    if missing := evidence.missing_for_models:
        for name in ("model files", "contract", "inference", "page"):
            yield _Check(name, "skipped", f"needs {missing}, which does not load")
        return
    facts, failure = evidence.model.facts, evidence.model.failure
    if facts is None:
        yield _Check(
            "model files",
            "problem",
            str(failure or NO_ANSWER),
            (failure and failure.hint)
            or "name a shipped model, such as digits, or an .onnx file with --model",
        )
        return
    yield _check_files(facts.files)
    yield _check_contract(facts, failure)
    yield _check_digit(facts, failure, evidence.config.model)
    yield _check_page(facts, failure, evidence.config.model)
    yield _check_profile(facts)


def _reinstall_models() -> str:
    return reinstall("digitkit", "--no-deps")


def _check_files(files: tuple[FileFacts, ...]) -> Check:
    name, again = "model files", _reinstall_models()
    missing = [file.name for file in files if file.sha256 is None]
    if missing:
        return _Check(name, "problem", f"{', '.join(missing)}: missing or unreadable", again)
    listed = [file for file in files if file.listed_sha256 is not None]
    changed = [file.name for file in listed if file.sha256 != file.listed_sha256]
    if changed:
        found = f"{', '.join(changed)}: damaged or changed, does not match SHA256SUMS"
        return _Check(name, "problem", found, f"copy them again, or {again}")
    unlisted = [file.name for file in files if file.shipped and file not in listed]
    if unlisted:
        return _Check(name, "warning", f"{', '.join(unlisted)}: not in SHA256SUMS", again)
    custom = [f"{file.name} (not listed)" for file in files if file not in listed]
    names = ", ".join([*custom, *(file.name for file in listed)])
    return _Check(name, "ok", f"{names}: match SHA256SUMS")


def _model_files(facts: ProbedModelFacts) -> list[str]:
    return [file.name for file in facts.files if file.is_classifier]


def _all_load(facts: ProbedModelFacts) -> bool:
    return sum(reading.input is not None for reading in facts.readings) == len(_model_files(facts))


def _first_failure(facts: ProbedModelFacts) -> ProbeFailure | None:
    return next((reading.failure for reading in facts.readings if reading.failure), None)


def _check_contract(facts: ProbedModelFacts, end: ProbeFailure | None) -> Check:
    if _all_load(facts):
        found = "; ".join(map(_describe_contract, facts.readings))
        return _Check("contract", "ok", found)
    failure = _first_failure(facts)
    if failure is None:
        return _report_crash("contract", end or NO_ANSWER)
    custom = "export it again, or name another with --model"
    remedy = _reinstall_models() if facts.shipped else custom
    return _Check("contract", "problem", str(failure), remedy)


def _describe_contract(reading: ModelReading) -> str:
    contract = reading.contract
    if contract is None:
        return f"{reading.file}: third-party, input {reading.input}"
    return (
        f"{reading.file}: contract {contract.version}, {contract.precision}, "
        f"{contract.test_accuracy:.2%} on {contract.test_data}"
    )


def _check_digit(facts: ProbedModelFacts, end: ProbeFailure | None, model: str) -> Check:
    name = "inference"
    texts = {reading.file: reading.text for reading in facts.readings if reading.text is not None}
    if len(texts) < len(_model_files(facts)):
        if _all_load(facts):
            return _report_crash(name, _first_failure(facts) or end or NO_ANSWER)
        return _Check(name, "skipped", "a model does not load")
    wrong = [f"{file}: {text!r}" for file, text in texts.items() if text != SAMPLE_DIGIT_TEXT]
    if wrong:
        found = f"a {SAMPLE_DIGIT_TEXT} is read as {'; '.join(wrong)}"
        return _report_misreading(name, found, model, damaged=facts.shipped)
    return _Check(name, "ok", f"a {SAMPLE_DIGIT_TEXT} is read by {', '.join(texts)}")


def _check_page(facts: ProbedModelFacts, end: ProbeFailure | None, model: str) -> Check:
    name, page = "page", facts.page
    failure = end if page is None else page.failure
    if failure is not None and any(reading.text is not None for reading in facts.readings):
        return _report_crash(name, failure)
    if page is None or page.failure is not None:
        return _Check(name, "skipped", "no model reads")
    if page.text == page.expected:
        return _Check(name, "ok", f"read correctly: {' / '.join(page.text.splitlines())}")
    found = f"{page.expected!r} is read as {page.text!r}"
    # A digit that is right but not accepted says nothing about the machine.
    damaged = facts.shipped and page.digits != "".join(page.expected.split())
    return _report_misreading(name, found, model, damaged=damaged)


def _report_crash(name: str, failure: ProbeFailure) -> Check:
    crashed = failure.signal in ("SIGILL", "SIGABRT", "SIGSEGV")
    remedy = replace_onnxruntime() if crashed else repair_package(failure, "onnxruntime")
    return _Check(name, "problem", str(failure), remedy)


def _report_misreading(name: str, found: str, model: str, *, damaged: bool) -> Check:
    if damaged:
        remedy = f"{reinstall('onnxruntime numpy')} and try again"
        return _Check(name, "problem", found, remedy)
    remedy = f"digitkit eval {shlex.quote(model)} measures how well this model reads"
    return _Check(name, "warning", found, remedy)


def _check_profile(facts: ProbedModelFacts) -> Check:
    name, measure = "profile", "digitkit bench --recommend --save"
    profile = facts.profile
    if profile is None:
        why = "the process ended before" if facts.shipped else "for shipped models only"
        return _Check(name, "skipped", why)
    if profile.problem is not None:
        return _Check(name, "warning", profile.problem, measure)
    default = f"none: int8 with one thread is used; {measure} measures what is best here"
    return _Check(name, "ok", profile.choice or default)
