"""``digitkit bench`` and ``digitkit bench compare``."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitkit.cli import show
from digitkit.cli.bench_options import (
    AccuracyOption,
    BatchesOption,
    DataOption,
    JsonOption,
    MarkdownOption,
    MaxAccuracyDropOption,
    MaxLatencyOption,
    MaxSpreadOption,
    ModelsOption,
    PacedOption,
    PlotOption,
    ProcessesOption,
    QuickOption,
    RecommendOption,
    RunsOption,
    RuntimesOption,
    SaveOption,
    SecondsOption,
    StrictOption,
    ThreadCountsOption,
    WarmupRunsOption,
    WarmupSecondsOption,
    WholeOption,
    WorkersOption,
)
from digitkit.cli.exit_codes import SOME_FAILED
from digitkit.cli.options import InputScaleOption
from digitkit.errors import (
    ConfigError,
    DigitkitError,
    GateError,
    ReportError,
)

if TYPE_CHECKING:
    from digitkit.benchmark.recommend import RecommendConfig
    from digitkit.benchmark.report import BenchReport, BenchResult

EXAMPLES = """\
[bold]Examples[/]

digitkit bench — the built-in model, int8 against fp32, on this machine

digitkit bench --models digits,digits-tiny,other.onnx --json pi4.json --plot pi4.png

digitkit bench --threads 1,2,4 --batches 1,16 --workers 1,4

digitkit bench --models digits --runtimes onnxruntime,opencv,openvino

digitkit bench --recommend --max-latency 5 --save

digitkit bench compare before.json after.json
"""

COMPARE_EXAMPLES = """\
[bold]Examples[/]

digitkit bench compare before.json after.json — ratios with 95% intervals

