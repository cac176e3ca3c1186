"""The websocket half of a client: one supervised connection that always reads.

It announces our feature flags as its first message, counts as open with the server's first `status`, hands every
parsed message on, and comes back by itself after a loss. The old connection is closed, or aborted, before a new one
is opened: a server that still holds both mixes them up, and the new one never hears anything.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus, WebSocketException

from comfy_nb.client.address import Address
from comfy_nb.client.timing import Timing
from comfy_nb.errors import ConnectionFailed
from comfy_nb.events import Link
from comfy_nb.loop import Loop
from comfy_nb.snapshot import ordinal
from comfy_nb.wire import messages as wire
from comfy_nb.wire.fields import plain

__all__ = ["MAX_MESSAGE", "Socket"]

log = logging.getLogger("comfy_nb")
# At DEBUG, websockets logs the headers of its handshake, and with them whatever secrets they carry.
silent = logging.getLogger("comfy_nb.websockets")
silent.disabled = True

MAX_MESSAGE = (
    256 << 20
)  # bytes; a longer message closes the socket, and the history says what became of the jobs
BIG_TEXT = 256 << 10  # bytes from which JSON is parsed in a worker
FLAGS = json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}})


class Socket:
    """One websocket under one client id. All methods run on the loop thread.

    `on_link` is told of each change, in words for people, and before that `on_loss` whether the server said
    good-bye: without it, the server may take the old connection for alive.
    """

    def __init__(
        self,
        address: Address,
        client_id: str,
        loop: Loop,
        timing: Timing,
        *,
        on_message: Callable[[wire.Message], None],
        on_link: Callable[[Link, str], None],
        on_loss: Callable[[bool], None],
        tls: ssl.SSLContext | None = None,
        max_message: int = MAX_MESSAGE,
    ) -> None:
        self.client_id = client_id  # may be changed while the connection is lost
        self._address, self._loop, self._timing = address, loop, timing
        self._on_message, self._on_link, self._on_loss = on_message, on_link, on_loss
        self._tls, self._max_message = tls, max_message
        self._open = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: ClientConnection | None = None
        self._renewing = False
        self._clean = True  # whether the server said good-bye at the last loss
        self.api = "/api"

    async def start(self, api: str) -> None:
        """Connect, and return when the server's first `status` is here. Raises `ConnectionFailed` if that fails."""
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._begin(api, first)
        try:
            await asyncio.wait_for(first, self._timing.open * 1.5)
        except TimeoutError:
            await self.close()
            raise ConnectionFailed(
                f"{self._address.display} answers by HTTP, but its websocket says nothing: "
                "a proxy in between may not let websockets through."
            ) from None
        except BaseException:  # also Ctrl-C and a time-out of whoever waits: nothing is left behind
            await self.close()
            raise

    def follow(self, other: Socket) -> None:
        """Connect to where `other` was connected to, for as long as it takes."""
        self._begin(other.api, None)

    def _begin(self, api: str, first: asyncio.Future[None] | None) -> None:
        self.api = api
        self._task = asyncio.create_task(self._supervise(first), name="comfy_nb socket")

    @property
    def is_open(self) -> bool:
        """Whether the server has greeted this connection, and it was not lost since."""
        return self._open.is_set()

    async def ready(self, seconds: float) -> bool:
        """Wait until the socket is open; False if it is not within that time."""
        try:
            await asyncio.wait_for(self._open.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def renew(self) -> None:
        """Close and open again, without a word to anybody as long as that works."""
        connection = self._connection
        if connection is not None and self.is_open and not self._renewing:
            self._renewing = True
            await connection.close()

    async def close(self) -> None:
        """Close for good."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=self._timing.close + 1)
        self._open.clear()

    async def _supervise(self, first: asyncio.Future[None] | None) -> None:
        attempt = 0
        while True:
            began = asyncio.get_running_loop().time()
            why = await self._session(first)
            if first is not None and not first.done():
                first.set_exception(ConnectionFailed(self._refused(why)))
                return
            was_open = self._open.is_set()
            self._open.clear()
            if was_open and self._renewing:
                continue
            # One that opens and fails at once is as bad as one that does not open.
            steady = was_open and asyncio.get_running_loop().time() - began > self._timing.last_retry
            attempt = 1 if steady else attempt + 1
            if was_open:
                self._on_loss(self._clean)
            self._on_link("reconnecting", f"reconnecting, {ordinal(attempt)} try")
            log.info("comfy_nb: websocket of %s lost: %s", self._address.display, why)
            await asyncio.sleep(self._timing.pause(attempt))

    async def _session(self, first: asyncio.Future[None] | None) -> str:
        """One connection, from its handshake to its loss; returns why it was lost."""
        self._renewing = False
        try:
            async with self._connect() as connection:
                self._connection = connection
                await connection.send(FLAGS)
                await self._read(connection, first)
        except ConnectionClosed as closed:
            self._clean = closed.rcvd is not None
            return plain(self._address.hide(str(closed)))
        except (
            OSError,
            WebSocketException,
            TimeoutError,
            ImportError,
        ) as error:  # ImportError: a SOCKS proxy
            self._clean = False
            return self._address.hide(_why(error))
        finally:
            self._connection = None
        self._clean = True
        return "the server closed the connection"

    def _connect(self) -> connect:
        return _Connect(
            self._address.websocket(self.client_id, self.api),
            additional_headers=dict(self._address.headers),
            ssl=self._tls,
            proxy=self._address.proxy,
            compression=None,
            max_size=self._max_message,
            open_timeout=self._timing.open,
            ping_interval=self._timing.ping,
            ping_timeout=self._timing.ping,
            close_timeout=self._timing.close,
            logger=silent,
        )

    async def _read(self, connection: ClientConnection, first: asyncio.Future[None] | None) -> None:
        while True:
            try:
                raw = await connection.recv(decode=False)  # what is dropped for its size is not decoded first
            except ConnectionClosedOK:
                return
            big = wire.is_text(raw) and len(raw) > BIG_TEXT
            message = await self._loop.work(self._parsed, raw) if big else self._parsed(raw)
            if isinstance(message, wire.Status) and not self._open.is_set():
                self._open.set()
                if first is not None and not first.done():
                    first.set_result(None)
                self._on_link("connected", "")
            else:
                self._on_message(message)

    def _parsed(self, raw: bytes) -> wire.Message:
        return self._address.veil.record(wire.parse_frame(raw))

    def _refused(self, why: str) -> str:
        return f"{self._address.display} answers by HTTP, but its websocket does not open ({why})."


class _Connect(connect):
    """Follows no redirect, as no request of ours does: what we send is for the one server that we were given."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


def _why(error: BaseException) -> str:
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        return f"HTTP {status} sends us elsewhere" if 300 <= status < 400 else f"HTTP {status}"
    return plain(str(error)) or type(error).__name__
