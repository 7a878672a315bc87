"""The options of ``digitkit bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WHAT, LENGTH, OUTPUT, ADVICE = (
    "What is measured",
    "How long",
    "Output",
    "What to run on this device",
)

ModelsOption = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE,…",
        help="Shipped models (digits: both precisions, digits-int8: one) and .onnx files, "
        "which may be third-party models.",
        rich_help_panel=WHAT,
    ),
]
RuntimesOption = Annotated[
    str,
    typer.Option(
        metavar="NAME,…",
        help="onnxruntime, opencv, openvino; those that are not installed are reported.",
        rich_help_panel=WHAT,
    ),
]
ThreadCountsOption = Annotated[
    str | None,
    typer.Option(
        metavar="N,…",
        help="Threads per call; by default 1, with --recommend 1, 2, 4 … up to the cores.",
        rich_help_panel=WHAT,
        show_default=False,
    ),
]
BatchesOption = Annotated[
    str | None,
    typer.Option(
        metavar="N,…",
        help="Images per call; by default 1, with --recommend 1, 8 and 64.",
        rich_help_panel=WHAT,
        show_default=False,
    ),
]
WorkersOption = Annotated[
    str | None,
    typer.Option(
        metavar="N,…",
        help="Also measure the throughput of N processes at once.",
        rich_help_panel=WHAT,
        show_default=False,
    ),
]
PacedOption = Annotated[
    float | None,
    typer.Option(
        metavar="HZ",
        help="Also measure at a fixed rate, like a camera's: clocks and caches go cold in the "
        "pauses. By default 10; with --recommend 0 (off).",
        rich_help_panel=WHAT,
        show_default=False,
    ),
]
WholeOption = Annotated[
    bool | None,
    typer.Option(
        "--whole/--model-only",
        help="Also measure whole images, from file to digits, and the cold start of digitkit "
        "infer. On by default; off with --recommend.",
        rich_help_panel=WHAT,
        show_default=False,
    ),
]
AccuracyOption = Annotated[
    bool,
    typer.Option(
        "--accuracy/--no-accuracy",
        help="Also measure accuracy on labelled digits, with the same files on this machine.",
        rich_help_panel=WHAT,
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Those digits: IDX files, or folders 0 … 9; by default the MNIST test set, if it "
        "is on this disk.",
        rich_help_panel=WHAT,
    ),
]
ProcessesOption = Annotated[
    int | None,
    typer.Option(
        help="Fresh processes per variant, in rounds that the variants share; by default 5.",
        rich_help_panel=LENGTH,
        show_default=False,
    ),
]
RunsOption = Annotated[
    int | None,
    typer.Option(
        help="Minimum of timed calls per variant, over all processes; by default 1,024.",
        rich_help_panel=LENGTH,
        show_default=False,
    ),
]
SecondsOption = Annotated[
    float | None,
    typer.Option(
        help="Minimum of timed seconds per variant, over all processes; by default 10.",
        rich_help_panel=LENGTH,
        show_default=False,
    ),
]
WarmupRunsOption = Annotated[
    int | None,
    typer.Option(
        help="Minimum of warm-up calls in each process; by default 50.",
        rich_help_panel=LENGTH,
        show_default=False,
    ),
]
WarmupSecondsOption = Annotated[
    float | None,
    typer.Option(
        help="Minimum of warm-up seconds in each process; by default 0.5.",
        rich_help_panel=LENGTH,
        show_default=False,
    ),
]
QuickOption = Annotated[
    bool,
    typer.Option(
        "--quick",
        help="Seconds instead of minutes, to see that everything works; figures are rough, and "
        "the report is marked as quick.",
        rich_help_panel=LENGTH,
    ),
]
MaxSpreadOption = Annotated[
    float | None,
    typer.Option(
        help="The run is INVALID if a variant's processes differ by more than this fraction; 0.15 "
        "(15%) by default.",
        rich_help_panel=LENGTH,
        show_default=False,
    ),
]
JsonOption = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        help="The whole report, for programs; - for standard output. The raw samples go next "
        "to it (for NAME.json: NAME.samples.npz).",
        rich_help_panel=OUTPUT,
    ),
]
MarkdownOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="The tables, for a README or an issue.", rich_help_panel=OUTPUT
    ),
]
PlotOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A .png figure with histograms, and error against latency (requires matplotlib).",
        rich_help_panel=OUTPUT,
    ),
]
StrictOption = Annotated[
    bool,
    typer.Option("--strict", help="Exit code 3 if the run is INVALID.", rich_help_panel=OUTPUT),
]
RecommendOption = Annotated[
    bool,
    typer.Option(
        "--recommend",
        help="Recommend a precision, number of threads and batch size for this device.",
        rich_help_panel=ADVICE,
    ),
]
MaxLatencyOption = Annotated[
    float | None,
    typer.Option(
        metavar="MS",
        help="The 90th percentile of the latency may be at most this many milliseconds.",
        rich_help_panel=ADVICE,
    ),
]
MaxAccuracyDropOption = Annotated[
    float | None,
    typer.Option(
        metavar="FRACTION",
        help="Accuracy may be this much below the best, 0 to 1; 0.001 (0.1 percentage points) by "
        "default.",
        rich_help_panel=ADVICE,
    ),
]
SaveOption = Annotated[
    bool,
    typer.Option(
        "--save",
        help="Keep the recommendation for digitkit infer --precision auto.",
        rich_help_panel=ADVICE,
    ),
]
