"""Interrupt in a cell that is busy waiting: every way to wait, three kernels, with and without subshells.

The time from the click in the page to the request at the server is measured and printed; only a hang fails.
"""

import asyncio
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from comfy_nb.testing import Frames, ScriptedServer, Stage
from tests.browser.lab import Notebook, lab_server, write_notebook
from tests.kernel.venvs import python_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

KERNELS = ("6.31.0", "7.2.0", "7.4.0")
WORKFLOW = {
    "1": {"class_type": "KSampler", "inputs": {}},
    "2": {"class_type": "SaveImage", "inputs": {"a": ["1", 0]}},
}
HANG = 5.0  # seconds; a click that waits for its cell would wait for ever

CONNECT = f"""
import comfy_nb as cn, ipywidgets
comfy = cn.connect(URL)
def ended(job):
    print("waiting", flush=True)
    try:
        return job.result() and job.status
    except cn.JobCancelled:
        return job.status
def submit():
    return comfy.submit({WORKFLOW})
"""
AWAIT = """
print("waiting", flush=True)
try:
    await job
except cn.JobCancelled:
    print(job.status)
"""
NESTED = """
first, second = submit(), submit()
button = ipywidgets.Button(description="wait for the second")
def wait_for_the_second(_):
    button.description = "waiting"
    button.description = ended(second)
button.on_click(wait_for_the_second)
display(first, second, button)
"""
CELLS = {
    "connect": CONNECT,
    "submit": "job = submit()\njob",
    "result": "print(ended(job))",
    "next": "print('and on')",
    "below": "",
    "await": AWAIT,
    "nested": NESTED,
    "outer": "print(ended(first))",
    "bare result": "print('waiting', flush=True); job.result()",
    "bare await": "print('waiting', flush=True); await job",
    "after": "print(job.status); job.interrupt();",
}
AT = {name: index for index, name in enumerate(CELLS)}

CLICKED = """() => document.addEventListener("click", () => {
    window.clickedAt = performance.timeOrigin + performance.now();
}, { capture: true })"""
RUN_ABOVE = """(index) => {
    window.jupyterapp.shell.currentWidget.content.activeCellIndex = index;
    window.jupyterapp.commands.execute("notebook:run-all-above");
}"""
NO_SUBSHELLS = """() => {
    window.jupyterapp.serviceManager.kernels.commsOverSubshells = "disabled";
    window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.commsOverSubshells = "disabled";
}"""


class Stopwatch(Frames):
    """Frames without end in sight, and when the server was asked to stop each prompt."""

    def __init__(self) -> None:
        super().__init__(count=3000, rate=10)
        self.stopped_at: list[float] = []

    async def work(self, stage: Stage) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(super().work(stage))
            tasks.create_task(self._note(stage))

    async def _note(self, stage: Stage) -> None:
        while True:
            seen = len(self.stopped_at)
            await stage.until(lambda: sum(prompt.stop_asked for prompt in stage.prompts) > seen)  # noqa: B023
            self.stopped_at.append(time.time())


class Panel:
    """One notebook on one kernel, and the server that its jobs run on."""

    def __init__(self, shown: Notebook, watch: Stopwatch, name: str) -> None:
        self.shown, self.watch, self.name = shown, watch, name
        self.taken: list[float] = []

    def begin(self, cell: str) -> None:
        """Run a cell and see it wait."""
        self.shown.run(AT[cell])
        self.waits(cell)

    def waits(self, cell: str) -> None:
        self.shown.wait_until(lambda: "waiting" in self.shown.text(AT[cell]), 20, f"{cell!r} to wait")

    def view(self, cell: str, number: int = 0) -> Any:
        view = self.shown.page.locator(f'.jp-Cell[data-windowed-list-index="{AT[cell]}"] .cnb').nth(number)
        view.wait_for(timeout=20_000)
        return view

    def interrupt(self, view: Any) -> None:
        """Click Interrupt; the request comes at once, whatever the kernel is at."""
        before = len(self.watch.stopped_at)
        view.get_by_role("button", name=re.compile("Interrupt")).click(timeout=20_000)
        self.shown.wait_until(lambda: len(self.watch.stopped_at) > before, HANG, "the request at the server")
        clicked = self.shown.page.evaluate("() => window.clickedAt") / 1000
        self.taken.append(self.watch.stopped_at[-1] - clicked)

    def says(self, cell: str, text: str) -> None:
        """Wait for a cell to end, having printed `text`."""
        self.shown.wait_until(lambda: self.shown.prompt(AT[cell]) != "[*]:", 20, f"{cell!r} to end")
        self.shown.wait_until(lambda: text in self.shown.text(AT[cell]), 5, f"{cell!r} to say {text!r}")


