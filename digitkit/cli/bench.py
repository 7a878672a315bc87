"""``digitkit bench``."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitkit.cli import show
from digitkit.cli.options import InputScaleOption
from digitkit.errors import GateError, InputNotFoundError, ReportError, one_line

if TYPE_CHECKING:
    import rich.table

    from digitkit.benchmark.report import Table


EXAMPLES = """\
[bold]Examples[/]

digitkit bench — the model that is built in, int8 against fp32, on this machine

digitkit bench --models digits,digits-tiny,other.onnx --json pi4.json --plot pi4.png

digitkit bench --threads 1,2,4 --batches 1,16 --workers 1,4

digitkit bench --models digits --runtimes onnxruntime,opencv,openvino,torch

digitkit bench --recommend --max-latency 5 --save

digitkit bench --compare before.json after.json
"""

MEASURED, LONG, GIVEN, ADVICE = (
    "What is measured",
    "How long",
    "What is written",
    "What to run on this device",
)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _counts(text: str, option: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(part) for part in _names(text))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1:
        raise typer.BadParameter(
            f"{text!r}: write numbers from 1 on, such as 1,2,4", param_hint=option
        )
    return counts


def command(
    context: typer.Context,
    models: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE,…",
            help="Shipped models (digits is both precisions, digits-int8 is one) and .onnx files, "
            "foreign ones too.",
            rich_help_panel=MEASURED,
        ),
    ] = "digits",
    runtimes: Annotated[
        str,
        typer.Option(
            metavar="NAME,…",
            help="onnxruntime, opencv, openvino, torch, as far as they are installed.",
            rich_help_panel=MEASURED,
        ),
    ] = "onnxruntime",
    threads: Annotated[
        str | None,
        typer.Option(
            metavar="N,…",
            help="Threads that a run may use; 1, and for --recommend 1, 2, 4 … up to all cores.",
            rich_help_panel=MEASURED,
            show_default=False,
        ),
    ] = None,
    batches: Annotated[
        str | None,
        typer.Option(
            metavar="N,…",
            help="Images in a run; 1, and for --recommend 1, 8 and 64.",
            rich_help_panel=MEASURED,
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            metavar="N,…",
            help="Also images a second of so many processes side by side.",
            rich_help_panel=MEASURED,
            show_default=False,
        ),
    ] = None,
    paced: Annotated[
        float | None,
        typer.Option(
            metavar="HZ",
            min=0,
            help="Also so many calls a second, as a camera makes them: idle gaps let clocks and "
            "caches go cold. 10; none (0) with --recommend.",
            rich_help_panel=MEASURED,
            show_default=False,
        ),
    ] = None,
    whole: Annotated[
        bool | None,
        typer.Option(
            "--whole/--model-only",
            help="Also whole pictures, from file to digits, and digitkit infer's cold start. Yes; "
            "no with --recommend.",
            rich_help_panel=MEASURED,
            show_default=False,
        ),
    ] = None,
    accuracy: Annotated[
        bool,
        typer.Option(
            "--accuracy/--no-accuracy",
            help="Read labelled digits with the same files on this machine.",
            rich_help_panel=MEASURED,
        ),
    ] = True,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Those digits: IDX files, or folders 0 … 9; MNIST's test set by default, if it is "
            "on this disk.",
            rich_help_panel=MEASURED,
        ),
    ] = None,
    input_scale: InputScaleOption = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Fresh processes a variant, in rounds that the variants share; 5.",
            rich_help_panel=LONG,
            show_default=False,
        ),
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Timed runs a variant at least, over all processes; 1,024.",
            rich_help_panel=LONG,
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Timed seconds a variant at least, over all processes; 10.",
            rich_help_panel=LONG,
            show_default=False,
        ),
    ] = None,
    warmup_runs: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Runs before them at least, in each process; 50.",
            rich_help_panel=LONG,
            show_default=False,
        ),
    ] = None,
    warmup_seconds: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Seconds before them at least, in each process; 0.5.",
            rich_help_panel=LONG,
            show_default=False,
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Seconds instead of minutes, to see that all works; its report says so.",
            rich_help_panel=LONG,
        ),
    ] = False,
    max_spread: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="The run is INVALID if a variant's processes differ by more than this; 0.15.",
            rich_help_panel=LONG,
            show_default=False,
        ),
    ] = None,
    json_: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Everything, for programs; - for standard output. The raw samples go beside it "
            "(NAME.json's in NAME.samples.npz).",
            rich_help_panel=GIVEN,
        ),
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The tables, for a README or an issue.", rich_help_panel=GIVEN
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A picture: histograms, and accuracy against latency (needs matplotlib).",
            rich_help_panel=GIVEN,
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit code 3 if the run is INVALID.", rich_help_panel=GIVEN),
    ] = False,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="A B",
            help="Measure nothing; lay two reports (--json) beside each other.",
            rich_help_panel=GIVEN,
        ),
    ] = None,
    recommend: Annotated[
        bool,
        typer.Option(
            "--recommend",
            help="Say which precision, how many threads and which batch to use here, and why.",
            rich_help_panel=ADVICE,
        ),
    ] = False,
    max_latency: Annotated[
        float | None,
        typer.Option(
            metavar="MS",
            min=0,
            help="Nine of ten runs take at most so many milliseconds.",
            rich_help_panel=ADVICE,
        ),
    ] = None,
    max_accuracy_drop: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=1,
            help="Accuracy may be so much under the best, 0.001 being 0.1 points.",
            rich_help_panel=ADVICE,
        ),
    ] = None,
    save: Annotated[
        bool,
        typer.Option(
            "--save",
            help="Keep it, for digitkit infer --precision auto to use.",
            rich_help_panel=ADVICE,
        ),
    ] = False,
) -> None:
    """Measure latency that one can believe, and what to run on this device.

    Each variant (model, runtime, threads, batch) runs in several fresh processes, which take
    turns; the headline is the median of the processes' medians, with its range. A run is marked
    INVALID if the board throttled, the clock fell or the processes disagree, and noisy if other
    programs were at work. It takes about twenty seconds a variant, and half a minute a model for
    whole pictures and cold starts. Exit codes beside the usual ones: 1 nothing could be measured;
    3 with --strict for an invalid run, with --recommend where nothing fits.
    """
    if compare is not None:
        _only(context, "compare")
        _compare(*compare)
        return
    if not recommend:
        for name, value in (
            ("--max-latency", max_latency is not None),
            ("--max-accuracy-drop", max_accuracy_drop is not None),
            ("--save", save),
        ):
            if value:
                raise typer.BadParameter("goes with --recommend", param_hint=name)
    if save and quick:
        raise typer.BadParameter(
            "goes without --quick, whose figures are rough", param_hint="--save"
        )
    if data is not None and not accuracy:
        raise typer.BadParameter("is what accuracy is measured on", param_hint="--data")
    if max_accuracy_drop is not None and data is None:
        from digitkit.datasets.mnist import find_mnist

        if find_mnist("test") is None:
            raise typer.BadParameter(
                "needs labelled digits, and MNIST's are not on this disk: name some with --data",
                param_hint="--max-accuracy-drop",
            )
    if max_accuracy_drop is not None and not accuracy:
        raise typer.BadParameter("goes without --no-accuracy", param_hint="--max-accuracy-drop")
    if "onnxruntime" not in _names(runtimes):
        for name, value in (("--recommend", recommend), ("--whole", bool(whole))):
            if value:
                raise typer.BadParameter("is for the runtime onnxruntime", param_hint=name)
    for name, path in (("--markdown", markdown), ("--plot", plot)):
        if path == Path("-"):
            raise typer.BadParameter("name a file; only --json writes to -", param_hint=name)
    files = [path for path in (json_, markdown, plot) if path not in (None, Path("-"))]
    from digitkit.benchmark import report, runner
    from digitkit.benchmark.recommend import recommend as recommended
    from digitkit.benchmark.validity import warnings_before
    from digitkit.models import profiles
    from digitkit.system import atomic
    from digitkit.system.conditions import read_conditions
    from digitkit.system.machine import read_machine, usable_cores

    beside = [runner.samples_file(json_)] if json_ and json_ in files else []
    if len({*map(os.path.realpath, (*files, *beside))}) < len(files) + len(beside):
        raise typer.BadParameter(
            "--json, --markdown and --plot need a file each, and the raw samples another: --json's "
            "with .samples.npz"
        )
    for path in (*files, *beside):
        atomic.check_writable(path)
    if save:
        atomic.check_writable(profiles.profile_file())
        profiles.check_shipped(_names(models))
    if plot is not None:
        from digitkit import figures

        figures.require()
    cores = usable_cores()
    if save and threads is not None and max(_counts(threads, "--threads")) > cores:
        raise typer.BadParameter(
            f"goes with no more --threads than there are cores ({cores}): digitkit infer would "
            "pass it over",
            param_hint="--save",
        )
    lengths = {
        "processes": processes,
        "runs": runs,
        "seconds": seconds,
        "warmup_runs": warmup_runs,
        "warmup_seconds": warmup_seconds,
        "max_spread": max_spread,
    }
    given = {name: value for name, value in lengths.items() if value is not None}
    if paced is None:
        paced = 0.0 if recommend else runner.PACE
    default_threads = tuple(2**k for k in range(cores.bit_length())) if recommend else (1,)
    default_batches = (1, 8, 64) if recommend else (1,)
    try:
        config = runner.BenchConfig(
            models=_names(models),
            runtimes=_names(runtimes),
            threads=default_threads if threads is None else _counts(threads, "--threads"),
            batches=default_batches if batches is None else _counts(batches, "--batches"),
            workers=() if workers is None else _counts(workers, "--workers"),
            paced=paced,
            whole=not recommend if whole is None else whole,
            accuracy=accuracy,
            data=data,
            input_scale=input_scale,
            quick=quick,
            own=recommend,
            **((runner.QUICK if quick else {}) | given),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    for line in warnings_before(read_machine(), read_conditions()):
        _note(f"warning: {line}")
    with show.progress(still=True) as tell:
        made, samples = runner.run_benchmark(config, tell)
    values = json.loads(json.dumps(made.to_json()))
    unfit: GateError | ReportError | None = None
    if recommend and not all(variant.error for variant in made.variants):
        try:
            found = recommended(
                values, max_latency_ms=max_latency, max_accuracy_drop=max_accuracy_drop
            )
        except (GateError, ReportError) as error:  # said at the end, below the figures
            unfit = error
        else:
            made = replace(made, recommended=tuple(found))
            values = json.loads(json.dumps(made.to_json()))
    faults, saved = report.faults_of_all(values), None
    # Neither may cost the other, after minutes: a reader who has had enough, a disk that is full.
    try:
        if json_ is not None and json_ != Path("-"):
            made = runner.write(made, samples, json_)
        if markdown is not None:
            atomic.write_text(markdown, report.markdown(values))
        if plot is not None:
            atomic.write_bytes(plot, figures.latencies(values, samples))
        if save and made.recommended is not None and not faults:
            saved = profiles.save_profiles(made.recommended)
    finally:
        if json_ == Path("-"):
            print(json.dumps(values, indent=2))
        else:
            print(report.summary(values))
            for table in report.tables(values):
                _print(table)
            for line in report.verdicts(values):
                print(line)
    if files:
        _note(f"written: {', '.join(map(str, files))}")
    if all(variant.error for variant in made.variants):
        raise typer.Exit(1)
    if unfit is not None:
        raise unfit
    if made.recommended is not None:
        for line in report.recommendations(values):
            (_note if json_ == Path("-") else print)(line)
        if save and faults:
            raise GateError(f"nothing is saved, since the run is INVALID: {faults[0]}")
        if saved is not None:
            noisy = ", although the run is noisy" if made.noisy else ""
            _note(f"saved in {saved}{noisy}; digitkit infer uses it")
    if strict and not made.valid:
        raise GateError(f"the run is INVALID: {made.invalid[0]}")


def _only(context: typer.Context, alone: str) -> None:
    """Refuse every option that was given beside one that goes alone."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name != alone and source is not None and source.name == "COMMANDLINE":
            option = name.strip("_").replace("_", "-")
            raise typer.BadParameter(f"goes without --{alone}", param_hint=f"--{option}")


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


