"""Evidence for the doctor's checks: a machine without problems, changed by each test."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path

from digitkit.device.doctor import answers, board, cameras, model, packages, system
from digitkit.device.doctor.answers import Answer, ProbeFailure
from digitkit.device.doctor.checks import Check
from digitkit.device.doctor.evidence import DoctorConfig, Evidence
from digitkit.system.conditions import read_conditions
from digitkit.system.machine import read_machine
from support.machines import CAPTURED, NO_FIRMWARE

FILE = answers.FileFacts("digits-int8.onnx", "ab", "ab", shipped=True, is_classifier=True)
DETECTOR = answers.FileFacts("finder.onnx", "cd", "cd", shipped=True, is_classifier=False)
LINE_READER = answers.FileFacts("lines.onnx", "ef", "ef", shipped=True, is_classifier=False)
GREY_CLASSIFIER = answers.FileFacts("grey.onnx", "0a", "0a", shipped=True, is_classifier=False)
CONTRACT = answers.ContractFacts(1, "int8", 0.9973, "MNIST test")
READING = answers.ModelReading(FILE.name, "image", CONTRACT, text="0")
PAGE = answers.PageReading("1984", "1984", "1984")
FRAME = answers.FrameFacts(640, 480, 101.4)
NO_PROFILE = answers.ProfileFacts(None, None)
FACTS = {
    "numpy": answers.NumPyFacts("2.2.0", correct=True),
    "opencv": answers.OpenCVFacts("4.11.0", windows=False),
    "onnxruntime": answers.OnnxRuntimeFacts("1.24.1", ("CPUExecutionProvider",), "1", False),
    "model": answers.ProbedModelFacts(
        True, (FILE, DETECTOR, LINE_READER, GREY_CLASSIFIER), (READING,), PAGE, 0, NO_PROFILE
    ),
}


def failed(reason: str = "error", problem: str = "it failed", **details: str) -> Answer:
    """The answer of a probe that failed."""
    return Answer(failure=ProbeFailure(reason, problem, **details))


def killed(signal: str, facts: object = None) -> Answer:
    """The answer of a probe whose process was killed."""
    return Answer(facts, ProbeFailure("killed", f"killed by {signal}", signal=signal))


def look(
    captured="server",
    run=NO_FIRMWARE,
    camera=None,
    machine=None,
    devices=None,
    frames=None,
    **probes,
) -> dict[str, Check]:
    """The checks, by name, of a machine that differs from one without problems.

    That is a captured machine, given by its name or the folder of its files, and `machine` holds
    changed attributes. `run` runs a command of the system; `camera` is the one that must work;
    without `devices` cameras are left alone; `frames` are answers by camera. Further arguments are
    answers of probes, or what differs in their facts, by the probe's name.
    """
    root = CAPTURED / captured
    usual = {"architecture": "aarch64", "bits": 64, "libc": "glibc 2.36"}
    given = {name: probes.get(name, {}) for name in FACTS}
    evidence = Evidence(
        config=DoctorConfig(camera=camera, cameras=devices is not None),
        root=Path("/"),
        machine=replace(read_machine(root), **usual | (machine or {})),
        conditions=read_conditions(root, run),
        on_board=(root / "proc/device-tree/model").is_file(),
        devices=tuple(devices or ()),
        frames=frames or {},
        **{
            name: change if isinstance(change, Answer) else Answer(replace(FACTS[name], **change))
            for name, change in given.items()
        },
    )
    groups = (system.check_system, packages.check_packages, model.check_model)
    groups += (cameras.check_cameras, board.check_board)
    return by_name(chain.from_iterable(check(evidence) for check in groups))


def by_name(checks: Iterable[Check]) -> dict[str, Check]:
    """Checks by name, after a test of what holds for all of them."""
    checks = tuple(checks)
    named = {check.name: check for check in checks}
    assert len(named) == len(checks)
    for check in checks:
        assert "\n" not in check.found + (check.remedy or "")
        assert check.remedy or check.state in ("ok", "skipped"), check
    return named


def states(checks: dict[str, Check], *names: str) -> set[str]:
    """The states of some checks."""
    return {checks[name].state for name in names}
