"""All recorded traffic through the real core: each prompt ends as its own history says, and nothing odd is shown.

The expected values are read from the recording itself, as plain JSON; nothing of ours computes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfy_nb import events as ev
from comfy_nb.client.routing import Router
from comfy_nb.record import Record
from comfy_nb.run import Run
from comfy_nb.snapshot import plan_view
from comfy_nb.steps import Recorder
from comfy_nb.store import Blob, get_store
from comfy_nb.wire import messages as m
from tests.traces.reader import VERSIONS, Http, Trace, TraceLine, WsIn, WsOpen, all_traces, read
from tests.traces.replay import Replay, Told, posts, replay

TRACES = all_traces()
each_trace = pytest.mark.parametrize("trace", TRACES, ids=str)
each_version = pytest.mark.parametrize("version", VERSIONS)

# What each prompt of a recording ends in, in the order of their POSTs. "succeeded", "failed" and "cancelled" are the
# word of its own history. The others have none in the recording:
OVER = "over"  # the socket said that the run was over, and the recorder did not ask, or asked too early
QUEUED = "queued"  # never heard of again: the recorder cleared the queue and did not look
REMOVED = "removed"  # deleted while it waited: in neither queue nor history
REJECTED = "rejected"  # the POST was refused
LISTED = "cancelled, says /api/jobs"  # the recorder asked that list instead

ENDS: dict[str, list[str] | dict[str, list[str]]] = {
    "batch_two_outputs": {"v0.3.64": ["succeeded"], "v0.33.0": [OVER]},  # asked too early in v0.33.0
    "execution_error": ["failed"],
    "expansion_loop": ["succeeded"],
    "fully_cached": [OVER, "succeeded"],
    "http_survey": [],
    "interrupt_other_id": ["succeeded"],
    "interrupted": ["cancelled"],
    "invalid_prompts": {
        "v0.3.64": [REJECTED] * 11 + [OVER],
        "v0.33.0": [REJECTED] * 12,
    },  # an id that is no UUID
    "job_cancel_api": {"v0.3.64": [OVER, QUEUED], "v0.33.0": [LISTED, REMOVED]},  # v0.3.64 has no such routes
    "lazy_and_blocked": ["succeeded"],
    "no_client_id": ["succeeded"],  # it was only broadcast, but its history was asked
    "other_client_watches": [OVER],
    "parallel_async_nodes": {"v0.3.64": [OVER], "v0.33.0": ["succeeded"]},  # failed too early to be asked
    "partly_invalid": [OVER],
    "pending_deleted": [OVER, REMOVED],
    "preview_off_per_prompt": [OVER],
    "reconnect_after_finish": ["succeeded"],
    "reconnect_mid_run": ["succeeded"],
    "save_image_websocket": ["succeeded"],
    "save_image_websocket_noflags": ["succeeded"],
    "text_and_animation": {"v0.3.64": [OVER], "v0.33.0": ["succeeded"]},  # asked too early in v0.3.64
    "two_queued": ["succeeded", "succeeded"],
    "two_stage_advanced": ["succeeded"],
    "txt2img_flags": ["succeeded"],
    "txt2img_noflags": [OVER],
    "upload_and_img2img": ["succeeded"],
}


def replayed(trace: Trace) -> Replay:
    return _replayed(trace.version, trace.name)


@cache
def _replayed(version: str, name: str) -> Replay:
    return replay(read(version, name))


def expected(trace: Trace) -> list[str]:
    ends = ENDS[trace.name]
    return ends if isinstance(ends, list) else ends[trace.version]


def end_of(run: Run) -> str:
    """What a prompt ended in, in the words of the table."""
    if run.status == "running" and run.finishing:
        return OVER
    if run.failure is not None and run.failure.kind == "rejected":
        return REJECTED
    if run.status == "cancelled" and run.outcome is None:
        return REMOVED
    return run.status


# --- How it ends --------------------------------------------------------------------------------------------


def test_the_table_has_every_recording() -> None:
    assert len(TRACES) == 52
    assert {trace.name for trace in TRACES} == set(ENDS)


@each_trace
def test_every_prompt_ends_as_the_table_says(trace: Trace) -> None:
    ends = ["cancelled" if end == LISTED else end for end in expected(trace)]
    assert [end_of(run) for run in replayed(trace).runs] == ends


@each_trace
def test_the_table_says_what_the_history_says(trace: Trace) -> None:
    said = {
        "execution_success": "succeeded",
        "execution_error": "failed",
        "execution_interrupted": "cancelled",
    }
    history = {
        prompt_id: said[entry["status"]["messages"][-1][0]]
        for reply in trace.replies("GET /history")
        for prompt_id, entry in reply.response.items()
    }
    own = {"succeeded", "failed", "cancelled"}
    for prompt_id, end in zip(replayed(trace).prompts, expected(trace), strict=True):
        assert history.get(prompt_id) == (end if end in own else None)


@each_trace
def test_those_that_are_over_were_told_so_by_the_socket(trace: Trace) -> None:
    terminal = {"execution_success", "execution_error", "execution_interrupted"}
    told = {
        data["data"]["prompt_id"]
        for data in raw_json(trace)
        if data["type"] in terminal and data["data"]["exception_type"] != "ExecutionBlocked"
    }
    for prompt_id, end in zip(replayed(trace).prompts, expected(trace), strict=True):
        if end == OVER:
            assert prompt_id in told
        if end in (QUEUED, REMOVED, REJECTED):
            assert prompt_id not in told


@each_version
def test_the_sentences_of_the_ends(version: str) -> None:
    (failed,) = replayed(read(version, "execution_error")).runs
    assert failed.failure is not None
    assert failed.failure.title == "TestSyncError failed: Intentional sync execution error for testing"
    assert failed.nodes["30"].state == "failed"
    (stopped,) = replayed(read(version, "interrupted")).runs
    assert stopped.cause == f"interrupted at step {last_step(read(version, 'interrupted'), '3')} of 200"
    (blocked,) = replayed(read(version, "lazy_and_blocked")).runs
    assert blocked.warnings == ("Execution Blocked: Blocked Execution",)
    (partly,) = replayed(read(version, "partly_invalid")).runs
    assert partly.warnings == (
        "Left out, as SaveImage (node 21), input 'images': it is required and missing",
    )


@each_version
def test_a_cached_run_says_so(version: str) -> None:
    first, second = replayed(read(version, "fully_cached")).prompts.values()
    assert second.record.snapshot().note == "cached: nothing had to be computed"
    assert str(second.record.snapshot()) == "succeeded (cached: nothing had to be computed)"
    assert not first.run.all_cached


# --- What is shown on the way -------------------------------------------------------------------------------


@each_trace
def test_progress_never_falls_and_is_1_only_after_success(trace: Trace) -> None:
    last: dict[str, float] = {}
    for told in replayed(trace).told:
        snapshot = told.snapshot
        assert last.get(told.prompt.id, 0.0) <= snapshot.progress
        last[told.prompt.id] = snapshot.progress
        assert (snapshot.progress == 1) == (snapshot.status == "succeeded")
        assert snapshot.progress <= 1


@each_trace
def test_a_run_that_succeeds_comes_near_its_end_before_it(trace: Trace) -> None:
    """Of all that was planned, that is: what a rejected part would have cost never comes."""
    before_end: dict[str, float] = {}
    for told in replayed(trace).told:
        if told.snapshot.status == "running":
            before_end[told.prompt.id] = told.snapshot.progress
    for prompt_id, end in zip(replayed(trace).prompts, expected(trace), strict=True):
        watched = trace.name not in ("reconnect_after_finish", "lazy_and_blocked")
        if end == "succeeded" and watched:
            assert before_end[prompt_id] > 0.9


@each_trace
def test_every_state_is_strict_json(trace: Trace) -> None:
    for prompt in replayed(trace).prompts.values():
        json.dumps(plan_view(prompt.record.plan, "127.0.0.1:8188"), allow_nan=False)
    for told in replayed(trace).told:
        text = json.dumps(told.snapshot.state(), allow_nan=False)
        assert json.loads(text)["status"] == told.run.status


@each_trace
def test_every_preview_is_shown_but_of_finished_nodes(trace: Trace) -> None:
    shown = [told.event for told in replayed(trace).told if isinstance(told.event, ev.Preview)]
    frames = list(recorded_frames(trace))
    assert [preview.image for preview in shown] == [frame.image for frame in frames if not frame.is_result]
    assert replayed(trace).output_frames == [frame.image for frame in frames if frame.is_result]
    assert not any(frame.node_is_over for frame in frames)  # no recording has a late one: see the next test


@each_trace
def test_previews_say_the_step_that_the_bars_said(trace: Trace) -> None:
    shown = [told.event for told in replayed(trace).told if isinstance(told.event, ev.Preview)]
    frames = [frame for frame in recorded_frames(trace) if not frame.is_result]
    for preview, frame in zip(shown, frames, strict=True):
        assert (preview.node_id, preview.step, preview.of) == (frame.node_id, frame.step, frame.of)


@each_trace
def test_a_preview_that_comes_late_is_dropped(trace: Trace) -> None:
    """Each recorded frame comes once more when its node has finished, and when the run is over."""
    late = Replay(trace)
    lines = [late_line for line in trace for late_line in with_late_frames(trace, line)]
    shown = [told for told in late.play(lines).told if isinstance(told.event, ev.Preview)]
    assert len(shown) == sum(not frame.is_result for frame in recorded_frames(trace))
    # Where nobody heard of an end, and in a run without previews, there is nothing to repeat.
    unheard = trace.name in ("no_client_id", "reconnect_after_finish") or not shown
    assert (len(lines) > len(trace.lines)) == (not unheard)


@each_trace
def test_nodes_are_done_when_the_server_said_so(trace: Trace) -> None:
    """The last full picture of the recording, against the nodes of the run."""
    for prompt_id, run in zip(replayed(trace).prompts, replayed(trace).runs, strict=True):
        finished, running = last_picture(trace, prompt_id)
        for node_id in finished:
            assert run.nodes[node_id].state in ("done", "cached")
        for node_id in running - finished:
            after = {"succeeded": "done", "failed": "failed"}.get(run.status, "running")
            assert run.nodes[node_id].state == after


def test_the_nodes_of_an_expansion_are_shown_at_the_node_that_expanded() -> None:
    told = replayed(read("v0.33.0", "expansion_loop")).told
    children = [t for t in told if isinstance(t.event, ev.NodeStarted) and "." in t.event.node_id]
    assert len(children) > 1
    for child in children:
        assert child.snapshot.node == "40"
        assert child.snapshot.label == "TestSamplingInExpansion"


@each_version
def test_a_watched_run_has_a_speed_and_a_time_left(version: str) -> None:
    """These were recorded on a busy CPU, where steps come in bursts; the low end holds all the same."""
    trace = read(version, "interrupt_other_id")
    ended_at = next(line.t for line in trace.of(WsIn) if "execution_success" in str(line.raw[:60]))
    moving = [told for told in replayed(trace).told if told.snapshot.left is not None]
    assert len(moving) > 20
    for told in moving:
        assert told.snapshot.left is not None
        assert told.snapshot.speed is not None
        low, high = told.snapshot.left
        assert 0 <= low <= high
        assert low <= ended_at - told.line.t
    assert all(
        told.snapshot.left is None for told in replayed(trace).told if told.snapshot.status != "running"
    )


# --- Mine is mine -------------------------------------------------------------------------------------------


@each_trace
def test_whoever_posted_nothing_is_told_nothing(trace: Trace) -> None:
    router = Router((), lambda _prompt, _node: True)
    assert [owner for line in trace.of(WsIn) if (owner := router.owner(m.parse(line.raw))) is not None] == []


@each_trace
def test_messages_of_others_change_nothing(trace: Trace) -> None:
    """Every recorded message reaches a client whose own prompt, of the same nodes, waits in the queue."""
    mine = Replay(read(trace.version, "txt2img_noflags"))
    start = [line for line in mine.trace if isinstance(line, WsOpen | Http)]
    mine.play(start)
    before = mine.runs
    assert before[0].status == "queued"
    mine.play([replace(line, who="client") for line in trace.of(WsIn) if trace.name != "txt2img_noflags"])
    assert all(now is then for now, then in zip(mine.runs, before, strict=True))


@each_trace
def test_two_prompts_of_a_client_never_mix(trace: Trace) -> None:
    for told in replayed(trace).told:
        if isinstance(told.line, WsIn):
            assert prompt_of(told.line) in (None, told.prompt.id)


# --- Any loss, doubling and delay ---------------------------------------------------------------------------

WITH_HISTORY = [trace for trace in TRACES if set(expected(trace)) & {"succeeded", "failed", "cancelled"}]


@settings(max_examples=60)
@given(trace=st.sampled_from(WITH_HISTORY), chance=st.randoms(use_true_random=False))
def test_loss_doubling_and_delay_end_where_history_says(trace: Trace, chance: Any) -> None:
    """The socket may say anything: the replies of the server decide."""
    places = [
        (index + chance.choice((0, 0, 0, chance.uniform(0, 40))), line)
        for index, line in enumerate(trace)
        for _ in range(chance.choice((0, 1, 1, 1, 2)) if isinstance(line, WsIn) else 1)
        if isinstance(line, WsIn | WsOpen | Http)
    ]
    opened = [line for line in trace if isinstance(line, WsOpen)]  # a socket is open before it says anything
    replies = [(index, line) for index, line in places if isinstance(line, Http)]
    heard = [(index, line) for index, line in places if isinstance(line, WsIn)]
    lines = [line for _, line in sorted([*heard, *replies], key=lambda place: place[0])]
    faulty = Replay(trace).play([*opened, *lines])
    for run, calm, end in zip(faulty.runs, replayed(trace).runs, expected(trace), strict=True):
        if end in ("succeeded", "failed", "cancelled", REJECTED):
            assert (run.status, run.failure) == (calm.status, calm.failure)
    no_lies(faulty)


def no_lies(played: Replay) -> None:
    last: dict[str, float] = {}
    for told in played.told:
        assert last.get(told.prompt.id, 0.0) <= told.snapshot.progress
        last[told.prompt.id] = told.snapshot.progress
        assert (told.snapshot.progress == 1) == (told.snapshot.status == "succeeded")
        if isinstance(told.event, ev.Preview) and told.event.node_id in told.run.nodes:
            assert told.run.nodes[told.event.node_id].state == "running"


# --- The recording as plain JSON ----------------------------------------------------------------------------


def raw_json(trace: Trace) -> list[dict[str, Any]]:
    texts = [json.loads(line.raw) for line in trace.of(WsIn) if isinstance(line.raw, str)]
    return [{"type": t["type"], "data": {"exception_type": "", **t["data"]}} for t in texts]


def prompt_of(line: WsIn) -> str | None:
    if isinstance(line.raw, str):
        return json.loads(line.raw)["data"].get("prompt_id")
    if line.raw[:4] == b"\0\0\0\x01":
        return None
    length = int.from_bytes(line.raw[4:8], "big")
    return json.loads(line.raw[8 : 8 + length])["prompt_id"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A picture that came, and what the server had said of its node by then."""

    image: bytes
    node_id: str
    step: int
    of: int
    node_is_over: bool
    is_result: bool


