"""The jobs of ``digitkit form``: a template of a blank form, and a look at a filled-in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from digitkit.arrays import U8
from digitkit.errors import ConfigError, FormError, TemplateError
from digitkit.forms.blank.checks import check_blank
from digitkit.forms.blank.propose import propose_fields
from digitkit.forms.fields.field_ink import READ_SIDE
from digitkit.forms.form import Form
from digitkit.forms.output.drawing import draw_fields, draw_reading
from digitkit.forms.registration.matching import Registrar
from digitkit.forms.registration.straighten import straighten
from digitkit.forms.templates.checksums import load_checksums
from digitkit.forms.templates.template import overview_path, refuse_to_replace
from digitkit.forms.templates.template_file import MAX_FIELDS, load_templates, template_text
from digitkit.images.cv import cv2
from digitkit.images.encode import encode_png
from digitkit.images.grey import reduce_to
from digitkit.reading.confidence import format_confidence
from digitkit.sources.files import load_frame
from digitkit.system import atomic
from digitkit.system.hashes import file_sha256

WHITE_GAIN = 1.12
"""Gain that makes paper white, with its grain."""

WHITE_PERCENT, SCAN_WHITE = 98, 240
"""Percentile of the paper's brightness that is white paper; minimum brightness of white paper in a
scan, 0–255."""

EVEN_LEVELS, EVEN_SHARE = 24, 0.9
"""The light is even if this many grey levels make up at least this share of the paper: darker paper
is a printed shade then."""


@dataclass(frozen=True)
class NewForm:
    """What was written.

    Attributes:
        template: TOML file.
        reference: the blank form, straightened.
        overview: the reference with its fields and their names.
        count: how many fields were found.
        doubts: what may be wrong with the blank form.
    """

    template: Path
    reference: Path
    overview: Path
    count: int
    doubts: tuple[str, ...] = ()


def make_template(blank: Path, out: Path, *, overwrite: bool = False) -> NewForm:
    """Find the fields of a blank form, and write a template, its reference and an overview.

    Where no field is found they are written all the same, for fields that are added by hand.

    Args:
        blank: scan or photo of the form, its upper side up.
        out: template to write; the others are written beside it.
        overwrite: whether files that exist are replaced.

    Raises:
        InputNotFoundError, ImageError: `blank` cannot be read.
        FormError: it has too many fields, or too little print to be found in a picture.
        ConfigError: `out` is no ``.toml`` file; or a file exists, or is the blank form itself.
        OutputPathError: the folder cannot be written.
        OutputError: a file cannot be written.
    """
    if out.suffix.lower() != ".toml" or out.is_dir():
        raise ConfigError(f"must be a .toml file, got {out}", field="out")
    reference = out.with_suffix(".png")
    overview = overview_path(out)
    for path in (out, reference, overview):
        if path.exists() and path.resolve() == blank.resolve():
            problem = f"writes {path.name}, too, which would replace the blank form {blank}"
            raise ConfigError(f"{problem}; choose another name", field="out")
        if path.exists() and not overwrite:
            raise ConfigError(f"{path} exists; choose another name, or --overwrite", field="out")
    atomic.check_writable(out)
    page = straighten(load_frame(blank).grey.halved(0))
    page = reduce_to(page, READ_SIDE)
    paper, smooth = _find_paper(page)
    white = np.asarray(cv2.divide(page, smooth, scale=255 * WHITE_GAIN), np.uint8)
    fields = propose_fields(white, page)
    doubts = tuple(check_blank(white, fields))
    shaded = _keep_shades(page, paper, smooth)
    page = white if shaded is None else shaded
    if len(fields) > MAX_FIELDS:
        raise FormError(
            f"has {len(fields)} boxes, at most {MAX_FIELDS} can be fields", subject=str(blank)
        )
    if not Registrar(page).is_usable:
        raise FormError(
            "has too little print to be found in a picture", subject=str(blank),
            hint="; ".join(f"it {doubt}" for doubt in doubts) or None,
        )  # fmt: skip
    atomic.write_bytes(reference, encode_png(page))
    size = (page.shape[1], page.shape[0])
    text = template_text(fields, reference.name, file_sha256(reference), size)
    atomic.write_text(out, text)
    atomic.write_bytes(overview, encode_png(draw_fields(page, fields)))
    return NewForm(out, reference, overview, len(fields), doubts)


def check_template(
    template: Path, picture: Path | None, out: Path | None, checksums: Sequence[str]
) -> tuple[Path, list[str]]:
    """Draw a template's fields, or what is read of a filled-in form.

    Args:
        template: TOML file.
        picture: a filled-in form; None to draw the template itself.
        out: picture to write; None for one in the current folder.
        checksums: functions of the user's own, ``field=module:function`` each.

    Returns:
        The picture's path, and lines that say what was found.

    Raises:
        TemplateError: the template has something that is not allowed.
        FormError: the picture does not show the form.
        ConfigError: `out` is not a ``.png`` file, or is the template, its reference or the picture.
    """
    if out is not None and out.suffix.lower() != ".png":
        raise ConfigError(f"must be a .png file, got {out}", field="out")
    functions = load_checksums(checksums)
    if picture is None:
        (loaded,) = load_templates([template], functions)
        path = out or Path(f"{template.stem}-check.png")
        refuse_to_replace(path, [template, loaded.reference_path])
        if not Registrar(loaded.reference).is_usable:
            raise TemplateError("its reference has too little print", subject=str(template))
        atomic.write_bytes(path, encode_png(draw_fields(loaded.reference, loaded.fields)))
        rules = f"{len(loaded.rules)} rule{'s' * (len(loaded.rules) != 1)}"
        lines = [f"{loaded.name}: {len(loaded.fields)} fields, {rules}"]
        return path, lines
    form = Form(template, checksums=functions)
    frame = load_frame(picture)
    reading, shown, registration = form.read_located(frame)
    page = "" if frame.page is None else f"-{frame.page}"
    path = out or Path(f"{picture.stem}{page}-check.png")
    refuse_to_replace(path, [template, shown.reference_path, picture])
    drawn = draw_reading(frame.grey, reading, shown, registration.placement)
    atomic.write_bytes(path, encode_png(drawn))
    lines = [
        f"{reading.template}: found by its {reading.method}, score {reading.score:.2f}, residual "
        f"{reading.residual:.2f} pixels of the reference"
    ]
    for one in reading.fields:
        reasons = f" [{'; '.join(one.reasons)}]" if one.reasons else ""
        confidence = format_confidence(one.confidence)
        lines.append(f"{one.name}: {one.text or '-'} {one.status} ({confidence}){reasons}")
    return path, lines


def _find_paper(page: U8) -> tuple[U8, U8]:
    """The brightness of the paper at each pixel, uint8 ``[H, W]``: as it is, and smoothed."""
    side = max(page.shape) // 40 | 1  # print is thinner, but for shades
    paper = cv2.morphologyEx(page, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    return np.asarray(paper, np.uint8), np.asarray(cv2.blur(paper, (side, side)), np.uint8)


def _keep_shades(page: U8, paper: U8, smooth: U8) -> U8 | None:
    """A page without the grain of its paper, with its printed shades; None in uneven light.

    Args:
        page: uint8 ``[H, W]``.
        paper: as `_find_paper` returns it.
        smooth: as `_find_paper` returns it.
    """
    white = float(np.percentile(smooth, WHITE_PERCENT))
    most = np.sort(np.bincount(smooth.ravel(), minlength=256))[-EVEN_LEVELS:].sum()
    if white < SCAN_WHITE or most < EVEN_SHARE * smooth.size:
        return None
    plain = np.where(page * WHITE_GAIN >= paper, paper, page)
    return np.asarray(cv2.convertScaleAbs(plain, alpha=255 / white), np.uint8)
