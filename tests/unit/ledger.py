"""Book-keeping over a file: every value, link and node of it is sent, of the page alone, or noted.

It knows nothing of how a conversion works: it looks for what the file holds among what is sent, node by node.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from comfy_nb.workflow.convert import Converted
from comfy_nb.workflow.links import VIRTUAL
from comfy_nb.workflow.pages import PAGE_NODES

MUTED, BYPASSED = 2, 4
PAGE = {
    "",
    "image",
    "video",
    "audio",
    "refresh",
    "fixed",
    "randomize",
    "increment",
    "decrement",
    "increment-wrap",
}
PAGE |= {"upload3dmodel", "uploadExtraResources", "clear"}


def unaccounted(data: Mapping[str, Any], converted: Converted, classes: Mapping[str, Any]) -> Iterator[str]:
    """One line for everything in the file that is neither sent, nor of the page alone, nor told of."""
    subgraphs = {item["id"]: item for item in data.get("definitions", {}).get("subgraphs", [])}
    told = {problem.node_id for problem in (*converted.notes, *converted.problems)}
    for node in data["nodes"]:
        node_id = str(node["id"])
        if node.get("mode") in (MUTED, BYPASSED) or node["type"] in VIRTUAL:
            continue
        here = {key for key in converted.prompt if key == node_id or key.startswith(f"{node_id}:")}
        is_told = any(key == node_id or key.startswith(f"{node_id}:") for key in told)
        if node["type"] in subgraphs:
            if not here and not is_told and _runs(subgraphs[node["type"]], subgraphs):
                yield f"sub-graph {node_id}: nothing of it is sent"
        elif not here and node["type"] not in PAGE_NODES and node_id not in told:
            yield f"node {node_id} ({node['type']}): neither sent nor told of"
        if is_told or (node["type"] in PAGE_NODES and not here):
            continue
        yield from _values(node, [converted.prompt[key] for key in here], node["type"] in subgraphs)
        if node["type"] not in subgraphs and here:
            yield from _links(data, node, converted.prompt[node_id], classes)


def _runs(definition: Mapping[str, Any], subgraphs: Mapping[str, Any]) -> bool:
    return any(
        node.get("mode") not in (MUTED, BYPASSED) and node["type"] not in VIRTUAL
        for node in definition["nodes"]
    )


def _values(node: Mapping[str, Any], sent: list[Mapping[str, Any]], is_subgraph: bool) -> Iterator[str]:
    """Values of a node that are not among those that are sent, each as often as it is there."""
    values = node.get("widgets_values") or []
    left = Counter(_text(value) for item in sent for value in item["inputs"].values())
    # A value under a link is the page's: it shows again when the link is cut.
    linked = sum(bool(slot.get("widget")) and slot.get("link") is not None for slot in node.get("inputs", []))
    missing: list[object] = []
    for value in values.values() if isinstance(values, dict) else values:
        if left[_text(value)] > 0:
            left[
                _text(value)
            ] -= not is_subgraph  # a sub-graph's value may go to many places, and one to several
        elif value is not None and not (isinstance(value, str) and value in PAGE) and not _comments(value):
            missing.append(value)
    if len(missing) > linked:
        yield f"node {node['id']} ({node['type']}): {missing!r:.120} of {values!r:.200} neither sent nor told of"


def _comments(value: object) -> bool:
    """Whether it is a text of which the page takes something away before it queues: a dynamic prompt."""
    return isinstance(value, str) and any(mark in value for mark in ("//", "/*", "{", "\\"))


def _text(value: object) -> str:
    if isinstance(value, dict) and value.keys() == {"__value__"}:
        value = value["__value__"]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)


def _links(
    data: Mapping[str, Any], node: Mapping[str, Any], sent: Mapping[str, Any], classes: Mapping[str, Any]
) -> Iterator[str]:
    """Links into a node that is sent, whose inputs do not have them."""
    there = (
        {link[0]: link for link in data["links"]}
        if data["links"] and isinstance(data["links"][0], list)
        else {}
    )
    for slot in node.get("inputs", []):
        if slot.get("link") in there and slot["name"] not in sent["inputs"]:
            yield f"node {node['id']} ({node['type']}): the link into {slot['name']!r} is neither sent nor told of"
