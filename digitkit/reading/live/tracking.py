"""Digits tracked over frames, and their confidences averaged."""

from __future__ import annotations

import itertools
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import numpy as np

from digitkit.arrays import F64, Box
from digitkit.reading.detection.order import order_digits
from digitkit.reading.networks.combining import to_prediction
from digitkit.reading.numbers.finding import find_numbers
from digitkit.reading.results import Digit, Mark, Reading

SMOOTHING = 0.5
"""Weight of a track's earlier frames against the newest, 0–1."""

MAX_SHIFTS = 200
"""Movements of a page between two frames that are tried."""

MAX_COMPARED = 4_000_000
"""Maximum number of pairs of digits that are compared to find how a page moved; so on pages of
hundreds, fewer movements are tried."""

MISMATCH_WEIGHT = 0.7
"""Weight of two digits at the same place that differ, against two that are the same, 0–1, when it
is decided how a page moved: the rows of a list look alike."""

MAX_MISSING = 2
"""A track ends after its digit was missing, blurred or hidden, for more frames than this."""

MIN_IS_DIGIT = 1e-6
"""Least probability that something is a digit: with 0 its other probabilities would be lost."""


@dataclass
class _Track:
    """One digit over several frames.

    Attributes:
        digit: as last seen.
        probabilities: smoothed, of the digits 0 to 9 and of none, float64 ``[11]``.
        name: tells the tracks of a tracker apart.
        missing: frames since it was last seen.
        other: the digit that the last frame accepted, if the average was another one.
    """

    digit: Digit
    probabilities: F64
    name: int
    missing: int = 0
    other: int | None = None

    def see(self, digit: Digit, probabilities: F64) -> None:
        """Update the track with its digit of a frame.

        The average restarts when two frames in a row accept the same other digit, and when the
        digit is no longer cut.
        """
        best = int(self.probabilities[:10].argmax())
        accepted = digit.digit if digit.accepted else None
        is_other = accepted is not None and accepted == self.other
        if is_other or (self.digit.cut and not digit.cut):
            self.probabilities, self.other = probabilities, None
        else:
            self.probabilities = SMOOTHING * self.probabilities + (1 - SMOOTHING) * probabilities
            self.other = None if accepted == best else accepted
        self.digit, self.missing = digit, 0


class Tracker:
    """Tracks digits from frame to frame.

    Each digit's probabilities are averaged over the frames that it was seen in, so a single bad
    frame neither adds nor removes a digit.

    Attributes:
        min_confidence: threshold for a digit's averaged confidence, 0–1.
        tracks: the name of the track of each digit of the last followed reading, in its order.
    """

    def __init__(self, min_confidence: float) -> None:
        """Start without tracks.

        Args:
            min_confidence: threshold for a digit's averaged confidence, 0–1.
        """
        self.min_confidence = min_confidence
        self.tracks: tuple[int, ...] = ()
        self._tracks: list[_Track] = []
        self._names = itertools.count()

    def follow(self, reading: Reading) -> Reading:
        """The frame's reading with each digit's confidence averaged over its track.

        A digit that is missing for up to `MAX_MISSING` frames stays where it was, unless new ones
        appear: then the scene has changed.
        """
        pairs = _match_digits([track.digit for track in self._tracks], reading.digits)
        current = []
        for i, digit in enumerate(reading.digits):
            is_digit = max(digit.is_digit, MIN_IS_DIGIT)
            probabilities = np.append(
                digit.probabilities.astype(np.float64) * is_digit, 1 - is_digit
            )
            if i in pairs:
                track = self._tracks[pairs[i]]
                track.see(digit, probabilities)
            else:
                track = _Track(digit, probabilities, next(self._names))
            current.append(track)
        waiting = []
        if len(pairs) == len(current):  # no new digit
            matched = set(pairs.values())
            waiting = [track for k, track in enumerate(self._tracks) if k not in matched]
        for track in waiting:
            track.missing += 1
        self._tracks = current + [track for track in waiting if track.missing <= MAX_MISSING]
        others = {mark.box for mark in reading.marks if mark.kind in ("sign", "line")}
        digits = [self._to_digit(track, others) for track in self._tracks]
        order = order_digits(digits)
        self.tracks = tuple(self._tracks[i].name for i, _ in order)
        ordered = tuple(replace(digits[i], row=row) for i, row in order)
        unseen = [track.digit for track in self._tracks if track.missing]
        seen_marks = [mark for mark in reading.marks if not _is_part(mark, ordered, unseen)]
        marks = _move_to_rows(seen_marks, ordered)
        numbers = find_numbers(ordered, marks, gap=reading.gap)
        return replace(reading, digits=ordered, numbers=numbers, marks=marks)

    def _to_digit(self, track: _Track, others: Container[Box]) -> Digit:
        """The digit of a track; one that the reader took for a sign or a line stays one."""
        last, mean = track.digit, to_prediction(track.probabilities)
        is_overruled = not last.accepted and last.confidence >= self.min_confidence
        is_other = is_overruled and last.box in others
        return replace(
            last,
            digit=mean.digit,
            confidence=mean.confidence,
            accepted=mean.confidence >= self.min_confidence and not last.cut and not is_other,
            probabilities=mean.probabilities,
            is_digit=mean.is_digit,
        )


