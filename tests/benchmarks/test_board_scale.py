"""A board of 1,000 finished and 16 live jobs in a real JupyterLab: opening, scrolling, memory, and growth.

Memory of the page is read by the browser's own protocol after a forced collection; addresses of Blobs are counted
where they are made and where they are let go. What cells that do nothing leave in the document is JupyterLab's, and
taken off. Prints one table; asserts what does not depend on how busy the machine is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.benchmarks.servers import servers
from tests.browser.conftest import browser  # noqa: F401 - a fixture
from tests.browser.lab import Notebook, lab_server, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1500)]

FINISHED, LIVE = 1000, 16
GRAPH = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 20}, "_meta": {"title": "KSampler"}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}, "_meta": {"title": "Save Image"}},
}
CONNECT = """import comfy_nb as cn, psutil
fast = [cn.connect(url) for url in {fast!r}]
slow = [cn.connect(url) for url in {slow!r}]
workflow, process = {graph!r}, psutil.Process()
empty = process.memory_info().rss
def many(count):
    jobs = [fast[seed % len(fast)].submit(workflow, {{"KSampler.seed": seed}}) for seed in range(count)]
    cn.wait(jobs)
    assert all(job.status == "succeeded" for job in jobs)
"""
COUNT_BLOBS = """
window.blobs = { made: 0, freed: 0 };
const { createObjectURL, revokeObjectURL } = URL;
URL.createObjectURL = (blob) => { blobs.made += 1; return createObjectURL.call(URL, blob); };
URL.revokeObjectURL = (url) => { blobs.freed += url !== ""; revokeObjectURL.call(URL, url); };
"""
# Watches every animation frame: its gap, and how long a card in sight that has a picture to show shows none.
WATCH = """() => {
    const scroller = document.querySelector(".cnb-scroller");
    const state = { gaps: [], blanks: [], pending: new Map(), on: true };
    window.watched = state;
    let before = performance.now();
    const look = (now) => {
        state.gaps.push(now - before);
        before = now;
        const box = scroller.getBoundingClientRect();
        const seen = new Set();
        for (const tile of scroller.querySelectorAll('.cnb-tile[data-status="succeeded"]')) {
            const at = tile.getBoundingClientRect();
            if (at.bottom < box.top || at.top > box.bottom) continue;
            seen.add(tile.dataset.key);
            const image = tile.querySelector("img");
            if (image && image.complete && image.naturalWidth) {
                if (state.pending.has(tile.dataset.key)) {
                    state.blanks.push(now - state.pending.get(tile.dataset.key));
                    state.pending.delete(tile.dataset.key);
                }
            } else if (!state.pending.has(tile.dataset.key)) state.pending.set(tile.dataset.key, now);
        }
        for (const key of state.pending.keys()) if (!seen.has(key)) state.pending.delete(key);
        if (state.on) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
}"""
STOP = """() => {
    watched.on = false;
    return { gaps: watched.gaps, blanks: watched.blanks, left: watched.pending.size };
}"""
OPENED = """() => {
    const tiles = [...document.querySelectorAll(".cnb-tile")];
    const done = tiles.filter((tile) => tile.dataset.status === "succeeded");
    return tiles.length > 3 && done.length > 0 && done.every((tile) => tile.querySelector("img")?.complete);
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    work = tmp_path_factory.mktemp("work")
    with lab_server(work, tmp_path_factory.mktemp("lab")) as url:
        yield url, work


@pytest.fixture
def opened(browser: Browser, lab) -> Iterator[Callable[..., Notebook]]:  # noqa: F811 - the fixture
    shown: list[Notebook] = []

    def open_one(name: str, cells: list[str]) -> Notebook:
        write_notebook(lab[1] / name, cells)
        shown.append(Notebook(browser, lab[0], name))
        return shown[-1]

    yield open_one
    for one in shown:
        one.close()


def collected(shown: Notebook) -> dict[str, float]:
    """The page's memory after a forced collection."""
    session = shown.page.context.new_cdp_session(shown.page)
    session.send("Performance.enable")
    for _ in range(2):
        session.send("HeapProfiler.collectGarbage")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return {"heap MB": metrics["JSHeapUsedSize"] / 1e6, "nodes": metrics["Nodes"]}


def told(shown: Notebook, cell: int, limit: float = 60) -> Any:
    """What a cell prints, as JSON."""
    shown.run_to_end(cell, limit)
    return json.loads(re.sub(r"\x1b\[[\d;]*m", "", shown.text(cell)))


def test_a_thousand_finished_and_sixteen_live(opened):
    with servers(4, 1, 0) as fast, servers(LIVE, 900, 10) as slow:
        cells = [
            CONNECT.format(fast=fast.urls, slow=slow.urls, graph=GRAPH),
            f"many({FINISHED})\nbefore = process.memory_info().rss",
            "live = [comfy.submit(workflow) for comfy in slow]",
            "board = cn.JobBoard(*fast, *slow)\nboard",
            "print([round((process.memory_info().rss - at) / 1e6) for at in (empty, before)])",
        ]
        shown = opened("scale.ipynb", cells)
        shown.run_to_end(0, 60)
        shown.run_to_end(1, 600)
        shown.run_to_end(2, 60)
        start = shown.page.evaluate("() => performance.now()")
        shown.run(3)
        shown.page.wait_for_function(
            "() => document.querySelectorAll('.cnb-tile').length > 3", timeout=60_000
        )
        rows = shown.page.evaluate("() => performance.now()") - start
        shown.page.locator(".cnb-scroller").evaluate("(box) => { box.scrollTop = 1500; }")
        shown.page.wait_for_function(OPENED, timeout=60_000)
        pictures = shown.page.evaluate("() => performance.now()") - start
        shown.page.wait_for_timeout(20_000)  # what nobody asked for yet is made meanwhile
        shown.page.locator(".cnb-scroller").scroll_into_view_if_needed()
        box = shown.page.locator(".cnb-scroller").bounding_box()
        shown.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 200)
        shown.page.evaluate(WATCH)
        end = shown.page.evaluate("() => performance.now()") + 3000
        while shown.page.evaluate("() => performance.now()") < end:
            shown.page.mouse.wheel(0, 120)
        shown.page.wait_for_timeout(1500)
        watched = shown.page.evaluate(STOP)
        tiles = shown.page.locator(".cnb-tile").count()
        memory = told(shown, 4)
    gaps, blanks = watched["gaps"][1:], watched["blanks"]
    smooth = sum(gap <= 34 for gap in gaps) / len(gaps)
    late = sum(blank > 300 for blank in blanks)
    print(f"\n1,000 finished + 16 live: cards after {rows:.0f} ms, pictures after {pictures:.0f} ms")
    print(f"3 s of wheel: {smooth:.1%} of {len(gaps)} gaps <= 34 ms, longest {max(gaps):.0f} ms")
    print(
        f"cards blank in sight: {len(blanks)}, longest {max(blanks, default=0):.0f} ms, over 300 ms: {late}"
    )
    print(f"cards in the document: {tiles}; kernel + {memory[0]} MB in all, + {memory[1]} MB for the board")
    assert tiles < 80
    assert watched["left"] == 0
    assert memory[1] <= 150


def test_no_growth_over_a_thousand_jobs(opened):
    with servers(4, 3, 0) as fast:
        cells = [
            CONNECT.format(fast=fast.urls, slow=[], graph=GRAPH) + "board = cn.JobBoard(*fast)\nboard",
            "many(100)\nboard.clear_finished()",
            "many(500)\nboard.clear_finished()",
            "many(500)\nboard.clear_finished()",
            "pass",
            "pass",
        ]
        shown = opened("growth.ipynb", cells)
        shown.page.evaluate(f"() => {{ {COUNT_BLOBS} }}")
        shown.run_to_end(0, 60)
        measured = []
        for cell in (1, 2, 3, 4, 5):
            shown.run_to_end(cell, 600)
            shown.wait_until(lambda: shown.page.locator(".cnb-tile").count() == 0, 60, "an empty board")
            shown.page.locator(".cnb-undo").wait_for(state="detached", timeout=30_000)
            measured.append(collected(shown) | shown.page.evaluate("() => ({ ...blobs })"))
    for after, at in zip(("100 jobs", "600", "1100", "an idle cell", "another"), measured, strict=True):
        print(f"\nafter {after}: {at}", end="")
    first, _, last, _, idle = measured
    grown, lab_grew = last["nodes"] - first["nodes"], idle["nodes"] - last["nodes"]
    print(f"\nnodes: {grown:+.0f} in two cells of 500 jobs, {lab_grew:+.0f} in two that do nothing")
    assert last["made"] == last["freed"] > 0
    assert last["heap MB"] - first["heap MB"] <= 3
    assert grown - lab_grew <= 200
