"""The wheel, installed into an empty environment: what people get who never see this clone."""

from __future__ import annotations

import re
import signal
import subprocess
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx2
import nbformat
import pytest
from nbformat import NotebookNode

from tests.installed.conftest import ROOT, Installed

pytestmark = [pytest.mark.timeout(180), pytest.mark.filterwarnings("default")]


def test_the_wheel_has_the_whole_tour_and_nothing_of_the_readme(installed: Installed):
    with zipfile.ZipFile(installed.wheel) as wheel:
        packed = {name.partition("tour/")[2] for name in wheel.namelist() if "/tour/" in name}
    listed = subprocess.run(
        ["git", "ls-files", "notebooks"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    tracked = {name.removeprefix("notebooks/") for name in listed.stdout.split("\n") if name}
    assert packed == {name for name in tracked if not name.startswith("pictures/")}
    assert "01_first_job.ipynb" in packed


def test_demo_lays_out_the_tour_here_and_opens_it(installed: Installed, tmp_path: Path):
    (tmp_path / "comfy_nb_tour").mkdir()
    own = tmp_path / "comfy_nb_tour" / "02_job_board.ipynb"
    own.write_text("mine")
    command = [installed.programs / "comfy-nb", "demo", "--no-browser"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=installed.environment, stdout=subprocess.PIPE, text=True
    ) as demo:
        try:
            said = [demo.stdout.readline() for _ in range(2)]
            assert said[0] == "The tour is now in comfy_nb_tour/; it is yours to change.\n"
            address = re.search(r"http://\S+", said[1])[0]
            assert "/lab/tree/01_first_job.ipynb?token=" in address
            assert httpx2.get(address, timeout=30).status_code == 200
        finally:
            demo.send_signal(signal.SIGINT)
            rest = demo.stdout.read()
    assert demo.returncode == 0
    assert rest == "Ctrl-C ends it.\nJupyterLab has ended.\n"
    assert own.read_text() == "mine"
    assert (own.parent / "workflows" / "text_to_image.json").exists()


def test_the_first_notebook_runs_where_demo_laid_it_out(installed: Installed, tmp_path: Path):
    lay_out = "from pathlib import Path; from comfy_nb.examples import copy_tour; copy_tour(Path('tour'))"
    command = [installed.programs / "python", "-c", lay_out]
    subprocess.run(command, cwd=tmp_path, env=installed.environment, check=True)
    notebook = nbformat.read(tmp_path / "tour" / "01_first_job.ipynb", as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("cn.__file__"))
    shown = installed.run(notebook, tmp_path / "tour").cells
    assert str(installed.folder) in str(shown[-1].outputs)
    images = [cell for cell in shown if "image/png" in str(cell.get("outputs"))]
    assert len(images) >= 2


def test_an_example_is_at_hand_anywhere(run_cells: Callable[[Sequence[str]], NotebookNode]):
    shown = run_cells(["import comfy_nb as cn; cn.example()", "cn.example('image_to_image')"]).cells
    assert "Workflow 'text_to_image'" in str(shown[0].outputs)
    assert "Workflow 'image_to_image'" in str(shown[1].outputs)


def test_git_ignores_the_copy_that_make_demo_lays_out():
    ignored = subprocess.run(
        ["git", "check-ignore", "-q", "comfy_nb_tour/01_first_job.ipynb"], cwd=ROOT, check=False
    )
    assert ignored.returncode == 0
    assert "comfy-nb demo\n" in (ROOT / "Makefile").read_text()
