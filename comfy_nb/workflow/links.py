"""Where a link really comes from: through reroutes, bypassed nodes, and in and out of sub-graphs.

A `Scope` is one graph at one place: the root, or a sub-graph's definition as one instance shows it. Links are
resolved backwards, as in protocol.md §9.3 step 5; the way may lead up into the scope around, and down again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from comfy_nb.errors import NotAWorkflow
from comfy_nb.workflow.names import clip
from comfy_nb.workflow.pages import PASSING
from comfy_nb.workflow.slots import Slot
from comfy_nb.workflow.ui import BYPASSED, INPUT_NODE, MUTED, UiGraph, UiLink, UiNode
from comfy_nb.workflow.values import Link

__all__ = ["GETTERS", "VIRTUAL", "Instance", "Scope", "Value", "connects", "lost_reason", "resolve_input"]

MAX_HOPS = 1_000
"""Steps that one link may take; more means a loop, or a file made to keep us busy."""


REROUTE = "Reroute"
SETTERS = frozenset({"SetNode", "easy setNode"})
GETTERS = frozenset({"GetNode", "easy getNode"})
VIRTUAL = frozenset({REROUTE, "PrimitiveNode", "Note", "MarkdownNote"}) | SETTERS | GETTERS
"""§9.3 step 3: nodes that only the front end knows, and that never run."""


@dataclass(frozen=True, slots=True)
class Value:
    """What an input gets instead of a link: the value of a widget of a sub-graph's instance."""

    value: object
    instance: str = ""
    """The instance's id, if it stands at the root."""
    home: int | str = -1
    """Where the value stands in the instance's `widgets_values`; -1 if it does not."""


@dataclass(slots=True)
class Scope:
    """A graph at one place. `path` leads to it ("12:7:", or "" at the root)."""

    graph: UiGraph
    path: str = ""
    instance: Instance | None = None
    slots: dict[str, list[Slot]] = field(default_factory=dict[str, list[Slot]])
    outputs: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    inner: dict[str, Scope] = field(default_factory=dict[str, "Scope"])
    page: set[str] = field(default_factory=set[str])
    """The nodes that only the page knows, and that never run."""


@dataclass(slots=True)
class Instance:
    """The node that stands for a sub-graph, in the scope around it."""

    scope: Scope
    node: UiNode


def resolve_input(scope: Scope, node_id: str, index: int) -> Link | Value | None:
    """What input `index` of a node gets: an output of a node that runs, a widget's value, or nothing."""
    wanted: str | None = None
    for _ in range(MAX_HOPS):
        slots = scope.slots[node_id]
        if not 0 <= index < len(slots):
            return None
        link = scope.graph.links.get(slots[index].link or "")
        if link is None:
            return None
        if link.source == INPUT_NODE:  # up, and out of this sub-graph
            outer = scope.instance
            if outer is None:
                return None
            scope, node_id, index, wanted = outer.scope, outer.node.id, link.source_slot, None
            if (found := _host_value(scope, node_id, index)) is not None:
                return found
            continue
        kind = wanted or slots[index].type
        found = _source(scope, link, kind)
        if found is None or isinstance(found, Link):
            return found
        scope, node_id, index = found
        wanted = kind if scope.graph.nodes[node_id].type in PASSING else None
    where = clip(scope.path + node_id)
    raise NotAWorkflow(f"The links into node {where} lead in a circle, or through {MAX_HOPS:,} nodes.")


def _host_value(scope: Scope, node_id: str, index: int) -> Value | None:
    """The value that an instance of a sub-graph holds for one of its inputs, unless that is linked."""
    slots = scope.slots[node_id]
    if not 0 <= index < len(slots) or slots[index].link is not None or not slots[index].has_widget:
        return None
    return Value(slots[index].value, "" if scope.instance else node_id, slots[index].home)


def _source(scope: Scope, link: UiLink, kind: str) -> Link | tuple[Scope, str, int] | None:
    """The output that a link comes from; or, if its node passes on what it gets, that input of the node."""
    for _ in range(MAX_HOPS):
        node = scope.graph.nodes.get(link.source)
        if node is None or node.mode == MUTED:
            return None
        if node.mode == BYPASSED:
            index = _bypass(scope.slots[node.id], scope.outputs[node.id], link.source_slot, kind)
            return None if index is None else (scope, node.id, index)
        if node.id in scope.inner:  # down, to what makes this output inside
            inner = scope.inner[node.id]
            leaving = inner.graph.leaving(link.source_slot)
            if leaving is None:
                return None
            if leaving.source == INPUT_NODE:
                return scope, node.id, leaving.source_slot
            scope, link = inner, leaving
        elif node.type in PASSING:
            return scope, node.id, 0 if node.type == REROUTE else link.source_slot
        elif node.type in GETTERS:
            return _setter(scope, node)
        elif node.id in scope.page:
            return None
        else:
            return Link(scope.path + node.id, link.source_slot)
    raise NotAWorkflow(f"The sub-graphs around node {clip(scope.path + link.source)} never end.")


def lost_reason(scope: Scope, link_id: str) -> str:
    """Why nothing comes in by a link, as its next source tells; "" if it is from a sub-graph's input, left open."""
    link = scope.graph.links.get(link_id)
    if link is None:
        return "the file does not hold its link"
    if link.source == INPUT_NODE:
        return ""
    node = scope.graph.nodes.get(link.source)
    if node is None:
        return f"it is linked to node {clip(link.source)}, which the file does not hold"
    label = clip(node.title or node.type)
    if node.mode == MUTED:
        return f"it is linked to {label!r}, which is muted"
    if node.mode == BYPASSED:
        return f"it is linked to {label!r}, which is bypassed and hands on nothing for it"
    if node.type in GETTERS and _setter(scope, node) is None:
        return f"it is linked to a {node.type} whose name {clip(str(node.first_value))!r} no SetNode has"
    return f"it is linked to {label!r}, to which nothing leads that runs"


def _setter(scope: Scope, getter: UiNode) -> tuple[Scope, str, int] | None:
    """The node that sets what a getter gets: the one of the same name, here or in a graph around."""
    around: Scope | None = scope
    while around is not None:
        for node in around.graph.nodes.values():
            if node.type in SETTERS and node.first_value == getter.first_value and around.slots[node.id]:
                return around, node.id, 0
        around = around.instance.scope if around.instance else None
    return None


def _bypass(slots: list[Slot], outputs: list[str], output: int, kind: str) -> int | None:
    """The input that stands in for an output of a bypassed node (§9.3 step 5)."""
    sockets = [index for index, slot in enumerate(slots) if slot.is_socket]
    opposite = sockets[output] if 0 <= output < len(sockets) else None
    if kind == "*":
        return next(iter(sockets), None) if opposite is None else opposite
    made = outputs[output] if 0 <= output < len(outputs) else "*"

    def fits(index: int) -> bool:
        return connects(slots[index].type, made) and connects(slots[index].type, kind)

    if opposite is not None and fits(opposite):
        return opposite
    exact = (index for index in sockets if slots[index].type == kind)
    return next(exact, next(filter(fits, sockets), None))


def connects(source: str, target: str) -> bool:
    """Whether the front end lets these types be linked: any "*", or one in common, whatever the case."""
    return "*" in (source, target) or source == target or not _types(source).isdisjoint(_types(target))


def _types(text: str) -> set[str]:
    return set(text.lower().split(","))
