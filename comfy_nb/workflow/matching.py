"""Inputs and outputs that take on the type of what is connected to them (match types).

Only bypassing asks for these types: what stands in for an output depends on what its reader takes.
"""

from __future__ import annotations

from dataclasses import replace

from comfy_nb.workflow.classes import NodeClass
from comfy_nb.workflow.links import Scope
from comfy_nb.workflow.slots import Slot
from comfy_nb.workflow.ui import INPUT_NODE

__all__ = ["match_types"]

ANY = "*"


def match_types(scope: Scope, node_id: str, node_class: NodeClass) -> None:
    """Give the match-type inputs and outputs of one node the types that their connections leave them."""
    slots = scope.slots[node_id]
    for group in {slot.group for slot in slots if slot.group}:
        members = [index for index, slot in enumerate(slots) if slot.group == group]
        connected = {index: _connected(scope, slots[index]) for index in members}
        for index in members:
            others = [kind for other, kind in connected.items() if other != index]
            slots[index] = replace(slots[index], type=_common(*others, slots[index].type))
        made = _common(*connected.values())
        for output, name in enumerate(node_class.groups):
            if name == group and output < len(scope.outputs[node_id]):
                scope.outputs[node_id][output] = made


def _connected(scope: Scope, slot: Slot) -> str:
    """The type of what is linked to an input; any if nothing is."""
    link = scope.graph.links.get(slot.link or "")
    if link is None:
        return ANY
    if link.source == INPUT_NODE:
        kinds = [end.type for end in scope.graph.inputs]
    else:
        kinds = scope.outputs.get(link.source, [])
    return kinds[link.source_slot] if 0 <= link.source_slot < len(kinds) else ANY


def _common(*kinds: str) -> str:
    """What all of these types allow, where "*" allows everything."""
    sets = [dict.fromkeys(kind.split(",")) for kind in kinds if kind not in (ANY, "")]
    if not sets:
        return ANY
    shared = [kind for kind in sets[0] if all(kind in other for other in sets[1:])]
    return ",".join(shared) or ANY
