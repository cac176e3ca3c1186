"""Turns: jobs are sent in the order in which they were submitted, but none waits long for another one's request."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator

__all__ = ["Turn", "Turns"]


class Turn:
    """Lasts until its block ends, or a request in it takes too long."""

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock, self._over = lock, False

    def end(self) -> None:
        """Let the next one begin. Twice is harmless."""
        if not self._over:
            self._over = True
            self._lock.release()

    @contextlib.contextmanager
    def at_most(self, seconds: float) -> Generator[None]:
        """What is done inside may take longer, but then the next one begins meanwhile."""
        timer = asyncio.get_running_loop().call_later(seconds, self.end)
        try:
            yield
        finally:
            timer.cancel()


class Turns:
    """One at a time, in the order in which they came. Runs on one loop."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def mine(self) -> AsyncGenerator[Turn]:
        """Wait for one's turn, and have it."""
        await self._lock.acquire()
        turn = Turn(self._lock)
        try:
            yield turn
        finally:
            turn.end()
