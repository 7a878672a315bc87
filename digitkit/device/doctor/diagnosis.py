"""What is wrong with this machine, and what to do about it: ``digitkit doctor``.

Loads nothing heavy, so that it runs where NumPy, OpenCV or ONNX Runtime are missing or broken:
whatever may crash is tried by fresh processes (`digitkit.probes`).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Literal, get_args

from digitkit.errors import one_line, printable_path
from digitkit.sources import v4l2
from digitkit.sources.v4l2 import VideoDevice
from digitkit.system import folders, processes
from digitkit.system.conditions import HOT_C, read_conditions, throttle_words
from digitkit.system.kernel import ROOT
from digitkit.system.machine import read_machine, versions
from digitkit.system.processes import RunCommand, run_command
from digitkit.system.progress import Progress
from digitkit.version import __version__

State = Literal["ok", "warning", "problem", "skipped"]
Group = Literal["system", "packages", "model", "camera", "device"]


FORMAT = "digitkit-doctor/1"

PYTHON = (3, 11)
"""The oldest Python that digitkit runs on."""

GLIBC = (2, 28)
"""The oldest C library that today's wheels of ONNX Runtime and NumPy load on."""

LOW_MEMORY_MB = 150
"""Reading a page takes about as much."""

LOW_DISK_MB = 100

DARK = 5.0
"""A frame of a mean brightness below this, of 255, shows nothing."""

SANE_YEAR = 2025
"""A clock before this was never set: a Raspberry Pi has none that runs on without power."""

PATIENCE = 180.0
"""Seconds that a probe may take; an emulated one takes some."""

CAMERA_PATIENCE = 60.0

KNOWN_BAD = {
    "1.21.0": (("Cortex-A72",), "dies of an illegal instruction on a Raspberry Pi 4"),
    "1.22.0": (("Cortex-A53",), "aborts on a Raspberry Pi Zero 2 W"),
}
"""Versions of ONNX Runtime with the cores that they fail on, and how."""

_64_BIT = ("aarch64", "arm64", "x86_64", "AMD64")
_ONLY_32_BIT = ("ARM1176", "Cortex-A7", "Cortex-A8", "Cortex-A9", "Cortex-A15")

_FAST_INT8 = ("dotprod", "i8mm", "VNNI", "AVX-VNNI", "AMX")

_OPENCVS = (
    *("opencv-python", "opencv-python-headless"),
    *("opencv-contrib-python", "opencv-contrib-python-headless"),
)

_PI_DRIVERS = ("unicam", "rp1-cfe", "bcm2835-isp", "pispbe", "rpi-hevc-dec", "bcm2835-codec")
"""Parts of a Raspberry Pi's own camera and codecs, which give OpenCV no frames."""

