"""Stable readings: digits followed over the frames of a camera, reported once they have held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from digitkit.reading.order import reading_order
from digitkit.reading.results import Digit, Reading

MEMORY = 0.5
"""How much of a track's opinion stays with each further frame, 0–1."""

DOUBT = 3
"""How many times longer a text must hold while a digit beside it is in doubt."""

PATIENCE = 2
"""Frames that a digit may be missing for, blurred or hidden, before its track ends."""


@dataclass
class _Track:
    """One digit over several frames."""

    digit: Digit  # as last seen
    shares: npt.NDArray[np.float64]  # [11]: the mean probability of each digit, and of none
    missing: int = 0


class Tracker:
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
        """The same frame's reading with each digit's confidence averaged over its track.

        A digit that is missing for a frame or two stays where it was, unless others have come:
        then the picture has changed.
        """
        pairs = _match_digits([track.digit for track in self._tracks], reading.digits)
        seen = []
        for i, digit in enumerate(reading.digits):
            shares = np.append(
                digit.probabilities.astype(np.float64) * digit.is_digit, 1 - digit.is_digit
            )
            if i in pairs:
                track = self._tracks[pairs[i]]
                track.shares = MEMORY * track.shares + (1 - MEMORY) * shares
                track.digit, track.missing = digit, 0
            else:
                track = _Track(digit, shares)
            seen.append(track)
        waiting = []
        if len(pairs) == len(seen):  # nothing that was not there before
            found = set(pairs.values())
            waiting = [track for k, track in enumerate(self._tracks) if k not in found]
        for track in waiting:
            track.missing += 1
        self._tracks = seen + [track for track in waiting if track.missing <= PATIENCE]
        digits = [self._opinion(track) for track in self._tracks]
        order = reading_order([digit.box for digit in digits])
        return replace(reading, digits=tuple(replace(digits[i], row=row) for i, row in order))

    def report(self, reading: Reading) -> bool:
        """Whether a followed reading's text has now held for `hold` frames, and is news.

        Where a digit within a number is in doubt, and so missing from the text, it must hold
        `DOUBT` times as long.
        The same text is news again after no digit was to be seen for `hold` frames.
        """
        text = reading.text
        self._held = self._held + 1 if text == self._text else 1
        self._text = text
        doubtful = any(_in_doubt(digit, reading) for digit in reading.digits)
        if self._held < self.hold * (DOUBT if doubtful else 1) or text == self._reported:
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


def _in_doubt(digit: Digit, reading: Reading) -> bool:
    """Whether a digit is not accepted and stands right beside one that is."""
    if digit.accepted or digit.cut:
        return False
    x, _, w, h = digit.box
    return any(
        other.accepted
        and other.row == digit.row
        and max(other.box[0] - x - w, x - other.box[0] - other.box[2]) < 1.2 * h
        for other in reading.digits
    )


def _match_digits(before: Sequence[Digit], now: Sequence[Digit]) -> dict[int, int]:
    """Which digit of the frame before each of this frame's is: place now to place before.

    The camera moves all of them alike. So the shift that brings most of them onto one another is
    looked for first, from 0 on, and each then goes to its nearest.
    """
    if not before or not now:
        return {}
    old, new = (
        np.array([[x + w / 2, y + h / 2, max(w, h / 2), h] for x, y, w, h in (d.box for d in part)])
        for part in (before, now)
    )
    dx, dy = new[:, None, 0] - old[None, :, 0], new[:, None, 1] - old[None, :, 1]
    wide = np.maximum(new[:, None, 2], old[None, :, 2])
    tall = np.maximum(new[:, None, 3], old[None, :, 3])
    alike = np.array([[a.digit == b.digit for b in before] for a in now])
    near = (np.abs(dx) < 2 * tall) & (np.abs(dy) < tall) & alike
    best, shift = -1.0, (0.0, 0.0)
    for sx, sy in [(0.0, 0.0), *zip(dx[near][:200], dy[near][:200], strict=True)]:
        apart = np.hypot((dx - sx) / wide, (dy - sy) / tall)
        # The nearer the better, so that a digit's own place wins over half a digit's shift.
        good = float(np.clip(1 - 2 * apart.min(1), 0, 1).sum()) - 0.1 * float(np.hypot(sx, sy) > 0)
        if good > best:
            best, shift = good, (float(sx), float(sy))
    apart = np.hypot((dx - shift[0]) / wide, (dy - shift[1]) / tall)
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for place in np.argsort(apart, axis=None):
        i, k = divmod(int(place), len(before))
        if apart[i, k] > 0.6:
            break
        if i not in pairs and k not in taken:
            pairs[i] = k
            taken.add(k)
    return pairs
