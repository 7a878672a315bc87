"""The report: what it contains, what it leaves out, and that it loads nothing."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest
from support.errors import error_of
from support.readings import make_digit, make_reading

from digitkit import Frame
from digitkit.errors import OutputError
from digitkit.sinks.report import builder as building
from digitkit.sinks.report.builder import ReportInfo
from digitkit.sinks.report.report_sink import ReportSink, open_report
from digitkit.sources.frames import Failure

INFO = ReportInfo(
    "1.2.3", "digits", "digits-int8.onnx", "ab" * 32, datetime(2026, 1, 2, tzinfo=UTC)
)

SURE, DOUBTFUL = {7: 0.999}, {7: 0.5, 1: 0.4}


@pytest.fixture
def write(tmp_path):
    """Writes a report of pictures, name to the probabilities of its one digit; returns its HTML."""

    def make(pictures: dict[str, dict | None], failures=()) -> str:
        path = tmp_path / "report.html"
        with open_report(path, INFO) as builder:
            sink = ReportSink(builder)
            for name, likely in pictures.items():
                digits = [] if likely is None else [make_digit(SURE), make_digit(likely, 40)]
                reading = make_reading(*digits, source=name, frame=None)
                sink.write(Frame(name, np.full((200, 300), 220, np.uint8)), reading)
            for failure in failures:
                sink.fail(failure)
        return path.read_text(encoding="utf-8")

    return make


class _Page(HTMLParser):
    """What a page consists of: its tags, and the text outside of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self._plain = True
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._plain = tag not in ("script", "style")

    def handle_endtag(self, tag):
        self._plain = True

    def handle_data(self, data):
        self.text += f" {data}" if self._plain else ""


def items(html: str) -> list[dict]:
    return json.loads(re.search(r'id="items">(.*?)</script>', html, re.S)[1])


def test_pictures_and_items_come_with_the_least_certain_first(write):
    html = write({"sure.png": SURE, "none.png": None, "doubt.png": DOUBTFUL, "b.png": {7: 0.7}})
    names = re.findall(r"<h3>(.*?)</h3>", html)
    assert names == ["doubt.png", "b.png", "sure.png", "none.png"]
    assert [item["source"] for item in items(html)] == ["doubt.png", "b.png"]
    assert items(html)[0]["image"].startswith("data:image/jpeg;base64,")


def test_a_digit_that_is_not_accepted_is_listed_but_is_no_number(tmp_path):
    path = tmp_path / "report.html"
    with open_report(path, INFO) as builder:
        sink = ReportSink(builder)
        for name, digit in (("sure.png", make_digit(SURE)), ("alone.png", make_digit(DOUBTFUL))):
            reading = make_reading(digit, source=name, frame=None)
            sink.write(Frame(name, np.zeros((99, 99), np.uint8)), reading)
    html = path.read_text()
    assert re.findall(r"<h3>(.*?)</h3>", html) == ["alone.png", "sure.png"]
    assert "<strong>7?</strong> <span>50.0%</span>" in html
    assert builder.verdicts == {"complete": 1, "without": 1}
    assert sum(builder.histogram) == 1


def test_frames_of_a_video_are_named_with_their_moment(tmp_path):
    path, image = tmp_path / "report.html", np.zeros((99, 99), np.uint8)
    with open_report(path, INFO) as builder:
        sink = ReportSink(builder)
        for number, seconds in ((0, 67.25), (1, None)):
            frame = Frame("clip.mp4", image, number=number, seconds=seconds)
            sink.write(frame, make_reading(make_digit(SURE), source="clip.mp4", frame=number))
    names = re.findall(r"<h3>(.*?)</h3>", path.read_text())
    assert names == ["clip.mp4 0:01:07.2", "clip.mp4 #1"]


def test_totals_and_the_model(write):
    failures = [Failure("x.png", "does not exist", kind="missing")]
    page = _Page(write({"a.png": SURE, "b.png": DOUBTFUL, "c.png": None}, failures))
    text = " ".join(page.text.split())
    for part in (
        "pictures 3", "complete 1", "doubtful 1", "without a number 1", "failed 1",
        "1 failed (missing: 1)", "x.png: does not exist", "digits-int8.onnx", "ab" * 32, "1.2.3",
    ):  # fmt: skip
        assert part in text, part


def test_the_histogram_counts_numbers(write):
    html = write({"a.png": SURE, "b.png": SURE, "c.png": DOUBTFUL})
    rows = re.findall(r'<th scope="row">(.*?)</th><td>(\d+)</td>', html)
    assert [name for name, _ in rows][-1] == "0 to 50%"
    assert sum(int(count) for _, count in rows) == 3


EVIL = "<img src=x onerror=alert(1)>\"'&</script><!--\x1b[31m\u202e\n.png"


def test_names_of_files_are_only_text(write):
    plain = _Page(write({"a.png": DOUBTFUL}, [Failure("b.png", "is bad")]))
    html = write({EVIL: DOUBTFUL}, [Failure(EVIL, EVIL)])
    page = _Page(html)
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert "<img src=x onerror=alert(1)>" in page.text
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert items(html)[0]["source"] == EVIL  # of use to whoever trains on it


def test_names_that_are_not_utf8_are_written(write):
    assert "a" in write({"a\udcff.png": DOUBTFUL})


def test_the_page_loads_nothing_and_allows_only_its_own_script_and_style(write):
    html = write({"a.png": DOUBTFUL})
    page = _Page(html)
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv"))
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        text = re.search(rf'<{tag}(?: type="module")?>(.*?)</{tag}>', html, re.S)[1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    for _, attributes in page.tags:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert attributes.get(name, "data:").startswith("data:")


def test_of_many_the_most_certain_are_left_out_and_it_is_said(write, monkeypatch):
    monkeypatch.setattr(building, "MAX_PICTURES", 3)
    monkeypatch.setattr(building, "MAX_ITEMS", 2)
    monkeypatch.setattr(building, "MAX_FAILURES", 1)
    pictures = {f"{i}.png": {7: 0.5 + 0.04 * i} for i in (4, 2, 0, 1, 3)}
    html = write(pictures, [Failure(f"x{i}", "is bad") for i in range(3)])
    assert re.findall(r"<h3>(.*?)</h3>", html) == ["0.png", "1.png", "2.png"]
    assert [item["source"] for item in items(html)] == ["0.png", "1.png"]
    text = " ".join(_Page(html).text.split())
    assert "The 3 least certain; 2 more certain ones are left out." in text
    assert "These are the 2 most doubtful; 3 less doubtful ones are left out." in text
    assert "and 2 more" in text
    assert "pictures 5" in text


def test_a_picture_with_many_numbers_lists_the_least_certain(write, tmp_path):
    digits = [replace(make_digit({7: 0.999}, 200 * i), row=i) for i in range(20)]
    path = tmp_path / "many.html"
    with open_report(path, INFO) as builder:
        reading = make_reading(*digits, source="a.png", frame=None)
        ReportSink(builder).write(Frame("a.png", np.zeros((99, 99), np.uint8)), reading)
    assert f"and 8 more certain than these {building.MAX_LINES}" in path.read_text()


def test_nothing_is_written_where_reading_breaks_off(tmp_path):
    path = tmp_path / "report.html"
    with pytest.raises(KeyboardInterrupt), open_report(path, INFO):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_refused_before_anything_is_read(tmp_path):
    error = error_of(OutputError, open_report(tmp_path, INFO).__enter__)
    assert error.subject == str(tmp_path)
