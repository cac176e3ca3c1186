"""Delivery: what a client must remember of a record while it is on its way through a server.

What is known of the prompt itself is in its record; what is here is forgotten when the prompt has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from comfy_nb import events as ev
from comfy_nb.errors import ComfyError
from comfy_nb.record import Record
from comfy_nb.run import Run, differences
from comfy_nb.wire import messages as wire
from comfy_nb.wire.records import FileRef, NodeOutput

__all__ = ["Delivery", "ResultKey", "keys_of"]

MOST_CHANGES = 200  # of one full picture that are taken at once; the next one brings the others
ResultKey = tuple[str, FileRef | None, int]


@dataclass(eq=False)
class Delivery:
    """One record on its way. Changed on the loop thread only. All times are monotonic seconds."""

    record: Record
    extra_data: dict[str, Any] = field(
        default_factory=dict[str, Any], repr=False
    )  # that goes along with the prompt
    sent: bool = False  # whether the server may have got it
    posting: bool = False  # whether the server's answer is still to come
    doubt: ComfyError | None = None  # why it is not known whether the server got it
    unwatched: bool = False  # whether the connection was lost at any time since
    missing_since: float | None = None  # since when neither queue nor history knew of it
    stop_sent_at: float | None = None  # when the last stop that can have reached the server was sent
    stop_running: bool = False  # whether one is being sent
    settling: bool = False
    collecting: asyncio.Lock = field(default_factory=asyncio.Lock)
    collected: dict[ResultKey, int] = field(default_factory=dict[ResultKey, int])  # the index of each result
    pictured: bool = False  # whether the server sends pictures of all nodes: 0.3.45 and newer

    @property
    def id(self) -> str:
        """The prompt id."""
        return self.record.id

    @property
    def run(self) -> Run:
        """How it stands."""
        return self.record.run

    @property
    def stop_asked(self) -> bool:
        """Whether it is to be stopped."""
        return self.run.stopping and not self.run.ended

    def feed(self, event: ev.Event) -> ev.Event | None:
        """Tell the record."""
        return self.record.feed(event)

    def hear(self, message: wire.Message) -> tuple[ev.Event, ...]:
        """Take a message that is this prompt's; returns the events that it meant and that were not dropped."""
        self.record.hear()
        self.doubt = None  # who speaks of it has it
        if self.run.link_note and self.run.link == "connected":
            self.feed(ev.LinkChanged("connected", ""))  # the silence is over
        told = [self.feed(event) for event in self._meant(message)]
        return tuple(event for event in told if event is not None)

    def add(self, key: ResultKey, result: ev.Result) -> None:
        """A result is here."""
        self.collected[key] = result.index
        self.feed(ev.OutputArrived(result))

    def order_by(self, outputs: Iterable[NodeOutput]) -> tuple[int, ...]:
        """The results in the history's order; those that it does not know (frames of the socket) come last."""
        ranked = [self.collected.get(key) for output in outputs for key in keys_of(output)]
        first = dict.fromkeys(index for index in ranked if index is not None)
        return (*first, *(index for index in range(len(self.collected)) if index not in first))

    def _meant(self, message: wire.Message) -> Iterator[ev.Event]:
        """What a message means, each said as the one before has been folded."""
        yield from (shown for shown in ev.shown_by(message) if self.run.display_id(shown.node_id) is None)
        if isinstance(message, wire.ProgressState):
            self.pictured = True
            yield from islice(differences(self.run, message.nodes), MOST_CHANGES)
            return
        yield from self._over_by(message)
        if (event := ev.from_message(message)) is not None:
            yield event

    def _over_by(self, message: wire.Message) -> tuple[ev.Event, ...]:
        """The nodes that are over as another one starts, on servers that never say so: they run one at a time.

        A node that expanded runs on while its children do.
        """
        if self.pictured or not isinstance(message, wire.Executing) or message.node is None:
            return ()
        running = [key for key, node in self.run.nodes.items() if node.state == "running"]
        started = message.node
        return tuple(
            ev.NodeFinished(key)
            for key in running
            if key != started and not started.startswith(f"{key}.") and self.run.display_id(started) != key
        )


def keys_of(output: NodeOutput) -> list[ResultKey]:
    """What tells the results of one node apart: its files, and the place of each text."""
    files: list[ResultKey] = [(output.node_id, file, 0) for file in output.files]
    return files + [(output.node_id, None, place) for place in range(len(output.texts))]
