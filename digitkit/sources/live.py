"""Cameras and streams: always the newest frame, and reconnecting when the source is lost."""

from __future__ import annotations

import atexit
import math
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from numbers import Integral
from types import TracebackType
from typing import Self

from digitkit.arrays import U8
from digitkit.errors import ConfigError, SourceError, at_least, check_positive, one_line
from digitkit.images.convert import from_array
from digitkit.sources.camera_names import PI_CAMERA, camera_name
from digitkit.sources.capture import OPEN_SECONDS, READ_SECONDS, Capture, Opener, make_opener
from digitkit.sources.frames import Failure, Frame, to_failure
from digitkit.sources.urls import is_address

FIRST_PAUSE = 0.1
MAX_PAUSE = 5.0
"""The pause between attempts to reconnect doubles from the first to the longest, seconds."""

CLOSE_SECONDS = 0.5
"""How long `Live.close` waits for a source that is stuck in a read or in being opened."""


def backoff_delays() -> Iterator[float]:
    """The pauses between attempts to reconnect, seconds: doubling, up to `MAX_PAUSE`."""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, MAX_PAUSE)


class Live:
    """The frames of a camera or a stream, each the newest at the moment it is asked for.

    >>> with Live("rtsp://10.0.0.7/live", fps=2) as live:  # doctest: +SKIP
    ...     newest = next(live)

    A thread grabs frames as they arrive and keeps the last one, so a slow consumer never falls
    behind. A lost source (no frame, no answer for `READ_SECONDS`, a process that ended) is opened
    again; after `retry` seconds without a frame, a `Failure` ends the iteration. It also ends
    after `max_frames` or `duration`, and with `close`.

    A source that is not available at the start raises `SourceError` from the first step of the
    iteration: waiting does not heal a wrong number, a missing permission or an unplugged camera. A
    URL is tried for `retry` seconds first, since a service may start before the network or the
    remote camera is up; with ``retry=math.inf`` any camera is waited for.

    Attributes:
        name: the source, safe to display.
        dropped: frames that were replaced by newer ones before they were asked for.
        reconnects: how often a lost source came back.
    """

    def __init__(
        self,
        camera: str | int,
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
        """Check the arguments; the first step of the iteration opens the source.

        Args:
            camera: a number (``0``) or a device (``/dev/video0``) for V4L2 and USB cameras, a URL
                (`SCHEMES`), or ``picamera2`` for a Raspberry Pi's camera module.
            size: width and height to ask a camera for, pixels; it may choose others near them.
            retry: keep reconnecting for this many seconds; 0: never, infinity: forever.
            fps: hand over at most this many frames per second.
            max_frames: end after this many frames.
            duration: end this many seconds after the first frame was handed over.
            every: drop no frame: the grabbing thread waits until each frame is taken. For replays
                and measurements; a real camera falls behind.
            notice: called with one line when the source is lost and when it is back, from the
                grabbing thread.
            alive: called, from either thread, while everything works: with each frame that is
                handed over or waits to be, and with each attempt to open the source. Not called
                while the source or the consumer is stuck.
            opener: opens the source instead of OpenCV or picamera2; `camera` is only its name.

        Raises:
            SourceError: `camera` names no kind of camera or stream.
            ConfigError: a value is out of range, or a size is asked of a stream.
        """
        camera = str(camera)
        at_least("retry", retry, 0)
        if max_frames is not None:
            at_least("max_frames", max_frames, 1, whole=True)
        for field, value in (("fps", fps), ("duration", duration)):
            if value is not None and value != math.inf:
                check_positive(field, value)
        if size is not None:
            _check_size(size)
        self.name = camera_name(camera)
        self.dropped = 0
        self.reconnects = 0
        self._camera = camera
        self._opener = opener or make_opener(camera, size)
        self._retry = retry
        self._patient = retry == math.inf or (is_address(camera) and retry > 0)
        self._interval = 1 / fps if fps else 0.0
        self._remaining = math.inf if max_frames is None else max_frames
        self._duration = math.inf if duration is None else duration
        self._every = every
        self._notice = notice or (lambda line: None)
        self._alive = alive or (lambda: None)

        # Used by the consumer:
        self._due = -math.inf
        self._until = math.inf
        self._over = self._closed = False
        # Used by the grabbing thread; shared under _changed:
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._newest: Frame | None = None
        self._ending: Failure | BaseException | None = None
        self._capture: Capture | None = None
        self._grabbed = 0
        self._last_grab = 0.0  # when the last frame arrived
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
        """Wait for the newest frame that was not handed over yet.

        Raises:
            SourceError: the source was never available.
        """
        if self._remaining <= 0:
            self._over = True
        if self._over or self._stop.is_set():
            self.close()
            raise StopIteration
        if self._thread.ident is None:
            _running.add(self)
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
                # With a limit, so that Ctrl-C is noticed on every platform.
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
        self._remaining -= 1
        if self._until == math.inf:
            self._until = now + self._duration
        return frame

    def stop(self) -> None:
        """End the iteration after the current frame; a signal handler may call this."""
        with self._changed:  # its lock is reentrant
            self._stop.set()
            self._changed.notify_all()

    def close(self) -> None:
        """Free the source and end the thread; calling it again does nothing.

        It waits at most `CLOSE_SECONDS` for a thread that is stuck inside OpenCV; that thread frees
        the source and ends when OpenCV gives up, for a stream after `OPEN_SECONDS` or
        `READ_SECONDS`. The interpreter waits for it when it exits.
        """
        with self._changed:
            self._stop.set()
            self._changed.notify_all()
            capture = self._capture
        if capture is not None:
            capture.close()
        is_own = self._thread is threading.current_thread()
        if self._thread.is_alive() and not is_own and not self._closed:
            self._thread.join(CLOSE_SECONDS)
        self._closed = True

    def _end(self) -> None:
        self.close()
        self._thread.join(max(OPEN_SECONDS, READ_SECONDS) + CLOSE_SECONDS)

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
        _running.discard(self)

    def _keep_grabbing(self) -> Failure | SourceError | None:
        """Grab until stopped (None) or until the source is given up."""
        self._last_grab = since = time.monotonic()
        delays = backoff_delays()
        loss: SourceError | None = None  # why the source was lost, until it is back
        while True:
            self._alive()
            begun, before = time.monotonic(), self._grabbed
            error = self._grab_until_lost(notify_return=loss is not None)
            if self._stop.is_set():
                return None
            now = time.monotonic()
            if self._grabbed > before:
                loss, since = None, now
                # Not after a short session: a source that flaps must not be opened all the time.
                if self._last_grab - begun > MAX_PAUSE:
                    delays = backoff_delays()
            remaining = since + self._retry - now
            if self._retry == 0 or not (self._grabbed or self._patient):
                return self._give_up(error)
            reason = loss or error
            if remaining <= 0:
                problem = f"{reason.problem} (gave up after {self._retry:g} s)"
                return self._give_up(type(reason)(problem, subject=self.name, hint=reason.hint))
            if loss is None:
                loss = error
                limit = "" if self._retry == math.inf else f" for {self._retry:g} s"
                action = "reconnecting" if self._grabbed else "trying again"
                self._notice(f"{one_line(error)}; {action}{limit}")
            self._stop.wait(min(next(delays), remaining))

    def _give_up(self, error: SourceError) -> Failure | SourceError:
        """What ends the iteration: an error where there was never a frame, else a failure."""
        return to_failure(self.name, error) if self._grabbed else error

    def _grab_until_lost(self, *, notify_return: bool) -> SourceError:
        """Open the source and grab until it ends or `close` is called; returns the reason."""
        before = self._grabbed
        try:
            capture = self._opener()
        except SourceError as error:
            return self._name_source(error)
        with self._changed:
            self._capture = capture
        try:
            while not self._stop.is_set():
                begun = time.perf_counter_ns()
                image = capture.read()
                if image is None:
                    break
                if notify_return and self._grabbed == before:
                    self._notify_return()
                self._offer(image, (time.perf_counter_ns() - begun) / 1e6)
        except SourceError as error:
            return self._name_source(error)
        finally:
            capture.close()
        if self._grabbed > before:
            return SourceError(f"stopped after {self._grabbed} frames", subject=self.name)
        return SourceError(
            "opens but delivers no frames",
            subject=self.name,
            hint=(
                "check that a video player shows it"
                if is_address(self._camera)
                else "check that no other program uses it; a Raspberry Pi's camera module needs "
                f"--camera {PI_CAMERA}"
            ),
        )

    def _notify_return(self) -> None:
        seconds = time.monotonic() - self._last_grab
        state = "back" if self._grabbed else "available"
        self.reconnects += self._grabbed > 0
        self._notice(f"{self.name}: is {state} after {seconds:.1f} s")

    def _name_source(self, error: SourceError) -> SourceError:
        """An opener's or a capture's error with this source as its subject, safe to display."""

        def mask(text: str) -> str:  # a library's text may quote the URL, and so the password
            return text.replace(self._camera, self.name) if is_address(self._camera) else text

        hint = None if error.hint is None else mask(error.hint)
        return type(error)(mask(error.problem), subject=self.name, hint=hint)

    def _offer(self, image: U8, grab_ms: float) -> None:
        now = datetime.now(UTC).astimezone()
        frame = Frame(self.name, from_array(image, self.name), grab_ms, self._grabbed, now)
        with self._changed:
            while self._every and self._newest is not None and not self._stop.is_set():
                self._changed.wait(1.0)
            if self._stop.is_set():
                return
            self.dropped += self._newest is not None
            self._newest = frame
            self._grabbed += 1
            self._last_grab = time.monotonic()
            self._changed.notify_all()


_running: set[Live] = set()
"""Those whose thread has not ended."""


def is_any_running() -> bool:
    """Whether the thread of a camera or stream runs, although it may have been closed."""
    return bool(_running)


@atexit.register
def _end_all() -> None:
    """Let the threads end before the interpreter: inside OpenCV they would abort the process."""
    for live in list(_running):
        live._end()


def _check_size(size: tuple[int, int]) -> None:
    is_pair = isinstance(size, (tuple, list)) and len(size) == 2
    if not is_pair or not all(isinstance(side, Integral) and side > 0 for side in size):
        raise ConfigError(
            f"must be a width and a height, integers greater than 0, got {size!r}", field="size"
        )
