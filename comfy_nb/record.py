"""Record: what is known of one prompt, for whoever holds it, shows it or hands it on.

A `Request` is what is to be sent, and never changes. A `Record` takes events by `feed()`, folds them into its run, its
results and its kept steps, and tells its listeners: who feeds the same events to another record gets the same again.
Everything that is fed is fed on one thread, the loop's; anybody may read.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar, overload

from comfy_nb import events as ev
from comfy_nb.run import Run, fold
from comfy_nb.snapshot import Snapshot, take
from comfy_nb.workflow.plan import Plan

__all__ = ["Growing", "Kept", "Listener", "Record", "Request"]

log = logging.getLogger("comfy_nb")

T = TypeVar("T")
Listener = Callable[[ev.Event], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sent, frozen when the job is made. It can be pickled, and carries no credentials of ours.

    `api` is the prompt in API format, `graph` the same in UI format, for the files that it saves. `uploads` are files
    by the names that `api` holds. `checked` says whether to look for faults before it is sent, `titled` whether
    somebody gave it its title.
    """

    plan: Plan
    api: dict[str, Any] = field(repr=False)
    preview: str = "auto"
    graph: dict[str, Any] | None = field(default=None, repr=False)
    uploads: dict[str, bytes] = field(default_factory=dict[str, bytes], repr=False)
    checked: bool = True
    titled: bool = False


class Growing(Sequence[T], Generic[T]):
    """A list that only grows, on one thread, and may be read on any: a reader sees what was there when it began."""

    def __init__(self) -> None:
        self._items: list[T] = []

    def append(self, item: T) -> None:
        """Add an item."""
        self._items.append(item)

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        return self._items[index]

    def __iter__(self) -> Iterator[T]:
        return iter(self._items[:])


@dataclass(frozen=True, slots=True)
class Kept:
    """A step that was kept, and when, in monotonic seconds."""

    event: ev.StepKept
    at: float


class Record:
    """One prompt: its run, its results, its kept steps, and who listens.

    `seq` is the number of the last event that was told, from 1, and `at` its time in monotonic seconds; `heard_at` is
    when the server last spoke of the prompt. `latest` is the newest preview.
    """

    def __init__(
        self, request: Request, *, server: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        """A record of what has not been sent. `server` is where it will run, for people; empty if that is open."""
        self.request = request
        self.run = Run(request.plan, server=server, previewing=request.preview != "none")
        self.seq, self.at = 0, clock()
        self.heard_at: float | None = None
        self.latest: ev.Preview | None = None
        self.steps: Growing[Kept] = Growing()
        self.titled = request.titled
        self._results: Growing[ev.Result] = Growing()
        self._order: tuple[int, ...] = ()
        self._clock = clock
        self._listeners: list[Listener] = []
        self._fed: deque[ev.Event] = deque()  # while one is being told, those that come of it wait here
        self._telling = False

    @property
    def plan(self) -> Plan:
        """The nodes that will run, by the title that it has now."""
        return self.run.plan

    @property
    def id(self) -> str:
        """The prompt id."""
        return self.run.plan.prompt_id

    @property
    def results(self) -> Sequence[ev.Result]:
        """What it has put out so far, in order of arrival; at the end, in the history's order."""
        return [self._results[index] for index in self._order] if self._order else self._results

    def feed(self, event: ev.Event) -> ev.Event | None:
        """Fold an event, and tell the listeners. Returns what they were told; None if it changes nothing.

        What a listener feeds is told after the current event, so that all listeners hear all in one order; None then.
        """
        self._fed.append(event)
        if self._telling:
            return None
        self._telling = True
        try:
            told = self._take(self._fed.popleft())
            while self._fed:
                self._take(self._fed.popleft())
        finally:
            self._telling = False
        return told

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of each event from now on, on the loop thread; returns how to stop it, from any."""
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def snapshot(self) -> Snapshot:
        """What a viewer is told at this moment."""
        return take(self.run, self._clock(), heard_at=self.heard_at)

    def hear(self) -> None:
        """The server has just spoken of it."""
        self.heard_at = self._clock()

    def last_frame(self) -> ev.Preview | None:
        """The newest preview, also after the end. May read a file then: for the workers."""
        if self.latest is not None or not len(self.steps):
            return self.latest
        kept = self.steps[-1].event
        return ev.Preview(kept.node_id, kept.media_type, kept.blob.data, kept.step, kept.of)

    def _take(self, event: ev.Event) -> ev.Event | None:
        if isinstance(event, ev.Preview):
            event = self._placed(event)
        at = self._clock()
        changed = fold(self.run, event, at)
        if changed is self.run:
            return None
        self.run, self.at, self.seq = changed, at, self.seq + 1
        self._note(event)
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:  # the other listeners hear of the event all the same
                log.exception("comfy_nb: a listener of job %s raised", self.id)
        return event

    def _note(self, event: ev.Event) -> None:
        """What an event adds beside the run."""
        match event:
            case ev.Preview():
                self.latest = event
            case ev.StepKept():
                self.steps.append(Kept(event, self.at))
            case ev.OutputArrived(result=result):
                self._results.append(result)
            case ev.Ended(order=order):
                self._order = order if sorted(order) == list(range(len(self._results))) else ()
            case ev.Entitled():
                self.titled = True
            case ev.PreviewsOff():
                self._let_go_of_previews()
            case _:
                pass
        if self.run.ended and self.run.kept and self.run.kept == self.run.previews:
            self.latest = None  # it is among the steps

    def _let_go_of_previews(self) -> None:
        for kept in self.steps:
            kept.event.blob.free()
        self.steps, self.latest = Growing(), None

    def _placed(self, preview: ev.Preview) -> ev.Preview:
        """Fill in the node and step that a frame itself does not carry."""
        if preview.of:  # it was said: a recorded one, or one from another host
            return preview
        node_id = preview.node_id or self.run.current or ""
        bar = self.run.nodes.get(node_id)
        step, of = (round(bar.value), round(bar.max)) if bar and bar.has_bar else (0, 0)
        return replace(preview, node_id=node_id, step=step, of=of)
