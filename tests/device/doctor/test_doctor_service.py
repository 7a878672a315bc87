"""Whether digitkit serve answers."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from digitkit.device.doctor import service_answer
from digitkit.device.doctor.evidence import DoctorConfig
from digitkit.device.doctor.service_answer import ask_service
from digitkit.errors import ConfigError


class _Handler(BaseHTTPRequestHandler):
    log_message = lambda self, *arguments: None  # noqa: E731 - quiet

    def do_GET(self):
        token = self.headers.get("Authorization")
        status, body = self.server.answers(self.path, token)
        self.send_response(status)
        self.end_headers()
        if body is None:  # a stream without an end
            try:
                while True:
                    self.wfile.write(b"x" * 10_000)
            except OSError:
                return
        self.wfile.write(body)


@pytest.fixture
def serve():
    servers = []

    def start(answers) -> str:
        server = HTTPServer(("127.0.0.1", 0), _Handler)
        server.answers = answers
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_service_that_answers(serve, tmp_path):
    url = serve(lambda path, token: (200 if path == "/api/health" else 404, b'{"status": "ok"}'))
    answer = ask_service(f"{url}/", tmp_path)
    assert answer.health == {"status": "ok"}
    assert answer.required


@pytest.mark.parametrize(
    ("status", "body", "known"), [(401, b"", True), (200, b"hello", False), (200, b"[]", False)]
)
def test_other_answers(serve, tmp_path, status, body, known):
    answer = ask_service(serve(lambda path, token: (status, body)), tmp_path)
    assert (answer.problem is None) == known
    assert answer.health is None


def test_an_endless_stream_is_not_read_to_its_end(serve, tmp_path):
    assert ask_service(serve(lambda path, token: (200, None)), tmp_path).problem


def test_what_speaks_another_protocol_is_no_service(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-server\r\n")

        threading.Thread(target=greet, daemon=True).start()
        answer = ask_service(f"http://127.0.0.1:{other.getsockname()[1]}", tmp_path)
    assert answer.status is None
    assert answer.problem


@pytest.mark.parametrize("value", ['"x"', "true", '" "', "[]"])
def test_settings_with_a_wrong_port_are_a_problem(tmp_path, value):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "digitkit.toml").write_text(f"[serve]\nport = {value}\n")
    assert ask_service(None, tmp_path).problem


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("192.0.2.7", "http://192.0.2.7:1"),
        ("::1", "http://[::1]:1"),
        ("[::1]", "http://[::1]:1"),
        ("localhost", "http://localhost:1"),
    ],
)
def test_it_is_asked_at_the_host_of_the_settings(tmp_path, monkeypatch, host, asked):
    monkeypatch.setattr(service_answer, "_ask", lambda url, token, required: url)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "digitkit.toml").write_text(f"[serve]\nhost = '{host}'\nport = 1\n")
    assert ask_service(None, tmp_path) == asked


def test_nothing_answers(tmp_path):
    answer = ask_service("http://127.0.0.1:9", tmp_path)
    assert answer.status is None
    assert "refused" in answer.problem


def test_the_settings_of_this_machine_say_where(serve, tmp_path, monkeypatch):
    monkeypatch.delenv("DIGITKIT_TOKEN", raising=False)
    assert ask_service(None, tmp_path) is None
    (tmp_path / "etc").mkdir()
    settings = tmp_path / "etc" / "digitkit.toml"
    settings.write_text("camera = 0\n")
    assert ask_service(None, tmp_path) is None
    settings.write_text("nonsense")
    assert ask_service(None, tmp_path) is None
    url = serve(lambda path, token: (200, b'{"status": "%s"}' % (token or "").encode()))
    port = url.rpartition(":")[2]
    settings.write_text(f"[serve]\nport = {port}\ntoken_file = 'token'\n")
    assert ask_service(None, tmp_path).health == {"status": ""}
    (tmp_path / "etc" / "token").write_text("a-secret\n")
    answer = ask_service(None, tmp_path)
    assert answer.health == {"status": "Bearer a-secret"}
    settings.write_text(f"[serve]\nport = {port}\ntoken_file = '{tmp_path}/etc/token'\n")
    assert ask_service(None, tmp_path).health == answer.health
    assert not answer.required


def test_what_is_no_url_is_refused():
    with pytest.raises(ConfigError):
        DoctorConfig(service="localhost:8080")
