"""The ``digitkit`` command: its subcommands, and how errors become exit codes."""

from __future__ import annotations

import errno
import inspect
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from digitkit.cli.exit_codes import GATE_FAILED, SOME_FAILED, USAGE, WRONG_SETTINGS
from digitkit.cli.option_values import OptionChecks, is_service, skip_checks
from digitkit.errors import (
    AddressError,
    ClusterRunError,
    ConfigError,
    DigitkitError,
    GateError,
    InputNotFoundError,
    ModelError,
    ModelRunError,
    OutputError,
    OutputPathError,
    SettingsError,
    WorkerError,
    cannot_write,
    escape_controls,
    one_line,
    os_reason,
)
from digitkit.version import __version__

# The base of what is raised for wrong options; where it is defined changes with typer's version.
_UsageError: Any = typer.BadParameter.__mro__[1]

COMMANDS = {
    "train": "Train a net by a recipe, on MNIST or on your own digits.",
    "export": "Export a training to ONNX, in fp32 and int8, and verify both.",
    "infer": "Read handwritten digits from images, whole pages, folders, lists, videos or a "
    "camera.",
    "serve": "Read a camera, files and posted images, and show it on a web page and as an API.",
    "corrections": "Turn corrections into a folder for digitkit train --data.",
    "form": "Define the fields of a form once, so that digitkit infer --form reads it.",
    "eval": "Measure a model: loss, accuracy, calibration, per-digit precision and recall.",
    "inspect": "Show what a model is: its contract, operators, parameters, multiply-adds, size, "
    "hashes.",
    "bench": "Measure latency reliably, and find what to run on this device.",
    "bundle": "Build one file that installs digitkit on a device without a network.",
    "doctor": "Find what prevents digits from being read on this machine, and how to fix it.",
}
"""The commands, each a module of this package, with the first sentence of its docstring.

That is enough to list them; a command's module is loaded when the command is called.
"""


class _Commands(TyperGroup):
    """The commands, loaded as they are called.

    Turns the errors that a command raises into one line on stderr and an exit code.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, summary in COMMANDS.items():
            self.add_command(TyperCommand(name, short_help=summary))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            print(ctx.get_help())
            ctx.exit(USAGE)
        skip_checks(self, ctx)
        with _errors_as_lines(ctx):
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, _loaded(name) if name else None, rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        # Plain text: rich, which typer draws with, takes longer to load than all the rest.
        super(TyperGroup, self).format_help(ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        with _errors_as_lines(ctx):
            return super().invoke(ctx)


@contextmanager
def _errors_as_lines(ctx: Any) -> Iterator[None]:
    """Print an error as one line on stderr, and exit with its code."""
    try:
        yield
    except DigitkitError as error:
        _print_error(one_line(error))
        raise typer.Exit(_exit_code(error)) from error
    except _UsageError as error:
        _print_error(_describe_usage(error, ctx))
        raise typer.Exit(USAGE) from error
    except BrokenPipeError as error:  # whoever reads our output has closed it
        _drop_stdout()
        raise typer.Exit(SOME_FAILED) from error


def _print_error(line: str) -> None:
    print(f"digitkit: {escape_controls(line)}", file=sys.stderr)


def _describe_usage(error: Any, ctx: Any) -> str:
    """What the parser of options says, as our own errors are, with where to look."""
    text = one_line(error.format_message()).rstrip(".")
    if error.ctx is not None:
        path = error.ctx.command_path
    else:  # an option without its value
        path = " ".join(filter(None, (ctx.command_path, ctx.invoked_subcommand)))
    separator = "" if text.endswith("?") else ";"
    return f"{text[:1].lower()}{text[1:]}{separator} {path} --help shows what there is"


def _exit_code(error: DigitkitError) -> int:
    if isinstance(error, OutputError):
        _drop_stdout()
        return USAGE if isinstance(error, OutputPathError) else SOME_FAILED
    if isinstance(error, (WorkerError, ClusterRunError)):
        return SOME_FAILED
    if isinstance(error, GateError):
        return GATE_FAILED
    # What the settings say or name is wrong; a camera may be plugged in later, a network be up.
    is_final = isinstance(
        error, (ConfigError, SettingsError, InputNotFoundError, ModelError)
    ) and not isinstance(error, (ModelRunError, AddressError))
    return WRONG_SETTINGS if is_final and is_service() else USAGE


class _Command(OptionChecks, TyperCommand):
    """One command with its options."""


class _CommandGroup(OptionChecks, TyperGroup):
    """A command with options of its own that also has subcommands."""


def _drop_stdout() -> None:
    """Keep Python from flushing into a closed pipe or a full disk again when it exits."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


