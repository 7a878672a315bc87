"""Draw the sample form: a phone photo of it blank, a scan and a photo of it filled in.

    python data/samples/form/make_form.py

Also writes its template, as a user would who has named the fields that ``digitkit form new`` found.
The same script draws the same files; the digits are MNIST's test digits.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "benchmarks"))

from form_camera import take_photo, take_scan  # noqa: E402
from form_sets import DPI, PLACES, draw_blank, fill_in, invent  # noqa: E402
from forms import CONSTRAINTS  # noqa: E402

from digitkit.arrays import U8  # noqa: E402
from digitkit.datasets.mnist import load_mnist  # noqa: E402
from digitkit.forms.new_form import make_template  # noqa: E402
from digitkit.images.cv import cv2  # noqa: E402
from digitkit.system import atomic  # noqa: E402

PHOTO = (1500, 2000)
"""Width and height of the photos, pixels."""

SCAN_DPI = 100


def save(name: str, image: U8, quality: int = 80) -> Path:
    """Write a JPEG file next to this script."""
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    atomic.write_bytes(HERE / name, data.tobytes())
    return HERE / name


def name_fields(text: str) -> str:
    """The template with names, constraints and a rule instead of numbers."""
    parts = re.split(r"(?m)^(?=\[\[field\]\])", text)
    fields = []
    for part, place in zip(parts[1:], PLACES, strict=False):  # the signature is left out
        named = re.sub(r'name = ".*"', f'name = "{place.name}"', part).rstrip()
        constraint = CONSTRAINTS.get(place.name)
        fields.append(named + (f"\n{constraint}" if constraint else "") + "\n\n")
    return parts[0] + "".join(fields) + '[rules]\ntotal = "water + energy + service"\n'


def main() -> None:
    """Draw all files."""
    data, blank = load_mnist("test"), draw_blank()
    paper = np.asarray(cv2.cvtColor(np.maximum(blank, 25), cv2.COLOR_GRAY2BGR), np.uint8)
    photo = save("blank.jpg", take_photo(paper, np.random.default_rng(3), PHOTO)[0])
    template = HERE / "form.toml"
    made = make_template(photo, template, overwrite=True)
    overview = cv2.imread(str(made.overview))
    small = cv2.resize(overview, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    save("../../../docs/images/forms-fields.jpg", np.asarray(small, np.uint8))
    made.overview.unlink()
    atomic.write_text(template, name_fields(template.read_text("utf-8")))
    for name, seed in (("scan.jpg", 21), ("photo.jpg", 23)):
        rng = np.random.default_rng(seed)
        page = fill_in(blank, invent(rng), data, rng)
        taken = take_scan(page, rng, SCAN_DPI / DPI) if "scan" in name else take_photo(
            page, rng, PHOTO
        )  # fmt: skip
        save(name, taken[0])


if __name__ == "__main__":
    main()
