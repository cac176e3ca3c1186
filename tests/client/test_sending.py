"""What the client says to a server, and in which order, as the server's own log has it."""

from __future__ import annotations

import errno
import json
import time
import uuid
from collections.abc import Collection
from pathlib import Path

import pytest

import comfy_nb as cn
from comfy_nb.client import socket as client_socket
from comfy_nb.server.process import EmbeddedServer
from comfy_nb.spill import Folder
from comfy_nb.store import get_store
from comfy_nb.testing import Faults, Frames, Page, read_stamp
from comfy_nb.wire.messages import PreviewImage
from comfy_nb.wire.packing import pack
from comfy_nb.workflow.check import Problems
from tests.client.helpers import LIMIT, connected, graph, recording, until

FAST = Frames(count=3, rate=0)
FLAGS = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}


def test_flags_first_then_the_first_status_then_the_post():
    with connected(FAST, Faults(greet_after=0.2)) as (server, comfy):
        comfy.submit(graph()).result(LIMIT)
        said = [entry.what for entry in server.log]
        assert said.index("open") < said.index("greeting") < said.index("POST /api/prompt")
        first = next(entry for entry in server.log if entry.what == "message")
        assert first.body == FLAGS
        assert said.count("message") == 1


def test_after_a_loss_the_flags_come_again_and_prompts_wait_for_the_greeting():
    with connected(FAST) as (server, comfy):
        comfy.submit(graph()).result(LIMIT)
        server.faults = Faults(greet_after=0.2)
        server.drop()
        until(lambda: comfy._client.link == "reconnecting")
        job = comfy.submit(graph())
        until(lambda: "waiting for the connection" in repr(job) or "reconnecting" in repr(job))
        job.result(LIMIT)
        said = [entry.what for entry in server.log]
        later = said[said.index("close") :]
        assert later.index("open") < later.index("greeting") < later.index("POST /api/prompt")
        assert [entry.body for entry in server.log if entry.what == "message"] == [FLAGS, FLAGS]
        ids = {entry.client_id for entry in server.log if entry.what in ("open", "message", "greeting")}
        assert len(ids) == 1


def test_the_body_of_a_prompt():
    with connected(FAST) as (server, comfy):
        job = comfy.submit(graph(title="My sampler"))
        job.result(LIMIT)
        (body,) = server.calls("POST /prompt")
        (opened,) = [entry for entry in server.log if entry.what == "open"]
        assert set(body) == {"prompt", "client_id", "prompt_id", "extra_data"}
        assert body["client_id"] == opened.client_id
        assert body["prompt_id"] == str(uuid.UUID(body["prompt_id"])) == body["prompt_id"].lower() == job.id
        titles = {key: node["_meta"]["title"] for key, node in body["prompt"].items()}
        assert titles == {"3": "My sampler", "5": "EmptyLatentImage", "9": "SaveImage"}
        assert body["prompt"]["3"]["inputs"] == graph()["3"]["inputs"]


def test_each_job_has_an_id_of_its_own_and_each_connection_too():
    with connected(FAST) as (server, comfy), cn.connect(server.url) as other:
        jobs = [comfy.submit(graph()), comfy.submit(graph()), other.submit(graph())]
        cn.wait(jobs, LIMIT)
        assert len({job.id for job in jobs}) == 3
        assert len({entry.client_id for entry in server.log if entry.what == "open"}) == 2


@pytest.mark.parametrize("setting", ["auto", "latent2rgb", "taesd", "none"])
def test_a_preview_setting_goes_with_the_prompt(setting: str):
    with connected(FAST, preview=setting) as (server, comfy):
        comfy.submit(graph()).result(LIMIT)
        assert server.calls("POST /prompt")[0]["extra_data"] == {"preview_method": setting}


def test_the_default_setting_leaves_it_to_the_server_and_a_job_may_want_another():
    with connected(FAST, preview="default") as (server, comfy):
        jobs = [comfy.submit(graph()), comfy.submit(graph(), preview="taesd")]
        cn.wait(jobs, LIMIT)
        by_id = {body["prompt_id"]: body["extra_data"] for body in server.calls("POST /prompt")}
        assert [by_id[job.id] for job in jobs] == [{}, {"preview_method": "taesd"}]


def test_without_previews_none_is_kept_even_if_the_server_sends_some():
    with connected(FAST, preview="none") as (_, comfy):
        job = comfy.submit(graph())
        job.result(LIMIT)
        assert (list(job.steps), job.record.latest, job.snapshot().previews) == ([], None, False)


def test_an_unknown_setting_lists_the_known_ones():
    with connected(FAST) as (server, comfy):
        for make in (
            lambda: cn.connect(server.url, preview="best"),
            lambda: cn.Job(graph(), comfy, preview="best"),
        ):
            with pytest.raises(
                ValueError, match=r"preview='best' is none of 'default', 'auto', 'latent2rgb'"
            ):
                make()


