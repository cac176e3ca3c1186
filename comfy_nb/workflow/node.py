"""Handles on the nodes of a workflow, and the graph that they share with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import index
from typing import Any, NamedTuple, SupportsIndex, cast

from comfy_nb.errors import UnknownNode, WorkflowError
from comfy_nb.tracebacks import brief
from comfy_nb.workflow.classes import NodeClass
from comfy_nb.workflow.describe import node_line
from comfy_nb.workflow.names import Names, clip
from comfy_nb.workflow.pictures import Upload, as_upload
from comfy_nb.workflow.silence import without
from comfy_nb.workflow.sources import Lookup
from comfy_nb.workflow.values import (
    RANDOM,
    ApiNode,
    Json,
    Link,
    Prompt,
    as_json,
    read_link,
    read_value,
)

__all__ = ["Graph", "Node", "choices"]


class Node:
    """One node of a workflow. Its inputs are read and set by name.

    `node["mode.steps"]` always works. `node.steps` is the same for names that are Python names and not the
    node's own: id, title, class_type, inputs, add_input, mute, bypass, restore. An input that is linked reads as a
    `Link`; setting it to a value cuts the link. To link, set a node (its first output), or a pair such as `(node, 1)`
    or `("4", 1)`. Set to a PIL image, a NumPy array, bytes or a path object, an input that names a file gets
    one that is uploaded when the job starts; set to `comfy_nb.RANDOM`, a seed is drawn for each job.
    """

    __slots__ = ("_graph", "_id")
    _graph: Graph
    _id: str

    def __init__(self, graph: Graph, node_id: str) -> None:
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
        self._graph.put(self._id, name, self._graph.prepare(self._id, name, value))

    def mute(self) -> None:
        """Keeps the node, and the links from it, out of what is sent, until `restore()`."""
        self._graph.silenced[self._id] = "muted"

    def bypass(self) -> None:
        """Sends the workflow as if what comes into the node went past it, until `restore()`.

        Each link from it becomes the link that comes into its input of the same type, the first of several; where
        there is none, it is gone.
        """
        self._graph.silenced[self._id] = "bypassed"

    def restore(self) -> None:
        """Undoes `mute()` or `bypass()`."""
        self._graph.silenced.pop(self._id, None)

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
            own = f"{name!r} is the node's own and cannot be set; for an input use node[{name!r}]."
            raise brief(AttributeError(own))
        self[name] = value

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *(name for name in self if name.isidentifier())]

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self._graph is other._graph and self._id == other._id

    def __hash__(self) -> int:
        return hash((id(self._graph), self._id))

    def __reduce__(self) -> tuple[type[Node], tuple[Graph, str]]:
        return Node, (self._graph, self._id)

    def __repr__(self) -> str:
        return node_line(self._id, self._node)

    @property
    def _node(self) -> ApiNode:
        return self._graph.prompt[self._id]


def choices(node: Node, name: str, lookup: Lookup | None = None) -> list[object]:
    """What an input may be chosen from, as far as its class is known here, or by `lookup`; empty for other inputs."""
    class_type = node.class_type
    known = node._graph.classes  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - one of ours
    if class_type not in known and lookup is not None:
        known = lookup([class_type]) or {}
    spec = known[class_type].input(name) if class_type in known else None
    return (spec.choices if spec else None) or []


class Prepared(NamedTuple):
    """A value ready to be set, and the file that it names, if it is one of ours."""

    json: Json
    upload: Upload | None = None


class Graph:
    """What a workflow and the handles on its nodes share."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.names = Names(prompt)
        self.uploads: dict[str, bytes] = {}
        self.silenced: dict[str, str] = {}
        """Nodes that are "muted" or "bypassed"."""
        self.classes: Mapping[
            str, NodeClass
        ] = {}  # those of the server that it was loaded by, if there was one

    def running(self) -> Prompt:
        """The prompt without the nodes that are muted or bypassed."""
        return without(self.prompt, self.silenced, self.classes) if self.silenced else self.prompt

    def prepare(self, node_id: str, input_name: str, value: object) -> Prepared:
        """A value as the API format writes it, links included; a picture or file as the name it will have."""
        if value is RANDOM:
            return Prepared(RANDOM)
        link = self._as_link(value)
        if link is not None:
            return Prepared([link.node_id, link.slot])
        where = f"{self.names.label(node_id)}, input {clip(input_name)!r}"
        if hasattr(value, "media_type") and getattr(value, "name", None) == "":  # a text that a job put out
            return Prepared(as_json(getattr(value, "text", None), where))
        now = self.prompt[node_id]["inputs"].get(input_name)
        if (
            now is None or isinstance(now, str) or read_link(now) is not None
        ):  # what may name a file, or lead to one
            upload = as_upload(value, where)
            if upload is not None and (old := read_link(now)) is not None:
                raise WorkflowError(
                    f"{where} is linked to node {clip(old.node_id)!r}, so it holds no file: "
                    "set the picture there, such as on a Load Image node."
                )
            if upload is not None:
                return Prepared(upload.name, upload)
        json_value = as_json(value, where)
        return Prepared({"__value__": json_value} if isinstance(json_value, list) else json_value)

    def put(self, node_id: str, input_name: str, value: Prepared) -> None:
        """Set an input to what was prepared."""
        self.prompt[node_id]["inputs"][input_name] = value.json
        if value.upload is not None:
            self.uploads[value.upload.name] = value.upload.data

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
                raise UnknownNode(f"A link to {clip(node)!r} leads nowhere: there is no node of that id.")
            return node
        if node != Node(self, node.id):
            raise WorkflowError(
                f"{clip(node.title)!r} is a node of another workflow, so no link can lead to it."
            )
        return node.id
