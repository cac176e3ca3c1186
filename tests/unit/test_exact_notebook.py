"""Notebook 4 runs from top to bottom, and its figures show what its texts say."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

CELL, SIDE, LEFT, TOP = 96, 100, 90, 24  # of a sheet, as comfy_nb/figures.py lays it out
FOLDER = Path(__file__).parents[2] / "notebooks"


@pytest.fixture(scope="module")
def shown():
    """What each code cell shows, by its id: media type to data, and "text" for what it prints."""
    notebook = nbformat.read(FOLDER / "04_exact_diffusion.ipynb", as_version=4)
    NotebookClient(notebook, timeout=150, resources={"metadata": {"path": str(FOLDER)}}).execute()
    found = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            found[cell.id] = {"text": "".join(output.get("text", "") for output in cell.outputs)}
            for output in cell.outputs:
                found[cell.id] |= output.get("data", {})
    return found


def tiles(sheet: dict, left: int, top: int, columns: int) -> list[list[np.ndarray]]:
    """The pictures of a sheet, by row."""
    page = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet["image/png"]))).convert("RGB"), float)
    rows = (page.shape[0] - top) // SIDE
    return [
        [
            page[top + SIDE * y : top + SIDE * y + CELL, left + SIDE * x : left + SIDE * x + CELL]
            for x in range(columns)
        ]
        for y in range(rows)
    ]


def curves(plot: dict) -> list[np.ndarray]:
    """The points of a plot's curves, in pixels; y falls upwards."""
    paths = re.findall(r'<path d="M([^"]+)" fill="none"', plot["image/svg+xml"])
    return [np.array([point.split() for point in path.split("L")], float) for path in paths]


pytestmark = [pytest.mark.timeout(240), pytest.mark.filterwarnings("default")]


def test_every_path_takes_one_of_two_sides(shown):
    ends = sorted(curve[-1, 1] for curve in curves(shown["paths"]))
    assert len(ends) == 30
    gaps = np.diff(ends)
    assert gaps.max() > 80
    assert np.delete(gaps, gaps.argmax()).sum() < 20


def test_the_picture_is_decided_before_it_is_seen(shown):
    noisy, expected = tiles(shown["film"], LEFT, TOP, 8)
    early, late = 3, 7
    assert np.abs(expected[early] - expected[late]).mean() < 1
    assert np.abs(noisy[early] - noisy[late]).mean() > 50
    assert np.abs(expected[0] - expected[late]).mean() > 10


def test_the_light_is_decided_first_and_all_in_the_end(shown):
    palette, *others = curves(shown["bits"])
    assert all(palette[9, 1] > other[9, 1] + 40 for other in others)  # at sigma 1.5
    assert {round(curve[-1, 1]) for curve in (palette, *others)} == {round(palette[-1, 1])}
    assert re.search(r"^ +1[0-9] .*castle \d", shown["undecided"]["text"], re.MULTILINE)


def test_guidance_changes_pictures_and_solvers_agree_in_the_end(shown):
    low, *_, high = tiles(shown["guidance"], LEFT, 0, 7)
    assert sum(np.abs(a - b).mean() > 5 for a, b in zip(low, high, strict=True)) >= 3
    euler, heun, multistep = tiles(shown["solvers"], LEFT, TOP, 7)
    assert np.abs(euler[-1] - heun[-1]).mean() < 1
    assert np.abs(euler[-1] - multistep[-1]).mean() < 1
    assert np.abs(euler[0] - euler[-1]).mean() > 5


def test_order_is_seen(shown):
    slopes = [np.polyfit(curve[1:, 0], curve[1:, 1], 1)[0] for curve in curves(shown["order"])]
    euler, heun, multistep = slopes
    assert heun > 1.5 * euler
    assert multistep > 1.3 * euler


def test_one_world_repeats_itself_and_two_do_not(shown):
    counts = dict(re.findall(r"(\w+): (\d) different pictures of 7", shown["count"]["text"]))
    assert (counts["landscapes"], counts["textures"]) == ("7", "7")
    assert int(counts["memorise"]) < 7
