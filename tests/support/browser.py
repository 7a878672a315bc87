"""A page opened in Chromium without a driver: a script acts, and leaves what it saw in it."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from digitkit.images.cv import cv2

ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--virtual-time-budget=10000"),
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
    _run(["--dump-dom", page.as_uri()], profile, lambda: is_whole(profile / "out"))
    return (profile / "out").read_text(encoding="utf-8")


def draw_page(page: Path, profile: Path, width: int, height: int) -> np.ndarray:
    """What a window of this size shows of a page, uint8 [height, width, 3] BGR."""
    shot = profile / "shot.png"
    size = f"--window-size={width},{height}"
    _run([f"--screenshot={shot}", size, page.as_uri()], profile, lambda: drawn(shot) is not None)
    image = drawn(shot)
    assert image is not None
    return image


def is_whole(html: Path) -> bool:
    return html.read_bytes().rstrip().endswith(b"</html>")


def drawn(shot: Path) -> np.ndarray | None:
    """The picture, if it is there as a whole."""
    if not shot.is_file() or b"IEND" not in shot.read_bytes()[-16:]:
        return None
    return cv2.imread(str(shot))


def _run(arguments: list[str], profile: Path, done: Callable[[], bool]) -> None:
    """Run the browser until its output is there: what it starts may keep it from ending."""
    profile.mkdir()
    command = [find_browser(), *ARGUMENTS, f"--user-data-dir={profile}", *arguments]
    with (profile / "out").open("wb") as out, (profile / "err").open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, start_new_session=True)
    try:
        end = time.monotonic() + 120
        while not done() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert done(), (profile / "err").read_text(errors="replace")


def result_of(html: str) -> dict:
    """What a script has put into ``<pre id="result">``, JSON."""
    match = re.search(r'<pre id="result">(.*?)</pre>', html, re.S)
    assert match, html[-2000:]
    return json.loads(unescape(match[1]))
