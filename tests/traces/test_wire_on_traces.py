"""All recorded traffic through the parsers: nothing is unknown or lost, and it packs to the same bytes."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from comfy_nb.wire import messages as m
from comfy_nb.wire.messages import parse
from comfy_nb.wire.packing import pack
from comfy_nb.wire.records import (
    PromptAccepted,
    PromptRejected,
    parse_history,
    parse_output,
    parse_prompt_reply,
    parse_queue,
    parse_system_stats,
)
from tests.traces.reader import VERSIONS, Http, Trace, WsIn, all_traces, read

TRACES = all_traces()
each_trace = pytest.mark.parametrize("trace", TRACES, ids=str)
each_version = pytest.mark.parametrize("version", VERSIONS)


def test_all_scenarios_are_here_in_both_versions() -> None:
    names = {version: {trace.name for trace in TRACES if trace.version == version} for version in VERSIONS}
    assert names[VERSIONS[0]] == names[VERSIONS[1]]
    assert len(TRACES) == 52


@each_trace
def test_every_frame_is_known_and_packs_to_the_bytes_that_came(trace: Trace) -> None:
    for line in trace.of(WsIn):
        message = parse(line.raw)
        assert not isinstance(message, m.Unknown)
        assert pack(message) == line.raw


def test_every_kind_of_message_was_recorded_but_progress_text() -> None:
    seen = Counter(type(parse(line.raw)) for trace in TRACES for line in trace.of(WsIn))
    assert set(m.Message.__args__) - set(seen) == {m.ProgressText, m.Unknown}
    assert seen[m.PreviewWithMetadata] == 625
    assert seen[m.PreviewImage] == 41


@each_trace
def test_previews_are_the_pictures_that_came_and_name_their_prompt(trace: Trace) -> None:
    for line in trace.of(WsIn):
        message = parse(line.raw)
        if isinstance(message, m.PreviewWithMetadata):
            assert isinstance(line.raw, bytes)
            length = int.from_bytes(line.raw[4:8], "big")
            told = json.loads(line.raw[8 : 8 + length])
            assert message.image == line.raw[8 + length :]
            assert (message.prompt_id, message.node_id, message.media_type) == (
                told["prompt_id"],
                told["node_id"],
                told["image_type"],
            )


@each_trace
def test_every_history_reply(trace: Trace) -> None:
    for reply in trace.replies("GET /history"):
        for prompt_id, recorded in reply.response.items():
            entry = parse_history(reply.response, prompt_id)
            assert entry is not None
            last, data = recorded["status"]["messages"][-1]
            outcomes = {"execution_success": "succeeded", "execution_error": "failed"}
            assert entry.outcome == outcomes.get(last, "cancelled")
            assert entry.ended_at == data["timestamp"]
            assert entry.started_at == recorded["status"]["messages"][0][1]["timestamp"]
            assert list(entry.cached) == recorded["status"]["messages"][1][1]["nodes"]
            assert [output.node_id for output in entry.outputs] == list(recorded["outputs"])
            assert entry.prompt == recorded["prompt"][2]
            assert (entry.error is None) == (last != "execution_error")
            assert (entry.interrupted is None) == (last != "execution_interrupted")


@each_trace
def test_a_prompt_that_has_not_ended_has_no_history(trace: Trace) -> None:
    for reply in trace.replies("GET /history"):
        assert parse_history(reply.response, "00000000-0000-4000-8000-000000000000") is None


@each_trace
def test_history_says_what_the_socket_said(trace: Trace) -> None:
    """The same facts by two ways: each output and error told on the socket is in the history, equal."""
    messages = [parse(line.raw) for line in trace.of(WsIn)]
    for reply in trace.replies("GET /history"):
        for prompt_id in reply.response:
            entry = parse_history(reply.response, prompt_id)
            assert entry is not None
            outputs = {output.node_id for output in entry.outputs}
            for message in messages:
                if getattr(message, "prompt_id", None) != prompt_id:
                    continue
                if isinstance(message, m.Executed):
                    assert message.node in outputs
                if isinstance(message, m.ExecutionError) and not message.blocked:
                    assert message == entry.error
                if isinstance(message, m.ExecutionInterrupted):
                    assert message == entry.interrupted


@each_trace
def test_every_reply_to_a_prompt(trace: Trace) -> None:
    for reply in trace.of(Http):
        if reply.route != "POST /prompt":
            continue
        parsed = parse_prompt_reply(reply.status, reply.response)
        if reply.status == 200:
            assert isinstance(parsed, PromptAccepted)
            assert (parsed.prompt_id, parsed.number) == (
                reply.response["prompt_id"],
                reply.response["number"],
            )
        else:
            assert isinstance(parsed, PromptRejected)
            assert parsed.type == reply.response["error"]["type"]
        assert {error.node_id for error in parsed.node_errors} >= set(reply.response["node_errors"])


@each_version
def test_what_was_wrong_with_the_invalid_prompts(version: str) -> None:
    replies = read(version, "invalid_prompts").of(Http)
    rejections = [
        parse_prompt_reply(reply.status, reply.response) for reply in replies if reply.status == 400
    ]
    told = {
        (error.node_id, error.input_name, error.received, error.allowed)
        for rejection in rejections
        for error in rejection.node_errors
    }
    assert told == {
        ("4", "ckpt_name", '"missing.safetensors"', "tiny.safetensors"),
        ("3", "seed", "", ""),
        ("3", "", "", ""),  # no such class
        ("3", "steps", '"many"', "1 to 10000"),
        ("3", "steps", "0", "1 to 10000"),
        ("3", "model", "CONDITIONING", "MODEL"),
        ("3", "samples", "", "LATENT"),
    }


@each_version
def test_a_prompt_that_was_accepted_in_part(version: str) -> None:
    (posted,) = read(version, "partly_invalid").replies("POST /prompt")
    reply = parse_prompt_reply(posted.status, posted.response)
    assert isinstance(reply, PromptAccepted)
    (error,) = reply.node_errors
    assert (error.node_id, error.class_type, error.input_name) == ("21", "SaveImage", "images")


@each_trace
def test_every_queue_reply(trace: Trace) -> None:
    for reply in trace.replies("GET /queue"):
        queue = parse_queue(reply.response)
        assert [item.prompt_id for item in queue.running] == [
            item[1] for item in reply.response["queue_running"]
        ]
        assert {item.prompt_id for item in queue.pending} == {
            item[1] for item in reply.response["queue_pending"]
        }
        for item, recorded in zip(queue.running, reply.response["queue_running"], strict=True):
            assert item.prompt == recorded[2]
            assert item.extra_data == recorded[3]
            assert list(item.outputs_to_execute) == recorded[4]


@each_version
def test_two_in_the_queue(version: str) -> None:
    trace = read(version, "two_queued")
    first, second = (reply.response["prompt_id"] for reply in trace.replies("POST /prompt"))
    queue = parse_queue(trace.replies("GET /queue")[0].response)
    assert (queue.position(first), queue.position(second), queue.position("other")) == (0, 1, None)


@each_version
def test_system_stats(version: str) -> None:
    (reply,) = read(version, "http_survey").replies("GET /system_stats")
    stats = parse_system_stats(reply.response)
    assert f"v{stats.comfyui_version}" == version
    assert "--preview-method" in stats.argv
    for other in ("GET /features", "GET /queue", "GET /prompt"):
        with pytest.raises(ValueError, match="not a ComfyUI"):
            parse_system_stats(read(version, "http_survey").replies(other)[0].response)


@each_version
def test_texts_and_animations(version: str) -> None:
    messages = [parse(line.raw) for line in read(version, "text_and_animation").of(WsIn)]
    outputs = [
        parse_output(message.node, message.display_node, message.output)
        for message in messages
        if isinstance(message, m.Executed)
    ]
    files = {ref.filename: (ref.kind, ref.media_type) for output in outputs for ref in output.files}
    assert files["anim_00001_.webp"] == ("image", "image/webp")
    assert files["apng_00001_.png"] == ("image", "image/png")
    assert files["v_00001_.mp4"] == ("video", "video/mp4")
    (text,) = (line for output in outputs for line in output.texts)
    assert text.startswith("[[tensor(")


def test_success_may_be_told_before_history_is_written() -> None:
    """One recording caught the gap: the prompt had succeeded, and its history was still empty."""
    trace = read("v0.3.64", "text_and_animation")
    (reply,) = trace.replies("GET /history")
    before = [parse(line.raw) for line in trace.of(WsIn) if line.t < reply.t]
    assert isinstance(before[-1], m.ExecutionSuccess)
    assert parse_history(reply.response, before[-1].prompt_id) is None


@each_version
def test_a_blocked_branch_is_not_in_history(version: str) -> None:
    trace = read(version, "lazy_and_blocked")
    blocked = [parse(line.raw) for line in trace.of(WsIn)]
    assert [message.blocked for message in blocked if isinstance(message, m.ExecutionError)] == [True]
    (reply,) = trace.replies("GET /history")
    (prompt_id,) = reply.response
    entry = parse_history(reply.response, prompt_id)
    assert entry is not None
    assert (entry.outcome, entry.error) == ("succeeded", None)
