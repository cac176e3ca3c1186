"""The jobs of a backend: those that are open, the last ones that ended, and who is told of new ones."""

from __future__ import annotations

import threading
import uuid
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

from comfy_nb.job import Job
from comfy_nb.loop import Loop
from comfy_nb.record import Record, Request
from comfy_nb.workflow.graph import Workflow
from comfy_nb.workflow.plan import make_plan

__all__ = ["KEPT", "Jobs", "request_of", "signature"]

KEPT = 1000  # finished ones

Watcher = Callable[[Job], None]


class Jobs:
    """Thread-safe. A job is kept while it is open, and for some time after; what falls out lets go of its view."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._open: dict[Job, None] = {}
        self._ended: deque[Job] = deque()
        self._watchers: list[Callable[[], Watcher | None]] = []

    @property
    def all(self) -> tuple[Job, ...]:
        """Open ones and the last that ended, oldest first."""
        with self._lock:
            return (*self._ended, *self._open)

    @property
    def count_open(self) -> int:
        """How many have not ended."""
        return len(self._open)

    def add(self, job: Job) -> None:
        """Keep a job that is being sent, or was taken up, and tell the watchers."""
        with self._lock:
            self._open[job] = None
        stop = job.record.listen(lambda _: self._note(job, stop))
        self._note(job, stop)
        self._loop.call(self._tell, job)

    def forget(self, job: Job) -> None:
        """Let a job go that has ended. Open ones are kept."""
        with self._lock:
            if job not in self._ended:
                return
            self._ended.remove(job)
        job.let_go()

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Have `watcher` called with each new job, on the loop thread, so it must be short; returns how to stop it.

        A method is called as long as somebody holds its object, and no longer.
        """
        held = weakref.WeakMethod(watcher) if hasattr(watcher, "__self__") else lambda: watcher
        self._watchers.append(held)

        def stop() -> None:
            if held in self._watchers:
                self._watchers.remove(held)

        return stop

    def _tell(self, job: Job) -> None:
        for held in tuple(self._watchers):
            if (watcher := held()) is not None:
                watcher(job)
            else:
                self._watchers.remove(held)

    def _note(self, job: Job, stop: Callable[[], None]) -> None:
        if not job.record.run.ended:
            return
        stop()
        with self._lock:
            if job not in self._open:  # it ended while we began to listen
                return
            del self._open[job]
            self._ended.append(job)
            dropped = self._ended.popleft() if len(self._ended) > KEPT else None
        if dropped is not None:
            dropped.let_go()


def request_of(workflow: Workflow, *, preview: str, title: str | None, check: bool) -> Request:
    """What is sent for a workflow, as it is now."""
    api = workflow.to_api()
    return Request(
        make_plan(api, str(uuid.uuid4()), title=title, name=workflow.name),
        api,
        preview=preview,
        graph=workflow.ui_for(api),
        uploads=workflow.uploads,
        checked=check,
        titled=title is not None,
    )


def signature(name: str, record: Record) -> dict[str, Any]:
    """What everybody on a server may read: whose job it is, if we were given a name, and its title."""
    return {"comfy_nb": {"name": name, "title": record.plan.title}} if name else {}
