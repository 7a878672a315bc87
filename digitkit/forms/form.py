"""Forms in pictures: which form it is, where it lies, and what its fields say."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import mean
from typing import TYPE_CHECKING, overload

import numpy as np

from digitkit.arrays import Box
from digitkit.choices import PrecisionChoice
from digitkit.errors import ConfigError, FormError, TemplateError
from digitkit.forms.fields.combs import Comb, cut_cells
from digitkit.forms.fields.corrections import File, load_field_texts
from digitkit.forms.fields.decide import Decision, decide
from digitkit.forms.fields.field_ink import FieldCutter, FieldInk, ink_threshold
from digitkit.forms.fields.field_line import FIELD_WEIGHTS
from digitkit.forms.fields.hypotheses import DigitSlot, Hypotheses, SegmentReading
from digitkit.forms.fields.ink_pieces import OVER_EDGE, is_cut_off
from digitkit.forms.fields.obstructions import find_obstruction
from digitkit.forms.fields.segmentation import Lattice, cut_lattice
from digitkit.forms.registration.geometry import Placement
from digitkit.forms.registration.matching import (
    GUESS_ROUNDS,
    ImageFeatures,
    Registrar,
    Registration,
    is_better,
)
from digitkit.forms.registration.streaks import without_streaks
from digitkit.forms.results import FieldDigit, FieldReading, FormReading
from digitkit.forms.templates.checksums import Checksum
from digitkit.forms.templates.template import FormField, Template
from digitkit.forms.templates.template_file import load_templates
from digitkit.images.cv import errors_of
from digitkit.images.grey import GreyImage
from digitkit.models.classifier import Classifier
from digitkit.reading.networks.combining import combine
from digitkit.reading.networks.line_reader import LineReader
from digitkit.sources.frames import Failure, Frame

if TYPE_CHECKING:
    from digitkit.sources.objects import Image

CROP_MARGIN = 0.25
"""Room around a field in the picture that a person checks, in its heights."""

MIN_NAMED_SCORE = 0.35
"""With less of a form's print than this share, a picture shows another one or none."""

VERSION_TOLERANCE = 0.03
"""Templates that score within this much of the best may be versions of one form; the one whose
fields are present is taken."""


@dataclass(frozen=True)
class _Known:
    """A template and what is computed from it once."""

    template: Template
    registrar: Registrar
    cutters: tuple[FieldCutter, ...]


