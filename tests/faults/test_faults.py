"""Whatever networks and servers do, each job ends once and right. The oracle is the server's own diary."""

from __future__ import annotations

import dataclasses
import itertools
import re

import pytest

import comfy_nb as cn
from comfy_nb.client import timing
from comfy_nb.client.delivery import Delivery
from comfy_nb.client.line import DEAF
from comfy_nb.testing import Answer
from comfy_nb.wire import messages as wire
from comfy_nb.wire.records import Queue
from tests.client.helpers import LIMIT, until
from tests.faults.stand import SHORT, Stand, fetched, graph, links, shown, until_step

ONCE = ["put", "took", "ended"]


def ends_well(stand: Stand, job: cn.Job) -> None:
    """It succeeds, ran once, has the server's picture, and showed nothing but the server's frames."""
    job.result(LIMIT)
    assert job.status == "succeeded"
    assert stand.story(job) == ONCE
    assert fetched(job) == stand.files(job) != []
    assert set(shown(job)) <= set(stand.frames.get(job.id, []))  # cached: none
    assert job.snapshot().note in ("", "cached: nothing had to be computed")


# -- connections that are lost ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["clean", "reset"])
def test_a_cut_is_told_and_healed_and_the_previews_go_on(stand: Stand, comfy: cn.Comfy, how: str) -> None:
    job = comfy.submit(graph(60))
    until_step(job, 5)
    told = links(job)
    stand.link.cut(how)
    assert next(told) == ("reconnecting", "reconnecting, 1st try")
    assert next(pair for pair in told if pair[0] == "connected") == ("connected", "")
    seen = len(shown(job))
    until(lambda: len(shown(job)) > seen + 5)
    ends_well(stand, job)
    assert stand.link.counts[how] == 1


def test_after_a_clean_cut_new_jobs_keep_the_client_id_and_after_a_reset_they_do_not(
    stand: Stand, comfy: cn.Comfy
) -> None:
    job = comfy.submit(graph(60))
    until_step(job, 2)
    first = comfy.client.client_id
    stand.link.cut("clean")
    until(lambda: comfy.client.link == "reconnecting")
    until(lambda: comfy.client.link == "connected")
    assert comfy.client.client_id == first
    stand.link.cut("reset")
    until(lambda: comfy.client.client_id != first)  # the server may still hold the old connection
    ends_well(stand, comfy.submit(graph(2)))
    ends_well(stand, job)


def goes_on_and_stops(stand: Stand, job: cn.Job) -> None:
    """Its previews are shown again, and it can be stopped."""
    seen = len(shown(job))
    until(lambda: len(shown(job)) > seen + 5)
    job.interrupt()
    with pytest.raises(cn.JobCancelled):
        job.result(LIMIT)
    assert stand.story(job) == ONCE
    assert set(shown(job)) <= set(stand.frames[job.id])


@pytest.mark.parametrize("noticed", [True, False])
def test_a_half_open_connection_is_found_by_pings_though_the_server_holds_it(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, noticed: bool
) -> None:
    monkeypatch.setattr(timing, "TIMING", dataclasses.replace(SHORT, ping=1.0, quiet=(30.0, 60.0)))
    with cn.connect(stand.link.url) as comfy:
        job = comfy.submit(graph(2000))
        until_step(job, 5)
        told = links(job)
        stand.link.cut("half-open")
        assert next(told) == ("reconnecting", "reconnecting, 1st try")
        assert next(pair for pair in told if pair[0] == "connected")
        if noticed:
            stand.link.notice()
        goes_on_and_stops(stand, job)


def test_an_open_connection_that_says_nothing_is_opened_anew_without_the_word_reconnecting(
    stand: Stand, comfy: cn.Comfy
) -> None:
    job = comfy.submit(graph(2000))
    until_step(job, 5)
    told = links(job)
    stand.link.mute()
    link, note = next(told)
    assert (link, note[:26]) == ("connected", "no word from the server fo")
    assert "loading a model can take minutes" in note
    assert next(pair for pair in told if not pair[1]) == ("connected", "")
    goes_on_and_stops(stand, job)
    assert all(link == "connected" for link, _ in told)


def test_a_socket_that_is_deaf_when_a_job_is_sent_is_noticed_and_opened_anew(
    stand: Stand, comfy: cn.Comfy
) -> None:
    stand.link.mute()
    job = comfy.submit(graph(2000))
    told = links(job)
    assert next(pair for pair in told if pair[1] == DEAF)[0] == "connected"
    until_step(job, 5)
    assert next(pair for pair in told if not pair[1]) == ("connected", "")
    goes_on_and_stops(stand, job)
    assert all(link == "connected" for link, _ in told)


