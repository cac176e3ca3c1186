"""ComfyUI's UI format, read: what the front end saves, as nodes and links, with sub-graphs as definitions.

Both versions (0.4 with links as lists, 1 with links as objects) become the same; what a converter does not
need, such as positions, is left out. Nothing in the file is trusted: what is not understood is left out as
well, and what cannot be read at all raises `NotAWorkflow`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeGuard, cast

from comfy_nb.errors import NotAWorkflow, Problem
from comfy_nb.workflow.names import clip, opening
from comfy_nb.workflow.values import is_mapping

__all__ = [
    "UiGraph",
    "UiLink",
    "UiNode",
    "UiSlot",
    "UiWorkflow",
    "as_list",
    "is_ui",
    "mappings",
    "read_node",
    "read_ui",
]

MUTED, BYPASSED = 2, 4
INPUT_NODE, OUTPUT_NODE = "-10", "-20"  # a definition's own ends, as its links name them

GROUP_PREFIXES = ("workflow>", "workflow/")  # of a group node's class, now and before front end 1.2.63

MAX_NODES = 20_000
"""The most nodes of one file, and of one workflow with its sub-graphs written out."""


@dataclass(frozen=True, slots=True)
class UiSlot:
    """An input or output of a node; `link` is the id of what comes in, `widget` the widget it belongs to."""

    name: str
    type: str
    link: str | None = None
    widget: str | None = None
    links: tuple[str, ...] = ()
    """Of a definition's own inputs and outputs: the links inside."""


@dataclass(frozen=True, slots=True)
class UiLink:
    """From output `source_slot` of the node `source` to input `target_slot` of the node `target`."""

    id: str
    source: str
    source_slot: int
    target: str
    target_slot: int


@dataclass(frozen=True, slots=True)
class UiNode:
    """One node as it was saved. `values` are its widgets' values, by order or by name."""

    id: str
    type: str
    title: str | None
    mode: int
    inputs: tuple[UiSlot, ...]
    outputs: tuple[UiSlot, ...]
    values: list[object] | Mapping[object, object]
    promoted: tuple[tuple[str, str], ...] = ()
    """Of a sub-graph's instance: inner node and widget, the older way to say whose values it holds."""
    named: Mapping[object, object] | None = None
    """The same values by the names of the widgets, which newer files hold as well."""
    properties: Mapping[object, object] = field(default_factory=dict[object, object])

    @property
    def is_active(self) -> bool:
        """Whether it runs: neither muted nor bypassed."""
        return self.mode not in (MUTED, BYPASSED)

    @property
    def first_value(self) -> object:
        """The value of its first widget, or None."""
        values = self.values.values() if isinstance(self.values, Mapping) else self.values
        return next(iter(values), None)


@dataclass(frozen=True, slots=True)
class UiGraph:
    """Nodes and links; a sub-graph's definition has inputs and outputs of its own."""

    name: str
    nodes: Mapping[str, UiNode]
    links: Mapping[str, UiLink]
    inputs: tuple[UiSlot, ...] = ()
    outputs: tuple[UiSlot, ...] = ()
    broadcasts: tuple[Mapping[object, object], ...] = ()
    """The links of "Anything Everywhere", which files keep beside the others."""

    def entering(self, slot: int) -> Iterator[UiLink]:
        """The links that come from one of its inputs, the first made first."""
        return self._linked(self.inputs, slot)

    def leaving(self, slot: int) -> UiLink | None:
        """The link that goes to one of its outputs."""
        return next(self._linked(self.outputs, slot), None)

    def _linked(self, ends: tuple[UiSlot, ...], slot: int) -> Iterator[UiLink]:
        ids = ends[slot].links if 0 <= slot < len(ends) else ()
        return (self.links[link_id] for link_id in ids if link_id in self.links)


@dataclass(frozen=True, slots=True)
class UiWorkflow:
    """A whole file: the graph that people see first, and the definitions of its sub-graphs by id."""

    root: UiGraph
    definitions: Mapping[str, UiGraph]
    last_id: int
    groups: Mapping[str, Mapping[object, object]] = field(default_factory=dict[str, Mapping[object, object]])
    """Group nodes, the older kind of sub-graph, by the class that their instances have."""
    notes: tuple[Problem, ...] = ()

    def class_names(self) -> set[str]:
        """The classes of all nodes that are not sub-graphs."""
        graphs = (self.root, *self.definitions.values())
        used = {node.type for graph in graphs for node in graph.nodes.values()}
        used |= {
            kind
            for group in self.groups.values()
            for item in mappings(group.get("nodes"))
            if isinstance(kind := item.get("type"), str)
        }
        return used - self.definitions.keys() - self.groups.keys()


def is_ui(data: object) -> TypeGuard[Mapping[object, object]]:
    """Whether parsed JSON looks like the UI format."""
    return is_mapping(data) and isinstance(data.get("nodes"), list)


def read_ui(data: Mapping[object, object], what: str) -> UiWorkflow:
    """Read a UI-format file. Raises `NotAWorkflow`, naming what is wrong and where."""
    definitions: dict[str, UiGraph] = {}
    last_id, notes = _last_id(data), list[Problem]()
    for item in mappings(_get(data, "definitions", "subgraphs")):
        key, name = _id(item.get("id")), _text(item.get("name")) or "sub-graph"
        where = f"{opening(what)}: sub-graph {clip(name)!r}"
        if key is None:
            raise NotAWorkflow(f"{where} has no id.")
        if key in definitions:
            raise NotAWorkflow(f"{where} shares its id with another sub-graph.")
        definitions[key] = _graph(item, name, where, last_id, notes)
    root = _graph(data, "", opening(what), last_id, notes)
    count = len(root.nodes) + sum(len(graph.nodes) for graph in definitions.values())
    if count > MAX_NODES:
        raise NotAWorkflow(f"{opening(what)} holds {count:,} nodes; the most that is read is {MAX_NODES:,}.")
    if not root.nodes:
        raise NotAWorkflow(f"{opening(what)} holds no nodes.")
    found = _get(data, "extra", "groupNodes")
    groups = {
        f"{prefix}{name}": group
        for name, group in (found.items() if is_mapping(found) else ())
        if is_mapping(group)
        for prefix in GROUP_PREFIXES
    }
    return UiWorkflow(root, definitions, last_id, groups, tuple(notes))


