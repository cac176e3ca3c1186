"""UI format to API format, as ComfyUI's own front end does it when it queues a prompt.

Scopes are laid out from the inside out (`_Conversion.scope`), then every node that runs is written down with
its widgets' values and, over them, its links. Ids of nodes in sub-graphs are paths ("12:3").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from comfy_nb.errors import NotAWorkflow, Problem
from comfy_nb.workflow.classes import Classes, NodeClass
from comfy_nb.workflow.dynamic_prompts import plain_prompt
from comfy_nb.workflow.everywhere import with_broadcasts
from comfy_nb.workflow.groups import expand_groups
from comfy_nb.workflow.links import (
    MAX_HOPS,
    REROUTE,
    VIRTUAL,
    Instance,
    Scope,
    Value,
    lost_reason,
    resolve_input,
)
from comfy_nb.workflow.matching import match_types
from comfy_nb.workflow.names import clip, listing
from comfy_nb.workflow.numbering import renumber
from comfy_nb.workflow.pages import PAGE_NODES
from comfy_nb.workflow.places import Place, Places
from comfy_nb.workflow.promotion import instance_slots
from comfy_nb.workflow.slots import UNDEFINED, Layout, Slot, lay_out, misfits
from comfy_nb.workflow.ui import MAX_NODES, UiGraph, UiNode, UiWorkflow
from comfy_nb.workflow.values import Json, Prompt, as_json, read_link

__all__ = ["Converted", "convert"]

MAX_DEPTH = 50
"""How deep sub-graphs may stand in each other."""

# §9.3 step 7: "own title or the display name". Front end 1.49 has English names of its own for 823 classes; for
# these, and no others, they differ from what a server 0.33 says, and the front end's win.
_FRONT_END_NAMES = {
    "ByteDance2ReferenceNode": "ByteDance Seedance 2.5 Reference to Video",
    "ByteDanceSeedreamNodeV2": "ByteDance Seedream 4.5 & 5.0",
    "IdeogramPImage": "Ideogram P-Image",
    "LTXVConcatAVLatent": "LTXVConcatAVLatent",
    "LTXVSeparateAVLatent": "LTXVSeparateAVLatent",
    "TopazImageEnhance": "Topaz Image Enhance",
}


MATCH = "COMFY_MATCHTYPE_V3"

_MADE_IN_THE_BROWSER = ("LOAD_3D", "WEBCAM", "AUDIO_RECORD")
"""Types whose value is a picture or sound that the page renders or records, and uploads."""


@dataclass(slots=True)
class Converted:
    """An API-format prompt; what could not be converted, by node; and what is worth knowing."""

    prompt: Prompt
    problems: list[Problem] = field(default_factory=list[Problem])
    notes: list[Problem] = field(default_factory=list[Problem])
    places: Places = field(default_factory=dict[tuple[str, str], Place])


def convert(workflow: UiWorkflow, classes: Mapping[str, NodeClass]) -> Converted:
    """The API-format prompt of a UI-format file, for a server with these classes.

    Nodes of unknown classes are left out, with what leads to them, and told of in `problems`. Raises
    `NotAWorkflow` for links or sub-graphs that lead in circles or write out to too much.
    """
    notes = list(workflow.notes)
    root, definitions = renumber(workflow.root, workflow.definitions, workflow.last_id)
    root, definitions = expand_groups(root, definitions, workflow.groups, classes, notes)
    root = with_broadcasts(root, notes)
    definitions = {key: with_broadcasts(graph, notes) for key, graph in definitions.items()}
    conversion = _Conversion(definitions, classes, notes)
    conversion.write(conversion.scope(root, "", None, 0))
    conversion.drop_dangling()
    return conversion.out


class _Conversion:
    def __init__(
        self, definitions: Mapping[str, UiGraph], classes: Mapping[str, NodeClass], notes: list[Problem]
    ) -> None:
        self.out = Converted({}, notes=notes)
        self._made = classes.made if isinstance(classes, Classes) else None
        self._definitions = definitions
        self._classes = classes
        self._count = 0

    def scope(self, graph: UiGraph, path: str, instance: Instance | None, depth: int) -> Scope:
        """A graph at one place with its nodes' inputs, and the sub-graphs in it."""
        if depth > MAX_DEPTH:
            raise NotAWorkflow(
                f"The sub-graph {clip(graph.name)!r} contains itself, or {MAX_DEPTH} others around it."
            )
        self._count += len(graph.nodes)
        if self._count > MAX_NODES:
            raise NotAWorkflow(
                f"The workflow has more than {MAX_NODES:,} nodes once its sub-graphs are written out."
            )
        scope = Scope(graph, path, instance)
        sources = {link.source for link in graph.links.values()}
        for node in graph.nodes.values():
            definition = self._definitions.get(node.type)
            node_class = self._classes.get(node.type)
            if definition is not None:
                inner = self.scope(definition, f"{path}{node.id}:", Instance(scope, node), depth + 1)
                scope.inner[node.id] = inner
                scope.slots[node.id], left = instance_slots(node, inner)
                if left and node.is_active:
                    message = (
                        f"{left} of its {len(node.values)} saved values belong to no input of the sub-graph"
                    )
                    self._tell(self.out.notes, scope, node, message)
                scope.outputs[node.id] = [slot.type for slot in definition.outputs]
            elif node_class is not None:
                layout = lay_out(node, node_class, self._made)
                scope.slots[node.id] = layout.slots
                self._tell_fit(scope, node, layout)
                # A match type is any type until something is connected.
                scope.outputs[node.id] = ["*" if kind == MATCH else kind for kind in node_class.outputs]
            else:
                if node.type in VIRTUAL or node.type in PAGE_NODES or _stands_alone(node, graph, sources):
                    scope.page.add(node.id)
                scope.slots[node.id] = [Slot(slot.name, slot.type, slot.link) for slot in node.inputs]
                scope.outputs[node.id] = [slot.type for slot in node.outputs]
        for node in graph.nodes.values():
            if (node_class := self._classes.get(node.type)) is not None:
                match_types(scope, node.id, node_class)
        _push_primitives(scope)
        return scope

    def drop_dangling(self) -> None:
        """§9.3 step 6: inputs whose source was left out are dropped."""
        for node_id, node in self.out.prompt.items():
            for name, value in list(node["inputs"].items()):
                link = read_link(value)
                if link is not None and link.node_id not in self.out.prompt:
                    del node["inputs"][name]
                    label = clip(node["_meta"]["title"])
                    message = f"it is linked to node {clip(link.node_id)!r}, which was left out"
                    self.out.notes.append(Problem(message, node_id, label, name))

    def write(self, scope: Scope) -> None:
        """Add the nodes of a scope that run to the prompt."""
        for node in scope.graph.nodes.values():
            if node.id in scope.inner and scope.instance is not None:
                # Only at the root does a muted or bypassed sub-graph silence what is inside: front end 1.49.
                self.write(scope.inner[node.id])
            elif not node.is_active:
                continue
            elif node.id in scope.page:
                if node.type not in VIRTUAL and node.type not in PAGE_NODES:
                    kind = clip(node.type)
                    message = f"the server has no class {kind!r}; it was left out, as nothing is linked to it"
                    self._tell(self.out.notes, scope, node, message)
            elif node.id in scope.inner:
                self.write(scope.inner[node.id])
            elif (node_class := self._classes.get(node.type)) is not None:
                self._write_node(scope, node, node_class)
            else:
                kind = clip(node.type)
                self._tell(
                    self.out.problems, scope, node, f"the server has no class {kind!r}; it was left out"
                )

    def _write_node(self, scope: Scope, node: UiNode, node_class: NodeClass) -> None:
        inputs: dict[str, Json] = {}
        homes: dict[str, tuple[str, int | str]] = {}
        slots = scope.slots[node.id]
        for slot in slots:
            if slot.has_widget:
                self._set(inputs, scope, node, slot.name, self._own_value(scope, node, slot))
                if slot.control and slot.link is None:
                    message = (
                        f"the page would {_CONTROL[slot.control]} it after each run; here it stays as it is"
                    )
                    if slot.control == "randomize":
                        message += ", unless it is set to comfy_nb.RANDOM"
                    self._tell(self.out.notes, scope, node, message, slot.name)
                homes[slot.name] = ("" if scope.instance else node.id, slot.home)
        for index, slot in enumerate(slots):
            if slot.link is None:
                continue
            found = resolve_input(scope, node.id, index)
            if isinstance(found, Value):
                self._set(inputs, scope, node, slot.name, found.value)
                homes[slot.name] = (found.instance, found.home)
            elif found is not None:
                inputs[slot.name] = [found.node_id, found.slot]
            elif not (slot.has_widget and _primitive(scope, slot)) and (
                reason := lost_reason(scope, slot.link)
            ):
                message = f"nothing comes in here: {reason}"
                self._tell(self.out.notes, scope, node, message, slot.name)
        title = node.title or _FRONT_END_NAMES.get(node.type) or node_class.display_name
        self.out.prompt[scope.path + node.id] = {
            "class_type": node.type,
            "inputs": inputs,
            "_meta": {"title": title},
        }
        for name, (owner, home) in homes.items():
            if owner and home != -1 and name in inputs:
                self.out.places[scope.path + node.id, name] = Place(owner, home, inputs[name], name)

    def _tell_fit(self, scope: Scope, node: UiNode, layout: Layout) -> None:
        """Tell of saved values that are too few or too many for the class, and of those of a wrong type."""
        count = len(node.values)
        if layout.defaulted and count:
            names = listing(layout.defaulted)
            self._tell(
                self.out.notes, scope, node, f"the file has no value for {names}; the default was taken"
            )
        if layout.by_name:
            message = (
                "its saved values stand in another order than the class's; its inputs told whose they are"
            )
            self._tell(self.out.notes, scope, node, message)
        if layout.emptied:
            message = f"the file has null for {listing(layout.emptied)}; the default was taken"
            self._tell(self.out.notes, scope, node, message)
        if layout.lost and node.is_active:
            message = f"it holds {listing(layout.lost)}, which no input of this class takes"
            self._tell(self.out.problems, scope, node, message)
        elif layout.surplus:
            extra = f"{len(layout.surplus)} of its {count} saved values belong to no input of this class"
            self._tell(self.out.notes, scope, node, extra)
        for slot in layout.slots:
            if slot.type in _MADE_IN_THE_BROWSER:
                self._tell(
                    self.out.notes, scope, node, "the browser makes this value when it queues", slot.name
                )
        for slot in misfits(layout) if node.is_active else ():
            message = (
                f"the {count} saved values do not fit this class: {slot.name} would be {_short(slot.value)}"
            )
            self._tell(self.out.problems, scope, node, message, slot.name)

    def _own_value(self, scope: Scope, node: UiNode, slot: Slot) -> object:
        if not slot.is_dynamic_prompt or not isinstance(slot.value, str):
            return slot.value
        text, has_choice = plain_prompt(slot.value)
        if has_choice:
            message = "holds a choice {…|…}, of which the front end draws one; none was drawn"
            self._tell(self.out.notes, scope, node, message, slot.name)
        return text

    def _set(self, inputs: dict[str, Json], scope: Scope, node: UiNode, name: str, value: object) -> None:
        if value is UNDEFINED:
            return
        found = as_json(value, f"node {clip(scope.path + node.id)!r}, input {clip(name)!r}")
        inputs[name] = {"__value__": found} if isinstance(found, list) else found

    def _tell(self, to: list[Problem], scope: Scope, node: UiNode, message: str, name: str = "") -> None:
        to.append(Problem(message, scope.path + node.id, clip(node.title or node.type), name))


