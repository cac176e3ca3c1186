"""The websocket: a status, the feature flags if they come first, then whatever the hub sends."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

from starlette.websockets import WebSocket

from comfy_nb.server.hub import Peer
from comfy_nb.server.shapes import is_object
from comfy_nb.server.state import ServerState, state_of
from comfy_nb.wire.messages import Executing, FeatureFlags, Status
from comfy_nb.wire.packing import pack

__all__ = ["serve"]


async def serve(socket: WebSocket) -> None:
    """Serve one client until it goes or falls too far behind."""
    state = state_of(socket)
    await socket.accept()
    peer = Peer(socket.query_params.get("clientId") or uuid.uuid4().hex, socket)
    _greet(state, peer)
    tasks = [asyncio.create_task(work) for work in (_read(state, peer), peer.pump(), peer.overflowed.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        state.hub.remove(peer)
        for task in tasks:
            task.cancel()
        # What ended one of them is that the client went; a client that does not read cannot be told good-bye.
        await asyncio.gather(*tasks, return_exceptions=True)


def _greet(state: ServerState, peer: Peer) -> None:
    """What a socket is told first; then it hears what the others hear."""
    peer.push(pack(Status(state.queue.remaining, peer.sid)))
    running, node_id = state.queue.running(), state.executor.running_node
    if running is not None and running.client_id == peer.sid and node_id is not None:
        peer.push(pack(Executing(node_id, display_node=None, prompt_id=None)))
    state.hub.add(peer)


async def _read(state: ServerState, peer: Peer) -> None:
    """Take the feature flags from the first message, ignore everything else, return when the client has gone."""
    first = True
    while True:
        message = await peer.socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        flags = _feature_flags(message.get("text")) if first else None
        first = False
        if flags is not None:
            peer.flags = flags
            peer.push(pack(FeatureFlags(state.features)))


def _feature_flags(text: str | None) -> dict[str, Any] | None:
    try:
        message = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    if not is_object(message) or message.get("type") != "feature_flags":
        return None
    flags = message.get("data")
    return flags if is_object(flags) else None
