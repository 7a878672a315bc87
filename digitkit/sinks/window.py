"""A window that shows annotated frames."""

from __future__ import annotations

import sys
from collections.abc import Callable

from digitkit.errors import OutputError
from digitkit.images.opencv import cv2
from digitkit.reading.results import Reading
from digitkit.sinks.drawing import draw
from digitkit.sources.frames import Failure, Frame


class WindowSink:
    """Shows the annotated frames in a window until q or Esc is pressed, or it is closed."""

    moving = True

    NAME = "digitkit (q ends)"

    def __init__(self, ended: Callable[[], None]) -> None:
        """Open the window.

        Args:
            ended: called when the user has ended it.

        Raises:
            OutputError: there is no screen, or this OpenCV has no windows.
        """
        self._ended = ended
        import subprocess

        # Where the screen cannot be reached the window library ends the whole process, so another
        # one tries first.
        trial = "import cv2; cv2.namedWindow('digitkit'); cv2.waitKey(1)"
        tried = subprocess.run([sys.executable, "-c", trial], capture_output=True, check=False)
        if tried.returncode != 0:
            raise OutputError(
                "--show: there is no screen here, or this OpenCV has no windows (the headless "
                "package has none); use --annotate seen.mp4 and look at it elsewhere"
            )
        cv2.namedWindow(self.NAME, cv2.WINDOW_NORMAL)

    def write(self, frame: Frame, reading: Reading) -> None:
        """Draw and show."""
        cv2.imshow(self.NAME, draw(frame.image, reading))
        key = cv2.waitKey(1) & 0xFF
        if key in (ord("q"), 27) or cv2.getWindowProperty(self.NAME, cv2.WND_PROP_VISIBLE) < 1:
            self._ended()

    def fail(self, failure: Failure) -> None:
        """There is nothing to show."""
