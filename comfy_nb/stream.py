"""`job.events()`: what happens to a job, for any number of readers, each at its own speed.

A reader first gets a snapshot, then events as they come, up to and including the final one. A slow reader loses
only what a newer event has made stale: previews and progress are coalesced, state changes never dropped.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Self

from comfy_nb import events as ev
from comfy_nb.kernel.pump import Waiter, live_messages
from comfy_nb.loop import Loop
from comfy_nb.record import Record
from comfy_nb.snapshot import Snapshot

__all__ = ["EventStream"]

MAX_WAITING = 256
COALESCED = (ev.Preview, ev.Progressed, ev.NodeText, ev.Positioned)

Item = ev.Event | Snapshot


class EventStream:
    """An iterator and an asynchronous iterator over what happens to one job. Close it, or drop it, to stop early."""

    def __init__(self, record: Record, loop: Loop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._items: deque[Item] = deque()
        self._news = Waiter()
        self._wakes: list[Callable[[], object]] = []
        self._over = False
        # Listening first: what happens in between is in the snapshot too, and nothing is in neither.
        self._stop = record.listen(partial(_push, weakref.ref(self), record))
        weakref.finalize(self, self._stop).atexit = False  # a reader left in the middle is forgotten
        with self._lock:
            self._items.appendleft(record.snapshot())
            self._over = self._over or record.run.ended

    def close(self) -> None:
        """Stop reading; a reader that waits ends."""
        self._stop()
        with self._lock:
            self._over = True
            self._items.clear()
            self._wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        """The next event; waits for it while the buttons of widgets stay alive."""
        self._loop.refuse_blocking("reading job.events()")
        while True:
            with self._lock:
                if self._items:
                    return self._items.popleft()
                if self._over:
                    self._stop()
                    raise StopIteration
                self._news.clear()
            self._news.wait()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        """The next event, in any asyncio loop."""
        loop = asyncio.get_running_loop()
        while True:
            with self._lock:
                if self._items:
                    return self._items.popleft()
                if self._over:
                    self._stop()
                    raise StopAsyncIteration
                woken = asyncio.Event()
                self._wakes.append(partial(loop.call_soon_threadsafe, woken.set))
            with live_messages():
                await woken.wait()

    def push(self, event: ev.Event, *, ended: bool) -> None:
        """Something happened; with `ended`, nothing follows."""
        with self._lock:
            if self._over:
                return
            if isinstance(event, COALESCED) and len(self._items) >= MAX_WAITING:
                self._drop_stale(event)
            self._items.append(event)
            self._over = ended
            self._wake()

    def _drop_stale(self, event: ev.Event) -> None:
        """Drop the oldest waiting event that this one makes stale, if any; there is room for the rest always."""
        for index, item in enumerate(self._items):
            if _subject(item) == _subject(event):
                del self._items[index]
                return

    def _wake(self) -> None:
        self._news.set()
        wakes, self._wakes = self._wakes, []
        for wake in wakes:
            try:
                wake()
            except RuntimeError:  # that reader's loop was closed: nobody waits any more
                continue


def _push(reader: weakref.ref[EventStream], record: Record, event: ev.Event) -> None:
    """Hold a reader no longer than its user does."""
    if (stream := reader()) is not None:
        stream.push(event, ended=record.run.ended)


def _subject(item: Item) -> tuple[type, object]:
    """What an event is about: a newer one about the same makes it stale."""
    return type(item), getattr(item, "node_id", None)
