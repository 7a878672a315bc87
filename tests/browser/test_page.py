"""The page of ``digitkit serve`` in Chromium: reading, drawing, the history, the review."""

import csv
import json
import re

import pytest

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("starlette")

from support.served_page import (
    ONE,
    PHONE,
    SAMPLES,
    SCRIBBLE,
    SECTIONS,
    THREE,
    draw,
    place,
    sample,
    threshold_doubting,
)
from support.serving import Serving, until

from digitkit.images.cv import cv2

pytestmark = pytest.mark.slow
expect = playwright.expect


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    """A service without a camera."""
    with Serving(tmp_path_factory.mktemp("service")) as serving:
        yield serving


@pytest.fixture
def doubtful(serve):
    """A service in which something is doubtful, with a history of its own."""
    serving = serve("--min-confidence", threshold_doubting("notes.jpg", 2))
    serving.read((SAMPLES / "notes.jpg").read_bytes(), name="notes.jpg")
    return serving


def test_sections_are_links_and_one_is_shown(serving, open_page):
    page = open_page(serving.url)
    expect(page.locator("#section-live")).to_be_visible()
    for name in SECTIONS[::-1]:
        page.locator(f"#tabs a[href='#{name}']").focus()
        page.keyboard.press("Enter")
        expect(page.locator(f"#section-{name}")).to_be_visible()
        assert page.locator("main > section:visible").count() == 1
        expect(page.locator("[aria-current]")).to_have_attribute("href", f"#{name}")
    page.go_back()
    expect(page.locator("#section-read")).to_be_visible()
    page.goto(f"{serving.url}#history")
    expect(page.locator("#section-history")).to_be_visible()
    assert "History" in page.title()
    page.goto(f"{serving.url}#nothing")
    expect(page.locator("#section-live")).to_be_visible()


def test_without_a_camera_it_says_how_to_get_one(serving, open_page):
    page = open_page(serving.url)
    expect(page.locator("#live-empty")).to_contain_text("digitkit serve --camera 0")
    page.get_by_role("link", name="Read a picture").click()
    expect(page.locator("#drop")).to_be_visible()


def test_a_3_that_is_drawn_is_read(serving, open_page):
    page = open_page(f"{serving.url}#draw")
    verdict = page.locator("#draw-verdict")
    expect(page.get_by_role("button", name="Clear")).to_be_disabled()
    draw(page, THREE)
    expect(verdict).to_contain_text("A 3")
    expect(page.locator("#draw-digit")).to_have_text("3")
    assert page.locator("#bars li").count() == 10
    expect(page.locator("#bars li.first")).to_contain_text("399.")
    assert page.locator("#draw-seen").evaluate("image => image.naturalWidth") == 28
    page.get_by_role("button", name="Clear").click()
    expect(verdict).to_have_text("Nothing drawn yet")
    draw(page, ONE)
    expect(verdict).to_contain_text("A 1")
    draw(page, [(0.2, 0.5), (0.8, 0.5)])
    expect(verdict).not_to_contain_text("A 1")
    page.get_by_role("button", name="Undo the last stroke").click()
    expect(verdict).to_contain_text("A 1")
    assert serving.client.get("api/readings").json()["readings"] == []  # drawings are not kept


def test_a_digit_is_drawn_with_keys(serving, open_page):
    page = open_page(f"{serving.url}#draw")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "pad":
            break
    for key in ("Space", *["ArrowDown"] * 16, "Space", *["ArrowLeft"] * 9):
        page.keyboard.press(key)
    expect(page.locator("#draw-verdict")).to_contain_text("A 1")
    page.keyboard.press("Escape")
    expect(page.locator("#draw-verdict")).to_have_text("Nothing drawn yet")


def test_a_digit_is_drawn_whatever_is_expected_elsewhere(serve, open_page):
    page = open_page(f"{serve('--expect', '4').url}#draw")
    draw(page, THREE)
    expect(page.locator("#draw-verdict")).to_contain_text("A 3")


def test_what_is_no_digit_is_said(serving, open_page):
    page = open_page(f"{serving.url}#draw")
    draw(page, SCRIBBLE)
    expect(page.locator("#draw-verdict")).to_have_text("Probably not a digit")


