"""Who may use a service: tokens, names, origins."""

import re
import socket
from pathlib import Path

import pytest
from support.cli import one_error_line, run
from support.serving import Serving, httpx

from digitkit.inference.serve_options import ServeOptions

pytest.importorskip("uvicorn")

TOKEN = "a-long-enough-token"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "token").write_text(f"{TOKEN}\nnot a part of it\n")
    with Serving(folder, "--token-file", folder / "token") as service:
        yield service


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    with Serving(
        tmp_path_factory.mktemp("local"), "--allow-origin", "https://example.org"
    ) as service:
        yield service


def test_all_but_the_page_requires_the_token(guarded):
    for path in ("", "page/review.js", "api/openapi.json"):
        assert guarded.client.get(path).status_code == 200
    for path in (
        *("api/health", "api/live", "api/readings", "api/review", "api/corrections", "metrics"),
        *("snapshot.jpg", "stream.mjpg", "api/doctor", "nothing"),
    ):
        response = guarded.client.get(path)
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "unauthorized"
        assert "Bearer" in response.headers["www-authenticate"]
    assert guarded.read(b"image").status_code == 401


@pytest.mark.parametrize(
    "value",
    [
        "Bearer", "Bearer x", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN.upper()}", "Bearer ü\xff",
    ],
)  # fmt: skip
def test_wrong_tokens_open_nothing(guarded, value):
    headers = [(b"Authorization", value.encode("latin-1"))]
    assert guarded.client.get("api/health", headers=headers).status_code == 401


def test_the_right_token_opens(guarded):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.client.get("api/health", headers=headers).status_code == 200


def test_the_page_gets_a_cookie_for_the_token(guarded):
    with httpx.Client(base_url=guarded.url) as browser:
        wrong = browser.post("api/login", json={"token": "wrong-token"})
        assert wrong.status_code == 401
        assert "set-cookie" not in wrong.headers
        right = browser.post("api/login", json={"token": TOKEN})
        assert right.status_code == 204
        cookie = right.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN not in cookie
        assert browser.get("api/health").status_code == 200
        browser.post("api/logout")
        assert browser.get("api/health").status_code == 401
        unusual = f'settings={{"a": "b c"}}; {right.headers["set-cookie"].partition(";")[0]}'
        response = guarded.client.get("api/health", headers={"Cookie": unusual})
        assert response.status_code == 200  # of another service on this host
    for value in ("x", "", '"', TOKEN):
        response = guarded.client.get("api/health", headers={"Cookie": f"digitkit={value}"})
        assert response.status_code == 401


def test_what_is_refused_is_counted(guarded):
    headers = {"Authorization": f"Bearer {TOKEN}"}

    def count() -> float:
        text = guarded.client.get("metrics", headers=headers).text
        found = re.search(r'digitkit_errors_total\{code="unauthorized"\} (.+)', text)
        return 0.0 if found is None else float(found[1])

    before = count()
    assert guarded.client.get("api/health").status_code == 401
    assert count() == before + 1


def test_tokens_are_not_logged(guarded):
    headers = {"Authorization": "Bearer a-wrong-secret"}
    guarded.client.get("api/health?token=another-secret", headers=headers)
    assert guarded.end() == 0
    text = guarded.errors.read_text()
    assert "secret" not in text
    assert TOKEN not in text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "localhost.evil.example", ""]
)
def test_without_a_token_other_names_are_refused(local, host):
    response = local.client.get("api/health", headers={"Host": host})
    assert response.status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:99", "[::1]:80"])
