"""The page of ``digitkit serve`` in Chromium: for everyone, with a token, behind a proxy."""

import os

import pytest

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("starlette")

from support.paths import ROOT
from support.served_page import (
    PHONE,
    SAMPLES,
    SECTIONS,
    THREE,
    Camera,
    Proxy,
    draw,
    sample,
    threshold_doubting,
)
from support.serving import until

pytestmark = pytest.mark.slow
expect = playwright.expect

TOKEN = "correct-horse-battery-staple"
DESKTOP = {"viewport": {"width": 1280, "height": 780}}
PICTURES = ROOT / "docs/images"


def test_the_token_is_asked_for_and_kept_nowhere(serve, open_page, tmp_path):
    file = tmp_path / "token.txt"
    file.write_text(f"{TOKEN}\n")
    serving = serve("--token-file", file)
    page = open_page(f"{serving.url}#history", expected=["status of 401"])
    requests = []
    page.context.on("request", lambda request: requests.append((request.url, request.headers)))
    expect(page.locator("#token")).to_be_focused()
    expect(page.locator("#tabs")).to_be_hidden()
    page.locator("#token").fill("wrong-token-wrong-token")
    page.keyboard.press("Enter")
    expect(page.locator("#login-problem")).to_have_text("The token is wrong.")
    page.locator("#token").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("#section-history")).to_be_visible()
    assert page.locator("#token").input_value() == ""
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert TOKEN not in cookie["value"]
    stored = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    assert page.evaluate(stored) == '[{},{},""]'
    # Another tab of the profile is let in; streams and pictures, too.
    second = page.context.new_page()
    second.goto(f"{serving.url}#device")
    expect(second.locator("#model")).to_contain_text("MNIST")
    second.get_by_role("button", name="Log out").click()
    expect(second.locator("#token")).to_be_visible()
    second.close()
    page.reload()
    expect(page.locator("#token")).to_be_visible()
    assert requests
    assert TOKEN not in str(requests)
    assert TOKEN not in serving.errors.read_text()
    assert TOKEN.encode() not in serving.history.read_bytes()


def test_a_phone_opens_it_by_the_name_of_the_device(serve, launch, open_page):
    """Without HTTPS a browser gives a page neither its camera nor its clipboard."""
    phone = launch("--host-resolver-rules=MAP pi.local 127.0.0.1")
    serving = serve("--token", TOKEN, "--host", "0.0.0.0")
    url = f"http://pi.local:{serving.port}/"
    page = open_page(f"{url}#read", browser=phone, expected=["status of 401"], **PHONE)
    page.locator("#token").fill(TOKEN)
    page.get_by_role("button", name="Log in").tap()
    expect(page.get_by_text("Take a photo")).to_be_visible()
    expect(page.locator("#camera-start")).to_be_hidden()
    page.set_input_files("#photo", SAMPLES / "page.jpg")
    expect(page.locator("#read-numbers .text")).to_have_text(["1984", "2750", "6361"])
    page.get_by_role("button", name="Copy the text").tap()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    page.locator("#tabs a[href='#draw']").tap()
    draw(page, THREE)
    expect(page.locator("#draw-verdict")).to_contain_text("A 3")


