"""Child processes: functions that run in a fresh interpreter, and commands of the system.

A function is called in a child where it may crash (a probe of the doctor) or where the process
itself is measured (a job of the benchmark). There is one protocol for both:

- `call_in_child` starts an interpreter that imports a module, calls one of its functions with
  keyword arguments (JSON, on standard input, so that no argument shows in the list of processes)
  and ends.
- What the function yields, or else what it returns, comes back on the standard output as JSON
  lines, dataclasses as objects. Each line is written at once: a process that dies has reported how
  far it got. What libraries print goes to standard error instead.
- How the process ended is a `ChildFailure`: the function raised an error, a signal killed it, it
  exited by itself, it took too long, or it did not start.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, is_dataclass
from importlib import import_module
from typing import Any, Literal

from digitkit.errors import DigitkitError, one_line, os_reason

_ITEM, _ERROR, _END = b"=", b"!", b"."
"""How a line of a child begins: a reported item, the error that the function raised, its end."""

FailureKind = Literal["raised", "killed", "exited", "timeout", "not-started"]


@dataclass(frozen=True)
class ChildFailure:
    """Why a function in a child did not come to its end.

    Attributes:
        kind: ``raised``: it raised a `DigitkitError`, an `ImportError` or a `MemoryError`;
            ``killed``: a signal ended the process; ``exited``: the process ended by itself, with a
            traceback say; ``timeout``: it was stopped after the time limit; ``not-started``.
        message: the error's text, the signal's name, the last line on standard error or else the
            exit code, the time limit: one line.
        cause: for ``raised``, the first error in the chain of causes, one line; else ``""``.
    """

    kind: FailureKind
    message: str
    cause: str = ""

    def __str__(self) -> str:
        """The failure as a sentence without a full stop."""
        if self.kind == "killed":
            return f"the process was killed by {self.message}"
        if self.kind == "exited":
            return f"the process failed: {self.message}"
        return self.message


@dataclass(frozen=True)
class ChildResult:
    """What a function in a child reported.

    Attributes:
        items: what it yielded, or the one value that it returned, each as JSON; without a failure
            there is at least the latter.
        failure: why it did not come to its end; None if it did.
    """

    items: tuple[bytes, ...] = ()
    failure: ChildFailure | None = None


def call_in_child(
    module: str,
    function: str,
    arguments: Mapping[str, Any],
    *,
    seconds: float,
    env: Mapping[str, str] | None = None,
) -> ChildResult:
    """Call a function of a module in a fresh interpreter; never raises for what happens there.

    Args:
        module: the module's full name.
        function: the name of a function, or of a generator function that reports step by step.
        arguments: keyword arguments, values that JSON knows.
        seconds: the time limit.
        env: the whole environment; None for this process's own.
    """
    try:
        child = Child(module, function, arguments, env=env)
    except OSError as error:
        message = f"{sys.executable} cannot be run: {os_reason(error)}"
        return ChildResult(failure=ChildFailure("not-started", message))
    with child:
        return child.wait(seconds)


class Child:
    """A running call in a fresh interpreter, for callers that start several and talk to them.

    A context manager: leaving it kills a process that still runs.
    """

    def __init__(
        self,
        module: str,
        function: str,
        arguments: Mapping[str, Any],
        *,
        env: Mapping[str, str] | None = None,
        errors: bool = True,
    ) -> None:
        """Start it; the arguments are `call_in_child`'s.

        Args:
            module: see there.
            function: see there.
            arguments: see there.
            env: see there.
            errors: whether standard error is kept for the failure's message. It is read by `wait`
                only: a child that prints much before would block.

        Raises:
            OSError: the interpreter cannot be started.
        """
        self._lines: list[bytes] = []
        self._process = subprocess.Popen(
            child_command(module, function),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if errors else subprocess.DEVNULL,
            env=env,
            bufsize=0,  # so that nothing is lost between `read_item` and `wait`
        )
        self.send(json.dumps(arguments))

    def send(self, line: str) -> None:
        """Write a line to the function's standard input; without effect once the child is dead."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(f"{line}\n".encode())

    def read_item(self) -> bytes | None:
        """Wait for the next reported item; None if there is none because the call has ended."""
        assert self._process.stdout is not None
        self._lines.append(self._process.stdout.readline())
        return self._lines[-1][1:-1] if self._lines[-1].startswith(_ITEM) else None

    def wait(self, seconds: float) -> ChildResult:
        """Wait for the call's end, at most so long; a child that takes longer is killed."""
        late = False
        try:
            out, errors = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            late = True
            self._process.kill()
            out, errors = self._process.communicate()
        # A line that was cut short is none.
        lines = [line for line in (*self._lines, *out.splitlines(True)) if line.endswith(b"\n")]
        items = tuple(line[1:-1] for line in lines if line.startswith(_ITEM))
        if any(line.startswith(_END) for line in lines):
            return ChildResult(items)
        for line in lines:
            if line.startswith(_ERROR):
                return ChildResult(items, ChildFailure("raised", *json.loads(line[1:])))
        if late:
            failure = ChildFailure("timeout", f"no answer within {seconds:g} s")
        elif name := signal_name(self._process.returncode):
            failure = ChildFailure("killed", name)
        else:
            said = (errors or b"").decode("utf-8", "replace").strip().splitlines()
            message = one_line(said[-1]) if said else f"exit code {self._process.returncode}"
            failure = ChildFailure("exited", message)
        return ChildResult(items, failure)

    def kill(self) -> None:
        """Stop it at once; `wait` still returns what it had reported."""
        self._process.kill()

    def __enter__(self) -> Child:
        """Give the child itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Stop it if it still runs."""
        self._process.kill()
        self._process.communicate()


