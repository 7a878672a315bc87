"""Pages of TIFF, GIF, WebP and PDF files, and HEIC images."""

import io
import struct
import sys
import threading

import numpy as np
import pytest
from support.documents import (
    pages_of,
    tiff_directories,
    without_tag,
    write_tiff,
    write_with_pillow,
)
from support.errors import error_of

from digitkit.errors import ImageError, MissingDependencyError, install_command
from digitkit.images import animations, cv, heif, pages, pdf
from digitkit.images.convert import from_array, to_grey
from digitkit.images.decode import decode
from digitkit.images.documents import open_pages
from digitkit.sources.files import read_frames


def decode_all(data: bytes) -> list[np.ndarray]:
    opened = open_pages(data, "x")
    assert opened is not None
    return [opened.decode(page) for page in range(1, opened.count + 1)]


def problems(data: bytes) -> list[str]:
    """What is wrong with each page; empty for those that can be read."""
    opened = open_pages(data, "x")
    found = []
    for page in range(1, opened.count + 1):
        try:
            opened.decode(page)
        except ImageError as error:
            assert error.subject == f"x#{page}"
            found.append(error.problem)
        else:
            found.append("")
    return found


@pytest.fixture
def tiff(tmp_path, one_of_each) -> bytes:
    return write_tiff(tmp_path / "x.tiff", pages_of(one_of_each)).read_bytes()


def test_the_pages_of_a_tiff(tiff, one_of_each):
    for page, expected in zip(decode_all(tiff), pages_of(one_of_each), strict=True):
        assert np.array_equal(page, expected)
    opened = open_pages(tiff, "x")
    assert opened.decode(4).shape[0] > opened.decode(2).shape[0]  # in any order
    for page in (0, 6, -1):
        assert "no such page" in error_of(ImageError, opened.decode, page).problem


@pytest.mark.parametrize("kind", ["big", "jpeg", "group4", "motorola"])
def test_kinds_of_tiff(tmp_path, one_of_each, kind):
    images = pages_of(one_of_each)
    if kind == "group4":
        images = [image > 150 for image in images]
    options = {
        "big": {"big_tiff": True},
        "jpeg": {"compression": "jpeg"},
        "group4": {"compression": "group4"},
        "motorola": {},
    }[kind]
    data = write_with_pillow(tmp_path / "x.tiff", images, **options).read_bytes()
    if kind == "motorola":
        data = _to_motorola(images)
    for page, image in zip(decode_all(data), images, strict=True):
        expected = from_array(image)
        assert page.shape == expected.shape
        assert np.abs(page.astype(int) - expected).mean() < 3


def _to_motorola(images: list[np.ndarray]) -> bytes:
    """An uncompressed big-endian TIFF."""
    data = b"MM\0*" + bytes(4)
    link = 4
    for image in images:
        at = len(data) + image.size
        tags = [(256, image.shape[1]), (257, image.shape[0]), (258, 8), (259, 1), (262, 1)]
        tags += [(273, len(data)), (277, 1), (278, image.shape[0]), (279, image.size)]
        directory = struct.pack(">H", len(tags))
        directory += b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags)
        data = data[:link] + struct.pack(">I", at) + data[link + 4 :] + image.tobytes()
        data += directory + bytes(4)
        link = len(data) - 4
    return data


def test_a_file_of_one_image_has_no_pages(tmp_path, one_of_each):
    images = pages_of(one_of_each, "7")
    assert open_pages(write_tiff(tmp_path / "x.tiff", images).read_bytes(), "x") is None
    for suffix in ("gif", "webp"):
        path = write_with_pillow(tmp_path / f"x.{suffix}", images)
        assert open_pages(path.read_bytes(), "x") is None
    for data in (b"", b"II*\0", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"text"):
        assert open_pages(data, "x") is None


def test_a_damaged_page_of_a_tiff_is_the_only_one(tiff):
    assert [bool(problem) for problem in problems(without_tag(tiff, 3, 273))] == [
        *(False, False, True, False, False)
    ]
    cut = tiff[: tiff_directories(tiff)[2] + 8]
    *readable, last = problems(cut)
    assert readable == ["", ""]
    assert "truncated" in last


