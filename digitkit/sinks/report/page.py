"""A report as one HTML file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from itertools import pairwise
from pathlib import Path

from digitkit.errors import escape_controls
from digitkit.images.encode import data_uri
from digitkit.reading.confidence import format_confidence
from digitkit.sinks.report.builder import BIN_STARTS, MAX_LINES, Line, ReportBuilder, ShownPicture
from digitkit.sources.frames import count_failures

_FOLDER = Path(__file__).parent


def make_page(builder: ReportBuilder) -> str:
    """The HTML of a report.

    It contains its style, its script and all pictures. A content security policy allows these only
    by their hashes, and no network; what comes from elsewhere, such as names of files, is text.
    """
    style = _read("review.css") + _read("report.css")
    script = _read("review.js") + _read("report.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    items = builder.items_json
    key = hashlib.sha256(items.encode()).hexdigest()[:16]
    body = "\n".join(_body(builder))
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>digitkit report</title>
<style>{style}</style>
</head>
<body data-report="{key}">
{body}
<script type="application/json" id="items">{_in_script(items)}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"sha256-{digest}"


def _in_script(text: str) -> str:
    """JSON that cannot end the script that it is in."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _text(text: str) -> str:
    """Text from elsewhere for HTML, on one line, without what is not shown."""
    return escape(escape_controls(text))


def _body(builder: ReportBuilder) -> Iterator[str]:
    info = builder.info
    hidden_pictures, hidden_items = builder.hidden
    yield "<header>"
    yield "<h1>digitkit report</h1>"
    created = info.created.isoformat(sep=" ", timespec="minutes")
    yield (
        f'<p class="about">{_text(created)}, digitkit {_text(info.version)}, model '
        f"{_text(info.model)} ({_text(info.model_file)}, SHA-256 {_text(info.model_sha256)})</p>"
    )
    yield "</header>"
    yield "<main>"
    yield from _totals(builder)
    yield from _histogram(builder)
    yield "<h2>Review</h2>"
    yield (
        '<p class="note">What the model is not sure of, the most doubtful first. Corrections stay '
        "in this browser. Download them, then <code>digitkit corrections corrections.jsonl</code> "
        "makes a training folder of them; for forms, run the command that wrote this report again "
        "with <code>--corrections corrections.jsonl</code>, which puts them into the table.</p>"
    )
    if hidden_items:
        yield (
            f'<p class="note">These are the {builder.item_count:,} most doubtful; '
            f"{hidden_items:,} less doubtful ones are left out.</p>"
        )
    yield '<div id="review"><p>The review requires JavaScript.</p></div>'
    yield (
        '<p class="kept"><span id="count" role="status"></span>'
        '<button type="button" id="restart" disabled>Forget all</button>'
        '<button type="button" id="download" disabled>'
        "Download corrections</button></p>"
    )
    yield "<h2>Pictures</h2>"
    pictures = builder.pictures
    order = "The least certain first."
    if hidden_pictures:
        order = (
            f"The {len(pictures):,} least certain; {hidden_pictures:,} more certain ones are left "
            "out."
        )
    yield f'<p class="note">{order}</p>'
    yield '<ul class="gallery">'
    for picture in pictures:
        yield from _picture(picture)
    yield "</ul>"
    yield "</main>"


def _totals(builder: ReportBuilder) -> Iterator[str]:
    verdicts, failed = builder.verdicts, builder.failed.total()
    yield '<dl class="totals">'
    for name, count in (
        ("pictures", verdicts.total()),
        ("complete", verdicts["complete"]),
        ("doubtful", verdicts["doubtful"]),
        ("without a number", verdicts["without"]),
        ("failed", failed),
    ):
        yield f"<div><dt>{name}</dt><dd>{count:,}</dd></div>"
    yield "</dl>"
    if failed:
        kinds = count_failures(builder.failed)
        yield f"<details><summary>{failed:,} failed ({kinds})</summary><ul>"
        for failure in builder.failures:
            yield f"<li>{_text(failure.name)}: {_text(failure.error)}</li>"
        if more := failed - len(builder.failures):
            yield f"<li>and {more:,} more</li>"
        yield "</ul></details>"


def _histogram(builder: ReportBuilder) -> Iterator[str]:
    yield "<h2>Confidence</h2>"
    yield '<p class="note">Numbers by the probability that they are right.</p>'
    yield '<table class="histogram"><thead hidden><tr><th>Confidence</th><th>Numbers</th>'
    yield "<th></th></tr></thead><tbody>"
    highest = max(1, *builder.histogram)
    bins = zip(builder.histogram, pairwise([0.0, *BIN_STARTS, 1.0]), strict=True)
    for count, (low, high) in reversed(list(bins)):
        name = f"{100 * low:g} to {100 * high:g}%"
        width = 100 * count / highest
        yield (
            f'<tr><th scope="row">{name}</th><td>{count:,}</td><td><svg viewBox="0 0 100 10" '
            'preserveAspectRatio="none" aria-hidden="true">'
            f'<rect width="{width:.2f}" height="10"/></svg></td></tr>'
        )
    yield "</tbody></table>"


def _picture(picture: ShownPicture) -> Iterator[str]:
    height, width = picture.shape
    yield f'<li class="{picture.verdict}">'
    yield (
        f'<img src="{data_uri(picture.thumbnail, "image/jpeg")}" width="{width}" '
        f'height="{height}" alt="" loading="lazy" decoding="async">'
    )
    yield f"<div><h3>{_text(picture.name)}</h3>"
    if picture.lines:
        yield "<ul>"
        for line in picture.lines:
            yield _line(line)
        yield "</ul>"
    else:
        yield "<p>no number</p>"
    if picture.more:
        yield f"<p>and {picture.more:,} more certain than these {MAX_LINES}</p>"
    yield "</div></li>"


def _line(line: Line) -> str:
    kind = "" if line.is_sure else ' class="doubtful"'
    label = f"<span>{_text(line.label)}</span> " if line.label else ""
    text = _text(line.text) or "empty"
    return (
        f"<li{kind}>{label}<strong>{text}</strong> "
        f"<span>{escape(format_confidence(line.confidence))}</span></li>"
    )
