"""A real JupyterLab or Notebook in a real Chromium: a server of its own, and a notebook that is driven cell by cell.

Everything the server writes goes to a temporary folder; it listens on a free port of 127.0.0.1 and is stopped with
all its kernels.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
from playwright.sync_api import Browser, Page

from comfy_nb.cli import LAB_OPTIONS

START_LIMIT = 120.0  # seconds; a hang guard for busy machines
TOKEN = "browser-tests"  # noqa: S105 - of a server that lives for one test session

IDLE = """() => {
    const panel = window.jupyterapp?.shell.currentWidget;
    return panel?.sessionContext?.session?.kernel?.status === "idle";
}"""
RUN = """(index) => {
    const panel = window.jupyterapp.shell.currentWidget;
    panel.content.activeCellIndex = index;
    panel.content.deselectAll();
    window.jupyterapp.commands.execute("notebook:run-cell");
}"""
# "*" while it waits or runs, the execution count when it is done.
PROMPT = """(index) => {
    const cell = window.jupyterapp.shell.currentWidget.content.widgets[index];
    return cell.promptNode?.textContent.trim() ?? "";
}"""
OUTPUTS = "(index) => window.jupyterapp.shell.currentWidget.content.widgets[index].model.outputs.toJSON()"
THEMED = """(name) => document.body.dataset.jpThemeName === name && !document.getElementById("jupyterlab-splash")"""
THEME = """(name) => window.jupyterapp.commands.execute("apputils:change-theme", { theme: name })"""


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def lab_server(
    folder: Path,
    scratch: Path,
    *,
    python: str | Path = sys.executable,
    app: str = "jupyterlab",
    kernels: Mapping[str, Path] | None = None,
    **environment: str,
) -> Iterator[str]:
    """JupyterLab on `folder`, or Notebook if `app` is "notebook"; gives its address.

    It runs in `python`, where its usual kernel lives too; `kernels` are more of them, each in a Python of its own.
    `scratch` takes its settings and logs.
    """
    port = free_port()
    name = {"jupyterlab": "LabApp", "notebook": "JupyterNotebookApp"}[app]
    for kernel, its_python in (kernels or {}).items():
        _install_kernel(scratch / "data" / "kernels" / kernel, kernel, its_python)
    command = [
        *(python, "-m", app, "--no-browser", f"--port={port}", *LAB_OPTIONS),
        *("--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"),
        f"--ServerApp.root_dir={folder}",
        # Notebook loads JupyterLab's part of the server too, and some of its pages ask that.
        *(f"--{each}.expose_app_in_browser=True" for each in dict.fromkeys(["LabApp", name])),
        *(f"--{name}.workspaces_dir={scratch / 'workspaces'}", "--ServerApp.disable_check_xsrf=True"),
    ]
    url = f"http://127.0.0.1:{port}"
    with serving(command, f"{url}/api/status?token={TOKEN}", scratch, **environment):
        yield url


def _install_kernel(folder: Path, name: str, python: Path) -> None:
    folder.mkdir(parents=True)
    spec = {
        "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": name,
        "language": "python",
    }
    (folder / "kernel.json").write_text(json.dumps(spec))


@contextlib.contextmanager
def serving(
    command: Sequence[str | Path], url: str, scratch: Path, *, cwd: Path | None = None, **environment: str
) -> Iterator[None]:
    """Run a server, from when it answers at `url` to the end of the block. `scratch` takes settings and log."""
    own = {f"JUPYTER_{name}_DIR": str(scratch / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    log = scratch / "server.log"
    with log.open("wb") as file:
        server = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **own, "IPYTHONDIR": str(scratch / "ipython"), **environment},
        )
        try:
            _until_it_answers(url, server, log)
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _until_it_answers(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(url, timeout=2, trust_env=False).status_code < 500:
                return
        time.sleep(0.1)
    raise RuntimeError(f"The server did not start:\n{log.read_text(errors='replace')[-3000:]}")


def write_notebook(path: Path, cells: Sequence[str], *, kernel: str = "python3") -> None:
    """Write a notebook of code cells, with ids "cell-0", "cell-1" and so on."""
    made = [
        {
            "cell_type": "code",
            "id": f"cell-{index}",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for index, source in enumerate(cells)
    ]
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    saved = {"cells": made, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(saved))


class Notebook:
    """One notebook in one page of JupyterLab, or of Notebook with `pages="notebooks"`."""

    def __init__(
        self,
        browser: Browser,
        url: str,
        path: str,
        *,
        width: int = 1100,
        height: int = 1000,
        pages: str = "lab/tree",
        ready: str = IDLE,
    ) -> None:
        self.page: Page = browser.new_page(viewport={"width": width, "height": height})
        self.page.goto(f"{url}/{pages}/{path}?reset&token={TOKEN}")
        self.page.wait_for_function(ready, timeout=START_LIMIT * 1000)
        # Not before: what the host complains of while it loads is its own (Notebook 7.6 does, of its settings).
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def run(self, index: int) -> None:
        """Run a cell, without waiting for it."""
        self.page.evaluate(RUN, index)

    def run_to_end(self, index: int, limit: float = 60.0) -> None:
        """Run a cell and wait until it has ended."""
        before = self.prompt(index)
        self.run(index)
        self.wait_until(lambda: self.prompt(index) not in (before, "[*]:"), limit, f"cell {index} to end")

    def run_all(self) -> None:
        """Run all cells, without waiting for them."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def text(self, index: int) -> str:
        """What a cell has printed."""
        return "".join("".join(output.get("text", "")) for output in self.outputs(index))

    def save(self) -> None:
        """Save the notebook."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")

    def prompt(self, index: int) -> str:
        """The prompt of a cell: "[*]:" while it waits or runs."""
        return self.page.evaluate(PROMPT, index)

    def outputs(self, index: int) -> list[dict[str, Any]]:
        """The outputs of a cell, as the notebook would save them."""
        return self.page.evaluate(OUTPUTS, index)

    def cell(self, index: int) -> Any:
        """A cell's element, brought into view."""
        cell = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell").nth(index)
        cell.scroll_into_view_if_needed()
        return cell

    def view(self, index: int) -> Any:
        """The element of the JobView in a cell's output."""
        view = self.page.locator(f'.jp-Cell[data-windowed-list-index="{index}"] .cnb').first
        view.wait_for(timeout=20_000)
        view.scroll_into_view_if_needed()
        return view

    def theme(self, name: str) -> None:
        """Change the theme: "JupyterLab Dark" or "JupyterLab Light". Returns when the page has it."""
        self.page.evaluate(THEME, name)
        self.page.wait_for_function(THEMED, arg=name)

    def wait_until(self, condition: Callable[[], object], limit: float, what: str) -> Any:
        """Wait until `condition` is true and return its value; fails with `what` after `limit` seconds."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            if value := condition():
                return value
            self.page.wait_for_timeout(25)
        raise AssertionError(f"waited {limit:g} s for {what}")

    def close(self) -> None:
        """Shut the kernel down and close the page. Doing so twice is harmless."""
        if self.page.is_closed():
            return
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        self.page.close()
