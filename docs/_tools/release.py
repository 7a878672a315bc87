"""What a release needs of the texts here; the release workflow calls it.

    python docs/_tools/release.py notes ADDRESS   # this version's section of CHANGELOG.md
    python docs/_tools/release.py readme ADDRESS  # README.md for a package index
    python docs/_tools/release.py pyproject ADDRESS  # pyproject.toml with [project.urls]

All are read away from the repository, so their relative links become addresses: those of the
repository at ADDRESS, at the tag of this version.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def version() -> str:
    """The version in ``digitkit/version.py``, read without importing the package.

    Raises:
        ValueError: there is none.
    """
    text = (ROOT / "digitkit/version.py").read_text("utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.M)
    if found is None:
        raise ValueError("digitkit/version.py has no version")
    return found[1]


def release_notes(changelog: str, number: str) -> str:
    """A version's section of the changelog, without its heading.

    Paragraphs are one line each: releases on GitHub show a line break where a line ends.

    Args:
        changelog: the text of CHANGELOG.md.
        number: the version, such as ``0.2.0``.

    Raises:
        ValueError: the version has no section, or an empty one.
    """
    pattern = rf"^## \[{re.escape(number)}\][^\n]*\n(.*?)(?=^## |\Z)"
    found = re.search(pattern, changelog, re.M | re.S)
    if found is None or not found[1].strip():
        raise ValueError(f"CHANGELOG.md says nothing about {number}")
    return re.sub(r"(?<=\S)\n[ ]*(?!\s|- |#|\|)", " ", found[1].strip()) + "\n"


def absolute_links(text: str, address: str) -> str:
    """A page's text with addresses instead of links that are relative to the repository's root.

    Args:
        text: Markdown.
        address: of the repository's files, with ``{kind}`` for ``raw`` (pictures) or ``blob``.
    """

    def replace(link: re.Match[str]) -> str:
        mark, label, target = link.groups()
        if re.match(r"\w+:|#", target):
            return link[0]
        return f"{mark}[{label}]({address.format(kind='raw' if mark else 'blob')}/{target})"

    return re.sub(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", replace, text)


def with_urls(pyproject: str, repository: str, number: str) -> str:
    """The text of pyproject.toml with the addresses that a package index shows.

    Only the repository that releases knows its own, and a fork has another.

    Args:
        pyproject: the text, without ``[project.urls]``.
        repository: its address.
        number: the version.

    Raises:
        ValueError: the table exists, or there is not exactly one of the optional dependencies.
    """
    table = "[project.optional-dependencies]\n"
    if pyproject.count(table) != 1 or "[project.urls]" in pyproject:
        raise ValueError(f"pyproject.toml must have one {table.strip()} and no [project.urls]")
    files = f"{repository}/blob/v{number}"
    urls = {
        "Homepage": repository,
        "Documentation": f"{files}/docs/index.md",
        "Changelog": f"{files}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }
    lines = "".join(f'{name} = "{url}"\n' for name, url in urls.items())
    return pyproject.replace(table, f"[project.urls]\n{lines}\n{table}")


def main() -> None:
    """Print the notes, the README or pyproject.toml."""
    what, repository = sys.argv[1], sys.argv[2].rstrip("/")
    address = f"{repository}/{{kind}}/v{version()}"
    if what == "pyproject":
        text = (ROOT / "pyproject.toml").read_text("utf-8")
        sys.stdout.write(with_urls(text, repository, version()))
        return
    if what == "notes":
        text = release_notes((ROOT / "CHANGELOG.md").read_text("utf-8"), version())
    else:
        text = (ROOT / "README.md").read_text("utf-8")
    sys.stdout.write(absolute_links(text, address))


if __name__ == "__main__":
    main()
