"""The demo in Chromium: what `make web` built, from a plain web server, in a folder of a site."""

import base64
import io
import os
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
from support.paths import ROOT
from support.served_page import SAMPLES, SCRIBBLE, THREE, draw, place

from digitkit.images.cv import cv2

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.slow

BUILD = ROOT / "web/demo/build"
FOLDER = "some/site/demo"
LOADING_MS = 60_000


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of a site that has the demo."""
    if not (BUILD / "index.html").is_file():
        pytest.skip("the demo is not built: make web")
    root = tmp_path_factory.mktemp("site")
    shutil.copytree(BUILD, root / FOLDER)
    shutil.copytree(ROOT / "web/demo/golden", root / "golden")
    shutil.copy(ROOT / "web/demo/test/golden.mjs", root)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def open_demo(browser, site):
    """Opens the demo; afterwards, it must have asked no other host, and reported no error."""
    seen = SimpleNamespace(requests=[], complaints=[])
    contexts = []

    def open_it(**options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("console", lambda message: seen.complaints.append(message.text))
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.goto(f"{site}{FOLDER}/index.html")
        expect(page.locator("#verdict")).to_have_text(
            "Draw a digit from 0 to 9", timeout=LOADING_MS
        )
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert seen.complaints == []
    assert [url for url in seen.requests if not url.startswith(site)] == []


def verdict(page):
    return expect(page.locator("#verdict"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_digit_that_is_drawn_is_read(open_demo, scheme):
    page = open_demo(viewport={"width": 1080, "height": 820}, color_scheme=scheme)
    draw(page, THREE, "#area")
    verdict(page).to_have_text("It is a 3")
    expect(page.locator("#detail")).to_have_text(">99.9% sure")
    expect(page.locator("#latency")).to_contain_text(" ms")
    expect(page.locator(".best th")).to_have_text("3")
    assert len(page.get_by_role("row").all()) == 10
    expect(page.get_by_role("status")).to_have_text("It is a 3, >99.9% sure")
    if scheme == "light" and "DIGITKIT_SCREENSHOTS" in os.environ:
        page.screenshot(path=ROOT / "docs/images/demo.png")


def test_strokes_are_taken_back_and_cleared(open_demo):
    page = open_demo()
    undo, clear = (page.get_by_role("button", name=name) for name in ("Undo", "Clear"))
    expect(undo).to_be_disabled()
    draw(page, [(0.5, 0.2), (0.5, 0.8)], "#area")
    verdict(page).to_have_text("It is a 1")
    draw(page, [(0.2, 0.5), (0.8, 0.5)], "#area")
    verdict(page).not_to_have_text("It is a 1")
    undo.click()
    verdict(page).to_have_text("It is a 1")
    page.keyboard.press("Control+z")
    verdict(page).to_have_text("Draw a digit from 0 to 9")
    expect(undo).to_be_disabled()
    draw(page, THREE, "#area")
    verdict(page).to_have_text("It is a 3")
    clear.click()
    verdict(page).to_have_text("Draw a digit from 0 to 9")


def test_what_is_no_digit_is_doubted(open_demo):
    page = open_demo()
    draw(page, SCRIBBLE, "#area")
    verdict(page).to_have_text("Not a digit?")
    expect(page.locator("#detail")).to_contain_text("(89.9% needed)")


def test_a_digit_is_drawn_with_keys(open_demo):
    page = open_demo()
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "area":
            break
    for key in (*["ArrowUp"] * 12, " ", *["ArrowDown"] * 24, " ", *["ArrowLeft"] * 9):
        page.keyboard.press(key)
    verdict(page).to_have_text("It is a 1")
    page.keyboard.press("Escape")
    verdict(page).to_have_text("Draw a digit from 0 to 9")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("0-as-in-mnist.png", "It is a 0"),
        ("3-blue-pen.jpg", "It is a 3"),
        ("5-chalk.jpg", "It is a 5"),
        ("7-transparent.png", "It is a 7"),
        ("8-pencil.png", "It is an 8"),
    ],
)
def test_the_digit_of_a_photo_is_found_and_read(open_demo, name, text):
    page = open_demo()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a picture").click()
    chooser.value.set_files(SAMPLES / name)
    verdict(page).to_have_text(text, timeout=LOADING_MS)


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted(open_demo, kind):
    page = open_demo()
    data = base64.b64encode((SAMPLES / "5-chalk.jpg").read_bytes()).decode()
    page.evaluate(
        """([kind, data]) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "a.jpg", { type: "image/jpeg" }));
            const event = kind === "drop"
                ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
                : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true });
            document.getElementById("area").dispatchEvent(event);
        }""",
        [kind, data],
    )
    verdict(page).to_have_text("It is a 5", timeout=LOADING_MS)


def test_another_frame_reads_another_digit(open_demo):
    page = open_demo()
    page.set_input_files("#file", SAMPLES / "page.jpg")  # 1984, 2750, 6361
    verdict(page).not_to_have_text("Draw a digit from 0 to 9")
    draw(page, [(0.2, 0.2), (0.35, 0.36)], "#area")
    verdict(page).to_have_text("It is a 1")
    draw(page, [(0.34, 0.2), (0.48, 0.36)], "#area")
    verdict(page).to_have_text("It is a 9")
    draw(page, [(0.5, 0.5)], "#area")  # a tap: all of it
    verdict(page).to_have_text("Not a digit?")


def test_a_photo_is_turned_upright_and_reduced(open_demo, tmp_path):
    image = pytest.importorskip("PIL.Image")
    digit = cv2.imread(str(SAMPLES / "3-blue-pen.jpg"))
    large = cv2.resize(digit, (3150, 4200), interpolation=cv2.INTER_LINEAR)
    lying = np.ascontiguousarray(np.rot90(large)[:, :, ::-1])
    exif = image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    file = io.BytesIO()
    image.fromarray(lying).save(file, "JPEG", exif=exif)
    page = open_demo()
    photo = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": file.getvalue()}
    page.set_input_files("#camera", photo)
    verdict(page).to_have_text("It is a 3", timeout=LOADING_MS)


def test_a_file_that_is_no_picture_is_refused(open_demo):
    page = open_demo()
    draw(page, THREE, "#area")
    verdict(page).to_have_text("It is a 3")
    file = {"name": "a.png", "mimeType": "image/png", "buffer": b"not a picture"}
    page.set_input_files("#file", file)
    verdict(page).to_have_text("This browser cannot open that file as a picture")
    page.get_by_role("button", name="Clear").click()
    verdict(page).to_have_text("Draw a digit from 0 to 9")


def test_a_picture_of_one_colour_has_nothing_to_read(open_demo):
    page = open_demo()
    data = cv2.imencode(".png", np.full((90, 120), 200, np.uint8))[1].tobytes()
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": data})
    verdict(page).to_have_text("Nothing to read: the picture has a single colour")


def test_it_fits_a_phone(open_demo):
    phone = {"width": 390, "height": 844}
    page = open_demo(viewport=phone, device_scale_factor=2, is_mobile=True, has_touch=True)
    draw(page, THREE, "#area")
    verdict(page).to_have_text("It is a 3")
    assert page.evaluate("document.documentElement.scrollWidth") <= phone["width"]
    box = place(page.locator(".answer"))
    assert box["y"] + box["height"] <= phone["height"]  # seen while drawing


def test_the_golden_vectors_hold_in_the_browser(open_demo, site):
    page = open_demo()
    found = page.evaluate(
        """async (site) => {
            const { compareGolden } = await import(site + "golden.mjs");
            const load = (name) => import(new URL(name, location.href));
            const [{ toGrey }, { digitImage }, { Model }] = await Promise.all(
                ["pixels.js", "normal_form.js", "model.js"].map(load));
            const file = await (await fetch("digits-int8.onnx")).arrayBuffer();
            const packed = await fetch(site + "golden/golden.bin.gz");
            const plain = packed.body.pipeThrough(new DecompressionStream("gzip"));
            const model = await Model.load(new Uint8Array(file));
            const code = { toGrey, digitImage, model };
            return compareGolden(await new Response(plain).arrayBuffer(), code);
        }""",
        site,
    )
    assert found["pictures"] == found["sameDigit"] == 200
    assert found["differentByMore"] <= 0.01 * found["pixels"]
    assert found["probabilityError"] <= 1e-5
