"""What a service shows while it reads: the newest frame, encoded once for all viewers; its events.

The thread that reads hands over frames and never waits. Everything else happens in the event loop:
frames are drawn and encoded only while somebody watches, and a viewer that is slow misses frames.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from digitkit.errors import one_line
from digitkit.images.encode import encode_jpeg
from digitkit.images.grey import resize_to
from digitkit.reading.results import number_json
from digitkit.sinks.drawing import draw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from digitkit.arrays import U8
    from digitkit.reading.results import Reading
    from digitkit.sources.frames import Frame

MAX_SIDE = 1280
"""Longer side of a picture that viewers get, pixels; larger ones are reduced."""

JPEG_QUALITY = 80
"""Of OpenCV's 0 to 100."""

STALE_SECONDS = 5.0
"""Age from which a picture does not show what is now in front of the camera, if more frames than
one in so many seconds are read."""

RATE_FRAMES = 30
"""The frame rate is that of the last frames."""

QUEUE_EVENTS = 256
"""Events that wait for a client; one that is further behind is sent away, and asks for the rest
when it comes back."""


@dataclass(frozen=True)
class Shown:
    """The newest frame.

    Attributes:
        number: counts the frames, from 1.
        frame: the frame.
        reading: what was read from it.
        monotonic: when it was read, by `time.monotonic`.
    """

    number: int
    frame: Frame
    reading: Reading
    monotonic: float

    @property
    def age(self) -> float:
        """Seconds since it was read."""
        return time.monotonic() - self.monotonic


@dataclass(frozen=True)
class LiveEvent:
    """An event that is in the history.

    Attributes:
        id: its number there; None where it could not be written.
        line: the JSON line of ``digitkit infer``.
    """

    id: int | None
    line: dict[str, Any]


def draw_jpeg(image: U8, reading: Reading) -> bytes:
    """A picture for people, as JPEG: with its numbers marked, and reduced.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, 3]`` BGR.
        reading: what was read from it.
    """
    drawn = draw(image, reading)
    ratio = MAX_SIDE / max(drawn.shape[:2])
    return encode_jpeg(resize_to(drawn, ratio) if ratio < 1 else drawn, JPEG_QUALITY)


