"""Stopping a job stops that job and no other, at any moment of its life and on any version of the server."""

from __future__ import annotations

import pytest

import comfy_nb as cn
from comfy_nb.testing import Faults, Frames, Page, ScriptedServer
from tests.client.helpers import LIMIT, connected, graph, until

# With the jobs API, with interrupts by id, and with interrupts that hit whoever runs.
VERSIONS = ("0.33.0", "0.3.64", "0.3.40")
each_version = pytest.mark.parametrize("version", VERSIONS)


def endless(version: str = "0.33.0") -> Frames:
    return Frames(count=100_000, rate=100, version=version)


def step(job: cn.Job) -> int:
    return job.snapshot().step


def stops(server: ScriptedServer) -> list[str]:
    """The requests that can stop something, in order, without their ids."""
    names = [entry.what.rpartition("/")[2] for entry in server.log if entry.what.startswith("POST")]
    return [name for name in names if name != "prompt"]


@pytest.mark.parametrize("method", ["interrupt", "cancel"])
def test_before_it_was_started_nothing_is_sent(method: str):
    with connected() as (server, comfy):
        job = cn.Job(graph(), comfy)
        assert getattr(job, method)() is True
        until(job.done)
        assert (job.status, job.cancelled()) == ("cancelled", True)
        assert "cancelled before it was started" in repr(job)
        with pytest.raises(cn.JobCancelled, match="cancelled before it was started"):
            job.result(LIMIT)
        job.start()  # too late, and harmless
        assert (server.calls("POST /prompt"), job.status) == ([], "cancelled")


@each_version
def test_while_it_waits_it_leaves_the_queue_and_the_running_one_goes_on(version: str):
    with connected(endless(version)) as (server, comfy), cn.connect(server.url) as other:
        theirs = other.submit(graph())
        until(lambda: step(theirs) > 0)
        mine = comfy.submit(graph())
        until(lambda: mine.status == "queued")
        assert mine.interrupt()
        with pytest.raises(cn.JobCancelled, match="cancelled while it waited in the queue"):
            mine.result(LIMIT)
        assert server.calls("POST /interrupt") == []
        seen = step(theirs)
        until(lambda: step(theirs) > seen + 3)
        assert theirs.status == "running"
        theirs.interrupt()
        cn.wait([theirs], LIMIT)


@each_version
def test_while_it_runs_it_ends_as_cancelled_and_the_next_one_runs_to_its_end(version: str):
    with connected(Frames(count=60, rate=60, version=version)) as (server, comfy):
        mine, next_one = comfy.submit(graph()), comfy.submit(graph())
        until(lambda: step(mine) >= 2)
        stream = mine.events()
        assert mine.interrupt()
        assert any(isinstance(item, cn.events.Stopping) for item in stream)
        with pytest.raises(cn.JobCancelled, match=r"interrupted at step \d+ of 60"):
            mine.result(LIMIT)
        next_one.result(LIMIT)
        assert (mine.status, next_one.status) == ("cancelled", "succeeded")
        assert server.calls("POST /interrupt") == ([] if version == "0.33.0" else [{"prompt_id": mine.id}])
        expected = {
            "0.33.0": ["cancel"],
            "0.3.64": ["cancel", "queue", "interrupt"],
            "0.3.40": ["cancel", "queue", "interrupt"],
        }
        assert stops(server) == expected[version]


@pytest.mark.parametrize("version", ["0.3.64", "0.3.40"])
def test_an_interrupt_names_our_prompt_and_comes_right_after_a_look_at_the_queue(version: str):
    with connected(endless(version)) as (server, comfy):
        job = comfy.submit(graph())
        until(lambda: step(job) > 0)
        job.interrupt()
        cn.wait([job], LIMIT)
        ours = [entry.what for entry in server.log]
        place = ours.index("POST /api/interrupt")
        assert ours[place - 1] == "GET /api/queue"
        assert server.calls("POST /interrupt") == [{"prompt_id": job.id}]


@each_version
def test_after_its_end_it_says_no(version: str):
    with connected(Frames(count=2, rate=0, version=version)) as (server, comfy):
        job = comfy.submit(graph())
        job.result(LIMIT)
        assert (job.interrupt(), job.cancel(), job.cancelled(), job.status) == (
            False,
            False,
            False,
            "succeeded",
        )
        assert stops(server) == []


@each_version
def test_asked_while_it_is_being_sent_it_is_stopped_as_soon_as_it_is_known(version: str):
    with connected(endless(version), Faults(post_after=0.3)) as (server, comfy):
        server.pause()
        job = comfy.submit(graph())
        until(lambda: server.calls("POST /prompt"))
        job.interrupt()
        with pytest.raises(cn.JobCancelled):
            job.result(LIMIT)
        assert comfy.jobs == (job,)


def test_asked_during_a_post_that_failed_but_was_queued_it_is_stopped_all_the_same():
    faults = Faults(post=Page.text("500 Internal Server Error"), post_runs=True, post_after=0.3)
    with connected(endless(), faults) as (server, comfy):
        server.pause()
        job = comfy.submit(graph())
        until(lambda: server.calls("POST /prompt"))
        job.interrupt()
        with pytest.raises(cn.JobCancelled):
            job.result(LIMIT)
        assert len(server.calls("POST /prompt")) == 1


def test_twice_is_harmless():
    with connected(endless("0.3.40")) as (server, comfy), cn.connect(server.url) as other:
        mine = comfy.submit(graph())
        until(lambda: step(mine) > 0)
        theirs = other.submit(graph())
        comfy.loop.call(lambda: [mine.interrupt() for _ in range(5)])  # at once: before any has been answered
        cn.wait([mine], LIMIT)
        until(lambda: step(theirs) > 3)
        assert theirs.status == "running"
        sent = server.calls("POST /prompt")[0]["prompt_id"]
        assert mine.id != sent  # this server chose the id
        assert server.calls("POST /interrupt") == [{"prompt_id": mine.id}]
        theirs.interrupt()
        cn.wait([theirs], LIMIT)


def test_one_that_comes_too_late_is_no_lie():
    with connected(Frames(count=3, rate=0)) as (server, comfy):
        server.pause()
        job = comfy.submit(graph())
        until(lambda: job.status == "queued")
        server.resume()
        until(lambda: server.calls(f"GET /history/{job.id}"))
        job.interrupt()
        job.result(LIMIT)
        assert (job.status, job.cancelled()) == ("succeeded", False)


def test_one_that_does_not_get_through_is_a_warning_and_the_job_goes_on():
    with connected(Frames(count=40, rate=40)) as (server, comfy):
        job = comfy.submit(graph())
        until(lambda: step(job) > 0)
        server.faults = Faults(page=Page.text("500"))
        job.interrupt()
        until(lambda: job.warnings)
        assert job.warnings[0].startswith("The interrupt did not get through: ")
        server.faults = Faults()
        job.result(LIMIT)
        assert job.status == "succeeded"
