"""A service with a long history."""

from contextlib import closing

import pytest
from support.serving import Serving

pytest.importorskip("uvicorn")
from digitkit.web.history import History
from digitkit.web.routes_live import MAX_MISSED

READ, EVENTS = 130, MAX_MISSED + 150
"""Readings of posted pictures, then as many events of a camera."""


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    folder = tmp_path_factory.mktemp("history")
    number = {"text": "1", "complete": True, "confidence": 0.5}
    with closing(
        History(folder / "history.db", keep_days=30, keep_mb=100, notice=print)
    ) as history:
        for at in range(READ + EVENTS):
            kind = {"numbers": [number]} if at < READ else {"event": "appeared", "number": number}
            history.add({"source": f"s{at}", "text": "1"} | kind)
    with Serving(folder) as service:
        yield service


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"limit": 75}, range(1280, 1205, -1)),
        ({"limit": 120, "before": 400}, range(399, 279, -1)),
        ({"before": 120, "limit": 1000}, range(119, 0, -1)),
        ({"after": 7, "limit": 110}, range(8, 118)),
        ({"after": 1180, "limit": 1000}, range(1181, 1281)),
        ({"after": 1280}, range(0)),
        ({"before": 1}, range(0)),
    ],
)
def test_an_answer_of_many_parts(serving, options, ids):
    found = serving.client.get("api/readings", params=options).json()["readings"]
    assert [stored["id"] for stored in found] == list(ids)


@pytest.mark.parametrize("zone", ["", "Z", "+02:00", "%2B02:00", " 02:00"])
@pytest.mark.parametrize("between", ["T", " "])
def test_times_with_and_without_a_zone(serving, between, zone):
    answer = serving.client.get(f"api/readings?since=2026-01-31{between}12:00:00{zone}&limit=1")
    assert answer.status_code == 200, answer.text


def test_the_table_has_them_all(serving):
    lines = serving.client.get("api/readings.csv").text.splitlines()
    assert [int(line.split(",")[0]) for line in lines[1:]] == list(range(1, READ + EVENTS + 1))


def test_a_client_that_comes_back_gets_all_events(serving):
    """Those behind many other readings, too, and in order."""
    heard = []
    while len(heard) < EVENTS:
        headers = {"Last-Event-ID": str(heard[-1] if heard else 0)}
        with serving.client.stream("GET", "api/live", headers=headers) as response:
            for line in response.iter_lines():
                if line.startswith("id: "):
                    heard.append(int(line[4:]))
                if len(heard) == EVENTS:
                    break
    assert heard == list(range(READ + 1, READ + EVENTS + 1))
