"""What README and docs show is what the commands print."""

import platform
import re
import shlex
from importlib import metadata

import numpy as np
import outputs
import pytest
from outputs import Block, agrees
from support.paths import ROOT

from digitkit.images.cv import cv2

WITH_COMMANDS = [
    page
    for page in outputs.pages()
    if any(one.kind == "console" and not one.recorded for one in outputs.blocks(page))
]

ALL = [block for page in outputs.pages() for block in outputs.blocks(page)]


def is_older(installed: str, stated: tuple[int, int]) -> bool:
    """Whether an older release of a package is installed than the documentation states."""
    major, minor, *_ = installed.split(".")
    return (int(major), int(minor)) < stated


# Confidences differ in their last digits elsewhere: other decoders, other kernels.
as_documented = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64")
    or is_older(metadata.version("onnxruntime"), (1, 32))
    or is_older(cv2.__version__, (5, 0)),
    reason="the outputs shown are those of ONNX Runtime 1.32 and OpenCV 5 on x86-64, or later",
)


@pytest.mark.slow
@as_documented
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=str)
def test_commands_print_what_is_shown(page):
    for block, command, shown, printed in outputs.run_page(page, slow=False):
        assert agrees(shown, printed, varies=block.varies), f"$ {command}\n{printed}"


@pytest.mark.slow
@as_documented
@pytest.mark.parametrize("name", outputs.PICTURES)
def test_pictures_are_what_is_drawn(name, tmp_path):
    drawn, shown = (
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        for data in (outputs.draw_picture(name, tmp_path), (outputs.IMAGES / name).read_bytes())
    )
    assert drawn.shape == shown.shape
    assert np.abs(drawn.astype(int) - shown).mean() < 2


@pytest.mark.parametrize(
    ("shown", "printed", "varies", "same"),
    [
        ("a 1\n", "a 1\n", False, True),
        ("a 1\n", "a 2\n", False, False),
        ("a 1\n", "a 2\n", True, True),
        ("a 1 b\n", "a 2 c\n", True, False),
        ("took … s\n", "took 0.3 s\n", False, True),
        ("a\n…\nd\n", "a\nb\nc\nd\n", False, True),
        ("a\n…\nd\n", "a\nd\n", False, True),
        ("a\n", "a\nb\n", False, False),
        ("a\nb\n", "a\n", False, False),
        ("(.*)\n", "abcd\n", False, False),
        (" x   1.5 µs\n ───\n", " x  10.25 µs\n ─────\n", True, True),
        ("", "", False, True),
        ("", "a\n", False, False),
    ],
)
def test_what_agrees(shown, printed, varies, same):
    assert agrees(shown, printed, varies=varies) is same


def test_blocks_are_told_apart(tmp_path, monkeypatch):
    (tmp_path / "page.md").write_text(
        '```console title="Recorded: x"\n$ a b\n1\n$ c\n```\n\n```python title="x.py"\npass\n```\n'
    )
    monkeypatch.setattr(outputs, "ROOT", tmp_path)
    first, second = outputs.blocks("page.md")
    assert isinstance(first, Block)
    assert (first.recorded, first.varies) == (True, False)
    assert first.commands == [("a b", "1\n"), ("c", "")]
    assert (second.kind, second.title, second.body) == ("python", "x.py", "pass\n")
    with pytest.raises(ValueError, match="rm x"):
        outputs.run_command("rm x", tmp_path)


def test_what_is_not_compared_says_when_and_where_it_was_recorded():
    for block in ALL:
        if block.recorded:
            assert re.search(r"20\d\d-\d\d-\d\d, .*(AMD|Intel)", block.title), block.page


@pytest.mark.slow
def test_options_of_commands_that_are_not_run_exist():
    commands = set()
    for block in ALL:
        if block.kind == "sh":
            lines = re.sub(r"\\\n", " ", block.body).splitlines()
            commands |= {line.strip() for line in lines if line.startswith("digitkit ")}
        elif block.kind == "console" and (block.recorded or block.varies):
            commands |= {command for command, _ in block.commands}
    assert len(commands) > 20
    for command in commands:
        for part in command.split(" && "):
            assert outputs.unknown_options(part) == [], command
    assert outputs.unknown_options("digitkit infer x --nope") == ["--nope"]


def test_readme_is_short_and_its_figures_are_those_of_the_benchmarks():
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.split()) <= 1200
    assert (ROOT / "docs/images/live.gif").stat().st_size < 500_000
    table = [line for line in text.partition("## Figures")[2].splitlines() if line[:1] == "|"]
    figures = (ROOT / "docs/figures.md").read_text("utf-8")
    for figure in re.findall(r"[\d.]+%|[\d.]+ µs", "\n".join(table)):
        assert figure in figures


@pytest.mark.slow
def test_examples_in_help_have_options_that_exist():
    from digitkit.cli.app import COMMANDS

    for name in COMMANDS:
        text = outputs.run_command(f"digitkit {name} --help", ROOT)
        lines = [line.strip() for line in text.partition("Examples")[2].splitlines()]
        for line in lines:
            if line.startswith("digitkit "):
                command = line.partition(" — ")[0]
                assert outputs.unknown_options(shlex.join(shlex.split(command))) == [], command
