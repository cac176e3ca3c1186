"""The queue of prompts that wait or run, and the history of those that ended.

One lock guards both, so that a prompt is always in exactly one of: waiting, running, history, nowhere.
Lower numbers run first. The history is in memory only: the newest 10,000 entries, and of them no more than 64 MB, but
always the last one. What waits may take 256 MB.
"""

from __future__ import annotations

import heapq
import itertools
import json
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

__all__ = ["HISTORY_BYTES", "HISTORY_LIMIT", "WAITING_BYTES", "PromptQueue", "QueuedPrompt", "weigh"]

HISTORY_LIMIT = 10_000
HISTORY_BYTES = 64 * 1024 * 1024
WAITING_BYTES = 256 * 1024 * 1024

# What a value, a list or an object costs in memory beside its text.
VALUE_BYTES = 64


def weigh(text: bytes) -> int:
    """About how much memory JSON of this text takes once it is read: that may be thirty times its length."""
    return len(text) + VALUE_BYTES * sum(text.count(mark) for mark in (b",", b"[", b"{"))


@dataclass(frozen=True)
class QueuedPrompt:
    """One accepted prompt: what to run, for whom, and which output nodes were asked for."""

    number: float
    prompt_id: str
    prompt: dict[str, Any]
    extra_data: dict[str, Any]
    outputs: list[str]
    weight: int = 0

    @property
    def client_id(self) -> str | None:
        """The socket its messages go to; None means that progress goes to everybody."""
        return self.extra_data.get("client_id")

    def as_list(self) -> list[Any]:
        """The five elements that /queue and /history show."""
        return [self.number, self.prompt_id, self.prompt, self.extra_data, self.outputs]


@dataclass(order=True)
class _Waiting:
    number: float
    prompt_id: str
    order: int
    item: QueuedPrompt = field(compare=False)


class PromptQueue:
    """Prompts by number, one worker, and the history. Safe to use from any thread.

    `changed` is called whenever the count of waiting and running prompts may have changed, with the lock held, so that
    what it says is not overtaken by what the worker says next. `interrupt` is what a running prompt looks at between
    its steps.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self.interrupt = threading.Event()
        self._changed = changed
        self._condition = threading.Condition()  # over a lock that its holder may take again
        self._order = itertools.count()
        self._waiting: list[_Waiting] = []
        self._waiting_weight = 0
        self._running: QueuedPrompt | None = None
        self._history: dict[str, dict[str, Any]] = {}
        self._weights: dict[str, int] = {}  # of what is in the history
        self._closed = False

    def put(self, item: QueuedPrompt) -> bool:
        """Add a prompt; False if too much waits already."""
        with self._condition:
            if self._waiting and self._waiting_weight + item.weight > WAITING_BYTES:
                return False
            self._waiting_weight += item.weight
            heapq.heappush(self._waiting, _Waiting(item.number, item.prompt_id, next(self._order), item))
            self._changed()
            self._condition.notify()
            return True

    def take(self) -> QueuedPrompt | None:
        """Wait for the next prompt and make it the running one; None once the queue was closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            self._running = heapq.heappop(self._waiting).item
            self._waiting_weight -= self._running.weight
            # An interrupt that came between two prompts is lost, as on the original.
            self.interrupt.clear()
            self._changed()
            return self._running

    def finish(self, entry: dict[str, Any]) -> None:
        """Move the running prompt to the history; `entry` has its outputs, status and meta."""
        weight = weigh(json.dumps(entry).encode())
        with self._condition:
            item, self._running = self._running, None
            if item is not None:
                self._history[item.prompt_id] = {"prompt": item.as_list(), **entry}
                self._weights[item.prompt_id] = item.weight + weight
                self._trim()
            self._changed()

    def _trim(self) -> None:
        total = sum(self._weights.values())
        while len(self._history) > 1 and (len(self._history) > HISTORY_LIMIT or total > HISTORY_BYTES):
            oldest = next(iter(self._history))
            del self._history[oldest]
            total -= self._weights.pop(oldest)

    def close(self) -> None:
        """Stop the worker: what waits is dropped, what runs is interrupted."""
        with self._condition:
            self._closed = True
            self.interrupt.set()
            self._condition.notify_all()

    @property
    def remaining(self) -> int:
        """How many prompts wait or run."""
        with self._condition:
            return len(self._waiting) + (self._running is not None)

    def running(self) -> QueuedPrompt | None:
        """The prompt that runs now."""
        with self._condition:
            return self._running

    def snapshot(self) -> tuple[list[QueuedPrompt], list[QueuedPrompt]]:
        """(running, waiting); the waiting ones in heap order, not in the order they will run."""
        with self._condition:
            running = [] if self._running is None else [self._running]
            return running, [entry.item for entry in self._waiting]

    def snapshot_with_history(
        self,
    ) -> tuple[list[QueuedPrompt], list[QueuedPrompt], dict[str, dict[str, Any]]]:
        """(running, waiting, history) of one moment."""
        with self._condition:
            running, waiting = self.snapshot()
            return running, waiting, dict(self._history)

    def delete(self, prompt_ids: Collection[str]) -> bool:
        """Remove the waiting prompts of these ids, in one go; True if there was one."""
        with self._condition:
            named = set(prompt_ids)
            keep = [entry for entry in self._waiting if entry.prompt_id not in named]
            found = len(keep) < len(self._waiting)
            if found:
                heapq.heapify(keep)
                self._waiting = keep
                self._waiting_weight = sum(entry.item.weight for entry in keep)
                self._changed()
                if not keep:
                    # The original says it twice when the last waiting prompt goes.
                    self._changed()
            return found

    def clear(self) -> None:
        """Remove every waiting prompt."""
        with self._condition:
            self._waiting = []
            self._waiting_weight = 0
            self._changed()

    def interrupt_running(self, prompt_id: str | None = None) -> bool:
        """Ask the running prompt to stop, or only the one of that id; True if it was the one."""
        with self._condition:
            running = self._running
            hit = running is not None and prompt_id in (None, running.prompt_id)
            if hit or prompt_id is None:
                self.interrupt.set()
            return hit

    def cancel(self, prompt_ids: Collection[str]) -> bool:
        """Remove those of these prompts that wait, interrupt the one that runs; True if there was one."""
        with self._condition:
            found = self.delete(prompt_ids)
            running = self._running
            if running is not None and running.prompt_id in set(prompt_ids):
                found = self.interrupt_running(running.prompt_id)
            return found

    def history(
        self, prompt_id: str | None = None, max_items: int | None = None, offset: int = -1
    ) -> dict[str, dict[str, Any]]:
        """Ended prompts, oldest first: one by id, or `max_items` from `offset` (below 0: the last ones)."""
        with self._condition:
            if prompt_id is not None:
                entry = self._history.get(prompt_id)
                return {} if entry is None else {prompt_id: entry}
            entries = list(self._history.items())
        if max_items is not None:
            start = offset if offset >= 0 else max(len(entries) - max_items, 0)
            entries = entries[start : start + max(max_items, 0)]
        elif offset > 0:
            entries = entries[offset:]
        return dict(entries)

    def forget(self, prompt_id: str) -> None:
        """Remove one ended prompt from the history."""
        with self._condition:
            self._history.pop(prompt_id, None)
            self._weights.pop(prompt_id, None)

    def forget_all(self) -> None:
        """Empty the history."""
        with self._condition:
            self._history.clear()
            self._weights.clear()
