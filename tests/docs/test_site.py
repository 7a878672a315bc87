"""What a build of the site must hold to; `make docs` builds it, strictly."""

import logging
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.paths import ROOT

for package in ("mkdocs", "griffe", "nbconvert"):
    pytest.importorskip(package)

import hooks
from mkdocs.exceptions import PluginError


def test_every_page_is_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    listed = re.findall(r": ([\w-]+\.md)$", text.partition("\nnav:")[2], re.M)
    written = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert sorted(listed) == sorted(written | {*hooks.MADE, "article.md"})
    assert "\nstrict: true\n" in text


def test_a_public_name_that_is_missing_is_a_warning(caplog):
    markdown = (ROOT / "docs/python-api.md").read_text("utf-8")
    with caplog.at_level(logging.WARNING, "mkdocs"):
        hooks._check_api(markdown)
        assert caplog.messages == []
        hooks._check_api(markdown.replace("::: digitkit.Reader\n", ""))
    assert caplog.messages == ["python-api.md: digitkit.Reader is missing"]


@pytest.mark.parametrize(
    ("html", "refused"),
    [
        ('<script src="https://x.example/a.js"></script>', True),
        ('<link rel="stylesheet" href="//x.example/a.css">', True),
        ('<img src="http://x.example/a.png">', True),
        ('<a href="https://x.example/">x</a><img src="images/a.png">', False),
        ('<link rel="stylesheet" href="assets/a.css">', False),
    ],
)
def test_a_page_loads_nothing_from_elsewhere(tmp_path, html, refused):
    (tmp_path / "index.html").write_text(html)
    config = SimpleNamespace(site_dir=str(tmp_path))
    if refused:
        with pytest.raises(PluginError, match=r"x\.example"):
            hooks.on_post_build(config)
    else:
        hooks.on_post_build(config)


@pytest.mark.parametrize(
    ("link", "folder", "expected"),
    [
        ("[a](docs/limits.md#images)", ".", "[a](limits.md#images)"),
        ("[a](../CHANGELOG.md)", "docs", "[a](changelog.md)"),
        ("[a](numbers.md#fields)", "docs", "[a](numbers.md#fields)"),
        ("[a](docs/article.ipynb)", ".", "[a](article.md)"),
        ("[a](LICENSE)", ".", "a (`LICENSE`)"),
        ("[a](#here)", ".", "[a](#here)"),
        ("[a](https://x.example/b)", ".", "[a](https://x.example/b)"),
        ("[a](docs/nope.md)", ".", "[a](nope.md)"),  # which mkdocs refuses
        ("[a](nope.txt)", ".", "[a](nope.txt)"),
    ],
)
def test_links_are_adapted(link, folder, expected):
    assert hooks._adapt_links(link, Path(folder)) == expected


def test_the_reference_has_every_command_and_option():
    import command_reference
    from support.cli import run

    from digitkit.cli.app import COMMANDS

    text = command_reference.render()
    for name in COMMANDS:
        assert f"## `digitkit {name}`" in text
        shown = run(name, "--help").output.partition("Examples")[0]
        for option in re.findall(r"(?<!\S)--[\w-]+", shown):
            assert f"`{option}`" in text or option == "--help", option
    assert "## `digitkit bench compare`" in text
    assert "[bold]" not in text
    assert command_reference.exit_codes().startswith("Exit codes: 0 success; 1 ")
    assert command_reference.exit_codes().endswith("Ctrl-C.")