class Subscriber:
    """A client that follows the events."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[LiveEvent | None] = asyncio.Queue(QUEUE_EVENTS)
        self._lost = False

    def offer(self, event: LiveEvent | None) -> None:
        """Hand over an event; None ends it. If it is too far behind, it is sent away."""
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            self._lost = True

    async def next(self, seconds: float) -> LiveEvent:
        """The next event.

        Raises:
            TimeoutError: none came within so many seconds.
            StopAsyncIteration: there are no more for this client.
        """
        if self._lost and self._events.empty():
            raise StopAsyncIteration
        event = await asyncio.wait_for(self._events.get(), seconds)
        if event is None:
            raise StopAsyncIteration
        return event


class LiveView:
    """The newest frame and the events of a service.

    Attributes:
        note: the last thing that a camera said, such as why it was lost; None before.
        ended: why nothing is read any more; None while something is.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, fps: float | None = None) -> None:
        """Show nothing yet.

        Args:
            loop: the event loop that viewers are served by.
            fps: frames a second at most, above 0; None for all. A picture becomes stale where three
                are missing, and not before `STALE_SECONDS`.
        """
        self._interval = 0.0 if fps is None else 1 / fps
        self.note: str | None = None
        self.ended: str | None = None
        self._loop = loop
        self._shown: Shown | None = None
        self._times: deque[float] = deque(maxlen=RATE_FRAMES)
        self._subscribers: set[Subscriber] = set()
        self._watching = 0
        self._closed = False
        self._jpeg: tuple[int, bytes] | None = None
        self._encoding = asyncio.Lock()
        self._new_frame = asyncio.Event()
        self._new_jpeg = asyncio.Event()
        self._encoder: asyncio.Task[None] | None = None

    # --- the thread that reads ---

    def publish(self, frame: Frame, reading: Reading) -> None:
        """Show a frame; from any thread, without waiting."""
        shown = self._shown
        now = time.monotonic()
        self._times.append(now)
        self._shown = Shown(1 if shown is None else shown.number + 1, frame, reading, now)
        if self._watching:
            self.call(self._new_frame.set)

    def dispatch(self, event: LiveEvent) -> None:
        """Send an event to all who follow them; from any thread, without waiting."""
        self.call(self._dispatch, event)

    def call(self, function: Any, *arguments: Any) -> None:
        """Call a function in the event loop soon; without effect once that has ended."""
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            if not self._loop.is_closed():
                raise

    # --- the event loop ---

    def _dispatch(self, event: LiveEvent | None) -> None:
        for subscriber in self._subscribers:
            subscriber.offer(event)

    @property
    def shown(self) -> Shown | None:
        """The newest frame; None before the first."""
        return self._shown

    @property
    def viewers(self) -> int:
        """How many clients watch the stream."""
        return self._watching

    @property
    def _stale_seconds(self) -> float:
        return max(STALE_SECONDS, 3 * self._interval)

    def rate(self) -> float:
        """Frames a second, of the last ones; 0 where there is no newer one for long."""
        times = tuple(self._times)
        if len(times) < 2 or time.monotonic() - times[-1] > self._stale_seconds:
            return 0.0
        return (len(times) - 1) / max(times[-1] - times[0], 1e-6)

    def state(self) -> dict[str, Any]:
        """What is to be said of the moment, as JSON values."""
        shown = self._shown
        values: dict[str, Any] = {
            "fps": round(self.rate(), 2),
            "age": None if shown is None else round(shown.age, 2),
            "stale": shown is None or shown.age > self._stale_seconds,
            "note": self.ended or self.note,
            "viewers": self._watching,
        }
        if shown is not None:
            reading = shown.reading
            values |= reading.origin_json()
            values["text"] = reading.text
            values["numbers"] = [number_json(number) for number in reading.numbers]
        return values

    @contextmanager
    def subscribe(self) -> Iterator[Subscriber]:
        """Follow the events while the block runs."""
        subscriber = Subscriber()
        if self._closed:
            subscriber.offer(None)
        self._subscribers.add(subscriber)
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    async def snapshot(self) -> bytes | None:
        """The newest frame as JPEG; None before the first."""
        async with self._encoding:
            shown = self._shown  # only now, after those before have encoded theirs
            if shown is None:
                return None
            if self._jpeg is None or self._jpeg[0] != shown.number:
                data = await asyncio.to_thread(draw_jpeg, shown.frame.image, shown.reading)
                self._jpeg = shown.number, data
            return self._jpeg[1]

    async def stream(self) -> AsyncIterator[bytes]:
        """The newest frames as JPEG, each as soon as it is there and the one before is gone."""
        self._watching += 1
        if self._encoder is None or self._encoder.done():
            self._encoder = asyncio.create_task(self._encode())
        self._new_frame.set()
        last = 0
        try:
            while not self._closed:
                ready = self._new_jpeg
                if self._jpeg is not None and self._jpeg[0] > last:
                    last, data = self._jpeg
                    yield data
                else:
                    await ready.wait()
        finally:
            self._watching -= 1
            self._new_frame.set()  # so that the encoder notices

    async def _encode(self) -> None:
        """Encode frames while somebody watches."""
        while self._watching and not self._closed:
            await self._new_frame.wait()
            self._new_frame.clear()
            try:
                if await self.snapshot() is not None:
                    self._wake()
            except Exception as error:  # those who watch wait for the next frame
                self.note = f"a frame cannot be shown: {one_line(error)}"

    def _wake(self) -> None:
        ready, self._new_jpeg = self._new_jpeg, asyncio.Event()
        ready.set()

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        self._dispatch(None)
        self._new_frame.set()
        self._wake()
