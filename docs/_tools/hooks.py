"""Hooks of mkdocs: pages that are made from other files, and what a build must hold to.

The model card, the changelog, the notebook and so on stay where a reader of the repository looks
for them, and become pages with their links adapted.
"""

from __future__ import annotations

import logging
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))

import command_reference

ROOT = Path(__file__).resolve().parents[2]

log = logging.getLogger("mkdocs.plugins.digitkit")

MADE = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "model-card.md": "exported/MODEL_CARD.md",
    "results.md": "benchmarks/results/README.md",
    "security.md": "SECURITY.md",
}
"""Pages, and the files of the repository that they are."""

NOTEBOOK = "article.ipynb"
"""The notebook in ``docs`` that becomes the page ``article.md``."""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made, and the pictures that they show."""
    for page, source in MADE.items():
        text = (ROOT / source).read_text("utf-8")
        if text.startswith("---\n"):  # front matter for others
            text = text.partition("\n---\n")[2]
        folder = Path(source).parent
        for picture in re.findall(r"!\[[^\]]*\]\(([^)#]+)\)", text):
            target = f"images/{page.removesuffix('.md')}-{picture.replace('/', '-')}"
            text = text.replace(f"]({picture})", f"]({target})")
            path = str(ROOT / folder / picture)
            files.append(File.generated(config, target, abs_src_path=path))
        files.append(File.generated(config, page, content=_adapt_links(text, folder)))
    page, pictures = _convert_notebook(Path(config.docs_dir, NOTEBOOK))
    files.append(File.generated(config, "article.md", content=page))
    for name, data in pictures.items():
        files.append(File.generated(config, name, content=data))
    return files


def _adapt_links(text: str, folder: Path) -> str:
    """Links between files of the repository as links between pages; others as plain text."""
    pages = {(ROOT / source).resolve(): page for page, source in MADE.items()}
    pages[ROOT / "docs" / NOTEBOOK] = "article.md"

    def adapt(link: re.Match[str]) -> str:
        label, target, anchor = link.groups()
        if re.match(r"\w+:", target) or not target or target.startswith("images/"):
            return link[0]
        path = (ROOT / folder / target).resolve()
        if path in pages:
            return f"[{label}]({pages[path]}{anchor or ''})"
        if path.is_relative_to(ROOT / "docs") and path.suffix == ".md":
            return f"[{label}]({path.relative_to(ROOT / 'docs')}{anchor or ''})"
        return f"{label} (`{path.relative_to(ROOT)}`)" if path.exists() else link[0]

    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)#\s]*)(#[^)\s]*)?\)", adapt, text)


def _convert_notebook(path: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook with the outputs that are stored in it, as Markdown; its pictures by name."""
    from nbconvert import MarkdownExporter

    exporter = MarkdownExporter()
    text, resources = exporter.from_filename(str(path), {"output_files_dir": "images"})
    names = {name: f"images/article-{Path(name).name}" for name in resources["outputs"]}
    for name, target in names.items():
        text = text.replace(f"({name})", f"({target})")
    return text, {names[name]: data for name, data in resources["outputs"].items()}


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Put the reference into the page of the command line; check the page of the API."""
    if page.file.src_uri == "command-line.md":
        markdown = markdown.replace("<!-- exit codes -->", command_reference.exit_codes())
        return markdown.replace("<!-- reference -->", command_reference.render())
    if page.file.src_uri == "python-api.md":
        _check_api(markdown)
    is_made = page.file.generated_by is not None
    return markdown if is_made else _adapt_links(markdown, Path("docs"))


def _check_api(markdown: str) -> None:
    """Warn, which is an error in a strict build, of public names that are not documented."""
    import griffe

    import digitkit

    package = griffe.load("digitkit", search_paths=[str(ROOT)], resolve_aliases=True)
    for name in digitkit.__all__:
        if name == "__version__":
            continue
        if not re.search(rf"^::: digitkit\.{name}$", markdown, re.MULTILINE):
            log.warning("python-api.md: digitkit.%s is missing", name)
        for path, member in _public_members(f"digitkit.{name}", package[name]):
            if not member.has_docstring:
                log.warning("%s has no docstring", path)


def _public_members(path: str, thing: Any) -> list[tuple[str, Any]]:
    """A class or function, and the public methods and properties that a class defines."""
    found = [(path, thing)]
    if thing.is_class:
        for name, member in thing.members.items():
            # What an attribute is stands in the docstring of its class.
            if not name.startswith("_") and not member.is_attribute:
                found.append((f"{path}.{name}", member))
    return found


class _Resources(HTMLParser):
    """Collects what a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        loads = values.get("src") if tag != "link" else values.get("href")
        if tag == "link" and values.get("rel") in ("canonical", "prev", "next"):
            return
        if loads and re.match(r"(?:\w+:)?//", loads):
            self.found.append(loads)


def on_post_build(config: Any) -> None:
    """Fail if a page loads something from elsewhere."""
    for path in Path(config.site_dir).rglob("*.html"):
        parser = _Resources()
        parser.feed(path.read_text("utf-8"))
        if parser.found:
            raise PluginError(f"{path}: loads {', '.join(parser.found)}")
