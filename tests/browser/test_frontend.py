"""ComfyUI's own front end, as its PyPI package brings it, works on the embedded server: it knows nothing of us."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

from comfy_nb.server.process import EmbeddedServer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

# Milliseconds; generous, since a page with two cores' worth of other tests beside it is slow.
LIMIT = 90_000

LOADED = "() => window.app?.graph?.nodes.some(node => node.type === 'KSampler')"
WIDGETS = """([type, values]) => {
    const node = app.graph.nodes.find(each => each.type === type)
    for (const [name, value] of Object.entries(values)) node.widgets.find(each => each.name === name).value = value
}"""
PREVIEW = "() => app.graph.nodes.find(node => node.type === 'KSampler').imgs?.[0]?.src"
MARKED = "() => app.graph.nodes.filter(node => node.has_errors).map(node => node.type)"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer.start(step_time=0.3, options=["--frontend"]) as running:
        yield running


@pytest.fixture(scope="module")
def page(browser: Browser, server: EmbeddedServer) -> Iterator[Page]:
    """The front end with its default workflow, on a canvas that is soon painted."""
    shown = browser.new_page(viewport={"width": 1500, "height": 900})
    shown.set_default_timeout(LIMIT)
    shown.goto(server.url)
    shown.wait_for_function(LOADED)
    put(shown, "EmptySD3LatentImage", width=256, height=256)
    yield shown
    shown.close()


@pytest.fixture
def shoot(request: pytest.FixtureRequest, page: Page) -> Callable[[str], None]:
    def shoot_one(name: str) -> None:
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{request.node.name}-{name}.png")

    return shoot_one


def put(page: Page, node_type: str, **values: Any) -> None:
    """Set widgets of the node of that type."""
    page.evaluate(WIDGETS, [node_type, values])


def run(page: Page) -> None:
    page.get_by_test_id("queue-button").click()


def last_end(server: EmbeddedServer) -> str:
    """How the latest prompt ended, by its history."""
    history = httpx2.get(f"{server.url}/history", trust_env=False).json()
    return [*history.values()][-1]["status"]["messages"][-1][0] if history else ""


def test_the_default_workflow_runs_with_live_previews_and_its_picture_arrives(page, server, shoot):
    shoot("loaded")
    put(page, "KSampler", steps=40, seed=1)
    page.get_by_test_id("queue-overlay-toggle").click()
    run(page)
    page.wait_for_function(f"() => ({PREVIEW})()?.startsWith('blob:')")
    running = page.get_by_test_id("job-assets-list").locator("img[src^='blob:']")
    expect(running.first).to_be_visible(timeout=LIMIT)
    first = page.evaluate(PREVIEW)
    page.wait_for_function(f"first => ({PREVIEW})() !== first", arg=first)
    shoot("running")
    picture = page.get_by_test_id("job-assets-list").locator(
        "img[src*='/api/view?filename=ComfyUI_00001_.png']"
    )
    expect(picture).to_be_visible(timeout=LIMIT)
    page.wait_for_function("image => image.naturalWidth === 256", arg=picture.element_handle())
    assert last_end(server) == "execution_success"
    shoot("done")


def test_the_assets_panel_shows_what_was_made(page, shoot):
    page.get_by_test_id("assets-tab-button").click()
    expect(page.locator(".side-bar-panel img[src*='ComfyUI_00001_.png']").first).to_be_visible(timeout=LIMIT)
    shoot("assets")
    page.get_by_test_id("assets-tab-button").click()


def test_its_cancel_button_stops_the_run(page, server, shoot):
    put(page, "KSampler", steps=400, seed=2)
    run(page)
    page.get_by_role("button", name="Cancel current run").click()
    expect(page.get_by_test_id("queue-overlay-toggle")).to_contain_text("0 active", timeout=LIMIT)
    assert last_end(server) == "execution_interrupted"
    shoot("stopped")


def test_the_queue_panel_lists_what_waits_and_clears_it(page, server, shoot):
    for seed in (10, 11, 12):
        put(page, "KSampler", steps=400, seed=seed)
        run(page)
    active = page.get_by_test_id("queue-overlay-toggle")
    expect(active).to_contain_text("3 active", timeout=LIMIT)
    expect(page.get_by_text("1 running, 2 queued").first).to_be_visible(timeout=LIMIT)
    shoot("waiting")
    page.get_by_role("button", name="Clear queued").click()
    expect(active).to_contain_text("1 active", timeout=LIMIT)
    page.get_by_role("button", name="Cancel current run").click()
    expect(active).to_contain_text("0 active", timeout=LIMIT)
    shoot("cleared")


def test_a_rejected_prompt_marks_its_node(page, server, shoot):
    put(page, "KSampler", sampler_name="no such solver", seed=3)
    run(page)
    page.wait_for_function(f"() => ({MARKED})().includes('KSampler')")
    expect(page.get_by_text("Invalid input").first).to_be_visible(timeout=LIMIT)
    assert page.evaluate(MARKED) == ["KSampler"]
    assert last_end(server) == "execution_interrupted"
    shoot("rejected")


def test_what_was_made_is_listed_when_the_page_comes_back(page, shoot):
    page.reload()
    page.wait_for_function(LOADED)
    shoot("reloaded")
    page.get_by_test_id("assets-tab-button").click()
    expect(page.locator(".side-bar-panel img[src*='ComfyUI_00001_.png']").first).to_be_visible(timeout=LIMIT)
    shoot("again")


def test_settings_and_workflows_are_kept_by_the_server(page, server):
    page.evaluate("() => app.extensionManager.setting.set('Comfy.Minimap.Visible', false)")
    page.evaluate("() => app.api.storeUserData('workflows/mine.json', app.graph.serialize())")
    with httpx2.Client(base_url=server.url, trust_env=False) as http:
        assert http.get("/api/settings").json()["Comfy.Minimap.Visible"] is False
        listed = http.get("/api/userdata", params={"dir": "workflows"}).json()
        assert listed == ["mine.json"]
    assert (
        page.evaluate("async () => (await app.api.listUserDataFullInfo('workflows'))[0].path") == "mine.json"
    )


def test_a_browser_that_has_the_token_works_as_before(browser, monkeypatch):
    monkeypatch.setenv("COMFY_NB_TOKEN", "t0ken")
    options = ["--frontend", "--token"]
    with EmbeddedServer.start(step_time=0, options=options) as guarded:
        context = browser.new_context(http_credentials={"username": "any", "password": "t0ken"})
        shown = context.new_page()
        shown.set_default_timeout(LIMIT)
        shown.goto(guarded.url)
        shown.wait_for_function(LOADED)
        put(shown, "EmptySD3LatentImage", width=256, height=256)
        run(shown)
        shown.wait_for_function(f"() => ({PREVIEW})()?.startsWith('blob:')")  # what came over the socket
        context.close()
