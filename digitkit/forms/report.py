"""Forms in a report."""

from __future__ import annotations

from digitkit.forms.results import FormReading
from digitkit.forms.review import field_items
from digitkit.sinks.report.builder import Line, ReportBuilder
from digitkit.sinks.review import Picture
from digitkit.sources.frames import Frame


def add_form(builder: ReportBuilder, frame: Frame, reading: FormReading) -> None:
    """Add a form to a report: its fields that are not empty.

    Args:
        builder: of the report.
        frame: the picture that was read.
        reading: what was read from it.
    """
    lines = [
        Line(one.text, one.confidence, one.status == "ok", one.name)
        for one in reading.fields
        if one.status != "empty"
    ]
    builder.add(Picture(frame), lines, reading.verdict, field_items(reading))
