"""Files that may have several pages: which kind they are, and what opens them."""

from __future__ import annotations

from digitkit.images.formats import HEAD_BYTES, detect_format
from digitkit.images.pages import Pages


def open_pages(data: bytes, name: str, *, exif: bool = True) -> Pages | None:
    """The pages of a PDF (also of one page), or of a TIFF, GIF or WebP file that has several.

    Args:
        data: the file's bytes.
        name: of the file, for errors.
        exif: turn images upright by their orientation.

    Returns:
        None for a file of one image that `digitkit.images.decode.decode` reads, or of no kind that
        is known here.

    Raises:
        MissingDependencyError: a PDF, and pypdfium2 is not installed.
        ImageError: a PDF that is damaged or encrypted, or an animation that is too large.
    """
    # What opens them is imported where it is used: most files are one image.
    kind = detect_format(data[:HEAD_BYTES])
    pages: Pages | None = None
    if kind == "pdf":
        from digitkit.images.pdf import PdfPages

        return PdfPages(data, name)
    if kind == "tiff":
        from digitkit.images.tiff_pages import TiffPages

        pages = TiffPages(data, name, exif=exif)
        if pages.count and not (exif and pages.begins_with_page):
            return pages  # OpenCV would turn it, or decode what the file begins with
    elif kind in ("gif", "webp"):
        from digitkit.images.animations import open_animation

        pages = open_animation(data, name)
    return pages if pages is not None and pages.count > 1 else None
