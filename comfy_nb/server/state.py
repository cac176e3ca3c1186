"""What all routes share."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from comfy_nb.server.executor import Executor
from comfy_nb.server.files import Folders
from comfy_nb.server.hub import Hub
from comfy_nb.server.queue import PromptQueue
from comfy_nb.wire.messages import Json, Status
from comfy_nb.wire.packing import pack

__all__ = ["MAX_UPLOAD", "ServerState", "state_of"]

# The largest request body, in bytes; advertised as a feature flag.
MAX_UPLOAD = 100 * 1024 * 1024

# A front end that knows its user opens the default workflow; a new user gets a list of templates, and here it is empty.
SETTINGS = {"Comfy.TutorialCompleted": True}


@dataclass
class ServerState:
    """One server: its files, sockets, queue and worker; `numbers` counts prompts, `settings` are a front end's."""

    folders: Folders
    hub: Hub
    queue: PromptQueue
    executor: Executor
    numbers: Iterator[int] = field(default_factory=itertools.count)
    settings: dict[str, Any] = field(default_factory=lambda: dict(SETTINGS))
    # One picture at a time: each may take 400 MB, and there may be many who ask.
    decoding: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    @classmethod
    def create(cls, folders: Folders, *, step_time: float, previews: bool = True) -> ServerState:
        """A server with nothing in it yet."""
        hub = Hub()
        queue = PromptQueue(changed=lambda: hub.send(pack(Status(queue.remaining, sid=None))))
        return cls(folders, hub, queue, Executor(hub, queue, folders, step_time=step_time, previews=previews))

    @property
    def features(self) -> dict[str, Json]:
        """What the server says it can do."""
        return {
            "supports_preview_metadata": True,
            "max_upload_size": MAX_UPLOAD,
            "node_replacements": False,
            "assets": False,
        }


def state_of(connection: HTTPConnection) -> ServerState:
    """The state of the server that a request came to."""
    app: Starlette = connection.app
    state: ServerState = app.state.server
    return state
