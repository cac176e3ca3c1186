"""A board in a real JupyterLab: two servers, eight jobs, real clicks; and what an abused server says, as text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from comfy_nb.testing import Faults, Frames, Page, ScriptedServer
from tests.browser.lab import Notebook, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

GRAPH = {
    "3": {
        "class_type": "KSampler",
        "inputs": {"seed": 1, "steps": 20, "cfg": 4.0},
        "_meta": {"title": "KSampler"},
    },
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}, "_meta": {"title": "Save Image"}},
}
CONNECT = """import comfy_nb as cn
one, two = cn.connect({one!r}), cn.connect({two!r})
workflow = {graph!r}
board = cn.JobBoard(one, two)
board"""
SUBMIT = """jobs = [comfy.submit(workflow, {"KSampler.seed": seed}) for seed in range(4) for comfy in (one, two)];"""
BACK = """() => {
    const panel = window.jupyterapp?.shell.currentWidget;
    return panel?.sessionContext?.session?.kernel?.status === "idle" && panel.content.widgets.length > 0;
}"""
SUM = """(image) => {
    if (!image.naturalWidth) return 0;
    const pen = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext("2d");
    pen.drawImage(image, 0, 0);
    const pixels = pen.getImageData(0, 0, image.naturalWidth, image.naturalHeight).data;
    let sum = 0;
    for (let at = 0; at < pixels.length; at += 97) sum = (sum * 31 + pixels[at]) % 1000000007;
    return sum;
}"""


SCRIPTS = Frames(count=200, rate=6.0), Frames(count=200, rate=6.0)


@pytest.fixture
def servers() -> Iterator[list[ScriptedServer]]:
    """Two servers whose jobs go on until `hurry()`."""
    for script in SCRIPTS:
        script.count, script.rate = 200, 6.0
    with ScriptedServer(SCRIPTS[0]) as one, ScriptedServer(SCRIPTS[1]) as two:
        yield [one, two]


def hurry() -> None:
    """Let all jobs end as fast as they can."""
    for script in SCRIPTS:
        script.rate = 0


class Rig:
    """The notebook, the board in its first cell, and the two servers behind it."""

    def __init__(self, shown: Notebook, servers: list[ScriptedServer]) -> None:
        self.shown, self.servers = shown, servers

    @property
    def board(self) -> Any:
        return self.shown.page.locator(".cnb-board").first

    def tile(self, key: int) -> Any:
        return self.board.locator(f'.cnb-tile[data-key="{key}"]')

    def status(self, key: int) -> str:
        return self.tile(key).get_attribute("data-status")

    def until(self, key: int, status: str, limit: float = 60) -> None:
        self.shown.wait_until(lambda: self.status(key) == status, limit, f"job {key} to be {status}")

    def cards(self) -> list[int]:
        tiles = "(board) => [...board.querySelectorAll('.cnb-tile')].map((tile) => Number(tile.dataset.key))"
        return self.board.evaluate(tiles)

    def says(self, cell: int) -> str:
        self.shown.run_to_end(cell)
        return "".join("".join(output.get("text", "")) for output in self.shown.outputs(cell))


@pytest.fixture
def rig(notebook: Callable[..., Notebook], work, servers) -> Rig:
    cells = [
        CONNECT.format(one=servers[0].url, two=servers[1].url, graph=GRAPH),
        SUBMIT,
        "print([board.title(job) for job in board.selected], [image.size for image in board.images])",
        "print([job.status for job in jobs])",
    ]
    write_notebook(work / "board.ipynb", cells)
    shown = notebook("board.ipynb")
    shown.run_to_end(0)
    made = Rig(shown, servers)
    made.board.wait_for(timeout=20_000)
    return made


def test_two_servers_and_eight_jobs_in_hand(rig: Rig, shoot):
    shown = rig.shown
    eight_jobs_run(rig, shoot)
    interrupt_and_reload(rig)
    selection_and_filters(rig, shoot)
    detail_and_dismissal(rig, shoot)
    shown.theme("JupyterLab Dark")
    shoot(shown, "dark")
    ground = rig.tile(3).evaluate("(tile) => getComputedStyle(tile).backgroundColor")
    assert max(int(part) for part in ground[4:-1].split(",")[:3]) < 80
    assert rig.says(3).count("succeeded") == 6
    stopped = [len(server.calls(f"POST /jobs/{job}/cancel")) for server in rig.servers for job in ids(server)]
    assert sorted(stopped) == [0, 0, 0, 0, 0, 0, 1, 1]
    assert shown.complaints == []


def eight_jobs_run(rig: Rig, shoot):
    shown = rig.shown
    assert "No jobs yet" in rig.board.inner_text()
    shoot(shown, "empty")
    shown.run_to_end(1)
    shown.wait_until(lambda: len(rig.cards()) == 8, 20, "eight cards")
    for key in (1, 2):
        rig.until(key, "running", 20)
    shown.wait_until(lambda: "2nd in line" in rig.tile(5).inner_text(), 20, "a place in line")

    # Live: the picture changes in place, without anybody asking.
    preview = rig.tile(1).locator("img[alt^='Current guess']")
    preview.wait_for(timeout=20_000)
    sums = set()
    shown.wait_until(lambda: sums.add(preview.evaluate(SUM)) or len(sums) >= 4, 30, "four different previews")
    shoot(shown, "busy")


def interrupt_and_reload(rig: Rig):
    """One that runs and one that waits are stopped, nothing else is; loaded anew in the middle, the board goes on."""
    shown = rig.shown
    rig.tile(1).get_by_role("button", name="Interrupt").click()
    rig.tile(8).get_by_role("button", name="Cancel").click()
    rig.until(1, "cancelled", 20)
    rig.until(8, "cancelled", 20)
    assert "cancelled" in rig.tile(8).inner_text()

    shown.save()
    shown.page.reload()
    shown.page.wait_for_function(BACK, timeout=60_000)
    rig.board.wait_for(timeout=60_000)
    shown.wait_until(lambda: len(rig.cards()) == 8, 30, "eight cards after the reload")
    hurry()
    for key in (2, 3, 4, 5, 6, 7):
        rig.until(key, "succeeded", 90)
    assert rig.status(1) == rig.status(8) == "cancelled"


def selection_and_filters(rig: Rig, shoot):
    """Selected on the page, in hand in Python."""
    shown = rig.shown
    rig.tile(2).click()
    rig.tile(3).click(modifiers=["Control"])
    assert rig.says(2).strip() == "['seed 0', 'seed 1'] [(256, 256), (256, 256)]"
    rig.tile(2).click()
    rig.tile(2).press("Shift+End")
    assert rig.says(2).count("(256, 256)") >= 1

    rig.board.get_by_role("button", name="Failed").click()
    shown.wait_until(lambda: sorted(rig.cards()) == [1, 8], 10, "the two that did not succeed")
    rig.board.get_by_role("button", name="All").click()
    rig.board.get_by_role("searchbox").fill("seed 3")
    shown.wait_until(lambda: sorted(rig.cards()) == [7, 8], 10, "those with seed 3")
    rig.board.get_by_role("searchbox").fill("")
    rig.board.get_by_role("button", name="List").click()
    shoot(shown, "list")
    rig.board.get_by_role("button", name="Grid").click()


def detail_and_dismissal(rig: Rig, shoot):
    """The detail view is the job's own; Delete dismisses, undo brings back."""
    shown = rig.shown
    rig.tile(2).dblclick()
    rig.board.locator(".cnb-card .cnb-picture img").first.wait_for(timeout=20_000)
    assert "KSampler.seed" in rig.board.inner_text()
    shoot(shown, "detail")
    rig.board.get_by_role("button", name="All jobs").click()
    # The job's own sheet came with it, after the board's, and takes nothing from the cards.
    button = rig.tile(2).locator(".cnb-tile-open")
    assert button.evaluate("(button) => getComputedStyle(button).backgroundColor") != "rgba(0, 0, 0, 0)"

    rig.tile(2).click()
    rig.tile(2).press("Delete")
    shown.wait_until(lambda: 2 not in rig.cards(), 10, "the card to go")
    rig.board.get_by_role("button", name="Undo").click()
    shown.wait_until(lambda: 2 in rig.cards(), 10, "the card to come back")


