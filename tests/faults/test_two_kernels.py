"""The same notebook opened twice: two real kernels run the same cells on one server, and neither disturbs the other.

Who queued what, which pictures were made of it and which previews were sent are the server's own words: its history,
and its diary.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx2
import pytest

import comfy_nb as cn
from tests.client.helpers import LIMIT, until
from tests.faults.host import HostProcess, digest
from tests.faults.stand import SEEDS, Stand, graph
from tests.kernel.conftest import LiveKernel

STEPS, LONG = 15, 600
OPEN = """
import json
import comfy_nb as cn
from tests.faults.stand import fetched, graph, shown
comfy = cn.connect({url!r})
"""
SUBMIT = """
jobs = [comfy.submit(graph({steps}, seed)) for seed in {seeds}]
display(*jobs)
print(json.dumps([job.id for job in jobs]))
"""
WAIT = """
print(f"waiting for {jobs[0].id}", flush=True)  # in one piece
for job in jobs:
    job.result(20)
"""
TELL = """
told = [(job.id, job.status, job.snapshot().note, fetched(job), shown(job)) for job in comfy.jobs]
print(json.dumps(told))
"""


class Told(NamedTuple):
    """What a kernel says of one job: its pictures and its previews by their digests."""

    id: str
    status: str
    note: str
    pictures: list[str]
    previews: list[str]


class Notebook:
    """One of the two: a kernel of its own, and the page before it."""

    def __init__(self, folder: Path, url: str) -> None:
        folder.mkdir()
        self.url = url
        self.kernel = LiveKernel(Path(sys.executable), folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kernel.close()

    def open(self) -> None:
        self.kernel.prepare()
        self.kernel.run(OPEN.format(url=self.url))

    def submit(self, seeds: list[int], steps: int = STEPS) -> list[str]:
        """Run the cell that submits a job per seed; returns their ids."""
        self.ids: list[str] = json.loads(self.kernel.run(SUBMIT.format(steps=steps, seeds=seeds)))
        return self.ids

    def wait(self) -> str:
        """Begin the cell that waits for them, and see it wait."""
        cell = self.kernel.start(WAIT)
        self.kernel.says(f"waiting for {self.ids[0]}", LIMIT)
        return cell

    def click(self, code: str = "") -> None:
        """Click a button whose callback is this."""
        self.kernel.heard(self.kernel.click(code), LIMIT)

    def finish(self, cell: str) -> str:
        """See a cell end; the name of its error, if any."""
        return self.kernel.finish(cell, LIMIT).error

    def tell(self) -> list[Told]:
        """All jobs that this kernel knows, in the order in which it submitted them."""
        return [Told(*each) for each in json.loads(self.kernel.run(TELL))]

    def pictures(self) -> set[str]:
        """What came to the page: frames and results."""
        return {digest for message in self.kernel.seen for digest in on_page(message)}

    def until_shown(self, pictures: list[str]) -> None:
        """Wait until one of these has come to the page."""
        self.kernel.until(lambda message: not on_page(message).isdisjoint(pictures))


def on_page(message: dict[str, Any]) -> set[str]:
    """The pictures in a message from a kernel to its page, but for the posters, which are made here."""
    content = message["content"]
    if message["msg_type"] != "comm_msg" or content["data"].get("method") != "custom":
        return set()
    return {digest(bytes(buffer)) for buffer in message["buffers"]}


class Entry(NamedTuple):
    """What the server's history says of a prompt: from which client it came, with which seed, and how it ended."""

    client_id: str
    seed: int
    outcome: str


@pytest.fixture
def two(host: HostProcess, tmp_path: Path) -> Iterator[list[Notebook]]:
    with contextlib.ExitStack() as stack:
        both = [stack.enter_context(Notebook(tmp_path / name, host.urls[0])) for name in ("first", "second")]
        for each in both:
            each.open()
        yield both


def entry(stand: Stand, prompt_id: str) -> Entry:
    answer = httpx2.get(f"{stand.host.urls[0]}/api/history/{prompt_id}", timeout=LIMIT, trust_env=False)
    found: dict[str, Any] = answer.json()[prompt_id]
    _, _, nodes, extra, _ = found["prompt"]
    return Entry(extra["client_id"], nodes["3"]["inputs"]["seed"], found["status"]["messages"][-1][0])


def steps_sent(stand: Stand, prompt_id: str) -> int:
    stand.read()
    return len(stand.frames.get(prompt_id, []))


def by_id(stand: Stand, event: str) -> dict[str, Any]:
    """What the server wrote down of one kind of event, by prompt, in order."""
    stand.read()
    return {prompt_id: more for what, prompt_id, more in stand.lines if what == event}


def hold(comfy: cn.Comfy) -> cn.Job:
    """Give the server a job that keeps it busy until it is interrupted: whatever comes meanwhile waits."""
    job = comfy.submit(graph(LONG))
    until(lambda: job.snapshot().step > 0)
    return job