_SIGNALS = {
    "SIGILL": "an instruction that this processor does not have",
    "SIGSEGV": "a memory fault",
    "SIGBUS": "a file that is damaged, most likely",
    "SIGABRT": "an assertion that failed",
    "SIGKILL": "too little memory, most likely",
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what, unique in a diagnosis.
        state: ``ok``; ``warning``: ``digitkit infer`` runs, but something is amiss; ``problem``:
            it would not run; ``skipped``: not there, not asked for or not known.
        found: one line.
        remedy: what to type or to do, one line; None where there is nothing to do.
        group: where it belongs.
    """

    name: str
    state: State
    found: str
    remedy: str | None = None
    group: Group = field(kw_only=True)


_system, _packages, _model, _camera, _device = (
    partial(Check, group=group) for group in get_args(Group)
)


@dataclass(frozen=True)
class Diagnosis:
    """All that was looked at.

    Attributes:
        digitkit: its version.
        board: the board's or the computer's name, if known.
        checks: group by group.
    """

    digitkit: str
    board: str | None
    checks: tuple[Check, ...]

    @property
    def problems(self) -> list[Check]:
        """What would stop ``digitkit infer``."""
        return [check for check in self.checks if check.state == "problem"]

    @property
    def warnings(self) -> list[Check]:
        """What is amiss beside."""
        return [check for check in self.checks if check.state == "warning"]

    def to_json(self) -> dict[str, Any]:
        """The diagnosis as JSON knows it: `FORMAT`, ``fine`` (no problem), and the rest."""
        return {"format": FORMAT, "fine": not self.problems, **asdict(self)}


@dataclass(frozen=True)
class Answer:
    """What a probe told.

    Attributes:
        found: by step, in order.
        error: why it did not come to its end, one line; None if it did.
        signal: the name of the signal that it died of, if it did.
    """

    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    error: str | None = None
    signal: str | None = None


def ask(probe: str, arguments: dict[str, Any], seconds: float = PATIENCE) -> Answer:
    """Have a fresh process do a probe of `digitkit.probes`.

    Args:
        probe: its name.
        arguments: of its function.
        seconds: after which it is given up.
    """
    # It must be digitkit itself that switches telemetry off there.
    env = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    late = None
    try:
        done = subprocess.run(
            processes.interpreter_command("digitkit.device.doctor.probes"),
            input=json.dumps([probe, arguments]).encode(),
            capture_output=True,
            timeout=seconds,
            env=env,
            check=False,
        )
        out, err, code = done.stdout, done.stderr, done.returncode
    except subprocess.TimeoutExpired as error:
        late = f"gave no answer in {seconds:g} s"
        out, err, code = error.stdout or b"", error.stderr or b"", 0
    except OSError as error:
        return Answer(error=f"{sys.executable} cannot be run: {error.strerror}")
    found: dict[str, dict[str, Any]] = {}
    for line in out.splitlines():
        with suppress(ValueError):  # the last, cut short
            step, told = json.loads(line)
            found[step] = told
    if found.pop("end", None) is not None:
        return Answer(found, found.pop("error", {}).get("error"))
    if late:
        return Answer(found, late)
    if name := processes.signal_name(code):
        why = f" ({_SIGNALS[name]})" if name in _SIGNALS else ""
        return Answer(found, f"its process died of {name}{why}", name)
    lines = err.decode("utf-8", "replace").strip().splitlines()
    return Answer(found, one_line(lines[-1]) if lines else f"its process ended with code {code}")


def diagnose(
    model: str = "digits",
    *,
    camera: str | None = None,
    cameras: bool = True,
    root: Path = ROOT,
    run: RunCommand = run_command,
    progress: Progress = lambda what, done, total: None,
) -> Diagnosis:
    """Look at everything that ``digitkit infer`` needs; takes seconds.

    Args:
        model: a shipped name, or an ``.onnx`` file.
        camera: the one that must work, as `digitkit.live.Live` takes it; None to look which there
            are, and to try one.
        cameras: whether cameras are looked at; False leaves them alone.
        root: where the system's files are.
        run: runs a command of the system.
        progress: told before each step.
    """
    return _Doctor(model, camera, cameras, root, run, progress).diagnosis()


class _Doctor:
    """One diagnosis: the probes first, then the checks."""

    def __init__(
        self,
        model: str,
        camera: str | None,
        cameras: bool,
        root: Path,
        run: RunCommand,
        progress: Progress,
    ) -> None:
        self.model, self.camera, self.cameras = model, camera, cameras
        self.root, self.progress = root, progress
        self.machine = read_machine(root)
        self.now = read_conditions(root, run)
        self.on_a_board = (root / "proc/device-tree/model").is_file()
        self.on_a_pi = "Raspberry Pi" in (self.machine.board or "")
        self.done = 0

    def diagnosis(self) -> Diagnosis:
        self._probe()
        checks = (
            *self._system_checks(),
            *self._packages_checks(),
            *self._model_checks(),
            *self._camera_checks(),
        )
        return Diagnosis(__version__, self.machine.board, (*checks, *self._device_checks()))

    # --- probes ---

    def _probe(self) -> None:
        self.numpy = self._ask("NumPy", "numpy")
        self.opencv = self._ask("OpenCV", "opencv", needs=self.numpy.error)
        self.onnxruntime = self._ask("ONNX Runtime", "onnxruntime", needs=self.numpy.error)
        # The first that fails of what a camera takes, and of what a model takes.
        no_numpy = "NumPy" if self.numpy.error else None
        self.no_opencv = no_numpy or ("OpenCV" if self.opencv.error else None)
        self.missing = self.no_opencv or ("ONNX Runtime" if self.onnxruntime.error else None)
        self.read = self._ask("the model", "model", needs=self.missing, name=self.model)
        self.loads = self.onnxruntime.error is None
        self.videos: list[VideoDevice] = []
        if self.cameras:
            self.videos = v4l2.devices(self.root)

    def _ask(self, what: str, probe: str, needs: str | None = None, **arguments: Any) -> Answer:
        self.progress(what, self.done, 4 + self.cameras * (1 + self.on_a_pi))
        self.done += 1
        if needs:
            return Answer(error="not tried")
        seconds = CAMERA_PATIENCE if probe == "camera" else PATIENCE
        return ask(probe, arguments, seconds)

    # --- system ---

    def _system_checks(self) -> Iterator[Check]:
        here = self.machine
        number = ".".join(map(str, sys.version_info[:3]))
        if sys.version_info >= PYTHON:
            yield _system("Python", "ok", f"{number}, {sys.executable}")
        else:
            yield _system(
                *("Python", "problem", f"{number}; digitkit needs 3.11 or newer"),
                "take Raspberry Pi OS Bookworm or newer, or another Python: python3.11 -m venv "
                "~/digitkit",
            )
        yield self._environment()
        found = f"{here.bits}-bit Python, {here.architecture}"
        if here.bits == 64:
            yield _system("userland", "ok", found)
        elif here.cpu in _ONLY_32_BIT:
            yield _system(
                *("userland", self._bars(), f"{found}, {here.cpu}"),
                "this processor has no 64-bit mode; needed is a Raspberry Pi Zero 2 W, 3, 4 or 5",
            )
        else:
            yield _system(
                *("userland", self._bars(), f"{found}: ONNX Runtime has no such wheels"),
                "write a 64-bit OS onto the card (Raspberry Pi Imager: Raspberry Pi OS, 64-bit); a "
                "64-bit kernel alone does not do",
            )
        found = f"{here.cpu} ({here.architecture})"
        if here.architecture in _64_BIT:
            yield _system("processor", "ok", found)
        else:
            yield _system(
                *("processor", self._bars(), f"{found}: ONNX Runtime has no such wheels"),
                "needed is 64-bit Arm (aarch64) or x86-64, and a 64-bit OS on it",
            )
        yield _system("OS", "ok", f"{here.os or 'unknown'}, kernel {here.kernel}")
        yield self._libc()

    def _bars(self) -> State:
        """Packages that load in spite of what speaks against it were built by somebody."""
        return "warning" if self.loads else "problem"

    def _environment(self) -> Check:
        name = "environment"
        if sys.prefix != sys.base_prefix:
            settings = ""
            with suppress(OSError):
                settings = Path(sys.prefix, "pyvenv.cfg").read_text("utf-8", "replace")
            found = f"virtual environment {sys.prefix}"
            if not re.search(r"(?im)^include-system-site-packages\s*=\s*true", settings):
                return _system(name, "ok", found)
            return _system(
                *(name, "warning", f"{found}, which mixes the system's packages in"),
                "make it anew without --system-site-packages: python3 -m venv --clear "
                f"{shlex.quote(sys.prefix)}, then install digitkit into it again",
            )
        if Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").is_file():
            return _system(
                *(name, "warning", "none: this is the system's Python, which pip may not change"),
                "python3 -m venv ~/digitkit, then ~/digitkit/bin/pip install digitkit",
            )
        return _system(name, "ok", f"no virtual environment, {sys.prefix}")

    def _libc(self) -> Check:
        name, libc = "C library", self.machine.libc
        number = re.fullmatch(r"glibc (\d+)\.(\d+).*", libc or "")
        if number is None:
            if sys.platform != "linux":
                return _system(name, "skipped", "of Linux only")
            return _system(
                *(name, self._bars(), f"{libc or 'unknown'}; wheels need glibc"),
                "take a distribution with glibc: Raspberry Pi OS, Debian, Ubuntu (not Alpine)",
            )
        if (int(number[1]), int(number[2])) >= GLIBC:
            return _system(name, "ok", str(libc))
        return _system(
            *(name, self._bars(), f"{libc}; wheels need 2.28 or newer"),
            "upgrade the OS: Raspberry Pi OS Bookworm or newer, Debian 12, Ubuntu 22.04",
        )

    # --- packages ---

    def _packages_checks(self) -> Iterator[Check]:
        yield self._numpy()
        yield self._opencv()
        yield self._onnxruntime()
        told = self.onnxruntime.found.get("onnxruntime")
        if told is None:
            yield _packages("provider", "skipped", "ONNX Runtime does not load")
            yield _packages("telemetry", "skipped", "ONNX Runtime does not load")
        else:
            yield self._provider(told["providers"])
            yield self._telemetry(told)
        yield self._int8()
        yield self._torch()

    def _numpy(self) -> Check:
        name, answer = "NumPy", self.numpy
        told = answer.found.get("numpy")
        if told is not None and answer.error is None:
            if told["right"]:
                return _packages(name, "ok", told["version"])
            return _packages(
                *(name, "problem", f"{told['version']} computes wrong products"),
                _pip("install --force-reinstall --no-cache-dir numpy"),
            )
        found = _with_version(answer.error or "", "numpy")
        if answer.signal == "SIGILL" and self.machine.architecture == "aarch64":
            remedy = "export OPENBLAS_CORETYPE=ARMV8 and try again; if that does not help, "
            remedy += _pip("install --force-reinstall --no-cache-dir numpy")
            return _packages(name, "problem", found, remedy)
        return _packages(name, "problem", found, self._mend(answer, "numpy"))

    def _mend(self, answer: Answer, package: str) -> str:
        """The remedy for a package that does not load."""
        if answer.signal == "SIGKILL":
            return "stop other programs and try again; free -m shows the memory"
        library = re.search(r"(lib[\w.+-]+\.so[\d.]*): cannot open", answer.error or "")
        if library:
            return (
                f"install what has {library[1]}: sudo apt-get install -y apt-file && sudo apt-file "
                f"update && apt-file search {library[1]}"
            )
        if "No module named" in (answer.error or ""):
            return _pip(f"install {package}")
        return _pip(f"install --force-reinstall --no-cache-dir {package}")

    def _opencv(self) -> Check:
        name, answer = "OpenCV", self.opencv
        if self.numpy.error:
            return _packages(name, "skipped", "needs NumPy, which does not load")
        installed = list(_installed(*_OPENCVS))
        wanted = "opencv-python-headless" if self.on_a_board else "opencv-python"
        both = _pip(f"uninstall -y {' '.join(installed)}", f"install {wanted}")
        told = answer.found.get("opencv")
        if told is not None and answer.error is None:
            found = ", ".join([told["version"], *installed])
            if len(installed) > 1:
                found += ": they overwrite each other's files"
                return _packages(name, "warning", found, both)
            return _packages(name, "ok", found)
        found = _with_version(answer.error or "", *installed)
        if len(installed) > 1:
            found += f"; installed are {' and '.join(installed)}, which overwrite each other"
            return _packages(name, "problem", found, both)
        package = installed[0] if installed else wanted
        if re.search("libGL|libgthread|libglib|libxcb|libX|libSM|libICE", answer.error or ""):
            remedy = "sudo apt-get install -y libgl1 libglib2.0-0"
            if package in ("opencv-python", "opencv-contrib-python"):
                remedy += "; or, without a screen: "
                remedy += _pip(f"uninstall -y {package}", "install opencv-python-headless")
            return _packages(name, "problem", found, remedy)
        return _packages(name, "problem", found, self._mend(answer, package))

    def _onnxruntime(self) -> Check:
        name, answer = "ONNX Runtime", self.onnxruntime
        if self.numpy.error:
            return _packages(name, "skipped", "needs NumPy, which does not load")
        told = answer.found.get("onnxruntime", {})
        version = told.get("version") or _installed("onnxruntime").get("onnxruntime", "")
        cores, how = KNOWN_BAD.get(version, ((), ""))
        other = _other_onnxruntime()
        if answer.error:
            found = _with_version(answer.error, "onnxruntime")
            if how:
                return _packages(name, "problem", f"{found}; it {how}", other)
            if self.machine.bits == 32 or self.machine.architecture not in _64_BIT:
                remedy = "there are wheels for 64-bit systems only: take a 64-bit OS"
                return _packages(name, "problem", found, remedy)
            if answer.signal == "SIGILL":
                return _packages(name, "problem", found, other)
            return _packages(name, "problem", found, self._mend(answer, "onnxruntime"))
        if how:
            here = any(core in self.machine.cpu for core in cores)
            state: State = "problem" if here else "warning"
            return _packages(name, state, f"{version}, which {how}", other)
        return _packages(name, "ok", version)

    def _provider(self, providers: list[str]) -> Check:
        wanted = "CPUExecutionProvider"
        if wanted in providers:
            return _packages("provider", "ok", f"{wanted} of {', '.join(providers)}")
        return _packages(
            *("provider", "problem", f"{wanted} is not among {', '.join(providers)}"),
            _pip("install --force-reinstall onnxruntime"),
        )

    def _telemetry(self, told: dict[str, Any]) -> Check:
        remedy = "export ORT_DISABLE_TELEMETRY=1 where digitkit is started"
        opened = self.read.found.get("sockets", {}).get("opened")
        if told["switch"] != "1":
            found = f"ORT_DISABLE_TELEMETRY is {told['switch']}; digitkit sets it to 1"
            return _packages("telemetry", "warning", found, remedy)
        if told["early"]:
            found = "something loads ONNX Runtime before digitkit can switch it off"
            return _packages("telemetry", "warning", found, remedy)
        if opened:
            found = f"switched off, but reading opened sockets: {opened}"
            report = "take it off the network, and report this with digitkit doctor --json"
            return _packages("telemetry", "warning", found, report)
        seen = "" if opened is None else ", and reading opened no socket"
        found = f"off: ORT_DISABLE_TELEMETRY was 1 before it loaded{seen}"
        return _packages("telemetry", "ok", found)

    def _int8(self) -> Check:
        fast = [name for name in self.machine.features if name in _FAST_INT8]
        if fast:
            return _packages("int8", "ok", f"the processor has {', '.join(fast)}")
        if not self.machine.features:
            return _packages("int8", "skipped", "the processor's features are not listed")
        return _packages(
            "int8",
            "ok",
            f"the processor has none of {', '.join(_FAST_INT8)}: int8 may gain little over fp32; "
            "digitkit bench --recommend --save finds out",
        )

    def _torch(self) -> Check:
        if not self.on_a_board:
            return _packages("torch", "skipped", "matters on a device only")
        try:
            found = distribution("torch")
        except PackageNotFoundError:
            return _packages("torch", "ok", "not installed; reading needs none")
        megabytes = sum(file.size or 0 for file in found.files or ()) / 1e6
        return _packages(
            *("torch", "warning"),
            f"{found.version}, {megabytes:,.0f} MB: only training needs it, which belongs on "
            "another machine",
            _pip("uninstall -y torch"),
        )

    # --- model ---

    def _model_checks(self) -> Iterator[Check]:
        if self.missing:
            for name in ("model files", "contract", "inference", "page"):
                found = f"needs {self.missing}, which does not load"
                yield _model(name, "skipped", found)
            return
        files = self.read.found.get("files")
        if files is None:
            found = self.read.error or "no answer"
            remedy = "digitkit infer --model takes a shipped name, such as digits, or an .onnx file"
            yield _model("model files", "problem", found, remedy)
            return
        yield self._hashes(files["files"])
        yield from self._readings(files)
        yield self._profile(files["shipped"])

    def _hashes(self, files: list[dict[str, Any]]) -> Check:
        name, again = "model files", _pip("install --force-reinstall --no-deps digitkit")
        gone = [f["name"] for f in files if f["sha256"] is None]
        if gone:
            found = f"{', '.join(gone)}: missing or unreadable"
            return _model(name, "problem", found, again)
        bad = [f["name"] for f in files if f["listed"] is not None and f["sha256"] != f["listed"]]
        if bad:
            found = f"{', '.join(bad)}: not as SHA256SUMS says; damaged or changed"
            return _model(name, "problem", found, f"copy them again, or {again}")
        unlisted = [f["name"] for f in files if f["own"] and f["listed"] is None]
        if unlisted:
            found = f"{', '.join(unlisted)}: not in SHA256SUMS"
            return _model(name, "warning", found, again)
        told = [f["name"] for f in files if f["listed"] is not None]
        loose = [f"{f['name']} (not listed)" for f in files if f["listed"] is None]
        return _model(name, "ok", f"{', '.join([*loose, *told])}: as SHA256SUMS says")

    def _readings(self, files: dict[str, Any]) -> Iterator[Check]:
        found, again = self.read.found, _pip("install --force-reinstall --no-deps digitkit")
        names = [f["name"] for f in files["files"][:-1]]  # the last is the finder
        failed = next((found[s]["error"] for n in names if (s := f"failure of {n}") in found), None)
        kept = []
        for name in names:
            if (told := found.get(f"contract of {name}")) is not None:
                promise = told["promise"]
                kept.append(
                    f"{name}: foreign, takes {told['takes']}"
                    if promise is None
                    else f"{name}: contract {promise['contract']}, {promise['precision']}, "
                    f"{promise['test_accuracy']:.2%} of {promise['test_data']}"
                )
        if len(kept) == len(names):
            yield _model("contract", "ok", "; ".join(kept))
        else:
            if failed is None:
                yield self._broken("contract", self.read.error or "no answer")
            else:
                own = "export it again, or name another with --model"
                yield _model("contract", "problem", failed, again if files["shipped"] else own)
        texts = {n: found[s]["text"] for n in names if (s := f"digit by {n}") in found}
        if len(texts) < len(names):
            if len(kept) == len(names):
                yield self._broken("inference", failed or self.read.error or "no answer")
            else:
                yield _model("inference", "skipped", "a model does not load")
        elif wrong := [f"{name}: {text!r}" for name, text in texts.items() if text != "0"]:
            said = f"a 0 is read as {'; '.join(wrong)}"
            yield self._misread("inference", said, damaged=files["shipped"])
        else:
            yield _model("inference", "ok", f"a 0 is read by {', '.join(texts)}")
        page = found.get("page")
        if page is None or "error" in page:
            why = page["error"] if page else self.read.error
            if why is None or not texts:
                yield _model("page", "skipped", "no model reads")
            else:
                yield self._broken("page", why)
        elif page["text"] != page["expected"]:
            said = f"{page['expected']!r} is read as {page['text']!r}"
            doubts = page["all"] == "".join(page["expected"].split())  # the digits are right
            yield self._misread("page", said, damaged=files["shipped"] and not doubts)
        else:
            rows = " / ".join(page["text"].splitlines())
            yield _model("page", "ok", f"read right: {rows}")

    def _broken(self, name: str, why: str) -> Check:
        crashed = self.read.signal in ("SIGILL", "SIGABRT", "SIGSEGV")
        remedy = _other_onnxruntime() if crashed else self._mend(self.read, "onnxruntime")
        return _model(name, "problem", why, remedy)

    def _misread(self, name: str, found: str, *, damaged: bool) -> Check:
        if damaged:
            remedy = _pip("install --force-reinstall onnxruntime numpy") + " and try again"
            return _model(name, "problem", found, remedy)
        remedy = f"digitkit eval {shlex.quote(self.model)} tells how well this model reads"
        return _model(name, "warning", found, remedy)

    def _profile(self, shipped: bool) -> Check:
        told = self.read.found.get("profile")
        if told is None:
            why = "its process ended before" if shipped else "of shipped models only"
            return _model("profile", "skipped", why)
        if told["note"] is not None:
            found, _, _ = told["note"].rpartition("; ")
            remedy = "digitkit bench --recommend --save"
            return _model("profile", "warning", found, remedy)
        found = told["fits"] or "none: int8 with one thread is taken; digitkit bench --recommend "
        found += "" if told["fits"] else "--save finds what is best here"
        return _model("profile", "ok", found)

    # --- cameras ---

    def _camera_checks(self) -> Iterator[Check]:
        if not self.cameras:
            yield _camera("cameras", "skipped", "left alone, as asked")
            return
        # What is amiss with a camera that nobody asked for stops nothing.
        amiss: State = "warning" if self.camera is None else "problem"
        remote = self.camera is not None and "://" in self.camera
        device = _device_file(self.camera) if self.camera is not None else None
        usable = [v for v in self.videos if v.captures and v.driver not in _PI_DRIVERS]
        barred = [v for v in self.videos if v.trouble == "permission"]
        if not remote and self.camera != "picamera2":
            yield self._listed(usable, device)
            yield self._permission(barred, device, amiss)
            yield self._use(usable, device)
        if self.camera is not None:
            there = device is None or self._same(self.videos, device)
            if device is not None and (not there or self._same(barred, device)):
                yield _camera("frame", "skipped", f"{device} cannot be opened")
            elif self.camera != "picamera2":
                yield self._frame("frame", self.camera, amiss)
        elif usable:
            yield self._frame("frame", usable[0].path, amiss)
        else:
            yield _camera("frame", "skipped", "no camera to take one from")
        if self.camera == "picamera2" or (self.camera is None and self.on_a_pi):
            yield self._frame("picamera2", "picamera2", amiss)
        elif self.camera is None:
            yield _camera("picamera2", "skipped", "not on a Raspberry Pi")

    def _listed(self, usable: list[VideoDevice], device: str | None) -> Check:
        here = [f"{v.path} ({v.card}, {v.driver})" for v in usable]
        own = [v.path for v in self.videos if v.captures and v.driver in _PI_DRIVERS]
        if own:
            here.append(f"of the Pi's own camera: {', '.join(own)}")
        if device is not None and not self._same(self.videos, device):
            told = f"; there are {', '.join(here)}" if here else ""
            found = f"{device} is not there{told}"
            remedy = "plug it in, then ls /dev/video*; sudo dmesg | tail tells what USB found"
            return _camera("cameras", "problem", found, remedy)
        if here:
            return _camera("cameras", "ok", "; ".join(here))
        if sys.platform != "linux":
            found = "only Linux lists them; digitkit doctor --camera 0 tries one"
            return _camera("cameras", "skipped", found)
        found = "none that can be asked" if self.videos else "none"
        return _camera("cameras", "skipped", f"{found}; pictures and videos need none")

    def _file(self, device: str) -> str:
        return os.path.realpath(self.root / device.lstrip("/"))

    def _same(self, videos: list[VideoDevice], device: str) -> list[VideoDevice]:
        """Those that a device's name, or a link such as /dev/v4l/by-id/…, stands for."""
        return [v for v in videos if os.path.realpath(v.path) == self._file(device)]

    def _permission(self, barred: list[VideoDevice], device: str | None, amiss: State) -> Check:
        name = "permission"
        if device is not None:
            barred = self._same(barred, device)
        if not barred:
            if not self.videos:
                return _camera(name, "skipped", "no camera")
            return _camera(name, "ok", "the cameras may be used")
        group = barred[0].group
        found = f"{', '.join(v.path for v in barred)} may not be used"
        if group in _memberships():
            found += f"; you are in the group {group}, but this session does not know yet"
            return _camera(name, amiss, found, "log out and in again, or sudo reboot")
        remedy = f"sudo usermod -aG {group} $USER, then log out and in again"
        return _camera(name, amiss, f"{found}: you are not in the group {group}", remedy)

    def _use(self, usable: list[VideoDevice], device: str | None) -> Check:
        paths = [v.path for v in usable] if device is None else [self._file(device)]
        busy = {path: by for path in paths if (by := v4l2.holders(path, self.root))}
        taken = [v.path for v in self.videos if v.trouble == "busy" and v.path not in busy]
        if not paths or not self.videos:
            return _camera("in use", "skipped", "no camera")
        if not busy and not taken:
            return _camera("in use", "ok", "by nobody that one may see")
        told = [f"{path} by {', '.join(by)}" for path, by in busy.items()]
        told += [f"{path} by another program" for path in taken]
        remedy = "close that program; a service: sudo systemctl stop digitkit"
        if taken:
            remedy = f"sudo fuser -v {taken[0]} tells by whom; {remedy}"
        return _camera("in use", "warning", "; ".join(told), remedy)

    def _frame(self, name: str, camera: str, amiss: State) -> Check:
        if self.no_opencv:
            found = f"needs {self.no_opencv}, which does not load"
            return _camera(name, "skipped", found)
        answer = self._ask("the camera", "camera", name=camera)
        told = answer.found.get("frame")
        if told is None:
            again = "unplug it, plug it in again; dmesg | tail tells what USB found"
            if "://" in camera:
                again = "see whether a player such as ffplay shows it"
            found, remedy = _parted(answer.error or "opens but gives no frames", again)
            found = found.removeprefix(f"{name}: ")
            # Most Pis have no camera of their own, and the Lite OS has no picamera2.
            absent = "no picamera2" in found or "no camera is detected" in found
            if name == "picamera2" and amiss == "warning" and absent:
                return _camera(name, "skipped", found, remedy)
            return _camera(name, amiss, found, remedy)
        found = (
            f"{told['width']}×{told['height']} pixels, brightness {told['brightness']:.0f} of 255"
        )
        if told["brightness"] < DARK:
            remedy = "take the lens cap off and make light"
            return _camera(name, "warning", f"{found}: all black", remedy)
        return _camera(name, "ok", found)

    # --- device ---

    def _device_checks(self) -> Iterator[Check]:
        yield self._disk()
        yield self._memory()
        yield self._temperature()
        yield self._power()
        yield self._governor()
        yield self._clock()
        yield self._display()

    def _disk(self) -> Check:
        told, low = [], False
        seen = set()
        places: list[Path] = []
        for where in (Path.cwd, folders.cache_folder, folders.config_folder):
            with suppress(OSError):  # the current folder was removed; this user has no home
                places.append(where())
        for place in places:
            with suppress(OSError):  # it may be within somebody else's folder
                while not place.exists() and place != place.parent:
                    place = place.parent
                disk = place.stat().st_dev
                if disk in seen:
                    continue
                seen.add(disk)
                megabytes = shutil.disk_usage(place).free / 1e6
                told.append(f"{megabytes:,.0f} MB free for {printable_path(place)}")
                low |= megabytes < LOW_DISK_MB
        if not told:
            return _device("disk", "skipped", "not told")
        remedy = "sudo apt-get clean; du -xh ~ | sort -h | tail shows what is large"
        state: State = "warning" if low else "ok"
        return _device("disk", state, "; ".join(told), remedy if low else None)

    def _memory(self) -> Check:
        free, all_ = self.now.memory_available_mb, self.machine.memory_mb
        if free is None:
            return _device("memory", "skipped", "not told")
        found = f"{free:,} MB available" + (f" of {all_:,}" if all_ else "")
        if free >= LOW_MEMORY_MB:
            return _device("memory", "ok", found)
        remedy = "stop other programs (ps aux --sort -rss | head), or use Raspberry Pi OS Lite"
        return _device("memory", "warning", found, remedy)

    def _temperature(self) -> Check:
        heat = self.now.temperature_c
        if heat is None:
            return _device("temperature", "skipped", "not told")
        if heat <= HOT_C:
            return _device("temperature", "ok", f"{heat:.0f} °C")
        remedy = "cool it: a heat sink, a fan, a case with holes; it slows down at 80 °C"
        return _device("temperature", "warning", f"{heat:.0f} °C", remedy)

    def _power(self) -> Check:
        bits = self.now.throttled
        if bits is None:
            if not self.on_a_pi:
                return _device("power", "skipped", "only a Raspberry Pi tells")
            remedy = "sudo usermod -aG video $USER, then log out and in again"
            return _device("power", "skipped", "vcgencmd does not answer", remedy)
        words = throttle_words(bits)
        if not words:
            return _device("power", "ok", "no under-voltage and no throttling since boot")
        remedies = []
        if bits & 0x10001:
            remedies.append(
                "take the board's own power supply (5.1 V; 3 A for a Pi 4, 5 A for a Pi 5) and a "
                "short cable"
            )
        if not remedies or bits & 0x80008:
            remedies.append("cool it: a heat sink, a fan, a case with holes")
        remedy = "; ".join([*remedies, "sudo reboot clears what was"])
        return _device("power", "warning", ", ".join(words), remedy)

    def _governor(self) -> Check:
        governor = self.now.governor
        if governor is None:
            return _device("governor", "skipped", "not told")
        # Elsewhere it may be the name of what sets the clock by load.
        if not self.on_a_board or "powersave" not in governor.split("/"):
            return _device("governor", "ok", governor)
        return _device(
            *("governor", "warning", f"{governor}, which may hold the clock down"),
            "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
        )

    def _clock(self) -> Check:
        now = time.localtime()
        found = time.strftime("%Y-%m-%d %H:%M", now)
        if now.tm_year >= SANE_YEAR:
            return _device("clock", "ok", found)
        remedy = "sudo timedatectl set-ntp true, or sudo date -s '2026-01-31 12:00'"
        found += ": not set; readings' times are wrong and https and rtsps fail"
        return _device("clock", "warning", found, remedy)

    def _display(self) -> Check:
        name, told = "display", self.opencv.found.get("opencv")
        if sys.platform == "linux" and not (
            os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY")
        ):
            found = "no screen in this session: --show has nowhere to draw, --annotate has"
            return _device(name, "skipped", found)
        if told is None:
            return _device(name, "skipped", "OpenCV does not load")
        if told["windows"]:
            return _device(name, "ok", "--show can open a window")
        found = "this OpenCV has no windows (headless): --show cannot draw, --annotate can"
        return _device(name, "skipped", found)


def _pip(*commands: str) -> str:
    """What to type to have pip do something; what a bundle installed has no pip."""
    if Path(sys.prefix).with_name("bundle.conf").is_file():
        return (
            "run ./install.sh of the bundle again; if that does not help, make a new one on "
            "another computer: digitkit bundle"
        )
    return " && ".join(f"{shlex.quote(sys.executable)} -m pip {command}" for command in commands)


def _other_onnxruntime() -> str:
    bad = ",".join(f"!={version}" for version in KNOWN_BAD)
    return _pip(f"install --upgrade 'onnxruntime{bad}'")


def _installed(*packages: str) -> dict[str, str]:
    """The versions of those that are installed."""
    found = versions(*packages)
    return {name: found[name] for name in packages if name in found}


def _with_version(error: str, *packages: str) -> str:
    """An error with the versions of the packages that it is about, as far as they are installed."""
    told = ", ".join(f"{name} {version}" for name, version in _installed(*packages).items())
    return f"{told}: {error}" if told else error


def _device_file(camera: str) -> str | None:
    """The device file of a camera's number or name; None for other cameras."""
    if camera.isascii() and camera.isdigit():
        return f"/dev/video{camera}" if sys.platform == "linux" else None
    return camera if camera.startswith("/dev/") else None


def _memberships() -> set[str]:
    """The groups that the system's lists put this user in, whatever this session has."""
    import grp
    import pwd

    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return set()
    return {group.gr_name for group in grp.getgrall() if user in group.gr_mem}


def _parted(text: str, otherwise: str) -> tuple[str, str]:
    """What a camera's error says is wrong, and what to do about it."""
    ends = list(re.finditer(r"; |: (?=sudo )", text))
    if not ends:
        return text, otherwise
    return text[: ends[-1].start()], re.sub(" (brings|mends) it$", "", text[ends[-1].end() :])
