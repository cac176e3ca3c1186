"""Group nodes, the older kind of sub-graph, made into sub-graphs.

A file holds each as `extra.groupNodes[name]`: nodes by their number, and links between these numbers. What the group
shows follows from the classes of its nodes: every widget, one after another; every input that nothing inside leads
to; every output that leads nowhere inside. An instance has the values of all these widgets, in that order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from comfy_nb.errors import NotAWorkflow, Problem
from comfy_nb.workflow.classes import NodeClass
from comfy_nb.workflow.names import clip
from comfy_nb.workflow.slots import lay_out
from comfy_nb.workflow.ui import (
    INPUT_NODE,
    MAX_NODES,
    OUTPUT_NODE,
    UiGraph,
    UiLink,
    UiNode,
    UiSlot,
    as_list,
    mappings,
    read_node,
)
from comfy_nb.workflow.values import is_mapping

__all__ = ["expand_groups"]

Raw = Mapping[str, Mapping[object, object]]


@dataclass(frozen=True, slots=True)
class _Part:
    """One widget of a node: its name, and where its values stand in the node's list."""

    name: str
    at: int
    count: int


def expand_groups(
    root: UiGraph,
    definitions: Mapping[str, UiGraph],
    groups: Raw,
    classes: Mapping[str, NodeClass],
    notes: list[Problem],
) -> tuple[UiGraph, dict[str, UiGraph]]:
    """The graphs with a definition of its own for each instance of a group node."""
    if not groups:
        return root, dict(definitions)
    work = _Expansion(groups, classes, notes)
    done = {key: work.expanded(graph, f"{key}:") for key, graph in definitions.items()}
    return work.expanded(root, ""), done | work.made


class _Expansion:
    def __init__(self, groups: Raw, classes: Mapping[str, NodeClass], notes: list[Problem]) -> None:
        self.made: dict[str, UiGraph] = {}
        self._groups = groups
        self._classes = classes
        self._notes = notes
        self._count = 0

    def expanded(self, graph: UiGraph, path: str, around: tuple[str, ...] = ()) -> UiGraph:
        """The graph with its group nodes as instances of sub-graphs, which are added to `made`."""
        nodes = dict(graph.nodes)
        for node in graph.nodes.values():
            if node.type in self._groups:
                key = f"{node.type}#{path}{node.id}"
                definition, nodes[node.id] = self._definition(node, key, around)
                self.made[key] = self.expanded(definition, f"{path}{node.id}:", (*around, node.type))
        return replace(graph, nodes=nodes)

    def _definition(self, instance: UiNode, key: str, around: tuple[str, ...]) -> tuple[UiGraph, UiNode]:
        name = instance.type.partition(instance.type[8])[2]
        if instance.type in around:
            raise NotAWorkflow(f"The group node {clip(name)!r} contains itself.")
        nodes, links = self._inside(instance.type)
        values = instance.values if isinstance(instance.values, list) else []
        parts = self._parts(instance.type, around)
        if sum(part.count for parts_of in parts for part in parts_of) == len(values):
            nodes = list(_with_values(nodes, parts, values))
        elif values:
            message = f"its {len(values)} values do not fit what the group holds; the group's own were taken"
            self._notes.append(Problem(message, instance.id, clip(instance.title or name)))
        inputs, outputs = self._ends(nodes, links, instance.type)
        graph = _graph(name, nodes, links, inputs, outputs)
        saved = {slot.name: slot for slot in instance.inputs}
        free = [slot for slot in instance.inputs if slot.widget is None]
        slots: list[UiSlot] = []
        for number, slot in enumerate(graph.inputs):
            found = saved.get(slot.name) or (free[number] if number < len(free) else None)
            slots.append(replace(slot, links=(), link=found.link if found else None))
        return graph, replace(instance, type=key, inputs=tuple(slots), values=[], named=None)

    def _inside(self, kind: str) -> tuple[list[UiNode], list[UiLink]]:
        """The nodes of a group, numbered, and the links between them."""
        nodes: list[UiNode] = []
        for number, item in enumerate(mappings(self._groups[kind].get("nodes"))):
            self._count += 1
            if self._count > MAX_NODES:
                raise NotAWorkflow(
                    f"The group nodes hold more than {MAX_NODES:,} nodes once they are written out."
                )
            node = read_node({**item, "id": number}, f"The group node {clip(kind)!r}: node {number + 1}")
            nodes.append(replace(node, inputs=tuple(replace(slot, link=None) for slot in node.inputs)))
        links: list[UiLink] = []
        for number, item in enumerate(as_list(self._groups[kind].get("links"))):
            match as_list(item):
                case [int(source), int(source_slot), int(target), int(target_slot), *_] if 0 <= source < len(
                    nodes
                ) and 0 <= target < len(nodes):
                    links.append(UiLink(f"in{number}", str(source), source_slot, str(target), target_slot))
                case _:  # from outside: the instance has that link
                    pass
        return nodes, links

    def _parts(self, kind: str, around: tuple[str, ...]) -> list[list[_Part]]:
        """The widgets of each node of a group that the group shows."""
        if kind in around:
            raise NotAWorkflow(f"The group node {clip(kind[9:])!r} contains itself.")
        nodes, links = self._inside(kind)
        sources = {link.source for link in links}
        found: list[list[_Part]] = []
        for node in nodes:
            converted = {slot.widget for slot in node.inputs if slot.widget}
            parts = self._parts_of(node, node.id in sources, (*around, kind))
            found.append([part for part in parts if part.name not in converted])
        return found

    def _parts_of(self, node: UiNode, is_used: bool, around: tuple[str, ...]) -> Iterator[_Part]:
        values = node.values if isinstance(node.values, list) else []
        if node.type in self._groups:
            at = 0
            for part in (part for parts in self._parts(node.type, around) for part in parts):
                yield _Part(part.name, at, part.count)
                at += part.count
        elif node.type == "PrimitiveNode":
            if is_used and values:
                yield _Part("value", 0, len(values))
        elif (node_class := self._classes.get(node.type)) is not None:
            slots = [
                slot
                for slot in lay_out(node, node_class).slots
                if isinstance(slot.home, int) and slot.home >= 0
            ]
            homes = [slot.home for slot in slots if isinstance(slot.home, int)]
            ends = [*homes[1:], len(values)][: len(homes)]
            for slot, at, end in zip(slots, homes, ends, strict=True):
                yield _Part(slot.name, at, end - at)

    def _ends(
        self, nodes: list[UiNode], links: list[UiLink], kind: str
    ) -> tuple[list[tuple[str, str, str, str]], list[tuple[str, str, str, int]]]:
        """The group's inputs (name, type, node, its input) and outputs (name, type, node, its output)."""
        config, external = self._groups[kind].get("config"), self._groups[kind].get("external")
        outside = {(_number(item, 0), _number(item, 1)) for item in as_list(external)}
        led = {(link.target, link.target_slot) for link in links}
        used = {(link.source, link.source_slot) for link in links}
        inputs: list[tuple[str, str, str, str]] = []
        outputs: list[tuple[str, str, str, int]] = []
        seen: dict[str, int] = {}
        for number, node in enumerate(nodes):
            own = _entry(config, number)
            is_passage = node.type == "Reroute" and any(link.target == node.id for link in links)
            if is_passage and (node.id, 0) in used and (number, 0) not in outside:
                continue
            for at, slot in sorted(enumerate(node.inputs), key=lambda pair: pair[1].widget is not None):
                chosen = _entry(_entry(own, "input"), slot.name)
                if (node.id, at) in led or node.type == "PrimitiveNode":
                    continue
                name = _named(chosen) or slot.name
                if name in seen:
                    seen[name] += 1
                    name = f"{node.title or node.type} {name}"
                seen[name] = 1
                if not (is_mapping(chosen) and chosen.get("visible") is False):
                    inputs.append((name, slot.type, node.id, slot.name))
            for at, slot in enumerate(self._outputs(node)):
                chosen = _entry(_entry(own, "output"), at)
                shown = chosen.get("visible") if is_mapping(chosen) else None
                hidden = (node.id, at) in used and (number, at) not in outside
                if shown if isinstance(shown, bool) else not hidden:
                    outputs.append((slot.name, slot.type, node.id, at))
        return inputs, outputs

    def _outputs(self, node: UiNode) -> list[UiSlot]:
        node_class = self._classes.get(node.type)
        if node_class is None or node.outputs:
            return list(node.outputs)
        return [UiSlot(kind, kind) for kind in node_class.outputs]


