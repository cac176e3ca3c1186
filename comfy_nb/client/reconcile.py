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
from comfy_nb.client.exchange import Unavailable
from comfy_nb.client.http import LONG_QUEUE, Http
from comfy_nb.client.loop import Loop
from comfy_nb.client.prompt import Prompt
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

    def __init__(
        self, http: Http, loop: Loop, timing: Timing, finish: Callable[[Prompt, ev.Event], None]
    ) -> None:
        self._http, self._loop, self._timing, self._finish = http, loop, timing, finish
        self._failures: WeakKeyDictionary[Prompt, int] = (
            WeakKeyDictionary()
        )  # looks that told nothing, in a row

    async def compare(self, prompts: Collection[Prompt]) -> Queue:
        """Look at the queue, then at the history of those that are not in it. Raises `ComfyError`."""
        try:
            queue = await self._http.queue()
        except ComfyError as error:
            self._unread(prompts, error)
            raise
        gone: list[Prompt] = []
        places = await self._loop.work(_places, queue) if len(queue.pending) > LONG_QUEUE else _places(queue)
        for prompt in prompts:
            position = places.get(prompt.id)
            if position is None:
                gone.append(prompt)
            else:
                _found(prompt)
                self._was_read(prompt)
                prompt.feed(ev.Positioned(position))
        await self._not_queued_at_all(gone)
        return queue

    async def _not_queued_at_all(self, prompts: Collection[Prompt]) -> None:
        """Ask about each, some at a time: one whose history cannot be read keeps no other one waiting."""
        some = asyncio.Semaphore(AT_ONCE)
        faults: list[ComfyError] = []

        async def ask(prompt: Prompt) -> None:
            async with some:
                if any(isinstance(fault, ConnectionFailed) for fault in faults):
                    return  # the server is away
                try:
                    await self._not_queued(prompt)
                    self._was_read(prompt)
                except ComfyError as error:
                    faults.append(error)
                    self._unread([prompt], error)

        await asyncio.gather(*map(ask, prompts))
        for fault in faults[:1]:
            log.info("comfy_nb: the history of %s: %s", self._http.address.display, fault)

    def _unread(self, prompts: Collection[Prompt], error: ComfyError) -> None:
        """Say so after the second time: once may be chance, and while the connection is lost that is said already."""
        for prompt in prompts:
            if prompt.run.ended or prompt.run.link != "connected":
                continue
            times = self._failures[prompt] = self._failures.get(prompt, 0) + 1
            if times >= TELL_AFTER and isinstance(error, ConnectionFailed | Unavailable):  # which may pass
                prompt.feed(ev.LinkChanged("connected", f"{UNREAD}: {error}"))
            elif times == TELL_AFTER:
                prompt.feed(ev.Warned(f"{UNREAD}: {error}"))

    def _was_read(self, prompt: Prompt) -> None:
        self._failures.pop(prompt, None)
        if prompt.run.link == "connected" and prompt.run.link_note.startswith(UNREAD):
            prompt.feed(ev.LinkChanged("connected", ""))

    async def settle(self, prompt: Prompt, tries: tuple[float, ...] = (0.0,)) -> bool:
        """Ask the history how a run went; then fetch its outputs, and end it. False if it does not know yet.

        Raises `ComfyError` if the history cannot be asked.
        """
        if prompt.settling or prompt.run.ended:
            return True
        prompt.settling = True
        try:
            entry = await self._history(prompt, tries)
            if entry is None:
                return False
            _found(prompt)
            prompt.feed(verdict(entry, prompt.plan))
            for output in entry.outputs:
                await collect(prompt, output, self._http, self._loop, self._timing.fetch)
            async with prompt.collecting, prompt.keeping:  # all that came before is here
                prompt.order_by(entry.outputs)
            self._finish(prompt, ev.Ended())
        finally:
            prompt.settling = False
        return True

    async def _history(self, prompt: Prompt, tries: tuple[float, ...]) -> HistoryEntry | None:
        fault: ComfyError | None = None
        for delay in tries:
            await asyncio.sleep(delay)
            try:
                entry = await self._http.history(prompt.id)
            except ComfyError as error:
                fault = error
                continue
            if entry is not None:
                return entry
            fault = None
        if fault is not None:  # which says nothing about the prompt
            raise fault
        return None

    async def _not_queued(self, prompt: Prompt) -> None:
        if prompt.run.ended or await self.settle(prompt):
            return
        now = time.monotonic()
        if prompt.missing_since is None:
            prompt.missing_since = now
        elif now - prompt.missing_since >= self._timing.again:
            await self._gone(prompt)

    async def _gone(self, prompt: Prompt) -> None:
        if prompt.stop_asked and prompt.run.started_at is None:
            # Also when it may never have arrived: it was not to run, and will not.
            why = REMOVED if prompt.doubt is None else NOT_RUN
            self._finish(prompt, ev.Vanished(why, cancelled=True))
            return
        forgot_all = await self._forgot_all()
        if isinstance(prompt.doubt, ConnectionFailed) and prompt.unwatched and forgot_all:
            self._finish(prompt, ev.Vanished(f"{prompt.doubt} {UNKNOWN}"))
        elif prompt.doubt is not None:
            self._finish(prompt, ev.Rejected(unreachable(prompt.doubt)))
        else:
            self._finish(prompt, ev.Vanished(_cause(prompt, forgot_all)))

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


def _found(prompt: Prompt) -> None:
    """The server has it: what was in doubt is settled."""
    prompt.missing_since = prompt.doubt = None
    prompt.feed(ev.Submitted())


def _cause(prompt: Prompt, forgot_all: bool) -> str:
    if prompt.unwatched:
        return RESTARTED if forgot_all else GONE
    return DELETED if prompt.run.started_at is None else CLEARED
