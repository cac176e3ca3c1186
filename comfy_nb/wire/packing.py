"""Messages into frames, byte for byte as ComfyUI writes them: what the embedded server sends.

What ComfyUI leaves out when it does not know it (`timestamp`, `sid`, …) is None in a message, and is left out
here too. An empty output is written as null.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, assert_never

from comfy_nb.wire import messages as m
from comfy_nb.wire.binary import pack_counted, pack_u32

if TYPE_CHECKING:
    from comfy_nb.wire.fields import Json

__all__ = ["pack"]

_PREVIEW_FORMATS = {"image/jpeg": 1, "image/png": 2}


def pack(message: m.Message) -> str | bytes:
    """The frame that says this: text for JSON messages, bytes for previews and progress texts.

    Raises ValueError for what ComfyUI never sends: `Unknown`, NaN, and unidentified previews (`PreviewImage`)
    that are neither JPEG nor PNG.
    """
    match message:
        case m.PreviewImage():
            return _preview_image(message)
        case m.PreviewWithMetadata():
            return _preview_with_metadata(message)
        case m.ProgressText():
            return _progress_text(message)
        case m.Unknown():
            raise ValueError("A message of an unknown kind cannot be packed.")
        case _:
            kind, data = _body(message)
            return json.dumps({"type": kind, "data": data}, allow_nan=False)


_JsonMessage = (
    m.Status
    | m.FeatureFlags
    | m.ExecutionStart
    | m.ExecutionCached
    | m.Executing
    | m.Progress
    | m.ProgressState
    | m.Executed
    | m.ExecutionSuccess
    | m.ExecutionError
    | m.ExecutionInterrupted
)


def _body(message: _JsonMessage) -> tuple[str, dict[str, Json]]:
    match message:
        case m.Status():
            status: dict[str, Json] = {"status": {"exec_info": {"queue_remaining": message.queue_remaining}}}
            return "status", status | _known(sid=message.sid)
        case m.FeatureFlags():
            return "feature_flags", message.flags
        case m.ExecutionStart():
            return "execution_start", _dated(message, {"prompt_id": message.prompt_id})
        case m.ExecutionCached():
            cached: dict[str, Json] = {"nodes": [*message.nodes], "prompt_id": message.prompt_id}
            return "execution_cached", _dated(message, cached)
        case m.Executing():
            known = _known(display_node=message.display_node, prompt_id=message.prompt_id)
            return "executing", {"node": message.node, **known}
        case m.Progress():
            return "progress", _progress(message)
        case m.ProgressState():
            lines: dict[str, Json] = {
                node.node_id: _node_progress(message.prompt_id, node) for node in message.nodes
            }
            return "progress_state", {"prompt_id": message.prompt_id, "nodes": lines}
        case m.Executed():
            return "executed", _executed(message)
        case m.ExecutionSuccess():
            return "execution_success", _dated(message, {"prompt_id": message.prompt_id})
        case m.ExecutionError():
            return "execution_error", _dated(message, _error(message))
        case m.ExecutionInterrupted():
            return "execution_interrupted", _dated(message, _stopped_at(message))
        case _:
            assert_never(message)


def _known(**fields: str | None) -> dict[str, Json]:
    return {name: value for name, value in fields.items() if value is not None}


def _dated(
    message: (
        m.ExecutionStart | m.ExecutionCached | m.ExecutionSuccess | m.ExecutionError | m.ExecutionInterrupted
    ),
    data: dict[str, Json],
) -> dict[str, Json]:
    return data if message.timestamp is None else {**data, "timestamp": message.timestamp}


def _progress(message: m.Progress) -> dict[str, Json]:
    return {"value": message.value, "max": message.max, "prompt_id": message.prompt_id, "node": message.node}


def _node_progress(prompt_id: str, node: m.NodeProgress) -> dict[str, Json]:
    return {
        "value": node.value,
        "max": node.max,
        "state": node.state,
        "node_id": node.node_id,
        "prompt_id": prompt_id,
        "display_node_id": node.display_node_id,
        "parent_node_id": node.parent_node_id,
        "real_node_id": node.real_node_id,
    }


def _executed(message: m.Executed) -> dict[str, Json]:
    return {
        "node": message.node,
        "display_node": message.display_node,
        "output": message.output or None,
        "prompt_id": message.prompt_id,
    }


def _stopped_at(message: m.ExecutionError | m.ExecutionInterrupted) -> dict[str, Json]:
    return {
        "prompt_id": message.prompt_id,
        "node_id": message.node_id,
        "node_type": message.node_type,
        "executed": [*message.executed],
    }


def _error(message: m.ExecutionError) -> dict[str, Json]:
    return {
        **_stopped_at(message),
        "exception_message": message.exception_message,
        "exception_type": message.exception_type,
        "traceback": [*message.traceback],
        "current_inputs": [] if message.blocked else message.current_inputs,
        "current_outputs": [*message.current_outputs],
    }


def _preview_image(message: m.PreviewImage) -> bytes:
    number = _PREVIEW_FORMATS.get(message.media_type)
    if number is None:
        raise ValueError(f"A preview without ids is JPEG or PNG, not {message.media_type}.")
    return pack_u32(1) + pack_u32(number) + message.image


def _preview_with_metadata(message: m.PreviewWithMetadata) -> bytes:
    metadata = {
        "node_id": message.node_id,
        "prompt_id": message.prompt_id,
        "display_node_id": message.display_node_id,
        "parent_node_id": message.parent_node_id,
        "real_node_id": message.real_node_id,
        "image_type": message.media_type,
    }
    return pack_u32(4) + pack_counted(json.dumps(metadata)) + message.image


def _progress_text(message: m.ProgressText) -> bytes:
    prompt = b"" if message.prompt_id is None else pack_counted(message.prompt_id)
    return pack_u32(3) + prompt + pack_counted(message.node) + message.text.encode()
