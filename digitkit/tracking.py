"""Stable readings: digits followed over the frames of a camera, reported once they have held."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from . import pages
from .reader import Digit, Reading

MEMORY = 0.7
"""How much of a track's opinion stays with each further frame, 0–1."""

PATIENCE = 2
"""Frames that a digit may be missing for, blurred or hidden, before its track ends."""


@dataclass
class _Track:
    """One digit over several frames."""

    digit: Digit  # as last seen
    shares: npt.NDArray[np.float64]  # [11]: the mean probability of each digit, and of none
    missing: int = 0


class Steady:
    """Follows digits from frame to frame, and tells when a reading has held.

    Each digit's probabilities are averaged over the frames that it was seen in, so a single bad
    frame neither adds nor takes away a digit.
    """

    def __init__(self, hold: int, min_confidence: float) -> None:
        """Begin.

        Args:
            hold: frames in a row that a text must be read in before it is reported, from 1.
            min_confidence: threshold for a digit's averaged confidence, 0–1.

        Raises:
            ValueError: `hold` is under 1.
        """
        if hold < 1:
            raise ValueError(f"hold is {hold}; needed is 1 or more frames")
        self.hold = hold
        self.min_confidence = min_confidence
        self._tracks: list[_Track] = []
        self._text = ""
        self._held = 0
        self._reported = ""

    def follow(self, reading: Reading) -> Reading:
        """The same frame's reading with each digit's confidence averaged over its track."""
        free = list(self._tracks)
        seen = []
        for digit in reading.digits:
            shares = np.append(
                digit.probabilities.astype(np.float64) * digit.is_digit, 1 - digit.is_digit
            )
            track = min(free, key=lambda t: _apart(t.digit, digit), default=None)
            if track is None or _apart(track.digit, digit) > 1:
                track = _Track(digit, shares)
            else:
                free.remove(track)
                track.shares = MEMORY * track.shares + (1 - MEMORY) * shares
                track.digit, track.missing = digit, 0
            seen.append(track)
        for track in free:
            track.missing += 1
        waiting = [track for track in free if track.missing <= PATIENCE]
        self._tracks = seen + waiting
        digits = [self._opinion(track) for track in self._tracks]
        order = pages.in_order([digit.box for digit in digits])
        return replace(reading, digits=tuple(replace(digits[i], row=row) for i, row in order))

    def report(self, reading: Reading) -> bool:
        """Whether a followed reading's text has now held for `hold` frames, and is news.

        The same text is news again after no digit was to be seen for `hold` frames.
        """
        text = reading.text
        self._held = self._held + 1 if text == self._text else 1
        self._text = text
        if self._held != self.hold or text == self._reported:
            return False
        self._reported = text
        return text != ""

    def _opinion(self, track: _Track) -> Digit:
        shares = track.shares
        best = int(shares[:10].argmax())
        is_digit = float(shares[:10].sum())
        confidence = float(shares[best])
        return replace(
            track.digit,
            digit=best,
            confidence=confidence,
            accepted=confidence >= self.min_confidence and not track.digit.cut,
            probabilities=(shares[:10] / max(is_digit, 1e-9)).astype(np.float32),
            is_digit=is_digit,
        )


def _apart(a: Digit, b: Digit) -> float:
    """How far two boxes' middles are apart, in halves of their heights."""
    (ax, ay, aw, ah), (bx, by, bw, bh) = a.box, b.box
    dx, dy = ax + aw / 2 - bx - bw / 2, ay + ah / 2 - by - bh / 2
    return float(np.hypot(dx, dy)) / (0.5 * max(ah, bh, aw, bw))
