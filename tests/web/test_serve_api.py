"""The API of ``digitkit serve``, each answer compared with its own description."""

import base64
import json
import re
import socket
from contextlib import suppress

import jsonschema
import numpy as np
import pytest
from support.paths import ROOT
from support.serving import Serving, httpx

from digitkit.images.cv import cv2

pytest.importorskip("uvicorn")
from digitkit.web.app import ROUTES

SAMPLES = ROOT / "data" / "samples"
PAGE, NOTES = (SAMPLES / "page.jpg").read_bytes(), (SAMPLES / "notes.jpg").read_bytes()


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    with Serving(tmp_path_factory.mktemp("api"), "--max-mb", "1") as service:
        yield service


@pytest.fixture(scope="module")
def document(serving):
    return serving.client.get("api/openapi.json").json()


@pytest.fixture(scope="module")
def check(document):
    """Checks that a response is as the document describes it, and gives its JSON value."""

    def check(response, status: int = 200):
        assert response.status_code == status, response.text
        path = "/" + str(response.request.url.path).removeprefix("/")
        (found,) = (
            methods[response.request.method.lower()]
            for template, methods in document["paths"].items()
            if re.fullmatch(re.sub(r"\\{\w+\\}", r"[^/]+", re.escape(template)), path)
        )
        answer = found["responses"][str(status)]
        if "$ref" in answer:
            answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        content = answer.get("content", {})
        if not content:
            assert not response.content
            return None
        kind = response.headers["content-type"]
        assert kind in content or kind.partition(";")[0] in content
        if kind != "application/json":
            return response.content
        schema = content[kind]["schema"] | {"components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(response.json())
        return response.json()

    return check


def test_the_document_describes_all_that_is_answered(document):
    described = {
        (re.sub(r"{\w+}", "{}", path), method.upper())
        for path, methods in document["paths"].items()
        for method in methods
        if method != "parameters"
    }
    answered = {
        (re.sub(r"{[^}]+}", "{}", route.path), method)
        for route in ROUTES
        for method in route.methods - {"HEAD"}
        if route.path not in ("/", "/page/{name}")
    }
    assert described == answered
    assert document["openapi"].startswith("3.1")


def test_a_page_is_read_as_infer_reads_it(serving, check):
    line = check(serving.read(PAGE, name="page.jpg"))
    assert line["source"] == "page.jpg"
    assert line["text"] == "1984\n2750\n6361"
    assert all(number["complete"] for number in line["numbers"])


def test_a_form_file_gives_the_same(serving, check):
    response = serving.client.post("api/read", files={"file": ("notes.jpg", NOTES)})
    line = check(response)
    assert line["source"] == "notes.jpg"
    assert line["text"] == check(serving.read(NOTES))["text"]


def test_large_form_files_are_not_written_to_a_disk(tmp_path):
    nowhere = "import tempfile; tempfile.tempdir = '/nowhere'"
    with Serving(tmp_path, before=nowhere) as service:
        noise = np.random.default_rng(0).integers(0, 256, (1200, 1200), np.uint8)
        data = cv2.imencode(".png", noise)[1].tobytes()
        assert len(data) > 1 << 20
        response = service.client.post("api/read", files={"file": ("noise.png", data)})
        assert response.status_code == 200


def test_who_accepts_pictures_only_gets_the_annotated_picture(serving, check):
    response = serving.client.post(
        "api/read", content=PAGE, headers={"Accept": "image/jpeg"}, params={"store": "false"}
    )
    image = cv2.imdecode(np.frombuffer(check(response), np.uint8), cv2.IMREAD_COLOR)
    assert max(image.shape) <= 1280
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 50
    assert "digitkit-reading" not in response.headers


def test_options_are_those_of_infer(serving, check):
    all_of_it, none = check(serving.read(PAGE)), check(serving.read(PAGE, expect=5))
    assert not none["text"]
    assert [one["reasons"] for one in none["dropped"]] == [["has 4 digits, expected 5"]] * 3
    assert [one["box"] for one in none["dropped"]] == [one["box"] for one in all_of_it["numbers"]]
    assert check(serving.read(PAGE, pattern=r"\d{4}"))["text"] == "1984\n2750\n6361"
    turned = cv2.imencode(".png", np.rot90(cv2.imdecode(np.frombuffer(PAGE, np.uint8), 1)))[1]
    assert check(serving.read(turned.tobytes(), orientation=90))["text"] == "1984\n2750\n6361"


def test_detail_says_what_the_classifier_saw(serving, check, one_of_each):
    data = cv2.imencode(".png", one_of_each[3])[1].tobytes()
    (digit,) = check(serving.read(data, mode="digit", detail="true"))["digits"]
    assert digit["digit"] == 3 == int(np.argmax(digit["probabilities"]))
    png = base64.b64decode(digit["image"].partition(",")[2])
    seen = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.abs(seen.astype(int) - one_of_each[3]).max() <= 2  # contrast is stretched


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"mode": "word"}, "mode"),
        ({"expect": "many"}, "expect"),
        ({"expect": "0"}, "expect"),
        ({"min_confidence": "1.5"}, "min_confidence"),
        ({"min_confidence": "nan"}, "min_confidence"),
        ({"pattern": "("}, "pattern"),
        ({"pattern": "a" * 501}, "pattern"),
        ({"store": "1"}, "store"),
        ({"colour": "red"}, "colour"),
        ({"mode": ["digit", "page"]}, "mode"),
        ({"mode": "number", "gap": "0.1"}, "gap"),
    ],
)
def test_a_wrong_option_is_named(serving, check, options, word):
    error = check(serving.read(PAGE, **options), 400)["error"]
    assert error["code"] == "invalid_option"
    assert word in error["message"]


