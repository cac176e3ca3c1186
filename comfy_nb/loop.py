"""The process's one background thread: an asyncio loop that never waits for anybody.

All network traffic and all widget writes happen on this thread. Users' callbacks run one after another on a second
thread, so that a slow one cannot stop the reading; anything that may take over a few milliseconds runs in two
workers. All are daemon threads: they never keep a process alive, and they never print.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from comfy_nb.errors import BlockingCallError, ComfyError

__all__ = ["Loop", "get_loop"]

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("comfy_nb")
log.addHandler(logging.NullHandler())  # without it, Python prints warnings of programs that set up no logging
WORKERS = 2


class Threads:
    """A few daemon threads that run functions in the order given. Unlike an executor's, they never delay the exit."""

    def __init__(self, count: int, name: str) -> None:
        self._todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        for index in range(count):
            threading.Thread(target=self._main, name=f"{name}-{index}", daemon=True).start()

    def _main(self) -> None:
        while True:
            self._todo.get()()

    def submit(self, function: Callable[[], T]) -> concurrent.futures.Future[T]:
        """Run `function` when a thread is free; the future has its result or exception."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def task() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001 - whoever waits for the future gets it
                future.set_exception(error)
            else:
                future.set_result(result)

        self._todo.put(task)
        return future


class Loop:
    """An asyncio loop in a daemon thread of its own, with a callbacks thread and two workers."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self.asyncio = asyncio.new_event_loop()
        self.asyncio.set_exception_handler(_log_fault)
        self._thread = threading.Thread(target=self._main, name="comfy_nb-loop", daemon=True)
        try:
            self._thread.start()
            self._callbacks = Threads(1, "comfy_nb-callback")
            self._workers = Threads(WORKERS, "comfy_nb-worker")
        except RuntimeError as error:  # Pyodide has no threads
            raise ComfyError(
                "comfy_nb needs a background thread, and this Python cannot start one."
            ) from error

    def _main(self) -> None:
        asyncio.set_event_loop(self.asyncio)
        self.asyncio.run_forever()

    @property
    def usable(self) -> bool:
        """False in a forked child: threads do not survive a fork."""
        return self._pid == os.getpid() and self._thread.is_alive()

    def is_current(self) -> bool:
        """Whether the caller is on the loop thread."""
        return threading.current_thread() is self._thread

    def refuse_blocking(self, what: str) -> None:
        """Raise `BlockingCallError` on the loop thread, where `what` would wait for itself for ever."""
        if self.is_current():
            raise BlockingCallError(
                f"{what} waits, and was called on comfy_nb's own loop thread, where it would wait for itself: "
                "call it from a callback or from your own code."
            )

    def call(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Run `function` on the loop thread soon, in order. Its exceptions are logged."""

        def guarded() -> None:
            try:
                function(*args, **kwargs)
            except Exception:  # the loop serves all jobs of the process, and goes on
                log.exception("comfy_nb: %r failed on the loop thread", function)

        self.asyncio.call_soon_threadsafe(guarded)

    def do(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function`, which must be short, on the loop thread, and wait for it; at once if that is this thread."""
        if self.is_current():
            return function(*args, **kwargs)

        async def done() -> T:
            return function(*args, **kwargs)

        return self.run(done()).result()

    def call_later(self, seconds: float, function: Callable[[], object]) -> asyncio.TimerHandle:
        """Run `function` after `seconds`. Call this on the loop thread only; the handle cancels."""
        return self.asyncio.call_later(seconds, function)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start `coroutine` on the loop thread; the future says what became of it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.asyncio)

    def wait(self, coroutine: Coroutine[Any, Any, T], what: str, timeout: float | None = None) -> T:
        """Run `coroutine` on the loop thread and block until it is done. For short requests only."""
        try:
            self.refuse_blocking(what)
        except BlockingCallError:
            coroutine.close()
            raise
        future = self.run(coroutine)
        try:
            return future.result(timeout)
        except ComfyError as error:
            raise error.with_traceback(None) from error.__cause__  # where our loop was then helps nobody
        except BaseException:
            future.cancel()
            raise

    async def work(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in one of the two workers and await its result. Call this on the loop thread."""
        return await asyncio.wrap_future(self._workers.submit(lambda: function(*args, **kwargs)))

    def callback(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Run a user's `function` on the callbacks thread, after those before it. Exceptions are logged."""

        def guarded() -> None:
            try:
                function(*args, **kwargs)
            except Exception:  # users' code may raise anything, and the next callback is to run
                log.exception("comfy_nb: the callback %r raised", function)

        self._callbacks.submit(guarded)


def _log_fault(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio would log under its own name, and so print."""
    log.error("comfy_nb: on the loop thread: %s", context.get("message"), exc_info=context.get("exception"))


_lock = threading.Lock()
_loop: Loop | None = None


def get_loop() -> Loop:
    """The process's loop; started at the first call, and anew after a fork."""
    global _loop  # noqa: PLW0603 - one per process, by design
    with _lock:
        if _loop is None or not (_loop.usable or sys.is_finalizing()):
            if sys.is_finalizing():  # a thread that is started now would never run, and be waited for
                raise ComfyError("Python is exiting: comfy_nb cannot start its background thread any more.")
            _loop = Loop()
        return _loop