def test_headers_go_with_every_request_and_are_never_shown():
    headers = {"Authorization": "Bearer secret-of-mine"}
    with connected(FAST, headers=headers) as (server, comfy):
        job = comfy.submit(graph())
        job.result(LIMIT)
        wanted = [
            e.headers.get("authorization") for e in server.log if e.what[:4] in ("GET ", "POST", "open")
        ]
        assert len(wanted) >= 5
        assert set(wanted) == {"Bearer secret-of-mine"}
        shown = repr(comfy) + repr(job) + repr(comfy.address) + json.dumps(job.snapshot().state())
        assert "secret" not in shown


# -- what the client makes of what it hears --------------------------------------------------------------------


def test_messages_before_the_reply_count():
    script = recording("v0.33.0", "save_image_websocket")  # most of it came before the reply
    with connected(script) as (_, comfy):
        job = comfy.submit(script.prompts[0])
        names = [type(event).__name__ for event in job.events()]
        assert "Submitted" not in names  # which is no news any more of a job that runs
        assert names.count("Preview") == 6


def test_a_server_that_chooses_the_id_itself_is_followed():
    with connected(Frames(count=5, rate=50, version="0.3.40")) as (server, comfy):
        job = comfy.submit(graph())
        assert job.result(LIMIT).image.size == (256, 256)
        sent = server.calls("POST /prompt")[0]["prompt_id"]
        assert job.id != sent
        assert server.calls(f"GET /history/{job.id}")


def test_a_history_that_comes_late_is_waited_for():
    with connected(FAST, Faults(history_after=0.3)) as (server, comfy):
        job = comfy.submit(graph())
        job.result(LIMIT)
        assert len(server.calls(f"GET /history/{job.id}")) >= 2


def test_a_post_that_failed_but_was_queued_runs_and_is_sent_once():
    faults = Faults(post=Page.text("500 Internal Server Error"), post_runs=True)
    with connected(Frames(count=10, rate=50), faults) as (server, comfy):
        job = comfy.submit(graph())
        assert len(job.result(LIMIT)) == 1
        assert len(server.calls("POST /prompt")) == 1


def test_what_is_nobodys_or_somebody_elses_changes_nothing():
    with connected(Frames(count=100_000, rate=50)) as (server, comfy), cn.connect(server.url) as other:
        theirs = other.submit(graph())
        until(lambda: theirs.snapshot().step > 0)
        mine = comfy.submit(graph())
        until(lambda: mine.status == "queued")
        foreign = {"type": "progress", "data": {"value": 3, "max": 7, "prompt_id": theirs.id, "node": "3"}}
        absurd = [json.dumps(foreign), "no JSON", "[]", '{"type": "x"}', b"", b"\0\0\0\4\xff\xff\xff\xff"]
        absurd.append(pack(PreviewImage("image/jpeg", b"\xff\xd8\xff nobody's")))
        for frame in absurd:
            server.say(frame)
        mine.cancel()
        cn.wait([mine], LIMIT)
        assert (list(mine.steps), mine.progress, mine.record.run.started_at) == ([], 0.0, None)
        assert theirs.status == "running"
        theirs.cancel()
        cn.wait([theirs], LIMIT)


def test_a_message_over_the_limit_closes_the_socket_and_the_history_has_the_outcome():
    with connected(Frames(count=40, rate=40), max_message=100_000) as (server, comfy):
        job = comfy.submit(graph())
        until(lambda: job.snapshot().step > 0)
        server.say("x" * 200_000)
        until(lambda: [entry.what for entry in server.log].count("greeting") == 2)
        assert len(job.result(LIMIT)) == 1


def test_five_megabytes_of_text_are_read():
    with connected(Frames(count=40, rate=40)) as (server, comfy):
        job = comfy.submit(graph())
        until(lambda: job.snapshot().step > 0)
        data = {"node": "9", "display_node": "9", "prompt_id": job.id, "output": {"text": ["x" * 5_000_000]}}
        server.say(json.dumps({"type": "executed", "data": data}))
        outputs = job.result(LIMIT)
        assert [len(text) for text in outputs.texts] == [5_000_000]
        assert [entry.what for entry in server.log].count("greeting") == 1
        assert client_socket.MAX_MESSAGE == 256 << 20


def test_a_frame_may_be_late_doubled_or_foreign_and_the_picture_is_right():
    with connected(Frames(count=4, rate=20)) as (server, comfy):
        job = comfy.submit(graph())
        job.result(LIMIT)
        before = job.snapshot()
        server.say(json.dumps({"type": "executing", "data": {"node": "3", "prompt_id": job.id}}))
        probe = comfy.submit(graph())
        probe.result(LIMIT)  # whatever was said before this has been heard
        assert job.snapshot() == before or job.snapshot().state() | {"silent": 0} == before.state() | {
            "silent": 0
        }


