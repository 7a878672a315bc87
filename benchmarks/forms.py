"""How many forms are found, how many of their fields are read, and how many wrong without a sign.

    python benchmarks/forms.py
    python benchmarks/forms.py --kind photos --count 20 --digits test --seed 16 --wrong

Forms are filled in with MNIST's digits and scanned or photographed (``form_sets.py``), and read as
a user would: default options, one thread.

registered           forms that were found where they are
complete and right   fields that were read as they are written, with the status ``ok`` or ``empty``
complete and wrong   fields with one of these statuses whose text is another; of those without, and
                     of those with a checksum or a sum (``form_sets.RULED``)
words                with ``--words``: fields with a word that were taken for a number
refused              other forms, blank pages and pictures in which no form was found
forms/s              of scans at 150 dots per inch: processor time from the file to the reading
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from common import DIGITS, load_digits, ran_on, table
from form_sets import (
    DPI,
    HEIGHT,
    PLACES,
    RULED,
    WIDTH,
    Place,
    Sheet,
    cell_edges,
    draw_blank,
    make_other,
    make_sheet,
    make_words,
)

from digitkit.arrays import U8
from digitkit.cli import show
from digitkit.datasets.digits import DigitData
from digitkit.errors import FormError
from digitkit.forms.form import Form
from digitkit.forms.results import FormReading
from digitkit.images.cv import cv2
from digitkit.sources.files import load_frame
from digitkit.sources.frames import Frame
from digitkit.system.hashes import file_sha256

RATIO = 150 / DPI
"""The reference has 150 dots per inch."""

CONSTRAINTS = {
    "customer": 'checksum = "luhn"',
    "date": r"pattern = '(0[1-9]|[12]\d|3[01])(0[1-9]|1[0-2])20\d\d'",
    "persons": "min = 1\nmax = 20",
    "built": r"pattern = '(19|20)\d\d'",
    "water": "decimals = 2", "energy": "decimals = 2", "service": "decimals = 2",
    "total": "decimals = 2",
}  # fmt: skip
"""What the template says of fields."""

OFF = 0.02
"""A form is where it was found if the middle of its last field is this near, in longer sides of the
form; its corners do not say how the sheet is bent."""


def write_template(folder: Path, blank: U8) -> Path:
    """Write the form's template and reference into a folder."""
    small = cv2.resize(blank, None, fx=RATIO, fy=RATIO, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / "costs.png"), small)
    lines = [
        'reference = "costs.png"', f'sha256 = "{file_sha256(folder / "costs.png")}"',
        f"size = [{small.shape[1]}, {small.shape[0]}]",
    ]  # fmt: skip
    for place in PLACES:
        lines += ["[[field]]", f'name = "{place.name}"', f"box = {_box(place)}"]
        lines += [CONSTRAINTS[place.name]] if place.name in CONSTRAINTS else []
        if place.cells:
            cells = [[_pixels(a), _pixels(b - a)] for a, b in cell_edges(place)]
            lines.append(f"cells = {cells}")
    lines += ["[rules]", 'total = "water + energy + service"']
    path = folder / "costs.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _pixels(millimetres: float) -> float:
    return round(millimetres / 25.4 * DPI * RATIO, 1)


def _box(place: Place) -> list[int]:
    return [round(_pixels(side)) for side in (place.x, place.y, place.width, place.height)]


class Score:
    """Counts what became of forms and fields."""

    def __init__(self, *, wrong: bool) -> None:
        """Count from nothing; print what is wrong if asked to."""
        self.counts: Counter[str] = Counter()
        self.unread: Counter[str] = Counter()
        self.wrong = wrong

    def add(self, number: int, sheet: Sheet, reading: FormReading | None) -> None:
        """Compare a form with what was read of it."""
        counts = self.counts
        counts["forms"] += 1
        counts["fields"] += len(sheet.texts)
        counts["ruled"] += len(RULED)
        if reading is None:
            if self.wrong:
                print(f"{number}: not found ({sheet.dpi} dpi)", flush=True)
            return
        counts["found"] += 1
        for name, text in sheet.texts.items():
            one = reading[name]
            complete = one.status in ("ok", "empty")
            kind = "ruled" if name in RULED else "free"
            counts["right"] += complete and one.text == text
            counts[f"wrong {kind}"] += complete and one.text != text
            if not (complete and one.text == text):
                self.unread[name] += 1
                if self.wrong:
                    sign = "WRONG " if complete else ""
                    what = f"{one.text}, {one.status} {one.confidence:.3f} {one.reasons}"
                    print(f"{number} ({sheet.dpi} dpi) {sign}{name}: {text} read as {what}")

    def row(self, kind: str) -> list[str]:
        """The shares."""
        n = self.counts
        free = n["fields"] - n["ruled"]
        return [
            kind, f"{n['forms']}", f"{n['found'] / n['forms']:.2%}",
            f"{n['right'] / n['fields']:.2%}", f"{n['wrong free'] / free:.2%}",
            f"{n['wrong ruled'] / n['ruled']:.2%}",
        ]  # fmt: skip


