"""Notebook 1 in a real JupyterLab: diffusion in place, the final picture, and Interrupt."""

import base64
import io
import json
import re
from collections.abc import Callable

import httpx2
import pytest
from PIL import Image, ImageChops, ImageStat

import comfy_nb as cn
from tests.browser.lab import Notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

# What the eye sees: a rough fingerprint of the picture, and what the bars say.
PICTURE = """(view) => {
    const image = view.querySelector(".cnb-frame");
    if (!image || image.hidden || !image.naturalWidth) return null;
    const pen = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext("2d");
    pen.drawImage(image, 0, 0);
    const pixels = pen.getImageData(0, 0, image.naturalWidth, image.naturalHeight).data;
    let sum = 0;
    for (let i = 0; i < pixels.length; i += 97) sum = (sum * 31 + pixels[i]) % 1000000007;
    return sum;
}"""
STEP = """(view) => [...view.querySelectorAll("[role=progressbar]")].map(bar => bar.getAttribute("aria-valuetext"))"""
OVERALL = """(view) => Number(view.querySelector("[role=progressbar]").getAttribute("aria-valuenow"))"""


def cells(work) -> dict[str, int]:
    """The index of each cell of notebook 1 by its id."""
    saved = json.loads((work / "01_first_job.ipynb").read_text())
    return {cell["id"]: index for index, cell in enumerate(saved["cells"])}


def address(shown: Notebook, index: int) -> str:
    """The server's address, as the notebook shows it."""
    text = shown.outputs(index)[0]["data"]["text/plain"]
    return text.split(" at ")[1].split(",")[0]


def get(url: str) -> bytes:
    return httpx2.get(url, timeout=10, trust_env=False).raise_for_status().content


def test_a_picture_comes_out_of_noise_in_place(notebook: Callable[[str], Notebook], work, shoot):
    at = cells(work)
    shown = notebook("01_first_job.ipynb")
    for name in ("connect", "workflow", "start"):
        shown.run_to_end(at[name])

    view = shown.view(at["start"]).element_handle()
    pictures, steps, overall = set(), set(), []

    def watch() -> bool:
        pictures.add(view.evaluate(PICTURE))
        steps.update(view.evaluate(STEP))
        overall.append(view.evaluate(OVERALL))
        if len(pictures) == 6:
            shoot(shown, "running")
        return "Succeeded" in view.inner_text()

    shown.wait_until(watch, 60, "the job to succeed")
    shoot(shown, "done")
    assert len(pictures - {None}) >= 5
    assert sum(text is not None and text.startswith("step ") for text in steps) >= 5
    assert overall == sorted(overall)
    assert len(set(overall)) >= 5
    assert view.evaluate(OVERALL) == 1

    shown.run_to_end(at["image"])
    displayed = shown.outputs(at["image"])[0]["data"]["image/png"]
    picture = Image.open(io.BytesIO(base64.b64decode(displayed))).convert("RGB")
    url = address(shown, at["connect"])
    (entry,) = json.loads(get(f"{url}/history")).values()
    (reference,) = entry["outputs"]["9"]["images"]
    query = "&".join(f"{key}={value}" for key, value in reference.items())
    saved = Image.open(io.BytesIO(get(f"{url}/view?{query}"))).convert("RGB")
    assert mean_difference(picture, saved) < 3

    # The Final tab came forward by itself and shows the same picture.
    shown.view(at["start"])
    final = view.wait_for_selector("[role=tabpanel] .cnb-final img", timeout=5000)
    on_page = Image.open(io.BytesIO(final.screenshot())).convert("RGB")
    assert mean_difference(on_page, saved.resize(on_page.size)) < 12  # rounded corners, another scaling
    assert shown.complaints == []


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    """The mean difference per channel, of 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


def step_of(view) -> int:
    """The step that the bar says, 0 without one."""
    found = (re.match(r"step (\d+) of", text or "") for text in view.evaluate(STEP))
    return max((int(match[1]) for match in found if match), default=0)


def test_interrupt_stops_this_job_and_no_other(notebook: Callable[[str], Notebook], work, shoot):
    at = cells(work)
    shown = notebook("01_first_job.ipynb")
    for name in ("connect", "workflow", "long"):
        shown.run_to_end(at[name])
    view = shown.view(at["long"]).element_handle()
    shown.wait_until(lambda: step_of(view) >= 3, 60, "the third step")

    url = address(shown, at["connect"])
    with cn.connect(url) as second:
        other = second.submit(work / "workflows" / "text_to_image.json", {"KSampler.seed": 5})
        view.wait_for_selector("button:has-text('Interrupt')").click()
        shown.wait_until(lambda: "Cancelled" in view.inner_text(), 20, "the job to be cancelled")
        shoot(shown, "cancelled")
        assert "nterrupted at step " in view.inner_text()
        assert other.result(60).image.size == (512, 512)

        history = json.loads(get(f"{url}/history"))
        ends = {key: entry["status"]["messages"][-1][0] for key, entry in history.items()}
    assert ends.pop(other.id) == "execution_success"
    assert list(ends.values()) == ["execution_interrupted"]
    assert shown.complaints == []
