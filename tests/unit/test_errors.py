"""What errors say and advise."""

import json
from importlib import metadata
from pathlib import Path

import pytest
from support.paths import ROOT

from digitkit import errors
from digitkit.errors import ConfigError, check_range, install_command


def test_in_a_checkout_the_checkout_is_installed(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    assert install_command("train") == "pip install -e '.[train]'"
    monkeypatch.chdir(tmp_path)
    assert install_command("train") == f"pip install -e '{ROOT}[train]'"


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, "pip install 'digitkit[train]'"),
        ({"url": "https://x.example/a.whl", "archive_info": {}}, "pip install 'digitkit[train]'"),
        ({"url": "file:///gone", "dir_info": {}}, "pip install 'digitkit[train]'"),
        ({"url": "{here}", "dir_info": {}}, "pip install '{path}[train]'"),
    ],
)
def test_elsewhere_it_is_installed_from_where_it_came(monkeypatch, tmp_path, origin, expected):
    text = json.dumps(origin).replace("{here}", tmp_path.as_uri()) if origin else None
    installed = type("Installed", (), {"read_text": lambda self, name: text})
    monkeypatch.setattr(metadata, "distribution", lambda name: installed())
    monkeypatch.setattr(errors, "__file__", str(Path(tmp_path, "lib/digitkit/errors.py")))
    assert install_command("train") == expected.format(path=tmp_path)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (99_999_999, "99999999"),
        (0.25, "0.25"),
        (1e9, "1e+09"),
        (-5, "-5"),
        (10**400, "a number of hundreds"),
    ],
)
def test_values_out_of_range_are_shown_as_they_were_given(value, shown):
    with pytest.raises(ConfigError) as caught:
        check_range("port", value, 1, 10_000_000)
    assert caught.value.problem.startswith(f"must be between 1 and 10000000, got {shown}")