app = typer.Typer(
    cls=_Commands,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Examples:\n\n"
    "digitkit infer photo.jpg — read digits with the built-in model\n\n"
    "digitkit train — train a net on MNIST in a minute or two\n\n"
    "digitkit COMMAND --help shows more.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"digitkit {__version__}")
        raise typer.Exit


def digitkit(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Handwritten digits, from training to an edge device.

    Exit codes: 0 success; 1 some inputs failed, doctor found that infer cannot run, or bench could
    measure nothing; 2 nothing could start (an option, a model, a recipe, a settings file, a data
    folder); 3 a gate failed (parity, accuracy, fine-tuning that forgets MNIST, bench --strict or
    --save on an invalid run, --recommend if nothing qualifies); 78 instead of 2, to systemd only,
    for wrong settings or a wrong model; 130 a training, or infer without a camera, was stopped by
    Ctrl-C.
    """


def _help(command: Callable[..., None]) -> str:
    """A command's docstring without the line breaks inside its paragraphs."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


app.callback(help=_help(digitkit))(digitkit)


def _loaded(name: str) -> Any:
    """A command with its options.

    Its module has a function ``command`` and ``EXAMPLES``. It may have ``SUBCOMMANDS``, pairs of a
    function and its examples by name; ``command`` is called before these, too, and finds their name
    in its context.
    """
    module = import_module(f".{name}", __package__)
    alone = typer.Typer(rich_markup_mode="rich", add_completion=False)
    texts = {"help": _help(module.command), "epilog": module.EXAMPLES}
    subcommands = getattr(module, "SUBCOMMANDS", {})
    if subcommands:
        alone.callback(cls=_CommandGroup, invoke_without_command=True, **texts)(module.command)
        for word, (function, examples) in subcommands.items():
            alone.command(word, cls=_Command, help=_help(function), epilog=examples)(function)
    else:
        alone.command(name, cls=_Command, **texts)(module.command)
    return typer.main.get_command(alone)


class _StandardOutput(io.FileIO):
    """Standard output, whose errors must not be mistaken for those of files."""

    def write(self, data: Any, /) -> Any:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise cannot_write("standard output", error) from error


def _open_stdout(stream: Any) -> io.TextIOWrapper:
    """Standard output as Python opened it, with errors of its own."""
    raw = _StandardOutput(stream.fileno(), "w", closefd=False)
    buffer: Any = raw if stream.write_through else io.BufferedWriter(raw)  # python -u
    return io.TextIOWrapper(
        buffer,
        encoding=stream.encoding,
        errors="replace",  # a terminal without UTF-8 gets marks instead of a traceback
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def main() -> None:
    """Run the command line and exit."""
    try:
        _run()
    except SystemExit as leaving:
        live = sys.modules.get("digitkit.sources.live")
        if live is not None and live.is_any_running():  # stuck inside OpenCV: it delays the end
            os._exit(leaving.code if isinstance(leaving.code, int) else SOME_FAILED)
        raise


def _run() -> None:
    # A service may have closed either stream; what is printed then is lost.
    sys.stdout = _open_stdout(sys.stdout) if sys.stdout else open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr.reconfigure(errors="replace")  # type: ignore[union-attr]
    # On SIGTERM, what is half-written is removed, as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        try:
            app(prog_name="digitkit")
        finally:
            sys.stdout.flush()  # now, while an error can still be reported
    except BrokenPipeError:
        _drop_stdout()
        sys.exit(SOME_FAILED)
    except OutputError as error:
        _print_error(one_line(error))
        _drop_stdout()
        sys.exit(SOME_FAILED)
    except OSError as error:
        # What pathlib raises when it only checks whether a file exists, up to Python 3.13.
        if error.errno not in (errno.ENAMETOOLONG, errno.EACCES) or error.filename is None:
            raise
        _print_error(one_line(f"{error.filename}: cannot be accessed: {os_reason(error)}"))
        sys.exit(WRONG_SETTINGS if is_service() else USAGE)
