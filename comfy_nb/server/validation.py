"""What POST /prompt refuses, in ComfyUI's shape and words.

An output node is good if neither it nor anything it is linked to has an error. The prompt runs if one output
is good.
"""

from __future__ import annotations

import graphlib
import traceback
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from comfy_nb.server.files import Folders
from comfy_nb.server.nodes import NODE_CLASSES
from comfy_nb.server.nodes.base import NodeClass
from comfy_nb.server.nodes.fields import MATCHED
from comfy_nb.server.shapes import is_list, is_object

__all__ = ["Refusal", "Verdict", "problem", "validate"]

# Longer lists of choices are not repeated in an error.
LONG_LIST = 20
# Of a ring, this many nodes are named at each of its nodes: the reply would else grow with the square.
LONG_RING = 20
# A bad node names this many of the outputs that need it, for the same reason.
MANY_OUTPUTS = 100

Json = dict[str, Any]


def problem(kind: str, message: str, details: str = "", extra_info: Json | None = None) -> Json:
    """One error object, as it stands in every 400."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra_info or {}}


class Refusal(Exception):
    """The whole prompt is refused; `body` is the reply."""

    def __init__(self, error: Json, node_errors: Json | None = None) -> None:
        super().__init__(error["message"])
        self.body: Json = {"error": error, "node_errors": node_errors or {}}


@dataclass(frozen=True)
class Verdict:
    """The outputs that will run, and what was wrong with the rest."""

    outputs: list[str]
    node_errors: Json


def validate(prompt: Json, folders: Folders, targets: Collection[Any] | None = None) -> Verdict:
    """Check a prompt, and convert its literal values to their declared types in place.

    `targets` limits the run to those output nodes. Raises Refusal if nothing can run.
    """
    for node_id, node in prompt.items():
        _check_class(node_id, node)
    outputs = [node_id for node_id in prompt if _class(prompt, node_id).output_node]
    if targets is not None:
        wanted = {target for target in targets if isinstance(target, str)}
        outputs = [node_id for node_id in outputs if node_id in wanted]
    if not outputs:
        raise Refusal(problem("prompt_no_outputs", "Prompt has no outputs"))
    errors = _errors(prompt, folders, _needed(prompt, outputs))
    good, node_errors = _blame(prompt, outputs, errors) if errors else (outputs, {})
    if not good:
        own = [each for output in outputs for each in errors.get(output, [])]
        details = "\n".join(f"{each['message']}: {each['details']}" for each in own)
        message = "Prompt outputs failed validation"
        raise Refusal(problem("prompt_outputs_failed_validation", message, details), node_errors)
    return Verdict(good, node_errors)


def _blame(prompt: Json, outputs: list[str], errors: dict[str, list[Json]]) -> tuple[list[str], Json]:
    """(the outputs that need no bad node, each bad node with its errors and the outputs that need it)."""
    sources = {
        node_id: [link[0] for _, link in _links(prompt, node_id)] for node_id in _needed(prompt, outputs)
    }
    spoiled = _reached(_turned(sources), errors)
    dependents = _dependents(sources, outputs)
    return [output for output in outputs if output not in spoiled], {
        node_id: {
            "errors": found,
            "dependent_outputs": dependents[node_id],
            "class_type": prompt[node_id]["class_type"],
        }
        for node_id, found in errors.items()
    }


def _turned(sources: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """For each node the ones that need it, from what each of them needs."""
    consumers: dict[str, list[str]] = {node_id: [] for node_id in sources}
    for node_id, needed in sources.items():
        for source in needed:
            consumers[source].append(node_id)
    return consumers


def _reached(ways: Mapping[str, list[str]], starts: Iterable[str]) -> set[str]:
    """The starts, and all that ways lead to from there."""
    reached = set(starts)
    stack = list(reached)
    while stack:
        fresh = set(ways[stack.pop()]) - reached
        reached |= fresh
        stack += fresh
    return reached


def _dependents(sources: Mapping[str, list[str]], outputs: list[str]) -> dict[str, list[str]]:
    """For each node the first outputs that need it, up to MANY_OUTPUTS.

    A node that has so many is passed over, and so is all above it: that has the same ones. Thus no node is visited
    more often than that, however many outputs there are.
    """
    dependents: dict[str, list[str]] = {node_id: [] for node_id in sources}
    for output in outputs:
        stack = [output]
        while stack:
            found = dependents[node_id := stack.pop()]
            if len(found) < MANY_OUTPUTS and found[-1:] != [output]:
                found.append(output)
                stack += sources[node_id]
    return dependents


def _class(prompt: Json, node_id: str) -> NodeClass:
    return NODE_CLASSES[prompt[node_id]["class_type"]]


def _check_class(node_id: str, node: Any) -> None:
    known = node if is_object(node) else {}
    meta = known.get("_meta")
    title = meta.get("title") if is_object(meta) else None
    kind = known.get("class_type")
    if isinstance(kind, str) and kind in NODE_CLASSES:
        return
    extra = {"node_id": node_id, "class_type": kind, "node_title": title or kind}
    if kind is None:
        name = title or f"ID #{node_id}"
        message = (
            f"Node '{name}' has no class_type. The workflow may be corrupted or a custom node is missing."
        )
    else:
        message = f"Node '{title or kind}' not found. The custom node may not be installed."
    raise Refusal(problem("missing_node_type", message, f"Node ID '#{node_id}'", extra))


@dataclass(frozen=True)
class _Consumer:
    """Through which input of which node a node was reached."""

    node_id: str
    input_name: str
    link: list[Any]


def _needed(prompt: Json, outputs: list[str]) -> dict[str, _Consumer | None]:
    """The outputs, all that they need, and how each was reached. Links to nowhere are passed over."""
    reached: dict[str, _Consumer | None] = dict.fromkeys(outputs)
    stack = list(outputs)
    while stack:
        node_id = stack.pop()
        for name, link in _links(prompt, node_id):
            if link[0] not in reached:
                reached[link[0]] = _Consumer(node_id, name, link)
                stack.append(link[0])
    return reached


def _links(prompt: Json, node_id: str) -> list[tuple[str, list[Any]]]:
    inputs = prompt[node_id].get("inputs")
    if not is_object(inputs):
        return []
    return [
        (name, value)
        for name in _class(prompt, node_id).declared
        if is_list(value := inputs.get(name))
        and len(value) == 2
        and isinstance(value[0], str)
        and value[0] in prompt
    ]


def _errors(prompt: Json, folders: Folders, needed: dict[str, _Consumer | None]) -> dict[str, list[Json]]:
    """What is wrong with each node; only nodes with an error are in it."""
    errors: dict[str, list[Json]] = {}
    # The choices are the same for all nodes of a class: a folder is listed once for all.
    kinds = {_class(prompt, node_id).name for node_id in needed}
    declared = {kind: NODE_CLASSES[kind].inputs(folders) for kind in kinds}
    for node_id, consumer in needed.items():
        configs = declared[_class(prompt, node_id).name]
        if found := _node_errors(prompt, folders, node_id, consumer, configs):
            errors[node_id] = found
    for node_id, cycle in _cycle(prompt, needed).items():
        errors.setdefault(node_id, []).append(cycle)
    return errors


def _cycle(prompt: Json, nodes: Iterable[str]) -> dict[str, Json]:
    graph = {node_id: [link[0] for _, link in _links(prompt, node_id)] for node_id in nodes}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        # The first node of the list stands at its end once more.
        members: list[str] = error.args[1][:-1]
        shown = members[:LONG_RING]
        rest = [f"({len(members) - LONG_RING} more)"] if len(members) > LONG_RING else []
        details = " -> ".join([*shown, *rest, members[0]])
        return {
            each: problem(
                "dependency_cycle",
                "Dependency cycle detected",
                details,
                {"node_id": each, "cycle_nodes": shown},
            )
            for each in members
        }
    return {}


def _node_errors(
    prompt: Json,
    folders: Folders,
    node_id: str,
    consumer: _Consumer | None,
    configs: Mapping[str, list[Any]],
) -> list[Json]:
    try:
        found = [_input_error(prompt, folders, node_id, name, config) for name, config in configs.items()]
    except (LookupError, TypeError, AttributeError) as error:
        # As on the original: a link to nowhere is an exception, told at the node that holds the link.
        return [_exception(prompt, error, consumer)]
    return [each for each in found if each]


def _exception(prompt: Json, error: Exception, consumer: _Consumer | None) -> Json:
    trace = {
        "exception_type": type(error).__name__,
        "traceback": traceback.format_tb(error.__traceback__),
    }
    if consumer is None:
        return problem("exception_during_validation", "Exception when validating node", str(error), trace)
    info = {
        "input_name": consumer.input_name,
        "input_config": _class(prompt, consumer.node_id).declared[consumer.input_name],
        "exception_message": str(error),
        **trace,
        "linked_node": consumer.link,
    }
    message = "Exception when validating inner node"
    return problem("exception_during_inner_validation", message, str(error), info)


def _input_error(prompt: Json, folders: Folders, node_id: str, name: str, config: list[Any]) -> Json | None:
    inputs = prompt[node_id]["inputs"]
    if name not in inputs:
        if name in _class(prompt, node_id).optional:
            return None
        return problem("required_input_missing", "Required input is missing", name, {"input_name": name})
    value = inputs[name]
    if is_list(value):
        return _link_error(prompt, name, config, value)
    if is_object(value) and "__value__" in value:
        value = value["__value__"]
    if check := _class(prompt, node_id).checks.get(name):
        text = check(folders, value)
        message = "Custom validation failed for node"
        info = {"input_name": name}
        return problem("custom_validation_failed", message, f"{name} - {text}", info) if text else None
    inputs[name], error = _literal(name, config, value)
    return error


def _shown(config: list[Any]) -> list[Any] | None:
    """How an input is declared, for an error; None if that is a long list of choices."""
    return None if is_list(config[0]) and len(config[0]) > LONG_LIST else config


def _link_error(prompt: Json, name: str, config: list[Any], link: list[Any]) -> Json | None:
    if len(link) != 2:
        message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
        info = {"input_name": name, "input_config": _shown(config), "received_value": link}
        return problem("bad_linked_input", message, name, info)
    source, slot = link
    outputs = NODE_CLASSES[prompt[source]["class_type"]].outputs
    if slot < 0:
        raise IndexError(f"{slot} is not an output slot")
    received = outputs[slot]
    expected = "COMBO" if is_list(config[0]) else config[0]
    # What a template of types matches is for front ends to say, as on the original.
    if expected in ("*", MATCHED, received) or received in ("*", MATCHED):
        return None
    details = f"{name}, received_type({received}) mismatch input_type({expected})"
    info = {
        "input_name": name,
        "input_config": _shown(config),
        "received_type": received,
        "linked_node": link,
    }
    return problem("return_type_mismatch", "Return type mismatch between linked nodes", details, info)


_CONVERT = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


def _literal(name: str, config: list[Any], value: Any) -> tuple[Any, Json | None]:
    """(the value in its declared type, what is wrong with it)."""
    kind = config[1]["options"] if config[0] == "COMBO" else config[0]
    info: Json = {"input_name": name, "input_config": config, "received_value": value}
    if is_list(kind):
        return value, None if value in kind else _not_in_list(name, kind, info)
    if kind in _CONVERT:
        try:
            value = _CONVERT[kind](value)
        except (ValueError, TypeError, OverflowError) as error:
            info["exception_message"] = str(error)
            message = f"Failed to convert an input value to a {kind} value"
            return value, problem("invalid_input_type", message, f"{name}, {value}, {error}", info)
    return value, _range_error(name, config, value)


def _range_error(name: str, config: list[Any], value: Any) -> Json | None:
    options: Json = config[1] if len(config) > 1 else {}
    info = {"input_name": name, "input_config": config, "received_value": value}
    # Written so that NaN is out of range.
    if "min" in options and not value >= options["min"]:
        message = f"Value {value} smaller than min of {options['min']}"
        return problem("value_smaller_than_min", message, name, info)
    if "max" in options and not value <= options["max"]:
        message = f"Value {value} bigger than max of {options['max']}"
        return problem("value_bigger_than_max", message, name, info)
    return None


def _not_in_list(name: str, choices: list[Any], info: Json) -> Json:
    shown = str(choices)
    if len(choices) > LONG_LIST:
        info = {**info, "input_config": None}
        shown = f"(list of length {len(choices)})"
    details = f"{name}: '{info['received_value']}' not in {shown}"
    return problem("value_not_in_list", "Value not in list", details, info)
