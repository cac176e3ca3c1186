"""A real JupyterLab in a real Chromium: a server of its own, and a notebook that is driven cell by cell.

Everything the server writes goes to a temporary folder; it listens on a free port of 127.0.0.1 and is stopped with
all its kernels.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
from playwright.sync_api import Browser, Page

START_LIMIT = 60.0
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
THEME = """(name) => window.jupyterapp.commands.execute("apputils:change-theme", { theme: name })"""


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def lab_server(folder: Path, scratch: Path, **environment: str) -> Iterator[str]:
    """JupyterLab on `folder`; gives its address. `scratch` takes its settings and logs."""
    port = free_port()
    own = {f"JUPYTER_{name}_DIR": str(scratch / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"),
        *("--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}", "--ServerApp.allow_root=True"),
        *(f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True"),
        *(f"--LabApp.workspaces_dir={scratch / 'workspaces'}", "--LabApp.news_url=None"),
        "--ServerApp.disable_check_xsrf=True",
    ]
    with (scratch / "lab.log").open("wb") as log:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **own, "IPYTHONDIR": str(scratch / "ipython"), **environment},
        )
        url = f"http://127.0.0.1:{port}"
        try:
            _until_it_answers(f"{url}/api/status?token={TOKEN}", server, scratch / "lab.log")
            yield url
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
            if httpx2.get(url, timeout=2, trust_env=False).is_success:
                return
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text(errors='replace')[-3000:]}")


class Notebook:
    """One notebook in one page of JupyterLab."""

    def __init__(
        self, browser: Browser, url: str, path: str, *, width: int = 1100, height: int = 1000
    ) -> None:
        self.page: Page = browser.new_page(viewport={"width": width, "height": height})
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(f"{url}/lab/tree/{path}?reset&token={TOKEN}")
        self.page.wait_for_function(IDLE, timeout=60_000)

    def run(self, index: int) -> None:
        """Run a cell, without waiting for it."""
        self.page.evaluate(RUN, index)

    def run_to_end(self, index: int, limit: float = 60.0) -> None:
        """Run a cell and wait until it has ended."""
        before = self.prompt(index)
        self.run(index)
        self.wait_until(lambda: self.prompt(index) not in (before, "[*]:"), limit, f"cell {index} to end")

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
        """Change the theme: "JupyterLab Dark" or "JupyterLab Light"."""
        self.page.evaluate(THEME, name)

    def wait_until(self, condition: Callable[[], object], limit: float, what: str) -> Any:
        """Wait until `condition` is true and return its value; fails with `what` after `limit` seconds."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            if value := condition():
                return value
            self.page.wait_for_timeout(25)
        raise AssertionError(f"waited {limit:g} s for {what}")

    def close(self) -> None:
        """Shut the kernel down and close the page."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        self.page.close()