@pytest.mark.parametrize("data", [b"", b"no image", PAGE[:5000], b"%PDF-1.4"])
def test_what_is_no_image_is_a_400(serving, check, data):
    assert check(serving.read(data), 400)["error"]["code"] == "not_an_image"


def test_a_form_without_a_file_is_a_400(serving, check):
    response = serving.client.post("api/read", data={"a": "b"}, files={})
    assert response.status_code == 400
    boundary = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (b"--x--\r\n", b"nothing", b'--x\r\nContent-Disposition: form-data; name="a"\r\n'):
        answer = serving.client.post("api/read", content=body, headers=boundary)
        assert check(answer, 400)["error"]["code"] in ("invalid_form", "not_an_image")
    assert "boundary" not in serving.errors.read_text("utf-8")  # any client could fill the log
    named = b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\nc\r\n--x--\r\n'
    boundary["Content-Type"] += "; charset=undefined"
    assert check(serving.client.post("api/read", content=named, headers=boundary), 400)
    nameless = serving.client.post(
        "api/read", content=b"x", headers={"Content-Type": "multipart/form-data"}
    )
    assert check(nameless, 400)["error"]["code"] == "invalid_form"


def test_what_is_too_large_is_a_413(serving, check):
    assert check(serving.read(bytes(1_000_001)), 413)["error"]["code"] == "too_large"
    chunks = (bytes(100_000) for _ in range(20))  # of unknown length
    assert check(serving.client.post("api/read", content=chunks), 413)["error"]["code"]


def test_names_are_harmless(serving, check):
    line = check(serving.read(PAGE, name="\x1b[2J<script>\n" + "x" * 500))
    assert line["source"].startswith("\\x1b[2J<script>\\n")
    assert len(line["source"]) < 220


