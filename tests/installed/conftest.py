"""comfy_nb as people have it who installed the wheel, and kernels of theirs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
CELL_LIMIT = 90  # seconds


class Installed(NamedTuple):
    """An environment into which the wheel was installed."""

    folder: Path
    wheel: Path
    environment: dict[str, str]
    """What its programs run with: nothing that leads to this clone."""

    @property
    def programs(self) -> Path:
        return self.folder / "bin"

    def run(self, notebook: NotebookNode, folder: Path) -> NotebookNode:
        """Run a notebook to its end in a kernel of this environment, in a folder; its own copy, with outputs."""
        client = NotebookClient(
            notebook,
            kernel_name="installed",
            timeout=CELL_LIMIT,
            resources={"metadata": {"path": str(folder)}},
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JUPYTER_PATH", str(self.folder / "share" / "jupyter"))
            return client.execute(env=self.environment)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel of this clone in an environment of its own; what it depends on is borrowed from ours."""
    wheels, folder = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels]
    subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    wheel = next(wheels.glob("*.whl"))

    venv.create(folder)
    python = folder / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", wheel]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *install], check=True)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    # A line in a .pth is one more folder to look in; the .pth files in there, such as ours of this clone, do not count.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")

    spec = {"argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
    kernel = folder / "share" / "jupyter" / "kernels" / "installed" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps({**spec, "display_name": "installed", "language": "python"}))
    scratch = tmp_path_factory.mktemp("scratch")
    own = {
        "COMFY_NB_STEP_TIME": "0",
        "IPYTHONDIR": str(scratch),
        "JUPYTER_RUNTIME_DIR": str(scratch),
        "JUPYTER_CONFIG_DIR": str(scratch),
    }
    ours = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "COMFY_NB_URL"}}
    return Installed(folder, wheel, ours | own)


@pytest.fixture
def run_cells(installed: Installed, tmp_path: Path) -> Callable[[Sequence[str]], NotebookNode]:
    """Runs cells in a new kernel of the installed package, in a folder that is empty at first."""

    def run(cells: Sequence[str]) -> NotebookNode:
        made = [nbformat.v4.new_code_cell(source) for source in cells]
        return installed.run(nbformat.v4.new_notebook(cells=made), tmp_path)

    return run