def test_names_of_this_machine_are_answered(local, host):
    assert local.client.get("api/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_origins_change_nothing(local, headers):
    response = local.client.post("api/read", content=b"image", headers=headers)
    assert response.status_code == 403
    assert local.client.delete("api/review/1", headers=headers).status_code == 403


def test_its_own_page_and_the_allowed_origin_may(local):
    own = {"Origin": local.url.strip("/"), "Sec-Fetch-Site": "same-origin"}
    assert local.client.delete("api/review/1", headers=own).status_code == 404
    allowed = {"Origin": "https://example.org", "Sec-Fetch-Site": "cross-site"}
    response = local.client.delete("api/review/1", headers=allowed)
    assert response.status_code == 404
    assert response.headers["access-control-allow-origin"] == "https://example.org"
    evil = local.client.get("api/health", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in evil.headers


def test_a_host_that_others_reach_requires_a_token(tmp_path):
    line = one_error_line(run("serve", "--host", "0.0.0.0", "--port", 0), 2)
    assert "--host 0.0.0.0" in line
    assert "--no-token" in line
    with Serving(tmp_path, "--host", "0.0.0.0", "--no-token") as service:
        url = f"http://127.0.0.1:{service.port}/api/health"
        assert httpx.get(url, headers={"Host": "pi.local"}).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--token", "short"], ["--token", "8"]),
        (["--token", "with spaces in it"], ["--token"]),
        (["--token", "12345678", "--no-token"], ["--no-token"]),
        (["--token-file", "nowhere"], ["nowhere", "does not exist"]),
        (["--port", "70000"], ["--port", "65535"]),
        (["--allow-origin", "example.org"], ["--allow-origin", "https://"]),
        (["--allow-origin", "*"], ["--allow-origin"]),
        (["--host", "no.such.host.invalid", "--no-token"], ["--host"]),
        (["--host", "a" * 70, "--no-token"], ["--host"]),
        (["--workers", "0"], ["--workers"]),
        (["--keep-mb", "0"], ["--keep-mb"]),
        (["--camera", "0", "page.jpg"], ["SOURCES"]),
        (["--model", "nothing"], ["nothing"]),
        (["--fps", "5"], ["--fps", "camera"]),
    ],
)
def test_mistakes_are_one_line(tmp_path, arguments, words):
    line = one_error_line(run("serve", "--history", tmp_path / "h.db", *arguments), 2)
    assert all(word in line for word in words), line


def test_a_port_that_is_taken_is_said(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run("serve", "--port", port, "--history", tmp_path / "h.db")
        assert f"--port {port}" in one_error_line(result, 2)


@pytest.mark.parametrize("option", ["port", "host"])
def test_an_address_that_is_not_there_yet_is_tried_again(tmp_path, monkeypatch, option):
    """By systemd, which does not start a service again whose settings are wrong."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        values = {"port": other.getsockname()[1], "host": "192.0.2.7"}
        result = run(
            *("serve", "--no-token", "--history", tmp_path / "h.db"),
            *(f"--{option}", values[option]),
        )
        one_error_line(result, 2)


def test_the_token_of_the_environment(tmp_path):
    with Serving(tmp_path, env={"DIGITKIT_TOKEN": TOKEN}) as service:
        assert service.client.get("api/health").status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert service.client.get("api/health", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"token_file": Path("a")}),
        ({"token": TOKEN}, {"token": TOKEN}),
        ({"token_file": Path("b")}, {"token_file": Path("b")}),
        ({"no_token": True}, {"no_token": True}),
        ({"no_token": False, "port": 0}, {"token_file": Path("a"), "port": 0}),
    ],
)
def test_a_token_that_is_given_takes_the_place_of_that_of_the_settings(given, expected):
    settings = {"token_file": Path("a"), "keep": 3.0}
    assert ServeOptions.create(settings, **given) == ServeOptions(keep=3.0, **expected)


def test_settings_name_what_the_service_needs(tmp_path):
    (tmp_path / "token.txt").write_text(TOKEN)
    settings = tmp_path / "digitkit.toml"
    settings.write_text(
        'format = "jsonl"\nmode = "page"\n[serve]\ntoken_file = "token.txt"\nkeep = 3\nport = 1\n'
    )
    with Serving(tmp_path, "--config", settings) as service:
        assert service.client.get("api/health").status_code == 401
    settings.write_text('[serve]\ntoken = "x"\nprot = 80\nport = "80"\n')
    line = one_error_line(run("serve", "--config", settings), 2)
    assert all(word in line for word in ("serve.token", "serve.prot", "serve.port")), line
