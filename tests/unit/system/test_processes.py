"""Functions in fresh interpreters; the functions that they call are at the end of this file."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from digitkit.errors import MissingDependencyError
from digitkit.system.processes import Child, ChildFailure, call_in_child

MODULE = "unit.system.test_processes"


def call(function: str, seconds: float = 30, env: dict[str, str] | None = None, **arguments):
    return call_in_child(MODULE, function, arguments, seconds=seconds, env=env)


def test_values_come_back():
    result = call("give", value={"ü": [1, None]})
    assert result.failure is None
    assert [json.loads(item) for item in result.items] == [{"number": 7, "value": {"ü": [1, None]}}]
    # Yielded values come back even if the process dies.
    result = call("give_two_and", end=9)
    assert result.items == (b"1", b'"two"')
    assert result.failure == ChildFailure("killed", "SIGKILL")
    assert call("give_two_and", end=None).failure is None
    # What libraries print does not mix with them.
    assert call("execute", code=r"os.write(1, b'=2\n'); print('=3'); result = 1").items == (b"1",)


OURS = """
try: raise OSError('libtbb.so')
except OSError as error:
    raise MissingDependencyError('no openvino', hint='pip install openvino') from error
"""


@pytest.mark.parametrize(("code", "kind", "message", "cause"), [
    (OURS, "raised", "no openvino; pip install openvino", "libtbb.so"),
    ("raise MemoryError", "raised", "does not fit into memory", ""),
    ("raise RuntimeError('way')", "exited", "RuntimeError: way", ""),
    ("os._exit(7)", "exited", "exit code 7", ""),
    (r"os.write(2, b'\xff\n'); os._exit(1)", "exited", "\N{REPLACEMENT CHARACTER}", ""),
    ("import time; time.sleep(60)", "timeout", None, ""),
])  # fmt: skip
def test_how_a_process_fails(code, kind, message, cause):
    failure = call("execute", seconds=0.8 if kind == "timeout" else 30, code=code).failure
    assert (failure.kind, failure.cause) == (kind, cause)
    assert message is None or failure.message == message


def test_processes_that_cannot_call(monkeypatch):
    assert call("missing").failure.kind == "exited"
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert call("give", value=1).failure.kind == "not-started"


def test_environment_and_arguments():
    env = {"ONLY": "x", "PATH": os.environ["PATH"]}
    code = "result = os.environ['ONLY'], os.environ.get('HOME')"
    assert call("execute", env=env, code=code).items == (b'["x", null]',)
    # Arguments may be secret and are not in the list of processes.
    code = "import sys; result = [word for word in sys.orig_argv if 'orig_argv' in word]"
    assert call("execute", code=code).items == (b"[]",)


def test_a_dialogue():
    with Child(MODULE, "echo", {}, errors=False) as child:
        assert child.read_item() == b'"ready"'
        child.send("go")
        assert child.wait(30).items == (b'"ready"', b'"go"')
    with Child(MODULE, "execute", {"code": "os._exit(7)"}) as child:
        assert child.read_item() is None
        child.send("too late")
        assert child.wait(30).failure.kind == "exited"


@dataclass(frozen=True)
class Given:
    number: int
    value: object


def give(value: object) -> Given:
    return Given(7, value)


def give_two_and(end: int | None) -> Iterator[object]:
    yield 1
    yield "two"
    if end is not None:
        os.kill(os.getpid(), end)


def execute(code: str) -> object:
    """Run code; returns what it assigns to `result`."""
    names = {"os": os, "MissingDependencyError": MissingDependencyError}
    exec(code, names)
    return names.get("result")


def echo() -> Iterator[str]:
    yield "ready"
    yield sys.stdin.readline().rstrip()
