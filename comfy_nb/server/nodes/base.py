"""What a node class is, and what a node gets and gives when it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from comfy_nb.server.files import Folders
from comfy_nb.server.progress import EncodedImage, Progress

__all__ = [
    "Blocked",
    "Context",
    "Expansion",
    "Interrupted",
    "Link",
    "NodeClass",
    "NodeResult",
    "gives",
    "gives_all",
]

Link = list[Any]
"""[node id, output slot]."""


class Interrupted(Exception):
    """The prompt was asked to stop."""


@dataclass(frozen=True)
class NodeResult:
    """The values of a node's outputs, and what people are shown of it (None: nothing).

    A node that writes itself out into others gives those in `expand`; its `values` are then links to them.
    """

    values: tuple[Any, ...] = ()
    ui: dict[str, list[Any]] | None = None
    expand: Expansion | None = None


@dataclass(frozen=True)
class Blocked:
    """In place of a value: what needs it does not run, and says why if there is a message. The rest goes on."""

    message: str = ""


@dataclass
class Expansion:
    """The nodes that a node writes itself out into.

    Their ids are ComfyUI's: the node's, its call (0: nodes are called once), its graph (0: it writes one), a number.
    """

    node_id: str
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict[str, "dict[str, Any]"])

    def add(self, class_type: str, **inputs: Any) -> Link:
        """Write one node, whose inputs are literals or links; returns the link to its first output."""
        node_id = f"{self.node_id}.0.0.{len(self.nodes) + 1}"
        self.nodes[node_id] = {"class_type": class_type, "inputs": inputs}
        return [node_id, 0]


@dataclass(frozen=True)
class Context:
    """What a running node may use."""

    node_id: str
    prompt: dict[str, Any]
    extra_data: dict[str, Any]
    folders: Folders
    progress: Progress
    interrupt: threading.Event
    step_time: float
    previews: bool

    def check(self) -> None:
        """Raise Interrupted if the prompt was asked to stop."""
        if self.interrupt.is_set():
            raise Interrupted

    def step(self, value: int, maximum: int, image: EncodedImage | None = None) -> None:
        """Move the node's bar, and show a picture with it."""
        self.check()
        every = self.previews or image is not None
        self.progress.step(self.node_id, value, maximum, image, every=every)

    def pace(self) -> None:
        """Wait for `step_time` seconds, or until the prompt is interrupted."""
        if self.step_time > 0:
            self.interrupt.wait(self.step_time)
        self.check()


Run = Callable[[Context, dict[str, Any]], NodeResult]


def gives(function: Callable[..., Any]) -> Run:
    """A node that is a function of its inputs, by name, with one output."""
    return lambda _context, inputs: NodeResult((function(**inputs),))


def gives_all(function: Callable[..., tuple[Any, ...]]) -> Run:
    """The same, with a tuple of all outputs."""
    return lambda _context, inputs: NodeResult(function(**inputs))


def _nothing(_folders: Folders) -> Mapping[str, list[str]]:
    return {}


def _none_needed(_inputs: dict[str, Any]) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class NodeClass:
    """One class of nodes: what /object_info says of it, and what it does.

    `required` and `optional` map an input's name to [type or choices, options]; an optional one that a prompt leaves
    out has its declared default, or None. `choices` gives the lists that change with the folders. `changed` gives a
    text that makes a cached result stale when it differs. `checks` say what is wrong with an input, in place of the
    check by type.

    An input with the option `rawLink` is given as the link itself, for a node that expands. One with the option
    `lazy` is None, and what it is linked to does not run, unless `needs`, from the other inputs, names it.
    `output_matchtypes` names, per output, the template of the inputs whose type it has.
    """

    name: str
    category: str
    run: Run
    required: Mapping[str, list[Any]] = field(default_factory=dict[str, "list[Any]"])
    optional: Mapping[str, list[Any]] = field(default_factory=dict[str, "list[Any]"])
    display_name: str = ""
    outputs: Sequence[str] = ()
    output_names: Sequence[str] | None = None
    description: str = ""
    output_node: bool = False
    hidden: Mapping[str, str] = field(default_factory=dict[str, str])
    output_tooltips: Sequence[str] = ()
    output_matchtypes: Sequence[str] = ()
    python_module: str = "nodes"
    choices: Callable[[Folders], Mapping[str, list[str]]] = _nothing
    changed: Callable[[Folders, dict[str, Any]], str] | None = None
    needs: Callable[[dict[str, Any]], Sequence[str]] = _none_needed
    checks: Mapping[str, Callable[[Folders, Any], str | None]] = field(
        default_factory=dict[str, Callable[[Folders, Any], "str | None"]]
    )

    @property
    def declared(self) -> dict[str, list[Any]]:
        """All inputs that may be given."""
        return {**self.required, **self.optional}

    def inputs(self, folders: Folders) -> dict[str, list[Any]]:
        """The same, with the choices of this moment."""
        inputs = self.declared
        for name, names in self.choices(folders).items():
            inputs[name] = [names, *inputs[name][1:]]
        return inputs

    def definition(self, folders: Folders) -> dict[str, Any]:
        """The class as /object_info shows it."""
        inputs = self.inputs(folders)
        kinds: dict[str, Any] = {"required": {name: inputs[name] for name in self.required}}
        order = {"required": list(self.required)}
        if self.optional:
            kinds["optional"] = {name: inputs[name] for name in self.optional}
            order["optional"] = list(self.optional)
        if self.hidden:
            kinds["hidden"] = dict(self.hidden)
            order["hidden"] = list(self.hidden)
        definition: dict[str, Any] = {
            "input": kinds,
            "input_order": order,
            "is_input_list": False,
            "output": list(self.outputs),
            "output_is_list": [False] * len(self.outputs),
            "output_name": list(self.output_names or self.outputs),
            "name": self.name,
            "display_name": self.display_name or self.name,
            "description": self.description,
            "python_module": self.python_module,
            "category": self.category,
            "output_node": self.output_node,
            "has_intermediate_output": False,
        }
        if self.output_tooltips:
            definition["output_tooltips"] = list(self.output_tooltips)
        if self.output_matchtypes:
            definition["output_matchtypes"] = list(self.output_matchtypes)
        definition["search_aliases"] = []
        return definition