def recorded_frames(trace: Trace) -> Iterator[Recorded]:
    classes = {
        node_id: node["class_type"]
        for post in posts(trace)
        if post.status == 200
        for node_id, node in post.request["prompt"].items()
    }
    bars: dict[str, tuple[float, float]] = {}
    over: set[str] = set()
    executing = ""
    for line in trace.of(WsIn):
        if isinstance(line.raw, bytes):
            node_id, image = executing, line.raw[8:]
            if line.raw[:4] == b"\0\0\0\x04":
                length = int.from_bytes(line.raw[4:8], "big")
                node_id = json.loads(line.raw[8 : 8 + length])["node_id"]
                image = line.raw[8 + length :]
            step, of = bars.get(node_id, (0, 0))
            is_result = classes.get(node_id) == "SaveImageWebsocket" and image.startswith(b"\x89PNG")
            yield Recorded(image, node_id, *((step, of) if of > 1 else (0, 0)), node_id in over, is_result)
            continue
        message = json.loads(line.raw)
        data = message["data"]
        match message["type"]:
            case "execution_start":
                bars, over, executing = {}, set(), ""
            case "executing":
                executing = data["node"] or ""
            case "progress":
                bars[data["node"]] = (data["value"], data["max"])
            case "progress_state":
                for node_id, node in data["nodes"].items():
                    bars[node_id] = (node["value"], node["max"])
                    over |= {node_id} if node["state"] == "finished" else set()
                    executing = node_id if node["state"] == "running" else executing
            case "executed":
                over.add(data["node"])
            case _:
                pass


