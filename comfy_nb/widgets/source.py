"""What a widget needs of a job: it knows sources, never jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from comfy_nb.events import Event, Preview
from comfy_nb.snapshot import Snapshot
from comfy_nb.workflow.plan import Plan

__all__ = ["ShownOutput", "ShownStep", "Source"]


class ShownOutput(Protocol):
    """One file or text of a job. `data` and `text` may read a file: they are for the workers, not for the loop."""

    @property
    def index(self) -> int:
        """The order of arrival, from 0."""
        ...

    @property
    def node_id(self) -> str:
        """The node of the workflow that shows it."""
        ...

    @property
    def label(self) -> str:
        """What people call that node."""
        ...

    @property
    def kind(self) -> str:
        """One of "image", "video", "audio" and "text", or anything else for a file."""
        ...

    @property
    def name(self) -> str:
        """The file's name; empty for texts."""
        ...

    @property
    def media_type(self) -> str:
        """Such as "image/png"."""
        ...

    @property
    def saved(self) -> bool:
        """Whether the server keeps the file."""
        ...

    @property
    def data(self) -> bytes:
        """The bytes of the file. Raises `OutputError` if they could not be had or kept."""
        ...

    @property
    def text(self) -> str | None:
        """The text, or None. Raises `OutputError` as `data` does."""
        ...


class ShownStep(Protocol):
    """One kept preview. `data` may read a file: it is for the workers, not for the loop."""

    @property
    def index(self) -> int:
        """The order of arrival, from 0."""
        ...

    @property
    def node_id(self) -> str:
        """The node of the workflow that shows it."""
        ...

    @property
    def step(self) -> int:
        """What the node's bar said."""
        ...

    @property
    def of(self) -> int:
        """Of how many; 0 when it said nothing."""
        ...

    @property
    def media_type(self) -> str:
        """Such as "image/jpeg"."""
        ...

    @property
    def data(self) -> bytes:
        """The server's own bytes. Raises `OutputError` if they could not be kept."""
        ...


class Source(Protocol):
    """A job, as a widget sees it. Nothing here waits; all but the first three are called on the loop thread."""

    @property
    def server(self) -> str:
        """Where the server is, for people: no secrets."""
        ...

    def plan(self) -> Plan:
        """The nodes that will run, and their labels."""
        ...

    def display_id(self, node_id: str) -> str | None:
        """The planned node at which what happens at an execution id is shown."""
        ...

    def snapshot(self) -> Snapshot:
        """How things stand now."""
        ...

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Have `listener` called on the loop thread with each event from now on; returns how to stop it."""
        ...

    def outputs(self) -> Sequence[ShownOutput]:
        """What has arrived so far."""
        ...

    def steps(self) -> Sequence[ShownStep]:
        """The previews that were kept so far."""
        ...

    def last_frame(self) -> Preview | None:
        """The newest preview, for a view that is made late. May read a file: for the workers."""
        ...

    def interrupt(self) -> bool:
        """Ask for this job to be stopped. False if it has ended. Raises `ComfyError` if it cannot be asked for."""
        ...
