"""ScriptedServer: a real HTTP and websocket server that passes for a ComfyUI and follows a script."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import socket
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from comfy_nb.errors import ComfyError
from comfy_nb.testing.faults import Faults
from comfy_nb.testing.frames import Frames
from comfy_nb.testing.routes import features, serve_http
from comfy_nb.testing.stage import Script, Stage
from comfy_nb.wire.messages import FeatureFlags, Status
from comfy_nb.wire.packing import pack

__all__ = ["Entry", "ScriptedServer"]

LIMIT = 10.0  # seconds that starting, ending and any command may take
MAX_BODY = 64 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the server's log. `what` is a request ("POST /api/prompt") or what happened on a websocket.

    The latter are "open", "message" (from the client), "greeting" (the first status, to the client) and "close".
    """

    what: str
    client_id: str = ""
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)


class ScriptedServer:
    """Serves on a free port of 127.0.0.1, in a thread of its own, from `with` to the end of its block.

    It has ComfyUI's routes (with and without /api) and websocket, its queue and its history; what happens to a
    prompt is up to the `script`, by default `Frames()`. `url` is where it serves; `faults` makes it misbehave and
    may be changed at any time. `log` is what it saw, in order: compare with that, not with what the client
    believes. An error in the script is raised at the end of the block. Raises `ComfyError` if starting, ending or a
    command takes over 10 seconds.
    """

    def __init__(self, script: Script | None = None, faults: Faults | None = None) -> None:
        self._script: Script = script or Frames()
        self._stage = Stage(self._script.version)
        self._stage.faults = faults or Faults()
        self._log: list[Entry] = []
        self._ready: concurrent.futures.Future[asyncio.AbstractEventLoop] = concurrent.futures.Future()
        self._listener = socket.create_server(("127.0.0.1", 0))
        # Inherited by what it accepts. asyncio sees to this only where the listener names its protocol; without it,
        # a small second write waits 40 ms for an acknowledgement of the first.
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._server = _Server(_config(self._serve))
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._main, name="comfy_nb-scripted", daemon=True)

    # -- from tests --------------------------------------------------------------------------------------------

    @property
    def log(self) -> tuple[Entry, ...]:
        """Everything that it saw, in order."""
        return tuple(self._log)

    def calls(self, what: str) -> list[Any]:
        """The bodies of the requests to one route, such as "POST /prompt", with or without /api."""
        return [entry.body for entry in self.log if entry.what.replace(" /api/", " /", 1) == what]

    @property
    def faults(self) -> Faults:
        """How it misbehaves."""
        return self._stage.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._stage.faults = faults

    @property
    def open_sockets(self) -> int:
        """How many websockets are open."""
        return len(self._stage.sockets)

    def pause(self) -> None:
        """Stand still before the next message, and take up no prompt; requests are answered all the same."""
        self._do(self._set_paused(True))

    def resume(self) -> None:
        """Go on after `pause()`."""
        self._do(self._set_paused(False))

    def say(self, frame: str | bytes) -> None:
        """Send any message, also an absurd one, to everybody."""
        self._do(self._stage.broadcast(frame))

    def drop(self) -> None:
        """Close all websockets; prompts go on."""
        self._do(self._stage.drop())

    def forget(self) -> None:
        """Have an empty queue and no history, like a server that was just restarted."""
        self._do(self._forget())

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.result(LIMIT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._server.end())
        self._thread.join(LIMIT)
        self._listener.close()
        if self._thread.is_alive():
            raise ComfyError(f"The scripted server did not end within {LIMIT:g} seconds.")
        if self._error is not None and value is None:
            raise self._error

    # -- on its own thread -------------------------------------------------------------------------------------

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._ready.result(LIMIT)).result(LIMIT)

    def _main(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._ready.set_result(asyncio.get_running_loop())
        worker = asyncio.create_task(self._script.work(self._stage))
        await self._server.serve([self._listener])
        worker.cancel()
        try:
            await worker
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - any error of a script is for the test to see
            self._error = error

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._serve_socket(WebSocket(scope, receive, send))
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        raw = await _body(receive)
        body = _parsed(raw)
        self._log.append(Entry(f"{scope['method']} {scope['path']}", "", body, headers))
        response = await serve_http(self._stage, self._script, scope, body)
        await response(scope, receive, send)

    async def _serve_socket(self, websocket: WebSocket) -> None:
        client_id = websocket.query_params.get("clientId", "")
        self._log.append(Entry("open", client_id, headers=dict(websocket.headers)))
        faults = self._stage.faults
        if faults.socket == "refused":
            await websocket.close()
            return
        await websocket.accept()
        greeting = asyncio.create_task(self._greet(websocket, client_id))
        try:
            await self._listen(websocket, client_id)
        except (WebSocketDisconnect, RuntimeError):  # the other side went, or we dropped it
            self._log.append(Entry("close", client_id))
        finally:
            greeting.cancel()
            self._stage.leave(client_id, websocket)

    async def _greet(self, websocket: WebSocket, client_id: str) -> None:
        await asyncio.sleep(self._stage.faults.greet_after)
        if self._stage.faults.socket == "mute":
            return
        self._log.append(Entry("greeting", client_id))
        await websocket.send_text(str(pack(Status(self._stage.remaining, client_id))))
        self._stage.enter(client_id, websocket)

    async def _listen(self, websocket: WebSocket, client_id: str) -> None:
        first = True
        while True:
            text = await websocket.receive_text()
            self._log.append(Entry("message", client_id, _parsed(text.encode())))
            flags = features(self._stage.version)
            if first and flags is not None:
                await websocket.send_text(str(pack(FeatureFlags(flags))))
            first = False

    async def _set_paused(self, paused: bool) -> None:
        self._stage.paused = paused
        self._stage.touch()

    async def _forget(self) -> None:
        self._stage.prompts.clear()
        self._stage.touch()


class _Server(uvicorn.Server):
    """Ends at once: nobody waits for the last words of a test double."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._over = asyncio.Event()

    async def end(self) -> None:
        self._over.set()

    async def main_loop(self) -> None:
        await self._over.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - closed by us
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="error",
        access_log=False,
        interface="asgi3",
        lifespan="off",
        http="h11",
        ws="websockets-sansio",
        ws_ping_interval=None,  # like ComfyUI, which leaves pings to the client
        ws_per_message_deflate=False,
    )


async def _body(receive: Receive) -> bytes:
    raw = b""
    more = True
    while more and len(raw) <= MAX_BODY:
        message = await receive()
        raw += message.get("body", b"")
        more = message.get("more_body", False)
    return raw


def _parsed(raw: bytes) -> Any:
    """JSON if it is, else the text; None if there is nothing."""
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")
