"""What ComfyUI's HTTP routes say, parsed: the queue, a prompt's history, the reply to a prompt, the system.

Each `parse_…` takes the route's JSON as `fields.loads` gives it. One bad entry costs that entry alone; only a
reply whose shape is hopeless raises a ValueError (`Malformed`), with one sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from comfy_nb.wire.fields import (
    Json,
    Malformed,
    ident_or,
    idents,
    mapping,
    millis,
    number,
    plain,
    sequence,
    text,
    texts,
)
from comfy_nb.wire.files import FileRef, Kind, NodeOutput, parse_output
from comfy_nb.wire.messages import ExecutionError, ExecutionInterrupted, read_error, read_interrupted
from comfy_nb.wire.replies import NodeError, PromptAccepted, PromptRejected, parse_prompt_reply

__all__ = [
    "FileRef",
    "HistoryEntry",
    "Kind",
    "NodeError",
    "NodeOutput",
    "Outcome",
    "PromptAccepted",
    "PromptRejected",
    "Queue",
    "QueueItem",
    "SystemStats",
    "parse_history",
    "parse_history_page",
    "parse_output",
    "parse_prompt_reply",
    "parse_queue",
    "parse_system_stats",
]

MAX_ARGUMENTS = 200  # of the command line that a server was started with

Outcome = Literal["succeeded", "failed", "cancelled"]

# What partner nodes are paid by. Servers show it in /queue (before 0.3.68) and in /history (before 0.3.45).
_ACCOUNT = ("api_key_comfy_org", "auth_token_comfy_org")


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One prompt in the queue, running or waiting. Lower numbers run first.

    `extra_data` is without its sender's Comfy account, which older servers show to everybody.
    """

    number: float
    prompt_id: str
    prompt: dict[str, Json]
    extra_data: dict[str, Json]
    outputs_to_execute: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Queue:
    """The server's queue at one moment; `pending` is in the order it will run in."""

    running: tuple[QueueItem, ...]
    pending: tuple[QueueItem, ...]

    def position(self, prompt_id: str) -> int | None:
        """0 for a prompt that runs, 1 for the next one, and so on; None for one that is not in the queue."""
        if any(item.prompt_id == prompt_id for item in self.running):
            return 0
        ids = [item.prompt_id for item in self.pending]
        return ids.index(prompt_id) + 1 if prompt_id in ids else None


def parse_queue(data: Json) -> Queue:
    """Read `GET /queue`. Raises ValueError when it is no queue."""
    queue = mapping(data)
    running, pending = queue.get("queue_running"), queue.get("queue_pending")
    if not isinstance(running, list) or not isinstance(pending, list):
        raise Malformed("The server's answer to GET /queue lacks the lists queue_running and queue_pending.")
    waiting = sorted(_items(pending), key=lambda item: (item.number, item.prompt_id))  # it sends a heap
    return Queue(tuple(_items(running)), tuple(waiting))


def _items(entries: list[Json]) -> list[QueueItem]:
    items = (_queue_item(sequence(entry)) for entry in entries)
    return [item for item in items if item.prompt_id]


def _queue_item(entry: list[Json]) -> QueueItem:
    # `[number, id, prompt, extra_data, outputs]`; Comfy Cloud swaps the last two.
    queue_number, prompt_id, prompt, extra_data, outputs = (*entry[:5], *(None,) * (5 - len(entry)))
    if isinstance(extra_data, list):
        extra_data, outputs = outputs, extra_data
    return QueueItem(
        number=number(queue_number),
        prompt_id=ident_or(prompt_id, ""),
        prompt=mapping(prompt),
        extra_data={key: value for key, value in mapping(extra_data).items() if key not in _ACCOUNT},
        outputs_to_execute=idents(outputs),
    )


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """What became of a prompt: the truth, once it is there.

    `outputs` are in the order the nodes finished; a prompt that failed may have some. `cached` are the nodes
    that did not need to run. Times are milliseconds since the epoch, None from servers that tell none.
    """

    prompt_id: str
    outcome: Outcome
    outputs: tuple[NodeOutput, ...]
    error: ExecutionError | None
    interrupted: ExecutionInterrupted | None
    cached: tuple[str, ...]
    started_at: int | None
    ended_at: int | None
    prompt: dict[str, Json]
    extra_data: dict[str, Json]