LEAST = 12
"""Letters that a column of text has at least: most words of a variant's name."""


def _print(table: Table) -> None:
    from rich.markup import escape

    console = show.out()
    drawn, needed = _drawn(table, narrow=False)
    if needed > console.width:
        drawn, needed = _drawn(table, narrow=True)
    # What is wider still the terminal breaks: better than figures that are cut.
    console.width = max(console.width, needed)
    console.print(f"[bold]{table.title}[/]", soft_wrap=True)
    console.print(drawn)
    if table.note:
        console.print(f"[dim]{escape(table.note)}[/]\n", soft_wrap=True)


def _drawn(table: Table, narrow: bool) -> tuple[rich.table.Table, int]:
    """A table in which only text is broken into lines, and the letters that a line then needs.

    Args:
        table: what it shows.
        narrow: break the heads into lines too, and leave less room between columns.
    """
    from rich.markup import escape

    drawn = show.table(*(head.replace(" ", "\n") if narrow else head for head in table.heads))
    if narrow:
        drawn.padding = (0, 1, 0, 0)
    widths = []
    for column, *cells in zip(drawn.columns, *table.rows, strict=True):
        longest = max(len(text) for text in (*str(column.header).split("\n"), *cells))
        column.no_wrap = column.justify == "right"
        column.min_width = longest if column.no_wrap else min(longest, LEAST)
        widths.append(column.min_width)
    for row in table.rows:
        drawn.add_row(*map(escape, row))
    return drawn, sum(widths) + (2 if narrow else 3) * len(widths)


def _compare(first: Path, second: Path) -> None:
    from digitkit.benchmark import report

    a, b = report.load(first), report.load(second)
    try:
        found = report.compare(a, b)
        table = report.compared(found)
        ours, theirs = report.summary(a), report.summary(b)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        reason = one_line(error)
        raise ReportError(f"{first} or {second}: is damaged ({reason}); bench again") from error
    print(f"first:  {first}: {ours}\nsecond: {second}: {theirs}")
    if found.rows:
        _print(table)
    for where, names in (("first", found.only_a), ("second", found.only_b)):
        if names:
            print(f"measured only in the {where}: {'; '.join(names)}")
    for line in found.warnings:
        _note(f"warning: {line}")
    if not found.rows:
        raise InputNotFoundError(
            f"{first} and {second}: have no variant in common; nothing can be compared"
        )