def test_a_job_that_was_taken_up_is_told_of_the_connection_too(stand: Stand, comfy: cn.Comfy) -> None:
    job = comfy.submit(graph(60))
    until(lambda: job.status == "running")
    with cn.connect(stand.link.url) as later:
        again = later.attach(job.id)
        told = links(again)
        stand.link.cut("clean")
        assert next(told) == ("reconnecting", "reconnecting, 1st try")
        assert next(pair for pair in told if pair[0] == "connected")
        assert len(again.result(LIMIT)) == 1
        assert fetched(again) == stand.files(job)
    ends_well(stand, job)


# -- slow and broken lines -------------------------------------------------------------------------------------


def test_a_stall_holds_everything_up_and_loses_nothing(stand: Stand, comfy: cn.Comfy) -> None:
    job = comfy.submit(graph(40))
    until_step(job, 2)
    stand.link.stall()
    until(lambda: "ended" in stand.story(job))
    assert job.status == "running"
    assert len(shown(job)) < len(stand.frames[job.id])
    stand.link.resume()
    ends_well(stand, job)


@pytest.mark.parametrize(("setting", "value"), [("delay", 0.01), ("chop", 7), ("lump", 0.1)])
def test_late_split_and_coalesced_pieces_change_nothing(
    stand: Stand, comfy: cn.Comfy, setting: str, value: float
) -> None:
    setattr(stand.link, setting, value)
    job = comfy.submit(graph(8))
    ends_well(stand, job)
    assert shown(job) == stand.frames[job.id]


def parsed(frame: bytes) -> wire.Message:
    """A frame of a websocket that is shorter than 64 kB, as a message."""
    start = 4 if frame[1] == 126 else 2
    return wire.parse(frame[start:] if frame[0] & 15 == 2 else frame[start:].decode())


