"""Files in an object store: which are listed, and what is said of those that cannot be read."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.object_store import BUCKET, KEYS, object_store

from digitkit.cluster.manifest import list_remote
from digitkit.cluster.part_reader import LOADED_AHEAD, _items, _load
from digitkit.images.cv import cv2
from digitkit.sources.frames import Failure
from digitkit.sources.items import ImageBytes

pytest.importorskip("pyarrow.parquet")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ODD = ["a b.png", "100%.png", "%41.png", "7#2.png", "ä?.png", "plus+.png", "q=1&x.png", "☃/1.png"]


@pytest.fixture(scope="module")
def store():
    with object_store() as made:
        yield made


@pytest.fixture
def put(store, one_of_each):
    """Puts images there."""
    data = cv2.imencode(".png", one_of_each[7])[1].tobytes()

    def put_all(*names: str) -> None:
        for name in names:
            store[0].put_object(Bucket=BUCKET, Key=name, Body=data)

    return put_all


@pytest.fixture
def listed(store):
    """Lists what is below a prefix: addresses without their end, and failures."""

    def list_below(prefix: str) -> list[str | Failure]:
        found = list_remote(f"s3://{BUCKET}{prefix}{store[1]}")
        return [each.removesuffix(store[1]) if isinstance(each, str) else each for each in found]

    return list_below


@pytest.mark.parametrize("end", ["", "/"])
def test_names_of_any_kind_are_listed_and_read(store, put, listed, end):
    put(*(f"odd/{name}" for name in ODD))
    put("odd/.hidden.png", "odd/.trash/1.png", "odd/notes.txt", "odd/folder/", "odder/1.png")
    found = listed(f"/odd{end}")
    assert len(found) == len(ODD)
    assert "s3://scans/odd/%2541.png" in found
    loaded = [_load(f"{name}{store[1]}") for name in found]
    assert {type(image) for image in loaded} == {ImageBytes}


def test_what_a_store_has_and_pyarrow_does_not_read_is_a_failure(store, put, listed):
    put("double//1.png")
    (name,) = listed("/double")
    failure = _load(f"{name}{store[1]}")
    assert isinstance(failure, Failure)
    assert "Empty path component" in failure.error


def test_names_may_be_typed_as_they_are(store, put):
    put("typed/zwei ä.png", "typed/100%.png")
    for name in ("zwei ä.png", "zwei%20%C3%A4.png", "100%.png", "100%25.png"):
        assert isinstance(_load(f"s3://scans/typed/{name}{store[1]}"), ImageBytes)
    failure = _load(f"s3://scans/typed/7#2.png{store[1]}")
    assert "%23" in failure.error


@pytest.mark.slow
def test_a_listing_of_several_answers(put, listed):
    names = [f"many/{number:04d}.png" for number in range(1003)]  # 1,000 come at a time
    put(*names)
    assert listed("/many") == [f"s3://scans/{name}" for name in names]


@pytest.mark.parametrize("place", ["s3://scans/none", "s3://none/below", "s3://none"])
def test_what_is_not_there(store, place):
    (failure,) = list_remote(f"{place}{store[1]}")
    assert failure.kind == "missing"
    assert failure.error == "does not exist"
    assert _load(f"{place}/1.png{store[1]}").kind == "missing"


def test_a_prefix_without_images(store, listed):
    store[0].put_object(Bucket=BUCKET, Key="texts/notes.txt", Body=b"x")
    (failure,) = listed("/texts")
    assert failure.error == "there are no image files"


def test_no_key_is_a_failure_with_the_reason(store, put, monkeypatch):
    put("private/1.png")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    # Another address of the same store: that of the other tests is open with their key.
    failure = _load(f"s3://scans/private/1.png{store[1]}&region=eu-west-1")
    assert failure.kind == "unreadable"
    assert "ACCESS_DENIED" in failure.error


@pytest.fixture
def counted(monkeypatch):
    """What addresses of a store end with that notes its connections; it makes some files wait."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    connections, both = [], threading.Barrier(2, timeout=20)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            connections.append(self)
            super().setup()

        def do_HEAD(self):
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()

        def do_GET(self):
            if "/both-" in self.path:
                both.wait()
            self.do_HEAD()
            self.wfile.write(b"image")

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"?scheme=http&endpoint_override=127.0.0.1:{server.server_port}", connections
        server.shutdown()


def test_files_share_a_connection(counted):
    end, connections = counted
    for number in range(5):
        assert _load(f"s3://b/{number}.png{end}").data == b"image"
    assert len(connections) == 1


def test_files_are_asked_for_at_once(counted):
    names = [f"s3://b/both-{number}.png{counted[0]}" for number in range(2 * LOADED_AHEAD + 2)]
    items = list(_items([name.encode() for name in names]))
    assert [item.name for item in items] == names
    assert {item.data for item in items} == {b"image"}


@pytest.mark.parametrize("address", ["s3://[b/a", "s3:///a", "bla://b/a", "s3://b/a?x=y"])
def test_no_address_of_a_file(address):
    (failure,) = list_remote(address)
    assert failure.error.startswith("cannot be opened: ")
    assert _load(f"{address}.png").error.startswith("cannot be opened: ")