class Form:
    """Reads forms that templates describe.

    >>> Form("form.toml").read("scan.png").values  # doctest: +SKIP
    {'customer': '4910533100', 'total': '589.50'}

    Attributes:
        templates: the forms; the one that matches best is read.
        classifier: the model.
        line_reader: what reads a field as a whole.
        corrections: what people wrote about fields, by the name of a picture and of a field.
    """

    obeys_exif = True

    def __init__(
        self,
        *templates: str | os.PathLike[str] | Template,
        model: str | os.PathLike[str] | Classifier = "digits",
        precision: PrecisionChoice = "auto",
        threads: int = 1,
        checksums: Mapping[str, Checksum] | None = None,
        corrections: File | Iterable[File] = (),
    ) -> None:
        """Load templates and a model.

        Args:
            templates: TOML files, as ``digitkit form new`` writes them; pages or versions of one
                form.
            model: a shipped name, the path of an ``.onnx`` file, or a `Classifier`.
            precision: which file of a shipped model.
            threads: threads for one call of a network.
            checksums: functions of your own, by the name of a field: called with its digits, they
                return whether they are valid.
            corrections: a file or several that were downloaded from reports; what people wrote
                there about fields takes the place of what is read.

        Raises:
            InputNotFoundError: a template, the model or a file of corrections does not exist.
            DatasetError: a file of corrections is none.
            TemplateError: a template has something that is not allowed, or too little print.
            ModelError: the model cannot be loaded, or is not a digit model.
            ConfigError: no template is given, or what is none, `model`, `precision` or `threads` is
                not valid, or `checksums` names a field that none has, or something else than
                functions.
        """
        if not templates:
            raise ConfigError("requires a template", field="form")
        self.templates = tuple(load_templates(templates, checksums or {}))
        self._known = [_prepare(template) for template in self.templates]
        if isinstance(model, Classifier):
            self.classifier = model
        else:
            self.classifier = Classifier(model, precision=precision, threads=threads)
        self.line_reader = LineReader(threads=threads)
        self.corrections = load_field_texts(corrections)

    @overload
    def read(self, images: Image) -> FormReading: ...  # type: ignore[overload-overlap]  # str
    @overload
    def read(self, images: Iterable[Image]) -> list[FormReading]: ...

    def read(self, images: Image | Iterable[Image]) -> FormReading | list[FormReading]:
        """Read one picture of a form, or each of several.

        Args:
            images: as `digitkit.Reader.read` takes them.

        Returns:
            A reading for one picture; a list in the same order for several.

        Raises:
            FormError: a picture shows none of the forms. `stream` continues instead.
            DigitkitError: as `digitkit.Reader.read` raises.
        """
        from digitkit.sources.objects import read_objects

        return read_objects(images, self.read_frame, exif=self.obeys_exif)

    def stream(self, images: Image | Iterable[Image]) -> Iterator[FormReading | Failure]:
        """Read pictures, and the pages of files, one by one; what cannot be read is a `Failure`."""
        from digitkit.sources.objects import read_each_page, split_images

        for image in split_images(images):
            yield from read_each_page(image, self.read_frame, exif=self.obeys_exif)

    def read_frame(self, frame: Frame) -> FormReading:
        """Read a picture that a source has decoded.

        Raises:
            FormError: it shows none of the forms, or a pattern takes too long to compare.
            ImageError: the rest of a large JPEG image does not decode, or OpenCV fails.
            ModelRunError: ONNX Runtime fails.
        """
        return self.read_located(frame)[0]

    def read_located(self, frame: Frame) -> tuple[FormReading, Template, Registration]:
        """Read a picture as `read_frame` does; also its form's template, and where it lies."""
        with errors_of(frame.source):
            return self._read_located(frame)

    def _read_located(self, frame: Frame) -> tuple[FormReading, Template, Registration]:
        begun = time.perf_counter_ns()
        image = frame.grey
        known, registration = self._find(frame.name, image)
        located = time.perf_counter_ns()
        clean = without_streaks(image)
        found = self._read_fields(known, clean, registration.placement)
        try:
            given = self.corrections.get(frame.name, {})
            own = {name: text for name, text in given.items() if name in found}
            decisions = decide(known.template, found, own)
        except ConfigError as error:
            raise FormError(error.problem, subject=frame.name, hint=error.hint) from error
        fields = tuple(
            _to_reading(one, decisions[one.name], found[one.name], registration.placement, image)
            for one in known.template.fields
        )
        finished = time.perf_counter_ns()
        ms = {
            "decode": frame.decode_ms,
            "register": (located - begun) / 1e6,
            "read": (finished - located) / 1e6,
        }
        reading = FormReading(
            frame.source, known.template.name, fields, registration.residual, registration.score,
            registration.method, ms, frame.page,
        )  # fmt: skip
        return reading, known.template, registration

    def _find(self, name: str, image: GreyImage) -> tuple[_Known, Registration]:
        picture = ImageFeatures(image)
        located: dict[int, Registration] = {}  # the best of each template, by its place
        best: int | None = None
        for kinds in GUESS_ROUNDS:
            for place, known in enumerate(self._known):
                found = known.registrar.register(picture, kinds)
                if found is not None and is_better(found, located.get(place)):
                    located[place] = found
            best = max(located, key=lambda place: located[place].rank, default=None)
            if best is not None and located[best].is_in_place:
                break
        if best is None or located[best].score < MIN_NAMED_SCORE:
            names = ", ".join(template.name for template in self.templates)
            raise FormError(
                f"no form was found in it: it matches none of the templates ({names})",
                subject=name,
                hint="the picture must show most of the form",
            )
        if fault := located[best].fault:
            raise FormError(
                f"the form {self._known[best].template.name!r} was not found well enough: {fault}",
                subject=name,
                hint="take the picture again: all of the form, flat and sharp",
            )
        least = located[best].score - VERSION_TOLERANCE
        versions = [
            (self._known[place], one)
            for place, one in located.items()
            if not one.fault and one.score >= least
        ]
        if len(versions) == 1:
            return versions[0]
        return max(versions, key=lambda pair: (*_fields_seen(image, *pair), *pair[1].rank))

    def _read_fields(
        self, known: _Known, image: GreyImage, placement: Placement
    ) -> dict[str, Hypotheses]:
        inks = [cutter.cut(image, placement) for cutter in known.cutters]
        threshold = ink_threshold([ink for ink in inks if ink.is_inside])
        # Of a black-and-white scan of pale print none is there.
        has_print = any(ink.is_known for ink in inks)
        fields = known.template.fields
        for i, (one, cutter) in enumerate(zip(fields, known.cutters, strict=True)):
            if is_cut_off(inks[i], one.box, threshold):
                # The print farther away says nothing of the field.
                taller = cutter.taller.cut(image, placement)
                inks[i] = replace(taller, print_seen=inks[i].print_seen)
        pairs = list(zip(fields, inks, strict=True))
        cut: list[Comb | Lattice] = [
            (cut_cells if one.cells else cut_lattice)(one, ink, threshold, self.line_reader)
            for one, ink in pairs
        ]
        # One batch for all fields.
        images = [each.image for part in cut for each in part.segments if each.image is not None]
        predictions = iter(self.classifier.classify(images))
        found: dict[str, Hypotheses] = {}
        for (one, ink), part in zip(pairs, cut, strict=True):
            written = [each.box for each in part.segments if each.image is not None]
            own = list(itertools.islice(predictions, len(written)))
            readings = []
            for prediction, place in zip(own, written, strict=True):
                in_line = part.line.look_up(place)
                both = (
                    prediction if in_line is None else combine(prediction, in_line, FIELD_WEIGHTS)
                )
                readings.append(SegmentReading(both, prediction, in_line))
            hypotheses = part.hypotheses(readings)
            if not ink.is_inside:
                hypotheses = Hypotheses(doubts=("is not completely in the picture",))
            elif doubt := _find_doubt(ink, one.box, threshold, has_print=has_print):
                doubts = dict.fromkeys((*hypotheses.doubts, doubt))
                hypotheses = replace(hypotheses, doubts=tuple(doubts))
            found[one.name] = hypotheses
        return found


