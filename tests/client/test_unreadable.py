"""A server that answers nonsense, or hardly anything: it is said, and it holds nobody else up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import comfy_nb as cn
from comfy_nb.client import timing
from comfy_nb.testing import Faults, Frames, Page, Posted, ScriptedServer, Stage
from tests.client.helpers import LIMIT, connected, graph, until

QUICK = timing.Timing(doubt=0.1, again=0.1, settle=(0.0,), watch=0.2, turn=0.2)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "TIMING", QUICK)


def warnings_of(job: cn.Job) -> tuple[str, ...]:
    return tuple(job.snapshot().warnings)


class Garbled(Frames):
    """Its histories are nonsense, until it is told to be serious."""

    def __init__(self) -> None:
        super().__init__(count=2, rate=0)
        self.told: list[tuple[Posted, Any]] = []

    async def work(self, stage: Stage) -> None:
        while True:
            prompt = await stage.next_waiting()
            await self._play(stage, prompt)
            self.told.append((prompt, prompt.history))
            prompt.history = "nonsense"  # type: ignore[assignment]  # the point of the test


def test_a_history_that_cannot_be_read_is_told_after_the_second_time_and_once() -> None:
    script = Garbled()
    with connected(script) as (server, comfy):
        job = comfy.submit(graph())
        until(lambda: warnings_of(job))
        asked = len(server.log)
        until(lambda: len(server.log) > asked + 12)
        (warning,) = warnings_of(job)
        assert warning.startswith(
            "What becomes of it cannot be read, and is asked for again: http://127.0.0.1"
        )
        assert warning.endswith("The server's history of this prompt is not an object.")
        (prompt, history) = script.told[0]
        prompt.history = history
        assert len(job.result(LIMIT).images) == 1


@pytest.mark.parametrize(
    ("page", "came"),
    [
        (Page(), r"is not JSON \(it begins with '<!doctype html><title>It works!</title>'\)\."),
        (Page(302, "text/plain", b""), r"GET /queue with HTTP 302, which sends us elsewhere\."),
        (Page(200, "application/json", b""), r"is not JSON \(it is empty\)\."),
        (Page.json([]), r"lacks the lists queue_running and queue_pending\."),
    ],
    ids=["HTML", "a redirect", "nothing", "another thing"],
)
def test_what_came_is_said(page: Page, came: str) -> None:
    import re

    with connected(Frames(count=1000)) as (server, comfy):
        job = comfy.submit(graph())
        until(lambda: job.status == "running")
        server.faults = Faults(page=page)
        until(lambda: warnings_of(job))
        assert re.search(came, warnings_of(job)[0])
        server.faults = Faults()
        job.interrupt()
        assert isinstance(job.exception(LIMIT), cn.JobCancelled)


def test_what_fails_once_is_not_worth_a_word() -> None:
    script = Frames(count=1000)
    with connected(script) as (server, comfy):
        job = comfy.submit(graph())
        until(lambda: job.status == "running")
        asked = len(server.calls("GET /queue"))
        until(lambda: len(server.calls("GET /queue")) > asked + 3)
        assert warnings_of(job) == ()
        job.interrupt()
        assert isinstance(job.exception(LIMIT), cn.JobCancelled)


class FirstHangs(Frames):
    """Does not answer the POST of the first prompt until it is told to."""

    def __init__(self) -> None:
        super().__init__(count=1, rate=0)
        self.held = False
        self.free = False

    async def reply(self, stage: Stage, prompt: Posted) -> Page:
        if not self.held:
            self.held = True
            while not self.free:  # noqa: ASYNC110 - set on another thread
                await asyncio.sleep(0.01)
        return await super().reply(stage, prompt)


def test_a_post_that_is_not_answered_holds_no_other_job_up() -> None:
    script = FirstHangs()
    with ScriptedServer(script) as server, cn.connect(server.url) as comfy:
        first = comfy.submit(graph())
        until(lambda: script.held)
        second = comfy.submit(graph())
        assert len(second.result(LIMIT).images) == 1
        assert not first.done()
        script.free = True
        assert len(first.result(LIMIT).images) == 1


def test_a_server_that_cannot_answer_now_is_told_until_it_can() -> None:
    with connected(Frames(count=1000, rate=10)) as (server, comfy):
        job = comfy.submit(graph())
        until(lambda: job.status == "running")
        server.pause()
        server.faults = Faults(page=Page.text("busy", 503))
        until(lambda: "cannot be read" in job.snapshot().note and "HTTP 503" in job.snapshot().note)
        server.faults = Faults()
        until(lambda: "cannot be read" not in job.snapshot().note)
        assert warnings_of(job) == ()
        server.resume()
        job.interrupt()
        assert isinstance(job.exception(LIMIT), cn.JobCancelled)
