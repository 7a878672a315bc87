"""The picture of a report in the documentation."""

import os

import pytest
from support.cli import run
from support.paths import ROOT

pytestmark = pytest.mark.slow


@pytest.mark.skipif("DIGITKIT_SCREENSHOTS" not in os.environ, reason="DIGITKIT_SCREENSHOTS not set")
def test_picture_for_the_documentation(browser, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    path = tmp_path / "report.html"
    run("infer", "data/samples/notes.jpg", "--min-confidence", "0.999", "-q", "--report", path)
    page = browser.new_page(viewport={"width": 800, "height": 1360})
    page.goto(path.as_uri())
    page.get_by_role("button", name="Not a digit").wait_for()
    page.screenshot(path=ROOT / "docs/images/report.jpg", type="jpeg", quality=75)
    page.close()