def test_it_works_under_a_path_of_a_reverse_proxy(serve, open_page):
    with Camera(sample("page.jpg")) as camera:
        serving = serve("--camera", f"http://127.0.0.1:{camera.port}/", "--fps", "5")
        threshold = threshold_doubting("notes.jpg", 2)
        serving.read((SAMPLES / "notes.jpg").read_bytes(), min_confidence=threshold)
        with Proxy(serving.url) as proxy:
            page = open_page(proxy.url)
            expect(page.locator("#live-numbers .text")).to_have_text(["1984", "2750", "6361"])
            until(lambda: page.locator("#stream").evaluate("image => image.naturalWidth > 0"))
            page.locator("#tabs a[href='#read']").click()
            page.set_input_files("#file", SAMPLES / "3-blue-pen.jpg")
            expect(page.locator("#read-numbers .text")).to_have_text("3")
            page.locator("#tabs a[href='#draw']").click()
            draw(page, THREE)
            expect(page.locator("#draw-verdict")).to_contain_text("A 3")
            page.locator("#tabs a[href='#history']").click()
            expect(page.locator("#rows tr").first).to_be_visible()
            page.locator("#tabs a[href='#review']").click()
            crop = page.locator(".review-crop")
            until(lambda: crop.evaluate("image => image.naturalWidth > 0"))
            page.keyboard.press("n")
            expect(page.locator(".review-left")).to_have_text("1 left, 1 decided")
            page.locator("#tabs a[href='#device']").click()
            expect(page.locator("#model")).to_contain_text("MNIST")
            page.close()
            assert proxy.elsewhere == []


@pytest.fixture
def furnished(serve):
    """A service that has something to show in each section."""
    with Camera(sample("notes.jpg", 1280)) as camera:
        url = f"http://127.0.0.1:{camera.port}/"
        threshold = threshold_doubting("notes.jpg", 2)
        serving = serve("--camera", url, "--fps", "5", "--min-confidence", threshold)
        serving.read((SAMPLES / "page.jpg").read_bytes(), name="page.jpg")
        yield serving


def fill(page, name):
    """Use a section, until there is something to see."""
    if name == "live":
        expect(page.locator("#live-events li").nth(1)).to_be_visible()
        until(lambda: page.locator("#stream").evaluate("image => image.naturalWidth > 0"))
    elif name == "read":
        page.get_by_text("Options").click()
        page.set_input_files("#file", SAMPLES / "notes.jpg")
        expect(page.locator("#read-numbers li").first).to_be_visible()
        page.get_by_label("What the model saw").check()
    elif name == "draw":
        draw(page, THREE)
        expect(page.locator("#draw-verdict")).to_contain_text("A 3")
    elif name == "history":
        expect(page.locator("#rows tr").first).to_be_visible()
    elif name == "review":
        expect(page.locator(".review-card")).to_be_visible()
        expect(page.locator("#learn pre")).to_be_visible()
    else:
        page.get_by_role("button", name="Run the doctor").click()
        expect(page.locator("#doctor-table")).to_be_visible()
        expect(page.locator("#model")).to_contain_text("MNIST")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(furnished, open_page, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(furnished.url, color_scheme=scheme, reduced_motion="reduce", **DESKTOP)
    found = []
    for name in SECTIONS:
        page.locator(f"#tabs a[href='#{name}']").click()
        fill(page, name)
        page.mouse.move(0, 0)
        for violation in axe.run(page).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                nodes = [node["html"] for node in violation["nodes"]]
                found.append((name, violation["id"], violation["help"], nodes))
    assert found == []


def test_axe_finds_nothing_serious_in_the_form_for_the_token(serve, open_page):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(serve("--token", TOKEN).url, expected=["status of 401"])
    expect(page.locator("#token")).to_be_visible()
    assert axe.run(page).response["violations"] == []


@pytest.mark.skipif("DIGITKIT_SCREENSHOTS" not in os.environ, reason="DIGITKIT_SCREENSHOTS not set")
def test_pictures_for_the_documentation(furnished, open_page):
    page = open_page(furnished.url, **DESKTOP)
    fill(page, "live")
    keep(page, "serve-live.jpg")
    page.locator("#tabs a[href='#review']").click()
    until(lambda: page.locator(".review-crop").evaluate("image => image.naturalWidth > 0"))
    keep(page, "serve-review.jpg")
    page = open_page(furnished.url, **PHONE)
    fill(page, "live")
    keep(page, "serve-phone.jpg")


def keep(page, name):
    """Store what is seen; as JPEG, since PNG is large where there is a photo."""
    page.screenshot(path=PICTURES / name, type="jpeg", quality=85)
