"""Draw docs/images/badges.svg, the facts at the top of the README: python docs/_tools/badges.py.

They are files of the project, from the project's own files, so that they are true and load nothing
from elsewhere; a test compares them.
"""

from __future__ import annotations

import re
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs/images/badges.svg"


def facts() -> dict[str, str]:
    """What the badges say: names to values."""
    from digitkit import Classifier
    from digitkit.models.registry import find_model

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    tested = [re.search(r":: (3\.\d+)$", one) for one in project["classifiers"]]
    pythons = [one[1] for one in tested if one]
    path = find_model("digits", "int8")
    contract = Classifier(path).contract
    return {
        "Python": f"{pythons[0]} to {pythons[-1]}",
        "licence": project["license"],
        "MNIST test": f"{contract.test_accuracy:.2%}",
        "int8 model": f"{path.stat().st_size / 1000:.0f} KB",
    }


def draw(shown: dict[str, str]) -> str:
    """The badges in a row, as SVG: white on grey and on green, on any background."""
    parts, x = [], 0
    for name, value in shown.items():
        for text, colour in ((name, "#4b5563"), (value, "#00796b")):
            width = 13 * len(text) // 2 + 12
            parts.append(
                f'<rect x="{x}" width="{width}" height="20" fill="{colour}"/>'
                f'<text x="{x + 6}" y="14" textLength="{width - 12}"'
                f' lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
            )
            x += width
        x += 8
    label = ", ".join(f"{name} {value}" for name, value in shown.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{x - 8}" height="20" role="img" '
        f'aria-label="{escape(label)}">\n'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">\n'
        + "\n".join(parts)
        + "\n</g>\n</svg>\n"
    )


if __name__ == "__main__":
    FILE.write_text(draw(facts()), "utf-8")