def test_the_history_has_what_was_read(serving, check):
    response = serving.read(PAGE, name="one")
    number = int(response.headers["digitkit-reading"])
    serving.read(NOTES, name="two")
    serving.read(PAGE, name="not stored", store="false")
    found = check(serving.client.get("api/readings", params={"after": number - 1}))["readings"]
    assert [one["source"] for one in found] == ["one", "two"]
    assert found[0]["id"] == number
    newest = check(serving.client.get("api/readings", params={"limit": 1}))["readings"]
    assert newest == found[-1:]
    before = check(serving.client.get("api/readings", params={"before": found[1]["id"]}))
    assert before["readings"][0] == found[0]
    when = found[1]["written"]
    since = check(serving.client.get("api/readings", params={"since": when}))["readings"]
    assert [one["source"] for one in since] == ["two"]
    until = check(serving.client.get("api/readings", params={"until": when}))["readings"]
    assert until[0]["source"] == "one"
    wrong = serving.client.get("api/readings", params={"since": "yesterday"})
    assert check(wrong, 400)["error"]["code"] == "invalid_option"
    table = check(serving.client.get("api/readings.csv", params={"since": when})).decode()
    assert table.splitlines()[0] == "id,time,source,event,text,previous,complete,confidence"
    assert ",two," in table
    assert ",one," not in table


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory):
    """A service that has read a picture with a threshold that few digits reach, twice."""
    with Serving(tmp_path_factory.mktemp("review")) as service:
        for _ in range(2):
            service.read(NOTES, name="doubtful", min_confidence=0.999997)
        yield service


@pytest.fixture(scope="module")
def doubtful(reviewed, check):
    return check(reviewed.client.get("api/review"))


def test_doubtful_digits_are_to_be_reviewed(reviewed, check, doubtful):
    items = doubtful["items"]
    assert doubtful["open"] == len(items) > 2
    assert len({item["seen"][0] for item in items}) == len(items) <= 14  # each is there once
    assert [item["confidence"] for item in items] == sorted(i["confidence"] for i in items)
    # Browsers keep the pictures, and another history has other items of the same numbers.
    assert len({item["image"].partition("?")[2] for item in items}) == len(items)
    item = items[0]
    assert item["kind"] == "digit"
    picture = check(reviewed.client.get(item["image"]))
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), 1)
    x, y, w, h = item["box"]
    assert image[y : y + h, x : x + w].size
    seen = check(reviewed.client.get(item["seen"][0]))
    assert cv2.imdecode(np.frombuffer(seen, np.uint8), 0).shape == (28, 28)


def test_decisions_become_corrections(reviewed, check, doubtful):
    first, second, third = doubtful["items"][:3]
    for item, text in ((first, "7"), (second, ""), (third, "5")):
        check(reviewed.client.post(f"api/review/{item['id']}", json={"text": text}), 204)
    check(reviewed.client.delete(f"api/review/{third['id']}"), 204)
    rest = check(reviewed.client.get("api/review"))
    assert rest["open"] == doubtful["open"] - 2
    assert third["id"] in {item["id"] for item in rest["items"]}
    response = reviewed.client.get("api/corrections")
    lines = [json.loads(line) for line in check(response).decode().splitlines()]
    assert [line["text"] for line in lines] == ["7", ""]
    assert [line["read"] for line in lines] == [first["read"], second["read"]]
    png = base64.b64decode(lines[0]["images"][0])
    assert png == reviewed.client.get(first["seen"][0]).content


def test_what_cannot_be_decided_is_refused(reviewed, check, doubtful):
    item = doubtful["items"][-1]["id"]
    url = f"api/review/{item}"
    for text in ("12", "x", " ", None, 7):
        assert check(reviewed.client.post(url, json={"text": text}), 400)["error"]["code"]
    for body in (b"", b"{", b"[" * 4000, b'"7"', b"{}"):
        headers = {"Content-Type": "application/json"}
        assert check(reviewed.client.post(url, content=body, headers=headers), 400)
    check(reviewed.client.post(url, content=b'{"text": "7"}'), 415)
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    check(reviewed.client.post(url, content=b'{"text": "xy"}', headers=headers), 400)
    check(reviewed.client.post("api/review/999999", json={"text": "7"}), 404)
    check(reviewed.client.delete("api/review/999999"), 404)
    check(reviewed.client.get("api/review/999999/image.jpg"), 404)
    check(reviewed.client.get(f"api/review/{item}/seen/99.png"), 404)


