"""What a job put out: PIL images, texts and files, found by the node that made them.

The bytes are fetched while the job runs, so nothing here talks to a server.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from PIL import Image

from comfy_nb.errors import NotOneImage, OutputError
from comfy_nb.events import Result
from comfy_nb.pictures import UNREADABLE, open_picture
from comfy_nb.saving import safe_name, write_new
from comfy_nb.wire.fields import plain
from comfy_nb.workflow.plan import Plan

__all__ = ["Output", "Outputs"]


@dataclass(frozen=True, slots=True)
class Output:
    """One file or text that a node put out.

    `kind` is "image", "video", "audio", "text", "3d" or "file"; `saved` tells files that the server keeps from
    temporary ones. `label` is the node's title in the workflow.
    """

    _result: Result
    _plan: Plan

    @property
    def index(self) -> int:
        """The order of arrival, from 0."""
        return self._result.index

    @property
    def node_id(self) -> str:
        """The node of the workflow that shows it."""
        return self._result.display_id

    @property
    def label(self) -> str:
        """What people call that node."""
        node = self._plan.node(self._result.display_id)
        return node.label if node else self._result.display_id

    @property
    def kind(self) -> str:
        """What it is, by its file name. "image" is what Pillow reads: an SVG or EXR is a "file"."""
        return self._result.kind

    @property
    def name(self) -> str:
        """Its file name at the server; empty for texts."""
        return self._result.name

    @property
    def media_type(self) -> str:
        """Such as "image/png"."""
        return self._result.media_type

    @property
    def saved(self) -> bool:
        """Whether the server keeps the file."""
        return self._result.saved

    @property
    def data(self) -> bytes:
        """The bytes of the file, or the text in UTF-8. Raises `OutputError` if they could not be had or kept."""
        if self._result.text is not None:
            return self._result.text.encode()
        if self._result.blob is None:
            raise OutputError(f"{self.name!r} of {self.label!r} is not here: {self._result.problem}")
        return self._result.blob.data

    @property
    def text(self) -> str | None:
        """The text, also of a text file; None for anything else."""
        if self._result.text is not None:
            return self._result.text
        return self.data.decode(errors="replace") if self.kind == "text" else None

    @property
    def image(self) -> Image.Image:
        """A new PIL image, decoded from the file's own bytes.

        Its `.info` has what the file carries ("prompt", "workflow") and "prompt_id", "node", "filename" and
        "parameters": a dict of every plain input by "Title.input". Raises `OutputError` if it is no image.
        """
        if self.kind != "image":
            raise OutputError(f"{self.name or 'A text'} of {self.label!r} is no image but {self.media_type}.")
        data = self.data
        try:
            picture = open_picture(data)
            picture.load()
        except UNREADABLE as error:
            raise OutputError(
                f"{self.name!r} of {self.label!r} cannot be read as an image: {error}"
            ) from error
        picture.info |= {
            "prompt_id": self._plan.prompt_id,
            "node": self.label,
            "filename": self.name,
            "parameters": dict(self._plan.parameters),
        }
        return picture

    def save(self, path: str | Path) -> Path:
        """Write the bytes as they are to `path`, or into it under their own name if it is a folder; returns where.

        In a folder nothing is overwritten: a number is added to a name that is taken, and what not every system
        takes is left out of it. A file that is named here is overwritten, as by PIL.
        """
        target, data = Path(path), self.data
        if target.is_dir():
            return write_new(target, self.file_name, data)
        target.write_bytes(data)
        return target

    @property
    def file_name(self) -> str:
        """What it is called when it is saved: its own name, made safe for every system."""
        return safe_name(self.name or f"{self.node_id}.txt")

    def __repr__(self) -> str:
        what = repr(self._result.text[:60]) if self._result.text is not None else plain(self.name)
        return f"<Output {self.kind} {what} of {self.label!r}>"


class Outputs(Sequence[Output]):
    """The outputs of a job, or of one of its nodes, in the history's order.

    ``outputs["Save Image"]`` (title, class or id) has those of one node; ``outputs[0]`` is the first of all.
    """

    def __init__(self, outputs: Sequence[Output], plan: Plan) -> None:
        self._outputs, self._plan = tuple(outputs), plan

    @classmethod
    def of(cls, results: Sequence[Result], plan: Plan) -> Outputs:
        """From the results of a record."""
        return cls([Output(result, plan) for result in results], plan)

    @overload
    def __getitem__(self, key: int) -> Output: ...
    @overload
    def __getitem__(self, key: str | slice) -> Outputs: ...

    def __getitem__(self, key: int | str | slice) -> Output | Outputs:
        if isinstance(key, int):
            return self._outputs[key]
        if isinstance(key, slice):
            return Outputs(self._outputs[key], self._plan)
        found = [output for output in self._outputs if key in self._names(output)]
        if not found:
            nodes = {node.id for node in self._plan.nodes if key in (node.id, node.label, node.class_type)}
            raise OutputError(
                f"{key!r} has put out nothing{'' if nodes else ', and no node has that name'}. {self._there_is()}"
            )
        return Outputs(found, self._plan)

    def __contains__(self, key: object) -> bool:
        """Whether a node of that title, class or id has put something out, or an output is one of these."""
        if isinstance(key, str):
            return any(key in self._names(output) for output in self._outputs)
        return key in self._outputs

    def __len__(self) -> int:
        return len(self._outputs)

    def __iter__(self) -> Iterator[Output]:
        return iter(self._outputs)

    def keys(self) -> list[str]:
        """The labels of the nodes that have put something out, in order."""
        return list(dict.fromkeys(output.label for output in self._outputs))

    def _ipython_key_completions_(self) -> list[str]:
        return self.keys()

    @property
    def image(self) -> Image.Image:
        """The only saved image (or the only one, if none was saved). Raises `NotOneImage` for none or several."""
        pictures = [output for output in self._outputs if output.kind == "image"]
        saved = [output for output in pictures if output.saved] or pictures
        if len(saved) != 1:
            count = f"are {len(saved)} images" if saved else "is no image"
            more = ": .images has them all." if saved else f". {self._there_is()}"
            raise NotOneImage(f"There {count} here, where .image wants exactly one{more}")
        return saved[0].image

    @property
    def images(self) -> list[Image.Image]:
        """All images, saved ones first."""
        pictures = [output for output in self._outputs if output.kind == "image"]
        return [output.image for output in sorted(pictures, key=lambda output: not output.saved)]

    @property
    def texts(self) -> list[str]:
        """All texts, also those in text files."""
        return [output.text for output in self._outputs if output.text is not None]

    @property
    def text(self) -> str:
        """All texts, one after another, with a blank line between."""
        return "\n\n".join(self.texts)

    @property
    def video(self) -> list[Output]:
        """All videos, as outputs with `.data`."""
        return self._of_kind("video")

    @property
    def audio(self) -> list[Output]:
        """All sounds, as outputs with `.data`."""
        return self._of_kind("audio")

    @property
    def files(self) -> list[Output]:
        """Everything that is a file at the server, images included."""
        return [output for output in self._outputs if output.name]

    def __repr__(self) -> str:
        return f"<Outputs: {', '.join(map(repr, self._outputs))}>" if self._outputs else "<Outputs: none>"

    def _of_kind(self, kind: str) -> list[Output]:
        return [output for output in self._outputs if output.kind == kind]

    def _names(self, output: Output) -> set[str]:
        node = self._plan.node(output.node_id)
        return {output.node_id, output.label, node.class_type if node else ""} - {""}

    def _there_is(self) -> str:
        labels = ", ".join(map(repr, self.keys()))
        return f"There are outputs of: {labels}." if labels else "There are no outputs."