def test_the_numbers_of_an_uploaded_page_are_seen(doubtful, open_page):
    page = open_page(f"{doubtful.url}#read")
    page.set_input_files("#file", SAMPLES / "notes.jpg")
    numbers = page.locator("#read-numbers li")
    expect(numbers).to_have_count(6)
    text = numbers.nth(2).locator(".text").inner_text()
    assert (text[0], text.count("?")) == ("4", 2)
    expect(numbers.nth(2)).to_contain_text("incomplete")
    expect(numbers.nth(2)).to_contain_text("digit 4 is doubtful")
    assert page.locator("#read-boxes g.incomplete text").all_text_contents() == [text]
    page.get_by_label("What the model saw").check()
    expect(page.locator(".seen-row img")).to_have_count(14)
    # The box is where the number is.
    answer = doubtful.client.get("api/readings").json()["readings"][0]
    box = answer["numbers"][0]["box"]
    drawn = place(page.locator("#read-boxes rect").nth(1))
    picture = place(page.locator("#read-picture"))
    scale = picture["width"] / cv2.imread(str(SAMPLES / "notes.jpg")).shape[1]
    assert drawn["x"] - picture["x"] == pytest.approx(box[0] * scale, abs=5)
    assert drawn["y"] - picture["y"] == pytest.approx(box[1] * scale, abs=5)
    page.get_by_role("button", name="Copy the text").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    expect(page.locator("#open-count")).to_contain_text("2")  # those that are known


