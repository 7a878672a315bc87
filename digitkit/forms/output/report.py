"""The sink that writes forms into a report."""

from __future__ import annotations

from digitkit.forms.output.review import field_items
from digitkit.forms.results import FormReading
from digitkit.sinks.report.builder import Line
from digitkit.sinks.report.report_sink import BuilderSink
from digitkit.sinks.review import UprightFrame
from digitkit.sources.frames import Frame


class FormReportSink(BuilderSink):
    """Collects forms for a report; see `digitkit.sinks.report.report_sink.open_report`."""

    def write(self, frame: Frame, reading: FormReading) -> None:
        """Collect a form: its fields that are not empty."""
        lines = [
            Line(one.text, one.confidence, one.status == "ok", one.name)
            for one in reading.fields
            if one.status != "empty"
        ]
        self._builder.add(UprightFrame(frame), lines, reading.verdict, field_items(reading))
