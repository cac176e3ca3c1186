"""What ComfyUI answers to `POST /prompt`: accepted, perhaps in part, or rejected, and why."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from comfy_nb.wire.fields import (
    Json,
    Malformed,
    clip,
    ident_or,
    idents,
    is_prompt_id,
    mapping,
    number,
    sequence,
    text,
)

__all__ = ["NodeError", "PromptAccepted", "PromptRejected", "parse_prompt_reply"]

MAX_CHOICES = 1_000  # names of one list; the server itself tells at most 20

_QUOTED_NODE = re.compile(r"Node ID '#([^']{1,1000})'")


@dataclass(frozen=True, slots=True)
class NodeError:
    """One thing wrong with one node.

    `type`, `message` and `details` are the server's own words; `received` and `allowed` are short texts made
    from the value it got and from the input's declaration, and empty if it did not tell. `choices` are the names
    that can be chosen from, if it told them: of a list of more than 20 it tells none. `linked_node` is the node
    that gives something of the wrong type. `dependent_outputs` are the output nodes that cannot run because of it.
    """

    node_id: str
    class_type: str
    type: str
    message: str
    details: str
    input_name: str
    received: str
    allowed: str
    dependent_outputs: tuple[str, ...]
    choices: tuple[str, ...] = ()
    linked_node: str = ""


@dataclass(frozen=True, slots=True)
class PromptAccepted:
    """The prompt is in the queue, under this id, which need not be the one that was sent.

    Lower numbers run first. With `node_errors` only part of it will run: the outputs that depend on those
    nodes were left out without a word.
    """

    prompt_id: str
    number: float
    node_errors: tuple[NodeError, ...]


@dataclass(frozen=True, slots=True)
class PromptRejected:
    """The server refused the prompt; nothing was queued.

    `details` is often empty when the fault lies upstream of an output node: `node_errors` has the reasons.
    """

    type: str
    message: str
    details: str
    node_errors: tuple[NodeError, ...]


def parse_prompt_reply(status: int, data: Json) -> PromptAccepted | PromptRejected:
    """Read the reply to `POST /prompt`, given its HTTP status and its JSON.

    Raises ValueError, with one sentence, when it is neither an acceptance nor a refusal that ComfyUI writes.
    """
    reply = mapping(data)
    node_errors = tuple(
        error
        for node_id, entry in mapping(reply.get("node_errors")).items()
        for error in _errors_of_node(node_id, mapping(entry))
    )
    prompt_id = ident_or(reply.get("prompt_id"), "")
    if 200 <= status < 300 and prompt_id:
        if not is_prompt_id(prompt_id):
            raise Malformed(
                f"The server took the prompt under {clip(repr(prompt_id), 80)}, which is no id of a prompt."
            )
        return PromptAccepted(prompt_id, number(reply.get("number")), node_errors)
    error = reply.get("error")
    if isinstance(error, str):
        return _rejected({"message": error}, node_errors)
    if not isinstance(error, dict):
        raise Malformed(f"The server answered POST /prompt with HTTP {status}, no prompt id and no error.")
    return _rejected(error, node_errors)


def _rejected(error: dict[str, Json], node_errors: tuple[NodeError, ...]) -> PromptRejected:
    kind = text(error.get("type")) or text(error.get("code"))
    message = text(error.get("message")) or "The server gave no reason."
    details = text(error.get("details"))
    if not node_errors and (missing := _missing_node(kind, message, error)) is not None:
        node_errors = (missing,)
    return PromptRejected(kind, message, details, node_errors)


def _missing_node(kind: str, message: str, error: dict[str, Json]) -> NodeError | None:
    # A class that is not installed is told of the whole prompt; before 0.12.0 only the details name the node.
    details, extra = text(error.get("details")), mapping(error.get("extra_info"))
    quoted = _QUOTED_NODE.search(details)
    node_id = ident_or(extra.get("node_id"), quoted[1] if quoted else "")
    if not node_id:
        return None
    return NodeError(node_id, text(extra.get("class_type")), kind, message, details, "", "", "", ())


def _errors_of_node(node_id: str, entry: dict[str, Json]) -> list[NodeError]:
    class_type = text(entry.get("class_type"))
    dependent = idents(entry.get("dependent_outputs"))
    errors = [mapping(error) for error in sequence(entry.get("errors"))] or [{}]
    return [_node_error(node_id, class_type, error, dependent) for error in errors]


def _node_error(
    node_id: str, class_type: str, error: dict[str, Json], dependent: tuple[str, ...]
) -> NodeError:
    extra = mapping(error.get("extra_info"))
    return NodeError(
        node_id=node_id,
        class_type=class_type,
        type=text(error.get("type")),
        message=text(error.get("message")) or "The server gave no reason.",
        details=text(error.get("details")),
        input_name=text(extra.get("input_name")),
        received=_received(extra),
        allowed=_allowed(extra.get("input_config")),
        dependent_outputs=dependent,
        choices=_names(extra.get("input_config")),
        linked_node=next(iter(idents(extra.get("linked_node"))), ""),
    )


def _received(extra: dict[str, Json]) -> str:
    if "received_value" in extra:
        return clip(json.dumps(extra["received_value"], ensure_ascii=False))
    return clip(text(extra.get("received_type")))


def _config(input_config: Json) -> tuple[Json, dict[str, Json]]:
    """What an input takes, and its options, of which `[type, options]` is made."""
    config = sequence(input_config)
    return (config[0] if config else None), mapping(config[1] if len(config) > 1 else None)


def _choices(input_config: Json) -> list[Json] | None:
    # A combo has its choices in place of the type (older form) or among the options.
    declared, options = _config(input_config)
    choices = declared if isinstance(declared, list) else options.get("options")
    return choices if isinstance(choices, list) else None


def _names(input_config: Json) -> tuple[str, ...]:
    choices = (_choices(input_config) or [])[:MAX_CHOICES]
    return tuple(clip(choice) for choice in choices if isinstance(choice, str))


def _allowed(input_config: Json) -> str:
    choices = _choices(input_config)
    if choices is not None:
        return _listing(choices)
    declared, options = _config(input_config)
    return _range(options) or clip(text(declared))


def _listing(choices: list[Json], shown: int = 10) -> str:
    names = [
        clip(choice if isinstance(choice, str) else json.dumps(choice), 60) for choice in choices[:shown]
    ]
    more = len(choices) - shown
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def _range(options: dict[str, Json]) -> str:
    low, high = (_shown(options.get(bound)) for bound in ("min", "max"))
    if low and high:
        return f"{low} to {high}"
    if low:
        return f"at least {low}"
    return f"at most {high}" if high else ""


def _shown(bound: Json) -> str:
    if isinstance(bound, bool) or not isinstance(bound, int | float):
        return ""
    return clip(str(bound), 40)
