"""The open sockets, by client id, and who gets what.

Messages are queued per socket, so that a client that stops reading holds up nobody; one that lets
64 MB pile up is cut off.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from starlette.websockets import WebSocket

__all__ = ["BACKLOG_LIMIT", "Hub", "Peer"]

BACKLOG_LIMIT = 64 * 1024 * 1024


@dataclass(eq=False)
class Peer:
    """One socket, what its client said it can do, and what is still to be sent to it."""

    sid: str
    socket: WebSocket
    flags: dict[str, Any] = field(default_factory=dict[str, Any])
    overflowed: asyncio.Event = field(default_factory=asyncio.Event)
    _backlog: int = 0
    _messages: deque[str | bytes] = field(default_factory=deque[str | bytes])
    _ready: asyncio.Event = field(default_factory=asyncio.Event)

    def push(self, message: str | bytes) -> None:
        """Queue one message; on the loop's thread only. Once too much is queued, all of it is dropped."""
        self._backlog += len(message)
        if self._backlog > BACKLOG_LIMIT:
            self._messages.clear()
            self.overflowed.set()
        else:
            self._messages.append(message)
            self._ready.set()

    async def pump(self) -> None:
        """Send what is queued, in order, until cancelled."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._messages:
                message = self._messages.popleft()
                if isinstance(message, str):
                    await self.socket.send_text(message)
                else:
                    await self.socket.send_bytes(message)
                self._backlog -= len(message)


class Hub:
    """All sockets. `send` may be called from any thread; everything else on the loop's thread."""

    def __init__(self) -> None:
        self._peers: dict[str, Peer] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say on which loop the sockets live."""
        self._loop = loop

    def add(self, peer: Peer) -> None:
        """A socket with a known id takes its place: the older one stays open and hears nothing more."""
        self._peers[peer.sid] = peer

    def remove(self, peer: Peer) -> None:
        """Forget a socket that closed, unless a newer one has its id."""
        if self._peers.get(peer.sid) is peer:
            del self._peers[peer.sid]

    def listens(self, sid: str | None) -> bool:
        """Whether anybody would get a message to this id (None: to everybody)."""
        return bool(self._peers) if sid is None else sid in self._peers

    def wants_metadata(self, sid: str | None) -> bool:
        """Whether previews to this id carry metadata (binary type 4); broadcasts never do."""
        peer = None if sid is None else self._peers.get(sid)
        return peer is not None and peer.flags.get("supports_preview_metadata") is True

    def send(self, message: str | bytes, sid: str | None = None) -> None:
        """Send to one client, or to all if `sid` is None; nobody there is no error."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, message, sid)

    def _deliver(self, message: str | bytes, sid: str | None) -> None:
        if sid is None:
            for peer in self._peers.values():
                peer.push(message)
        elif peer := self._peers.get(sid):
            peer.push(message)