digitkit bench compare pi3.json pi4.json pi5.json — each with the first
"""

STDOUT = Path("-")


def command(
    context: typer.Context,
    models: ModelsOption = "digits",
    runtimes: RuntimesOption = "onnxruntime",
    threads: ThreadCountsOption = None,
    batches: BatchesOption = None,
    workers: WorkersOption = None,
    paced: PacedOption = None,
    whole: WholeOption = None,
    accuracy: AccuracyOption = True,
    data: DataOption = None,
    input_scale: InputScaleOption = None,
    processes: ProcessesOption = None,
    runs: RunsOption = None,
    seconds: SecondsOption = None,
    warmup_runs: WarmupRunsOption = None,
    warmup_seconds: WarmupSecondsOption = None,
    quick: QuickOption = False,
    max_spread: MaxSpreadOption = None,
    json_: JsonOption = None,
    markdown: MarkdownOption = None,
    plot: PlotOption = None,
    strict: StrictOption = False,
    recommend: RecommendOption = False,
    max_latency: MaxLatencyOption = None,
    max_accuracy_drop: MaxAccuracyDropOption = None,
    save: SaveOption = False,
) -> None:
    """Measure latency reliably, and find what to run on this device.

    Each variant (model, runtime, threads, batch) runs in several fresh processes, which take
    turns; the headline figure is the median of the processes' medians, with its range. A run is
    INVALID if the board throttled, the clock fell or the processes disagree, and noisy if other
    programs used the CPU. It takes about twenty seconds per variant, and half a minute per model
    for whole images and cold starts. Resident memory requires the package psutil (digitkit's extra
    "bench"). Additional exit codes: 1 nothing could be measured; 3 with --strict or --save for an
    invalid run, with --recommend if nothing qualifies.
    """
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    from digitkit.benchmark import runner
    from digitkit.benchmark.bench_config import BenchConfig
    from digitkit.benchmark.validity import warnings_before
    from digitkit.models.profiles import profile_file
    from digitkit.system import atomic, conditions, machine

    outputs = _Outputs(json_, markdown, plot)
    outputs.check()
    advice = _configure_advice(recommend, max_latency, max_accuracy_drop, save)
    config = BenchConfig.preset(
        quick=quick,
        recommend=recommend,
        models=_split(models),
        runtimes=_split(runtimes),
        threads=_parse_counts(threads, "threads"),
        batches=_parse_counts(batches, "batches"),
        workers=_parse_counts(workers, "workers"),
        paced=paced,
        whole=whole,
        accuracy=accuracy,
        data=data,
        input_scale=input_scale,
        processes=processes,
        runs=runs,
        seconds=seconds,
        warmup_runs=warmup_runs,
        warmup_seconds=warmup_seconds,
        max_spread=max_spread,
    )
    if advice is not None:
        advice.check_benchmark(config, machine.usable_cores())
    if save:
        atomic.check_writable(profile_file())
    for line in warnings_before(machine.read_machine(), conditions.read_conditions()):
        _note(f"warning: {line}")
    with show.progress(still=True) as progress:
        result = runner.run_benchmark(config, progress)
    result, problem = _recommend(result, advice)
    try:
        outputs.write(result)
        saved = _save_profiles(result.report) if save else None
    finally:  # minutes of measuring must not be lost with a full disk, nor with a closed pipe
        outputs.print(result.report)
    if not result.report.measured:
        raise typer.Exit(SOME_FAILED)
    if problem is not None:
        raise problem
    _print_advice(result.report, saved, to_stderr=json_ == STDOUT)
    _check_valid(result.report, save=save, strict=strict)


def compare(
    reports: Annotated[
        list[Path],
        typer.Argument(
            metavar="REPORT", help="Two or more reports that digitkit bench --json wrote."
        ),
    ],
) -> None:
    """Compare reports of digitkit bench: each with the first, variant by variant.

    Ratios have 95% bootstrap intervals over processes. Differences between machines, versions and
    settings are printed as warnings.
    """
    from digitkit.benchmark.compare import compare as compare_reports
    from digitkit.benchmark.compare import comparison_table, ordinal
    from digitkit.benchmark.report import load_report
    from digitkit.benchmark.summary import summarize_setup

    if len(reports) < 2:
        raise ConfigError(f"must be two or more files, got {len(reports)}", field="reports")
    loaded = [load_report(path) for path in reports]
    comparisons = compare_reports(loaded)
    width = max(len(ordinal(place)) for place in range(len(reports)))
    for place, (path, report) in enumerate(zip(reports, loaded, strict=True)):
        show.print_wrapped(f"{ordinal(place) + ':':<{width + 1}} {path}: {summarize_setup(report)}")
    if any(comparison.rows for comparison in comparisons):
        show.print_table(comparison_table(comparisons))
    for comparison in comparisons:
        if comparison.only_first:
            missing = "; ".join(comparison.only_first)
            print(f"only in the first, not in the {comparison.label}: {missing}")
        if comparison.only_other:
            print(f"only in the {comparison.label}: {'; '.join(comparison.only_other)}")
    for line in dict.fromkeys(line for one in comparisons for line in one.warnings):
        _note(f"warning: {line}")
    if not any(comparison.rows for comparison in comparisons):
        names = " and ".join(map(str, reports))
        raise ReportError("have no variant in common", subject=names)


SUBCOMMANDS = {"compare": (compare, COMPARE_EXAMPLES)}


@dataclass(frozen=True)
class _Outputs:
    """Where the report goes."""

    json: Path | None
    markdown: Path | None
    plot: Path | None

    @property
    def files(self) -> list[Path]:
        """Those that are not standard output."""
        places = (self.json, self.markdown, self.plot)
        return [path for path in places if path is not None and path != STDOUT]

    def check(self) -> None:
        """Refuse what cannot be written, before minutes go by.

        Raises:
            ConfigError: an option names standard output or a file that another one names, or the
                plot is not a ``.png`` file.
            OutputError: a file cannot be written.
            MissingDependencyError: matplotlib is not installed.
        """
        from digitkit.benchmark.report import samples_path
        from digitkit.system import atomic

        for name, path in (("markdown", self.markdown), ("plot", self.plot)):
            if path == STDOUT:
                raise ConfigError("must be a file; only --json writes to -", field=name)
        if self.plot is not None and self.plot.suffix.lower() != ".png":
            raise ConfigError(f"must be a .png file, got {self.plot}", field="plot")
        files = self.files
        if self.json is not None and self.json != STDOUT:
            files.append(samples_path(self.json))
        if len({*map(os.path.realpath, files)}) < len(files):
            raise ConfigError(
                "--json, --markdown and --plot need different files, also from the raw samples "
                "that go next to --json"
            )
        for path in files:
            atomic.check_writable(path)
        if self.plot is not None:
            from digitkit import figures

            figures.require()

    def write(self, result: BenchResult) -> None:
        """Write the files.

        Raises:
            OutputError: one cannot be written.
        """
        from digitkit.benchmark.summary import render_markdown
        from digitkit.system import atomic

        if self.json is not None and self.json != STDOUT:
            result.save(self.json)
        if self.markdown is not None:
            atomic.write_text(self.markdown, render_markdown(result.report))
        if self.plot is not None:
            from digitkit.benchmark.plots import plot_latencies

            atomic.write_bytes(self.plot, plot_latencies(result.report, result.samples))
        if self.files:
            _note(f"written: {', '.join(map(str, self.files))}")

    def print(self, report: BenchReport) -> None:
        """Print the report: as JSON if that was asked for, else as tables."""
        from digitkit.benchmark.report import encode_report
        from digitkit.benchmark.summary import make_tables, summarize_setup
        from digitkit.benchmark.verdicts import verdicts

        if self.json == STDOUT:
            print(encode_report(report, ascii_only=True))
            return
        show.print_wrapped(summarize_setup(report))
        for table in make_tables(report):
            show.print_table(table)
        for line in verdicts(report):
            show.print_wrapped(line)


def _split(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _parse_counts(text: str | None, field: str) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        counts = tuple(map(int, _split(text)))
    except ValueError:
        counts = ()
    if not counts:
        raise ConfigError(f"must be numbers such as 1,2,4, got {text!r}", field=field)
    return counts


def _refuse_options(context: typer.Context) -> None:
    """Refuse options of measuring in front of a subcommand."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise ConfigError(f"cannot be used with {context.invoked_subcommand}", field=name)


