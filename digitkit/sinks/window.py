"""A window that shows annotated frames."""

from __future__ import annotations

import sys
from collections.abc import Callable

from digitkit.errors import MissingDependencyError
from digitkit.images.cv import cv2
from digitkit.reading.results import Reading
from digitkit.sinks.drawing import draw
from digitkit.sources.frames import Failure, Frame


class WindowSink:
    """Shows annotated frames in a window until q or Esc is pressed, or it is closed."""

    wants_every_frame = True

    NAME = "digitkit (press q to quit)"

    def __init__(self, on_close: Callable[[], None]) -> None:
        """Open the window.

        Args:
            on_close: called when the user has closed it.

        Raises:
            MissingDependencyError: there is no screen, or this OpenCV is built without windows.
        """
        self._on_close = on_close
        import subprocess

        # Without a screen the window library ends the whole process, so another one tries first.
        trial = "import cv2; cv2.namedWindow('digitkit'); cv2.waitKey(1)"
        tried = subprocess.run([sys.executable, "-c", trial], capture_output=True, check=False)
        if tried.returncode != 0:
            raise MissingDependencyError(
                "--show requires a screen and an OpenCV with windows, which the headless package "
                "does not have",
                hint="use --annotate seen.mp4 and watch it elsewhere",
            )
        cv2.namedWindow(self.NAME, cv2.WINDOW_NORMAL)

    def write(self, frame: Frame, reading: Reading) -> None:
        """Draw and show."""
        cv2.imshow(self.NAME, draw(frame.image, reading))
        key = cv2.waitKey(1) & 0xFF
        if key in (ord("q"), 27) or cv2.getWindowProperty(self.NAME, cv2.WND_PROP_VISIBLE) < 1:
            self._on_close()

    def fail(self, failure: Failure) -> None:
        """There is nothing to show."""