def _short(value: object) -> str:
    return clip(repr(value), 40) if isinstance(value, str | int | float) else f"a {type(value).__name__}"


_CONTROL = {
    "randomize": "draw",
    "increment": "increase",
    "decrement": "decrease",
    "increment-wrap": "increase",
}


def _stands_alone(node: UiNode, graph: UiGraph, sources: set[str]) -> bool:
    """Whether nothing leads to a node or from it, so that a label or note of a pack it is, whatever its class."""
    return node.id not in sources and not any((slot.link or "") in graph.links for slot in node.inputs)


def _push_primitives(scope: Scope) -> None:
    """§9.3 step 1: primitives write their value onto the widgets that they are linked to, also through reroutes."""
    for slots in scope.slots.values():
        for index, slot in enumerate(slots):
            if slot.has_widget and slot.link is not None and (source := _primitive(scope, slot)):
                slots[index] = replace(slot, value=source.first_value)


def _primitive(scope: Scope, slot: Slot) -> UiNode | None:
    """The primitive with a value that a slot is linked to."""
    link = scope.graph.links.get(slot.link or "")
    for _ in range(MAX_HOPS):
        source = scope.graph.nodes.get(link.source) if link else None
        if source is None or source.type != REROUTE or not source.inputs:
            break
        link = scope.graph.links.get(source.inputs[0].link or "")
    else:
        return None
    return source if source is not None and source.type == "PrimitiveNode" and source.values else None
