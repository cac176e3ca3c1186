"""A second Backend: it chooses between two servers, and only when a job is handed over."""

from __future__ import annotations

from collections.abc import Callable

import comfy_nb as cn
from comfy_nb import events as ev
from comfy_nb.jobs import Jobs, request_of
from comfy_nb.loop import get_loop
from comfy_nb.record import Record
from comfy_nb.workflow.reading import Source


class Two:
    """Jobs go where others are open already, and else in turns."""

    def __init__(self, first: cn.Comfy, second: cn.Comfy) -> None:
        self.servers = (first, second)
        self.used: list[str] = []
        self._jobs = Jobs(get_loop())
        self._turn = 0

    @property
    def closed(self) -> bool:
        return any(server.closed for server in self.servers)

    @property
    def jobs(self) -> tuple[cn.Job, ...]:
        return self._jobs.all

    def watch(self, watcher: Callable[[cn.Job], None]) -> Callable[[], None]:
        return self._jobs.watch(watcher)

    def prepare(
        self, workflow: cn.Workflow | Source, *, preview: str | None, title: str | None, check: bool
    ) -> Record:
        loaded = workflow if isinstance(workflow, cn.Workflow) else cn.Workflow.load(workflow)
        return Record(request_of(loaded, preview=preview or "auto", title=title, check=check))

    def send(self, job: cn.Job) -> None:
        busy = self._jobs.count_open > 0
        self._jobs.add(job)
        self._turn += not busy
        get_loop().call(self._hand_over, job.record, self.servers[self._turn % 2])

    def stop(self, record: Record) -> None:
        for server in self.servers:
            server.stop(record)

    def submit(self, workflow: cn.Workflow | Source, changes: dict[str, object] | None = None) -> cn.Job:
        loaded = workflow if isinstance(workflow, cn.Workflow) else cn.Workflow.load(workflow)
        return cn.Job(loaded.copy().set(changes) if changes else loaded, self).submit()

    def _hand_over(self, record: Record, server: cn.Comfy) -> None:
        self.used.append(server.url)
        record.feed(ev.Placed(server.address.short))
        server.client.submit(record)
