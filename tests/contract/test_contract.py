"""What a job does on a live server, checked against what that server itself says."""

from __future__ import annotations

import io

import httpx2
import pytest
from PIL import Image

import comfy_nb as cn
from comfy_nb import events as ev
from tests.client.helpers import until
from tests.contract.conftest import Target

LIMIT = 100.0  # a real server may have to load its model first
LONG = 400  # steps: long enough to be interrupted

pytestmark = pytest.mark.timeout(240)


def running(job: cn.Job) -> bool:
    return job.status == "running" and job.snapshot().step > 0


def test_a_run_with_previews(target: Target, comfy: cn.Comfy):
    job = comfy.submit(target.graph(steps=8))
    events = list(job.events())
    assert job.status == "succeeded"
    previews = [event for event in events if isinstance(event, ev.Preview)]
    assert [(p.step, p.of) for p in previews] == [(step, 8) for step in range(1, 9)]
    assert {Image.open(io.BytesIO(p.image)).format for p in previews} == {"JPEG"}
    assert target.outcome(job) == "execution_success"
    (saved,) = job.outputs
    query = {"filename": saved.name, "type": "output"}
    viewed = httpx2.get(f"{target.url_of(job)}/view", params=query, timeout=30, trust_env=False).content
    assert saved.data == viewed
    assert job.image.size == (256, 256)
    assert job.image.info["parameters"]["KSampler.steps"] == 8
    assert {"prompt", "prompt_id"} <= job.image.info.keys()


def test_the_same_again_is_cached(target: Target, comfy: cn.Comfy):
    workflow = target.graph()
    first, second = comfy.submit(workflow), comfy.submit(workflow)
    assert second.result(LIMIT).image.tobytes() == first.result(LIMIT).image.tobytes()
    assert str(second.snapshot()) == "succeeded (cached: nothing had to be computed)"
    assert len(second.steps) == 0
    assert (target.outcome(first), target.outcome(second)) == ("execution_success", "execution_success")


def test_an_invalid_prompt_names_each_node_and_input(target: Target, comfy: cn.Comfy):
    job = comfy.submit(target.graph(), {"KSampler.cfg": 900, "KSampler.sampler_name": "eulr"})
    with pytest.raises(cn.WorkflowInvalid) as caught:
        job.result(LIMIT)
    assert {(p.label, p.input) for p in caught.value.problems} == {
        ("KSampler", "cfg"),
        ("KSampler", "sampler_name"),
    }
    assert "900" in str(caught.value)
    assert "eulr" in str(caught.value)
    assert target.outcome(job) is None


def test_a_node_that_fails_is_named(target: Target, comfy: cn.Comfy):
    job = comfy.submit(target.broken)
    with pytest.raises(cn.ExecutionFailed) as caught:
        job.result(LIMIT)
    assert caught.value.label == target.broken_label
    assert str(caught.value).startswith(f"{target.broken_label} failed: ")
    assert caught.value.traceback
    assert (job.status, target.outcome(job)) == ("failed", "execution_error")


def test_an_interrupt_while_it_runs(target: Target, comfy: cn.Comfy):
    job = comfy.submit(target.graph(steps=LONG))
    until(lambda: running(job), limit=LIMIT)
    assert job.interrupt()
    with pytest.raises(cn.JobCancelled, match=rf"interrupted at step \d+ of {LONG}"):
        job.result(LIMIT)
    assert target.outcome(job) == "execution_interrupted"


def test_two_queued_run_one_after_the_other(target: Target, comfy: cn.Comfy):
    first, second = comfy.submit(target.graph(steps=60)), comfy.submit(target.graph())
    until(lambda: running(first), limit=LIMIT)
    until(lambda: second.status == "queued", limit=LIMIT)
    assert list(cn.as_completed([first, second], LIMIT)) == [first, second]
    assert (target.outcome(first), target.outcome(second)) == ("execution_success", "execution_success")
    assert (len(first.steps), len(second.steps)) == (60, 6)


def test_a_queued_one_is_cancelled_and_never_runs(target: Target, comfy: cn.Comfy):
    first, second = comfy.submit(target.graph(steps=60)), comfy.submit(target.graph())
    until(lambda: running(first) and second.status == "queued", limit=LIMIT)
    second.cancel()
    with pytest.raises(cn.JobCancelled, match="cancelled while it waited in the queue"):
        second.result(LIMIT)
    first.result(LIMIT)
    assert (target.outcome(first), target.outcome(second)) == ("execution_success", None)


def test_another_client_is_not_touched(target: Target, comfy: cn.Comfy):
    mine = comfy.submit(target.graph(steps=LONG))
    until(lambda: running(mine), limit=LIMIT)
    with cn.connect(target.url_of(mine)) as other:
        theirs = other.submit(target.graph(steps=30))
        until(lambda: theirs.status == "queued", limit=LIMIT)
        last = comfy.submit(target.graph())
        mine.interrupt()
        until(lambda: running(theirs), limit=LIMIT)
        last.interrupt()
        theirs.result(LIMIT)
        cn.wait([mine, last], LIMIT)
        assert [target.outcome(job) for job in (mine, theirs, last)] == [
            "execution_interrupted",
            "execution_success",
            None,
        ]
        assert len(theirs.steps) == 30
        assert len(last.steps) == 0


def test_a_board_shows_where_each_job_runs(target: Target, comfy: cn.Comfy):
    board = cn.JobBoard(comfy)
    assert repr(board) == "<JobBoard: no jobs yet>"
    first = comfy.submit(target.graph())
    first.result(LIMIT)
    second = comfy.submit(target.graph())
    second.result(LIMIT)
    assert board.jobs == (first, second)
    assert {job.server for job in board} <= {
        url.removeprefix("http://") for url in (target.url, target.other)
    }
    used = getattr(comfy, "used", [target.url])
    assert len(set(used)) == len({job.server for job in board})
    board.close()
