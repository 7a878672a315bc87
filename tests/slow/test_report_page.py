"""A report in a browser: decisions become a file of corrections that digitkit reads."""

import base64
import re

import numpy as np
import pytest
from support.browser import draw_page, open_page, result_of
from support.cli import json_lines, run
from support.forms import WRITTEN, fill_form, save, write_form
from support.odd_hand import draw_odd_digit

from digitkit.datasets.corrections import parse_correction
from digitkit.images.cv import cv2


@pytest.fixture
def report(tmp_path):
    """A report of three digits by a hand that the model does not read."""
    rng = np.random.default_rng(0)
    for place, digit in enumerate((1, 4, 1)):
        cv2.imwrite(str(tmp_path / f"<b>{place}.png"), draw_odd_digit(digit, rng))
    path = tmp_path / "report.html"
    run("infer", tmp_path, "--report", path)
    return path


ACT = """
const press = (key) => {
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  return new Promise((resolve) => setTimeout(resolve, 5));
};
const parts = [];
const make = URL.createObjectURL;
URL.createObjectURL = (blob) => { parts.push(blob); return make(blob); };
const download = document.getElementById("download");
const before = download.disabled;
await press("1"); await press("n"); await press("4"); await press("u");
download.click();
const pre = document.createElement("pre");
pre.id = "result";
pre.textContent = JSON.stringify({
  before, text: await parts[0].text(), count: document.getElementById("count").textContent,
});
document.body.append(pre);
"""


def with_script(html: str, script: str) -> str:
    """The page with a script of the test, which its policy is made to allow."""
    html = re.sub(r"script-src '[^']*'", "script-src 'unsafe-inline'", html)
    return html.replace("</body>", f'<script type="module">{script}</script></body>')


def test_decisions_are_downloaded_as_corrections(report, tmp_path):
    page = report.with_name("acted.html")
    page.write_text(with_script(report.read_text(), ACT))
    result = result_of(open_page(page, tmp_path / "profile"))
    assert result["before"] is True
    assert result["count"] == "2 corrections"
    first, second = map(parse_correction, result["text"].splitlines())
    assert (first.kind, first.text, second.text) == ("digit", "1", "")
    assert len(first.images) == 1
    assert "<b>" in first.source
    file = tmp_path / "corrections.jsonl"
    file.write_text(result["text"])
    done = run("corrections", file, "--out", tmp_path / "corrections")
    assert "1 digit (1 of 1), 1 image without a digit" in done.stdout


def test_what_is_typed_for_a_field_goes_back_into_the_table(tmp_path, one_of_each):
    scan = save(tmp_path / "scan.png", fill_form(one_of_each, WRITTEN | {"total": "1234"}))
    report = tmp_path / "report.html"
    command = ("infer", scan, "--form", write_form(tmp_path / "template"), "--format", "jsonl")
    run(*command, "--report", report)
    act = ACT.replace(
        'await press("1"); await press("n"); await press("4"); await press("u");',
        """
        while (document.querySelector(".review-read strong").textContent !== "1234") {
          document.querySelector(".review-others button:nth-child(2)").click();
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        document.querySelector(".review-input").value = "1000";
        document.querySelector(".review-form").requestSubmit();
        await new Promise((resolve) => setTimeout(resolve, 5));
        """,
    )
    page = report.with_name("acted.html")
    page.write_text(with_script(report.read_text(), act))
    text = result_of(open_page(page, tmp_path / "profile"))["text"]
    file = tmp_path / "corrections.jsonl"
    file.write_text(text)
    (line,) = json_lines(run(*command, "--corrections", file))
    assert line["complete"] is True
    assert line["fields"]["total"]["text"] == "1000"


def test_its_own_policy_allows_the_script_and_the_style(report, tmp_path):
    html = open_page(report, tmp_path / "profile")
    assert 'class="review-card"' in html
    assert "3 left, 0 decided" in html
    # The box around the digit is drawn by the style.
    shot = draw_page(report, tmp_path / "other", 900, 1400)
    box = np.array([0x6A, 0x00, 0xD4])
    assert (np.abs(shot.astype(int) - box).max(-1) < 3).sum() > 100


def test_the_images_are_what_the_classifier_saw(report):
    html = report.read_text()
    assert html.count("data:image/png;base64,") == 3
    data = re.search(r"data:image/png;base64,([^\"]*)", html)[1]
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED)
    assert image.shape == (28, 28)