def read(form: Form, sheet: Sheet) -> FormReading | None:
    """Read a sheet; None where the form was not found, or not where it is."""
    try:
        reading = form.read_frame(Frame("sheet", sheet.image))
    except FormError:
        return None
    if not len(sheet.corners):
        return reading
    last = PLACES[-1]
    middle = np.array([[[last.x + last.width / 2, last.y + last.height / 2]]], np.float32)
    page = np.array([(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)], np.float32)
    turn = cv2.getPerspectiveTransform(page, sheet.corners.astype(np.float32))
    x, y, w, h = reading[last.name].box
    off = cv2.perspectiveTransform(middle, turn)[0, 0] - (x + w / 2, y + h / 2)
    is_there = float(np.abs(off).max()) < OFF * float(np.ptp(sheet.corners, 0).max())
    return reading if is_there else None


def read_words(
    form: Form, data: DigitData, blank: U8, count: int, seed: int
) -> dict[str, tuple[int, int]]:
    """How many fields with words have the status ``ok``, and how many there are, by kind."""
    accepted, fields = Counter[str](), Counter[str]()
    for number in range(count):
        try:
            reading = form.read_frame(Frame("words", make_words(seed, number, data, blank)))
        except FormError:
            continue
        for place in PLACES:
            constrained = place.name in CONSTRAINTS
            kind = "fields with a constraint" if constrained else "combs" if place.cells else "free"
            accepted[kind] += reading[place.name].status == "ok"
            fields[kind] += 1
    return {kind: (accepted[kind], fields[kind]) for kind in fields}


def measure_speed(form: Form, sheets: list[Sheet], folder: Path) -> float:
    """Forms per second of processor time, from JPEG files to readings."""
    paths = []
    for number, sheet in enumerate(sheets):
        path = folder / f"{number}.jpg"
        cv2.imwrite(str(path), sheet.image)
        paths.append(path)
    form.read_frame(load_frame(paths[0]))
    begun = time.process_time()
    for path in paths:
        form.read_frame(load_frame(path))
    return len(paths) / (time.process_time() - begun)


def main() -> None:
    """Read forms and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=("scans", "photos"), help="only these")
    parser.add_argument("--count", type=int, default=100, help="forms of each kind")
    parser.add_argument("--others", type=int, default=0, help="other pictures, to be refused")
    parser.add_argument("--words", type=int, default=0, help="scans with words in all fields")
    parser.add_argument("--digits", choices=DIGITS, default=DIGITS[0], help="of MNIST")
    parser.add_argument("--seed", type=int, default=1, help="16 is for the reported figures")
    parser.add_argument("--markers", action="store_true", help="the form has ArUco markers")
    parser.add_argument("--wrong", action="store_true", help="print each field that is not right")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    data, blank = load_digits(options.digits), draw_blank(markers=options.markers)
    rows, fast = [], list[Sheet]()
    with tempfile.TemporaryDirectory() as name, show.progress() as progress:
        form = Form(write_template(Path(name), blank))
        for kind in (options.kind,) if options.kind else ("scans", "photos"):
            score = Score(wrong=options.wrong)
            for number in range(options.count):
                sheet = make_sheet(kind, data, options.seed, number, blank)
                score.add(number, sheet, read(form, sheet))
                if sheet.dpi == 150 and len(fast) < 40:
                    fast.append(sheet)
                progress(kind, number + 1, options.count)
            rows.append(score.row(kind))
            print(f"{kind}, fields that are not complete and right: {dict(score.unread)}")
        speed = measure_speed(form, fast, Path(name)) if fast else 0.0
        words = read_words(form, data, blank, options.words, options.seed)
        refused = 0
        others = [draw_blank(version=version) for version in range(1, 6)]
        for number in range(options.others):
            image = make_other(data, options.seed, number, others)
            refused += read(form, Sheet(image, {}, np.empty(0))) is None
    heads = ["kind", "forms", "registered", "complete and right", "wrong, no rule", "wrong, rule"]
    print(table(heads, rows))
    for kind, (accepted, count) in words.items():
        print(f"words, {kind}: {accepted} of {count} taken for a number")
    if options.others:
        print(f"refused: {refused} of {options.others}")
    if speed:
        print(f"scans at 150 dpi: {speed:.1f} forms per second of processor time")
    print(
        f"digits: MNIST {options.digits}, seed {options.seed}; {ran_on()}, OpenCV {cv2.__version__}"
    )


if __name__ == "__main__":
    main()
