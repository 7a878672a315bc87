"""The command line as a whole: its commands, its checks, its progress bars."""

import inspect
import io
import re
from importlib import import_module
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import typer
from rich.console import Console
from support.cli import one_error_line, run
from typer.testing import CliRunner

from digitkit.cli import show
from digitkit.cli.app import COMMANDS, app
from digitkit.cli.train import RECIPE_NAMES, step_tasks
from digitkit.errors import ConfigError
from digitkit.version import __version__


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_listed_with_its_summary_and_has_examples(name):
    listed, shown = run("--help").output, run(name, "--help")
    assert shown.exit_code == 0
    assert f"digitkit {name}" in shown.output
    assert "Examples" in shown.output
    assert "Examples" in listed
    summary = inspect.getdoc(import_module(f"digitkit.cli.{name}").command).split("\n\n")[0]
    assert summary.replace("\n", " ") == COMMANDS[name]
    assert re.search(rf"^  {name} +{COMMANDS[name][:30]}", listed, re.MULTILINE)


def test_without_a_command_or_with_an_unknown_one():
    unknown, nothing = run("infr", "x.png"), run()
    assert (unknown.exit_code, nothing.exit_code) == (2, 2)
    assert "infer" in unknown.stderr.replace("infr", "")  # the nearest
    assert all(f"\n  {name} " in nothing.output for name in COMMANDS)
    assert run("--version").output == f"digitkit {__version__}\n"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            ConfigError("must be at least 1", field="page_size"),
            "digitkit: --page-size must be at least 1",
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
    assert one_error_line(run("infer"), 2) == expected


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("infer x.png --format cvs", "--format must"),
        ("infer x.png --expect six", "--expect must"),
        ("infer x.png --workers 0", "--workers must"),
        ("infer x.png --gap wide", "--gap must"),
        ("infer x.png --annotate=", "--annotate must not be empty"),
        ("infer x.png --explain=", "--explain must not be empty"),
        ("form new x.png --out=", "--out must not be empty"),
        ("bundle --out=", "--out must not be empty"),
        ("eval --threads 0", "--threads must"),
        ("infer x.png --nope", "--nope"),
        ("infer x.png --expect", " infer --help shows"),
        ("bench compare", "REPORT"),
        ("export", "RUN"),
        ("infr", "infr"),
        ("--nope", "--nope"),
    ],
)
def test_every_usage_error_is_one_line_in_our_own_words(arguments, named):
    line = one_error_line(run(*arguments.split()), 2)
    assert line.startswith("digitkit: ")
    assert named in line
    assert "Value error" not in line
    assert "Input should" not in line


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("train --recipe art", ["article", "article-minimal"]),
        ("infer --model digits", ["digits", "digits-tiny"]),
        ("infer --model m", ["models/"]),
        ("eval models/", ["models/own.onnx"]),
        ("doctor --model o", ["other.onnx"]),
        ("bundle --model no-such-folder/", []),
    ],
)
def test_the_shell_completes_models_and_recipes(words, offered, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("models/own.onnx", "models/notes.txt", "other.onnx", ".hidden.onnx"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    text = f"digitkit {words}"
    asked = {"COMP_WORDS": text, "COMP_CWORD": str(len(text.split()) - 1)}
    for name, value in {"_DIGITKIT_COMPLETE": "complete_bash", **asked}.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, prog_name="digitkit")
    assert result.stdout.split() == offered


def test_every_recipe_is_offered():
    pytest.importorskip("torch")
    from digitkit.training.recipes import RECIPES

    assert (*RECIPES, *step_tasks()) == RECIPE_NAMES


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_values_as_people_do_and_breaks_no_name(name):
    shown = run(name, "--help").output
    assert not re.search(r"<(bool|int|float|str|path|list)|INTEGER|x>=", shown)
    # The oldest typer that is allowed shows the types of arguments beside their names.
    if tuple(map(int, typer.__version__.split(".")[:2])) > (0, 20):
        assert not re.search(r"\bTEXT\b|\bPATH\b", shown)
    root = typer.main.get_command(app)
    context = root.make_context("digitkit", ["infer"], resilient_parsing=True)
    _, command, _ = root.resolve_command(context, [name])
    command.show_plain_values(context)
    options = [one for one in command.params if one.param_type_name == "option"]
    for option in options:
        assert option.metavar or option.is_flag, option.name
        assert not option.metavar or option.metavar in shown, option.metavar


@pytest.mark.parametrize(("terminal", "lines"), [(True, 3), (False, 1)])
def test_a_terminal_gets_lines_broken_between_words(monkeypatch, terminal, lines):
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    monkeypatch.setattr("sys.stdout", stream)
    words = "AMD EPYC (AVX2, AVX512-VNNI), 2 cores; ONNX Runtime 1.32.0; at least 1,024 calls " * 2
    show.print_wrapped(words + "\x1b")
    text = stream.getvalue()
    assert len(text.splitlines()) == lines
    assert text.split() == [*words.split(), r"\x1b"]
    assert not terminal or max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("still", [True, False])
def test_a_bar_is_drawn_for_more_than_one_step_and_shows_its_figures(monkeypatch, width, still):
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=width)
    monkeypatch.setattr(show, "err", lambda: console)
    monkeypatch.setattr("sys.stderr", MagicMock(isatty=lambda: True))
    with show.progress() as report:
        report("reading", 1, 1)
        assert drawn.getvalue() == ""
        report("searching", 1, 0)  # how many there are is unknown
    assert "1/?" in drawn.getvalue()
    with show.progress(still=still) as report:
        for done in (0, 1030):
            what = "round 12: digits-tiny-int8, 2 threads, batch 8 "
            report(what * 3 if still else "reading", done, 1135)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn.getvalue())
    assert re.search(r"1030/1135 (\d:\d\d:\d\d passed, )?[-\d]:[-\d]+:[-\d]+ left", text)
    assert "…" not in text.replace("… ━", "━")  # of what is shortened before the bar