def _fields_seen(
    image: GreyImage, known: _Known, registration: Registration
) -> tuple[float, float]:
    """Of how many fields the print is there, and how much of it on average; both 0–1."""
    inks = [cutter.cut(image, registration.placement) for cutter in known.cutters]
    return mean(ink.is_known for ink in inks), mean(ink.print_seen for ink in inks)


def _find_doubt(ink: FieldInk, box: Box, threshold: float, *, has_print: bool) -> str | None:
    """Why a field is doubtful whatever is read in it; None if nothing is wrong with it."""
    if has_print and not ink.is_known:
        return "the print around it is not the template's"
    if is_cut_off(ink, box, threshold):
        return OVER_EDGE
    return find_obstruction(ink, box, threshold)


def _prepare(template: Template) -> _Known:
    boxes = [one.box for one in template.fields]
    registrar = Registrar(template.reference, boxes)
    if not registrar.is_usable:
        raise TemplateError(
            "its reference has too little print to be found in a picture", subject=template.name
        )
    cutters = tuple(
        FieldCutter(one, template.reference, [box for box in boxes if box != one.box])
        for one in template.fields
    )
    return _Known(template, registrar, cutters)


def _to_reading(
    field: FormField,
    decision: Decision,
    hypotheses: Hypotheses,
    placement: Placement,
    image: GreyImage,
) -> FieldReading:
    segmentations = hypotheses.segmentations[decision.segmentation : decision.segmentation + 1]
    written = [
        slot for segmentation in segmentations for slot in segmentation.slots if slot.options
    ]
    is_doubtful = decision.status in ("doubtful", "invalid")
    digits = tuple(
        FieldDigit(
            digit,
            _probability(slot, digit),
            picture_box(placement, slot.box, image.shape),
            slot.image if is_doubtful else None,
        )
        for slot, digit in zip(written, decision.choice, strict=False)
    )
    crop = None
    if is_doubtful:
        x, y, w, h = field.box
        room = CROP_MARGIN * h
        ratio = min(2.0, max(0.5, placement.scale()))
        crop = placement.sample(image, (x - room, y - room, w + 2 * room, h + 2 * room), ratio)
    box = picture_box(placement, field.box, image.shape)
    return FieldReading(
        field.name, decision.text, decision.status, decision.confidence, box, decision.reasons,
        digits, crop,
    )  # fmt: skip


def _probability(slot: DigitSlot, digit: int) -> float:
    return next((option.probability for option in slot.options if option.digit == digit), 0.0)


def picture_box(
    placement: Placement, box: tuple[float, float, float, float], shape: tuple[int, int]
) -> Box:
    """The box in a picture of this shape around a box of the reference."""
    x, y, w, h = box
    corners = np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], np.float64)
    at = placement.to_picture(corners)
    low = np.clip(np.floor(at.min(0)), 0, (shape[1] - 1, shape[0] - 1)).astype(int)
    high = np.clip(np.ceil(at.max(0)), low + 1, shape[::-1]).astype(int)
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])
