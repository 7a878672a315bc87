"""Settings, reports and data that are not what they seem."""

import gzip
import http.server
import json
import threading

import pytest
from support.errors import error_of
from support.reports import make_report, make_variant

from digitkit.benchmark.bench_config import BenchConfig
from digitkit.benchmark.recommend import recommend
from digitkit.benchmark.report import encode_report, load_report
from digitkit.benchmark.stats import MAX_PROCESSES
from digitkit.datasets import idx, mnist
from digitkit.errors import ConfigError, DatasetError, ReportError, SettingsError
from digitkit.inference.settings import load_settings
from digitkit.system.progress import no_progress


def test_a_nul_in_a_path_of_the_settings(tmp_path):
    path = tmp_path / "digitkit.toml"
    path.write_text('[output]\nfile = "a\\u0000b"\n')
    assert error_of(SettingsError, load_settings, path).subject == str(path)


@pytest.mark.parametrize("name", [b'"created": "', b'"format": "', b'"cpu": "'])
def test_a_report_that_is_not_utf_8(tmp_path, name):
    text = encode_report(make_report(make_variant())).encode()
    path = tmp_path / "bench.json"
    path.write_bytes(text.replace(name, name + b"\xff"))
    assert error_of(ReportError, load_report, path).subject == str(path)


def test_a_report_of_too_many_processes(tmp_path):
    """Each takes memory where reports are compared."""
    report = json.loads(encode_report(make_report(make_variant())))
    report["variants"][0]["processes"] *= MAX_PROCESSES // 5 + 1
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(report))
    assert error_of(ReportError, load_report, path).subject == str(path)
    assert error_of(ConfigError, BenchConfig, processes=MAX_PROCESSES + 1).field == "processes"


def test_a_report_without_the_version_of_its_runtime():
    report = make_report(make_variant(), versions={})
    error_of(ReportError, recommend, report)


def test_a_small_file_that_decompresses_to_a_large_one(tmp_path, monkeypatch):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(bytes(5000)))
    assert idx.read_maybe_gzipped(path) == bytes(5000)
    monkeypatch.setattr(idx, "MAX_IDX_BYTES", 4999)
    assert error_of(DatasetError, idx.read_maybe_gzipped, path).subject == str(path)


@pytest.mark.parametrize("data", [b"\x1f\x8b\x08damaged", b"plain"])
def test_damaged_mnist_for_a_bundle(tmp_path, monkeypatch, data):
    pytest.importorskip("packaging", reason="needs the extra bundle")
    from digitkit.device.bundle.contents import load_mnist_files

    for stem in idx.idx_names("test"):
        (tmp_path / f"{stem}.gz").write_bytes(data)
    monkeypatch.setenv("DIGITKIT_MNIST", str(tmp_path))
    assert error_of(DatasetError, load_mnist_files, None, no_progress).subject


@pytest.mark.parametrize("name", ["p50_us", "spread", "latency", "ratio", "processes"])
def test_a_report_without_a_figure(tmp_path, name):
    report = json.loads(encode_report(make_report(make_variant())))
    path = tmp_path / "bench.json"
    for damage in ({name: None}, {}):
        variant = {k: v for k, v in report["variants"][0].items() if k != name} | damage
        path.write_text(json.dumps(report | {"variants": [variant]}))
        assert error_of(ReportError, load_report, path).subject == str(path)


@pytest.mark.parametrize("fault", ["endless", "not HTTP", "bomb"])
def test_a_mirror_that_is_hostile(tmp_path, monkeypatch, fault):
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_GET(self):
            if fault == "not HTTP":
                self.wfile.write(b"\xff\n" * 10)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(gzip.compress(bytes(5000)) if fault == "bomb" else bytes(5000))

    monkeypatch.setattr(idx, "MAX_IDX_BYTES", 4000)
    monkeypatch.setattr(mnist, "MAX_DOWNLOAD_BYTES", 4000)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirrors = (f"http://127.0.0.1:{server.server_port}/",)
        error = error_of(DatasetError, mnist.download_mnist, tmp_path, mirrors=mirrors)
        server.shutdown()
    assert "larger" in error.problem or fault == "not HTTP"
    assert not list(tmp_path.iterdir())
