"""Events: when a number in front of a camera appears, changes and disappears."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from digitkit.errors import at_least
from digitkit.reading.results import Event, EventKind, Number, Reading

DOUBT_FACTOR = 3
"""How many times longer a number must be stable while it is not complete."""


@dataclass
class _Known:
    """A number that is followed.

    Attributes:
        number: as last seen.
        tracks: of its digits.
        stable: frames in a row with this text.
        missing: frames in a row without it.
        reported: its text when it was last reported; None if it never was.
        last: as it was when it was last reported.
    """

    number: Number
    tracks: frozenset[int]
    stable: int = 1
    missing: int = 0
    reported: str | None = None
    last: Number | None = None


class EventFinder:
    """Finds the events of a stream's numbers.

    A number is the same as in the frame before if it has digits of the same tracks, whatever they
    are read as; or if it has the same text at the same place as one whose tracks are lost, as by a
    bad frame. It is reported once its text is stable for some frames, and as gone once it was
    missing for as many.

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
        at_least("hold", hold, 1)
        self.hold = hold
        self._known: list[_Known] = []

    def update(self, reading: Reading, tracks: Sequence[int]) -> tuple[Event, ...]:
        """The events of a frame.

        Args:
            reading: of the frame, followed by a `digitkit.reading.tracking.Tracker`.
            tracks: the name of the track of each of its digits.

        Returns:
            What disappeared first, then the others in reading order.
        """
        names = {id(digit): track for digit, track in zip(reading.digits, tracks, strict=True)}
        before, self._known = self._known, []
        alive = frozenset(tracks)
        for number in reading.numbers:
            own = frozenset(names[id(digit)] for digit in number.digits)
            same = max(before, key=lambda known: len(known.tracks & own), default=None)
            if same is None or not same.tracks & own:
                same = _find_lost(before, number, alive)
            if same is None:
                self._known.append(_Known(number, own))
                continue
            before.remove(same)
            same.stable = same.stable + 1 if number.text == same.number.text else 1
            same.number, same.tracks, same.missing = number, own, 0
            self._known.append(same)
        used = {track for known in self._known for track in known.tracks}
        used |= {names[id(digit)] for number in reading.dropped for digit in number.digits}
        events = self._miss(before, alive - used)
        return (*events, *self._settle())

    def _miss(self, absent: Sequence[_Known], tracks: Set[int]) -> list[Event]:
        """The numbers that are gone for long enough; the others are kept.

        One whose digits are all in doubt, as while they change, is not gone; one whose digits now
        belong to another number is, also if that was dropped.

        Args:
            absent: numbers that are not in the frame.
            tracks: those that are in no number.
        """
        events = []
        for known in absent:
            known.missing += not known.tracks & tracks
            known.stable = 0
            if known.missing < self.hold:
                self._known.append(known)
            elif known.last is not None:
                events.append(Event("disappeared", known.last))
        return events

    def _settle(self) -> list[Event]:
        """The numbers that are stable for long enough, and new or different."""
        events = []
        for known in self._known:
            needed = self.hold * (1 if known.number.complete else DOUBT_FACTOR)
            if known.stable < needed or known.number.text == known.reported:
                continue
            kind: EventKind = "appeared" if known.reported is None else "changed"
            events.append(Event(kind, known.number, known.reported))
            known.reported, known.last = known.number.text, known.number
        return events


def _find_lost(absent: Sequence[_Known], number: Number, tracks: Set[int]) -> _Known | None:
    """The number with the same text at the same place that has none of the frame's tracks."""
    for known in absent:
        if known.number.text == number.text and not known.tracks & tracks:
            (x0, y0, w0, h0), (x1, y1, w1, h1) = known.number.box, number.box
            height = max(h0, h1)
            if abs(x0 - x1 + (w0 - w1) / 2) < height and abs(y0 - y1 + (h0 - h1) / 2) < height:
                return known
    return None