def test_a_chain_of_pages_that_does_not_end(tiff, monkeypatch):
    places = tiff_directories(tiff)
    looped = bytearray(tiff)
    entries = int.from_bytes(tiff[places[4] : places[4] + 2], "little")
    struct.pack_into("<I", looped, places[4] + 2 + 12 * entries, places[1])
    *readable, last = problems(bytes(looped))
    assert readable == [""] * 5
    assert "loop" in last
    monkeypatch.setattr(pages, "MAX_PAGES", 3)
    *readable, last = problems(tiff)
    assert readable == [""] * 3
    assert "only the first 3 pages" in last


def test_thumbnails_in_a_tiff_are_no_pages(tiff):
    small = bytearray(tiff)
    for place in tiff_directories(tiff)[1::2]:
        assert struct.unpack_from("<H", tiff, place + 2) == (254,)  # the kind is the first tag
        struct.pack_into("<I", small, place + 2 + 8, 1)
    assert [page.shape[0] for page in decode_all(bytes(small))] == [96, 104, 112]


@pytest.mark.parametrize("exif", [True, False])
def test_a_thumbnail_before_the_only_page_of_a_tiff_is_not_read(tmp_path, one_of_each, exif):
    images = pages_of(one_of_each, "12")
    small = bytearray(write_tiff(tmp_path / "x.tiff", images).read_bytes())
    struct.pack_into("<I", small, tiff_directories(small)[0] + 2 + 8, 1)
    (tmp_path / "x.tiff").write_bytes(small)
    (frame,) = read_frames([tmp_path / "x.tiff"], exif=exif)
    assert frame.page is None
    assert np.array_equal(frame.image, images[1])


def test_pages_that_share_their_pixels_have_a_limit_together(tiff, monkeypatch):
    monkeypatch.setattr("digitkit.images.guards.UNCHECKED_PIXELS", 40_000)
    monkeypatch.setattr("digitkit.images.guards.MAX_PIXELS_PER_BYTE", 0)
    assert [bool(problem) for problem in problems(tiff)] == [False] * 3 + [True] * 2


# --- animations ---


@pytest.fixture(params=["gif", "webp"])
def animation(request):
    """Writes an animation in either format and returns its bytes, and Pillow's view of it."""
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow, as [dev] brings it")
    if request.param == "gif" and not animations._reads_gif():
        pytest.skip("this OpenCV reads no GIF files")

    def write(images: list, **options) -> tuple[bytes, list[np.ndarray]]:
        buffer = io.BytesIO()
        more = {"lossless": True} if request.param == "webp" else {}
        images[0].save(
            buffer, request.param, save_all=True, append_images=images[1:], duration=50,
            **more, **options,
        )  # fmt: skip
        expected = []
        with pillow.open(buffer) as reopened:
            for number in range(reopened.n_frames):
                reopened.seek(number)
                rgba = np.asarray(reopened.convert("RGBA"))
                expected.append(from_array(rgba[:, :, [2, 1, 0, 3]]))
        return buffer.getvalue(), expected

    return write


def drawn_frames(background: tuple[int, ...], count: int = 5) -> list:
    """Frames with a bar that moves."""
    pytest.importorskip("PIL.Image", reason="needs Pillow, as [dev] brings it")
    from PIL import Image, ImageDraw

    frames = []
    for number in range(count):
        frame = Image.new("RGBA", (90, 60), background)
        box = (5 + 15 * number, 10, 15 + 15 * number, 50)
        ImageDraw.Draw(frame).rectangle(box, (20, 30 * number, 90, 255))
        frames.append(frame)
    return frames


@pytest.mark.parametrize(
    ("background", "disposal"),
    [
        *(((250, 240, 230, 255), disposal) for disposal in (0, 1, 2)),
        *(((255, 255, 255, 0), disposal) for disposal in (0, 1, 2, 3)),
    ],
)
def test_frames_of_an_animation_are_as_they_are_seen(animation, background, disposal):
    data, expected = animation(drawn_frames(background), disposal=disposal)
    assert data[:4] != b"RIFF" or b"ANMF" in data
    frames = decode_all(data)
    assert len(frames) == 5
    for frame, seen in zip(frames, expected, strict=True):
        assert np.array_equal(frame if frame.ndim == 3 else np.dstack([frame] * 3), seen)
    opened = open_pages(data, "x")
    for page in (4, 2, 2, 5):
        assert np.array_equal(opened.decode(page), frames[page - 1])


