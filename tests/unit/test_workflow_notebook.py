"""Notebook 3 runs from top to bottom, and shows what its text says."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("default")
def test_the_notebook_runs(monkeypatch):
    monkeypatch.setenv("COMFY_NB_STEP_TIME", "0")
    notebook = nbformat.read(FOLDER / "03_workflows.ipynb", as_version=4)
    NotebookClient(notebook, timeout=90, resources={"metadata": {"path": str(FOLDER)}}).execute()
    shown = {cell.id: "".join(map(str, cell.outputs)) for cell in notebook.cells if cell.cell_type == "code"}
    assert "steps=20 (1 to 10000)" in shown["load"]
    assert "KSampler.seed (node 2:14): RANDOM → " in shown["back"]
    assert "'eulr' is not in the list; the nearest are 'euler'" in shown["check"]
    assert "The server would reject" in shown["refused"]
    assert "Not here (node 20): the server has no class" in shown["unknown"]
    assert "image/png" in shown["image"]
    assert "image/png" in shown["both"]