def parse_history(data: Json, prompt_id: str) -> HistoryEntry | None:
    """Read `GET /history/{prompt_id}`; None while the prompt waits or runs, and when it is not known.

    Raises ValueError when it is no history.
    """
    if not isinstance(data, dict):
        raise Malformed("The server's answer to GET /history is not an object.")
    entry = data.get(prompt_id)
    if entry is None:
        return None
    if not isinstance(entry, dict):
        raise Malformed("The server's history of this prompt is not an object.")
    return _history_entry(entry, prompt_id)


def parse_history_page(data: Json) -> tuple[HistoryEntry, ...]:
    """Read `GET /history?max_items=…`, oldest first. Raises ValueError when it is no history."""
    if not isinstance(data, dict):
        raise Malformed("The server's answer to GET /history is not an object.")
    return tuple(
        _history_entry(entry, prompt_id) for prompt_id, entry in data.items() if isinstance(entry, dict)
    )


def _history_entry(entry: dict[str, Json], prompt_id: str) -> HistoryEntry:
    item = _queue_item(sequence(entry.get("prompt")))
    status = mapping(entry.get("status"))
    said = _said(status, prompt_id)
    start, cached = said.get("execution_start", {}), said.get("execution_cached", {})
    end = next((name for name in reversed(said) if name in _OUTCOMES), "")
    return HistoryEntry(
        prompt_id=prompt_id,
        outcome=_OUTCOMES.get(end) or ("failed" if status.get("status_str") == "error" else "succeeded"),
        outputs=_outputs(entry),
        error=read_error(said[end]) if end == "execution_error" else None,
        interrupted=read_interrupted(said[end]) if end == "execution_interrupted" else None,
        cached=idents(cached.get("nodes")),
        started_at=millis(start.get("timestamp")),
        ended_at=millis(said.get(end, {}).get("timestamp")),
        prompt=item.prompt,
        extra_data=item.extra_data,
    )


# A prompt that was interrupted has the status "error" too, so the last message decides.
_OUTCOMES: dict[str, Outcome] = {
    "execution_success": "succeeded",
    "execution_error": "failed",
    "execution_interrupted": "cancelled",
}


def _said(status: dict[str, Json], prompt_id: str) -> dict[str, dict[str, Json]]:
    """The messages of a history entry by name, in the order of their last occurrence."""
    said: dict[str, dict[str, Json]] = {}
    for message in sequence(status.get("messages")):
        pair = sequence(message)
        name = text(pair[0]) if pair else ""
        data = mapping(pair[1] if len(pair) > 1 else None)
        if data.get("exception_type") != "ExecutionBlocked":  # a blocked branch does not end the prompt
            said.pop(name, None)
            said[name] = {**data, "prompt_id": prompt_id}
    return said


def _outputs(entry: dict[str, Json]) -> tuple[NodeOutput, ...]:
    meta = mapping(entry.get("meta"))
    outputs = mapping(entry.get("outputs")).items()
    return tuple(
        parse_output(node_id, ident_or(mapping(meta.get(node_id)).get("display_node"), node_id), output)
        for node_id, output in outputs
    )


@dataclass(frozen=True, slots=True)
class SystemStats:
    """What the server is; `comfyui_version` is empty and `argv` unknown before 0.2.0. `raw` is all of it."""

    comfyui_version: str
    argv: tuple[str, ...]
    raw: dict[str, Json]


def parse_system_stats(data: Json) -> SystemStats:
    """Read `GET /system_stats`. Raises ValueError when no ComfyUI would answer so."""
    raw = mapping(data)
    system = mapping(raw.get("system"))
    if not (
        isinstance(raw.get("devices"), list) and ("comfyui_version" in system or "python_version" in system)
    ):
        raise Malformed("This is not a ComfyUI: its /system_stats names neither a version nor devices.")
    argv = tuple(plain(argument, 1_000) for argument in texts(system.get("argv"))[:MAX_ARGUMENTS])
    return SystemStats(plain(text(system.get("comfyui_version")), 60), argv, raw)
