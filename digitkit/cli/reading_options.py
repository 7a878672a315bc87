"""Options of the commands that read: ``digitkit infer`` and ``digitkit serve``.

Those that are not given are None, so that a settings file can set them.
"""

from __future__ import annotations

from typing import Annotated

import typer

from digitkit.choices import Mode, Orientation, PrecisionChoice
from digitkit.cli.options import complete_model

READING, FIELDS, CAMERAS = "Reading", "Number fields", "Cameras, streams and videos"
"""Panels of the help."""

ModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="A shipped model's name (digits, or digits-tiny for speed) or an .onnx file.",
        rich_help_panel=READING,
        show_default="digits",
        autocompletion=complete_model,
    ),
]
PrecisionOption = Annotated[
    PrecisionChoice | None,
    typer.Option(
        help="Which file of a shipped model; auto: what digitkit bench --recommend --save "
        "chose for this device, else int8.",
        rich_help_panel=READING,
        show_default="auto",
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        help="CPU threads, 1 to 1,024; by default 1, and for the classifier what digitkit bench "
        "--recommend --save chose.",
        rich_help_panel=READING,
        show_default=False,
    ),
]
ModeOption = Annotated[
    Mode | None,
    typer.Option(
        help="digit: each image is one digit; number: it is one number, whatever the gaps; page: "
        "detect the digits in it; auto: one digit up to 64 pixels on the longer side, else a page.",
        rich_help_panel=READING,
        show_default="auto",
    ),
]
OrientationOption = Annotated[
    Orientation | None,
    typer.Option(
        help="Which side is up. exif: as the file says; auto: that, or another quarter turn where "
        "it reads clearly better; 0 to 270: rotate the pixels clockwise by this many degrees and "
        "ignore EXIF (TIFF and HEIC files are first rotated by their decoders).",
        rich_help_panel=READING,
        show_default="exif",
    ),
]
MinConfidenceOption = Annotated[
    float | None,
    typer.Option(
        help="Accept digits from this confidence on, 0 to 1; the model's own threshold by default.",
        rich_help_panel=READING,
    ),
]
GapOption = Annotated[
    float | None,
    typer.Option(
        metavar="HEIGHTS",
        help="Least gap between two numbers of a row, in heights of its digits, 0 or more; by "
        "default it depends on the gaps of the row and of the page. Not with --mode number.",
        rich_help_panel=FIELDS,
        show_default=False,
    ),
]
ExpectOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Keep only numbers of N digits; doubtful digits count if they make up the number.",
        rich_help_panel=FIELDS,
    ),
]
PatternOption = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX",
        help=r"Keep only numbers that match, such as '[1-9]\d{3}' or '\d+,\d\d'; for uncertain "
        "digits the next most likely ones are tried.",
        rich_help_panel=FIELDS,
    ),
]
CameraOption = Annotated[
    str | None,
    typer.Option(
        metavar="N|DEVICE|URL|picamera2",
        help="Read a camera until Ctrl-C: its number (0), its device (/dev/video0, on Linux), the "
        "URL of a stream (RTSP, HTTP), or picamera2 for the Raspberry Pi's own camera.",
        rich_help_panel=CAMERAS,
    ),
]
SizeOption = Annotated[
    str | None,
    typer.Option(
        metavar="WxH",
        help="Request this size from the camera, pixels, such as 1280x720; by default the camera "
        "chooses.",
        rich_help_panel=CAMERAS,
    ),
]
FpsOption = Annotated[
    float | None,
    typer.Option(
        help="Read at most this many frames a second, above 0; by default as many as possible.",
        rich_help_panel=CAMERAS,
    ),
]
HoldOption = Annotated[
    int | None,
    typer.Option(
        metavar="FRAMES",
        help="Report that a number appeared, changed or disappeared once that is stable for "
        "FRAMES frames, 1 or more; three times as many while it is not complete.",
        rich_help_panel=CAMERAS,
        show_default="5",
    ),
]
