"""Frames of the websocket as messages. The frames quoted here are as real servers sent them."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import time
import types
import typing
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfy_nb.wire import messages as m
from comfy_nb.wire.messages import parse
from tests.traces.reader import WsIn, all_traces

P = "0447b7af-958e-4c14-8d75-8144f041cd8b"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
METADATA = {
    "node_id": "3",
    "prompt_id": P,
    "display_node_id": "3",
    "parent_node_id": None,
    "real_node_id": "3",
}


def frame(kind: str, data: object) -> str:
    return json.dumps({"type": kind, "data": data})


def preview(metadata: bytes, image: bytes = JPEG) -> bytes:
    return b"\0\0\0\x04" + len(metadata).to_bytes(4, "big") + metadata + image


# --- Each message, as recorded ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            '{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 1}}, "sid": "52e3"}}',
            m.Status(1, "52e3"),
        ),
        ('{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}}}', m.Status(0, None)),
        (
            '{"type": "feature_flags", "data": {"supports_preview_metadata": true, "max_upload_size": 104}}',
            m.FeatureFlags({"supports_preview_metadata": True, "max_upload_size": 104}),
        ),
        (
            frame("execution_start", {"prompt_id": P, "timestamp": 1795168777921}),
            m.ExecutionStart(P, 1795168777921),
        ),
        (
            frame("execution_cached", {"nodes": ["4", "5"], "prompt_id": P, "timestamp": 1795168777922}),
            m.ExecutionCached(P, ("4", "5"), 1795168777922),
        ),
        (
            frame("executing", {"node": "40.0.0.3", "display_node": "40", "prompt_id": P}),
            m.Executing("40.0.0.3", "40", P),
        ),
        (frame("executing", {"node": None, "prompt_id": P}), m.Executing(None, None, P)),
        (frame("executing", {"node": "3"}), m.Executing("3", None, None)),
        (
            frame("progress", {"value": 1, "max": 6, "prompt_id": P, "node": "3"}),
            m.Progress(1, 6, "3", P),
        ),
        (
            frame("executed", {"node": "9", "display_node": "9", "output": {"text": ["a"]}, "prompt_id": P}),
            m.Executed("9", "9", {"text": ["a"]}, P),
        ),
        (
            frame("executed", {"node": "9", "display_node": "9", "output": None, "prompt_id": P}),
            m.Executed("9", "9", {}, P),
        ),
        (
            frame("execution_success", {"prompt_id": P, "timestamp": 1795169025166}),
            m.ExecutionSuccess(P, 1795169025166),
        ),
        (
            frame(
                "execution_interrupted",
                {"prompt_id": P, "node_id": "3", "node_type": "KSampler", "executed": ["4"], "timestamp": 5},
            ),
            m.ExecutionInterrupted(P, "3", "KSampler", ("4",), 5),
        ),
        (b"\0\0\0\x01\0\0\0\x01" + JPEG, m.PreviewImage("image/jpeg", JPEG)),
        (b"\0\0\0\x01\0\0\0\x02" + PNG, m.PreviewImage("image/png", PNG)),
        (bytes.fromhex("00000003 00000001 31 68C3A96C6C6F"), m.ProgressText("1", "héllo", None)),
        (
            preview(json.dumps({**METADATA, "image_type": "image/jpeg"}).encode()),
            m.PreviewWithMetadata(P, "3", "3", None, "3", "image/jpeg", JPEG),
        ),
    ],
)
def test_recorded_frames(raw: str | bytes, message: m.Message) -> None:
    assert parse(raw) == message


def test_progress_state_of_an_expanded_node() -> None:
    lines = {
        "40": {"value": 0.0, "max": 1.0, "state": "running", "node_id": "40", "prompt_id": P}
        | {"display_node_id": "40", "parent_node_id": None, "real_node_id": "40"},
        "40.0.0.3": {"value": 1, "max": 4, "state": "finished", "node_id": "40.0.0.3", "prompt_id": P}
        | {"display_node_id": "40", "parent_node_id": "40", "real_node_id": "40"},
    }
    assert parse(frame("progress_state", {"prompt_id": P, "nodes": lines})) == m.ProgressState(
        P,
        (
            m.NodeProgress("40", 0.0, 1.0, "running", "40", None, "40"),
            m.NodeProgress("40.0.0.3", 1, 4, "finished", "40", "40", "40"),
        ),
    )


def error(**changed: object) -> dict[str, object]:
    return {
        "prompt_id": P,
        "node_id": "30",
        "node_type": "TestSyncError",
        "executed": ["3", "5"],
        "exception_message": "Intentional sync execution error for testing\n",
        "exception_type": "RuntimeError",
        "traceback": ["  one\n", "  two\n"],
        "current_inputs": {"value": ["tensor(1)"]},
        "current_outputs": ["5", "3"],
        "timestamp": 1795168827361,
        **changed,
    }


def test_execution_error() -> None:
    message = parse(frame("execution_error", error()))
    assert message == m.ExecutionError(
        prompt_id=P,
        node_id="30",
        node_type="TestSyncError",
        exception_type="RuntimeError",
        exception_message="Intentional sync execution error for testing\n",
        traceback=("  one\n", "  two\n"),
        executed=("3", "5"),
        timestamp=1795168827361,
        current_inputs={"value": ["tensor(1)"]},
        current_outputs=("5", "3"),
    )
    assert not message.blocked


def test_a_blocked_branch_is_no_end() -> None:
    blocked = error(exception_type="ExecutionBlocked", traceback=[], current_inputs=[], current_outputs=[])
    del blocked["timestamp"]
    message = parse(frame("execution_error", blocked))
    assert isinstance(message, m.ExecutionError)
    assert message.blocked
    assert message.current_inputs == {}
    assert message.timestamp is None


# --- What is missing, odd or cut short --------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (frame("execution_start", {"prompt_id": P}), m.ExecutionStart(P, None)),
        (frame("execution_cached", {"prompt_id": P, "nodes": None}), m.ExecutionCached(P, (), None)),
        (frame("status", {}), m.Status(None, None)),
        (frame("status", {"status": {"exec_info": {"queue_remaining": "9"}}}), m.Status(None, None)),
        (frame("progress", {"value": "half", "max": None, "node": 3}), m.Progress(0.0, 0.0, "3", None)),
        (
            '{"type": "progress", "data": {"value": NaN, "max": Infinity, "node": "3"}}',
            m.Progress(0, 0, "3", None),
        ),
        (frame("executed", {"node": "9", "prompt_id": P, "output": []}), m.Executed("9", "9", {}, P)),
        (
            '{"type": "executed", "data": {"node": "9", "prompt_id": "p", "output": {"x": [NaN, Infinity]}}}',
            m.Executed("9", "9", {"x": [None, None]}, "p"),
        ),
        (
            frame("execution_error", {"prompt_id": P, "node_id": None, "traceback": "one line"}),
            m.ExecutionError(P, "", "", "", "", ("one line",), (), None, {}),
        ),
        (
            frame(
                "progress_state", {"prompt_id": P, "nodes": {"1": None, "2": {"value": 1}, "x" * 1001: {}}}
            ),
            m.ProgressState(P, (m.NodeProgress("2", 1, 0.0, "running", "2", None, "2"),)),
        ),
        (frame("progress_state", {"prompt_id": P, "nodes": [1]}), m.ProgressState(P, ())),
        (
            preview(b'{"node_id": 3, "prompt_id": "p"}'),
            m.PreviewWithMetadata("p", "3", "3", None, "3", "image/jpeg", JPEG),
        ),
        (b"\0\0\0\x03\0\0\0\x00\xff", m.ProgressText("", "\ufffd", None)),
    ],
)
def test_what_is_odd_is_made_sane(raw: str | bytes, message: m.Message) -> None:
    assert parse(raw) == message


@pytest.mark.parametrize(
    ("raw", "kind", "reason"),
    [
        ("", "text", "Not JSON: expecting value at line 1, column 1."),
        ("[" * 5_000, "text", "Not usable as JSON: nested deeper than 100 levels."),
        ("[]", "text", "not an object with a type"),
        ('{"type": 1, "data": {}}', "text", "not an object with a type"),
        (frame("crystools.monitor", {"cpu": 3}), "crystools.monitor", "no such type is known"),
        (frame("x" * 1_000, {}), "x" * 199 + "…", "no such type is known"),
        (frame("executing", None), "executing", "data is no object"),
        ('{"type": "executing"}', "executing", "data is no object"),
        (frame("execution_success", {"timestamp": 1}), "execution_success", "prompt_id is missing or no id"),
        (frame("executed", {"prompt_id": P}), "executed", "node is missing or no id"),
        (frame("progress", {"prompt_id": [P]}), "progress", "prompt_id is missing or no id"),
        (b"", "binary", "only 0 bytes long"),
        (b"\0\0\0\x01\0\0\0", "binary", "only 7 bytes long"),
        (b"\0\0\0\x02\0\0\0\x01" + JPEG, "binary 2", "no such kind is known"),
        (b"\0\0\0\x01\0\0\0\x01", "binary 1", "the payload is no JPEG, PNG, WebP or GIF"),
        (b"\0\0\0\x01\0\0\0\x01<svg onload=x>", "binary 1", "the payload is no JPEG, PNG, WebP or GIF"),
        (b"\0\0\0\x03\0\0\0\x09node", "binary 3", "an id is truncated or too long"),
        (b"\0\0\0\x03\0\0\x10\0" + b"n" * 0x1000, "binary 3", "an id is truncated or too long"),
        (b"\0\0\0\x03\0\0\0\x01\xfftext", "binary 3", "an id is not UTF-8"),
        (b"\0\0\0\x04\xff\xff\xff\xff{}" + JPEG, "binary 4", "the metadata is truncated or too long"),
        (preview(b" " * (1 << 20) + b" {}"), "binary 4", "the metadata is truncated or too long"),
        (
            preview(b"{"),
            "binary 4",
            "the metadata is unreadable: Not JSON: expecting property name",
        ),
        (preview(b"[]"), "binary 4", "node_id is missing or no id"),
        (preview(b'{"node_id": "3"}'), "binary 4", "prompt_id is missing or no id"),
        (
            preview(b'{"node_id": "3", "prompt_id": "p"}', b"RIFF....WAVE"),
            "binary 4",
            "the payload is no JPEG",
        ),
    ],
)
def test_what_makes_no_sense_is_unknown(raw: str | bytes, kind: str, reason: str) -> None:
    message = parse(raw)
    assert isinstance(message, m.Unknown)
    assert message.kind == kind
    assert message.reason.startswith(reason)


@pytest.mark.parametrize("node", [False, 0.5, [], {}, "x" * 1_001])
def test_an_odd_node_does_not_end_a_prompt(node: object) -> None:
    assert isinstance(parse(frame("executing", {"node": node, "prompt_id": P})), m.Unknown)
    assert isinstance(parse(frame("executing", {"prompt_id": P})), m.Unknown)


def test_progress_text_with_prompt_id_only_when_told() -> None:
    long = b"\0\0\0\x03\0\0\0\x02ab\0\0\0\x011hello"
    assert parse(long, text_has_prompt_id=True) == m.ProgressText("1", "hello", "ab")
    assert parse(long) == m.ProgressText("ab", "\0\0\0\x011hello", None)
    short = b"\0\0\0\x03\0\0\0\x011hello"
    assert isinstance(parse(short, text_has_prompt_id=True), m.Unknown)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (JPEG, "image/jpeg"),
        (PNG, "image/png"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"GIF89a\x01\0", "image/gif"),
    ],
)
def test_the_media_type_is_judged_by_the_bytes(head: bytes, media_type: str) -> None:
    told_otherwise = json.dumps({**METADATA, "image_type": "text/html"}).encode()
    named = parse(preview(told_otherwise, head))
    bare = parse(b"\0\0\0\x01\0\0\0\x07" + head)
    assert isinstance(named, m.PreviewWithMetadata)
    assert isinstance(bare, m.PreviewImage)
    assert (named.media_type, named.image) == (bare.media_type, bare.image) == (media_type, head)


# --- Anything at all --------------------------------------------------------------------------------


def conforms(value: Any, declared: Any) -> bool:
    """Whether a value is of its declared type, all the way down, and could be sent to a browser."""
    origin, args = get_origin(declared), get_args(declared)
    if origin in (typing.Union, types.UnionType):
        return any(conforms(value, each) for each in args)
    if origin is tuple:
        return isinstance(value, tuple) and all(conforms(item, args[0]) for item in value)
    if origin in (list, dict):
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        return isinstance(value, origin)
    if declared is float:
        return type(value) in (int, float) and math.isfinite(value)
    if type(value) is not declared:
        return False
    if declared is str:
        value.encode()
    if dataclasses.is_dataclass(declared):
        return all(conforms(getattr(value, name), hint) for name, hint in type_hints(declared).items())
    return True


type_hints = functools.cache(typing.get_type_hints)


def assert_sane(message: m.Message) -> None:
    assert conforms(message, m.Message)
    if isinstance(message, m.Unknown):
        assert len(message.kind) <= 200
        assert len(message.reason) <= 200


def test_the_check_itself_can_fail() -> None:
    three: Any = 3
    assert not conforms(m.Executing(three, None, None), m.Message)
    assert not conforms(m.ExecutionCached("p", (three,), None), m.Message)
    assert not conforms(m.Progress(math.nan, 1, None, None), m.Message)


FRAMES = sorted(
    {line.raw for trace in all_traces() for line in trace.of(WsIn) if isinstance(line.raw, bytes)}
)
TEXTS = sorted({line.raw for trace in all_traces() for line in trace.of(WsIn) if isinstance(line.raw, str)})
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=8,
)


@given(st.text() | st.binary(), st.booleans())
def test_any_frame_is_a_message(raw: str | bytes, flag: bool) -> None:
    assert_sane(parse(raw, text_has_prompt_id=flag))


@given(st.sampled_from([1, 2, 3, 4, 5]), st.binary(), st.booleans())
def test_any_binary_payload_is_a_message(kind: int, payload: bytes, flag: bool) -> None:
    assert_sane(parse(kind.to_bytes(4, "big") + payload, text_has_prompt_id=flag))


@given(st.sampled_from(FRAMES), st.data())
def test_mutations_of_recorded_previews(raw: bytes, data: st.DataObject) -> None:
    head = bytearray(raw[:300])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(len(head) - 1, 0)))
        head[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    assert_sane(parse(bytes(head) + raw[300 : data.draw(st.integers(300, 400))]))


@given(st.sampled_from(TEXTS), st.data())
def test_mutations_of_recorded_texts(raw: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(raw)))
    cut = raw[:at] + data.draw(st.text(max_size=3)) + raw[at + data.draw(st.integers(0, 8)) :]
    assert_sane(parse(cut))


@given(st.sampled_from(TEXTS), ODD, st.data())
def test_recorded_texts_with_one_value_replaced(raw: str, value: object, data: st.DataObject) -> None:
    message = json.loads(raw)
    parent: Any = message
    key = "data"
    while isinstance(parent[key], dict) and parent[key] and data.draw(st.booleans()):
        parent, key = parent[key], data.draw(st.sampled_from(sorted(parent[key])))
    parent[key] = value
    assert_sane(parse(json.dumps(message)))


@pytest.mark.parametrize(
    "raw",
    [
        frame(
            "progress_state",
            {"prompt_id": P, "nodes": {str(i): {"value": i, "max": i} for i in range(50_000)}},
        ),
        frame("execution_cached", {"prompt_id": P, "nodes": ["1"] * 300_000}),
        frame("executed", {"node": "1", "prompt_id": P, "output": {"text": ["\ud800" * 500_000]}}),
        frame("x" * 3_000_000, {}),
        "[" * 3_000_000,
        b"\0\0\0\x03\0\0\0\x011" + b"\xff" * 3_000_000,
        b"\0\0\0\x04\0\x0f\xff\xff" + b"[" * 3_000_000,
        b"\0\0\0\x01\0\0\0\x01" + JPEG * 300_000,
    ],
    ids=["nodes", "cached", "surrogates", "kind", "depth", "text", "metadata", "picture"],
)
def test_megabytes_take_no_longer_than_their_length(raw: str | bytes) -> None:
    began = time.process_time()
    assert_sane(parse(raw))
    assert time.process_time() - began < 3
