"""The queue, a prompt's history, and the system: shapes as real servers send them, and odd ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfy_nb.wire.records import (
    HistoryEntry,
    Queue,
    QueueItem,
    parse_history,
    parse_queue,
    parse_system_stats,
)
from tests.unit.test_wire_messages import ODD

START = ["execution_start", {"prompt_id": "p", "timestamp": 1000}]
CACHED = ["execution_cached", {"nodes": ["4", "5"], "prompt_id": "p", "timestamp": 1001}]
SUCCESS = ["execution_success", {"prompt_id": "p", "timestamp": 2000}]
ERROR = [
    "execution_error",
    {"prompt_id": "p", "node_id": "3", "exception_type": "ValueError", "timestamp": 1500},
]
STOPPED = [
    "execution_interrupted",
    {"prompt_id": "p", "node_id": "3", "node_type": "KSampler", "timestamp": 1400},
]
BLOCKED = ["execution_error", {"prompt_id": "p", "exception_type": "ExecutionBlocked"}]


def item(number: Any, prompt_id: Any) -> list[Any]:
    return [number, prompt_id, {"9": {"class_type": "SaveImage"}}, {"client_id": "c"}, ["9"]]


def history(*messages: Any, status: str = "success", **more: Any) -> HistoryEntry:
    entry = {
        "prompt": item(1, "p"),
        "outputs": {},
        "status": {"status_str": status, "completed": status == "success", "messages": list(messages)},
        "meta": {},
    } | more
    parsed = parse_history({"p": entry}, "p")
    assert parsed is not None
    return parsed


# --- Queue -----------------------------------------------------------------------------------------------


def test_the_waiting_are_sorted_into_the_order_they_run_in() -> None:
    queue = parse_queue(
        {
            "queue_running": [item(1, "a")],
            "queue_pending": [item(5, "e"), item(-2, "front"), item(3, "c"), item(3, "b"), item(2.5, "x")],
        }
    )
    assert [entry.prompt_id for entry in queue.pending] == ["front", "x", "b", "c", "e"]
    assert [queue.position(prompt_id) for prompt_id in ("a", "front", "e", "z")] == [0, 1, 5, None]


def test_a_queue_item() -> None:
    (only,) = parse_queue({"queue_running": [item(1, "a")], "queue_pending": []}).running
    assert only == QueueItem(1, "a", {"9": {"class_type": "SaveImage"}}, {"client_id": "c"}, ("9",))


def test_a_queue_item_in_the_clouds_order_and_with_a_sixth_element() -> None:
    number, prompt_id, prompt, extra, outputs = item(1, "a")
    swapped = [number, prompt_id, prompt, outputs, extra]
    queue = parse_queue({"queue_running": [swapped], "queue_pending": [[*item(1, "a"), {"secret": 1}]]})
    assert queue.running == queue.pending


def test_nobodys_account_is_read_from_queue_or_history() -> None:
    """Servers before 0.3.68 tell everybody the keys of those who wait."""
    number, prompt_id, prompt, extra, outputs = item(1, "p")
    paid = {**extra, "api_key_comfy_org": "k3y", "auth_token_comfy_org": "t0ken"}
    told = [number, prompt_id, prompt, paid, outputs]
    (only,) = parse_queue({"queue_running": [], "queue_pending": [told]}).pending
    assert only.extra_data == history(prompt=told).extra_data == {"client_id": "c"}


def test_odd_queue_items_are_left_out() -> None:
    odd = [None, [], [1], [1, None], "text", [1, ["a"]]]
    queue = parse_queue({"queue_running": odd, "queue_pending": [*odd, ["one", 7]]})
    assert queue == Queue((), (QueueItem(0.0, "7", {}, {}, ()),))


@pytest.mark.parametrize(
    "data", [None, [], {}, {"queue_running": []}, {"queue_running": [], "queue_pending": {}}]
)
def test_what_is_no_queue(data: Any) -> None:
    with pytest.raises(ValueError, match=r"^The server's answer to GET /queue lacks the lists"):
        parse_queue(data)


# --- History ---------------------------------------------------------------------------------------------


def test_success() -> None:
    entry = history(START, CACHED, SUCCESS)
    assert (entry.prompt_id, entry.outcome, entry.cached) == ("p", "succeeded", ("4", "5"))
    assert (entry.started_at, entry.ended_at) == (1000, 2000)
    assert (entry.error, entry.interrupted) == (None, None)
    assert (entry.prompt, entry.extra_data) == ({"9": {"class_type": "SaveImage"}}, {"client_id": "c"})


def test_failure() -> None:
    entry = history(START, CACHED, ERROR, status="error")
    assert (entry.outcome, entry.ended_at, entry.interrupted) == ("failed", 1500, None)
    assert entry.error is not None
    assert (entry.error.node_id, entry.error.exception_type) == ("3", "ValueError")


def test_an_interrupted_prompt_is_cancelled_though_its_status_says_error() -> None:
    entry = history(START, CACHED, STOPPED, status="error")
    assert (entry.outcome, entry.ended_at, entry.error) == ("cancelled", 1400, None)
    assert entry.interrupted is not None
    assert (entry.interrupted.node_id, entry.interrupted.node_type) == ("3", "KSampler")


@pytest.mark.parametrize(
    ("messages", "status", "outcome"),
    [
        ([START, ERROR, SUCCESS], "success", "succeeded"),
        ([START, SUCCESS, STOPPED], "error", "cancelled"),
        ([START, ERROR, SUCCESS, ERROR], "error", "failed"),
        ([STOPPED, START, ERROR, START], "error", "failed"),
        ([START, BLOCKED, SUCCESS], "success", "succeeded"),
        ([START, SUCCESS, BLOCKED], "success", "succeeded"),
        ([START], "error", "failed"),
        ([START], "success", "succeeded"),
        ([], "", "succeeded"),
        ([None, [], ["execution_error"], "execution_error"], "error", "failed"),
        ([[{}, START], ["execution_success", None]], "error", "succeeded"),
    ],
)
def test_the_last_message_decides_and_else_the_status(messages: list[Any], status: str, outcome: str) -> None:
    assert history(*messages, status=status).outcome == outcome


def test_an_error_without_anything_in_it_is_still_one() -> None:
    entry = history(["execution_error", None], status="error")
    assert entry.error is not None
    assert (entry.error.prompt_id, entry.error.node_id) == ("p", "")


def history_with(**more: Any) -> HistoryEntry:
    parsed = parse_history({"p": {"prompt": item(1, "p"), **more}}, "p")
    assert parsed is not None
    return parsed


@pytest.mark.parametrize("status", [None, [], "error", {"messages": None}])
def test_a_status_of_an_old_or_odd_server(status: Any) -> None:
    entry = history_with(status=status)
    assert (entry.outcome, entry.started_at, entry.ended_at) == ("succeeded", None, None)


def test_outputs_keep_their_order_and_are_shown_at_the_node_meta_names() -> None:
    png = {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}
    entry = history_with(
        outputs={"9": png, "40.0.0.3": {"text": ["t"]}, "1": None},
        meta={"40.0.0.3": {"display_node": "40", "real_node_id": "40"}, "9": None},
    )
    assert [(out.node_id, out.display_node) for out in entry.outputs] == [
        ("9", "9"),
        ("40.0.0.3", "40"),
        ("1", "1"),
    ]
    assert [len(out.files) for out in entry.outputs] == [1, 0, 0]
    assert entry.outputs[1].texts == ("t",)


def test_no_entry_yet() -> None:
    assert parse_history({}, "p") is None
    assert parse_history({"q": {}}, "p") is None
    assert parse_history({"p": None}, "p") is None


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], "The server's answer to GET /history is not an object."),
        (None, "The server's answer to GET /history is not an object."),
        ({"p": [1]}, "The server's history of this prompt is not an object."),
    ],
)
def test_what_is_no_history(data: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        parse_history(data, "p")


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(["prompt", "outputs", "status", "meta"], ODD)), ODD, ODD
)
def test_any_entry_is_read(entry: dict[str, Any], message: Any, data: Any) -> None:
    parsed = history(message, ["execution_error", data], ["execution_interrupted", message], **entry)
    assert parsed.outcome in ("succeeded", "failed", "cancelled")


# --- System ----------------------------------------------------------------------------------------------


def test_system_stats() -> None:
    raw = {"system": {"comfyui_version": "0.33.0", "argv": ["main.py", "--cpu", 3]}, "devices": []}
    stats = parse_system_stats(raw)
    assert (stats.comfyui_version, stats.argv, stats.raw) == ("0.33.0", ("main.py", "--cpu"), raw)


def test_system_stats_before_versions_were_told() -> None:
    stats = parse_system_stats({"system": {"os": "posix", "python_version": "3.10"}, "devices": [{}]})
    assert (stats.comfyui_version, stats.argv) == ("", ())


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"system": {}},
        {"system": {"os": "x"}, "devices": []},
        {"system": {"comfyui_version": "1"}},
    ],
)
def test_what_is_no_comfyui(data: Any) -> None:
    with pytest.raises(ValueError, match=r"^This is not a ComfyUI: "):
        parse_system_stats(data)