def let_go(job: cn.Job) -> None:
    job.interrupt()
    with pytest.raises(cn.JobCancelled):
        job.result(LIMIT)


def run_at_once(stand: Stand, comfy: cn.Comfy, two: list[Notebook], seeds: list[list[int]]) -> list[str]:
    """Both run the same cells, and the jobs of both are in the queue before the first of them runs; all their ids."""
    held = hold(comfy)
    ids = [prompt_id for each, own in zip(two, seeds, strict=True) for prompt_id in each.submit(own)]
    cells = [each.wait() for each in two]
    until(lambda: by_id(stand, "put").keys() >= set(ids))
    assert by_id(stand, "took").keys().isdisjoint(ids)
    let_go(held)
    for each, cell in zip(two, cells, strict=True):
        assert each.finish(cell) == ""
    return ids


def test_each_gets_its_own_pictures_and_its_own_previews(
    stand: Stand, comfy: cn.Comfy, two: list[Notebook]
) -> None:
    seeds = [[next(SEEDS) for _ in range(3)] for _ in two]
    ids = run_at_once(stand, comfy, two, seeds)
    entries = {prompt_id: entry(stand, prompt_id) for prompt_id in ids}
    clients: set[str] = set()
    pictures: set[str] = set()
    for each, own in zip(two, seeds, strict=True):
        told = each.tell()
        assert [entries[job.id].seed for job in told] == own
        assert {entries[job.id].outcome for job in told} == {"execution_success"}
        clients |= {entries[job.id].client_id for job in told}
        for job in told:
            assert (job.status, job.note) == ("succeeded", "")
            assert job.pictures == by_id(stand, "ended")[job.id]["files"] != []
            assert job.previews == stand.frames[job.id]
            assert len(job.previews) == STEPS
            each.until_shown(job.previews)
        assert each.pictures() <= {picture for job in told for picture in (*job.previews, *job.pictures)}
        pictures |= {picture for job in told for picture in job.pictures}
    assert len(clients) == 2
    assert len(pictures) == 6


def test_the_same_seed_in_both_is_computed_once_and_both_have_the_picture(
    stand: Stand, comfy: cn.Comfy, two: list[Notebook]
) -> None:
    seed = next(SEEDS)
    ids = run_at_once(stand, comfy, two, [[seed], [seed]])
    order = [prompt_id for prompt_id in by_id(stand, "took") if prompt_id in ids]
    told = {job.id: job for each in two for job in each.tell()}
    assert told.keys() == set(order)
    first, second = (told[prompt_id] for prompt_id in order)
    assert first.previews == stand.frames[first.id]
    assert len(first.previews) == STEPS
    assert second.id not in stand.frames
    assert (second.previews, second.note) == ([], "cached: nothing had to be computed")
    files = by_id(stand, "ended")
    assert first.pictures == files[first.id]["files"] != []
    assert second.pictures == files[second.id]["files"] == first.pictures
    assert entry(stand, first.id).client_id != entry(stand, second.id).client_id


def test_a_stop_in_one_does_not_touch_the_job_of_the_other(stand: Stand, two: list[Notebook]) -> None:
    one, other = two
    (running,) = one.submit([next(SEEDS)], LONG)
    until(lambda: steps_sent(stand, running) > 0)
    (waiting,) = other.submit([next(SEEDS)])
    cells = one.wait(), other.wait()
    other.click("jobs[0].interrupt()")
    assert other.finish(cells[1]) == "JobCancelled"
    assert by_id(stand, "removed").keys() == {waiting}
    seen = steps_sent(stand, running)
    until(lambda: steps_sent(stand, running) > seen + 3)
    (following,) = other.submit([next(SEEDS)])
    following_cell = other.wait()
    one.click("jobs[0].interrupt()")
    assert one.finish(cells[0]) == "JobCancelled"
    assert other.finish(following_cell) == ""
    assert entry(stand, running).outcome == "execution_interrupted"
    assert entry(stand, following).outcome == "execution_success"
    assert by_id(stand, "took").keys() == {running, following}
    assert [job.status for job in one.tell()] == ["cancelled"]
    assert [job.status for job in other.tell()] == ["cancelled", "succeeded"]


def test_an_interrupt_of_one_kernel_stops_no_job_at_all(
    stand: Stand, comfy: cn.Comfy, two: list[Notebook]
) -> None:
    held = hold(comfy)
    ids = [each.submit([next(SEEDS)])[0] for each in two]
    cells = [each.wait() for each in two]
    two[0].kernel.interrupt()
    assert two[0].finish(cells[0]) == "KeyboardInterrupt"
    let_go(held)
    assert two[1].finish(cells[1]) == ""
    assert two[0].finish(two[0].wait()) == ""
    assert {entry(stand, prompt_id).outcome for prompt_id in ids} == {"execution_success"}
    for each in two:
        (job,) = each.tell()
        assert job.pictures == by_id(stand, "ended")[job.id]["files"] != []
