"""A job is taken up again by its id, as after a restart of the kernel."""

from __future__ import annotations

import pytest

import comfy_nb as cn
from comfy_nb.testing import Frames, ScriptedServer
from tests.client.helpers import LIMIT, connected, graph, until


def test_a_running_job_is_taken_up_by_another_session_and_ends_in_both() -> None:
    with ScriptedServer(Frames(count=4, rate=50)) as server, cn.connect(server.url, name="ann") as first:
        server.pause()
        mine = first.submit(graph(), title="Harbour")
        server.resume()
        until(lambda: mine.status == "running" and server.pause() is None)
        with cn.connect(server.url) as second:
            again = second.attach(mine.id)
            until(lambda: again.status == "running")
            assert (again.id, again.title) == (mine.id, "Harbour")
            assert [node.label for node in again.plan.nodes] == [node.label for node in mine.plan.nodes]
            assert not again.snapshot().previews
            assert "cannot be seen here" in again.warnings[0]
            assert second.attach(mine.id) is again
            assert second.jobs == (again,)
            server.resume()
            assert again.result(LIMIT).image.size == mine.result(LIMIT).image.size
        assert [entry.what for entry in server.log].count("POST /api/prompt") == 1


def test_waiting_jobs_are_taken_up_and_can_be_stopped() -> None:
    with ScriptedServer(Frames(count=100_000, rate=100)) as server, cn.connect(server.url) as first:
        running, waiting = first.submit(graph()), first.submit(graph())
        until(lambda: running.status == "running" and waiting.status == "queued")
        with cn.connect(server.url) as second:
            again = second.attach(waiting.id)
            until(lambda: again.snapshot().position == 1)
            assert again.interrupt()
            with pytest.raises(cn.JobCancelled):
                again.result(LIMIT)
            assert running.status == "running"
        running.interrupt()
        cn.wait([running, waiting], LIMIT)


def test_a_finished_job_is_taken_up_with_its_outputs() -> None:
    with connected() as (server, comfy):
        done = comfy.submit(graph())
        done.result(LIMIT)
        with cn.connect(server.url) as later:
            again = later.attach(done.id)
            assert (again.status, again.done()) == ("succeeded", True)  # at once, not a moment later
            assert len(again.result(LIMIT)) == len(done.outputs)
            assert (again.status, later.jobs) == ("succeeded", (again,))


@pytest.mark.parametrize(
    ("prompt_id", "sentence"),
    [
        (
            "0447b7af-958e-4c14-8d75-8144f041cd8b",
            r"There is no job '0447.*neither in the queue nor in the history",
        ),
        ("", r"'' is no id of a job: it looks like '\w{8}-"),
        ("../queue", r"'\.\./queue' is no id of a job"),
    ],
)
def test_an_unknown_id(prompt_id: str, sentence: str) -> None:
    with connected() as (_, comfy), pytest.raises(cn.JobLost, match=sentence):
        comfy.attach(prompt_id)