def test_health_device_metrics(serving, check):
    serving.read(PAGE, store="false")
    serving.read(b"no image")
    health = check(serving.client.get("api/health"))
    assert health["status"] == "ok"
    assert health["camera"] is None
    device = check(serving.client.get("api/device"))
    assert device["model"]["architecture"]
    assert "numpy" in device["machine"]["packages"]
    assert serving.client.get("api/nothing").status_code == 404
    text = check(serving.client.get("metrics")).decode()
    assert re.search(r'digitkit_read_seconds_count{source="http"} [1-9]', text)
    assert re.search(r'digitkit_errors_total{code="not_an_image"} [1-9]', text)
    assert re.search(r'digitkit_errors_total{code="not_found"} [1-9]', text)


@pytest.mark.slow
def test_doctor(serving, check):
    diagnosis = check(serving.client.get("api/doctor"))
    assert {one["name"] for one in diagnosis["checks"]} >= {"Python", "contract"}


def test_without_a_camera_there_is_no_picture(serving, check):
    assert check(serving.client.get("snapshot.jpg"), 404)["error"]["code"] == "no_picture"


@pytest.mark.parametrize(
    "path",
    [
        "nothing", "api", "api/nothing", "page/", "page/nothing.js", "page/../../openapi.json",
        "page/..%2f..%2fopenapi.json", "page/%2e%2e/app.py", "page/app.py", "page/a%00.js",
        "api/review/-1", "api/review/1/seen/x.png", "//etc/passwd", "page//etc/passwd",
    ],
)  # fmt: skip
def test_other_paths_are_404(serving, path):
    url = httpx.URL(serving.url).copy_with(raw_path=f"/{path}".encode())
    response = serving.client.get(url)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


def test_a_wrong_method_is_a_405(serving, check):
    response = serving.client.get("api/read")
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert response.json()["error"]["code"] == "method_not_allowed"


def test_browsers_are_told_what_is_allowed(serving):
    for path in ("", "api/health", "nothing"):
        headers = serving.client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


@pytest.mark.slow
def test_random_requests_get_what_the_document_says(serving):
    pytest.importorskip("schemathesis")
    import subprocess
    import sys

    checks = (
        "not_a_server_error", "status_code_conformance", "content_type_conformance",
        "response_schema_conformance", "response_headers_conformance", "negative_data_rejection",
        "unsupported_method",
    )  # fmt: skip
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{serving.url}api/openapi.json"),
        *("--url", serving.url, "--checks", ",".join(checks), "--mode", "all", "-n", "10"),
        *("--seed", "17", "--phases", "coverage,fuzzing", "--no-color"),
        # Which do not end, or take seconds.
        *("--exclude-path", "/api/live", "--exclude-path", "/stream.mjpg"),
        *("--exclude-path", "/api/doctor"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("api/live", [(b"Last-Event-ID", b"\xb2")], 200),
        ("api/live", [(b"Last-Event-ID", b"9" * 5000)], 200),
        (f"api/review/{'9' * 5000}/image.jpg", [], 404),
        (f"api/review/{'9' * 100}/image.jpg", [], 404),
    ],
)
def test_numbers_that_are_none_of_ours(serving, path, headers, status):
    with serving.client.stream("GET", path, headers=headers) as response:
        assert response.status_code == status


@pytest.mark.parametrize("path", [b"/api/nothing", b"/api/live"])
def test_what_is_no_longer_http_ends_a_connection_quietly(serving, path):
    head = b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", serving.port), timeout=30) as connection:
        connection.sendall(head)
        assert connection.recv(65_536)
        connection.sendall(b"no length of a chunk\r\n")
        with suppress(ConnectionResetError):
            while connection.recv(65_536):
                pass
    assert serving.client.get("api/health").status_code == 200
    assert "Traceback" not in serving.errors.read_text()


@pytest.mark.parametrize("path", ["api/live", "stream.mjpg"])
def test_the_head_of_what_does_not_end_does(serving, path):
    with httpx.Client(base_url=serving.url, timeout=10) as client:
        assert client.head(path).status_code == 200
        assert client.get("api/health").status_code == 200  # by the same connection
