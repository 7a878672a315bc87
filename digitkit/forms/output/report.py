"""The sink that writes forms into a report."""

from __future__ import annotations

from digitkit.forms.output.review import field_items
from digitkit.forms.results import FormReading
from digitkit.sinks.report.builder import Line, ReportBuilder
from digitkit.sinks.review import UprightFrame
from digitkit.sources.frames import Failure, Frame


class FormReportSink:
    """Collects forms for a report; see `digitkit.sinks.report.report_sink.open_report`."""

    wants_every_frame = False

    def __init__(self, builder: ReportBuilder) -> None:
        """Collect into a builder."""
        self._builder = builder

    def write(self, frame: Frame, reading: FormReading) -> None:
        """Collect a form: its fields that are not empty."""
        lines = [
            Line(one.text, one.confidence, one.status == "ok", one.name)
            for one in reading.fields
            if one.status != "empty"
        ]
        self._builder.add(UprightFrame(frame), lines, reading.verdict, field_items(reading))

    def fail(self, failure: Failure) -> None:
        """Collect a failure."""
        self._builder.fail(failure)
