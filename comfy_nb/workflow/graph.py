"""A workflow in API format, and handles on its nodes."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from operator import index
from typing import Any, Self, SupportsIndex, cast

from comfy_nb.errors import Problem, UnknownNode, WorkflowError
from comfy_nb.workflow.classes import Classes
from comfy_nb.workflow.describe import node_line, workflow_table
from comfy_nb.workflow.loading import load
from comfy_nb.workflow.names import Names, clip
from comfy_nb.workflow.reading import Source, clean
from comfy_nb.workflow.sources import Lookup, offered
from comfy_nb.workflow.values import ApiNode, Json, Link, Prompt, as_json, copy_json, read_value

__all__ = ["Node", "Workflow"]


class Workflow:
    """A ComfyUI workflow in API format: nodes found by title, class or id, whose inputs can be set.

    ```python
    wf = Workflow.load("portrait.json")
    wf["KSampler"].seed = 7
    wf.set({"KSampler.cfg": 5, "Positive.text": "a lighthouse"})
    ```

    Submitting never changes a workflow: what is sent is a copy.
    """

    def __init__(
        self, prompt: Mapping[str, object], *, name: str = "", ui: Mapping[str, object] | None = None
    ) -> None:
        """From an API-format prompt, which is copied. Raises `NotAWorkflow`.

        `name` is used as a title. `ui` is the UI-format graph that the prompt was made of, if there was one: it
        goes into the files that jobs save, so that ComfyUI opens them as before.
        """
        self._graph = _Graph(clean(prompt, "the dict"))
        self._ui = None if ui is None else dict(ui)
        self.name = name
        self.notes: tuple[Problem, ...] = ()

    @classmethod
    def load(
        cls,
        source: Source,
        *,
        object_info: Mapping[str, object] | None = None,
        strict: bool = True,
    ) -> Self:
        """From a path, JSON text, a file's bytes, a PIL image, or a dict, in any form that ComfyUI saves.

        That is API format, UI format, a POST body, an entry of the history, and whatever ComfyUI saved: PNG,
        WebP, JPEG, GLB, latents; MP4, WebM, FLAC, Ogg and MP3 with the extra "media". A text that starts with "{"
        or "[" is JSON, any other a path.

        UI format is converted by a server's classes: `object_info`, the JSON of its `/object_info`, else those of
        the connection that was opened last; `comfy.load()` takes its own. What the file holds as API format
        counts first, and needs neither. What cannot be converted raises `WorkflowProblems`, by node;
        `strict=False` leaves it out, and `notes` tells of it.

        Raises `NotAWorkflow` with one sentence that says what is wrong, and where.
        """
        classes = None if object_info is None else Classes(object_info)
        return cls.load_with(source, offered() if classes is None else lambda _: classes, strict=strict)

    @classmethod
    def load_with(cls, source: Source, lookup: Lookup | None, *, strict: bool = True) -> Self:
        """`load`, with the classes that `lookup` gives for their names."""
        found = load(source, lookup, strict=strict)
        made = cls(found.prompt, name=found.name, ui=found.ui)
        made.notes = found.notes
        return made

    @classmethod
    def from_image(cls, image: Source) -> Self:
        """The workflow inside a picture that ComfyUI saved: a path, bytes, or a PIL image such as `job.image`."""
        return cls.load(image)

    @property
    def ui(self) -> dict[str, Any] | None:
        """The UI-format graph that came with it, as a copy, or None."""
        return copy.deepcopy(self._ui)

    def __getitem__(self, name: str | int) -> Node:
        """The node of that title, class or id; a number is an id. Raises `UnknownNode`, `AmbiguousName`."""
        return Node(self._graph, self._graph.names.find(name))

    def __contains__(self, name: object) -> bool:
        """Whether a node has that title, class or id."""
        return isinstance(name, str | int) and bool(self._graph.names.readings(str(name)))

    def __iter__(self) -> Iterator[Node]:
        """The nodes, in the order of the file."""
        return (Node(self._graph, node_id) for node_id in self._graph.prompt)

    def __len__(self) -> int:
        """The number of nodes."""
        return len(self._graph.prompt)

    def nodes(self, *, title: str | None = None, class_type: str | None = None) -> list[Node]:
        """All nodes, or those of that title or class, in the order of the file."""
        return [
            node for node in self if title in (None, node.title) and class_type in (None, node.class_type)
        ]

    def get(self, path: str) -> Any:
        """The value at a path such as "KSampler.cfg"; see `set`."""
        node_id, input_name = self._graph.names.resolve(path)
        return Node(self._graph, node_id)[input_name]

    def set(self, values: Mapping[str, object]) -> Self:
        """Sets inputs by path, all or none, and returns the workflow.

        A path is a node's title, class or id, a dot, and the input's name; where both hold dots, the longest
        title wins. Raises `UnknownNode`, `UnknownInput`, `AmbiguousName`, or `WorkflowError` for a bad value.
        """
        changes: dict[tuple[str, str], Json] = {}
        for path, value in values.items():
            place = self._graph.names.resolve(path)
            if place in changes:
                where = f"{clip(place[1])!r} of {self._graph.names.label(place[0])}"
                raise WorkflowError(f"two of the paths mean the same input, {where}")
            changes[place] = self._graph.api_value(*place, value)
        for (node_id, input_name), value in changes.items():
            self._graph.prompt[node_id]["inputs"][input_name] = value
        return self

    def to_api(self) -> dict[str, ApiNode]:
        """The API-format prompt, as a copy; every node has a `_meta` title."""
        return {
            node_id: {
                "class_type": node["class_type"],
                "inputs": {name: copy_json(value) for name, value in node["inputs"].items()},
                "_meta": {"title": node["_meta"]["title"]},
            }
            for node_id, node in self._graph.prompt.items()
        }

    def copy(self) -> Self:
        """A workflow of its own, with the same nodes."""
        other = type(self)(self._graph.prompt, name=self.name, ui=self._ui)
        other.notes = self.notes
        return other

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._graph.names)

    def __repr__(self) -> str:
        return workflow_table(self._graph.prompt, self.name)


class Node:
    """One node of a workflow. Its inputs are read and set by name.

    `node["mode.steps"]` always works. `node.steps` is the same for names that are Python names and not the
    node's own: id, title, class_type, inputs, add_input. An input that is linked reads as a `Link`;
    setting it to a value cuts the link. To link, set a node (its first output), or a pair such as `(node, 1)`
    or `("4", 1)`.
    """

    __slots__ = ("_graph", "_id")
    _graph: _Graph
    _id: str

    def __init__(self, graph: _Graph, node_id: str) -> None:
        object.__setattr__(self, "_graph", graph)
        object.__setattr__(self, "_id", node_id)

    @property
    def id(self) -> str:
        """Its id in the API format, such as "3", or "12:3" inside a sub-graph."""
        return self._id

    @property
    def title(self) -> str:
        """Its title; the class if it has none."""
        return self._node["_meta"]["title"]

    @property
    def class_type(self) -> str:
        """Its class, such as "KSampler"."""
        return self._node["class_type"]

    @property
    def inputs(self) -> Mapping[str, Any]:
        """All inputs and what they hold at this moment; links as `Link`."""
        return {name: read_value(value) for name, value in self._node["inputs"].items()}

    def add_input(self, name: str, value: object) -> None:
        """Sets an input that may not be there yet, such as an optional one that the file leaves out.

        Only the server knows which inputs a class has; it ignores those that it does not know.
        """
        self._node["inputs"][name] = self._graph.api_value(self._id, name, value)

    def __getitem__(self, name: str) -> Any:
        """What an input holds. Raises `UnknownInput`."""
        if name not in self._node["inputs"]:
            raise self._graph.names.unknown_input(self._id, name)
        return read_value(self._node["inputs"][name])

    def __setitem__(self, name: str, value: object) -> None:
        """Sets an input that the node has. Raises `UnknownInput`, or `WorkflowError` for a bad value."""
        if name not in self._node["inputs"]:
            raise self._graph.names.unknown_input(self._id, name)
        self.add_input(name, value)

    def __contains__(self, name: object) -> bool:
        """Whether there is an input of that name."""
        return name in self._node["inputs"]

    def __iter__(self) -> Iterator[str]:
        """The names of the inputs."""
        return iter(list(self._node["inputs"]))

    def __getattr__(self, name: str) -> Any:
        # Called only for names that are not the node's own.
        return self[name]

    def __setattr__(self, name: str, value: object) -> None:
        if hasattr(type(self), name):
            raise AttributeError(
                f"{name!r} is the node's own and cannot be set; for an input use node[{name!r}]"
            )
        self[name] = value

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *(name for name in self if name.isidentifier())]

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self._graph is other._graph and self._id == other._id

    def __hash__(self) -> int:
        return hash((id(self._graph), self._id))

    def __reduce__(self) -> tuple[type[Node], tuple[_Graph, str]]:
        return Node, (self._graph, self._id)

    def __repr__(self) -> str:
        return node_line(self._id, self._node)

    @property
    def _node(self) -> ApiNode:
        return self._graph.prompt[self._id]


class _Graph:
    """What a workflow and the handles on its nodes share."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.names = Names(prompt)

    def api_value(self, node_id: str, input_name: str, value: object) -> Json:
        """A value as the API format writes it, links included."""
        link = self._as_link(value)
        if link is not None:
            return [link.node_id, link.slot]
        json_value = as_json(value, f"{self.names.label(node_id)}, input {clip(input_name)!r}")
        return {"__value__": json_value} if isinstance(json_value, list) else json_value

    def _as_link(self, value: object) -> Link | None:
        """The link that a node, or a pair of node (or id) and output number, means, else None."""
        if isinstance(value, Node):
            return Link(self._own_id(value), 0)
        if not isinstance(value, list | tuple):
            return None
        match cast("list[object] | tuple[object, ...]", value):
            case [Node() | str() as node, SupportsIndex() as slot]:
                return Link(self._own_id(node), index(slot))
            # A list of two numbers is a value.
            case [SupportsIndex() as number, SupportsIndex() as slot] if isinstance(value, tuple):
                return Link(self._own_id(str(index(number))), index(slot))
            case _:
                return None

    def _own_id(self, node: Node | str) -> str:
        if isinstance(node, str):
            if node not in self.prompt:
                raise UnknownNode(f"a link to {clip(node)!r} leads nowhere: there is no node of that id")
            return node
        if node != Node(self, node.id):
            raise WorkflowError(
                f"{clip(node.title)!r} is a node of another workflow, so no link can lead to it"
            )
        return node.id