@pytest.fixture(scope="module")
def kernels_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """One JupyterLab with a kernel of each version, and its folder."""
    folder = tmp_path_factory.mktemp("kernels")
    kernels = {f"ipykernel-{version}": python_for(version) for version in KERNELS}
    with lab_server(folder, tmp_path_factory.mktemp("kernels-lab"), kernels=kernels) as url:
        yield url, folder


@pytest.fixture(scope="module", params=["subshells", "no-subshells"])
def subshells(request) -> bool:
    return request.param == "subshells"


@pytest.fixture(scope="module", params=KERNELS)
def panel(request, browser, kernels_lab, subshells) -> Iterator[Panel]:
    """A notebook on each kernel, with its first cell run."""
    url, folder = kernels_lab
    watch = Stopwatch()
    with ScriptedServer(watch) as server:
        cells = [source.replace("URL", repr(server.url)) for source in CELLS.values()]
        write_notebook(folder / "buttons.ipynb", cells, kernel=f"ipykernel-{request.param}")
        shown = Notebook(browser, url, "buttons.ipynb")
        try:
            if not subshells:
                shown.page.evaluate(NO_SUBSHELLS)
            shown.page.evaluate(CLICKED)
            shown.run_to_end(AT["connect"])
            panel = Panel(
                shown, watch, f"ipykernel {request.param}, {'with' if subshells else 'no'} subshells"
            )
            yield panel
        finally:
            shown.close()
    taken = [1000 * seconds for seconds in panel.taken]
    if taken:
        print(
            f"\n{panel.name}: click to request, median {statistics.median(taken):.0f} ms, "
            f"most {max(taken):.0f} ms of {len(taken)}"
        )


def test_run_all_goes_on_behind_the_click(panel: Panel):
    panel.shown.page.evaluate(RUN_ABOVE, AT["below"])
    panel.waits("result")
    panel.interrupt(panel.view("submit"))
    panel.says("result", "cancelled")
    panel.says("next", "and on")


@pytest.mark.parametrize("cell", ["result", "await"])
def test_in_a_cell_that_waits(panel: Panel, cell: str):
    panel.shown.run_to_end(AT["submit"])
    panel.begin(cell)
    panel.interrupt(panel.view("submit"))
    panel.says(cell, "cancelled")


def test_in_a_wait_within_a_click_within_a_wait(panel: Panel):
    panel.shown.run_to_end(AT["nested"])
    panel.begin("outer")
    first, second = panel.view("nested"), panel.view("nested", 1)
    button = panel.shown.page.get_by_role("button", name="wait for the second")
    button.click()
    panel.shown.page.get_by_role("button", name="waiting").wait_for(timeout=10_000)
    panel.interrupt(second)
    panel.shown.page.get_by_role("button", name="cancelled").wait_for(timeout=10_000)
    assert panel.shown.prompt(AT["outer"]) == "[*]:"
    panel.interrupt(first)
    panel.says("outer", "cancelled")


@pytest.mark.parametrize("cell", ["bare result", "bare await"])
def test_the_stop_button_of_jupyter_ends_the_waiting_and_not_the_job(panel: Panel, cell: str):
    panel.shown.run_to_end(AT["submit"])
    panel.begin(cell)
    panel.shown.page.locator('[data-command="notebook:interrupt-kernel"]').first.click()
    panel.shown.wait_until(lambda: panel.shown.prompt(AT[cell]) != "[*]:", 20, "the waiting to end")
    error = panel.shown.outputs(AT[cell])[-1]
    assert error["ename"] in ("KeyboardInterrupt", "CancelledError")
    assert "the job itself goes on (running" in error["evalue"]
    assert "job.interrupt() stops it" in error["evalue"]
    panel.shown.run_to_end(AT["after"])
    assert panel.shown.text(AT["after"]) == "running\n"
