"""The widgets of a sub-graph's instance: values that it holds for inputs of nodes inside.

An input of the definition that leads to a widget inside makes a widget on every instance, which starts with
the value inside and then holds its own. `widgets_values` has them in the order of the definition's inputs;
in files older than front end 1.45, in the order of `properties.proxyWidgets`, which may also name widgets
inside that no input leads to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import zip_longest

from comfy_nb.workflow.links import Scope
from comfy_nb.workflow.slots import Slot
from comfy_nb.workflow.ui import UiLink, UiNode

__all__ = ["instance_slots"]


def instance_slots(node: UiNode, inner: Scope) -> tuple[list[Slot], int]:
    """The inputs of an instance, in the order of its definition, and how many of its values belong to none.

    `inner` is changed where it must be.
    """
    slots = [_slot(node, inner, index) for index in range(len(inner.graph.inputs))]
    if isinstance(node.values, Mapping):
        return slots, _set_named(slots, node.values)
    values = node.values
    if node.promoted:
        left = len([value for value in values[len(node.promoted) :] if value not in (None, "")])
        for (source, widget), value in zip_longest(node.promoted, values[: len(node.promoted)]):
            named = inner.graph.nodes.get(source)
            if named is not None and named.type == "PrimitiveNode":
                _replace_primitive(inner, source, value)
            elif value is not None:
                left += not _set_promoted(slots, inner, source, widget, value)
        return slots, left
    promoted = [index for index, slot in enumerate(slots) if slot.has_widget]
    for home, (index, value) in enumerate(zip(promoted, values, strict=False)):
        slots[index] = replace(slots[index], value=value, home=home)
    return slots, len([value for value in values[len(promoted) :] if value not in (None, "")])


def _set_named(slots: list[Slot], values: Mapping[object, object]) -> int:
    """Set values by name; how many belong to no input."""
    known = {slot.name: index for index, slot in enumerate(slots) if slot.has_widget}
    for name, value in values.items():
        if isinstance(name, str) and name in known:
            slots[known[name]] = replace(slots[known[name]], value=value, home=name)
    return len(values.keys() - known.keys())


def _slot(node: UiNode, inner: Scope, index: int) -> Slot:
    definition = inner.graph.inputs[index]
    same = [slot for slot in node.inputs if slot.name == definition.name]
    saved = next((slot for slot in same if slot.type == definition.type), same[0] if same else None)
    link = saved.link if saved else None
    source = _widget_inside(inner, index)
    if source is None:
        return Slot(definition.name, definition.type, link)
    return Slot(definition.name, definition.type, link, source[1].value)


def _widget_inside(inner: Scope, index: int) -> tuple[str, Slot] | None:
    """The widget that an input of a definition leads to, the first of several, with its node's id."""
    for link in inner.graph.entering(index):
        for slot in inner.slots.get(link.target, ()):
            if slot.link == link.id and slot.has_widget:
                return link.target, slot
    return None


def _set_promoted(slots: list[Slot], inner: Scope, source: str, widget: str, value: object) -> bool:
    """Set the value of a widget inside, or of the input that leads to it; whether there is such a one."""
    for index, slot in enumerate(slots):
        inside = _widget_inside(inner, index)
        own_name = source == "-1" and slot.name == widget
        if own_name or (inside is not None and inside[0] == source and inside[1].name == widget):
            if slot.has_widget:
                slots[index] = replace(slot, value=value)
            return True
    hidden = inner.slots.get(source, [])
    found = [index for index, slot in enumerate(hidden) if slot.name == widget and slot.has_widget]
    for index in found:
        hidden[index] = replace(hidden[index], value=value)
    return bool(found)


def _replace_primitive(inner: Scope, source: str, value: object) -> None:
    """A promoted primitive becomes an input of the sub-graph, linked to all that the primitive was linked to.

    Where a type does not fit, all stays as it was. Without a value of the instance, the first target's counts.
    """
    kind = inner.outputs[source][0] if inner.outputs[source] else "*"
    targets: list[tuple[list[Slot], int]] = []
    for link in inner.graph.links.values():
        if link.source == source:
            slots = inner.slots.get(link.target, [])
            index = _target(slots, link)
            if index is None or (slots[index].type != kind and "*" not in (slots[index].type, kind)):
                return
            targets.append((slots, index))
    for slots, index in targets:
        if value is None and slots[index].has_widget:
            value = slots[index].value
        slots[index] = replace(slots[index], value=value, link=None)


def _target(slots: list[Slot], link: UiLink) -> int | None:
    """The input that a link leads to, as the front end counts at that moment.

    It goes by the link's slot number, counted in its own order of the inputs, which in files older than 1.16 is
    another one; only a dynamic combo has renumbered the links of its node by then.
    """
    if any(slot.type == "COMFY_DYNAMICCOMBO_V3" for slot in slots):
        return next((index for index, slot in enumerate(slots) if slot.link == link.id), None)
    sockets = [index for index, slot in enumerate(slots) if slot.is_socket]
    return sockets[link.target_slot] if 0 <= link.target_slot < len(sockets) else None
