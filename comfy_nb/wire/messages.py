"""What ComfyUI says on its websocket, parsed.

A *message* is one frame as it came over the wire. Text frames are JSON, `{"type": …, "data": …}`; binary
frames start with a big-endian 32-bit kind and carry preview pictures (1 and 4) or a line of text (3). `parse`
turns either into one of the frozen types below and never raises: what is malformed, truncated or of an
unknown kind becomes `Unknown`. Ids are the server's own strings, times are milliseconds since the epoch.

Any message may be lost, late, doubled or about somebody else's prompt: these types say only what one frame
said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from comfy_nb.wire import binary
from comfy_nb.wire.fields import (
    MAX_ID,
    MAX_MEMORY,
    Json,
    Malformed,
    TooLarge,
    clip,
    ident,
    ident_or,
    idents,
    loads,
    mapping,
    millis,
    number,
    optional_ident,
    text,
    texts,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Executed",
    "Executing",
    "ExecutionCached",
    "ExecutionError",
    "ExecutionInterrupted",
    "ExecutionStart",
    "ExecutionSuccess",
    "FeatureFlags",
    "Json",
    "Message",
    "NodeProgress",
    "PreviewImage",
    "PreviewWithMetadata",
    "Progress",
    "ProgressState",
    "ProgressText",
    "Status",
    "Unknown",
    "is_text",
    "loads",
    "parse",
    "parse_frame",
    "read_error",
    "read_interrupted",
]

MAX_WORDS = 10_000  # characters of a node's status line
MAX_TEXT = 8 << 20  # bytes or characters of a text frame


@dataclass(frozen=True, slots=True)
class Status:
    """How many prompts wait or run, told to every client.

    Only a socket's first message has `sid`, the client id it is known by.
    """

    queue_remaining: int | None
    sid: str | None


@dataclass(frozen=True, slots=True)
class FeatureFlags:
    """What the server can do; its reply to the same message from the client."""

    flags: dict[str, Json]


@dataclass(frozen=True, slots=True)
class ExecutionStart:
    """The server's worker took the prompt from the queue."""

    prompt_id: str
    timestamp: int | None


@dataclass(frozen=True, slots=True)
class ExecutionCached:
    """The nodes whose results are still known and that will not run. Sent once per prompt, often empty."""

    prompt_id: str
    nodes: tuple[str, ...]
    timestamp: int | None


@dataclass(frozen=True, slots=True)
class Executing:
    """A node starts; `node` None means that the prompt has ended, well or not.

    A socket that re-joins a running prompt is told the node alone, without `display_node` and `prompt_id`.
    """

    node: str | None
    display_node: str | None
    prompt_id: str | None


@dataclass(frozen=True, slots=True)
class Progress:
    """One node's bar moved to `value` of `max`, in steps of the node's own. `max` may be 0."""

    value: float
    max: float
    node: str | None
    prompt_id: str | None


@dataclass(frozen=True, slots=True)
class NodeProgress:
    """One node's line in a `ProgressState`; `state` is "running" or "finished".

    `node_id` is the execution id, `display_node_id` the node to show it at, `real_node_id` its id in the
    submitted graph and `parent_node_id` the node that expanded into it, if any.
    """

    node_id: str
    value: float
    max: float
    state: str
    display_node_id: str
    parent_node_id: str | None
    real_node_id: str


@dataclass(frozen=True, slots=True)
class ProgressState:
    """All nodes of the prompt that have started so far: a full picture, so a lost one heals with the next."""

    prompt_id: str
    nodes: tuple[NodeProgress, ...]


@dataclass(frozen=True, slots=True)
class Executed:
    """A node finished and has something to show; `output` is empty when the server sent null."""

    node: str
    display_node: str
    output: dict[str, Json]
    prompt_id: str


@dataclass(frozen=True, slots=True)
class ExecutionSuccess:
    """The prompt ran to its end. Its history may be a moment later."""

    prompt_id: str
    timestamp: int | None


@dataclass(frozen=True, slots=True)
class ExecutionError:
    """A node raised. Ends the prompt, unless it is `blocked`."""

    prompt_id: str
    node_id: str
    node_type: str
    exception_type: str
    exception_message: str
    traceback: tuple[str, ...]
    executed: tuple[str, ...]
    timestamp: int | None
    current_inputs: dict[str, Json]
    current_outputs: tuple[str, ...] = ()

    @property
    def blocked(self) -> bool:
        """Whether a node only blocked its successors: the prompt goes on and may still succeed."""
        return self.exception_type == "ExecutionBlocked"


