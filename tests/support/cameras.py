"""Scripted cameras for `digitkit.sources.live.Live`."""

from __future__ import annotations

import queue
import threading
import time

import numpy as np


def image(value: int = 0) -> np.ndarray:
    return np.full((4, 6, 3), value, np.uint8)


class Scripted:
    """A camera that gives what it is fed; None is the end, an error is raised."""

    def __init__(self, *items: object) -> None:
        self.items: queue.Queue = queue.Queue()
        self.closed = 0
        self.open_item = False
        for item in items:
            self.items.put(item)

    def feed(self, *items: object) -> None:
        """Returns when the grabber has taken all of it."""
        for item in items:
            self.items.put(item)
        self.items.join()

    def read(self):
        if self.open_item:
            self.items.task_done()  # the frame given before has been offered
        item = self.items.get()
        self.open_item = True
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        self.closed += 1
        self.items.put(None)


class Endless:
    """A camera whose frames never end."""

    def read(self):
        time.sleep(0.001)
        return image()

    def close(self) -> None:
        pass


def opener_of(*captures: object):
    """An opener that gives these in turn, and raises those that are errors; the last forever."""
    left = list(captures)
    opened = []

    def opener():
        opened.append(left[0])
        item = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(item, BaseException):
            raise item
        return item

    opener.opened = opened
    return opener


def grabbing_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("camera")]
