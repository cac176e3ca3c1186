"""From a server's frame to the painted pixel in a real JupyterLab: ours, and what people do without us, in one run.

Servers, kernel, JupyterLab and browser share the machine's cores. A frame's time of sending is the server's; that of
painting is when the browser says that it presented it (`stamps.WATCH`).
Prints one table, then what each line cost the machine, and the budgets that were missed. `BENCH=quick` leaves the
rivals out.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.benchmarks import rivals
from tests.benchmarks.budgets import row
from tests.benchmarks.costs import Costs
from tests.benchmarks.servers import servers
from tests.benchmarks.stamps import WATCH
from tests.browser.conftest import browser  # noqa: F401 - a fixture
from tests.browser.lab import Notebook, lab_server, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]


@dataclass(frozen=True)
class Scenario:
    name: str
    jobs: int
    frames: int
    rate: float  # per second and job; 0 is as fast as they go
    waits: bool = False  # the cell waits in result()

    @property
    def seconds(self) -> float:
        return self.frames / self.rate if self.rate else 1.0


REST = 1.0  # seconds for the last frame to be seen as such; then the final picture takes its place

# Not 10: six animation frames would go into each period exactly, and one run would see one phase of them only.
CALM = Scenario("1 x 10 fps", 1, 150, 9.7)
FAST = Scenario("1 x 60 fps, idle kernel", 1, 480, 60)
WAITING = Scenario("1 x 60 fps, in result()", 1, 480, 60, waits=True)
MANY = Scenario("16 x 30 fps", 16, 300, 30)
BURST = Scenario("burst of 300", 1, 300, 0)

OURS = """import comfy_nb as cn
from ipywidgets import GridBox, Layout
workflow = {workflow}
runs = [cn.Job(workflow, cn.connect(url)) for url in {urls}]
GridBox([run.view for run in runs], layout=Layout(grid_template_columns="repeat({columns}, minmax(0, 1fr))"))"""
RIVALS = """import rivals
from ipywidgets import GridBox, Layout
runs = [rivals.{name}(url) for url in {urls}]
GridBox([run.widget for run in runs], layout=Layout(grid_template_columns="repeat({columns}, minmax(0, 1fr))"))"""
START = "for run in runs:\n    run.start()"
WAIT = "\nruns[0].result();"


@dataclass(frozen=True)
class Outcome:
    """What one contestant made of one scenario. Times in milliseconds."""

    scenario: Scenario
    name: str
    fed: list[float]  # frames per second that the servers sent
    fps: list[float]  # of each job
    latencies: list[float]  # from sending to painting
    ages: list[float]  # of the frame on the screen, at any time while frames are sent
    behind: float  # from the last frame's sending until it was painted; infinite if it never was
    cell_ended: bool
    finals: int  # jobs that are shown as succeeded; of ours
    cost: str

    def quantile(self, part: float) -> float:
        return quantile(self.latencies, part)


def quantile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("inf")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    shutil.copy(Path(rivals.__file__), folder / "rivals.py")
    return folder


@pytest.fixture(scope="module")
def measure(browser: Browser, work: Path, tmp_path_factory) -> Iterator[Callable[[str, Scenario], Outcome]]:  # noqa: F811 - the fixture
    with lab_server(work, tmp_path_factory.mktemp("lab")) as lab:
        yield lambda name, scenario: run(browser, lab, work, name, scenario)


def run(browser: Browser, lab: str, work: Path, name: str, scenario: Scenario) -> Outcome:  # noqa: F811 - as above
    with servers(scenario.jobs, scenario.frames, scenario.rate, REST) as sources:
        columns = 1 if scenario.jobs == 1 else 4
        about = {"urls": sources.urls, "name": name, "workflow": rivals.WORKFLOW, "columns": columns}
        cells = [
            (OURS if name == "comfy_nb" else RIVALS).format(**about),
            START + (WAIT if scenario.waits else ""),
            "print('over')",
        ]
        write_notebook(work / "bench.ipynb", cells)
        height = 1000 if scenario.jobs == 1 else 2700
        notebook = Notebook(browser, lab, "bench.ipynb", width=1500, height=height)
        try:
            painted, ended, cost = play(notebook, scenario, name)
            finals = finished(notebook) if name == "comfy_nb" else 0
            if folder := os.environ.get("SCREENSHOTS"):
                notebook.page.screenshot(path=Path(folder) / f"bench-{name}-{scenario.name}.png")
        finally:
            notebook.close()
        return outcome(name, scenario, painted, sources.end(), cell_ended=ended, finals=finals, cost=cost)


def finished(notebook: Notebook) -> int:
    """How many jobs are shown as succeeded, once all are or a few seconds have passed."""
    chips = notebook.page.locator(".cnb-chip")
    succeeded = chips.filter(has_text=re.compile("^Succeeded$"))
    with contextlib.suppress(AssertionError):
        expect(succeeded).to_have_count(chips.count(), timeout=10_000)
    return succeeded.count()


def play(notebook: Notebook, scenario: Scenario, name: str) -> tuple[list[tuple[int, int, float]], bool, str]:
    """Run the cells; [which job, number, when] of all that was painted, whether the last cell ended, the costs."""
    notebook.run_to_end(0, 60)
    selector = ".cnb-card" if name == "comfy_nb" else ".jp-OutputArea img"
    page = notebook.page
    page.wait_for_function(
        "([selector, jobs]) => document.querySelectorAll(selector).length === jobs",
        arg=[selector, scenario.jobs],
    )
    page.wait_for_timeout(1000)  # the start of kernel and page is over
    page.evaluate(WATCH)
    costs = Costs()
    notebook.run(1)
    # Read seldom: the reading is work for the page too.
    page.wait_for_timeout(1000 * scenario.seconds)
    cost = costs.told(page.evaluate("() => stamps.gaps"))
    last = scenario.frames - 1
    for _ in range(20):
        done = page.evaluate("(last) => [...stamps.shown.values()].filter(n => n === last).length", last)
        if done == scenario.jobs:
            break
        page.wait_for_timeout(500)
    page.wait_for_timeout(500)
    painted = page.evaluate("() => stamps.painted")
    try:
        notebook.run_to_end(2, 15)
    except AssertionError:
        return painted, False, cost
    return painted, True, cost


def outcome(
    name: str,
    scenario: Scenario,
    painted: list[tuple[int, int, float]],
    sent: list[dict[int, float]],
    **page: Any,
) -> Outcome:
    last = scenario.frames - 1
    fed, fps, latencies, ages, behind = [], [], [], [], []
    for job, times in enumerate(sent):
        mine = [(number, at) for which, number, at in painted if which == job]
        until = times.get(last, max(times.values()))
        fed.append(len(times) / max(0.001, until - min(times.values())) * 1000)
        seconds = max(0.001, until - times[0]) / 1000
        fps.append(sum(at <= until for _, at in mine) / seconds)
        latencies += [at - times[number] for number, at in mine]
        ends = [at for number, at in mine if number == last]
        behind.append(ends[0] - until if ends else float("inf"))
        for (number, at), (_, then) in zip(mine, [*mine[1:], (0, until)], strict=False):
            ages += [at + passed - times[number] for passed in range(0, int(then - at), 10)]
    return Outcome(scenario, name, fed, fps, latencies, ages, max(behind), **page)


HEAD = """
                                    fed  painted fps    sent -> painted, ms       x ours  on screen  behind  cell
                                   each  each    all    p50     p95     max   p50    p95    p95, ms      ms  ends