def test_options_are_sent_and_mistakes_are_said(serving, open_page):
    page = open_page(f"{serving.url}#read", expected=["status of 400"])
    page.get_by_text("Options").click()
    page.get_by_label("Digits per number").fill("2")
    page.get_by_label("Keep it in the history").uncheck()
    page.set_input_files("#file", SAMPLES / "notes.jpg")
    expect(page.locator("#read-numbers")).to_contain_text("4711 left out")
    page.get_by_label("Pattern").fill("[")
    page.set_input_files("#file", SAMPLES / "notes.jpg")
    expect(page.locator("#read-problem")).to_contain_text("[")
    page.get_by_label("Pattern").fill("")
    nothing = {"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.set_input_files("#file", nothing)
    expect(page.locator("#read-problem")).to_contain_text("Not an image")
    expect(page.locator("#read-result")).to_be_hidden()
    page.set_input_files("#file", SAMPLES / "3-blue-pen.jpg")
    expect(page.locator("#read-problem")).to_be_hidden()


def test_a_picture_is_turned_upright(serving, open_page):
    page = open_page(f"{serving.url}#read")
    page.get_by_text("Options").click()
    page.get_by_label("Which side is up").select_option("auto")
    page.get_by_label("Keep it in the history").uncheck()
    lying = cv2.rotate(cv2.imread(str(SAMPLES / "page.jpg")), cv2.ROTATE_90_COUNTERCLOCKWISE)
    data = cv2.imencode(".png", lying)[1].tobytes()
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": data})
    expect(page.locator("#read-numbers")).to_contain_text("2750")
    width, height = page.locator("#read-picture").evaluate("c => [c.width, c.height]")
    assert width / height == pytest.approx(lying.shape[0] / lying.shape[1], abs=0.01)


def test_what_a_browser_cannot_decode_is_shown_by_the_service(serving, open_page):
    page = open_page(f"{serving.url}#read")
    data = cv2.imencode(".tiff", cv2.imread(str(SAMPLES / "page.jpg")))[1].tobytes()
    page.set_input_files("#file", {"name": "a.tiff", "mimeType": "image/tiff", "buffer": data})
    expect(page.locator("#read-numbers")).to_contain_text("1984")
    expect(page.locator("#read-fallback")).to_be_visible()
    until(lambda: page.locator("#read-fallback").evaluate("image => image.naturalWidth") > 100)


@pytest.mark.parametrize(("event", "target"), [("paste", "body"), ("drop", "#section-read")])
def test_a_picture_is_pasted_or_dropped(serving, open_page, event, target):
    page = open_page(f"{serving.url}#read")
    data = list((SAMPLES / "3-blue-pen.jpg").read_bytes())
    page.evaluate(
        """([kind, target, data]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(data)], "3.jpg", { type: "image/jpeg" }));
            const event = kind === "drop"
                ? new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true })
                : new ClipboardEvent(kind, { clipboardData: transfer, bubbles: true });
            document.querySelector(target).dispatchEvent(event);
        }""",
        [event, target, data],
    )
    expect(page.locator("#read-numbers .text")).to_have_text("3")


def test_it_tries_again_where_too_many_wait(serving, open_page):
    answers = []

    def refuse_once(route):
        answers.append(route.request.url)
        if len(answers) > 1:
            route.fallback()
        else:
            body = json.dumps({"error": {"code": "queue_full", "message": "too many"}})
            route.fulfill(status=429, headers={"Retry-After": "1"}, body=body)

    routes = {"**/api/read?*": refuse_once}
    page = open_page(f"{serving.url}#read", expected=["status of 429"], routes=routes)
    page.set_input_files("#file", SAMPLES / "3-blue-pen.jpg")
    expect(page.locator("#read-numbers .text")).to_have_text("3")
    assert len(answers) == 2


def test_the_history_as_table_plot_and_csv(serve, open_page):
    serving = serve()
    for name in ("page.jpg", "notes.jpg"):
        serving.read((SAMPLES / name).read_bytes(), name=name)
    page = open_page(f"{serving.url}#history")
    rows = page.locator("#rows tr")
    expect(rows).to_have_count(9)
    assert rows.nth(0).locator("td").nth(1).inner_text() == "20"
    assert rows.nth(8).locator("td").nth(5).inner_text() == "page.jpg"
    assert page.locator("#plot circle").count() == 9
    expect(page.locator("#plot-text")).to_contain_text("highest 6361, last")
    serving.read((SAMPLES / "3-blue-pen.jpg").read_bytes(), name="new.jpg")
    expect(rows).to_have_count(10)  # by itself
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    lines = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert [line["text"] for line in lines][-2:] == ["60", "3"]
    assert len(lines) == 10
    for name in ("Hour", "Week", "All"):
        page.get_by_role("button", name=name).click()
        expect(page.get_by_role("button", name=name)).to_have_attribute("aria-pressed", "true")
        expect(rows).to_have_count(10)


def test_an_empty_history_says_so(serving, open_page):
    nothing = {"**/api/readings?*": lambda route: route.fulfill(json={"readings": []})}
    page = open_page(f"{serving.url}#history", routes=nothing)
    page.get_by_role("button", name="Week").click()
    expect(page.locator("#history-none")).to_be_visible()
    expect(page.locator("#plot-card")).to_be_hidden()


def test_old_readings_are_loaded_on_demand(serve, open_page):
    serving = serve()
    data = sample("notes.jpg", 480)
    for _ in range(20):
        serving.read(data)
    page = open_page(f"{serving.url}#history")
    expect(page.locator("#rows tr")).to_have_count(100)
    page.get_by_role("button", name="Load more").click()
    expect(page.locator("#more")).to_be_hidden()
    assert page.locator("#rows tr").count() > 100


def test_doubtful_digits_are_reviewed_with_the_keyboard(doubtful, open_page):
    page = open_page(f"{doubtful.url}#review")
    left, badge = page.locator(".review-left"), page.locator("#open-count")
    expect(left).to_have_text("2 left, 0 decided")
    expect(badge).to_contain_text("2")
    until(lambda: page.locator(".review-crop").evaluate("image => image.naturalWidth") > 0)
    first = page.locator(".review-read strong").inner_text()
    page.keyboard.press("1" if first == "1" else "2")
    expect(left).to_have_text("1 left, 1 decided")
    expect(badge).to_contain_text("1")
    page.keyboard.press("n")
    expect(left).to_have_text("0 left, 2 decided")
    expect(badge).to_be_hidden()
    page.keyboard.press("u")
    expect(left).to_have_text("1 left, 1 decided")
    page.keyboard.press("s")
    expect(left).to_have_text("0 left, 1 decided, 1 skipped")
    assert doubtful.client.get("api/review").json()["open"] == 1
    with page.expect_download() as download:
        page.get_by_role("link", name="Save the corrections").click()
    (line,) = download.value.path().read_text().splitlines()
    assert json.loads(line)["text"] == first
    # What is new is added.
    doubtful.read((SAMPLES / "notes.jpg").read_bytes(), name="again.jpg")
    expect(page.locator(".review-source")).to_have_text("again.jpg")


def test_a_decision_that_is_not_saved_is_said(doubtful, open_page):
    page = open_page(
        f"{doubtful.url}#review",
        expected=["ERR_CONNECTION", "ERR_FAILED"],
        routes={"**/api/review/*": lambda route: route.abort()},
    )
    expect(page.locator(".review-left")).to_have_text("2 left, 0 decided")
    page.keyboard.press("1")
    expect(page.locator(".review-error")).to_contain_text("Not saved")
    expect(page.locator("#offline")).to_be_visible()
    page.unroute("**/api/review/*")
    page.keyboard.press("1")
    expect(page.locator(".review-left")).to_have_text("1 left, 1 decided")
    expect(page.locator("#offline")).to_be_hidden()


def test_the_device_and_its_doctor(serving, open_page):
    page = open_page(f"{serving.url}#device")
    expect(page.locator("#health")).to_contain_text("Camera")
    expect(page.locator("#model")).to_contain_text("99.73% on MNIST test (10,000)")
    expect(page.locator("#versions")).to_contain_text("onnxruntime")
    expect(page.get_by_role("button", name="Log out")).to_be_hidden()  # no token is required
    page.get_by_role("button", name="Run the doctor").click()
    expect(page.locator("#doctor-table")).to_be_visible()
    expect(page.locator("#doctor-summary")).to_have_text(re.compile("wrong|warning|problem"))
    assert page.locator("#doctor-rows tr").count() > 10
    links = page.locator("#section-device .links a").evaluate_all("all => all.map(a => a.href)")
    assert [serving.client.get(link).status_code for link in links] == [200] * 3


@pytest.mark.parametrize(("width", "height"), [(320, 568), (800, 600), (844, 390), (1920, 1080)])
def test_nothing_is_wider_than_the_window(doubtful, open_page, width, height):
    page = open_page(doubtful.url, viewport={"width": width, "height": height})
    for name in SECTIONS:
        page.locator(f"#tabs a[href='#{name}']").click()
        if name == "history":
            expect(page.locator("#plot circle").first).to_be_visible()
        if name == "review":
            expect(page.locator(".review-card")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("scrollY") == 0


def test_a_phone_shows_all_of_it(doubtful, open_page):
    page = open_page(f"{doubtful.url}#read", **PHONE)
    photo = page.locator("#photo")
    assert photo.get_attribute("capture") == "environment"
    expect(page.get_by_text("Take a photo")).to_be_visible()
    photo.set_input_files(SAMPLES / "page.jpg")
    expect(page.locator("#read-numbers li")).to_have_count(3)
    for name in SECTIONS:
        page.locator(f"#tabs a[href='#{name}']").tap()
        expect(page.locator(f"#section-{name}")).to_be_visible()
        if name == "history":
            expect(page.locator("#rows tr").first).to_be_visible()
        if name == "review":
            expect(page.locator(".review-digits")).to_be_visible()
            # A thumb decides without scrolling.
            box = place(page.locator(".review-others"))
            assert box["y"] + box["height"] < place(page.locator("#tabs"))["y"]
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        small = page.evaluate(
            """() => [...document.querySelectorAll("button, .button, summary, #tabs a, select")]
                .filter((one) => one.getClientRects().length)
                .filter((one) => one.getBoundingClientRect().height < 44)
                .map((one) => one.outerHTML)"""
        )
        assert small == []
    page.locator("#tabs a[href='#draw']").tap()
    draw(page, THREE)
    expect(page.locator("#draw-verdict")).to_contain_text("A 3")
