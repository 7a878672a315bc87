"""The choices that users have, each declared once: for the library, settings and command line.

This module loads nothing, so that the command line can list its options at once.
"""

from __future__ import annotations

from typing import Literal

Precision = Literal["int8", "fp32"]
"""Number format of a model's weights and activations."""

PrecisionChoice = Literal["auto", "int8", "fp32"]
"""Which file of a shipped model to load; ``auto`` is what `digitkit bench --save` found to be
fastest on this device, else int8."""

Target = Literal["x86", "x86-vnni", "arm"]
"""Processors that an int8 model is quantised for."""

Mode = Literal["auto", "digit", "number", "page"]
"""What an image holds: ``digit``, one digit that fills it; ``number``, one number with any gaps
between its digits; ``page``, digits to be detected; ``auto``, one digit up to 64 pixels on the
longer side, else a page."""

Orientation = Literal["exif", "auto", "0", "90", "180", "270"]
"""Which side of an image is up: as its EXIF data says; that, or the quarter turn that reads clearly
better; or the degrees clockwise by which its pixels are turned."""

OutputFormat = Literal["text", "jsonl", "csv", "xlsx", "parquet"]
"""How readings are written: lines for people, JSON lines, CSV, an Excel table, or a Parquet one."""

Rows = Literal["pictures", "numbers"]
"""What a row of a Parquet table is: a picture or page with its numbers and digits in lists, or one
number; a picture without a number has one row then, too."""

Engine = Literal["local", "ray"]
"""Where files are read: by processes of this machine, or by a Ray cluster."""

ReportFormat = Literal["text", "json"]
"""How figures are written: for people or for programs."""

MAX_THREADS = 1024
"""Most threads or processes to choose: more is a typing error, and would end in an obscure error of
a library or the system."""
