"""Frames are painted while the kernel is busy, and its main thread hears nothing of the page."""

import itertools
from collections.abc import Callable

import pytest

from comfy_nb.testing import Frames, ScriptedServer
from tests.browser.lab import Notebook, write_notebook
from tests.browser.stamped import WATCH, WATCHED, WORKFLOW

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

NO_SUBSHELLS = """() => {
    window.jupyterapp.serviceManager.kernels.commsOverSubshells = "disabled";
    window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.commsOverSubshells = "disabled";
}"""
BUSY = "import time\ntime.sleep(1.5)"
LOOP = "end = time.monotonic() + 20\nwhile time.monotonic() < end:\n    pass"
CELLS = ["import comfy_nb as cn\ncomfy = cn.connect(URL)", "comfy.submit(WORKFLOW)", BUSY, BUSY, BUSY, LOOP]
SHOW, LAST = 1, 5


@pytest.mark.parametrize("subshells", ["on", "off"])
def test_run_all_with_busy_cells_behind_the_display(
    notebook: Callable[[str], Notebook], work, subshells: str, shoot
):
    with ScriptedServer(Frames(count=10_000, rate=20)) as server:
        first = f"URL, WORKFLOW = {server.url!r}, {WORKFLOW!r}\n{CELLS[0]}"
        write_notebook(work / "busy.ipynb", [first, *CELLS[1:]])
        shown = notebook("busy.ipynb")
        if subshells == "off":
            shown.page.evaluate(NO_SUBSHELLS)
        shown.page.evaluate(WATCH, SHOW)
        shown.run_all()
        shown.wait_until(lambda: shown.prompt(LAST).strip("[]: ").isdigit(), 120, "the last cell to end")
        shoot(shown, subshells)
        frames = shown.page.evaluate(WATCHED)
    painted = [at / 1000 for at, _, cell in frames if cell > SHOW]
    looped = [at / 1000 for at, _, cell in frames if cell == LAST]
    gaps = [after - before for before, after in itertools.pairwise(painted)]
    print(f"\nsubshells {subshells}: {len(looped)} frames in the loop, longest gap {max(gaps):.2f} s")
    # Ten a second are sent; this much reaches the page on a machine that has other things to do as well.
    assert len(looped) >= 40
    assert looped[-1] - looped[0] > 15
    assert max(gaps) < 5
    assert shown.complaints == []
