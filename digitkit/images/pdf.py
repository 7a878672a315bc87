"""The pages of a PDF file, with the optional package pypdfium2."""

from __future__ import annotations

import ctypes
import math
import threading
import time
import weakref
from typing import Any

import numpy as np

from digitkit.arrays import U8
from digitkit.errors import ImageError, needs_extra, one_line
from digitkit.images.cv import out_of_memory
from digitkit.images.pages import Pages

RENDERED_DPI = 200
"""Resolution that pages are drawn at, pixels per inch: a digit of 4 mm is 31 pixels high."""

MAX_RENDERED_PIXELS = 25_000_000
"""Largest page that is drawn, in pixels; a larger one at a lower resolution."""

DRAW_SECONDS = 30.0
"""How long drawing a page may take; it is looked at after each of its objects."""

_PASSWORD_ERROR = 4
_WHITE = 0xFFFFFFFF
_POINTS_PER_INCH = 72
_LOCK = threading.RLock()  # PDFium is not made for several threads


class PdfPages(Pages):
    """The pages of a PDF, drawn in grey on white."""

    def __init__(self, data: bytes, name: str) -> None:
        """Open a PDF.

        Args:
            data: the file's bytes.
            name: of the file, for errors.

        Raises:
            MissingDependencyError: pypdfium2 is not installed.
            ImageError: the file is damaged or encrypted, or has no pages.
        """
        try:
            import pypdfium2
        except ImportError as error:
            raise needs_extra("pypdfium2", "reading PDF files", "pdf", subject=name) from error
        self._error: type[Exception] = pypdfium2.PdfiumError
        try:
            with _LOCK:
                self._document: Any = pypdfium2.PdfDocument(data)
                weakref.finalize(self, _close, self._document)
                count = len(self._document)
        except pypdfium2.PdfiumError as error:
            if not _can_be_loaded(data):
                raise _describe(error, name) from error
            count = 0  # newer versions of pypdfium2 raise an error, with the code of the last one
        if not count:
            raise ImageError("the PDF file has no pages", subject=name)
        super().__init__(name, count)

    def _decode(self, page: int, name: str) -> U8:
        try:
            with _LOCK:
                opened = self._document[page - 1]
                try:
                    return _draw(opened, name)
                finally:
                    opened.close()
        except self._error as error:
            raise ImageError(f"the page is damaged ({one_line(error)})", subject=name) from error
        except MemoryError as error:
            raise out_of_memory(name) from error


def _can_be_loaded(data: bytes) -> bool:
    """Whether PDFium itself loads a PDF, even without pages."""
    from pypdfium2 import raw

    with _LOCK:
        document = raw.FPDF_LoadMemDocument64(data, len(data), None)
        if document:
            raw.FPDF_CloseDocument(document)
    return bool(document)


def _close(document: Any) -> None:
    """Close a document; its own finaliser would, while another thread may be drawing."""
    with _LOCK:
        document.close()


def _draw(page: Any, name: str) -> U8:
    """Draw a page, uint8 ``[H, W]``.

    Raises:
        ImageError: its size is impossible, or it takes too long.
    """
    from pypdfium2 import PdfBitmap, raw

    width, height = page.get_size()
    scale = RENDERED_DPI / _POINTS_PER_INCH
    pixels = width * height * scale**2
    if not 0 < pixels < math.inf:
        raise ImageError(f"the page has a size of {width:g}×{height:g}", subject=name)
    scale *= min(1.0, math.sqrt(MAX_RENDERED_PIXELS / pixels))
    width, height = (max(1, round(side * scale)) for side in (width, height))
    if width * height > 2 * MAX_RENDERED_PIXELS:
        raise ImageError(f"the page is too narrow: {width}×{height} pixels", subject=name)
    bitmap: Any = PdfBitmap.new_native(width, height, raw.FPDFBitmap_Gray)
    raw.FPDFBitmap_FillRect(bitmap, 0, 0, width, height, _WHITE)
    # PdfPage.render has no time limit.
    end = time.monotonic() + DRAW_SECONDS
    asked = dict(raw.IFSDK_PAUSE._fields_)["NeedToPauseNow"](lambda _: time.monotonic() > end)
    pause = raw.IFSDK_PAUSE(version=1, NeedToPauseNow=asked)
    how = raw.FPDF_ANNOT | raw.FPDF_GRAYSCALE
    state = raw.FPDF_RenderPageBitmap_Start(
        bitmap, page, 0, 0, width, height, 0, how, ctypes.byref(pause)
    )
    raw.FPDF_RenderPage_Close(page)
    if state == raw.FPDF_RENDER_TOBECONTINUED:
        raise ImageError(f"the page takes more than {DRAW_SECONDS:g} s to draw", subject=name)
    if state != raw.FPDF_RENDER_DONE:
        raise ImageError("the page is damaged: it cannot be drawn", subject=name)
    # A copy: the bitmap's memory is PDFium's.
    return np.array(bitmap.to_numpy().reshape(height, width), np.uint8)


def _describe(error: Exception, name: str) -> ImageError:
    if getattr(error, "err_code", None) == _PASSWORD_ERROR or "password" in str(error).lower():
        return ImageError(
            "the PDF file is encrypted", subject=name, hint="save it without a password"
        )
    return ImageError(f"the PDF file is damaged ({one_line(error)})", subject=name)