def with_late_frames(trace: Trace, line: TraceLine) -> list[TraceLine]:
    """The line, and after one that ends a node or the run, the previews that it makes stale, once more."""
    if not isinstance(line, WsIn) or not isinstance(line.raw, str):
        return [line]
    message = m.parse(line.raw)
    ended = isinstance(message, m.ExecutionSuccess | m.ExecutionInterrupted)
    ended = ended or (isinstance(message, m.ExecutionError) and not message.blocked)
    over: set[str] = set()
    if isinstance(message, m.ProgressState):
        over = {node.node_id for node in message.nodes if node.state == "finished"}
    late: list[TraceLine] = []
    for before in trace.of(WsIn):
        if before.t > line.t or isinstance(before.raw, str):
            continue
        frame = m.parse(before.raw)
        if getattr(frame, "media_type", "") == "image/png":
            continue  # a result of SaveImageWebsocket is no preview
        if isinstance(frame, m.PreviewImage):
            stale = ended
        else:
            same = getattr(frame, "prompt_id", "") == getattr(message, "prompt_id", None)
            stale = same and (ended or getattr(frame, "node_id", "") in over)
        late += [replace(before, t=line.t)] if stale else []
    return [line, *late[-3:]]


def last_step(trace: Trace, node_id: str) -> int:
    return [
        d["data"]["value"]
        for d in raw_json(trace)
        if d["type"] == "progress" and d["data"]["node"] == node_id
    ][-1]


