"""Client libraries that know nothing of us work against the embedded server.

Each lives in an environment of its own under .venvs/, made of the versions in clients/*.txt, and reaches nothing but
loopback. The server is told to show no previews by itself, as ComfyUI is unless asked: some of these libraries take
every binary message for a result.
"""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfy_nb.server.process import EmbeddedServer

pytestmark = pytest.mark.timeout(600)  # an environment may have to be made first

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "clients"
WORKFLOW = ROOT / "tests" / "data" / "workflows" / "default.json"


def environment(name: str) -> Path:
    """The programs of a library's environment, made if it is missing."""
    pins = SCRIPTS / f"{name}.txt"
    folder = ROOT / ".venvs" / f"client-{name}"
    folder.parent.mkdir(exist_ok=True)
    with folder.with_suffix(".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # two test workers may ask at once
        made = folder / "made-from.txt"
        if not made.exists() or made.read_text() != pins.read_text():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            pip = [folder / "bin" / "python", "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
            subprocess.run([*pip, "-r", pins], check=True)
            made.write_text(pins.read_text())
    return folder / "bin"


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer.start(step_time=0.01, options=["--preview-method", "none"]) as running:
        yield running


@pytest.fixture
def loopback_only(tmp_path: Path) -> dict[str, str]:
    """An environment in which only loopback can be reached, with a home of its own."""
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    hosts = "127.0.0.1,localhost"
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        **nowhere,
        "NO_PROXY": hosts,
        "no_proxy": hosts,
    }


def call(command: list[object], folder: Path, variables: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=variables, check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["simplified", "script", "plain"])
def test_a_library_runs_its_workflow(name, server, tmp_path, loopback_only):
    python = environment(name) / "python"
    call([python, SCRIPTS / f"{name}.py", server.url, WORKFLOW], tmp_path, loopback_only)


def test_the_run_command_of_comfy_cli(server, tmp_path, loopback_only):
    host, port = server.url.removeprefix("http://").split(":")
    command = [environment("cli") / "comfy", "--skip-prompt", "run", "--workflow", WORKFLOW, "--wait"]
    command += ["--host", host, "--port", port, "--timeout", "60"]
    told = call(command, tmp_path, loopback_only).strip().splitlines()[-1]
    reply = json.loads(told)
    assert reply["ok"] is True
    assert reply["data"]["status"] == "completed"
    assert [url.partition("/view?")[2] for url in reply["data"]["outputs"]] == [
        "filename=ComfyUI_00001_.png&subfolder=&type=output"
    ]