def _graph(
    name: str,
    nodes: list[UiNode],
    links: list[UiLink],
    inputs: list[tuple[str, str, str, str]],
    outputs: list[tuple[str, str, str, int]],
) -> UiGraph:
    found = {node.id: node for node in nodes}
    everything = {link.id: link for link in links}
    for link in links:
        found[link.target] = _linked(found[link.target], link.target_slot, link.id)
    ends: list[UiSlot] = []
    for number, (end, kind, node_id, slot_name) in enumerate(inputs):
        at = next(at for at, slot in enumerate(found[node_id].inputs) if slot.name == slot_name)
        link = UiLink(f"to{number}", INPUT_NODE, number, node_id, at)
        everything[link.id] = link
        found[node_id] = _linked(found[node_id], at, link.id)
        ends.append(UiSlot(end, kind, links=(link.id,)))
    leaving: list[UiSlot] = []
    for number, (end, kind, node_id, at) in enumerate(outputs):
        link = UiLink(f"from{number}", node_id, at, OUTPUT_NODE, number)
        everything[link.id] = link
        leaving.append(UiSlot(end, kind, links=(link.id,)))
    return UiGraph(name, found, everything, tuple(ends), tuple(leaving))


def _linked(node: UiNode, at: int, link_id: str) -> UiNode:
    slots = list(node.inputs)
    if 0 <= at < len(slots):
        slots[at] = replace(slots[at], link=link_id)
    return replace(node, inputs=tuple(slots))


def _with_values(nodes: list[UiNode], parts: list[list[_Part]], values: list[object]) -> Iterator[UiNode]:
    """The nodes with the values of an instance."""
    at = 0
    for node, own in zip(nodes, parts, strict=True):
        new = list(node.values) if isinstance(node.values, list) else []
        if own:
            new += [None] * (max(part.at + part.count for part in own) - len(new))
        for part in own:
            new[part.at : part.at + part.count] = values[at : at + part.count]
            at += part.count
        yield replace(node, values=new, named=None) if own else node


def _entry(data: object, key: str | int) -> object:
    return data.get(str(key), data.get(key)) if is_mapping(data) else None


def _named(data: object) -> str | None:
    name = data.get("name") if is_mapping(data) else None
    return name if isinstance(name, str) and name else None


def _number(data: object, at: int) -> int:
    items = as_list(data)
    found = items[at] if at < len(items) else None
    return found if isinstance(found, int) else -1
