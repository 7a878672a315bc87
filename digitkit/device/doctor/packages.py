"""Checks of the packages: NumPy, OpenCV, ONNX Runtime and what it uses, torch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution

from digitkit.device.doctor.answers import NO_ANSWER, OnnxRuntimeFacts, ProbeFailure
from digitkit.device.doctor.checks import Check, State
from digitkit.device.doctor.evidence import Evidence
from digitkit.device.doctor.remedies import (
    KNOWN_BAD,
    installed_versions,
    pip,
    reinstall,
    repair_package,
    replace_onnxruntime,
    with_versions,
)
from digitkit.device.doctor.system import WHEEL_ARCHITECTURES

FAST_INT8 = ("dotprod", "i8mm", "VNNI", "AVX-VNNI", "AMX")
"""Instruction sets that make int8 faster than fp32."""

PROVIDER = "CPUExecutionProvider"
"""The execution provider that digitkit uses."""

_OPENCV_PACKAGES = (
    *("opencv-python", "opencv-python-headless"),
    *("opencv-contrib-python", "opencv-contrib-python-headless"),
)

_WINDOW_LIBRARIES = ("libGL", "libgthread", "libglib", "libxcb", "libX", "libSM", "libICE")
"""Beginnings of the names of libraries that OpenCV draws windows with."""

_Check = partial(Check, group="packages")


def check_packages(evidence: Evidence) -> Iterator[Check]:
    """Check the packages that reading needs, and those that do not belong on a device."""
    yield _check_numpy(evidence)
    yield _check_opencv(evidence)
    yield _check_onnxruntime(evidence)
    facts = evidence.onnxruntime.facts
    if facts is None:
        yield _Check("provider", "skipped", "ONNX Runtime does not load")
        yield _Check("telemetry", "skipped", "ONNX Runtime does not load")
    else:
        yield _check_provider(facts.providers)
        model = evidence.model.facts
        yield _check_telemetry(facts, None if model is None else model.sockets_opened)
    yield _check_int8(evidence.machine.features)
    yield _check_torch(evidence.on_board)


def _check_numpy(evidence: Evidence) -> Check:
    name, facts, failure = "NumPy", evidence.numpy.facts, evidence.numpy.failure
    again = reinstall("numpy", "--no-cache-dir")
    if facts is None or failure is not None:
        failure = failure or NO_ANSWER
        found = with_versions(failure.problem, "numpy")
        remedy = repair_package(failure, "numpy")
        if failure.signal == "SIGILL" and evidence.machine.architecture == "aarch64":
            remedy = f"export OPENBLAS_CORETYPE=ARMV8 and try again; if that does not help, {again}"
        return _Check(name, "problem", found, remedy)
    if not facts.correct:
        return _Check(name, "problem", f"{facts.version} computes wrong products", again)
    return _Check(name, "ok", facts.version)


def _check_opencv(evidence: Evidence) -> Check:
    name = "OpenCV"
    if not evidence.numpy.works:
        return _Check(name, "skipped", "needs NumPy, which does not load")
    facts, failure = evidence.opencv.facts, evidence.opencv.failure
    installed = list(installed_versions(*_OPENCV_PACKAGES))
    wanted = "opencv-python-headless" if evidence.on_board else "opencv-python"
    keep_one = pip(f"uninstall -y {' '.join(installed)}", f"install {wanted}")
    if facts is not None and failure is None:
        found = ", ".join([facts.version, *installed])
        if len(installed) > 1:
            found += ": they overwrite each other's files"
            return _Check(name, "warning", found, keep_one)
        return _Check(name, "ok", found)
    failure = failure or NO_ANSWER
    found = with_versions(failure.problem, *installed)
    if len(installed) > 1:
        found += f"; {' and '.join(installed)} overwrite each other's files"
        return _Check(name, "problem", found, keep_one)
    package = installed[0] if installed else wanted
    if failure.library is not None and failure.library.startswith(_WINDOW_LIBRARIES):
        remedy = "sudo apt-get install -y libgl1 libglib2.0-0"
        if package in ("opencv-python", "opencv-contrib-python"):
            remedy += "; or, without a screen: "
            remedy += pip(f"uninstall -y {package}", "install opencv-python-headless")
        return _Check(name, "problem", found, remedy)
    return _Check(name, "problem", found, repair_package(failure, package))


def _check_onnxruntime(evidence: Evidence) -> Check:
    name, machine = "ONNX Runtime", evidence.machine
    if not evidence.numpy.works:
        return _Check(name, "skipped", "needs NumPy, which does not load")
    facts, failure = evidence.onnxruntime.facts, evidence.onnxruntime.failure
    version = facts.version if facts else installed_versions("onnxruntime").get("onnxruntime", "")
    cores, symptom = KNOWN_BAD.get(version, ((), ""))
    if facts is None or failure is not None:
        failure = failure or NO_ANSWER
        found = with_versions(failure.problem, "onnxruntime")
        if symptom:
            found += f"; this version {symptom}"
        supported = machine.bits == 64 and machine.architecture in WHEEL_ARCHITECTURES
        remedy = _repair_onnxruntime(failure, supported=supported, known_bad=bool(symptom))
        return _Check(name, "problem", found, remedy)
    if symptom:
        affected = any(core in machine.cpu for core in cores)
        state: State = "problem" if affected else "warning"
        return _Check(name, state, f"{version}, which {symptom}", replace_onnxruntime())
    return _Check(name, "ok", version)


def _repair_onnxruntime(failure: ProbeFailure, *, supported: bool, known_bad: bool) -> str:
    if known_bad:
        return replace_onnxruntime()
    if not supported:
        return "install a 64-bit OS: there are wheels for 64-bit systems only"
    if failure.signal == "SIGILL":
        return replace_onnxruntime()
    return repair_package(failure, "onnxruntime")


def _check_provider(providers: tuple[str, ...]) -> Check:
    listed = ", ".join(providers)
    if PROVIDER in providers:
        return _Check("provider", "ok", f"{PROVIDER} of {listed}")
    found = f"{PROVIDER} is not among {listed}"
    return _Check("provider", "problem", found, reinstall("onnxruntime"))


def _check_telemetry(facts: OnnxRuntimeFacts, sockets_opened: int | None) -> Check:
    name = "telemetry"
    remedy = "export ORT_DISABLE_TELEMETRY=1 before digitkit starts"
    if facts.telemetry_switch != "1":
        found = f"ORT_DISABLE_TELEMETRY is {facts.telemetry_switch}; digitkit sets it to 1"
        return _Check(name, "warning", found, remedy)
    if facts.loaded_early:
        found = "ONNX Runtime is loaded before digitkit can switch it off"
        return _Check(name, "warning", found, remedy)
    if sockets_opened:
        found = f"off, but reading opened {sockets_opened} sockets"
        report = "disconnect the machine from the network, and report this with digitkit doctor "
        return _Check(name, "warning", found, f"{report}--json")
    observed = "" if sockets_opened is None else ", and reading opened no socket"
    found = f"off: ORT_DISABLE_TELEMETRY was 1 before ONNX Runtime loaded{observed}"
    return _Check(name, "ok", found)


def _check_int8(features: tuple[str, ...]) -> Check:
    fast = [name for name in features if name in FAST_INT8]
    if fast:
        return _Check("int8", "ok", f"the processor has {', '.join(fast)}")
    if not features:
        return _Check("int8", "skipped", "the processor's features are not available")
    return _Check(
        "int8",
        "ok",
        f"the processor has none of {', '.join(FAST_INT8)}: int8 may be no faster than fp32; "
        "digitkit bench --recommend --save measures it",
    )


def _check_torch(on_board: bool) -> Check:
    if not on_board:
        return _Check("torch", "skipped", "matters on a device only")
    try:
        found = distribution("torch")
    except PackageNotFoundError:
        return _Check("torch", "ok", "not installed; reading does not need it")
    megabytes = sum(file.size or 0 for file in found.files or ()) / 1e6
    return _Check(
        "torch",
        "warning",
        f"{found.version}, {megabytes:,.0f} MB: only training needs it; train on another machine",
        pip("uninstall -y torch"),
    )