def child_command(module: str, function: str) -> list[str]:
    """The command of a child, which finds modules exactly where this process does."""
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; "
        f"from digitkit.system.processes import run_child; run_child({module!r}, {function!r})"
    )
    return [sys.executable, "-P", "-c", code]


def run_child(module: str, function: str) -> None:
    """What a child does; called by `child_command` only."""
    channel = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not get between the items

    def report(kind: bytes, value: object = None) -> None:
        os.write(channel, kind + json.dumps(value, default=_as_object).encode() + b"\n")

    try:
        arguments = json.loads(sys.stdin.readline())
        result = getattr(import_module(module), function)(**arguments)
        for item in result if isinstance(result, Iterator) else (result,):
            report(_ITEM, item)
    except (DigitkitError, ImportError) as error:
        report(_ERROR, (one_line(error), one_line(_first_cause(error))))
    except MemoryError:
        report(_ERROR, ("does not fit into memory", ""))
    else:
        report(_END)


def _as_object(value: Any) -> dict[str, Any]:
    if not is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"a child cannot report a {type(value).__name__}")
    return asdict(value)


def _first_cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def interpreter_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module's ``main``, with arguments, in a fresh interpreter.

    It finds modules exactly where this process does, and not in the current folder.
    """
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; sys.argv[1:] = {list(arguments)!r}; "
        f"from {module} import main; main()"
    )
    return [sys.executable, "-P", "-c", code]


def signal_name(code: int) -> str | None:
    """The name of the signal that ended a process, by its exit code; None if none did."""
    if code >= 0:
        return None
    try:
        return signal.Signals(-code).name
    except ValueError:  # a real-time signal has no name
        return f"signal {-code}"


COMMAND_SECONDS = 2.0
"""How long a Raspberry Pi's firmware may take to answer; it takes milliseconds."""

RunCommand = Callable[[Sequence[str]], str | None]
"""Runs a command and gives its output, or None if the command does not exist or fails."""


def run_command(command: Sequence[str]) -> str | None:
    """The output of a command; None if it does not exist, fails or takes too long."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=COMMAND_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
