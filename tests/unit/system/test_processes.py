"""Functions in fresh interpreters; the functions that they call are at the end of this file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from digitkit.errors import MissingDependencyError
from digitkit.system import processes
from digitkit.system.processes import Child, ChildFailure, call_in_child


def call(function: str, seconds: float = 30, **arguments):
    return call_in_child("unit.system.test_processes", function, arguments, seconds=seconds)


def test_a_returned_value_comes_back():
    result = call("give", value={"ü": [1, None]})
    assert result.failure is None
    assert [json.loads(item) for item in result.items] == [{"number": 7, "value": {"ü": [1, None]}}]


def test_yielded_values_come_back_even_if_the_process_dies():
    result = call("give_two_and", end=9)
    assert result.items == (b"1", b'"two"')
    assert result.failure == ChildFailure("killed", "SIGKILL")
    assert call("give_two_and", end=None).failure is None


@pytest.mark.parametrize(
    ("function", "kind", "message", "cause"),
    [
        ("raise_ours", "raised", "no openvino; pip install openvino", "libtbb.so"),
        ("raise_memory", "raised", "does not fit into memory", ""),
        ("raise_other", "exited", "RuntimeError: way", ""),
        ("leave", "exited", "exit code 7", ""),
        ("print_bytes_and_fail", "exited", "\N{REPLACEMENT CHARACTER}", ""),
        ("missing", "exited", None, ""),
        ("sleep", "timeout", None, ""),
    ],
)
def test_how_a_process_fails(function, kind, message, cause):
    failure = call(function, seconds=0.8 if kind == "timeout" else 30).failure
    assert (failure.kind, failure.cause) == (kind, cause)
    assert message is None or failure.message == message


def test_what_libraries_print_does_not_mix_with_the_items():
    assert call("print_and_give").items == (b"1",)


def test_an_interpreter_that_does_not_start(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert call("give", value=1).failure.kind == "not-started"


def test_the_environment_is_the_given_one():
    env = {"ONLY": "x", "PATH": os.environ["PATH"]}
    result = call_in_child(
        "unit.system.test_processes", "variable", {"name": "ONLY"}, seconds=30, env=env
    )
    assert result.items == (b'"x"',)


def test_arguments_are_not_in_the_list_of_processes():
    assert "secret" not in " ".join(processes.child_command("m", "f"))


def test_a_dialogue():
    with Child("unit.system.test_processes", "echo", {}, errors=False) as child:
        assert child.read_item() == b'"ready"'
        child.send("go")
        assert child.wait(30).items == (b'"ready"', b'"go"')
    with Child("unit.system.test_processes", "leave", {}) as child:
        assert child.read_item() is None
        child.send("too late")
        assert child.wait(30).failure.kind == "exited"


# --- what runs in the children ---------------------------------------------------------------


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


def raise_ours() -> None:
    try:
        raise OSError("libtbb.so")
    except OSError as error:
        raise MissingDependencyError("no openvino", hint="pip install openvino") from error


def raise_memory() -> None:
    raise MemoryError


def raise_other() -> None:
    raise RuntimeError("way")


def leave() -> None:
    os._exit(7)


def print_bytes_and_fail() -> None:
    os.write(2, b"\xff\n")
    os._exit(1)


def sleep() -> None:
    import time

    time.sleep(60)


def print_and_give() -> int:
    os.write(1, b"=2\n")
    print("=3")
    return 1


def variable(name: str) -> str | None:
    return os.environ.get(name)


def echo() -> Iterator[str]:
    yield "ready"
    yield sys.stdin.readline().rstrip()