"""


def table(outcomes: list[Outcome]) -> str:
    lines = [HEAD.strip("\n")]
    ours = {each.scenario: each for each in outcomes if each.name == "comfy_nb"}
    for each in outcomes:
        base = ours[each.scenario]
        ratios = [each.quantile(part) / base.quantile(part) for part in (0.5, 0.95)]
        lines.append(
            f"{each.scenario.name:24} {each.name:8}{min(each.fed):6.0f}{min(each.fps):6.1f}{sum(each.fps):7.1f}"
            f"{each.quantile(0.5):7.0f}{each.quantile(0.95):8.0f}{each.quantile(1):8.0f}"
            f"{ratios[0]:6.1f}{ratios[1]:7.1f}{quantile(each.ages, 0.95):11.0f}{each.behind:8.0f}"
            f"  {'yes' if each.cell_ended else 'NO'}"
        )
    return "\n".join(lines)


def test_from_the_servers_frame_to_the_painted_pixel(measure: Callable[[str, Scenario], Outcome]):
    rivals_too = ["Image", "Polling", "Naive"] if os.environ.get("BENCH") != "quick" else []
    wanted = os.environ.get("SCENARIOS", "")
    outcomes = []
    for scenario in (CALM, FAST, WAITING, MANY, BURST):
        if wanted in scenario.name:
            for name in ["comfy_nb", *(rivals_too if not scenario.waits else [])]:
                outcomes.append(measure(name, scenario))
                print(f"\n{table(outcomes)}" if wanted else ".", end="", flush=True)
    print(f"\n\n{table(outcomes)}\n")
    for each in outcomes:
        print(f"{each.scenario.name:24} {each.name:8} {each.cost}")
    for each in outcomes:
        if each.name == "comfy_nb":
            told = f"p50 {each.quantile(0.5):.0f}, p95 {each.quantile(0.95):.0f} ms, {sum(each.fps):.0f} fps"
            row(each.scenario.name, told, "see the table", kept=not misses(each))
    missed = [miss for each in outcomes if each.name == "comfy_nb" for miss in misses(each)]
    print("\n".join(["", "budgets missed:", *missed] if missed else ["", "every budget is kept"]))


def misses(ours: Outcome) -> list[str]:
    """The budgets that were missed."""
    fps, p50, p95 = min(ours.fps), ours.quantile(0.5), ours.quantile(0.95)
    limits = {
        CALM: [(p50 <= 25, f"p50 {p50:.0f} ms > 25"), (p95 <= 60, f"p95 {p95:.0f} ms > 60")],
        FAST: [(fps >= 55, f"{fps:.1f} fps < 55")],
        WAITING: [(fps >= 50, f"{fps:.1f} fps < 50")],
        MANY: [
            (fps >= 4, f"{fps:.1f} fps < 4"),
            (sum(ours.fps) >= 64, f"{sum(ours.fps):.0f} fps in all < 64"),
            (p95 <= 200, f"p95 {p95:.0f} ms > 200"),
        ],
        BURST: [],
    }
    common = [
        (ours.cell_ended, "the cell did not end"),
        (ours.finals == ours.scenario.jobs, f"{ours.finals} final states"),
        (ours.behind < 1000, f"{ours.behind:.0f} ms behind at the end"),
    ]
    return [f"{ours.scenario.name}: {what}" for kept, what in [*limits[ours.scenario], *common] if not kept]
