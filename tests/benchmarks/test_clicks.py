"""From a click on Interrupt, in a cell that waits in `result()`, to the request at the server; on three kernels."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from comfy_nb.testing import ScriptedServer
from tests.benchmarks.budgets import budget
from tests.browser.conftest import browser  # noqa: F401 - a fixture
from tests.browser.lab import Notebook, lab_server, write_notebook
from tests.browser.test_buttons import AT, CELLS, CLICKED, KERNELS, Panel, Stopwatch
from tests.kernel.venvs import python_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

LIMIT = 150.0  # milliseconds
CLICKS = 15


def test_from_the_click_to_the_request(browser: Browser, tmp_path: Path):  # noqa: F811 - the fixture
    medians = {}
    kernels = {f"ipykernel-{version}": python_for(version) for version in KERNELS}
    scratch, folder = tmp_path / "lab", tmp_path / "work"
    scratch.mkdir()
    folder.mkdir()
    with lab_server(folder, scratch, kernels=kernels) as lab:
        for kernel in kernels:
            taken = sorted(clicks(browser, lab, folder, kernel))
            medians[kernel] = taken[len(taken) // 2]
            print(
                f"\n{kernel}: click -> request in result(): median {medians[kernel]:.0f} ms, "
                f"p95 {taken[int(0.95 * len(taken))]:.0f} ms of {len(taken)}"
            )
    budget("the slowest median", max(medians.values()), LIMIT)


def clicks(browser: Browser, lab: str, folder: Path, kernel: str) -> list[float]:  # noqa: F811 - as above
    """Milliseconds of each click; frames are painted meanwhile."""
    watch = Stopwatch()
    with ScriptedServer(watch) as server:
        cells = [source.replace("URL", repr(server.url)) for source in CELLS.values()]
        write_notebook(folder / "clicks.ipynb", cells, kernel=kernel)
        panel = Panel(Notebook(browser, lab, "clicks.ipynb"), watch, kernel)
        try:
            panel.shown.page.evaluate(CLICKED)
            panel.shown.run_to_end(AT["connect"])
            for _ in range(CLICKS):
                panel.shown.run_to_end(AT["submit"])
                panel.begin("result")
                panel.interrupt(panel.view("submit"))
                panel.says("result", "cancelled")
        finally:
            panel.shown.close()
    return [1000 * seconds for seconds in panel.taken]
