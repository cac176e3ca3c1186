"""Pages that come late, come twice, go away, hide, or outlive their kernel: each shows the right thing in a moment.

The server pauses where a test looks: what a page shows then it has been told again, not met by chance.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator

from comfy_nb.testing import Frames, ScriptedServer
from comfy_nb.testing.frames import PICTURES
from tests.browser.lab import TOKEN, Notebook, write_notebook
from tests.browser.stamped import WORKFLOW, number

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

CONNECT, SUBMIT, VIEW, AGAIN, CLOSE, STATUS = range(6)
CELLS = [
    "import comfy_nb as cn\ncomfy = cn.connect(URL)",
    "job = comfy.submit(WORKFLOW)",
    "job.view",
    "job.view",
    "job.view.close()",
    "print(job.status)",
]
MOMENT = 20.0  # seconds: a hang guard for busy machines, no promise
HIDE = """(state) => {
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
BACK = """() => {
    const panel = window.jupyterapp?.shell.currentWidget;
    return panel?.sessionContext?.session?.kernel?.status === "idle" && panel.content.widgets.length > 0;
}"""


class Scene:
    """A running job on a server that can be paused, and the notebook that shows it."""

    def __init__(self, server: ScriptedServer, shown: Notebook) -> None:
        self.server, self.shown = server, shown
        for cell in (CONNECT, SUBMIT):
            shown.run_to_end(cell)

    def view(self, cell: int = VIEW, page: Any = None) -> Locator:
        found = (page or self.shown.page).locator(f'.jp-Cell[data-windowed-list-index="{cell}"] .cnb').first
        found.wait_for(timeout=1000 * MOMENT)
        found.scroll_into_view_if_needed()
        return found

    def show(self, cell: int = VIEW) -> Locator:
        self.shown.run_to_end(cell)
        return self.view(cell)

    def until(self, condition: Callable[[], object], what: str) -> Any:
        return self.shown.wait_until(condition, MOMENT, what)

    def shows(self, view: Locator, frame: int) -> None:
        self.until(lambda: number(view) == frame, f"frame {frame} to be shown, not {number(view)}")

    def moves(self, view: Locator) -> None:
        """New frames are painted."""
        before = number(view)
        self.until(lambda: number(view) not in (None, before), "a new frame")

    def stand(self, view: Locator) -> int:
        """Pause the server and wait until the view has come to rest; the frame that it shows."""
        self.server.pause()
        return self.rest(view)

    def rest(self, view: Locator) -> int:
        """Wait until a view paints nothing new for 0.7 s, seven frames; the frame that it shows."""

        def rested() -> list[int]:
            before = number(view)
            self.shown.page.wait_for_timeout(700)
            return [before] if before is not None and number(view) == before else []

        [frame] = self.until(rested, "the frames to stop")
        return frame

    def step(self, view: Locator) -> int:
        """The step that the caption names, of the frame that is shown: all of it, where a picture tells six bits."""
        frame, caption = self.rest(view), view.locator(".cnb-caption").inner_text()
        step = int(caption.rpartition("step ")[2])
        assert (step - 1) % PICTURES == frame, caption
        return step

    def reload(self) -> None:
        self.shown.save()
        self.shown.page.wait_for_timeout(500)
        self.shown.page.reload()
        self.shown.page.wait_for_function(BACK, timeout=60_000)


@pytest.fixture
def scene(notebook: Callable[[str], Notebook], work: Path, request) -> Iterator[Scene]:
    frames = getattr(request, "param", 10_000)
    with ScriptedServer(Frames(count=frames, rate=10)) as server:
        first = f"URL, WORKFLOW = {server.url!r}, {WORKFLOW!r}\n{CELLS[0]}"
        write_notebook(work / "hello.ipynb", [first, *CELLS[1:]])
        yield Scene(server, notebook("hello.ipynb"))


def test_a_late_view_and_a_second_one_begin_with_the_newest_frame(scene: Scene):
    first = scene.show()
    scene.moves(first)
    frame = scene.stand(first)
    second = scene.show(AGAIN)
    scene.shows(second, frame)
    assert first.locator(".cnb-caption").inner_text() == second.locator(".cnb-caption").inner_text()
    scene.server.resume()
    scene.moves(second)
    scene.moves(first)
    assert scene.shown.complaints == []


def test_a_view_of_a_job_that_runs_for_long_begins_where_it_is(scene: Scene):
    scene.until(lambda: len(scene.server.calls("POST /prompt")) == 1, "the job")
    scene.shown.page.wait_for_timeout(1000)
    scene.server.pause()
    view = scene.show()
    assert scene.step(view) > 3
    assert view.locator(".cnb-caption").inner_text().startswith("current guess · step ")


def test_a_page_that_is_reloaded_during_a_run_goes_on(scene: Scene):
    frame = scene.stand(scene.show())
    scene.reload()
    view = scene.view()
    scene.shows(view, frame)
    scene.server.resume()
    scene.moves(view)
    assert "Running" in view.inner_text()
    view.get_by_role("button", name="Interrupt").click()
    scene.until(lambda: "Cancelled" in view.inner_text(), "the job to be stopped from the new page")


@pytest.mark.parametrize("scene", [10], indirect=True)
def test_a_page_that_is_reloaded_after_the_run_shows_how_it_ended(scene: Scene, shoot):
    view = scene.show()
    scene.until(lambda: "Succeeded" in view.inner_text(), "the end")
    scene.reload()
    view = scene.view()
    scene.until(lambda: "Succeeded" in view.inner_text(), "the end, again")
    picture = view.locator("[role=tabpanel] .cnb-final img")
    picture.wait_for(timeout=1000 * MOMENT)
    assert "cnb-card" in view.locator("section").get_attribute("class")
    assert view.locator("section").get_attribute("data-gone") == "false"
    view.get_by_role("tab", name="Live").click()
    scene.shows(view, 9)
    shoot(scene.shown, "reloaded")


def test_a_second_tab_shows_the_same_and_leaves_the_first_alone(scene: Scene, browser: Browser, lab: str):
    view = scene.show()
    frame = scene.stand(view)
    scene.shown.save()
    scene.shown.page.wait_for_timeout(500)
    page = browser.new_page()
    try:
        page.goto(f"{lab}/lab/workspaces/second/tree/hello.ipynb?token={TOKEN}")
        page.wait_for_function(BACK, timeout=60_000)
        second = scene.view(page=page)
        scene.shows(second, frame)
        scene.server.resume()
        scene.moves(second)
        scene.moves(view)
    finally:
        page.close()
    scene.moves(view)
    view.get_by_role("button", name="Interrupt").click()
    scene.until(lambda: "Cancelled" in view.inner_text(), "the job to be stopped")


def test_a_hidden_tab_gets_no_frames_and_the_newest_when_it_is_seen_again(scene: Scene):
    view = scene.show()
    scene.moves(view)
    scene.shown.page.evaluate(HIDE, "hidden")
    before = scene.step(view)  # the server goes on
    scene.server.pause()
    scene.shown.page.evaluate(HIDE, "visible")
    scene.until(lambda: scene.step(view) > before, "the newest frame")
    scene.server.resume()
    scene.moves(view)


def test_a_view_that_is_scrolled_away_gets_no_frames_and_the_newest_when_it_comes_back(scene: Scene):
    view = scene.show()
    scene.moves(view)
    view.evaluate("(element) => { element.style.display = 'none'; }")  # as an output that was collapsed
    scene.shown.page.wait_for_timeout(500)
    before = scene.rest(view)
    scene.shown.page.wait_for_timeout(500)
    view.evaluate("(element) => { element.style.display = ''; }")
    scene.until(lambda: number(view) != before, "the newest frame")
    scene.moves(view)


def test_after_a_kernel_restart_what_no_longer_works_is_grey(scene: Scene, shoot):
    view = scene.show()
    scene.moves(view)
    scene.shown.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    scene.until(lambda: view.locator("section").get_attribute("data-gone") == "true", "the view to be grey")
    assert "Kernel restarted" in view.inner_text()
    shoot(scene.shown, "restarted")
    button = view.get_by_role("button", name="Interrupt")
    assert button.count() == 0 or button.get_attribute("aria-disabled") == "true"
    assert scene.shown.complaints == []


def test_a_view_that_is_closed_goes_and_the_job_goes_on(scene: Scene):
    view = scene.show()
    scene.moves(view)
    scene.shown.run_to_end(CLOSE)
    scene.until(lambda: view.count() == 0 or not view.is_visible(), "the view to go")
    scene.shown.run_to_end(STATUS)
    assert "running" in scene.shown.text(STATUS)
    assert scene.shown.complaints == []
