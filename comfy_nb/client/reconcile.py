"""The truth about prompts: the server's queue and history, against what the socket said.

Queue first, then history: a prompt only ever moves that way, so nothing can be missed between the two. One that is
in neither, twice and a moment apart, is gone; and how it was watched until then says what most likely became of it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from weakref import WeakKeyDictionary

from comfy_nb import events as ev
from comfy_nb.client.collect import collect
from comfy_nb.client.delivery import Delivery
from comfy_nb.client.exchange import Unavailable
from comfy_nb.client.http import LONG_QUEUE, Http
from comfy_nb.client.timing import Timing
from comfy_nb.errors import ComfyError, ConnectionFailed, ServerError
from comfy_nb.failures import unreachable, verdict
from comfy_nb.wire.records import HistoryEntry, Queue

__all__ = ["REMOVED", "Reconciler"]

log = logging.getLogger("comfy_nb")

AT_ONCE = 4  # histories asked for at the same time
TELL_AFTER = 2  # looks in a row that told nothing

UNREAD = "What becomes of it cannot be read, and is asked for again"
REMOVED = "cancelled while it waited in the queue"
NOT_RUN = "cancelled before it ran"
RESTARTED = "the server was restarted, it seems: it knows nothing of it any more, nor of any other job"
UNKNOWN = "Whether it got the job is not known: it knows of no job at all now, as after a restart."
DELETED = "somebody removed it from the queue before it ran"
CLEARED = "somebody cleared the server's history before its outcome could be read"
GONE = (
    "the server knows nothing of it any more: somebody removed it, the history was cleared, "
    "or the server was restarted"
)


class Reconciler:
    """Compares prompts with the server, and ends those that it knows to be over. Runs on the loop thread."""

    def __init__(self, http: Http, timing: Timing, finish: Callable[[Delivery, ev.Event], None]) -> None:
        self._http, self._timing, self._finish = http, timing, finish
        self._failures: WeakKeyDictionary[Delivery, int] = (
            WeakKeyDictionary()
        )  # looks that told nothing, in a row

    async def compare(self, deliveries: Collection[Delivery]) -> Queue:
        """Look at the queue, then at the history of those that are not in it. Raises `ComfyError`."""
        try:
            queue = await self._http.queue()
        except ComfyError as error:
            self._unread(deliveries, error)
            raise
        gone: list[Delivery] = []
        work = self._http.work
        places = await work(_places, queue) if len(queue.pending) > LONG_QUEUE else _places(queue)
        for delivery in deliveries:
            position = places.get(delivery.id)
            if position is None:
                gone.append(delivery)
            else:
                _found(delivery)
                self._was_read(delivery)
                delivery.feed(ev.Positioned(position))
        await self._not_queued_at_all(gone)
        return queue

    async def _not_queued_at_all(self, deliveries: Collection[Delivery]) -> None:
        """Ask about each, some at a time: one whose history cannot be read keeps no other one waiting."""
        some = asyncio.Semaphore(AT_ONCE)
        faults: list[ComfyError] = []

        async def ask(delivery: Delivery) -> None:
            async with some:
                if any(isinstance(fault, ConnectionFailed) for fault in faults):
                    return  # the server is away
                try:
                    await self._not_queued(delivery)
                    self._was_read(delivery)
                except ComfyError as error:
                    faults.append(error)
                    self._unread([delivery], error)

        await asyncio.gather(*map(ask, deliveries))
        for fault in faults[:1]:
            log.info("comfy_nb: the history of %s: %s", self._http.address.display, fault)

    def _unread(self, deliveries: Collection[Delivery], error: ComfyError) -> None:
        """Say so after the second time: once may be chance, and while the connection is lost that is said already."""
        for delivery in deliveries:
            if delivery.run.ended or delivery.run.link != "connected":
                continue
            times = self._failures[delivery] = self._failures.get(delivery, 0) + 1
            if times >= TELL_AFTER and isinstance(error, ConnectionFailed | Unavailable):  # which may pass
                delivery.feed(ev.LinkChanged("connected", f"{UNREAD}: {error}"))
            elif times == TELL_AFTER:
                delivery.feed(ev.Warned(f"{UNREAD}: {error}"))

    def _was_read(self, delivery: Delivery) -> None:
        self._failures.pop(delivery, None)
        if delivery.run.link == "connected" and delivery.run.link_note.startswith(UNREAD):
            delivery.feed(ev.LinkChanged("connected", ""))

    async def settle(self, delivery: Delivery, tries: tuple[float, ...] = (0.0,)) -> bool:
        """Ask the history how a run went; then fetch its outputs, and end it. False if it does not know yet.

        Raises `ComfyError` if the history cannot be asked.
        """
        if delivery.settling or delivery.run.ended:
            return True
        delivery.settling = True
        try:
            entry = await self._history(delivery, tries)
            if entry is None:
                return False
            _found(delivery)
            delivery.feed(verdict(entry, delivery.record.plan, delivery.run.display_id))
            for output in entry.outputs:
                await collect(delivery, output, self._http, self._timing.fetch)
            async with delivery.collecting:  # all that came before is here
                order = delivery.order_by(entry.outputs)
            self._finish(delivery, ev.Ended(order))
        finally:
            delivery.settling = False
        return True

    async def _history(self, delivery: Delivery, tries: tuple[float, ...]) -> HistoryEntry | None:
        fault: ComfyError | None = None
        for delay in tries:
            await asyncio.sleep(delay)
            try:
                entry = await self._http.history(delivery.id)
            except ComfyError as error:
                fault = error
                continue
            if entry is not None:
                return entry
            fault = None
        if fault is not None:  # which says nothing about the prompt
            raise fault
        return None

    async def _not_queued(self, delivery: Delivery) -> None:
        if delivery.run.ended or await self.settle(delivery):
            return
        now = time.monotonic()
        if delivery.missing_since is None:
            delivery.missing_since = now
        elif now - delivery.missing_since >= self._timing.again:
            await self._gone(delivery)

    async def _gone(self, delivery: Delivery) -> None:
        if delivery.stop_asked and delivery.run.started_at is None:
            # Also when it may never have arrived: it was not to run, and will not.
            why = REMOVED if delivery.doubt is None else NOT_RUN
            self._finish(delivery, ev.Vanished(why, cancelled=True))
            return
        forgot_all = await self._forgot_all()
        if isinstance(delivery.doubt, ConnectionFailed) and delivery.unwatched and forgot_all:
            self._finish(delivery, ev.Vanished(f"{delivery.doubt} {UNKNOWN}"))
        elif delivery.doubt is not None:
            self._finish(delivery, ev.Rejected(unreachable(delivery.doubt)))
        else:
            self._finish(delivery, ev.Vanished(_cause(delivery, forgot_all)))

    async def _forgot_all(self) -> bool:
        """Whether the server knows of no job that ended. Raises `ConnectionFailed` while it is away."""
        try:
            return not await self._http.last_history(1)
        except ServerError as error:  # the list of all is more than this server can tell
            log.info("comfy_nb: the last of the history: %s", error)
            return False


def _places(queue: Queue) -> dict[str, int]:
    """Every prompt's position, in one go: `Queue.position` looks through all of it for each."""
    waiting = {item.prompt_id: len(queue.pending) - at for at, item in enumerate(reversed(queue.pending))}
    return waiting | {item.prompt_id: 0 for item in queue.running}


def _found(delivery: Delivery) -> None:
    """The server has it: what was in doubt is settled."""
    delivery.missing_since = delivery.doubt = None
    delivery.feed(ev.Submitted())


def _cause(delivery: Delivery, forgot_all: bool) -> str:
    if delivery.unwatched:
        return RESTARTED if forgot_all else GONE
    return DELETED if delivery.run.started_at is None else CLEARED