def test_semitransparent_frames(animation):
    data, expected = animation(drawn_frames((255, 0, 0, 100)), disposal=0)
    for frame, seen in zip(decode_all(data), expected, strict=True):
        assert np.abs(frame.astype(int) - seen).max() <= 2


def test_damaged_and_truncated_animations(animation):
    data, _ = animation(drawn_frames((250, 240, 230, 255)))
    *readable, last = problems(data[: len(data) - len(data) // 8])
    assert len(readable) >= 2
    assert not any(readable)
    assert "truncated" in last


def test_a_damaged_frame_of_a_webp(tmp_path):
    frames = drawn_frames((250, 240, 230, 255))
    data = bytearray(write_with_pillow(tmp_path / "x.webp", frames, lossless=True).read_bytes())
    at = -1
    for _ in range(3):
        at = data.index(b"ANMF", at + 1)
    data[at + 32] ^= 0xFF  # the first byte of its pixels
    assert [bool(problem) for problem in problems(bytes(data))] == [
        *(False, False, True, False, False)
    ]


def test_limits_of_animations(animation, monkeypatch):
    data, _ = animation(drawn_frames((250, 240, 230, 255)))
    monkeypatch.setattr(animations, "MAX_ANIMATION_PIXELS", 3 * 90 * 60)
    *readable, last = problems(data)
    assert readable == [""] * 3
    assert "only the first 3 frames" in last
    huge = bytearray(data)
    if data.startswith(b"GIF"):
        struct.pack_into("<HH", huge, 6, 14_000, 14_000)
    else:
        huge[24:30] = (13_999).to_bytes(3, "little") * 2
    assert "14000×14000" in error_of(ImageError, open_pages, bytes(huge), "x").problem
    if data.startswith(b"RIFF"):
        huge[24:30] = b"\xff" * 6
        assert "pixels" in error_of(ImageError, open_pages, bytes(huge), "x").problem


# --- PDF ---


@pytest.fixture
def scan(tmp_path, one_of_each) -> bytes:
    pytest.importorskip("pypdfium2", reason="needs the extra [pdf]")
    return write_with_pillow(tmp_path / "x.pdf", pages_of(one_of_each), resolution=72).read_bytes()


def test_the_pages_of_a_pdf(scan, one_of_each, monkeypatch):
    frames = decode_all(scan)
    for frame, page in zip(frames, pages_of(one_of_each), strict=True):
        assert frame.shape == pytest.approx([side * 200 / 72 for side in page.shape], abs=1)
        assert frame.dtype == np.uint8
        assert abs(float(frame.mean()) - page.mean()) < 3
    monkeypatch.setattr(pdf, "MAX_RENDERED_PIXELS", 1000)
    assert all(frame.size < 1100 for frame in decode_all(scan))


def test_a_pdf_is_closed_while_no_other_is_used(scan, monkeypatch):
    import pypdfium2

    closed, close = [], pypdfium2.PdfDocument.close

    def watch(document):
        free = []
        other = threading.Thread(target=lambda: free.append(pdf._LOCK.acquire(timeout=0.01)))
        other.start()
        other.join()
        closed.append(not free[0])
        close(document)

    monkeypatch.setattr(pypdfium2.PdfDocument, "close", watch)
    pages = open_pages(scan, "x.pdf")
    assert pages.count == 5
    del pages
    assert closed == [True]


def test_a_page_of_a_pdf_that_takes_long(scan, monkeypatch):
    monkeypatch.setattr(pdf, "DRAW_SECONDS", -1.0)
    for problem in problems(scan):
        assert "s to draw" in problem


def test_a_pdf_of_one_page(tmp_path, one_of_each):
    pytest.importorskip("pypdfium2", reason="needs the extra [pdf]")
    path = write_with_pillow(tmp_path / "x.pdf", pages_of(one_of_each, "3"))
    assert open_pages(path.read_bytes(), "x").count == 1


ENCRYPTED = b"""%%PDF-1.4
1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj
2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj
3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [0 0 100 100]>> endobj
4 0 obj <</Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s>>> endobj
trailer <</Root 1 0 R /Encrypt 4 0 R /ID [<00> <00>] /Size 5>>
""" % (b"41" * 32, b"42" * 32)


NO_PAGES = (
    b"%PDF-1.7\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n"
    b"2 0 obj\n<</Type/Pages/Count 0/Kids[]>>\nendobj\n"
    b"xref\n0 3\n0000000000 65535 f \n0000000009 00000 n \n0000000054 00000 n \n"
    b"trailer<</Size 3/Root 1 0 R>>\nstartxref\n100\n%%EOF"
)


def test_pdfs_that_cannot_be_opened(scan):
    for data, named in (
        (ENCRYPTED, "encrypted"),
        (b"%PDF-1.4 and so on", "damaged"),
        (scan[:300], "damaged"),
        (NO_PAGES, "no pages"),
        (b"%PDF-1.4\n1 0 obj <</Type /Catalog>> endobj trailer <</Root 1 0 R>>", "PDF"),
    ):
        error = error_of(ImageError, open_pages, data, "x.pdf")
        assert named in error.problem
        assert error.subject == "x.pdf"


@pytest.mark.parametrize(
    ("data", "extra"), [(b"%PDF-1.4", "pdf"), (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "heic")]
)
def test_a_missing_package_is_named(monkeypatch, data, extra):
    for name in ("pypdfium2", "pillow_heif"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails
    with pytest.raises(MissingDependencyError) as caught:
        open_pages(data, "x")
        decode(data, "x")
    assert caught.value.subject == "x"
    assert install_command(extra) in str(caught.value)


# --- HEIC ---


@pytest.fixture
def write_heic():
    """Writes an image of Pillow as HEIC."""
    package = pytest.importorskip("pillow_heif", reason="needs the extra [heic]")

    def write(image, **options) -> bytes:
        buffer = io.BytesIO()
        package.from_pillow(image).save(buffer, quality=90, **options)
        return buffer.getvalue()

    return write


def test_a_heic_image_is_upright(write_heic, one_of_each):
    from PIL import Image

    page = pages_of(one_of_each, "7")[0]
    exif = Image.Exif()
    exif[0x0112] = 6
    for image, options in (
        (Image.fromarray(page).convert("RGB"), {}),
        (Image.fromarray(page), {}),
        (Image.fromarray(page).convert("RGBA"), {}),
        (Image.fromarray(np.rot90(page)).convert("RGB"), {"exif": exif.tobytes()}),
    ):
        decoded = to_grey(decode(write_heic(image, **options), "x"))
        assert decoded.shape == page.shape
        assert np.abs(decoded.astype(int) - page).mean() < 4


def test_damaged_and_too_large_heic_images(write_heic, one_of_each, monkeypatch):
    from PIL import Image

    data = write_heic(Image.fromarray(pages_of(one_of_each, "7")[0]))
    for cut in (data[:100], data[:-50]):
        assert "damaged" in error_of(ImageError, decode, cut, "x").problem
    monkeypatch.setattr(heif, "PIXEL_LIMIT", 1000)
    assert "megapixels" in error_of(ImageError, decode, data, "x").problem


def test_the_limit_that_is_set_is_the_one_that_is_named(monkeypatch):
    monkeypatch.setattr(cv, "PIXEL_LIMIT", 1_500_000)
    assert "larger than 1.5 megapixels" in str(cv.too_many_pixels("x.png"))


# --- orientation ---


@pytest.mark.parametrize("pages", [1, 3])
@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_is_read_as_it_is_stored(tmp_path, pages, big):
    pil = pytest.importorskip("PIL.Image", reason="needs Pillow, as [dev] brings it")
    stored = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30) % 251
    first, *others = [pil.fromarray(stored.astype(np.uint8)) for _ in range(pages)]
    path = tmp_path / "scan.tiff"
    first.save(path, tiffinfo={274: 6}, save_all=pages > 1, append_images=others, big_tiff=big)
    for exif, shape in ((True, (30, 20)), (False, (20, 30))):
        frames = list(read_frames([path], exif=exif))
        assert [frame.shape for frame in frames] == [shape] * pages
        assert len(frames) == pages
        if not exif:
            assert np.array_equal(frames[-1].grey.halved(0), stored)
