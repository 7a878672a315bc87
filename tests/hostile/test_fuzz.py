"""Seeded mutations of every kind of file; `make fuzz` runs many more."""

import sys

import pytest
from fuzz import run
from fuzz.faulty import FAULTY
from fuzz.run import Work, describe, fuzz
from fuzz.targets import TARGETS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits memory as on Linux"),
]
CALLS = 200


@pytest.mark.parametrize("name", TARGETS)
def test_an_answer_or_a_digitkit_error(name, tmp_path):
    if name in ("run", "weights"):
        pytest.importorskip("torch", reason="needs the train extra")
    if name == "model":
        pytest.importorskip("onnx", reason="needs the train extra")
    assert fuzz(name, Work("0", CALLS, 900, tmp_path)) >= CALLS
    assert "\n".join(describe(tmp_path)) == ""


KINDS = {
    "take_memory": "memory", "write_a_file": "open", "divide_by_zero": "ZeroDivisionError",
    "crash": "SIGSEGV", "hang": "no end within", "abort": "SIGABRT",
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTY)
def test_faults_are_found(name, tmp_path, monkeypatch):
    if name == "hang":
        monkeypatch.setattr(run, "INPUT_SECONDS", 1.0)
    fuzz(name, Work("0", 2, 120, tmp_path))
    found = next(describe(tmp_path))
    assert KINDS[name] in found.splitlines()[0]
    assert f"{name}-" in found
