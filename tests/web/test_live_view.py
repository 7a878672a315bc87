"""The newest frame, for many viewers of whom some are slow."""

import asyncio

import numpy as np

from digitkit.reading.results import Reading, Timings
from digitkit.sources.frames import Frame
from digitkit.web import live_view
from digitkit.web.live_view import LiveEvent, LiveView


def frame(value: int) -> Frame:
    return Frame("camera 0", np.full((48, 64, 3), value, np.uint8), number=value)


READING = Reading("camera 0", (), Timings(0, 0, 0, 0))


def count_encodings(monkeypatch) -> list[int]:
    encoded = []

    def encode(image, reading):
        encoded.append(int(image[0, 0, 0]))
        return bytes([encoded[-1]])

    monkeypatch.setattr(live_view, "draw_jpeg", encode)
    return encoded


def test_nothing_is_encoded_while_nobody_watches(monkeypatch):
    encoded = count_encodings(monkeypatch)

    async def run():
        view = LiveView(asyncio.get_running_loop())
        assert await view.snapshot() is None
        for value in range(5):
            view.publish(frame(value), READING)
            await asyncio.sleep(0)
        assert encoded == []
        assert await view.snapshot() == b"\4"
        assert await view.snapshot() == b"\4"

    asyncio.run(run())
    assert encoded == [4]


def test_snapshots_at_the_same_time_are_one(monkeypatch):
    encoded = count_encodings(monkeypatch)

    async def run():
        view = LiveView(asyncio.get_running_loop())
        view.publish(frame(1), READING)
        assert await asyncio.gather(*(view.snapshot() for _ in range(20))) == [b"\1"] * 20

    asyncio.run(run())
    assert encoded == [1]


def test_a_frame_is_encoded_once_for_all_and_the_slow_miss_some(monkeypatch):
    encoded = count_encodings(monkeypatch)

    async def run():
        view = LiveView(asyncio.get_running_loop())
        view.publish(frame(0), READING)
        seen = {"quick": [], "other": [], "slow": []}
        gate = asyncio.Event()

        async def watch(name):
            async for data in view.stream():
                seen[name].append(data[0])
                if name == "slow" and len(seen[name]) == 1:
                    await gate.wait()

        tasks = [asyncio.create_task(watch(name)) for name in seen]
        for value in range(1, 10):
            while len(seen["quick"]) < value or len(seen["other"]) < value:
                await asyncio.sleep(0.001)
            view.publish(frame(value), READING)
        while len(seen["quick"]) < 10 or len(seen["other"]) < 10:
            await asyncio.sleep(0.001)
        assert view.viewers == 3
        gate.set()
        while len(seen["slow"]) < 2:
            await asyncio.sleep(0.001)
        view.close()
        await asyncio.gather(*tasks)
        assert view.viewers == 0
        return seen

    seen = asyncio.run(run())
    assert encoded == list(range(10)) == seen["quick"] == seen["other"]
    assert seen["slow"] == [0, 9]


def test_a_frame_that_cannot_be_encoded_does_not_end_the_stream(monkeypatch):
    def encode(image, reading):
        if not image[0, 0, 0]:
            raise MemoryError
        return b"shown"

    monkeypatch.setattr(live_view, "draw_jpeg", encode)

    async def run():
        view = LiveView(asyncio.get_running_loop())
        view.publish(frame(0), READING)
        stream = view.stream()
        first = asyncio.create_task(anext(stream))
        while view.note is None:
            await asyncio.sleep(0.001)
        view.publish(frame(1), READING)
        shown = await first
        view.close()
        await stream.aclose()
        return shown, view.note

    shown, note = asyncio.run(asyncio.wait_for(run(), 10))
    assert (shown, note) == (b"shown", "a frame cannot be shown: MemoryError")


def test_a_client_that_is_far_behind_is_sent_away():
    async def run():
        view = LiveView(asyncio.get_running_loop())
        with view.subscribe() as events:
            for number in range(live_view.QUEUE_EVENTS + 5):
                view.dispatch(LiveEvent(number, {"event": "appeared"}))
            await asyncio.sleep(0)
            got = []
            try:
                while True:
                    got.append((await events.next(1)).id)
            except StopAsyncIteration:
                return got

    assert asyncio.run(run()) == list(range(live_view.QUEUE_EVENTS))


def test_streams_end_with_the_view():
    async def run():
        view = LiveView(asyncio.get_running_loop())

        async def watch():
            return [data async for data in view.stream()]

        async def follow():
            with view.subscribe() as events:
                try:
                    while True:
                        await events.next(100)
                except StopAsyncIteration:
                    return True

        tasks = asyncio.create_task(watch()), asyncio.create_task(follow())
        await asyncio.sleep(0.01)
        view.close()
        assert await asyncio.wait_for(asyncio.gather(*tasks), 5) == [[], True]
        assert [data async for data in view.stream()] == []
        with view.subscribe() as events:
            try:
                await events.next(1)
            except StopAsyncIteration:
                return
        raise AssertionError("a closed view has no events")

    asyncio.run(run())


def test_the_state_is_stale_without_new_frames(monkeypatch):
    async def run():
        view = LiveView(asyncio.get_running_loop())
        assert view.state()["stale"]
        view.publish(frame(1), READING)
        assert not view.state()["stale"]
        monkeypatch.setattr(live_view, "STALE_SECONDS", -1.0)
        assert view.state()["stale"]
        assert view.rate() == 0

    asyncio.run(run())


def test_a_picture_that_none_was_to_follow_is_not_stale(monkeypatch):
    monkeypatch.setattr(live_view, "STALE_SECONDS", 0.0)

    async def run():
        view = LiveView(asyncio.get_running_loop(), fps=0.001)
        assert view.state()["stale"]  # there is none yet
        view.publish(frame(1), READING)
        assert not view.state()["stale"]

    asyncio.run(run())
