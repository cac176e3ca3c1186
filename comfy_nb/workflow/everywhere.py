"""The links of "Anything Everywhere": what comes into such a node goes to every open input of that type.

Newer files list these links; in older ones they follow from the nodes. What restricts them by group or colour
is not followed, and told of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from comfy_nb.errors import Problem
from comfy_nb.workflow.names import clip
from comfy_nb.workflow.ui import UiGraph, UiLink, UiNode

__all__ = ["with_broadcasts"]

_PROMPTS, _SEED = "Prompts Everywhere", "Seed Everywhere"
NODES = frozenset({"Anything Everywhere", "Anything Everywhere3", "Anything Everywhere?", _PROMPTS, _SEED})
_ROLES = (re.compile(r"(_|\b)pos(itive|_|\b)"), re.compile(r"(_|\b)neg(ative|_|\b)"))
MAX_PATTERN = 200  # characters of a pattern that is followed


@dataclass(frozen=True, slots=True)
class _Cast:
    """What one input of a broadcasting node sends, and to which inputs."""

    kind: str
    source: str
    slot: int
    priority: int
    title: re.Pattern[str] | None = None
    input: re.Pattern[str] | None = None


def with_broadcasts(graph: UiGraph, notes: list[Problem]) -> UiGraph:
    """The graph with these links among the others."""
    senders = [node for node in graph.nodes.values() if node.type in NODES and node.is_active]
    if not senders and not graph.broadcasts:
        return graph
    links = list(_listed(graph)) if graph.broadcasts else list(_found(graph, senders, notes))
    nodes, everything = dict(graph.nodes), dict(graph.links)
    for link in links:
        node = nodes[link.target]
        slots = list(node.inputs)
        slots[link.target_slot] = replace(slots[link.target_slot], link=link.id)
        nodes[node.id] = replace(node, inputs=tuple(slots))
        everything[link.id] = link
    return replace(graph, nodes=nodes, links=everything)


def _listed(graph: UiGraph) -> Iterator[UiLink]:
    """The links that the file lists, where the input is still open."""
    done: set[tuple[str, int]] = set()
    for number, item in enumerate(graph.broadcasts):
        target, source = (graph.nodes.get(str(item.get(key))) for key in ("downstream", "upstream"))
        controller = graph.nodes.get(str(item.get("controller")))
        at, slot, kind = item.get("downstream_slot"), item.get("upstream_slot"), item.get("type")
        if target is None or source is None or (controller is not None and not controller.is_active):
            continue
        if not isinstance(at, int) or not isinstance(slot, int):
            continue
        # Inputs may have been left out of the list since, so the type counts as well.
        fits = [
            index
            for index, end in enumerate(target.inputs)
            if _is_open(graph, end.link) and (kind in (end.type, "*") or end.type == "*")
        ]
        index = at if at in fits else next(iter(fits), None)
        if index is not None and (target.id, index) not in done:
            done.add((target.id, index))
            yield UiLink(f"everywhere{number}", source.id, slot, target.id, index)


def _is_open(graph: UiGraph, link_id: str | None) -> bool:
    return link_id is None or link_id not in graph.links


def _found(graph: UiGraph, senders: list[UiNode], notes: list[Problem]) -> Iterator[UiLink]:
    casts = [cast for node in senders for cast in _casts(graph, node, notes)]
    casts.sort(key=lambda cast: -cast.priority)
    by_kind: dict[str, list[_Cast]] = {}
    for cast in casts:
        by_kind.setdefault(cast.kind, []).append(cast)
    number = 0
    for node in graph.nodes.values():
        if node.type in NODES or not node.is_active:
            continue
        for at, slot in enumerate(node.inputs):
            if slot.widget is not None or not _is_open(graph, slot.link):
                continue
            title = node.title or node.type
            for cast in by_kind.get(slot.type, ()):
                if cast.source != node.id and _agrees(cast.title, title) and _agrees(cast.input, slot.name):
                    number += 1
                    yield UiLink(f"everywhere{number}", cast.source, cast.slot, node.id, at)
                    break


def _agrees(pattern: re.Pattern[str] | None, text: str) -> bool:
    return pattern is None or pattern.search(text[:MAX_PATTERN]) is not None


def _casts(graph: UiGraph, node: UiNode, notes: list[Problem]) -> Iterator[_Cast]:
    if node.properties.get("group_restricted") or node.properties.get("color_restricted"):
        message = "it sends to some groups or colours only, which is not followed: link by hand what it fed"
        notes.append(Problem(message, node.id, clip(node.title or node.type)))
        return
    values = node.values if isinstance(node.values, list) else []
    patterns: list[re.Pattern[str] | None] = [None, None]
    if node.type == "Anything Everywhere?":
        patterns = [_pattern(value) for value in (*values[:2], None, None)][:2]
        if _pattern(values[2] if len(values) > 2 else None) is not None:
            message = "it sends to groups of a name only, which is not followed: link by hand what it fed"
            notes.append(Problem(message, node.id, clip(node.title or node.type)))
            return
    if node.type == _SEED:
        yield _Cast("INT", node.id, 0, 20, input=re.compile("seed"))
    for at, slot in enumerate(node.inputs):
        link = graph.links.get(slot.link or "")
        source = graph.nodes.get(link.source) if link else None
        if link is None or source is None or not 0 <= link.source_slot < len(source.outputs):
            continue
        name = _ROLES[at] if node.type == _PROMPTS and at < 2 else patterns[1]
        priority = 10 + 10 * (node.type == _PROMPTS) + 20 * any(patterns)
        yield _Cast(
            source.outputs[link.source_slot].type, source.id, link.source_slot, priority, patterns[0], name
        )


_PLAIN = re.compile(r"[^()*+{}\\]*|\.\*")


def _pattern(value: object) -> re.Pattern[str] | None:
    """A pattern that people wrote; None for one that lets all pass, or that could take for ever."""
    if not isinstance(value, str) or value in ("", ".*") or len(value) > MAX_PATTERN:
        return None
    text = value if _PLAIN.fullmatch(value) else re.escape(value.replace(".*", ""))
    try:
        return re.compile(text)
    except re.error:
        return re.compile(re.escape(value))
