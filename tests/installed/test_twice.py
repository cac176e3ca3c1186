"""Every notebook, and every block of the README, runs twice in one kernel: installed, in an empty folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import nbformat
import pytest
from nbformat import NotebookNode

from tests.installed.conftest import ROOT

# Addresses in the README that are nobody's; the embedded server stands in for them.
ELSEWHERE = ('"http://127.0.0.1:8188"', '"https://gpu.example/comfy"')

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("default")]
Run = Callable[[Sequence[str]], NotebookNode]


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("notebooks/*.ipynb")))
def test_a_notebook_runs_twice(run_cells: Run, name: str):
    notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    run_cells([*cells, *cells])


def test_the_readme_runs_twice(run_cells: Run):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 3
    for address in ELSEWHERE:
        blocks = [block.replace(address, "cn.demo().url") for block in blocks]
    assert "cn.demo().url" in "".join(blocks)
    run_cells([*blocks, *blocks])