def last_picture(trace: Trace, prompt_id: str) -> tuple[set[str], set[str]]:
    """The nodes that were finished, and those that were running, in the last full picture of a prompt."""
    pictures = [
        message["data"]["nodes"]
        for message in raw_json(trace)
        if message["type"] == "progress_state" and message["data"]["prompt_id"] == prompt_id
    ]
    nodes = pictures[-1] if pictures else {}
    finished = {node_id for node_id, node in nodes.items() if node["state"] == "finished"}
    return finished, set(nodes) - finished


def test_told_is_what_happened() -> None:
    """The harness itself: without lines nothing is told, and every event names the line that caused it."""
    trace = read("v0.33.0", "txt2img_flags")
    assert Replay(trace).play([]).told == []
    assert all(isinstance(told, Told) and told.line in trace.lines for told in replayed(trace).told)


# --- Records are folds ----------------------------------------------------------------------------------------


@each_trace
def test_the_same_events_give_the_same_record_again(trace: Trace) -> None:
    """Through the wire form, as a recorded run or another host does it, with every preview kept."""
    live = Replay(trace)
    live._register()
    times: dict[str, list[tuple[float, dict[str, Any]]]] = {key: [] for key in live.prompts}
    blobs: dict[str, Any] = {}
    for key, prompt in live.prompts.items():
        Recorder(prompt.record)

        def keep(event: ev.Event, key: str = key, prompt: Any = prompt) -> None:
            blobs.update(ev.blobs_of(event))
            times[key].append((prompt.record.at, json.loads(json.dumps(ev.to_dict(event)))))

        prompt.record.listen(keep)
    live.play()
    assert any(times.values()) or not times
    for key, prompt in live.prompts.items():
        now = [0.0]
        again = Record(prompt.record.request, clock=lambda now=now: now[0])
        for at, form in times[key]:
            now[0] = at
            event = ev.from_dict(form, lambda digest, _: stored(blobs[digest]))
            assert again.feed(event) is not None, form
        assert again.run == prompt.run
        assert again.seq == prompt.record.seq
        assert [kept.event.blob.data for kept in again.steps] == [
            k.event.blob.data for k in prompt.record.steps
        ]
        assert [kept.at for kept in again.steps] == [kept.at for kept in prompt.record.steps]
        assert list(again.results) == list(prompt.record.results)


def stored(data: Any) -> Blob:
    return data if isinstance(data, Blob) else get_store().put(data, "steps")
