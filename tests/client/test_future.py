"""A Job is a Future, with the differences that its docstring names."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import gc
import logging
import threading
import weakref

import pytest

import comfy_nb as cn
from comfy_nb import events as ev
from comfy_nb import jobs as jobs_module
from comfy_nb.client import timing
from comfy_nb.errors import BlockingCallError
from comfy_nb.loop import get_loop
from comfy_nb.testing import Faults, Frames, Page, ScriptedServer
from tests.client.helpers import LIMIT, connected, graph, until

FAST = Frames(count=5, rate=0)
REJECTED = Page.json({"error": {"type": "no_prompt", "message": "No."}}, 400)


def endless() -> Frames:
    """A run that only a stop ends."""
    return Frames(count=100_000, rate=100)


def running(job: cn.Job) -> bool:
    return job.status == "running" and job.snapshot().step > 0


# -- the life of a job -----------------------------------------------------------------------------------------


def test_nothing_is_sent_before_start_and_start_gives_the_same_view_twice():
    with connected(FAST) as (server, comfy):
        job = cn.Job(graph(), comfy)
        assert (job.status, job.progress, job.done(), job.running()) == ("new", 0.0, False, False)
        assert server.calls("POST /prompt") == []
        view = job.start()
        assert job.start() is view
        assert job.view is view
        job.result(LIMIT)
        assert job.start() is view
        assert len(server.calls("POST /prompt")) == 1


def test_new_queued_running_succeeded():
    with connected(endless()) as (server, comfy):
        server.pause()
        first, second = comfy.submit(graph()), comfy.submit(graph())
        until(lambda: first.status == second.status == "queued")
        until(lambda: second.snapshot().position == 2)
        server.resume()
        until(lambda: running(first))
        assert (first.running(), first.done(), second.status) == (True, False, "queued")
        until(lambda: str(second.snapshot()) == "queued (next in the queue)")
        first.cancel()
        second.cancel()
        cn.wait([first, second], LIMIT)


def test_a_job_that_was_never_started_refuses_to_be_waited_for():
    with connected(FAST) as (_, comfy):
        job = cn.Job(graph(), comfy)
        for wait in (job.result, job.exception, job.events, lambda: job.image, lambda: job.images):
            with pytest.raises(cn.JobNotStarted, match=r"never started.*call job\.start\(\) first"):
                wait()

        async def wait_for_it() -> None:
            await job

        with pytest.raises(cn.JobNotStarted):
            asyncio.run(wait_for_it())
        assert (job.status, len(job.outputs)) == ("new", 0)


def test_the_workflow_is_copied_when_the_job_is_made():
    with connected(FAST) as (server, comfy):
        workflow = cn.Workflow.load(graph())
        job = cn.Job(workflow, comfy)
        workflow["Sampler"].cfg = 9.0
        changed = comfy.submit(workflow, {"Sampler.cfg": 5.0})
        job.start()
        cn.wait([job, changed], LIMIT)
        sent = [body["prompt"]["3"]["inputs"]["cfg"] for body in server.calls("POST /prompt")]
        assert sorted(sent) == [4.0, 5.0]
        assert workflow["Sampler"].cfg == 9.0


# -- waiting ---------------------------------------------------------------------------------------------------


def test_a_timeout_ends_the_waiting_and_not_the_job():
    with connected(endless()) as (server, comfy):
        job = comfy.submit(graph())
        for wait in (job.result, job.exception):
            with pytest.raises(TimeoutError, match=r"Not finished after 0\.05 s; the job itself goes on"):
                wait(timeout=0.05)
        until(lambda: running(job))
        assert server.calls("POST /interrupt") == []
        assert not any("cancel" in entry.what for entry in server.log)
        job.cancel()
        cn.wait([job], LIMIT)


def test_await_gives_the_outputs_and_raises_what_happened():
    async def wait(job: cn.Job) -> cn.Outputs:
        return await asyncio.wait_for(job, LIMIT)

    with connected(FAST) as (server, comfy):
        job = comfy.submit(graph())
        assert asyncio.run(wait(job)) is job.result()
        assert asyncio.run(wait(job)) is job.result()
        server.faults = Faults(post=REJECTED)
        with pytest.raises(cn.WorkflowInvalid):
            asyncio.run(wait(comfy.submit(graph())))


def test_cancelling_the_await_does_not_cancel_the_job():
    async def give_up(job: cn.Job) -> None:
        await asyncio.wait_for(job, 0.05)

    with connected(endless()) as (server, comfy):
        job = comfy.submit(graph())
        with pytest.raises(TimeoutError):
            asyncio.run(give_up(job))
        until(lambda: running(job))
        assert not job.snapshot().stopping
        assert not any("cancel" in entry.what for entry in server.log)
        job.cancel()
        cn.wait([job], LIMIT)


def test_a_cancelled_job_raises_job_cancelled_which_is_two_things_and_not_a_third():
    with connected(endless()) as (_, comfy):
        job = comfy.submit(graph())
        until(lambda: running(job))
        job.cancel()
        with pytest.raises(cn.JobCancelled) as caught:
            job.result(LIMIT)
        assert isinstance(caught.value, concurrent.futures.CancelledError)
        assert not isinstance(caught.value, asyncio.CancelledError)

        async def wait() -> None:
            await job

        with pytest.raises(cn.JobCancelled):
            asyncio.run(wait())
        assert isinstance(job.exception(), cn.JobCancelled)


def test_wait_and_as_completed_by_ours_and_by_the_library():
    with connected(Frames(count=5, rate=50)) as (_, comfy):
        jobs = [comfy.submit(graph()) for _ in range(3)]
        assert set(cn.as_completed(jobs, LIMIT)) == set(jobs)
        assert cn.wait(jobs) == (set(jobs), set())
        more = [comfy.submit(graph()) for _ in range(3)]
        assert set(concurrent.futures.as_completed(more, LIMIT)) == set(more)
        done, waiting = concurrent.futures.wait([*jobs, *more], LIMIT)
        assert (done, waiting) == ({*jobs, *more}, set())


def test_as_completed_keeps_the_order_in_which_they_ended_also_for_a_slow_reader():
    def heard_by(job: cn.Job) -> int:
        return len(job.record._listeners)

    with connected(FAST) as (server, comfy), concurrent.futures.ThreadPoolExecutor(1) as pool:
        server.pause()
        jobs = [comfy.submit(graph()) for _ in range(4)]
        until(lambda: all(job.status == "queued" for job in jobs))
        ended: list[cn.Job] = []
        for job in jobs:
            job.add_done_callback(ended.append)
        before = heard_by(jobs[0])
        reader = cn.as_completed(jobs[::-1], LIMIT)
        waiting = pool.submit(next, reader)
        until(lambda: all(heard_by(job) > before for job in jobs))
        server.resume()
        first = waiting.result(LIMIT)
        until(lambda: len(ended) == 4)
        assert [first, *reader] == ended
        assert list(cn.as_completed(jobs)) == jobs  # those that have ended: as given


@pytest.mark.parametrize("library", [cn, concurrent.futures])
def test_wait_returns_at_the_first_and_at_the_timeout(library):
    with connected(endless()) as (server, comfy):
        first, second = comfy.submit(graph()), comfy.submit(graph())
        until(lambda: running(first))
        assert library.wait([first, second], 0.05) == (set(), {first, second})
        second.cancel()
        done, waiting = library.wait([first, second], LIMIT, return_when="FIRST_COMPLETED")
        assert (set(done), set(waiting)) == ({second}, {first})
        assert library.wait([first, second], 0.05, return_when="FIRST_EXCEPTION").not_done == {first}
        ended = library.as_completed([first, second], 0.05)
        assert next(iter(ended)) is second
        with pytest.raises(TimeoutError):
            list(library.as_completed([first, second], 0.05))
        server.faults = Faults(post=REJECTED)
        third = comfy.submit(graph())
        done, _ = library.wait([first, second, third], LIMIT, return_when="FIRST_EXCEPTION")
        assert done == {second, third}
        first.cancel()
        cn.wait([first], LIMIT)


def test_wrap_future_follows_the_job_and_is_not_shielded():
    async def follow(job: cn.Job, seconds: float) -> cn.Outputs:
        return await asyncio.wait_for(asyncio.wrap_future(job), seconds)

    with connected(FAST) as (_, comfy):
        assert len(asyncio.run(follow(comfy.submit(graph()), LIMIT))) == 1
    with connected(endless()) as (_, comfy):
        job = comfy.submit(graph())
        until(lambda: running(job))
        with pytest.raises(TimeoutError):
            asyncio.run(follow(job, 0.05))
        assert isinstance(job.exception(LIMIT), cn.JobCancelled)


def test_a_job_handed_to_a_pool_of_threads_can_be_waited_for_there():
    with connected(FAST) as (_, comfy), concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [comfy.submit(graph()) for _ in range(2)]
        assert [len(outputs) for outputs in pool.map(lambda job: job.result(LIMIT), jobs)] == [1, 1]


def test_callbacks_come_on_the_callbacks_thread_in_order_also_late_and_also_after_one_that_raises(caplog):
    with connected(FAST) as (_, comfy):
        job = comfy.submit(graph())
        called: list[tuple[int, str, object]] = []

        def callback(number: int):
            def call(of: object) -> None:
                called.append((number, threading.current_thread().name, of))
                if number == 0:
                    raise ZeroDivisionError

            return call

        with caplog.at_level(logging.ERROR, "comfy_nb"):
            for number in range(3):
                job.add_done_callback(callback(number))
            job.result(LIMIT)
            job.add_done_callback(callback(3))
            until(lambda: len(called) == 4)
        assert called == [(number, "comfy_nb-callback-0", job) for number in range(4)]
        assert "ZeroDivisionError" in caplog.text


def test_a_callback_may_wait_for_another_job():
    with connected(FAST) as (_, comfy):
        first, second = comfy.submit(graph()), comfy.submit(graph())
        got: list[int] = []
        first.add_done_callback(lambda _: got.append(len(second.result(LIMIT))))
        until(lambda: got == [1])


@pytest.mark.parametrize("call", ["result", "exception", "image", "events", "connect", "close"])
def test_a_blocking_call_on_the_loop_thread_raises_instead_of_hanging(call: str):
    with connected(endless()) as (server, comfy):
        job = comfy.submit(graph())
        calls = {
            "result": job.result,
            "exception": job.exception,
            "image": lambda: job.image,
            "events": lambda: next(job.events()),
            "connect": lambda: cn.connect(server.url),
            "close": comfy.close,
        }

        async def on_the_loop() -> None:
            calls[call]()

        with pytest.raises(BlockingCallError, match="on comfy_nb's own loop thread"):
            get_loop().run(on_the_loop()).result(LIMIT)
        job.cancel()
        cn.wait([job], LIMIT)


# -- events ----------------------------------------------------------------------------------------------------


def shape(items: list[object]) -> list[str]:
    return [type(item).__name__ for item in items]


def test_events_are_a_snapshot_then_everything_to_the_end():
    with connected(Frames(count=3, rate=0)) as (server, comfy):
        server.pause()
        job = comfy.submit(graph())
        stream = job.events()
        until(lambda: job.status == "queued")
        server.resume()
        items = list(stream)
        names = shape(items)
        assert names[0] == "Snapshot"
        for name in ("Submitted", "Started", "NodeStarted", "NodeExecuted", "OutputArrived", "Settled"):
            assert names.count(name) >= 1, name
        assert names[-1] == "Ended"
        previews = [item for item in items if isinstance(item, ev.Preview)]
        assert [(p.step, p.of) for p in previews] == [(1, 3), (2, 3), (3, 3)]
        late = list(job.events())
        assert shape(late) == ["Snapshot"]
        assert late[0].status == "succeeded"


def test_events_are_given_to_async_readers_too_and_to_many():
    async def read(job: cn.Job) -> list[str]:
        return shape([item async for item in job.events()])

    async def read_twice(job: cn.Job) -> list[list[str]]:
        return await asyncio.wait_for(asyncio.gather(read(job), read(job)), LIMIT)

    with connected(Frames(count=3, rate=20)) as (_, comfy):
        first, second = asyncio.run(read_twice(comfy.submit(graph())))
        assert first[0] == second[0] == "Snapshot"
        assert first[-1] == second[-1] == "Ended"
        assert first.count("Preview") == second.count("Preview") == 3


def test_a_reader_may_stop_early():
    with connected(endless()) as (_, comfy):
        job = comfy.submit(graph())
        with job.events() as stream:
            for item in stream:
                if isinstance(item, ev.Preview):
                    break
        assert list(stream) == []
        job.cancel()
        cn.wait([job], LIMIT)


# -- comfy.jobs ------------------------------------------------------------------------------------------------


def test_jobs_are_the_open_ones_and_the_last_finished_and_can_be_forgotten():
    with connected(endless()) as (_, comfy):
        first, second = comfy.submit(graph()), comfy.submit(graph())
        assert comfy.jobs == (first, second)
        comfy.forget(first)
        assert comfy.jobs == (first, second)  # open ones are kept
        second.cancel()
        cn.wait([second], LIMIT)
        until(lambda: comfy.jobs == (second, first))
        comfy.forget(second)
        comfy.forget(second)
        assert comfy.jobs == (first,)
        first.cancel()
        cn.wait([first], LIMIT)


def test_a_thousand_finished_jobs_are_kept(monkeypatch):
    assert jobs_module.KEPT == 1000
    monkeypatch.setattr(jobs_module, "KEPT", 10)
    with connected(FAST, Faults(post=REJECTED)) as (_, comfy):
        jobs = [comfy.submit(graph()) for _ in range(15)]
        cn.wait(jobs, LIMIT)
        until(lambda: len(comfy.jobs) == 10)
        assert set(comfy.jobs) < set(jobs)


def test_waiting_for_a_job_that_was_never_started_says_so_at_once():
    with connected(FAST) as (_, comfy):
        job = cn.Job(graph(), comfy)
        for waiting in (lambda: cn.wait([job]), lambda: next(cn.as_completed([job])), job.result):
            with pytest.raises(cn.JobNotStarted):
                waiting()


def test_waiting_on_our_own_loop_is_refused():
    with connected(FAST) as (_, comfy):
        job = comfy.submit(graph())
        for waiting in (lambda: cn.wait([job]), lambda: next(cn.as_completed([job]))):
            with pytest.raises(BlockingCallError):
                get_loop().do(waiting)
        job.result(LIMIT)


def test_closing_the_connection_ends_what_waits_with_an_error_that_can_be_caught():
    with connected(endless()) as (_, comfy), concurrent.futures.ThreadPoolExecutor(1) as pool:
        job = comfy.submit(graph())
        until(lambda: running(job))
        waiting = pool.submit(job.result)
        comfy.close()
        with pytest.raises(cn.JobLost, match=r"was closed here; it may go on at the server"):
            waiting.result(LIMIT)


def test_a_connection_that_nobody_holds_closes_itself_when_its_last_job_has_ended():
    with ScriptedServer(FAST) as server:
        comfy = cn.connect(server.url)
        client, gone = comfy.client, weakref.ref(comfy)
        job = comfy.submit(graph())
        del comfy
        job.result(LIMIT)
        until(lambda: gc.collect() >= 0 and gone() is None)
        until(lambda: client._tasks == set() and not client._line.socket.is_open)
        assert job.server in server.url


def test_patience_counts_from_a_jobs_own_turn(monkeypatch):
    hasty = dataclasses.replace(timing.TIMING, ready=1.0, first_retry=0.1)
    monkeypatch.setattr(timing, "TIMING", hasty)
    with connected(FAST) as (server, comfy):
        post = comfy.client._http.post_prompt
        bodies = []

        async def slow_at_first(body):
            bodies.append(body)
            reply = await post(body)
            if len(bodies) == 1:
                await asyncio.sleep(1.2)
                server.drop()  # so that the next one finds the connection away as its turn comes
                await asyncio.sleep(0.02)
            return reply

        monkeypatch.setattr(comfy.client._http, "post_prompt", slow_at_first)
        jobs = [comfy.submit(graph()) for _ in range(2)]
        cn.wait(jobs, LIMIT)
        assert [job.status for job in jobs] == ["succeeded"] * 2
