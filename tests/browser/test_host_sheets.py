"""The style sheets in the markup of each host: the saved copy is hidden, the colours are the host's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

import comfy_nb
from tests.browser.test_hosts import COLOURS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

STATIC = Path(comfy_nb.__file__).parent / "static"
CARD = (
    '<div class="cnb"><section class="cnb-card"><header class="cnb-title">A castle</header></section></div>'
)
BOARD = '<div class="cnb cnb-board"><section class="cnb-board-card"><h3 class="cnb-title">Jobs</h3></section></div>'
SAVED = '<div class="cnb-saved">A castle: succeeded</div>'
# One output of a host, around what is shown.
BOXES = {
    "JupyterLab, Notebook 7": '<div class="jp-OutputArea-child"><div class="jp-OutputArea-output">{}</div></div>',
    "nbclassic": '<div class="output_area"><div class="prompt"></div><div class="output_subarea">{}</div></div>',
    "VS Code": '<div class="output_container"><div class="output">{}</div></div>',
}
# As its widgets' bundle has it: light whatever the theme, and a white ground.
VSCODE = """
:root { --jp-layout-color0: white; --jp-ui-font-color0: #000; --jp-ui-font-color1: #111; --jp-brand-color1: #2196f3 }
.cell-output-ipywidget-background { background: white !important }
"""
THEMES = {
    "vscode-dark": ("#1f1f1f", "#cccccc"),
    "vscode-light": ("#ffffff", "#3b3b3b"),
    "vscode-high-contrast": ("#000000", "#ffffff"),
    "vscode-high-contrast-light": ("#ffffff", "#292929"),
}


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 600, "height": 300})
    yield page
    page.close()


def fill(page: Page, body: str, sheet: str, more: str = "", attributes: str = "") -> None:
    ours = (STATIC / f"{sheet}.css").read_text()
    page.set_content(
        f"<!doctype html><style>{more}</style><style>{ours}</style><body {attributes}>{body}</body>"
    )


@pytest.mark.parametrize(("sheet", "live"), [("job_view", CARD), ("board_view", BOARD)])
@pytest.mark.parametrize("host", BOXES)
def test_the_saved_copy_waits_behind_its_live_view_and_only_there(
    page: Page, host: str, sheet: str, live: str
):
    box = BOXES[host]
    outputs = [live, SAVED, "<p>something else</p>", SAVED]
    fill(page, "".join(box.format(output) for output in outputs), sheet)
    shown = page.locator(".cnb-saved").evaluate_all("(all) => all.map((each) => each.offsetHeight > 0)")
    assert shown == [False, True]


@pytest.mark.parametrize("theme", THEMES)
def test_the_colours_in_vscode_are_those_of_its_theme(page: Page, theme: str):
    paper, ink = THEMES[theme]
    variables = f"style='--vscode-editor-background: {paper}; --vscode-editor-foreground: {ink};"
    attributes = f"data-vscode-theme-kind='{theme}' {variables} --vscode-contrastBorder: {ink}'"
    grounds = [f'<div class="cell-output-ipywidget-background">{shown}</div>' for shown in (CARD, "")]
    fill(page, "".join(grounds), "job_view", VSCODE, attributes)
    lightness = page.locator(".cnb-card").evaluate(COLOURS)
    dark = theme in ("vscode-dark", "vscode-high-contrast")
    assert (lightness[0] < 0.05) == dark
    assert (max(lightness) + 0.05) / (min(lightness) + 0.05) > 7
    colours = page.locator(".cell-output-ipywidget-background").evaluate_all(
        "(all) => all.map((each) => getComputedStyle(each).backgroundColor)"
    )
    assert colours == ["rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"]  # ours alone
    border = page.locator(".cnb-card").evaluate("(card) => getComputedStyle(card).borderTopColor")
    text = page.locator(".cnb-title").evaluate("(title) => getComputedStyle(title).color")
    assert (border == text) == ("high-contrast" in theme)