def test_every_frame_is_kept_in_order_and_before_the_end():
    with connected(Frames(count=12, rate=0)) as (_, comfy):
        job = comfy.submit(graph())
        told = list(job.events())
        previews = [event for event in told if isinstance(event, cn.events.Preview)]
        kept = [event for event in told if isinstance(event, cn.events.StepKept)]
        assert [event.number for event in kept] == list(range(1, 13))
        assert [event.blob.data for event in kept] == [event.image for event in previews]
        assert told.index(kept[0]) == told.index(previews[0]) + 1
        assert [read_stamp(step.data).number for step in job.steps] == list(range(12))
        assert [step.step for step in job.steps] == list(range(1, 13))


def test_frames_are_kept_in_order_however_slow_the_disk_is(monkeypatch):
    store = get_store()
    before, write = store.caps, Folder.write

    def slow(folder: Folder, pieces: Collection[bytes]) -> Path:
        time.sleep(0.02)  # on the store's own thread
        return write(folder, pieces)

    monkeypatch.setattr(Folder, "write", slow)
    monkeypatch.setattr("comfy_nb.stock.LEEWAY", 64 << 20)  # slow, and never so slow that it costs a step
    store.set_caps(steps=0)
    try:
        with connected(Frames(count=12, rate=0)) as (_, comfy):
            job = comfy.submit(graph())
            job.result(LIMIT)
            frames = list(job.steps)
            assert [read_stamp(frame.data).number for frame in frames] == list(range(12))
            assert [frame.step for frame in frames] == list(range(1, 13))
            store.settled("steps").result(LIMIT)
            assert store.on_disk["steps"] >= sum(frame.blob.size for frame in frames)
            assert [read_stamp(frame.data).number for frame in frames] == list(range(12))
    finally:
        store.set_caps(**before)


def test_a_result_that_cannot_be_stored_is_a_warning_of_its_job(monkeypatch):
    store = get_store()
    before, spill = store.caps, store.spill_cap

    def full(*_: object) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Folder, "write", full)
    monkeypatch.setattr("comfy_nb.stock.LEEWAY", 0)
    store.set_caps(outputs=0)
    try:
        with connected(Frames(count=2, rate=0)) as (_, comfy):
            job = comfy.submit(graph())
            outputs = job.result(LIMIT)
            assert job.status == "succeeded"
            assert any("No space left on device" in warning for warning in job.snapshot().warnings)
            with pytest.raises(cn.OutputError, match="No space left on device"):
                _ = outputs[0].data
    finally:
        store.set_caps(**before, spill=spill)


def test_a_cut_socket_loses_nothing():
    with connected(Frames(count=30, rate=30)) as (server, comfy):
        job = comfy.submit(graph())
        until(lambda: job.snapshot().step > 2)
        server.drop()
        assert len(job.result(LIMIT)) == 1
        assert job.status == "succeeded"


def test_a_job_that_the_server_has_forgotten_is_lost_with_a_cause(monkeypatch):
    from comfy_nb.client import timing

    monkeypatch.setattr(timing, "TIMING", timing.Timing(doubt=0.1, again=0.2))
    with connected(Frames(count=100_000, rate=50)) as (server, comfy):
        server.pause()
        job = comfy.submit(graph())
        until(lambda: job.status == "queued")
        server.forget()
        server.drop()
        with pytest.raises(cn.JobLost, match="the server was restarted, it seems") as caught:
            job.result(LIMIT)
        assert caught.value.cause
        assert job.status == "lost"


def test_closing_here_leaves_the_job_at_the_server_and_says_so():
    with connected(Frames(count=100_000, rate=50)) as (server, comfy):
        job = comfy.submit(graph())
        until(lambda: job.snapshot().step > 0)
        comfy.close()
        comfy.close()
        assert comfy.closed
        assert "closed" in repr(comfy)
        assert "was closed here" in repr(job)
        assert not any("cancel" in entry.what for entry in server.log)
        with pytest.raises(cn.ConnectionFailed, match=r"was closed here: connect\(\) again"):
            comfy.submit(graph())
        with pytest.raises(cn.JobLost, match=r"may go on at the server, and comfy\.attach"):
            job.result(LIMIT)
        assert job.interrupt() is False


def test_closing_here_ends_a_job_that_was_not_sent_yet():
    with connected() as (server, comfy):
        server.faults = Faults(socket="refused")
        server.drop()
        until(lambda: comfy._client.link == "reconnecting")
        job = comfy.submit(graph())
        until(lambda: "reconnecting" in repr(job))
        comfy.close()
        with pytest.raises(cn.ConnectionFailed, match="was closed here before the job was sent"):
            job.result(LIMIT)


def test_what_is_found_before_it_is_sent_stays_what_it_is_where_secrets_are_hidden():
    headers = {"X-Api-Key": "hush-hush-hush"}
    with EmbeddedServer.start(step_time=0) as server, cn.connect(server.url, headers=headers) as comfy:
        workflow = cn.example()
        assert comfy.submit(workflow, {"KSampler.steps": 2}).result(LIMIT)
        found = comfy.loop.wait(
            comfy.client.catalog.check(workflow.copy().set({"KSampler.cfg": 900}).to_api()), ""
        )
        assert isinstance(found, Problems)
        assert len(found.certain) == 1
