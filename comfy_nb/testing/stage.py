"""What a scripted server has in common with a real one: its queue, its sockets, its history. Scripts act on it.

Everything here runs on the server's own loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from comfy_nb.testing.faults import Faults, Page
from comfy_nb.wire.messages import Message, Status
from comfy_nb.wire.packing import pack

__all__ = ["Posted", "Script", "Stage"]


@dataclass(eq=False)
class Posted:
    """A prompt that a client has POSTed. `history` is its entry once it is over."""

    id: str
    number: int
    body: dict[str, Any]
    state: Literal["new", "waiting", "running", "over", "removed"] = "new"
    stop_asked: bool = False
    history: dict[str, Any] | None = None

    @property
    def client_id(self) -> str:
        """Whose sockets hear of it."""
        return str(self.body.get("client_id", ""))

    @property
    def nodes(self) -> dict[str, Any]:
        """The graph."""
        return self.body["prompt"]

    def item(self) -> list[Any]:
        """As /queue and /history show it."""
        return [self.number, self.id, self.nodes, self.body.get("extra_data", {}), []]


class Stage:
    """The state of a scripted server, and what a script may do with it."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.faults = Faults()
        self.prompts: list[Posted] = []
        self.sockets: dict[str, WebSocket] = {}  # the newest of each client id
        self.paused = False
        self._changed = asyncio.Event()

    # -- for scripts -------------------------------------------------------------------------------------------

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to become true of the stage."""
        while not condition():
            await self._changed.wait()

    async def beat(self) -> None:
        """Wait while the server is paused; scripts do so between any two messages."""
        await self.until(lambda: not self.paused)

    async def next_waiting(self) -> Posted:
        """The next prompt that waits in the queue, now running."""
        await self.until(lambda: not self.paused and any(p.state == "waiting" for p in self.prompts))
        prompt = next(p for p in self.prompts if p.state == "waiting")
        self.set_state(prompt, "running")
        return prompt

    async def send(self, prompt: Posted, frame: Message | str | bytes) -> None:
        """Send to the client whose prompt it is; as with ComfyUI, nobody hears it if that client is not there."""
        socket = self.sockets.get(prompt.client_id)
        if socket is not None:
            await _send(socket, frame)

    async def broadcast(self, frame: Message | str | bytes) -> None:
        """Send to everybody."""
        for socket in list(self.sockets.values()):
            await _send(socket, frame)

    async def tell_queue(self) -> None:
        """Tell everybody how long the queue is."""
        await self.broadcast(Status(self.remaining, None))

    async def drop(self) -> None:
        """Close all websockets; prompts go on."""
        sockets, self.sockets = list(self.sockets.values()), {}
        for socket in sockets:
            await socket.close()

    def enqueue(self, prompt: Posted) -> None:
        """Put it in the queue."""
        self.set_state(prompt, "waiting")

    def finish(self, prompt: Posted, history: dict[str, Any]) -> None:
        """Write the history of a prompt, at once or as late as the faults want."""

        def write() -> None:
            prompt.history = history
            self.set_state(prompt, "over")

        if self.faults.history_after:
            asyncio.get_running_loop().call_later(self.faults.history_after, write)
        else:
            write()

    def set_state(
        self, prompt: Posted, state: Literal["new", "waiting", "running", "over", "removed"]
    ) -> None:
        """Change what the queue says of a prompt."""
        prompt.state = state
        self.touch()

    # -- for the server ----------------------------------------------------------------------------------------

    @property
    def remaining(self) -> int:
        """How many prompts wait or run."""
        return sum(p.state in ("waiting", "running") for p in self.prompts)

    def touch(self) -> None:
        """Something has changed: whoever waits looks again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def enter(self, client_id: str, socket: WebSocket) -> None:
        """A websocket was greeted; it takes the place of one of the same client."""
        self.sockets[client_id] = socket
        self.touch()

    def leave(self, client_id: str, socket: WebSocket) -> None:
        """A websocket is gone."""
        if self.sockets.get(client_id) is socket:
            del self.sockets[client_id]

    def find(self, prompt_id: str) -> Posted | None:
        """The newest prompt with this id."""
        return next((p for p in reversed(self.prompts) if p.id == prompt_id), None)

    def remove_waiting(self, prompt_id: str) -> bool:
        """Take it out of the queue if it waits there; True if it did."""
        prompt = self.find(prompt_id)
        if prompt is None or prompt.state != "waiting":
            return False
        prompt.stop_asked = True
        self.set_state(prompt, "removed")
        return True

    def stop_running(self, prompt_id: str | None) -> bool:
        """Ask the running prompt to stop, if it has this id or the id is None; True if it was asked."""
        prompt = next((p for p in self.prompts if p.state == "running"), None)
        if prompt is None or (prompt_id is not None and prompt.id != prompt_id):
            return False
        prompt.stop_asked = True
        self.touch()
        return True


async def _send(socket: WebSocket, frame: Message | str | bytes) -> None:
    raw = frame if isinstance(frame, str | bytes) else pack(frame)
    try:
        await (socket.send_text(raw) if isinstance(raw, str) else socket.send_bytes(raw))
    except (WebSocketDisconnect, RuntimeError):  # it was closed a moment ago: what is sent to nobody is lost
        return


class Script(Protocol):
    """What a scripted server plays. `version` is the ComfyUI that it passes for."""

    version: str

    async def reply(self, stage: Stage, prompt: Posted) -> Page:
        """Answer POST /prompt, having queued the prompt or not."""
        ...

    async def work(self, stage: Stage) -> None:
        """Do what the server's worker does, for as long as the server serves."""
        ...

    def file(self, name: str) -> bytes | None:
        """An output file, or None if there is none of that name."""
        ...