def _is_part(mark: Mark, digits: Sequence[Digit], unseen: Sequence[Digit]) -> bool:
    """Whether a mark is a digit's ink: of one that is accepted by its earlier frames, or that was
    not seen in this one.
    """
    if mark.kind == "line":
        return False
    x, y = mark.box[0] + mark.box[2] / 2, mark.box[1] + mark.box[3] / 2
    return any(digit.accepted and digit.box == mark.box for digit in digits) or any(
        left <= x <= left + width and top <= y <= top + height
        for left, top, width, height in (digit.box for digit in unseen)
    )


def _move_to_rows(marks: Sequence[Mark], digits: Sequence[Digit]) -> tuple[Mark, ...]:
    """Marks in the rows of their nearest digits: the tracked digits have rows of their own."""
    if not marks or not digits:
        return ()
    there, here = (
        np.array([(x + w / 2, y + h / 2) for x, y, w, h in boxes])
        for boxes in ([each.row_box for each in items] for items in (digits, marks))
    )
    across, down = np.abs(here[:, None] - there[None]).transpose(2, 0, 1)
    nearest = (across + 3 * down).argmin(1).tolist()
    return tuple(replace(mark, row=digits[i].row) for mark, i in zip(marks, nearest, strict=True))


def _match_digits(before: Sequence[Digit], now: Sequence[Digit]) -> dict[int, int]:
    """Match this frame's digits with the previous frame's: index now to index before.

    Moving the camera moves all of them alike. So the shift that aligns most of them is determined
    first, starting from 0, and each is then matched with its nearest.
    """
    if not before or not now:
        return {}
    old, new = (
        np.array(
            [[x + w / 2, y + h / 2, max(w, h / 2), h] for x, y, w, h in (d.box for d in frame)]
        )
        for frame in (before, now)
    )
    dx, dy = new[:, None, 0] - old[None, :, 0], new[:, None, 1] - old[None, :, 1]
    width = np.maximum(new[:, None, 2], old[None, :, 2])
    height = np.maximum(new[:, None, 3], old[None, :, 3])
    alike = np.array([[a.digit == b.digit for b in before] for a in now])
    likeness = np.where(alike, 1.0, MISMATCH_WEIGHT)
    near = (np.maximum(np.abs(dx), np.abs(dy)) < 2 * height) & alike
    best, shift = -1.0, (0.0, 0.0)
    tried = max(1, min(MAX_SHIFTS, MAX_COMPARED // dx.size))
    for sx, sy in [(0.0, 0.0), *zip(dx[near][:tried], dy[near][:tried], strict=True)]:
        distance = np.hypot((dx - sx) / width, (dy - sy) / height)
        # The nearer the better, so that a digit's own place wins over half a digit's shift.
        score = float((np.clip(1 - 2 * distance, 0, 1) * likeness).max(1).sum())
        score -= 0.1 * float(np.hypot(sx, sy) > 0)
        if score > best:
            best, shift = score, (float(sx), float(sy))
    distance = np.hypot((dx - shift[0]) / width, (dy - shift[1]) / height)
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for place in np.argsort(distance, axis=None):
        i, k = divmod(int(place), len(before))
        if distance[i, k] > 0.6:
            break
        if i not in pairs and k not in taken:
            pairs[i] = k
            taken.add(k)
    return pairs
