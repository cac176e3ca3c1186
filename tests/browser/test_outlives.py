"""What a saved notebook shows without its kernel: the picture and one line, in JupyterLab and in exports."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from PIL import Image

from comfy_nb.testing import Frames, ScriptedServer
from tests.browser.lab import IDLE, Notebook, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

WORKFLOW = {
    "1": {"class_type": "KSampler", "inputs": {}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
}
TITLE = "Six <b>columns</b>"
LIMIT = 150_000  # bytes per job
# Said in the live view's place once the host has looked for its model.
RESTORED = """() => [...document.querySelectorAll(".jp-OutputArea-output.jupyter-widgets")].some(
    node => node.textContent.includes("model not found"))"""
READY = "() => window.jupyterapp?.shell.currentWidget?.content?.widgets?.length > 0"
SIGHT = """() => [...document.querySelectorAll(".jp-OutputArea-child")].map(child => ({
    live: child.querySelector(".cnb-card") !== null,
    picture: [...child.querySelectorAll("img")].some(img => img.naturalWidth > 0),
    text: child.innerText.trim(),
    shown: child.offsetHeight > 0,
}))"""


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(Frames(count=5, rate=10, size=512)) as server:
        yield server


def cells(url: str, *more: str) -> list[str]:
    return [
        f"import comfy_nb as cn; comfy = cn.connect({url!r})\njob = comfy.submit({WORKFLOW}, title={TITLE!r})",
        "job",
        "job.result().image.size",
        *more,
    ]


def outputs_of(path: Path) -> list[Any]:
    """The outputs that the saved notebook has for the cell that shows the job."""
    return nbformat.read(path, as_version=4).cells[1].outputs


def picture_in(output: Any) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(output.data["image/jpeg"])))


def sight(shown: Notebook) -> list[dict[str, Any]]:
    """Each output of the page, as the eye sees it."""
    return shown.page.evaluate(SIGHT)


def run(shown: Notebook, count: int) -> None:
    for index in range(count):
        shown.run_to_end(index)


def test_a_page_that_was_loaded_in_the_middle_of_the_run_saves_the_picture_too(
    notebook: Callable[..., Notebook], work: Path
):
    path = work / "reloaded.ipynb"
    with ScriptedServer(Frames(count=1000, rate=10, size=512)) as server:
        write_notebook(path, cells(server.url))
        shown = notebook(path.name)
        run(shown, 2)
        shown.wait_until(lambda: "Interrupt" in shown.view(1).inner_text(), 20, "the job to run")
        shown.save()
        (live, copy) = outputs_of(path)
        assert "image/jpeg" not in copy.data  # it still runs
        shown.page.reload()
        shown.page.wait_for_function(IDLE)
        shown.view(1).get_by_role("button", name="Interrupt").click()
        shown.wait_until(lambda: "Cancelled" in shown.view(1).inner_text(), 30, "the job to end")
        shown.wait_until(lambda: "image/jpeg" in shown.outputs(1)[1]["data"], 20, "the copy to be filled in")
        shown.save()
        assert shown.outputs(1)[0]["data"] == live.data  # the live view is where it was
        assert len([each for each in sight(shown) if each["shown"]]) == 1
        assert shown.complaints == []
    saved = outputs_of(path)
    assert picture_in(saved[1]).size == (512, 512)
    assert saved[1].data["text/plain"].startswith(f"{TITLE}: cancelled")


def test_the_picture_and_one_line_are_there_without_a_kernel(
    notebook: Callable[..., Notebook], work: Path, server, shoot
):
    path = work / "outlives.ipynb"
    write_notebook(path, cells(server.url))
    shown = notebook(path.name)
    run(shown, 3)
    shown.wait_until(lambda: "Succeeded" in shown.view(1).inner_text(), 20, "the job to succeed")
    assert len(outputs_shown := [each for each in sight(shown) if each["shown"]]) == 2
    assert [each["live"] for each in outputs_shown] == [
        True,
        False,
    ]  # the copy is hidden; then comes cell 2's
    shoot(shown, "live")
    shown.save()
    shown.close()

    saved = outputs_of(path)
    assert len(json.dumps(saved)) < LIMIT
    assert picture_in(saved[1]).size == (512, 512)
    assert saved[1].data["text/plain"].startswith(f"{TITLE}: succeeded in ")
    assert saved[1].data["text/plain"].endswith(" · 1 image")

    # Here, with a new kernel; and a copy that somebody else made, with a kernel that is not there.
    foreign = json.loads(path.read_text())
    foreign["metadata"]["kernelspec"]["name"] = "missing"
    foreign["cells"][0]["source"] = "# never signed here"
    (work / "foreign.ipynb").write_text(json.dumps(foreign))
    for name in ("outlives", "foreign"):
        again = notebook(f"{name}.ipynb", ready=READY)
        again.wait_until(lambda: any(each["picture"] for each in sight(again)), 20, "the picture")  # noqa: B023
        shoot(again, name)
        (seen,) = [each for each in sight(again) if each["picture"]]
        assert seen["shown"]
        if name == "outlives":  # a style of somebody else's notebook is not trusted
            again.page.wait_for_function(RESTORED)
            first = next(each for each in sight(again) if not each["picture"])
            assert not first["shown"], first["text"]
        assert seen["text"].startswith(f"{TITLE}: succeeded in ")