@dataclass(frozen=True, slots=True)
class ExecutionInterrupted:
    """The prompt was stopped on request, at this node."""

    prompt_id: str
    node_id: str
    node_type: str
    executed: tuple[str, ...]
    timestamp: int | None


@dataclass(frozen=True, slots=True)
class PreviewImage:
    """A preview that does not say whose it is (binary kind 1).

    Sent by older servers, and to sockets whose first message was not the feature flags.
    """

    media_type: str
    image: bytes


@dataclass(frozen=True, slots=True)
class ProgressText:
    """A status line of a node (binary kind 3). Usually told to every client, and without a prompt id."""

    node: str
    text: str
    prompt_id: str | None


@dataclass(frozen=True, slots=True)
class PreviewWithMetadata:
    """A preview that says whose it is (binary kind 4). The ids mean what they mean in `NodeProgress`."""

    prompt_id: str
    node_id: str
    display_node_id: str
    parent_node_id: str | None
    real_node_id: str
    media_type: str
    image: bytes


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of a kind that is not listed here, or one that makes no sense; `reason` is short.

    `unread` says that it was too large to be parsed at all, so that nobody knows what it said.
    """

    kind: str
    reason: str
    unread: bool = False


Message: TypeAlias = (
    Status
    | FeatureFlags
    | ExecutionStart
    | ExecutionCached
    | Executing
    | Progress
    | ProgressState
    | Executed
    | ExecutionSuccess
    | ExecutionError
    | ExecutionInterrupted
    | PreviewImage
    | ProgressText
    | PreviewWithMetadata
    | Unknown
)


def parse(raw: str | bytes, *, text_has_prompt_id: bool = False) -> Message:
    """Turn one websocket frame into a message. Never raises; takes time linear in the frame's length.

    `text_has_prompt_id`: the server's feature flags hold `supports_progress_text_metadata`, so that
    binary kind 3 starts with a prompt id.
    """
    return _parse_text(raw) if isinstance(raw, str) else _parse_binary(raw, text_has_prompt_id)


def parse_frame(raw: bytes) -> Message:
    """As `parse`, for a frame of either kind as bytes: binary ones begin with a zero, as no JSON does."""
    return _parse_text(raw) if is_text(raw) else _parse_binary(raw, False)


def is_text(raw: bytes) -> bool:
    """Whether the bytes of a frame are JSON."""
    return not raw.startswith(b"\0") and raw != b""


def _parse_text(raw: str | bytes) -> Message:
    if len(raw) > MAX_TEXT:
        size = f"{len(raw) / (1 << 20):,.0f} MB"
        return Unknown("text", f"of {size}, more than {MAX_TEXT >> 20} MB, and dropped unread", unread=True)
    try:
        message = loads(raw)
    except TooLarge:
        return Unknown(
            "text", f"that would take more than {MAX_MEMORY >> 20} MB, and dropped unread", unread=True
        )
    except ValueError as error:
        return Unknown("text", clip(str(error)))
    if not isinstance(message, dict) or not isinstance(kind := message.get("type"), str):
        return Unknown("text", "not an object with a type")
    reader = _READERS.get(kind)
    if reader is None:
        return Unknown(clip(kind), "no such type is known")
    data = message.get("data")
    if not isinstance(data, dict):
        return Unknown(kind, "data is no object")
    try:
        return reader(data)
    except Malformed as fault:
        return Unknown(kind, clip(str(fault)))


# --- JSON, by type ---------------------------------------------------------------------------------------


def _status(data: dict[str, Json]) -> Status:
    remaining = mapping(mapping(data.get("status")).get("exec_info")).get("queue_remaining")
    return Status(whole(remaining), optional_ident(data, "sid"))


def _execution_start(data: dict[str, Json]) -> ExecutionStart:
    return ExecutionStart(ident(data, "prompt_id"), millis(data.get("timestamp")))


def _execution_cached(data: dict[str, Json]) -> ExecutionCached:
    return ExecutionCached(ident(data, "prompt_id"), idents(data.get("nodes")), millis(data.get("timestamp")))


def _executing(data: dict[str, Json]) -> Executing:
    # A null node ends the prompt, so a node that is missing or odd must not be read as null.
    if "node" not in data:
        raise Malformed("node is missing")
    return Executing(
        optional_ident(data, "node"), optional_ident(data, "display_node"), optional_ident(data, "prompt_id")
    )


def _progress(data: dict[str, Json]) -> Progress:
    return Progress(
        value=number(data.get("value")),
        max=number(data.get("max")),
        node=optional_ident(data, "node"),
        prompt_id=optional_ident(data, "prompt_id"),
    )


def _progress_state(data: dict[str, Json]) -> ProgressState:
    lines = mapping(data.get("nodes")).items()
    nodes = tuple(
        _node_progress(node_id, line)
        for node_id, line in lines
        if isinstance(line, dict) and len(node_id) <= MAX_ID
    )
    return ProgressState(ident(data, "prompt_id"), nodes)


def _node_progress(node_id: str, line: dict[str, Json]) -> NodeProgress:
    return NodeProgress(
        node_id=node_id,
        value=number(line.get("value")),
        max=number(line.get("max")),
        state=clip(text(line.get("state"), "running")),
        display_node_id=ident_or(line.get("display_node_id"), node_id),
        parent_node_id=ident_or(line.get("parent_node_id"), "") or None,
        real_node_id=ident_or(line.get("real_node_id"), node_id),
    )


def _executed(data: dict[str, Json]) -> Executed:
    node = ident(data, "node")
    return Executed(
        node=node,
        display_node=ident_or(data.get("display_node"), node),
        output=mapping(data.get("output")),
        prompt_id=ident(data, "prompt_id"),
    )


def _execution_success(data: dict[str, Json]) -> ExecutionSuccess:
    return ExecutionSuccess(ident(data, "prompt_id"), millis(data.get("timestamp")))


def read_error(data: dict[str, Json]) -> ExecutionError:
    """The payload of `execution_error`, as on the socket and in a history entry.

    Raises Malformed without a usable prompt id; all else may be missing.
    """
    return ExecutionError(
        prompt_id=ident(data, "prompt_id"),
        node_id=ident_or(data.get("node_id"), ""),
        node_type=text(data.get("node_type")),
        exception_type=text(data.get("exception_type")),
        exception_message=text(data.get("exception_message")),
        traceback=texts(data.get("traceback")),
        executed=idents(data.get("executed")),
        timestamp=millis(data.get("timestamp")),
        current_inputs=mapping(data.get("current_inputs")),  # a blocked one sends a list
        current_outputs=idents(data.get("current_outputs")),
    )


def read_interrupted(data: dict[str, Json]) -> ExecutionInterrupted:
    """The payload of `execution_interrupted`, as on the socket and in a history entry.

    Raises Malformed without a usable prompt id; all else may be missing.
    """
    return ExecutionInterrupted(
        prompt_id=ident(data, "prompt_id"),
        node_id=ident_or(data.get("node_id"), ""),
        node_type=text(data.get("node_type")),
        executed=idents(data.get("executed")),
        timestamp=millis(data.get("timestamp")),
    )


_READERS: dict[str, Callable[[dict[str, Json]], Message]] = {
    "status": _status,
    "feature_flags": FeatureFlags,
    "execution_start": _execution_start,
    "execution_cached": _execution_cached,
    "executing": _executing,
    "progress": _progress,
    "progress_state": _progress_state,
    "executed": _executed,
    "execution_success": _execution_success,
    "execution_error": read_error,
    "execution_interrupted": read_interrupted,
}


# --- Binary ----------------------------------------------------------------------------------------------


def _parse_binary(raw: bytes, text_has_prompt_id: bool) -> Message:
    if len(raw) < 8:
        return Unknown("binary", f"only {len(raw)} bytes long")
    kind = binary.u32(raw, 0)
    try:
        if kind == 1:
            return _preview_image(raw)
        if kind == 3:
            return _progress_text(raw, text_has_prompt_id)
        if kind == 4:
            return _preview_with_metadata(raw)
    except Malformed as fault:
        return Unknown(f"binary {kind}", clip(str(fault)))
    return Unknown(f"binary {kind}", "no such kind is known")


def _preview_image(raw: bytes) -> PreviewImage:
    return PreviewImage(*binary.picture(raw, 8))


def _preview_with_metadata(raw: bytes) -> PreviewWithMetadata:
    metadata, end = binary.metadata(raw, 4)
    node_id = ident(metadata, "node_id")
    media_type, image = binary.picture(raw, end)
    return PreviewWithMetadata(
        prompt_id=ident(metadata, "prompt_id"),
        node_id=node_id,
        display_node_id=ident_or(metadata.get("display_node_id"), node_id),
        parent_node_id=ident_or(metadata.get("parent_node_id"), "") or None,
        real_node_id=ident_or(metadata.get("real_node_id"), node_id),
        media_type=media_type,
        image=image,
    )


def _progress_text(raw: bytes, has_prompt_id: bool) -> ProgressText:
    at = 4
    prompt_id: str | None = None
    if has_prompt_id:
        prompt_id, at = binary.counted_id(raw, at)
    node, at = binary.counted_id(raw, at)
    return ProgressText(
        node, clip(raw[at : at + 4 * MAX_WORDS].decode("utf-8", "replace"), MAX_WORDS), prompt_id
    )
