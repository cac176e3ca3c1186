"""A thousand jobs in one process, on the embedded server and through losses of the connection: nothing piles up."""

from __future__ import annotations

import copy
import gc
import json
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

import comfy_nb as cn
from comfy_nb.server.process import EmbeddedServer
from comfy_nb.store import get_store
from comfy_nb.testing import FaultyLink
from tests.client.conftest import tasks
from tests.client.helpers import until

pytestmark = pytest.mark.timeout(900)

JOBS = 1000
GRAPH = json.loads((Path(__file__).parents[1] / "data" / "workflows" / "default.json").read_text())
# Bytes of RSS beyond what the store holds by intention.
KEPT = 60e6  # comfy.jobs keeps the last 1,000
FORGOTTEN = 20e6


@dataclass(frozen=True)
class Figures:
    """What this process has."""

    threads: int
    files: int
    tasks: int
    rss: float
    stored: int

    @classmethod
    def now(cls) -> Figures:
        gc.collect()
        process, store = psutil.Process(), get_store()
        return cls(
            process.num_threads(),
            process.num_fds(),
            len(tasks()),
            process.memory_info().rss,
            sum(store.in_memory.values()),
        )

    def __str__(self) -> str:
        return (
            f"{self.threads} threads, {self.files} file descriptors, {self.tasks} tasks, "
            f"RSS {self.rss / 1e6:.0f} MB, of it {self.stored / 1e6:.0f} MB in the store"
        )


def run(comfy: cn.Comfy, seed: int) -> cn.Job:
    """A small job that no server has done before."""
    api = copy.deepcopy(GRAPH)
    api["5"]["inputs"] |= {"width": 64, "height": 64}
    api["3"]["inputs"] |= {"seed": seed, "steps": 2}
    job = comfy.submit(api)
    assert job.result(30).image.size == (64, 64)
    return job


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "forgotten"])
def test_a_thousand_jobs_leave_what_ten_leave(kept: bool) -> None:
    with (
        EmbeddedServer.start(step_time=0) as server,
        FaultyLink(server.url) as link,
        cn.connect(link.url) as comfy,
    ):
        for number in range(1, JOBS + 1):
            job = run(comfy, number)
            if not kept:
                until(lambda job=job: comfy.forget(job) or not comfy.jobs)
            if number % 100 == 50:
                link.cut("clean" if number % 200 == 50 else "reset")
            if number in (10, 100, JOBS // 2, JOBS):
                print(f"\nafter {number} jobs: {Figures.now()}", end="")
            if number == 10:
                first = Figures.now()
        last = Figures.now()
        print()
        assert len(comfy.jobs) == (JOBS if kept else 0)
    assert last.threads <= first.threads
    assert last.files <= first.files + 2  # a connection that is closing
    assert last.tasks <= first.tasks + 1  # a look at the queue
    assert last.rss - last.stored <= first.rss - first.stored + (KEPT if kept else FORGOTTEN)
