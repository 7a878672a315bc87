"""Run the commands that README.md and docs/*.md show, and compare or replace their outputs.

    python docs/_tools/outputs.py                  # compare; exit code 1 where something differs
    python docs/_tools/outputs.py --slow           # also what takes minutes
    python docs/_tools/outputs.py --write numbers  # replace what differs in docs/numbers.md
    python docs/_tools/outputs.py --pictures       # draw docs/images again

Each block of the kind ``console`` has commands behind ``$ `` and what they print. They run in
order, in a folder of their own for each page, in which ``data`` is the repository's. A block of
Python with ``title="NAME.py"`` is that file there. What varies is marked:

- ``…`` in a line stands for any text, alone on a line for any lines;
- ``title="Varies: …"``: numbers may be others. These commands take minutes and run with ``--slow``;
- ``title="Recorded: …"``, with machine and date: the output is not compared, but the commands'
  options must exist.

Commands that need what a reader does not have (a camera, a board) are blocks of the kind ``sh``.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs/images"

PICTURES = {
    "annotated.jpg": "infer data/samples/notes.jpg --min-confidence 0.9993 -q --annotate out",
    "page.jpg": "infer data/samples/page.jpg -q --annotate out",
    "explained.jpg": "infer data/samples/notes.jpg --min-confidence 0.9993 -q --explain out",
}
"""Pictures of ``docs/images`` and the commands whose one picture in the folder ``out`` they are."""

_BLOCK = re.compile(r"^```(?P<kind>\w+)(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A block of a page.

    Attributes:
        page: the page, from the repository's root.
        kind: ``console``, ``python``, …
        title: its title; empty without one.
        body: its lines.
        start: where the body begins in the page's text, characters.
    """

    page: Path
    kind: str
    title: str
    body: str
    start: int

    @property
    def varies(self) -> bool:
        """Whether its numbers may be others, and it takes long."""
        return self.title.startswith("Varies:")

    @property
    def recorded(self) -> bool:
        """Whether it is not run."""
        return self.title.startswith("Recorded:")

    @property
    def commands(self) -> list[tuple[str, str]]:
        """The commands and what each prints."""
        parts = re.split(r"^\$ (.*)\n", self.body, flags=re.M)[1:]
        return list(zip(parts[::2], parts[1::2], strict=True))


def pages() -> list[Path]:
    """README.md and the pages of docs, from the repository's root."""
    return [Path("README.md"), *sorted(p.relative_to(ROOT) for p in (ROOT / "docs").glob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page, in order."""
    for found in _BLOCK.finditer((ROOT / page).read_text("utf-8")):
        title = re.search(r'title="([^"]*)"', found["info"])
        text = title[1] if title else ""
        yield Block(page, found["kind"], text, found["body"], found.start("body"))


def run_page(page: Path, *, slow: bool) -> Iterator[tuple[Block, str, str, str]]:
    """Run a page's commands: each block, command, what is shown and what is printed."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "data").symlink_to(ROOT / "data")
        for block in blocks(page):
            if block.kind == "python" and block.title.endswith(".py"):
                (here / block.title).write_text(block.body, "utf-8")
            if block.kind != "console" or block.recorded or (block.varies and not slow):
                continue
            for command, shown in block.commands:
                yield block, command, shown, run_command(command, here)


def run_command(command: str, folder: Path) -> str:
    """What a command prints on both streams.

    Raises:
        ValueError: it is neither ``digitkit`` nor ``python``.
    """
    program, *arguments = shlex.split(command, comments=True)
    start = {"digitkit": [sys.executable, "-m", "digitkit"], "python": [sys.executable]}
    if program not in start:
        raise ValueError(f"{command}: only digitkit and python are run; show others as sh")
    settings = {
        "COLUMNS": "80",
        "DIGITKIT_PROFILE": os.devnull,
        "OMP_NUM_THREADS": "2",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
    done = subprocess.run(
        [*start[program], *arguments], cwd=folder, env=os.environ | settings, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())


def agrees(shown: str, printed: str, *, varies: bool = False) -> bool:
    """Whether what is printed is what is shown.

    Args:
        shown: with ``…`` for what varies.
        printed: the command's output.
        varies: whether numbers, and the widths of columns, may differ.
    """
    if varies:
        shown, printed = map(_mask, (shown, printed))
    pattern = ""
    for line in shown.strip("\n").splitlines():
        any_text = ".*?".join(map(re.escape, line.rstrip().split("…")))
        pattern += r"(?:[^\n]*\n)*?" if line.strip() == "…" else f"{any_text}\n"
    return re.fullmatch(pattern, printed.strip("\n") + "\n" if printed.strip() else "") is not None


def _mask(text: str) -> str:
    text = re.sub(r"\d[\d,.:]*(e-\d+)?", "#", text)
    return re.sub(r"[ \t]+", " ", re.sub("─+", "─", text))


def unknown_options(command: str) -> list[str]:
    """Options of a digitkit command that its help does not have."""
    program, *words = shlex.split(command, comments=True)
    if program != "digitkit":
        return []
    names = [word for word in words[:2] if not word.startswith("-")][: 1 + ("compare" in words)]
    text = _help(shlex.join(["digitkit", *names, "--help"]))
    options = [word.partition("=")[0] for word in words if word.startswith("--")]
    return [option for option in options if option not in text]


@cache
def _help(command: str) -> str:
    return run_command(command, ROOT)


def draw_picture(name: str, folder: Path) -> bytes:
    """A picture of ``docs/images`` as JPEG, drawn in a folder that is empty."""
    from digitkit.images.cv import cv2

    (folder / "data").symlink_to(ROOT / "data")
    run_command(f"digitkit {PICTURES[name]}", folder)
    (path,) = (folder / "out").iterdir()
    image = cv2.imread(str(path))
    ratio = min(1.0, 900 / max(image.shape))
    small = cv2.resize(image, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def main() -> int:
    """Compare, or write; the number of commands that differ, at most 1."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", help="pages such as numbers or README; all by default")
    parser.add_argument("--slow", action="store_true", help="run what takes minutes, too")
    parser.add_argument("--write", action="store_true", help="replace outputs that differ")
    parser.add_argument("--pictures", action="store_true", help="draw docs/images and exit")
    options = parser.parse_args()
    if options.pictures:
        for name in PICTURES:
            with tempfile.TemporaryDirectory() as folder:
                (IMAGES / name).write_bytes(draw_picture(name, Path(folder)))
        return 0
    differ = 0
    for page in pages():
        if options.names and page.stem not in options.names:
            continue
        text = (ROOT / page).read_text("utf-8")
        for block, command, shown, printed in run_page(page, slow=options.slow):
            if agrees(shown, printed, varies=block.varies):
                continue
            differ += 1
            print(f"{page}: $ {command}\n{printed}", flush=True)
            text = text.replace(f"$ {command}\n{shown}", f"$ {command}\n{printed}")
        if options.write:
            (ROOT / page).write_text(text, "utf-8")
    return min(differ, 1)


if __name__ == "__main__":
    sys.exit(main())
