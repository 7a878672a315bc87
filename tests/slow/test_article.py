"""The notebook of the documentation runs, and its own assertions hold."""

import pytest
from support.paths import ROOT

for package in ("torch", "matplotlib", "nbclient", "ipykernel", "nbformat"):
    pytest.importorskip(package)

import nbformat
from nbclient import NotebookClient

NOTEBOOK = ROOT / "docs/article.ipynb"


@pytest.mark.filterwarnings("ignore")  # those of Jupyter are not ours
def test_the_notebook_runs(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    stored = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    NotebookClient(notebook, timeout=1500).execute(cwd=str(ROOT / "docs"))
    made = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    for before, after in zip(stored, made, strict=True):
        # What is printed in one go may be cut into several streams.
        assert {one.output_type for one in before} == {one.output_type for one in after}
