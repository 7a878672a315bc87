"""Events: when a number in front of a camera appears, changes and disappears."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from digitkit.arrays import Box
from digitkit.errors import at_least
from digitkit.reading.results import Event, EventKind, Number, Reading

DOUBT_FACTOR = 3
"""How many times longer a number must be stable while it is not complete, and must be missing while
only its digits are in doubt."""

MAX_SPEED = 0.005
"""A number that is less than a digit's height from the border and moves towards it or away from it,
faster than this, may be part of one that enters or leaves; digit heights a frame."""

SPEED_SMOOTHING = 0.7
"""Weight of the earlier frames in a number's speed, 0–1."""

MAX_DOUBTFUL = 6
"""A number with more doubtful digits says nothing about one that was seen before."""

_Point = tuple[float, float]


@dataclass
class _Known:
    """A number that is followed.

    Attributes:
        number: as last seen, but for doubtful frames.
        places: the tracks of its digits, each with its centre: x, y.
        stable: frames with this text since it was another, less those without it.
        doubts: frames in a row in which it was the same but for doubtful digits.
        missing: frames in a row without it, of which those with only its digits, in doubt, count as
            1, and others as `DOUBT_FACTOR`.
        speed: to the right and down, pixels a frame, smoothed.
        most: the most digits that it had since it came near the border.
        is_part: whether digits of it may be outside the frame.
        reported: its text when it was last reported; None if it never was.
        last: as it was last seen with that text.
    """

    number: Number
    places: Mapping[int, _Point]
    stable: int = 1
    doubts: int = 0
    missing: int = 0
    speed: _Point = (0.0, 0.0)
    most: int = 0
    is_part: bool = False
    reported: str | None = None
    last: Number | None = None

    def see(self, number: Number, places: Mapping[int, _Point], max_doubts: int) -> None:
        """Update it with a frame; up to `max_doubts` doubtful frames in a row are ignored."""
        if common := self.places.keys() & places.keys():
            steps = (
                sum(places[track][axis] - self.places[track][axis] for track in common)
                for axis in (0, 1)
            )
            dx, dy = (step / len(common) * (1 - SPEED_SMOOTHING) for step in steps)
            self.speed = SPEED_SMOOTHING * self.speed[0] + dx, SPEED_SMOOTHING * self.speed[1] + dy
        self.places, self.missing = places, 0
        if number.text == self.number.text:
            self.stable, self.doubts = self.stable + 1, 0
        elif self.doubts < max_doubts and _may_be(number, self.number):
            self.doubts += 1
            return
        else:
            self.stable, self.doubts = 1, 0
        self.number = number
        if number.text == self.reported:
            self.last = number

    def place_within(self, size: tuple[int, int]) -> None:
        """Decide whether digits of it may be outside a frame of this width and height.

        They may be while it enters, and while it leaves once it has lost some.
        """
        x, y, w, h = self.number.box
        (right, down), height = self.speed, max(digit.box[3] for digit in self.number.digits)
        borders = ((x, -right), (size[0] - x - w, right), (y, -down), (size[1] - y - h, down))
        outwards = [speed / height for margin, speed in borders if margin < height]
        count = len(self.places)
        self.most = max(self.most, count) if outwards else count
        is_whole = count == self.most and not any(digit.cut for digit in self.number.digits)
        self.is_part = any(
            speed < -MAX_SPEED or (speed > MAX_SPEED and not is_whole) for speed in outwards
        )


