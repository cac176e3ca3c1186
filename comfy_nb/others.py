"""What other people do on a server: their prompts in its queue, and among the last that ended.

The server says nothing of their previews or progress. It is asked when it said that its queue moved, every five
seconds at most, for its queue and one page of its history.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from comfy_nb.comfy import Comfy
from comfy_nb.errors import ComfyError
from comfy_nb.widgets.rows import EMPTY, MESSAGE, OWNER, TITLE, Row, clip, ended_line, in_line
from comfy_nb.wire.fields import Json, mapping, text
from comfy_nb.wire.records import HistoryEntry, Queue, QueueItem
from comfy_nb.workflow.plan import make_plan

__all__ = ["OtherJob", "Others"]

log = logging.getLogger("comfy_nb")

EVERY = 5.0  # seconds
ENDED = 100  # of a server's history


@dataclass(frozen=True, slots=True)
class OtherJob:
    """A prompt that this connection did not send. `name` and `title` are what its sender made public, if anything.

    `status` is one of "running", "queued", "succeeded", "failed" and "cancelled"; `position` counts from 1 in the
    queue; `seconds` is how long it took.
    """

    id: str
    name: str
    title: str
    status: str
    position: int | None = None
    seconds: float | None = None
    message: str = ""
    outputs: int = 0


class Panel(Protocol):
    """Where they are shown."""

    def show_foreign(self, key: int, row: Row) -> None:
        """Show one."""
        ...

    def place_of(self, server: str) -> int:
        """The place of a server in the list that rows refer to."""
        ...

    def drop(self, keys: list[int]) -> None:
        """Show these no more."""
        ...


class Others:
    """Follows one server until `close()`."""

    def __init__(self, comfy: Comfy, panel: Panel, keys: Iterator[int]) -> None:
        self._comfy, self._panel, self._new_keys = comfy, panel, keys
        self.jobs: tuple[OtherJob, ...] = ()
        self._keys: dict[str, int] = {}
        self._task: concurrent.futures.Future[None] = comfy.loop.run(self._follow())

    def interrupt(self) -> int:
        """Ask the server to stop all that run or wait; returns how many."""
        active = [job for job in self.jobs if job.status in ("running", "queued")]
        for job in active:
            self._comfy.loop.run(self._stop(job))
        return len(active)

    def close(self) -> None:
        """Ask no more."""
        self._task.cancel()

    async def _stop(self, job: OtherJob) -> None:
        try:
            await self._comfy.client.stop_foreign(job.id)
        except ComfyError as error:
            log.warning("comfy_nb: %s was not stopped: %s", job.id, error)

    async def _follow(self) -> None:
        seen = -1
        while not self._comfy.closed:
            moves = self._comfy.client.queue_moves
            if moves != seen and await self._ask():
                seen = moves
            await asyncio.sleep(EVERY)

    async def _ask(self) -> bool:
        try:
            queue, history = await self._comfy.client.everybody(ENDED)
        except ComfyError as error:
            log.info("comfy_nb: what others do on %s: %s", self._comfy.url, error)
            return False
        ours = {job.id for job in self._comfy.jobs}
        self.jobs = await self._comfy.loop.work(read, queue, history, ours)
        self._show()
        return True

    def _show(self) -> None:
        keys = {job.id: self._keys.get(job.id) or next(self._new_keys) for job in self.jobs}
        gone = [key for prompt_id, key in self._keys.items() if prompt_id not in keys]
        self._keys = keys
        server = self._panel.place_of(self._comfy.address.short)
        for job in self.jobs:
            self._panel.show_foreign(keys[job.id], row_of_other(keys[job.id], job, server))
        if gone:
            self._panel.drop(gone)


def read(queue: Queue, history: tuple[HistoryEntry, ...], ours: set[str]) -> tuple[OtherJob, ...]:
    """The prompts that are not ours, those that ended first. Reads whole workflows: for the workers."""
    ended = [_ended(entry) for entry in history if entry.prompt_id not in ours]
    waiting = [
        _open(item, "queued", place)
        for place, item in enumerate(queue.pending, 1)
        if item.prompt_id not in ours
    ]
    running = [_open(item, "running", None) for item in queue.running if item.prompt_id not in ours]
    newest = {job.id: job for job in (*ended, *waiting, *running)}
    return tuple(newest.values())


def _open(item: QueueItem, status: str, position: int | None) -> OtherJob:
    name, title = _signature(item.extra_data, item.prompt, item.prompt_id)
    return OtherJob(item.prompt_id, name, title, status, position)


def _ended(entry: HistoryEntry) -> OtherJob:
    name, title = _signature(entry.extra_data, entry.prompt, entry.prompt_id)
    known = entry.started_at is not None and entry.ended_at is not None
    seconds = max(0, (entry.ended_at or 0) - (entry.started_at or 0)) / 1000 if known else None
    message = entry.error.exception_message if entry.error else ""
    count = sum(len(output.files) + len(output.texts) for output in entry.outputs)
    return OtherJob(entry.prompt_id, name, title, entry.outcome, None, seconds, clip(message, MESSAGE), count)


def _signature(extra: Mapping[str, Json], prompt: Mapping[str, Json], prompt_id: str) -> tuple[str, str]:
    """Name and title: what the sender said, else the first words of the prompt."""
    said = mapping(extra.get("comfy_nb"))
    return text(said.get("name"))[:200], text(said.get("title"))[:200] or make_plan(prompt, prompt_id).title


def row_of_other(key: int, job: OtherJob, server: int) -> Row:
    """Its row on a board: never without an owner, which is how the page knows that it is not ours."""
    row: Row = {
        "i": key,
        "t": clip(job.title, TITLE),
        "s": job.status,
        "w": clip(job.name, OWNER) or "somebody",
        "f": server,
        "q": job.position,
        "e": job.seconds,
        "m": "waiting" if job.status == "queued" else ended_line(job.status, job.seconds) or job.status,
        "d": clip(_empty(job), EMPTY),
        "o": job.outputs,
    }
    return {name: value for name, value in row.items() if name in ("i", "t", "s") or value}


def _empty(job: OtherJob) -> str:
    """What stands where its picture would be, of which the server tells nothing."""
    match job.status:
        case "queued":
            return in_line(job.position)
        case "succeeded":
            return (
                f"{job.outputs} {'output' if job.outputs == 1 else 'outputs'}" if job.outputs else "no output"
            )
        case "failed":
            return job.message
        case "cancelled":
            return "Cancelled"
        case status:
            return status
