"""Connections that are not worth waiting for: a request has to come whole, and at a speed."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["PatientProtocol"]


class PatientProtocol(H11Protocol):
    """HTTP of uvicorn, which by itself waits without end for the rest of a request.

    Every `PATIENCE` seconds it looks whether the client owes something. The head of a request has to be complete
    within two looks; a body has to go on by `LEAST` bytes from one look to the next, however few bytes drip.
    """

    PATIENCE = 10.0
    LEAST = 10_000

    _timer: asyncio.TimerHandle | None = None
    _received = 0
    _seen = 0
    _owed: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn has no types there
        """Begin to look."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.PATIENCE, self._look)

    def data_received(self, data: bytes) -> None:
        """Count what comes."""
        self._received += len(data)
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        self._stop()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Look no more: from here on the connection is a websocket's, and may be silent."""
        self._stop()
        super().handle_websocket_upgrade(event)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        came = self._received - self._seen
        self._seen = self._received
        cycle: object = self.cycle
        in_body = bool(self.cycle) and not self.cycle.response_complete
        if in_body:
            # Reading may be paused because we are slow ourselves, and an answer may take as long as it does.
            late = self.cycle.more_body and not self.flow.read_paused and came < self.LEAST
            owed: object = (cycle, "body")
        else:
            late, owed = True, (cycle, "head")
        if late and owed == self._owed:
            self.transport.close()
            return
        self._owed = owed if late else None
        self._timer = self.loop.call_later(self.PATIENCE, self._look)
