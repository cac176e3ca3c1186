"""A workflow: loaded from anything, edited by name, compared, and sent as an API-format prompt."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from comfy_nb.errors import WorkflowError
from comfy_nb.workflow.check import Problems
from comfy_nb.workflow.classes import Classes, NodeClass
from comfy_nb.workflow.describe import workflow_html, workflow_table
from comfy_nb.workflow.diff import Diff, diff
from comfy_nb.workflow.filled import fill_in, unfilled
from comfy_nb.workflow.loading import load
from comfy_nb.workflow.names import clip
from comfy_nb.workflow.node import Graph, Node, Prepared
from comfy_nb.workflow.places import Places, brought_up_to_date
from comfy_nb.workflow.reading import Source, clean
from comfy_nb.workflow.sources import Lookup, offered
from comfy_nb.workflow.values import ApiNode, Prompt, copy_json, drawn

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
        self._graph = Graph(clean(prompt, "the dict"))
        self._ui = None if ui is None else dict(ui)
        self.name = name
        self.notes = Problems()
        self._places: Places = {}

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
        made.notes, made.classes, made._places = Problems(found.notes), found.classes, found.places
        made._graph.classes = found.classes
        return made

    @property
    def classes(self) -> Mapping[str, NodeClass]:
        """The classes of the server that it was loaded by, by name; empty if there was none. They can be set."""
        return self._graph.classes

    @classes.setter
    def classes(self, classes: Mapping[str, NodeClass]) -> None:
        self._graph.classes = classes

    @classmethod
    def from_image(cls, image: Source) -> Self:
        """The workflow inside a picture that ComfyUI saved: a path, bytes, or a PIL image such as `job.image`."""
        return cls.load(image)

    @property
    def ui(self) -> dict[str, Any] | None:
        """The UI-format graph that came with it, as a copy, or None; it has the values set since.

        (Except those of nodes inside sub-graphs that are no inputs of the sub-graph.)
        """
        return self.ui_for(self._graph.prompt)

    def ui_for(self, prompt: Prompt) -> dict[str, Any] | None:
        """`ui` with the values of a prompt that this workflow gave, in which seeds were drawn."""
        return (
            None
            if self._ui is None
            else brought_up_to_date(self._ui, self._places, unfilled(prompt, self._graph.prompt))
        )

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
        changes: dict[tuple[str, str], Prepared] = {}
        for path, value in values.items():
            place = self._graph.names.resolve(path)
            if place in changes:
                where = f"{clip(place[1])!r} of {self._graph.names.label(place[0])}"
                raise WorkflowError(f"Two of the paths mean the same input, {where}.")
            changes[place] = self._graph.prepare(*place, value)
        for (node_id, input_name), value in changes.items():
            self._graph.put(node_id, input_name, value)
        return self

    def to_api(self) -> dict[str, ApiNode]:
        """The API-format prompt, as a copy; every node has a `_meta` title, and what is `RANDOM` is drawn.

        Names of files have "%date:yyyy-MM-dd%" and "%KSampler.seed%" filled in, as ComfyUI's page does it. Nodes
        that are muted or bypassed are left out.
        """
        prompt: Prompt = {
            node_id: {
                "class_type": node["class_type"],
                "inputs": {name: drawn(copy_json(value)) for name, value in node["inputs"].items()},
                "_meta": {"title": node["_meta"]["title"]},
            }
            for node_id, node in self._graph.running().items()
        }
        fill_in(prompt, self._ui, datetime.now())  # noqa: DTZ005 - as the clock on the wall says
        return prompt

    def copy(self) -> Self:
        """A workflow of its own, with the same nodes."""
        other = type(self)(self._graph.prompt, name=self.name, ui=self._ui)
        other.notes = self.notes
        other._graph.classes = self._graph.classes  # noqa: SLF001 - one of ours
        other.classes, other._places = self.classes, self._places  # noqa: SLF001 - one of ours
        other._graph.uploads.update(self._graph.uploads)  # noqa: SLF001 - one of ours
        other._graph.silenced.update(self._graph.silenced)  # noqa: SLF001 - one of ours
        return other

    def diff(self, other: Workflow) -> Diff:
        """What changes from this workflow to another: nodes by id, and their inputs, titles and classes."""
        return diff(self._graph.prompt, other._graph.prompt)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the API-format prompt as JSON, which `load` and ComfyUI read; returns where."""
        target = Path(path)
        target.write_text(json.dumps(self.to_api(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return target

    @property
    def uploads(self) -> dict[str, bytes]:
        """The files that jobs of this workflow upload, by the names that its inputs hold."""
        held = {
            value
            for node in self._graph.prompt.values()
            for value in node["inputs"].values()
            if isinstance(value, str)
        }
        return {name: data for name, data in self._graph.uploads.items() if name in held}

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._graph.names)

    def __repr__(self) -> str:
        return workflow_table(self._graph.prompt, self.name, self.classes)

    def _repr_html_(self) -> str:
        return workflow_html(self._graph.prompt, self.name, self.classes)
