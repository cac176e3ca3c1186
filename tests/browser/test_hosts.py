"""JobView in every host that runs here: live frames, dark theme, 320 pixels, Interrupt with no cell waiting."""

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page

from comfy_nb.testing import Frames, ScriptedServer
from tests.browser.lab import Notebook, free_port, lab_server, serving, write_notebook
from tests.browser.stamped import WORKFLOW, number
from tests.kernel.venvs import python_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

MOMENT = 45_000  # ms: a hang guard for busy machines, no promise
DARK, LIGHT = "JupyterLab Dark", "JupyterLab Light"
HIDE_SIDEBAR = """() => {
    const commands = window.jupyterapp.commands;
    if (commands.hasCommand("application:toggle-left-area") && window.jupyterapp.shell.leftCollapsed === false)
        commands.execute("application:toggle-left-area");
}"""
MARIMO = """
import marimo

app = marimo.App()


@app.cell
def _():
    import comfy_nb as cn

    comfy = cn.connect({url!r})
    return (comfy,)


@app.cell
def _(comfy):
    job = comfy.submit({workflow})
    job
    return (job,)
"""

MARIMO_SETTINGS = """
[runtime]
auto_instantiate = true
[display]
theme = "system"
"""

# The lightness of paper and ink, 0 to 1, as WCAG has it; the canvas turns any colour of CSS into numbers.
COLOURS = """(card) => {
    const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
    const lightness = (colour) => {
        pen.fillStyle = colour;
        pen.fillRect(0, 0, 1, 1);
        const linear = [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3)
            .map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const title = card.querySelector(".cnb-title");
    return [lightness(getComputedStyle(card).backgroundColor), lightness(getComputedStyle(title).color)];
}"""
IN_SHADOW = "(card) => card.getRootNode() instanceof ShadowRoot"
# What sticks out of the card at its right or left, by class.
STICKS_OUT = """(card) => {
    const { left, right } = card.getBoundingClientRect();
    return [...card.querySelectorAll("*")].filter((each) => {
        const box = each.getBoundingClientRect();
        if (!box.width || getComputedStyle(each).position === "absolute") return false;
        return box.right > right + 1 || box.left < left - 1;
    }).map((each) => each.className);
}"""