def _last_id(data: Mapping[object, object]) -> int:
    """The highest node number that the file's own counter has given."""
    counters = (data.get("last_node_id"), _get(data, "state", "lastNodeId"))
    return next((given for given in counters if isinstance(given, int) and 0 <= given < 10**8), 0)


def _graph(
    data: Mapping[object, object], name: str, where: str, last_id: int, notes: list[Problem]
) -> UiGraph:
    nodes: dict[str, UiNode] = {}
    moved = 0
    for number, item in enumerate(as_list(data.get("nodes")), 1):
        if not is_mapping(item):
            raise NotAWorkflow(f"{where}: node {number} of the list is not an object.")
        node = read_node(item, f"{where}: node {number} of the list")
        if node.id in nodes:  # the front end gives the second one a number of its own; links mean the first
            if not moved:
                ids = (_id(item.get("id")) or "" for item in mappings(data.get("nodes")))
                last_id = max(last_id, *(int(key) for key in ids if key.isascii() and key.isdigit()), 0)
            moved += 1
            given = last_id + moved
            message = f"its id {clip(node.id)!r} is there twice, so it was numbered {given}"
            notes.append(Problem(message, str(given), clip(node.title or node.type)))
            node = replace(node, id=str(given))
        nodes[node.id] = node
    links = {link.id: link for link in map(_link, as_list(data.get("links"))) if link is not None}
    broadcasts = tuple(mappings(_get(data, "extra", "ue_links")))
    return UiGraph(name, nodes, links, _slots(data.get("inputs")), _slots(data.get("outputs")), broadcasts)


def read_node(data: Mapping[object, object], where: str) -> UiNode:
    """One node of a file. Raises `NotAWorkflow` if it has no id or no type."""
    node_id, node_type = _id(data.get("id")), _text(data.get("type"))
    if node_id is None or not node_type:
        raise NotAWorkflow(f'{where} has no "{"id" if node_id is None else "type"}".')
    values, mode, properties = data.get("widgets_values"), data.get("mode"), data.get("properties")
    named = data.get("widgets_values_named")
    return UiNode(
        id=node_id,
        type=node_type,
        title=_text(data.get("title")),
        mode=mode if isinstance(mode, int) else 0,
        inputs=_slots(data.get("inputs")),
        outputs=_slots(data.get("outputs")),
        values=values if is_mapping(values) else list(as_list(values)),
        promoted=tuple(_promoted(_get(data, "properties", "proxyWidgets"))),
        named=named if is_mapping(named) else None,
        properties=properties if is_mapping(properties) else {},
    )


def _slots(data: object) -> tuple[UiSlot, ...]:
    return tuple(
        UiSlot(
            name=_text(item.get("name")) or "",
            type=slot_type(item.get("type")),
            link=_id(item.get("link")),
            widget=_text(_get(item, "widget", "name")),
            links=tuple(filter(None, map(_id, as_list(item.get("linkIds"))))),
        )
        for item in mappings(data)
    )


def _promoted(data: object) -> Iterator[tuple[str, str]]:
    for item in as_list(data):
        match as_list(item):
            case [(str() | int()) as node_id, str() as widget, *_]:
                yield str(node_id), widget
            case _:
                pass


def slot_type(data: object) -> str:
    """A slot's type as text; "*" for any."""
    return data if isinstance(data, str) and data else "*"


def _link(data: object) -> UiLink | None:
    if is_mapping(data):
        names = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
        parts = [data.get(name) for name in names]
    else:
        parts = as_list(data)
    if len(parts) < 5:
        return None
    key, source, target = _id(parts[0]), _id(parts[1]), _id(parts[3])
    source_slot, target_slot = parts[2], parts[4]
    if key is None or source is None or target is None:
        return None
    if not isinstance(source_slot, int) or not isinstance(target_slot, int):
        return None
    return UiLink(key, source, source_slot, target, target_slot)


def mappings(data: object) -> Iterable[Mapping[object, object]]:
    """The objects in a list; nothing if it is none."""
    return (item for item in as_list(data) if is_mapping(item))


def as_list(data: object) -> list[object]:
    """A list, also one that was saved as JSON in a text."""
    if isinstance(data, str) and data.lstrip()[:1] == "[":
        try:
            data = json.loads(data)
        except (ValueError, RecursionError):
            return []
    return cast("list[object]", data) if isinstance(data, list) else []


def _get(data: Mapping[object, object], *path: str) -> object:
    found: object = data
    for name in path:
        found = found.get(name) if is_mapping(found) else None
    return found


def _text(data: object) -> str | None:
    return data if isinstance(data, str) else None


def _id(data: object) -> str | None:
    """An id as text: files hold numbers and texts."""
    if isinstance(data, bool) or not isinstance(data, str | int):
        return None
    text = str(data) if isinstance(data, str) or abs(data) < 2**63 else ""
    return text if 0 < len(text) <= 200 else None
