import pytest
from support.machines import write


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Puts a package, or what pip knows of one, in front of the installed ones."""
    folder = tmp_path / "stubs"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def make(name: str, code: str | None = None, version: str | None = None, record: str = ""):
        if code is not None:
            write(folder / name / "__init__.py", code)
        if version is not None:
            info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
            write(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            write(info / "RECORD", record)

    return make