def _configure_advice(
    recommend: bool, max_latency: float | None, max_accuracy_drop: float | None, save: bool
) -> RecommendConfig | None:
    from digitkit.benchmark.recommend import RecommendConfig

    if recommend:
        return RecommendConfig(max_latency, max_accuracy_drop, save)
    for field, given in (
        ("max_latency", max_latency is not None),
        ("max_accuracy_drop", max_accuracy_drop is not None),
        ("save", save),
    ):
        if given:
            raise ConfigError("requires --recommend", field=field)
    return None


def _recommend(
    result: BenchResult, advice: RecommendConfig | None
) -> tuple[BenchResult, DigitkitError | None]:
    """Add the recommendation to the report, or give the reason why there is none."""
    from digitkit.benchmark.recommend import recommend

    if advice is None or not result.report.measured:
        return result, None
    try:
        profiles = recommend(result.report, advice)
    except (GateError, ReportError) as error:  # raised at the end, below the figures
        return result, error
    return replace(result, report=replace(result.report, recommended=profiles)), None


def _save_profiles(report: BenchReport) -> Path | None:
    """Keep what is recommended, unless the run is invalid as a whole."""
    from digitkit.benchmark.verdicts import general_faults
    from digitkit.models.profiles import save_profiles

    if report.recommended is None or general_faults(report):
        return None
    return save_profiles(report.recommended)


def _print_advice(report: BenchReport, saved: Path | None, *, to_stderr: bool) -> None:
    from digitkit.benchmark.verdicts import recommendations

    for line in recommendations(report):
        print(line, file=sys.stderr if to_stderr else sys.stdout)
    if saved is not None:
        noisy = ", although the run is noisy" if report.noisy else ""
        _note(f"saved in {saved}{noisy}; digitkit infer uses it")


def _check_valid(report: BenchReport, *, save: bool, strict: bool) -> None:
    """Fail if the figures cannot be trusted, and that matters."""
    from digitkit.benchmark.verdicts import general_faults

    if save and (faults := general_faults(report)):
        raise GateError(f"nothing was saved because the run is INVALID: {faults[0]}")
    if strict and not report.valid:
        raise GateError(f"the run is INVALID: {report.invalid[0]}")


def _note(line: str) -> None:
    show.print_wrapped(line, error=True)
