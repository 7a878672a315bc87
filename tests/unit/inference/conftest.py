from pathlib import Path

import pytest


@pytest.fixture
def file(tmp_path):
    """Writes a settings file."""

    def write(text: str) -> Path:
        path = tmp_path / "digitkit.toml"
        path.write_text(text, "utf-8")
        return path

    return write
