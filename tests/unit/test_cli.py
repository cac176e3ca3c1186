"""The command line, run as people run it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import psutil
import pytest
from websockets.sync.client import connect

PROGRAM = [sys.executable, "-c", "import sys; from comfy_nb.cli import main; sys.exit(main())"]
NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


# JupyterLab takes its time where other tests keep both cores busy.
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def demo(tmp_path: Path):
    """`comfy-nb demo` on a notebook, without a terminal and with SIGINT ignored, as under `nohup … &`."""
    notebook = tmp_path / "a notebook.ipynb"
    notebook.write_text(json.dumps(NOTEBOOK))
    child = subprocess.Popen(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *PROGRAM, "demo", str(notebook), "--no-browser"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")},
    )
    yield child
    child.kill()
    child.communicate()


def test_demo_prints_where_it_serves_and_one_ctrl_c_leaves_nothing_running(demo: subprocess.Popen):
    line = demo.stdout.readline()
    address = re.fullmatch(
        r"JupyterLab: (http://127\.0\.0\.1:\d+/)lab/tree/a%20notebook\.ipynb\?token=(\w+)\n", line
    )
    assert address, line
    base, token = address.groups()
    assert httpx2.get(line.split()[1], timeout=20).status_code == 200
    started = httpx2.post(f"{base}api/kernels", params={"token": token}, timeout=20).raise_for_status().json()
    kernel = psutil.Process(demo.pid).children()[0]
    websocket = f"ws{base.removeprefix('http')}api/kernels/{started['id']}/channels?token={token}"
    with connect(websocket, proxy=None) as channels:
        ask = {
            "msg_id": "1",
            "msg_type": "kernel_info_request",
            "session": "test",
            "username": "",
            "version": "5.3",
        }
        request = {"header": ask, "parent_header": {}, "metadata": {}, "content": {}, "channel": "shell"}
        channels.send(json.dumps(request))
        while json.loads(channels.recv(timeout=40))["msg_type"] != "kernel_info_reply":  # it has started
            pass

    demo.send_signal(signal.SIGINT)

    assert demo.wait(timeout=60) == 0
    assert not kernel.is_running()
    rest = demo.stdout.read()
    assert rest.endswith("JupyterLab has ended.\n")
    assert "encryption" not in rest  # which a kernel warns of that was given none


def test_demo_serves_nobody_without_the_token(demo: subprocess.Popen):
    base = demo.stdout.readline().split()[1].partition("lab/tree")[0]
    assert httpx2.get(f"{base}api/contents", timeout=20).status_code == 403


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["demo", "missing.ipynb"], "There is no notebook missing.ipynb."),
        ([], "the following arguments are required"),
    ],
)
def test_a_wrong_command_is_refused_with_one_sentence(arguments: list[str], sentence: str):
    done = subprocess.run([*PROGRAM, *arguments], check=False, capture_output=True, text=True, timeout=50)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("arguments", "missing"), [(["demo", "."], "jupyterlab"), (["serve"], "starlette")])
def test_without_the_demo_extra_it_says_what_to_install(arguments: list[str], missing: str):
    blocked = f"import sys; sys.modules[{missing!r}] = None; from comfy_nb.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", blocked, *arguments], check=False, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 1
    assert f"({missing} is missing): pip install 'comfy-nb[demo]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_runs_the_embedded_server_until_its_input_closes():
    child = subprocess.Popen(
        [*PROGRAM, "serve", "--port", "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        serving = json.loads(child.stdout.readline())
        assert httpx2.get(f"{serving['url']}/system_stats", timeout=20).status_code == 200
        child.stdin.close()
        assert child.wait(timeout=20) == 0
