"""The websocket half of a client: one supervised connection that always reads.

It announces our feature flags as its first message, counts as open with the server's first `status`, hands every
parsed message on, and comes back by itself after a loss, with the same client id.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import ssl
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from comfy_nb.client.address import Address
from comfy_nb.client.loop import Loop
from comfy_nb.errors import ConnectionFailed
from comfy_nb.events import Link
from comfy_nb.wire import messages as wire

__all__ = ["MAX_MESSAGE", "Socket"]

log = logging.getLogger("comfy_nb")
# At DEBUG, websockets logs the headers of its handshake, and with them whatever secrets they carry.
silent = logging.getLogger("comfy_nb.websockets")
silent.disabled = True

MAX_MESSAGE = (
    256 << 20
)  # bytes; a longer message closes the socket, and the history says what became of the jobs
BIG_TEXT = 256 << 10  # characters from which JSON is parsed in a worker
FLAGS = json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
FIRST_DELAY, LAST_DELAY = 0.3, 5.0  # seconds between attempts to reconnect, doubling, with jitter
OPEN_TIMEOUT = 10.0
PING_EVERY = 20.0  # the server never pings, and idle proxies cut at 60 s
CLOSE_TIMEOUT = 2.0


class Socket:
    """One websocket under one client id. All methods run on the loop thread."""

    def __init__(
        self,
        address: Address,
        client_id: str,
        loop: Loop,
        *,
        on_message: Callable[[wire.Message], None],
        on_link: Callable[[Link, str], None],
        tls: ssl.SSLContext | None = None,
        max_message: int = MAX_MESSAGE,
    ) -> None:
        self._address, self._client_id, self._loop = address, client_id, loop
        self._on_message, self._on_link = on_message, on_link
        self._tls, self._max_message = tls, max_message
        self._open = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.api = "/api"

    async def start(self, api: str) -> None:
        """Connect, and return when the server's first `status` is here. Raises `ConnectionFailed` if that fails."""
        self.api = api
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._supervise(first), name="comfy_nb socket")
        try:
            await asyncio.wait_for(first, OPEN_TIMEOUT * 1.5)
        except TimeoutError:
            await self.close()
            raise ConnectionFailed(
                f"{self._address.display} answers by HTTP, but its websocket says nothing: "
                "a proxy in between may not let websockets through."
            ) from None
        except ConnectionFailed:
            await self.close()
            raise

    async def ready(self, seconds: float) -> bool:
        """Wait until the socket is open; False if it is not within that time."""
        try:
            await asyncio.wait_for(self._open.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Close for good."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=CLOSE_TIMEOUT + 1)
        self._open.clear()

    async def _supervise(self, first: asyncio.Future[None]) -> None:
        attempt = 0
        while True:
            try:
                await self._session(first)
                why = "the server closed the connection"
                attempt = 0
            except (OSError, WebSocketException, TimeoutError) as error:
                why = _why(error)
                attempt = 0 if self._open.is_set() else attempt
            self._open.clear()
            if not first.done():
                first.set_exception(ConnectionFailed(self._refused(why)))
                return
            attempt += 1
            self._on_link("reconnecting", f"reconnecting, try {attempt}")
            log.info("comfy_nb: websocket of %s lost: %s", self._address.display, why)
            await asyncio.sleep(min(LAST_DELAY, FIRST_DELAY * 2 ** (attempt - 1)) * random.uniform(0.7, 1.3))

    async def _session(self, first: asyncio.Future[None]) -> None:
        async with connect(
            self._address.websocket(self._client_id, self.api),
            additional_headers=dict(self._address.headers),
            ssl=self._tls,
            proxy=None if self._address.is_loopback else True,
            compression=None,
            max_size=self._max_message,
            open_timeout=OPEN_TIMEOUT,
            ping_interval=PING_EVERY,
            ping_timeout=PING_EVERY,
            close_timeout=CLOSE_TIMEOUT,
            logger=silent,
        ) as connection:
            await connection.send(FLAGS)
            try:
                await self._read(connection, first)
            except ConnectionClosed as closed:
                if not first.done():
                    raise
                log.info("comfy_nb: websocket of %s closed: %s", self._address.display, closed)

    async def _read(self, connection: ClientConnection, first: asyncio.Future[None]) -> None:
        async for raw in connection:
            big = isinstance(raw, str) and len(raw) > BIG_TEXT
            message = await self._loop.work(wire.parse, raw) if big else wire.parse(raw)
            if isinstance(message, wire.Status) and not self._open.is_set():
                self._open.set()
                if not first.done():
                    first.set_result(None)
                self._on_link("connected", "")
            self._on_message(message)

    def _refused(self, why: str) -> str:
        return f"{self._address.display} answers by HTTP, but its websocket does not open ({why})."


def _why(error: BaseException) -> str:
    if isinstance(error, InvalidStatus):
        return f"HTTP {error.response.status_code}"
    return str(error) or type(error).__name__