def ids(server: ScriptedServer) -> list[str]:
    """The ids of the prompts that a server got."""
    return [body["prompt_id"] for body in server.calls("POST /prompt")]


OVERFLOW = "(board) => board.scrollWidth - board.clientWidth"
READY = "() => window.jupyterapp?.shell.currentWidget?.content?.widgets?.length > 0"
ABUSE = {
    "html": "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script><b>bold</b>",
    "emoji": "👩‍👩‍👧‍👦🎨" * 40,
    "rtl": "\u202e\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd " * 20,
    "long": "x" * 10_000,
}


def test_abuse_is_shown_as_text_and_the_layout_holds(notebook, work, servers, shoot):
    titles = list(ABUSE.values())
    cells = [
        CONNECT.format(one=servers[0].url, two=servers[1].url, graph=GRAPH),
        f"""jobs = [one.submit(workflow, title=title) for title in {titles!r}]
plain = two.submit(workflow, {{"KSampler.seed": 5}});""",
        "bad = two.submit(workflow)",
    ]
    write_notebook(work / "abuse.ipynb", cells)
    shown = notebook("abuse.ipynb")
    shown.run_to_end(0)
    rig = Rig(shown, servers)
    shown.run_to_end(1)
    shown.wait_until(lambda: len(rig.cards()) == 5, 20, "five cards")
    rig.until(5, "running", 20)
    shoot(shown, "abuse")
    assert rig.board.locator("script, .cnb-tile b, .cnb-tile img[src=x]").count() == 0
    assert shown.page.title() != "broken"
    boxes = [rig.tile(key).bounding_box() for key in rig.cards()]
    assert len({(round(box["width"]), round(box["height"])) for box in boxes}) == 1
    assert rig.board.evaluate(OVERFLOW) <= 0
    texts = rig.board.evaluate("(b) => [...b.querySelectorAll('.cnb-tile-title')].map((t) => t.textContent)")
    assert any(text.startswith("<img src=x") for text in texts)
    assert all(len(text) <= 80 for text in texts)
    abusive_errors(rig, shoot)
    shown.page.set_viewport_size({"width": 640, "height": 900})
    shoot(shown, "narrow")
    assert rig.board.evaluate(OVERFLOW) <= 0
    assert shown.page.title() != "broken"
    assert shown.complaints == []