class Host:
    """A page with a JobView in it."""

    def __init__(self, page: Page, *, darken: Callable[[], object]) -> None:
        self.page, self.darken = page, darken

    @property
    def card(self) -> Locator:
        return self.page.locator(".cnb-card").first

    def until(self, condition: Callable[[], object], what: str) -> None:
        for _ in range(MOMENT // 50):
            if condition():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"waited {MOMENT / 1000:g} s for {what}")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(Frames(count=3000, rate=10)) as server:
        yield server


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a server of its own has its settings."""
    (tmp_path / "scratch").mkdir()
    return tmp_path


Opener = Callable[[pytest.FixtureRequest, Path, str], contextlib.AbstractContextManager[Host]]


def _cells(url: str) -> list[str]:
    return [f"import comfy_nb as cn\ncomfy = cn.connect({url!r})\njob = comfy.submit({WORKFLOW})", "job"]


@contextlib.contextmanager
def _jupyter(browser: Browser, url: str, path: str, pages: str) -> Iterator[Host]:
    shown = Notebook(browser, url, path, pages=pages)
    try:
        for index in range(2):
            shown.run_to_end(index)
        shown.page.evaluate(HIDE_SIDEBAR)
        host = Host(shown.page, darken=lambda: shown.theme(DARK))
        shown.theme(LIGHT)  # whatever the tests before had
        host.card.wait_for(timeout=MOMENT)
        host.until(lambda: host.card.evaluate(COLOURS)[0] > 0.9, "light paper")
        yield host
        # Nobody wants to be asked about news before the first cell runs.
        assert shown.page.locator(".Toastify__toast, .jp-Notification-Toast").count() == 0
        assert shown.complaints == []
    finally:
        shown.close()


@contextlib.contextmanager
def lab(request: pytest.FixtureRequest, place: Path, comfy: str) -> Iterator[Host]:
    """The JupyterLab that the other tests use too."""
    write_notebook(request.getfixturevalue("work") / "host.ipynb", _cells(comfy))
    url = request.getfixturevalue("lab")
    with _jupyter(request.getfixturevalue("browser"), url, "host.ipynb", "lab/tree") as host:
        assert host.page.evaluate("() => window.jupyterapp.version").startswith("4.6.")
        yield host


@contextlib.contextmanager
def older_lab(request: pytest.FixtureRequest, place: Path, comfy: str) -> Iterator[Host]:
    """JupyterLab 4.4 on ipykernel 6.31."""
    write_notebook(place / "host.ipynb", _cells(comfy))
    with (
        lab_server(place, place / "scratch", python=python_for("6.31.0")) as url,
        _jupyter(request.getfixturevalue("browser"), url, "host.ipynb", "lab/tree") as host,
    ):
        assert host.page.evaluate("() => window.jupyterapp.version").startswith("4.4.")
        yield host


@contextlib.contextmanager
def notebook_7(request: pytest.FixtureRequest, place: Path, comfy: str) -> Iterator[Host]:
    write_notebook(place / "host.ipynb", _cells(comfy))
    with (
        lab_server(place, place / "scratch", app="notebook") as url,
        _jupyter(request.getfixturevalue("browser"), url, "host.ipynb", "notebooks") as host,
    ):
        assert host.page.evaluate("() => window.jupyterapp.name") == "Jupyter Notebook"
        yield host


@contextlib.contextmanager
def _page(request: pytest.FixtureRequest, url: str) -> Iterator[Page]:
    page: Page = request.getfixturevalue("browser").new_page(viewport={"width": 1100, "height": 1000})
    page.goto(url)
    try:
        yield page
    finally:
        page.close()


@contextlib.contextmanager
def voila(request: pytest.FixtureRequest, place: Path, comfy: str) -> Iterator[Host]:
    """A page of its own that runs the whole notebook first; its theme is in its address."""
    write_notebook(place / "host.ipynb", _cells(comfy))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "voila", "host.ipynb", "--no-browser", f"--port={port}", "--token="),
        *("--Voila.ip=127.0.0.1", "--Voila.port_retries=0", f"--Voila.root_dir={place}"),
    ]
    with (
        serving(command, f"{url}/voila/static/nonsense", place / "scratch", cwd=place),
        _page(request, url) as page,
    ):
        yield Host(page, darken=lambda: page.goto(f"{url}/?theme=dark"))


@contextlib.contextmanager
def marimo(request: pytest.FixtureRequest, place: Path, comfy: str) -> Iterator[Host]:
    """No IPython, no Jupyter, and a shadow root around the view."""
    (place / "host.py").write_text(MARIMO.format(url=comfy, workflow=WORKFLOW))
    (place / "scratch" / "marimo").mkdir()
    (place / "scratch" / "marimo" / "marimo.toml").write_text(MARIMO_SETTINGS)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "marimo", "edit", "host.py", "--headless", "--no-token", f"--port={port}"),
        "--skip-update-check",
    ]
    settings = {"XDG_CONFIG_HOME": str(place / "scratch"), "HOME": str(place / "scratch")}
    with (
        serving(command, f"{url}/health", place / "scratch", cwd=place, **settings),
        _page(request, url) as page,
    ):
        yield Host(page, darken=lambda: page.emulate_media(color_scheme="dark"))


HOSTS: list[Opener] = [lab, older_lab, notebook_7, voila, marimo]


@pytest.mark.parametrize("opener", HOSTS, ids=lambda opener: opener.__name__)
def test_a_job_is_live_in(opener: Opener, request, place: Path, server: ScriptedServer, shoot):
    with opener(request, place, server.url) as host:
        host.card.wait_for(timeout=MOMENT)
        assert host.card.evaluate(IN_SHADOW) == (opener is marimo)
        shown: set[int | None] = set()
        host.until(
            lambda: shown.add(number(host.card)) or len(shown - {None}) > 5, "six frames to be painted"
        )

        shoot(host, "light")
        paper, ink = host.card.evaluate(COLOURS)
        assert (paper + 0.05) / (ink + 0.05) > 4.5
        host.darken()
        host.until(lambda: host.card.evaluate(COLOURS)[0] < 0.1, "dark paper")
        paper, ink = host.card.evaluate(COLOURS)
        assert (ink + 0.05) / (paper + 0.05) > 4.5
        shoot(host, "dark")

        host.page.set_viewport_size({"width": 320, "height": 800})
        host.until(lambda: host.card.bounding_box()["width"] < 320, "a narrow card")
        host.card.scroll_into_view_if_needed()
        shoot(host, "narrow")
        assert host.card.evaluate(STICKS_OUT) == []

        host.card.get_by_role("button", name=re.compile("Interrupt")).click(timeout=MOMENT)
        host.until(lambda: "Cancelled" in host.card.inner_text(), "the job to be cancelled")
        shoot(host, "cancelled")
    assert [entry.what.rpartition("/")[2] for entry in server.log if "cancel" in entry.what] == ["cancel"]
