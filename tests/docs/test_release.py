"""A release: one version in all places, notes from the changelog, links that work elsewhere."""

import re
import subprocess
import sys
import tomllib

import badges
import pytest
import release
from support.paths import ROOT

from digitkit.version import __version__

CHANGELOG = """# Changelog

## [Unreleased]

## [1.10.0] – 2026-02-01

New for
all.

### Added

- One, which `is
  --long`, see [a](docs/a.md).
- Two.
    - Below
      two.

| a | b |
|---|---|
| 1 | 2 |

## [1.1.0] – 2026-01-01

The first.
"""


def test_notes_are_the_section_of_the_version_with_a_line_per_paragraph():
    assert release.release_notes(CHANGELOG, "1.10.0") == (
        "New for all.\n\n### Added\n\n- One, which `is --long`, see [a](docs/a.md).\n- Two.\n"
        "    - Below two.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    )
    assert release.release_notes(CHANGELOG, "1.1.0") == "The first.\n"


@pytest.mark.parametrize("number", ["1.1", "1.10", "2.0.0", "Unreleased"])
def test_a_version_without_notes_is_refused(number):
    with pytest.raises(ValueError, match=number):
        release.release_notes(CHANGELOG, number)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("[a](docs/a.md#b)", "[a](https://x.example/o/r/blob/v1/docs/a.md#b)"),
        ("![a b](docs/a.jpg)", "![a b](https://x.example/o/r/raw/v1/docs/a.jpg)"),
        ("[a](https://y.example/)", "[a](https://y.example/)"),
        ("[a](#b)", "[a](#b)"),
    ],
)
def test_links_become_addresses(link, expected):
    assert release.absolute_links(link, "https://x.example/o/r/{kind}/v1") == expected


def test_the_version_is_the_same_everywhere():
    assert release.version() == __version__
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f"\nversion: {__version__}\n" in citation
    date = re.search(r"^date-released: (\S+)$", citation, re.M)[1]
    assert "\n## [Unreleased]\n" in changelog
    assert f"\n## [{__version__}] – {date}\n" in changelog


@pytest.mark.parametrize("what", ["notes", "readme"])
def test_the_workflow_gets_texts_without_relative_links(what):
    workflow = (ROOT / ".github/workflows/release.yml").read_text("utf-8")
    assert f'python docs/_tools/release.py {what} "$ADDRESS" >' in workflow
    command = [sys.executable, "docs/_tools/release.py", what, "https://x.example/o/r"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert len(links) > 5
    assert all(link.startswith("https://") for link in links)
    for link in links:
        path = re.match(rf"https://x\.example/o/r/(?:raw|blob)/v{__version__}/([^#]+)", link)
        assert path is None or (ROOT / path[1]).exists(), link


def test_the_workflow_fills_in_the_urls():
    workflow = (ROOT / ".github/workflows/release.yml").read_text("utf-8")
    assert 'python docs/_tools/release.py pyproject "$ADDRESS" >' in workflow
    command = [sys.executable, "docs/_tools/release.py", "pyproject", "https://x.example/o/r/"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    filled = tomllib.loads(text)
    urls = filled["project"].pop("urls")
    assert filled == tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert urls["Homepage"] == "https://x.example/o/r"
    files = f"https://x.example/o/r/blob/v{__version__}/"
    for name in ("Documentation", "Changelog"):
        assert (ROOT / urls[name].removeprefix(files)).is_file()
    with pytest.raises(ValueError, match=r"project\.urls"):
        release.with_urls(text, "https://x.example/o/r", "1.0")


def test_the_badges_are_true():
    facts = badges.facts()
    assert badges.FILE.read_text("utf-8") == badges.draw(facts)
    shown = ", ".join(f"{name} {value}" for name, value in facts.items())
    assert f"![{shown}](docs/images/badges.svg)\n" in (ROOT / "README.md").read_text("utf-8")
