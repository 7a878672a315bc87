"""Names and metadata that a terminal or rich would interpret are printed as they are."""

import json
import os
import re
import subprocess
import sys

import pytest
from support.cli import run

from digitkit.errors import escape_controls
from digitkit.models.registry import find_model

CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")


@pytest.mark.parametrize("text", ["a\x1b[2Jb", "a\x9b2Jb", "a\rb", "a\x07b", "a\u202eb"])
def test_controls_are_escaped(text):
    escaped = escape_controls(text)
    assert not CONTROLS.search(escaped)
    assert escaped.startswith("a\\")


def test_names_of_files(digit_file, tmp_path):
    image = digit_file(7, "seven.png", size=100)
    bad = tmp_path / "x\x1b[31m\x9b2J[v2].png"
    bad.write_bytes(image.read_bytes())
    for options in ([], ["--format", "jsonl"]):
        result = run("infer", bad, tmp_path / "gone\x9b.png", *options)
        assert result.exit_code == 1
        assert not CONTROLS.search(result.output)
        assert "[v2]" in result.stdout
    assert json.loads(result.stdout.splitlines()[0])["source"] == str(bad)


@pytest.mark.parametrize(
    ("command", "how"), [("infer", "jsonl"), ("infer", "csv"), ("inspect", "json")]
)
def test_programs_get_utf8(digit_file, tmp_path, command, how):
    file = digit_file(7, "zwölf ☃")
    if command == "inspect":
        file.write_bytes(find_model("digits-tiny").read_bytes())
    env = os.environ | {"PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"}
    arguments = [sys.executable, "-m", "digitkit", command, "--format", how, str(file)]
    result = subprocess.run(arguments, env=env, capture_output=True, check=True)
    assert str(file) in result.stdout.decode()


def test_a_name_that_is_too_long():
    arguments = ["infer", "--model", "x\x1b[31m" + "y" * 300, "a.png"]
    command = [sys.executable, "-m", "digitkit", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("digitkit: x\\x1b")
    assert not CONTROLS.search(result.stderr)


def test_brackets_in_the_name_of_a_model(tmp_path, small_data):
    folder = tmp_path / "a[/v2]"
    folder.mkdir(parents=True)
    model = folder / "b[bold]\x1b.onnx"
    model.write_bytes(find_model("digits-tiny").read_bytes())
    for command in (["inspect", model], ["eval", model, "--data", small_data, "--no-pictures"]):
        result = run(*command)
        assert result.exit_code == 0, result.output
        assert "b[bold]\\x1b.onnx" in "".join(result.stdout.split())
        assert not CONTROLS.search(result.stdout)


@pytest.mark.parametrize("first", "=+-@")
def test_a_spreadsheet_sees_no_formula_in_a_name(digit_file, monkeypatch, first):
    image = digit_file(7, f"{first}cmd.png", size=100)
    monkeypatch.chdir(image.parent)
    result = run("infer", "--format", "csv", "--", image.name)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].startswith(f"'{first}cmd.png,,0,0,7,")