def abusive_errors(rig: Rig, shoot):
    """Each abuse once more, as what a server says when it refuses a prompt."""
    shown = rig.shown
    for key, words in enumerate(ABUSE.values(), 6):
        problem = {"type": "bad", "message": words, "details": words, "extra_info": {"input_name": words}}
        refusal = {
            "error": {"type": "prompt_outputs_failed_validation", "message": words, "details": words},
            "node_errors": {"3": {"errors": [problem], "class_type": words, "dependent_outputs": ["9"]}},
        }
        rig.servers[1].faults = Faults(post=Page.json(refusal, 400))
        shown.run_to_end(2)
        rig.until(key, "failed", 20)
    rig.board.get_by_role("button", name="Failed").click()
    shoot(shown, "errors")
    for key in range(6, 10):
        assert not rig.tile(key).evaluate(
            "(tile) => [...tile.querySelectorAll('*')].some((part) => part.scrollWidth > 400)"
        )
    assert "<img src=x" in rig.tile(6).inner_text()
    rig.tile(6).dblclick()
    rig.board.locator(".cnb-error").wait_for(timeout=20_000)
    shoot(shown, "error")
    assert "<img src=x" in rig.board.locator(".cnb-error").inner_text()
    assert rig.board.locator(".cnb-error-title").evaluate(OVERFLOW) <= 0
    assert rig.board.evaluate(OVERFLOW) <= 0
    rig.board.get_by_role("button", name="All jobs").click()
    rig.board.get_by_role("button", name="All", exact=True).click()
    assert rig.board.locator("script, .cnb-tile b b, .cnb-error b b, img[src=x]").count() == 0


MANY = """jobs = [one.submit(workflow, {"KSampler.seed": seed}) for seed in range(30)];"""


def test_many_that_wait_are_one_tile_that_opens(notebook, work, servers, shoot):
    cells = [CONNECT.format(one=servers[0].url, two=servers[1].url, graph=GRAPH), MANY]
    write_notebook(work / "many.ipynb", cells)
    shown = notebook("many.ipynb")
    shown.run_to_end(0)
    rig = Rig(shown, servers)
    shown.run_to_end(1)
    rig.until(1, "running", 20)
    shown.wait_until(
        lambda: rig.cards() == [1, 2, 3, 4, 0], 20, "one that runs, three that wait, one for all others"
    )
    fold = rig.tile(0)
    assert "+26" in fold.inner_text()
    shoot(shown, "folded")
    fold.focus()
    fold.press("Enter")
    shown.wait_until(lambda: 5 in rig.cards(), 10, "the others")
    rig.board.get_by_role("searchbox").fill("seed 2")
    shown.wait_until(lambda: 0 not in rig.cards() and 21 in rig.cards(), 10, "all that were looked for")
    rig.board.get_by_role("searchbox").fill("")
    rig.board.get_by_role("button", name="List").click()
    shoot(shown, "list")


def test_a_contact_sheet_is_there_without_a_kernel(rig: Rig, notebook, work, shoot):
    hurry()
    rig.shown.run_to_end(1)
    for key in range(1, 9):
        rig.until(key, "succeeded", 60)
    path = work / "board.ipynb"
    kept: list[dict[str, Any]] = []

    def saved() -> bool:
        rig.shown.save()
        kept[:] = json.loads(path.read_text())["cells"][0]["outputs"]
        return any("image/jpeg" in output.get("data", {}) for output in kept)

    rig.shown.wait_until(saved, 20, "the contact sheet to be kept")
    rig.shown.close()
    assert len(json.dumps(kept)) < 8 * 150_000
    foreign = json.loads(path.read_text())
    foreign["metadata"]["kernelspec"]["name"] = "missing"
    (work / "board_later.ipynb").write_text(json.dumps(foreign))
    again = notebook("board_later.ipynb", ready=READY)
    sheet = again.page.locator(".cnb-saved")
    sheet.wait_for(timeout=20_000)
    picture = "(sheet) => [...sheet.querySelectorAll('img')].some((img) => img.naturalWidth > 0)"
    again.wait_until(lambda: sheet.evaluate(picture), 20, "the picture")
    shoot(again, "later")
    assert "8 succeeded" in sheet.inner_text()
    assert "seed 3: " in sheet.inner_text()