KINDS = (
    wire.Status,
    wire.ExecutionStart,
    wire.ExecutionCached,
    wire.Executing,
    wire.Progress,
    wire.ProgressState,
    wire.PreviewWithMetadata,
    wire.Executed,
    wire.ExecutionSuccess,
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("copies", [0, 2], ids=["none", "two"])
def test_no_message_is_needed_and_none_counts_twice(
    stand: Stand, comfy: cn.Comfy, kind: type, copies: int
) -> None:
    stand.link.copies = lambda frame: copies if isinstance(parsed(frame), kind) else 1
    job = comfy.submit(graph(4))
    ends_well(stand, job)
    assert stand.link.counts["doubled" if copies else "dropped"] > 0
    assert len(job.result(LIMIT)) == 1


def test_not_a_single_message_is_needed(stand: Stand, comfy: cn.Comfy) -> None:
    stand.link.copies = lambda _: 0
    job = comfy.submit(graph(4))
    ends_well(stand, job)
    assert shown(job) == []


# -- calls that fail -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, 429, 500, 503])
@pytest.mark.parametrize("call", ["GET /api/queue", "GET /api/history", "GET /api/view"])
def test_an_answer_that_does_not_come_is_asked_for_again(
    stand: Stand, comfy: cn.Comfy, call: str, status: int
) -> None:
    job = comfy.submit(graph(30))
    until_step(job, 2)
    stand.link.answer(Answer(call, status, count=2))
    stand.link.mute()  # so that the queue has to be asked, too
    ends_well(stand, job)
    assert stand.link.counts[f"answered {status}"] == 2
    assert job.warnings == ()


@pytest.mark.parametrize("status", [0, 500, 503])
def test_a_prompt_that_was_taken_though_its_answer_was_lost_is_sent_once(
    stand: Stand, comfy: cn.Comfy, status: int
) -> None:
    stand.link.answer(Answer("POST /api/prompt", status, passed_on=True))
    ends_well(stand, comfy.submit(graph(4)))


@pytest.mark.parametrize("status", [0, 429, 500, 503])
def test_a_prompt_that_was_not_taken_is_not_sent_again_and_its_failure_says_why(
    stand: Stand, comfy: cn.Comfy, status: int
) -> None:
    stand.link.answer(Answer("POST /api/prompt", status))
    job = comfy.submit(graph(4))
    with pytest.raises(
        cn.ConnectionFailed, match=f"HTTP {status}" if status else "did not answer POST /prompt"
    ):
        job.result(LIMIT)
    assert (job.status, stand.story(job)) == ("failed", [])


def test_a_stop_that_failed_is_sent_again(stand: Stand, comfy: cn.Comfy) -> None:
    job = comfy.submit(graph(1000))
    until_step(job, 2)
    stand.link.answer(Answer("POST /api/jobs", 503, count=2))
    stand.link.answer(Answer("POST /api/queue", 503, count=2))
    job.interrupt()
    with pytest.raises(cn.JobCancelled, match=r"interrupted at step \d+ of 1000"):
        job.result(LIMIT)
    assert stand.link.counts["answered 503"] == 4


# -- servers that go away --------------------------------------------------------------------------------------


def test_after_a_restart_its_jobs_are_lost_and_new_ones_run(stand: Stand, comfy: cn.Comfy) -> None:
    running, waiting = comfy.submit(graph(1000)), comfy.submit(graph(2))
    until_step(running, 2)
    until(lambda: waiting.status == "queued")
    stand.restart()
    for job in (running, waiting):
        with pytest.raises(cn.JobLost, match="the server was restarted, it seems") as lost:
            job.result(LIMIT)
        assert job.status == "lost"
        assert lost.value.cause in job.snapshot().note
    ends_well(stand, comfy.submit(graph(2)))


def test_a_post_that_was_cut_off_by_a_restart_leaves_nobody_knowing(stand: Stand, comfy: cn.Comfy) -> None:
    ends_well(stand, comfy.submit(graph(1)))  # the classes are known, so the next call is the prompt's
    stand.link.answer(Answer("POST /api/prompt", 0, passed_on=True))
    stand.link.answer(Answer("GET /api/queue", 503, count=1000))  # nor does a look find it there
    stand.link.copies = lambda _: 0
    job = comfy.submit(graph(1000))
    until(lambda: "put" in stand.story(job) and stand.link.counts["answered 0"])
    stand.restart()
    stand.link.forgive()
    with pytest.raises(
        cn.JobLost, match=r"did not answer POST /prompt .* Whether it got the job is not known"
    ):
        job.result(LIMIT)


def test_a_post_and_a_stop_that_nobody_answered_are_a_job_that_was_cancelled(
    stand: Stand, comfy: cn.Comfy
) -> None:
    ends_well(stand, comfy.submit(graph(1)))  # the classes are known, so the next call is the prompt's
    blocking = comfy.submit(graph(1000))
    until_step(blocking, 2)
    stand.link.answer(Answer("POST /api/prompt", 0, passed_on=True))
    stand.link.answer(Answer("POST /api/jobs", 0, passed_on=True, count=1000))
    stand.link.answer(Answer("GET /api/queue", 503, count=6))  # so it is not seen there before it is removed
    stand.link.copies = lambda _: 0
    job = comfy.submit(graph(1000))
    until(lambda: "put" in stand.story(job) and stand.link.counts["answered 0"] == 1)
    job.interrupt()
    until(lambda: "removed" in stand.story(job))
    with pytest.raises(cn.JobCancelled, match="cancelled before it ran"):
        job.result(LIMIT)
    stand.link.forgive()
    blocking.interrupt()


def test_a_server_that_cannot_list_its_history_still_says_that_a_job_is_gone(
    stand: Stand, comfy: cn.Comfy
) -> None:
    running, waiting = comfy.submit(graph(1000)), comfy.submit(graph(2))
    until(lambda: waiting.status == "queued")
    stand.link.answer(Answer("GET /api/history?", 500, count=1000))
    stand.restart()
    for job in (running, waiting):
        with pytest.raises(cn.JobLost, match="the server knows nothing of it any more"):
            job.result(LIMIT)


def test_a_prompt_waits_for_a_server_that_is_away(stand: Stand, comfy: cn.Comfy) -> None:
    stand.link.refuse()
    stand.link.cut("reset")
    until(lambda: comfy.client.link == "reconnecting")
    job = comfy.submit(graph(2))
    until(lambda: re.fullmatch(r"reconnecting, \d+(st|nd|rd|th) try", job.snapshot().note))
    assert job.status == "new"
    stand.link.accept()
    ends_well(stand, job)


WAITS = r"waiting for the server: it takes no connections, (\d+)(?:nd|rd|th) try"


def test_a_prompt_that_is_refused_outright_is_sent_as_soon_as_the_server_is_back(
    stand: Stand, comfy: cn.Comfy
) -> None:
    ends_well(stand, comfy.submit(graph(1)))  # the classes are known, so the next call is the prompt's
    stand.link.refuse()  # and the websocket is still open
    job = comfy.submit(graph(2))
    told = links(job)
    said = [next(told) for _ in range(4)]
    stand.link.accept()
    said += told
    *tries, last = said
    assert last == ("connected", "")
    numbers = [re.fullmatch(WAITS, note) for link, note in tries if link == "connected"]
    assert None not in numbers
    found = [int(number[1]) for number in numbers if number]
    assert found == list(range(found[0], found[0] + len(tries)))  # one sentence, and nothing in between
    assert found[0] >= 2  # the first ones may have been said before we listened
    ends_well(stand, job)


@pytest.mark.parametrize("cut", [True, False])
def test_a_server_that_stays_away_is_not_waited_for_for_ever(
    stand: Stand, comfy: cn.Comfy, monkeypatch: pytest.MonkeyPatch, cut: bool
) -> None:
    monkeypatch.setattr(timing, "TIMING", dataclasses.replace(SHORT, ready=0.3))
    with cn.connect(stand.link.url) as hasty:
        stand.link.refuse()
        if cut:
            stand.link.cut("reset")
            until(lambda: hasty.client.link == "reconnecting")
        job = hasty.submit(graph(2))
        sentence = "cannot be reached, so nothing was sent" if cut else "No ComfyUI answers at"
        with pytest.raises(cn.ConnectionFailed, match=sentence):
            job.result(LIMIT)
        assert (job.status, stand.story(job)) == ("failed", [])
    stand.link.accept()


# -- others ----------------------------------------------------------------------------------------------------


def test_two_clients_and_the_same_notebook_twice_do_not_disturb_each_other(
    stand: Stand, comfy: cn.Comfy
) -> None:
    with cn.connect(stand.link.url) as other:
        same = graph(8)
        both = [client.submit(same) for _ in range(3) for client in (comfy, other)]
        different = [client.submit(graph(8)) for _ in range(3) for client in (comfy, other)]
        for job in (*both, *different):
            ends_well(stand, job)
        assert len({frozenset(stand.frames[job.id]) for job in different}) == 6
        assert {job.id for job in comfy.jobs} == {job.id for job in (both + different)[::2]}
        running, waiting, theirs = comfy.submit(graph(500)), comfy.submit(same), other.submit(graph(8))
        until_step(running, 2)
        running.interrupt()
        waiting.interrupt()
        with pytest.raises(cn.JobCancelled):
            running.result(LIMIT)
        with pytest.raises(cn.JobCancelled):
            waiting.result(LIMIT)
        ends_well(stand, theirs)
        other.close()
        ends_well(stand, comfy.submit(same))


def test_what_others_do_to_a_job_is_told_as_what_it_is(stand: Stand, comfy: cn.Comfy) -> None:
    with cn.connect(stand.link.url) as other:
        running, waiting = comfy.submit(graph(1000)), comfy.submit(graph(2))
        until(lambda: waiting.status == "queued")
        other.attach(waiting.id).interrupt()
        with pytest.raises(cn.JobLost, match="somebody removed it from the queue before it ran"):
            waiting.result(LIMIT)
        other.attach(running.id).interrupt()
        with pytest.raises(cn.JobCancelled):
            running.result(LIMIT)


def test_a_fault_of_ours_in_one_look_at_the_queue_is_not_the_end_of_all_looking(
    stand: Stand, comfy: cn.Comfy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    truth = comfy.client._truth
    compare, looks = truth.compare, itertools.count()

    async def fail_twice(deliveries: list[Delivery]) -> Queue:
        if next(looks) < 2:
            raise ZeroDivisionError
        return await compare(deliveries)

    monkeypatch.setattr(truth, "compare", fail_twice)
    stand.link.copies = lambda _: 0
    ends_well(stand, comfy.submit(graph(4)))
    assert "ZeroDivisionError" in caplog.text


def test_a_fault_of_ours_in_sending_ends_the_job_and_says_so(
    stand: Stand, comfy: cn.Comfy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: object) -> None:
        raise ZeroDivisionError("by us")

    monkeypatch.setattr(comfy.client._http, "post_prompt", fail)
    job = comfy.submit(graph(4))
    with pytest.raises(
        cn.ConnectionFailed, match=r"A fault in comfy_nb kept .* ZeroDivisionError\('by us'\)"
    ):
        job.result(LIMIT)
    assert (job.status, stand.story(job)) == ("failed", [])
    assert "could not be sent" in caplog.text
