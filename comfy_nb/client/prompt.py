"""One prompt on its way through a server: its run, its results so far, and who listens."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from comfy_nb import events as ev
from comfy_nb.errors import ComfyError
from comfy_nb.run import Run, differences, fold
from comfy_nb.snapshot import Snapshot, take
from comfy_nb.store import Blob
from comfy_nb.wire import messages as wire
from comfy_nb.wire.records import FileRef, NodeOutput
from comfy_nb.workflow.plan import Plan

__all__ = ["Frame", "Prompt", "Result"]

log = logging.getLogger("comfy_nb")

Listener = Callable[[ev.Event], None]
MOST_CHANGES = 200  # of one full picture that are taken at once; the next one brings the others
ResultKey = tuple[str, FileRef | None, int]


@dataclass(frozen=True, slots=True)
class Result:
    """One file or text that a node put out, with its bytes. `problem` says why there are none.

    `index` is the order of arrival and never changes; `node_id` is an execution id, `display_id` a planned one.
    """

    index: int
    node_id: str
    display_id: str
    name: str
    media_type: str
    kind: str
    saved: bool
    text: str | None = None
    blob: Blob | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """One preview that was let through, kept for the step history."""

    node_id: str
    step: int
    of: int
    media_type: str
    blob: Blob


@dataclass(eq=False)
class Prompt:
    """Changed on the loop thread only. `run` and `results` are replaced, not changed, so anybody may read them."""

    plan: Plan
    api: dict[str, Any]
    preview: str = "auto"
    graph: dict[str, Any] | None = None  # in UI format, for the files that it saves
    uploads: dict[str, bytes] = field(default_factory=dict[str, bytes])  # by the names that `api` holds
    checked: bool = True  # whether to look for faults before it is sent
    clock: Callable[[], float] = time.monotonic  # in seconds
    run: Run = field(init=False)
    results: tuple[Result, ...] = ()
    frames: list[Frame] = field(default_factory=list[Frame])
    latest: ev.Preview | None = None  # for a view that is made late
    heard_at: float | None = None  # monotonic seconds of the server's last word about it
    missing_since: float | None = None  # monotonic seconds from which neither queue nor history knew of it
    sent: bool = False  # whether the server may have got it
    posting: bool = False  # whether the server's answer is still to come
    doubt: ComfyError | None = None  # why it is not known whether the server got it
    unwatched: bool = False  # whether the connection was lost at any time since
    pictured: bool = False  # whether the server sends pictures of all nodes: 0.3.45 and newer
    titled: bool = False  # whether somebody gave it its title
    stop_asked: bool = False
    stop_sent_at: float | None = None  # monotonic seconds of the last one that can have reached it
    stop_running: bool = False  # whether one is being sent
    settling: bool = False
    collecting: asyncio.Lock = field(default_factory=asyncio.Lock)
    keeping: asyncio.Lock = field(default_factory=asyncio.Lock)
    unkept: deque[ev.Preview] = field(default_factory=deque[ev.Preview])  # frames that wait for the disk
    _keys: dict[ResultKey, int] = field(default_factory=dict[ResultKey, int])
    _listeners: list[Listener] = field(default_factory=list[Listener])

    def __post_init__(self) -> None:
        self.run = Run(self.plan)

    @property
    def id(self) -> str:
        """The prompt id."""
        return self.plan.prompt_id

    @property
    def wants_previews(self) -> bool:
        """Whether previews were asked for."""
        return self.preview != "none"

    def adopt(self, prompt_id: str) -> None:
        """Go by another id: servers before 0.3.45 choose it themselves."""
        self.plan = replace(self.plan, prompt_id=prompt_id)
        self.run = replace(self.run, plan=self.plan)

    def entitle(self, title: str) -> None:
        """Go by another title."""
        self.plan = replace(self.plan, title=title)
        self.run = replace(self.run, plan=self.plan)
        self.titled = True

    def stop_previews(self) -> None:
        """Take no previews any more, and let go of those that are here."""
        self.preview = "none"
        self.latest = None
        for frame in self.frames:
            frame.blob.free()
        self.frames.clear()

    def keep(self, preview: ev.Preview, blob: Blob) -> None:
        """Add a frame to the step history, unless previews were turned off meanwhile."""
        if self.wants_previews:
            frame = Frame(preview.node_id, preview.step, preview.of, preview.media_type, blob)
            self.frames.append(frame)

    def rename_file(self, name: str, stored: str) -> None:
        """Go by what the server calls an uploaded file."""
        if stored != name:
            for node in self.api.values():
                inputs = node["inputs"]
                inputs.update({key: stored for key, value in inputs.items() if value == name})

    def feed(self, event: ev.Event) -> ev.Event | None:
        """Fold `event` into the run and tell the listeners. Returns what they were told, None if it was dropped."""
        if isinstance(event, ev.Preview):
            event = self._placed(event)
        changed = fold(self.run, event, self.clock())
        if changed is self.run:
            return None
        self.run = changed
        if isinstance(event, ev.Preview):
            self.latest = event
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:  # the other listeners hear of the event all the same
                log.exception("comfy_nb: a listener of job %s raised", self.id)
        return event

    def hear(self, message: wire.Message) -> tuple[ev.Event, ...]:
        """Take a message that is this prompt's; returns the events that it meant and that were not dropped."""
        self.heard_at = self.clock()
        self.doubt = None  # who speaks of it has it
        if self.run.link_note and self.run.link == "connected":
            self.feed(ev.LinkChanged("connected", ""))  # the silence is over
        if isinstance(message, wire.ProgressState):
            self.pictured = True
            meant: tuple[ev.Event | None, ...] = tuple(
                islice(differences(self.run, message.nodes), MOST_CHANGES)
            )
        else:
            meant = (*self._over_by(message), ev.from_message(message))
        told = (self.feed(event) for event in meant if event is not None)
        return tuple(event for event in told if event is not None)

    def _over_by(self, message: wire.Message) -> tuple[ev.Event, ...]:
        """The nodes that are over as another one starts, on servers that never say so: they run one at a time.

        A node that expanded runs on while its children do.
        """
        if self.pictured or not isinstance(message, wire.Executing) or message.node is None:
            return ()
        running = [key for key, node in self.run.nodes.items() if node.state == "running"]
        started = message.node
        return tuple(
            ev.NodeFinished(key) for key in running if key != started and not started.startswith(f"{key}.")
        )

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of each event from now on, on the loop thread; returns how to stop it."""
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def snapshot(self) -> Snapshot:
        """What a viewer is told at this moment."""
        return take(self.run, self.clock(), heard_at=self.heard_at, previews=self.wants_previews)

    def has(self, key: ResultKey) -> bool:
        """Whether this file or text has been collected."""
        return key in self._keys

    def add(self, key: ResultKey, result: Result) -> None:
        """Keep a result and tell the listeners."""
        self._keys[key] = result.index
        self.results = (*self.results, result)
        self.feed(ev.OutputArrived(result.index, result.display_id))

    def order_by(self, outputs: Iterable[NodeOutput]) -> None:
        """Put the results in the history's order; what it does not know (frames of the socket) comes last."""
        ranked = [self._keys.get(key) for output in outputs for key in keys_of(output)]
        first = [index for index in ranked if index is not None]
        ordered = set(first)
        rest = [result.index for result in self.results if result.index not in ordered]
        by_index = {result.index: result for result in self.results}
        self.results = tuple(by_index[index] for index in (*first, *rest))

    def shown(self, node_id: str) -> str:
        """The planned node under which an execution id is shown."""
        return self.plan.display_id(node_id) or node_id

    def class_of(self, node_id: str) -> str:
        """The class of a planned node, or an empty text."""
        return next((node.class_type for node in self.plan.nodes if node.id == node_id), "")

    def _placed(self, preview: ev.Preview) -> ev.Preview:
        """Fill in the node and step that a frame itself does not carry."""
        node_id = preview.node_id or self.run.current or ""
        bar = self.run.nodes.get(node_id)
        step, of = (round(bar.value), round(bar.max)) if bar and bar.has_bar else (0, 0)
        return replace(preview, node_id=node_id, step=step, of=of)


def keys_of(output: NodeOutput) -> list[ResultKey]:
    """What tells the results of one node apart: its files, and the place of each text."""
    files: list[ResultKey] = [(output.node_id, file, 0) for file in output.files]
    return files + [(output.node_id, None, place) for place in range(len(output.texts))]
