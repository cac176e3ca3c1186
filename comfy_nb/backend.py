"""Backend: what a job and a board need of whoever runs jobs. `Comfy` is one: a single server.

A backend makes records, hands them over, and stops them; what becomes of them comes as events, fed to the record on
the loop thread. Which server runs a job may be open until then (`events.Placed`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

from comfy_nb.record import Record
from comfy_nb.workflow.graph import Workflow
from comfy_nb.workflow.reading import Source

__all__ = ["Backend"]

J = TypeVar("J")


@runtime_checkable
class Backend(Protocol[J]):
    """Runs jobs, of the type J. Everything may be called from any thread."""

    @property
    def closed(self) -> bool:
        """Whether `close()` was called."""
        ...

    @property
    def jobs(self) -> tuple[J, ...]:
        """The open jobs and the last ones that ended, oldest first."""
        ...

    def watch(self, watcher: Callable[[J], None]) -> Callable[[], None]:
        """Have `watcher` called with each new job, on the loop thread; returns how to stop it."""
        ...

    def prepare(
        self, workflow: Workflow | Source, *, preview: str | None, title: str | None, check: bool
    ) -> Record:
        """The record of a new job; nothing is sent. Raises what is wrong with the workflow."""
        ...

    def send(self, job: J) -> None:
        """Hand a job's record over. Never waits. Raises `ConnectionFailed` if this was closed."""
        ...

    def stop(self, record: Record) -> None:
        """Ask for this prompt and no other to be stopped; harmless if it has ended. Never waits."""
        ...
