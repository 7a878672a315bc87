"""The page of ``digitkit serve`` in Chromium: cameras, those of the service and of the browser."""

import pytest

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("starlette")

from support.served_page import PHONE, SAMPLES, Camera, place, sample
from support.serving import until

pytestmark = pytest.mark.slow
expect = playwright.expect

NUMBERS = ["1984", "2750", "6361"]  # of page.jpg


@pytest.fixture
def camera():
    with Camera(sample("page.jpg")) as camera:
        yield camera


@pytest.fixture
def watching(camera, serve):
    """A service that reads the camera."""
    return serve("--camera", f"http://127.0.0.1:{camera.port}/", "--fps", "5")


def viewers(serving):
    lines = serving.client.get("metrics").text.splitlines()
    (line,) = (line for line in lines if line.startswith("digitkit_viewers "))
    return float(line.split()[1])


def is_shown(page):
    return page.locator("#stream").evaluate("image => image.naturalWidth > 0")


def test_the_camera_is_seen_with_its_numbers(watching, camera, open_page):
    page = open_page(watching.url)
    numbers = page.locator("#live-numbers .text")
    expect(numbers).to_have_text(NUMBERS)
    until(lambda: is_shown(page))
    expect(page.locator("#live-state")).to_have_text("Live")
    expect(page.locator("#live-rate")).to_contain_text("frames/s")
    expect(page.locator("#live-age")).to_contain_text("updated 0.")
    expect(page.locator("#live-banner")).to_be_hidden()
    expect(page.locator("#live-events li")).to_have_count(3)
    camera.picture = sample("3-blue-pen.jpg", 480)
    expect(numbers).to_have_text(["3"])
    expect(page.locator("#live-events")).to_contain_text("1984 disappeared")
    expect(page.locator("#live-said")).not_to_be_empty()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save this picture").click()
    assert download.value.path().read_bytes()[:2] == b"\xff\xd8"
    page.get_by_role("button", name="Full screen").click()
    until(lambda: page.evaluate("document.fullscreenElement?.id") == "viewer")


def test_a_history_that_cannot_be_read_hides_no_picture(watching, open_page):
    error = {"error": {"code": "unavailable", "message": "history.db cannot be read"}}
    routes = {"**/api/readings?*": lambda route: route.fulfill(status=503, json=error)}
    page = open_page(f"{watching.url}#draw", expected=["status of 503"], routes=routes)
    page.locator("#tabs a[href='#live']").click()
    expect(page.locator("#live-numbers .text")).to_have_text(NUMBERS)
    until(lambda: is_shown(page))


def test_nothing_is_sent_while_nobody_watches(watching, open_page):
    page = open_page(watching.url)
    until(lambda: is_shown(page))
    assert viewers(watching) == 1
    page.locator("#tabs a[href='#draw']").click()
    until(lambda: viewers(watching) == 0)
    page.go_back()
    until(lambda: viewers(watching) == 1)
    # A tab in the background.
    page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", { value: true, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    until(lambda: viewers(watching) == 0)
    page.evaluate(
        """() => {
            delete document.hidden;
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    until(lambda: viewers(watching) == 1)


def test_a_stale_picture_says_so(serve, open_page):
    with Camera(sample("page.jpg")) as camera:
        serving = serve("--camera", f"http://127.0.0.1:{camera.port}/", "--fps", "5")
        page = open_page(serving.url, expected=["ERR_"])
        until(lambda: is_shown(page))
    banner = page.locator("#live-banner")
    expect(banner).to_contain_text("No new picture for")
    expect(page.locator("#viewer")).to_have_class("card viewer stale")
    expect(page.locator("#live-state")).to_have_text("Not live")
    assert is_shown(page)  # the last one stays
    with Camera(sample("3-blue-pen.jpg", 480), camera.port):
        expect(banner).to_be_hidden()
        expect(page.locator("#live-numbers .text")).to_have_text(["3"])
    serving.end()
    expect(banner).to_contain_text("the connection to the service is lost")


def test_it_comes_back_with_the_service(serve, camera, open_page):
    options = "--camera", f"http://127.0.0.1:{camera.port}/", "--fps", "5"
    first = serve(*options)
    page = open_page(first.url, expected=["ERR_"])
    until(lambda: is_shown(page))
    assert first.end() == 0
    camera.picture = sample("3-blue-pen.jpg", 480)
    second = serve(*options, "--port", first.port)
    expect(page.locator("#live-numbers .text")).to_have_text(["3"])
    until(lambda: viewers(second) == 1)
    # The picture is the new one: upright, where the other was wide.
    picture = page.locator("#stream")
    until(lambda: picture.evaluate("image => image.naturalHeight > image.naturalWidth"))


def test_files_that_are_read_once_are_finished(serve, open_page):
    serving = serve(SAMPLES / "page.jpg")
    page = open_page(serving.url)
    expect(page.locator("#live-numbers .text")).to_have_text(NUMBERS)
    expect(page.locator("#live-state")).to_have_text("Finished")
    expect(page.locator("#live-banner")).to_be_hidden()


@pytest.fixture
def fake_camera(launch, tmp_path):
    """A browser whose camera shows page.jpg."""
    file = tmp_path / "camera.mjpeg"
    file.write_bytes(sample("page.jpg", 640) * 5)
    return launch(
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={file}",
    )


def test_the_browsers_camera_is_read(serve, fake_camera, open_page):
    serving = serve()
    options = {"browser": fake_camera, "permissions": ["camera"]}
    page = open_page(f"{serving.url}#read", **options)
    page.get_by_role("button", name="Use this device’s camera").click()
    expect(page.locator("#read-numbers .text")).to_have_text(NUMBERS)
    expect(page.locator("#camera-boxes g")).to_have_count(3)
    expect(page.locator("#camera-facts")).to_contain_text("ms per picture")
    page.locator("#tabs a[href='#draw']").click()
    video = page.locator("#camera-video")
    assert video.evaluate("v => v.srcObject.getTracks().map(t => t.readyState)") == ["ended"]
    assert serving.client.get("api/readings").json()["readings"] == []  # nothing is kept


def test_a_camera_that_is_refused_is_said(serve, fake_camera, open_page):
    serving = serve()
    page = open_page(f"{serving.url}#read", browser=fake_camera)
    page.evaluate(
        """() => {
            const refuse = () => Promise.reject(new DOMException("no", "NotAllowedError"));
            navigator.mediaDevices.getUserMedia = refuse;
        }"""
    )
    page.get_by_role("button", name="Use this device’s camera").click()
    expect(page.locator("#read-problem")).to_contain_text("may not use the camera")


def test_a_phone_watches(watching, open_page):
    page = open_page(watching.url, **PHONE)
    expect(page.locator("#live-numbers .text")).to_have_text(NUMBERS)
    until(lambda: is_shown(page))
    box = place(page.locator("#viewer"))
    assert box["width"] <= 390
    assert box["y"] + box["height"] <= 844
