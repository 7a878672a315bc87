"""Options of ``digitkit infer`` alone: where readings go, many pictures, and videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digitkit.choices import Engine, OutputFormat, Rows
from digitkit.cli.reading_options import CAMERAS

MANY = "Many pictures"

FormatOption = Annotated[
    OutputFormat | None,
    typer.Option(
        metavar="FORMAT",
        help="text for people, jsonl and csv (a record per number) for programs, xlsx for "
        "Excel, parquet (a record per picture) for tables of any size. Default: the suffix of "
        "--output, otherwise text.",
        show_default=False,
    ),
]

OutputOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write the readings to this file. A .parquet output is a folder of Parquet files, "
        "with --engine ray also at an address such as s3://bucket/readings.parquet; with --form it "
        "is one file. When a run is interrupted, jsonl, csv and parquet keep what was read; xlsx, "
        "and parquet with --form, are written at the end.",
    ),
]

ReportOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write a report, a self-contained .html file: pictures with confidences, the least "
        "certain first, and a page to review them. Its corrections can be saved and passed to "
        "digitkit corrections, or to --corrections for forms. Not with --camera, --watch, --resume "
        "or --engine ray.",
    ),
]

RowsOption = Annotated[
    Rows | None,
    typer.Option(
        help="What a row of a Parquet table is: a picture or page, with its numbers and digits "
        "in lists; or a number.",
        rich_help_panel=MANY,
        show_default="pictures",
    ),
]

ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Continue an interrupted run: read only what --output (jsonl, csv, parquet; with "
        "--form: jsonl, csv) does not contain yet, with the same model and options. If the "
        "output does not exist yet, a new run starts.",
        rich_help_panel=MANY,
    ),
]

WatchOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Read the files of this folder, then new ones as they arrive, until Ctrl-C. A later "
        "run continues from --output (jsonl, csv, parquet).",
        rich_help_panel=MANY,
    ),
]

WorkersOption = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        help="Processes that read image files; auto: one per core where there is enough to read. "
        "Each takes a second to start, so they pay off from a few hundred images.",
        rich_help_panel=MANY,
        show_default="1",
    ),
]

UnorderedOption = Annotated[
    bool,
    typer.Option(
        "--unordered",
        help="With --workers: write each reading as soon as it is there, in any order.",
        rich_help_panel=MANY,
    ),
]

EngineOption = Annotated[
    Engine | None,
    typer.Option(
        help="Where images are read: in processes of this machine; or in a Ray cluster, into a "
        "Parquet table in a folder that all its nodes share. --workers is then the number of its "
        "reading processes, one per CPU by default.",
        rich_help_panel=MANY,
        show_default="local",
    ),
]

RayAddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Address of the Ray cluster. Default: the one that RAY_ADDRESS names, otherwise a "
        "cluster is started on this machine.",
        rich_help_panel=MANY,
        show_default=False,
    ),
]

QuietOption = Annotated[
    bool,
    typer.Option(
        "-q",
        "--quiet",
        help="Print the numbers alone, those of a row on one line: no names, no confidences, "
        "no summary.",
    ),
]

AnnotateOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR|VIDEO",
        help="Save each image with its numbers and digits marked into a folder; or all frames "
        "as a video if the name ends in .mp4 or .avi.",
    ),
]

ExplainOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Save what the classifier saw of each digit, enlarged."),
]

NullOption = Annotated[
    bool, typer.Option("-0", "--null", help="The list on standard input is NUL-separated.")
]

EveryFrameOption = Annotated[
    bool,
    typer.Option(
        "--every-frame",
        help="Report each frame as it is, without tracking.",
        rich_help_panel=CAMERAS,
    ),
]

RetryOption = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="When the camera or stream is lost, keep reconnecting for SECONDS (default 30; "
        "0 = never, inf = forever).",
        rich_help_panel=CAMERAS,
    ),
]

MaxFramesOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Stop after N frames of a camera, or of each video file; no limit by default.",
        rich_help_panel=CAMERAS,
    ),
]

DurationOption = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Stop SECONDS after the first frame of a camera, or of each video file; no limit by "
        "default.",
        rich_help_panel=CAMERAS,
    ),
]

ShowOption = Annotated[
    bool,
    typer.Option(
        "--show", help="Also show the frames in a window; q quits.", rich_help_panel=CAMERAS
    ),
]
