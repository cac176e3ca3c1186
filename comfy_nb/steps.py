"""`job.steps`: every preview of every sampler step, kept; and the `Recorder` that keeps them.

A preview is the model's current guess of the final picture, never the noisy image. Of a batch the server shows the
first picture only.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from PIL import Image

from comfy_nb import events as ev
from comfy_nb.errors import UnknownStep
from comfy_nb.outputs import open_picture
from comfy_nb.record import Kept, Record
from comfy_nb.store import Blob, get_store

__all__ = ["Recorder", "Step", "Steps"]


class Recorder:
    """Keeps the previews of a record in the store, and says so by `StepKept` in the same turn.

    It is a listener, and no part of what brings the previews: whoever needs no history attaches none.
    """

    def __init__(self, record: Record) -> None:
        """Keep what comes from now on, until the record ends."""
        self._record = record
        self._stop: Callable[[], None] = record.listen(self._hear)

    def _hear(self, event: ev.Event) -> None:
        if isinstance(event, ev.Preview):
            blob = get_store().put(event.image, "steps")
            number = self._record.run.previews
            self._record.feed(
                ev.StepKept(number, event.node_id, event.step, event.of, event.media_type, blob)
            )
        elif self._record.run.ended:
            self._stop()


@dataclass(frozen=True, slots=True)
class Step:
    """One kept preview. `kind` is "guess": the model's current guess of the final picture.

    `index` is its place in order of arrival, from 0; `step` of `of` what the node's bar said (0 of 0: nothing);
    `seconds` how long after the job's start it came.
    """

    index: int
    node_id: str
    label: str
    step: int
    of: int
    seconds: float
    media_type: str
    blob: Blob
    kind: str = "guess"

    @property
    def data(self) -> bytes:
        """The server's own bytes. Raises `OutputError` if they had to be dropped."""
        return self.blob.data

    @property
    def image(self) -> Image.Image:
        """A new PIL image, decoded now. Raises `OutputError` as `data` does."""
        picture = open_picture(self.data)
        picture.load()
        return picture

    def __repr__(self) -> str:
        return f"<Step {self.step} of {self.of} of {self.label!r}, {self.blob.size:,} bytes>"

    def _repr_png_(self) -> bytes:
        out = io.BytesIO()
        self.image.save(out, "PNG")
        return out.getvalue()


class Steps(Sequence[Step]):
    """The steps of a job, in order of arrival; it grows while the job runs.

    ``steps[0]`` and slices go by arrival, ``steps.at(7)`` by the number of the step, ``steps["KSampler"]`` are those
    of one node (title, class or id), ``steps.latest`` is the newest.
    """

    def __init__(self, record: Record, node_id: str | None = None) -> None:
        """The steps of a record, or of one of its nodes."""
        self._record, self._node_id = record, node_id

    @property
    def latest(self) -> Step | None:
        """The newest step, or None before the first."""
        kept = self._kept()
        return self._step(len(kept) - 1, kept[-1]) if kept else None

    def at(self, number: int) -> Step:
        """The step numbered `number`, as its sampler counts. Raises `UnknownStep`, and where several samplers ran."""
        nodes = dict.fromkeys(self._shown(kept) for kept in self._kept())
        if len(nodes) > 1:
            there = ", ".join(repr(self._label(node)) for node in nodes)
            raise UnknownStep(
                f"Several nodes sampled: {there}. Name one: job.steps[{self._label(next(iter(nodes)))!r}].at({number})."
            )
        found = [step for step in self if step.step == number]
        if not found:
            raise UnknownStep(f"No step {number} was kept. {self._there_are()}")
        return found[-1]

    @overload
    def __getitem__(self, key: int) -> Step: ...
    @overload
    def __getitem__(self, key: slice) -> list[Step]: ...
    @overload
    def __getitem__(self, key: str) -> Steps: ...

    def __getitem__(self, key: int | slice | str) -> Step | list[Step] | Steps:
        kept = self._kept()
        if isinstance(key, str):
            return Steps(self._record, self._node(key))
        if isinstance(key, slice):
            return [self._step(index, kept[index]) for index in range(*key.indices(len(kept)))]
        index = range(len(kept))[key]
        return self._step(index, kept[index])

    def __len__(self) -> int:
        return len(self._kept())

    def __iter__(self) -> Iterator[Step]:
        return (self._step(index, kept) for index, kept in enumerate(self._kept()))

    def __repr__(self) -> str:
        return f"<Steps: {len(self)}. {self._there_are()}>"

    def _kept(self) -> Sequence[Kept]:
        if self._node_id is None:
            return self._record.steps[:]
        return [kept for kept in self._record.steps if self._shown(kept) == self._node_id]

    def _shown(self, kept: Kept) -> str:
        return self._record.run.display_id(kept.event.node_id) or kept.event.node_id

    def _label(self, node_id: str) -> str:
        node = self._record.plan.node(node_id)
        return node.label if node else node_id

    def _node(self, name: str) -> str:
        ran = dict.fromkeys(self._shown(kept) for kept in self._record.steps)
        nodes = {node.id: node for node in self._record.plan.nodes}
        found = [
            node_id
            for node_id in ran
            if name == node_id
            or (node_id in nodes and name in (nodes[node_id].label, nodes[node_id].class_type))
        ]
        if len(found) == 1:
            return found[0]
        there = ", ".join(f"{self._label(node_id)!r} (node {node_id})" for node_id in ran) or "none"
        what = f"{name!r} can mean several nodes" if found else f"No node {name!r} has steps"
        raise UnknownStep(f"{what}. Nodes with steps: {there}.")

    def _step(self, index: int, kept: Kept) -> Step:
        event, node_id = kept.event, self._shown(kept)
        began = self._record.run.started_at
        seconds = max(0.0, kept.at - began) if began is not None else 0.0
        label = self._label(node_id)
        return Step(index, node_id, label, event.step, event.of, seconds, event.media_type, event.blob)

    def _there_are(self) -> str:
        numbers = sorted({kept.event.step for kept in self._kept()})
        if not numbers:
            off = not self._record.run.previewing
            return "Previews are turned off." if off else "No step has been kept."
        return f"There are steps {numbers[0]} to {numbers[-1]}."
