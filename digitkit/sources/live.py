"""Cameras and streams: always the newest frame, and reconnecting when the source goes away."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from digitkit.arrays import U8
from digitkit.errors import SourceError
from digitkit.images.convert import from_array
from digitkit.sources import picamera
from digitkit.sources.capture import Capture, Opener, camera_name, opener_of
from digitkit.sources.frames import Failure, Frame, to_failure

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
"""The pause between two attempts to reconnect doubles from the one to the other, seconds."""

CLOSE_SECONDS = 1.0
"""How long closing waits for a source that is stuck in a read."""


def backoff_delays() -> Iterator[float]:
    """The pauses between attempts to reconnect, seconds: doubling, up to `LONGEST_PAUSE`."""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE)


class Live:
    """The frames of a camera or a stream, each the newest at the moment it is asked for.

    >>> with Live("rtsp://10.0.0.7/live", fps=2) as live:  # doctest: +SKIP
    ...     newest = next(live)

    A thread grabs frames as they come and keeps the last one, so a slow consumer never falls
    behind. A source that goes away (no frame, no answer for `READ_SECONDS`, a process that ended)
    is opened again; when that has given no frame for `retry` seconds, one last `Failure` comes.
    Iterating also ends after `max_frames` or `duration`, and with `close`.

    A source that is not there at the start raises `SourceError` from the first step of the
    iteration: a wrong number, a missing permission or a camera without its cable do not heal by
    waiting. A URL is tried for `retry` seconds first, since a service may start before the network
    or the far camera is up; with ``retry=math.inf`` any camera is waited for.

    Attributes:
        name: the source, fit to be shown.
        dropped: frames that newer ones took the place of before they were asked for.
        reconnects: how often the source came back.
    """

    def __init__(
        self,
        camera: str,
        *,
        size: tuple[int, int] | None = None,
        retry: float = 30.0,
        fps: float | None = None,
        max_frames: int | None = None,
        duration: float | None = None,
        every: bool = False,
        notice: Callable[[str], None] | None = None,
        alive: Callable[[], None] | None = None,
        opener: Opener | None = None,
    ) -> None:
        """Check the name; the source is opened by the first step of the iteration.

        Args:
            camera: a number (``0``) or a device (``/dev/video0``) for V4L2 and USB cameras, a URL
                (`SCHEMES`), or ``picamera2`` for a Raspberry Pi's own camera.
            size: width and height to ask a camera for, pixels; it may choose others near them.
            retry: give up after trying to reconnect for so many seconds; 0 never reconnects,
                infinity never gives up.
            fps: hand over at most so many frames a second.
            max_frames: end after handing over so many.
            duration: end so many seconds after the first was handed over.
            every: drop nothing: the grabber waits until each frame is taken. For replays and
                measurements; a real camera falls behind.
            notice: called with one line when the source is lost and when it is back, from the
                grabbing thread.
            alive: called, from either thread, as long as all goes as it should: with each frame
                that is handed over or waits to be, and with each attempt to open the source. Not
                while the source or the consumer is stuck.
            opener: opens the source instead of OpenCV or picamera2; `camera` is then its name.

        Raises:
            SourceError: there is no such kind of camera, or a stream is asked for a size.
            ValueError: a number is out of its range.
        """
        if not retry >= 0:
            raise ValueError(f"retry is {retry}; needed are seconds, from 0")
        for what, value in (("fps", fps), ("max_frames", max_frames), ("duration", duration)):
            if value is not None and not value > 0:
                raise ValueError(f"{what} is {value}; needed is more than 0")
        if size is not None and not min(size) > 0:
            raise ValueError(f"size is {size}; needed are a width and a height, pixels")
        self.name = camera_name(camera)
        self.dropped = 0
        self.reconnects = 0
        self._camera = camera
        self._opener = opener or opener_of(camera, size)
        self._retry = retry
        self._patient = retry == math.inf or ("://" in camera and retry > 0)
        self._interval = 1 / fps if fps else 0.0
        self._left = math.inf if max_frames is None else max_frames
        self._duration = math.inf if duration is None else duration
        self._every = every
        self._notice = notice or (lambda line: None)
        self._alive = alive or (lambda: None)

        # Of the consumer:
        self._due = -math.inf
        self._until = math.inf
        self._over = False
        # Of the grabber; shared under _changed:
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._newest: Frame | None = None
        self._ending: Failure | BaseException | None = None
        self._capture: Capture | None = None
        self._grabbed = 0
        self._seen = 0.0  # when the last frame came
        self._thread = threading.Thread(target=self._grab, name=self.name, daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame | Failure:
        """The newest frame, once there is one that was not handed over yet.

        Raises:
            SourceError: the source was never there.
        """
        if self._left <= 0:
            self._over = True
        if self._over or self._stop.is_set():
            self.close()
            raise StopIteration
        if self._thread.ident is None:
            self._thread.start()
        with self._changed:
            while True:
                now = time.monotonic()
                if now >= self._until or self._stop.is_set():
                    break
                if self._newest is not None:
                    self._alive()
                    if now >= self._due:
                        return self._hand_over(now)
                elif self._ending is not None:
                    break
                # With a limit, so that Ctrl-C is noticed everywhere.
                wait = min(self._until - now, 1.0)
                if self._newest is not None:
                    wait = min(wait, self._due - now)
                self._changed.wait(wait)
            ending = self._ending if now < self._until else None
        self._over = True
        self.close()
        if isinstance(ending, BaseException):
            raise ending
        if ending is None:
            raise StopIteration
        return ending

    def _hand_over(self, now: float) -> Frame:
        frame, self._newest = self._newest, None
        assert frame is not None
        self._changed.notify_all()
        self._due = now + self._interval
        self._left -= 1
        if self._until == math.inf:
            self._until = now + self._duration
        return frame

    def stop(self) -> None:
        """End the iteration after the frame at hand; a signal's handler may call this."""
        with self._changed:  # the lock is one that its own thread may take again
            self._stop.set()
            self._changed.notify_all()

    def close(self) -> None:
        """Free the source and end the thread; again does nothing.

        A thread that is stuck inside OpenCV is not waited for longer than `CLOSE_SECONDS`; it frees
        the source and ends by itself when OpenCV gives up, for a stream after `OPEN_SECONDS` or
        `READ_SECONDS`.
        """
        with self._changed:
            self._stop.set()
            self._changed.notify_all()
            capture = self._capture
        if capture is not None:
            capture.close()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(CLOSE_SECONDS)

    # --- the grabbing thread ---

    def _grab(self) -> None:
        ending: Failure | BaseException | None = None
        try:
            ending = self._keep_grabbing()
        except BaseException as error:  # the consumer's thread raises it
            ending = error
        with self._changed:
            self._ending = ending
            self._changed.notify_all()

    def _keep_grabbing(self) -> Failure | SourceError | None:
        """Grab until stopped (None) or until the source is given up."""
        self._seen = since = time.monotonic()
        waits = backoff_delays()
        lost = ""  # why, as long as it is
        while True:
            self._alive()
            begun, before = time.monotonic(), self._grabbed
            trouble = self._session(lost)
            if self._stop.is_set():
                return None
            now = time.monotonic()
            if self._grabbed > before:
                lost, since = "", now
                if self._seen - begun > LONGEST_PAUSE:
                    waits = (
                        backoff_delays()
                    )  # else a source that flaps would be asked ever so often
            never = not self._grabbed
            left = since + self._retry - now
            if self._retry == 0 or (never and not self._patient):
                return trouble if never else to_failure(self.name, trouble)
            why = lost or to_failure(self.name, trouble).error
            if left <= 0:
                text = f"{self.name}: {why}; given up after trying for {self._retry:g} s"
                return SourceError(text) if never else to_failure(self.name, SourceError(text))
            if not lost:
                lost = why
                limit = "" if self._retry == math.inf else f" for {self._retry:g} s"
                doing = "trying again" if never else "reconnecting"
                self._notice(f"{self.name}: {why}; {doing}{limit}")
            self._stop.wait(min(next(waits), left))

    def _session(self, lost: str) -> SourceError:
        """Open the source and grab until it gives no more or `close` is called; returns why."""
        grabbed = self._grabbed
        try:
            capture = self._opener()
        except SourceError as error:
            return self._attribute(error)
        with self._changed:
            self._capture = capture
        try:
            while not self._stop.is_set():
                begun = time.perf_counter_ns()
                image = capture.read()
                if image is None:
                    break
                if lost and self._grabbed == grabbed:
                    away = time.monotonic() - self._seen
                    back = self._grabbed > 0
                    self.reconnects += back
                    self._notice(
                        f"{self.name}: is {'back' if back else 'there'} after {away:.1f} s"
                    )
                self._offer(image, (time.perf_counter_ns() - begun) / 1e6)
        except SourceError as error:
            return self._attribute(error)
        finally:
            capture.close()
        if self._grabbed > grabbed:
            return SourceError(f"gives no more frames after {self._grabbed}", subject=self.name)
        hint = (
            "check that a player such as ffplay can show it"
            if "://" in self._camera
            else "close other programs that use it; a Raspberry Pi's camera module needs --camera "
            + picamera.NAME
        )
        return SourceError("opens but gives no frames", subject=self.name, hint=hint)

    def _attribute(self, error: SourceError) -> SourceError:
        """The same error with this source as its subject, and a URL's password masked."""

        def mask(text: str) -> str:
            return text.replace(self._camera, self.name) if "://" in self._camera else text

        return type(error)(
            mask(error.problem).removeprefix(f"{self.name}: "),
            subject=self.name,
            hint=None if error.hint is None else mask(error.hint),
        )

    def _offer(self, image: U8, taken: float) -> None:
        when = datetime.now(UTC).astimezone()
        frame = Frame(self.name, from_array(image, self.name), taken, self._grabbed, when)
        with self._changed:
            while self._every and self._newest is not None and not self._stop.is_set():
                self._changed.wait(1.0)
            if self._stop.is_set():
                return
            self.dropped += self._newest is not None
            self._newest = frame
            self._grabbed += 1
            self._seen = time.monotonic()
            self._changed.notify_all()
