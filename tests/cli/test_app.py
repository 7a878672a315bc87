"""The command line as a whole: its commands, its checks, its progress bars."""

from __future__ import annotations

import inspect
import io
import re
from importlib import import_module
from pathlib import Path
from typing import Annotated
from unittest.mock import MagicMock

import pytest
import typer
from rich.console import Console
from support.cli import run
from typer.testing import CliRunner

from digitkit.choices import ReportFormat
from digitkit.cli import show
from digitkit.cli.app import COMMANDS, _Command
from digitkit.errors import ConfigError
from digitkit.version import __version__


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"digitkit {command}" in result.output
    assert "Examples" in result.output


def test_each_command_is_listed_with_its_summary():
    listed = run("--help").output
    for name, summary in COMMANDS.items():
        command = import_module(f"digitkit.cli.{name}").command
        assert inspect.getdoc(command).split("\n\n")[0].replace("\n", " ") == summary
        assert re.search(rf"^  {name} +{summary[:30]}", listed, re.MULTILINE)
    assert re.search(r"\bExamples\b", listed)


def test_an_unknown_command_names_the_nearest():
    result = run("infr", "x.png")
    assert result.exit_code == 2
    assert "No such command 'infr'" in result.output
    assert "infer" in result.output


def test_without_arguments_the_commands_are_listed():
    result = run()
    assert result.exit_code == 2
    assert all(f"\n  {name} " in result.output for name in COMMANDS)


def test_values_are_checked_and_defaults_kept():
    got: list[object] = []
    alone = typer.Typer(add_completion=False)

    @alone.command(cls=_Command)
    def command(
        names: list[str] | None = None,
        word: str = "a",
        form: ReportFormat = "text",
        place: Path | None = None,
        count: Annotated[int, typer.Option(min=1)] = 3,
        sure: bool = False,
    ) -> None:
        got[:] = [names, word, form, place, count, sure]

    def call(*arguments: str) -> int:
        return CliRunner().invoke(alone, arguments).exit_code

    assert call() == 0
    assert got == [None, "a", "text", None, 3, False]
    assert call("--names", "x", "--names", "1", "--word", "2", "--sure") == 0
    assert got == [["x", "1"], "2", "text", None, 3, True]
    assert call("--form", "json", "--place", "x", "--count", "4") == 0
    assert got == [None, "a", "json", Path("x"), 4, False]
    for wrong in (("--form", "xml"), ("--count", "0"), ("--count", "many"), ("--word",)):
        assert call(*wrong) == 2


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            ConfigError("must be at least 1, got 0", field="page_size"),
            "Invalid value for '--page-size'",
        ),
        (ConfigError("does not go with that"), "digitkit: does not go with that"),
    ],
)
def test_a_configuration_error_names_its_option(monkeypatch, error, expected):
    def command(page_size: int = 3) -> None:
        """Fail."""
        raise error

    module = MagicMock(command=command, EXAMPLES="", SUBCOMMANDS={})
    monkeypatch.setattr("digitkit.cli.app.import_module", lambda *_: module)
    result = run("infer")
    assert result.exit_code == 2
    assert expected in result.output


@pytest.mark.parametrize(("total", "drawn"), [(1, False), (3, True), (0, True)])
def test_a_bar_is_drawn_only_for_more_than_one_step(monkeypatch, total, drawn):
    made = []
    monkeypatch.setattr(show, "_make_bars", lambda still: made.append(MagicMock()) or made[-1])
    monkeypatch.setattr("sys.stderr", MagicMock(isatty=lambda: True))
    with show.progress() as report:
        for done in range(1, max(total, 2)):
            report("reading", done, total)
    assert bool(made) == drawn
    for bar in made:
        bar.start.assert_called_once()
        bar.stop.assert_called_once()


@pytest.mark.parametrize("width", [80, 120])
def test_a_still_bar_shows_its_figures(monkeypatch, width):
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=width)
    monkeypatch.setattr(show, "err", lambda: console)
    monkeypatch.setattr("sys.stderr", MagicMock(isatty=lambda: True))
    with show.progress(still=True) as report:
        for done in (0, 1030):
            report("round 12: digits-tiny-int8, 2 threads, batch 8 " * 3, done, 1135)
            assert f"{done:4}/1135 0:00:0" in re.sub(
                r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn.getvalue()
            )
    assert "…" not in drawn.getvalue()


def test_version():
    assert run("--version").output == f"digitkit {__version__}\n"