class EventFinder:
    """Finds the events of a stream's numbers.

    A number is the same as in the frame before if it has digits of the same tracks, whatever they
    are read as; or if it has the same text at the same place as one whose tracks are lost, as by a
    bad frame. It is reported once its text is stable for some frames, and as gone once it was
    missing for as many; `DOUBT_FACTOR` times as many while only its digits are there, in doubt.
    While it enters or leaves the frame, it is not reported.

    Attributes:
        hold: that number of frames.
    """

    def __init__(self, hold: int) -> None:
        """Start without numbers.

        Args:
            hold: frames for which a number must be stable, at least 1.

        Raises:
            ConfigError: `hold` is less than 1.
        """
        at_least("hold", hold, 1, whole=True)
        self.hold = hold
        self._known: list[_Known] = []

    def update(
        self, reading: Reading, tracks: Sequence[int], size: tuple[int, int] | None = None
    ) -> tuple[Event, ...]:
        """The events of a frame.

        Args:
            reading: of the frame, followed by a `digitkit.reading.live.tracking.Tracker`.
            tracks: the name of the track of each of its digits.
            size: width and height of the upright frame, pixels; None if unknown: numbers are then
                reported also while they enter or leave.

        Returns:
            What disappeared first, then the others in reading order.
        """
        names = {id(digit): track for digit, track in zip(reading.digits, tracks, strict=True)}
        before, self._known = self._known, []
        alive = frozenset(tracks)
        for number in reading.numbers:
            own = {names[id(digit)]: _centre(digit.box) for digit in number.digits}
            same = max(before, key=lambda known: len(known.places.keys() & own), default=None)
            if same is None or not same.places.keys() & own:
                same = _find_lost(before, number, alive)
            if same is None:
                self._known.append(_Known(number, own))
                continue
            before.remove(same)
            same.see(number, own, self.hold)
            self._known.append(same)
        used = {track for known in self._known for track in known.places}
        used |= {names[id(digit)] for number in reading.dropped for digit in number.digits}
        events = self._miss(before, alive - used)
        return (*events, *self._settle(size))

    def _miss(self, absent: Sequence[_Known], tracks: Set[int]) -> list[Event]:
        """The numbers that are gone for long enough; the others are kept.

        One whose digits are all in doubt, as while they change, is gone after `DOUBT_FACTOR` times
        as many frames; one whose digits now belong to another number is, also if that was dropped.

        Args:
            absent: numbers that are not in the frame.
            tracks: those that are in no number.
        """
        events = []
        for known in absent:
            known.missing += 1 if known.places.keys() & tracks else DOUBT_FACTOR
            known.stable = max(0, known.stable - 1)
            if known.missing < DOUBT_FACTOR * self.hold:
                self._known.append(known)
            elif known.last is not None:
                events.append(Event("disappeared", known.last))
        return events

    def _settle(self, size: tuple[int, int] | None) -> list[Event]:
        """The numbers that are stable for long enough, and new or different."""
        events = []
        for known in self._known:
            if size is not None:
                known.place_within(size)
            needed = self.hold * (1 if known.number.complete else DOUBT_FACTOR)
            if known.is_part or known.stable < needed or known.number.text == known.reported:
                continue
            kind: EventKind = "appeared" if known.reported is None else "changed"
            events.append(Event(kind, known.number, known.reported))
            known.reported, known.last = known.number.text, known.number
        return events


def _find_lost(absent: Sequence[_Known], number: Number, tracks: Set[int]) -> _Known | None:
    """The number with the same text at the same place that has none of the frame's tracks."""
    for known in absent:
        if known.number.text == number.text and not known.places.keys() & tracks:
            (x0, y0), (x1, y1) = _centre(known.number.box), _centre(number.box)
            height = max(known.number.box[3], number.box[3])
            if abs(x0 - x1) < height and abs(y0 - y1) < height:
                return known
    return None


def _centre(box: Box) -> _Point:
    x, y, w, h = box
    return x + w / 2, y + h / 2


def _may_be(doubtful: Number, known: Number) -> bool:
    """Whether a number that is not complete may be one that is: each ``?`` is a digit, or none."""
    if doubtful.complete or not known.complete or doubtful.text.count("?") > MAX_DOUBTFUL:
        return False
    pattern = "".join(".?" if each == "?" else re.escape(each) for each in doubtful.text)
    return re.fullmatch(pattern, known.text) is not None
