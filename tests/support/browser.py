"""A page opened in Chromium without a driver: a script acts, and leaves what it saw in it."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--dump-dom", "--virtual-time-budget=10000"),
)


def find_browser() -> str:
    """The browser's program; the test is skipped where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("requires Chromium")
    return found


def open_page(page: Path, profile: Path) -> str:
    """The page's HTML after its scripts have run."""
    command = [find_browser(), *ARGUMENTS, f"--user-data-dir={profile}", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def result_of(html: str) -> dict:
    """What a script has put into ``<pre id="result">``, JSON."""
    match = re.search(r'<pre id="result">(.*?)</pre>', html, re.S)
    assert match, html[-2000:]
    return json.loads(unescape(match[1]))
