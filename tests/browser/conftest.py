"""One JupyterLab and one browser for all browser tests; screenshots go to the folder that $SCREENSHOTS names."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.chromium import FLAGS, find_chromium
from tests.browser.lab import Notebook, lab_server

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.fail("No Chromium was found: `make browser` installs one.")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=[*FLAGS])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the notebooks, for JupyterLab to work on."""
    folder = tmp_path_factory.mktemp("work")
    shutil.copytree(ROOT / "notebooks", folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def lab(work: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab on `work`."""
    with lab_server(work, tmp_path_factory.mktemp("lab")) as url:
        yield url


@pytest.fixture
def notebook(browser: Browser, lab: str) -> Iterator[Callable[[str], Notebook]]:
    """Opens notebooks by path; closes them, and their kernels, at the end."""
    opened: list[Notebook] = []

    def open_one(path: str, **size: int) -> Notebook:
        opened.append(Notebook(browser, lab, path, **size))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def shoot(request: pytest.FixtureRequest) -> Callable[[Notebook, str], None]:
    """Takes a screenshot if $SCREENSHOTS names a folder: for people, nothing compares them."""
    folder = os.environ.get("SCREENSHOTS")

    def shoot_one(shown: Notebook, name: str) -> None:
        if folder:
            shown.page.screenshot(path=Path(folder) / f"{request.node.name}-{name}.png")

    return shoot_one
