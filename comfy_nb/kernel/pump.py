"""Waiting in a notebook cell while its widgets stay alive.

Plain waiting has dead buttons: the kernel handles a click when the cell has ended. `Waiter.wait()` and
`wait_async()` let widget messages overtake (see `inbox`), so that they are handled within milliseconds; cells
that were queued still run afterwards, in order. Where that cannot be done (no ipykernel, another thread,
unknown internals) both simply wait: buttons then answer when the cell has ended; the kernel's own Interrupt
works as ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from types import FrameType
from typing import Self, TypeVar

from comfy_nb.errors import UnsupportedKernelError
from comfy_nb.kernel.inbox import LONGEST_NAP, Inbox, running_kernel

__all__ = ["Waiter", "check_kernel", "live_messages", "ping_main", "wait_async"]

T = TypeVar("T")


def check_kernel() -> None:
    """Raise UnsupportedKernelError in a kernel of ipykernel 7.0, where threads cannot update widgets."""
    version = str(getattr(sys.modules.get("ipykernel"), "__version__", ""))
    if running_kernel() is not None and version.split(".")[:2] == ["7", "0"]:
        raise UnsupportedKernelError(
            f"ipykernel {version} loses what background threads send to widgets: install another version with"
            ' `pip install "ipykernel!=7.0.*"` and restart the kernel.'
        )


class Waiter:
    """Like threading.Event, but widgets stay alive while the main thread waits, or a subshell's."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """End the wait, this one or the next. From any thread; never blocks."""
        self._event.set()
        _bell.ring()

    def clear(self) -> None:
        """Make the next `wait()` wait again."""
        self._event.clear()

    def is_set(self) -> bool:
        """Whether `set()` was called."""
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until `set()`, or for `timeout` seconds, handling widget messages; return `is_set()`.

        A click may itself wait: waits nest, and the outer one goes on when the inner one has ended. A kernel
        interrupt ends the wait as it ends any other waiting in that cell: with KeyboardInterrupt, or with
        asyncio.CancelledError in a cell that uses `await`.
        """
        inbox = Inbox.here()
        if inbox is None:
            return self._event.wait(timeout)
        with _InterruptsHeld() as interrupts, _opened(inbox):
            _pump(inbox, lambda: self._event.is_set() or interrupts.came, timeout)
        return self._event.is_set()


async def wait_async(awaitable: Awaitable[T]) -> T:
    """Await something, and let widget messages overtake meanwhile. Cancelling it leaves nothing behind."""
    with live_messages():
        return await awaitable


@contextlib.contextmanager
def live_messages() -> Generator[None]:
    """Within this, widget messages overtake whenever the kernel's main loop runs, that is, in an `await`."""
    inbox = Inbox.here()
    if inbox is None:
        yield
        return
    inbox.open_lane()
    try:
        yield
    finally:
        inbox.close_lane()


def ping_main(callback: Callable[[], object]) -> bool:
    """Have `callback` called soon in the kernel's main thread; False, and it never is, without a kernel.

    From any thread. As long as it is not called, the kernel is busy and hears no clicks. It is called during
    `Waiter.wait()` too, where clicks are heard. It must be short and not raise.
    """
    loop = getattr(running_kernel(), "io_loop", None)
    if loop is None:
        return False
    _pings.append(callback)
    loop.add_callback(_answer_pings)
    _bell.ring()
    return True


class _Bell:
    """Wakes the waits of all threads. A thread has its pair of sockets only from its first wait on."""

    def __init__(self) -> None:
        self._pairs: dict[int, tuple[socket.socket, socket.socket]] = {}  # by thread: to hear, to ring

    def listener(self) -> socket.socket:
        mine = threading.get_ident()
        if mine not in self._pairs:
            listener, ringer = socket.socketpair()
            listener.setblocking(False)
            ringer.setblocking(False)
            self._pairs[mine] = listener, ringer
        return self._pairs[mine][0]

    def ring(self) -> None:
        for _, ringer in tuple(self._pairs.values()):
            with contextlib.suppress(BlockingIOError):  # full of rings: it will be heard
                ringer.send(b"\0")

    def quiet(self) -> None:
        with contextlib.suppress(BlockingIOError):  # all rings were heard
            while self.listener().recv(4096):
                pass


_bell = _Bell()
_pings: deque[Callable[[], object]] = deque()


def _answer_pings() -> None:
    while _pings:
        _pings.popleft()()


@contextlib.contextmanager
def _opened(inbox: Inbox) -> Generator[None]:
    inbox.open()
    try:
        yield
    finally:
        inbox.close()


def _pump(inbox: Inbox, done: Callable[[], bool], timeout: float | None) -> None:
    """Handle messages until `done()`; sleep on the kernel's socket and the bell when there are none."""
    deadline = float("inf") if timeout is None else time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        selector.register(inbox, selectors.EVENT_READ)
        selector.register(_bell.listener(), selectors.EVENT_READ)
        while not done():
            if threading.current_thread() is threading.main_thread():
                _answer_pings()
            if inbox.step():
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                return
            selector.select(min(left, LONGEST_NAP))
            _bell.quiet()


class _InterruptsHeld:
    """Holds a kernel interrupt back until the wait has tidied up, so that no message is lost half-way.

    Only where ipykernel handles the signal: an idle kernel ignores it, a user's own handler is the user's. A
    subshell's thread is never interrupted.
    """

    def __init__(self) -> None:
        self.came = False
        in_main = threading.current_thread() is threading.main_thread()
        self._before = signal.getsignal(signal.SIGINT) if in_main else None

    def __enter__(self) -> Self:
        if _is_the_kernels(self._before):
            signal.signal(signal.SIGINT, self._hold)
        return self

    def _hold(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True
        _bell.ring()

    def __exit__(self, *_exception: object) -> None:
        if _is_the_kernels(self._before):
            signal.signal(signal.SIGINT, self._before)
        if self.came and callable(self._before):
            # In a plain cell this raises KeyboardInterrupt. In a cell that uses `await` it cancels the cell,
            # as soon as that awaits again; the code before that is ours to end.
            self._before(signal.SIGINT, None)
            raise asyncio.CancelledError


def _is_the_kernels(handler: object) -> bool:
    """Whether this handler of SIGINT is Python's, as in a plain cell; that of a cell that awaits; or a click's."""
    module = getattr(handler, "__module__", None)
    return handler is signal.default_int_handler or module in {"ipykernel.ipkernel", Inbox.__module__}
