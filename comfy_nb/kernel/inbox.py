"""The messages that wait for a busy ipykernel, and the few of them that need not wait.

A cell that blocks keeps the kernel from reading its shell channel, so clicks on widgets wait behind it. An
`Inbox` reads that channel in the kernel's stead: widget messages are handled at once, everything else goes
back to the kernel unopened and in order (a message that was opened would be refused the second time: its
signature is remembered).

This module and `taken` are the ones that touch private parts of ipykernel (6.29 to 7.4) and pyzmq. `Inbox.here()` looks
for every one of them first and returns None when something is missing, as in other kernels.
"""
# ruff: noqa: SLF001 - as said above; the kernel offers no public way

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from comfy_nb.kernel.taken import Taken

__all__ = ["LONGEST_NAP", "Inbox", "running_kernel"]

# In seconds. ipykernel's handler of an interrupt during `await` does not wake the loop from its sleep, and Windows
# tells of an interrupt only between two calls.
LONGEST_NAP = 0.25

Frames = list[Any]  # one message, as the zmq frames it came in

URGENT = frozenset(
    # A page that is reloaded asks for the last two before it shows any widget again.
    ["comm_open", "comm_msg", "comm_close", "kernel_info_request", "comm_info_request"]
)

POLLOUT = 2  # zmq.POLLOUT; importing zmq is the kernel's business

_NEEDED_OF_KERNEL = ("session", "shell_handlers", "dispatch_shell", "_publish_status")
_NEEDED_OF_STREAM = ("socket", "flush", "on_recv", "_recv_callback", "_run_callback")

_log = logging.getLogger(__name__)
_mine = threading.local()  # .inbox: nested waits must share the messages they hold


def running_kernel() -> Any | None:
    """The ipykernel of this process, or None; never imports it."""
    base = sys.modules.get("ipykernel.kernelbase")
    if base is None or not base.Kernel.initialized():
        return None
    return base.Kernel.instance()


class Inbox:
    """The messages of one shell: of the kernel's main loop or, in ipykernel 7, of a subshell, in its own thread."""

    def __init__(self, kernel: Any, stream: Any, replies: Any) -> None:
        self._kernel = kernel
        self._stream = stream  # what the thread reads: the shell channel, or ipykernel 7's inner pair
        self._replies = replies  # where handlers send their replies
        self._queue: Any = getattr(kernel, "msg_queue", None)  # ipykernel 6 only: read, but not begun
        self._taken = Taken(kernel)  # ipykernel 7: the same
        self._held: deque[Callable[[], object]] = deque()  # each hands one message back to the kernel
        self._readers = 0  # blocking waits, nested in one another
        self._lanes = 0  # awaits with a fast lane, side by side
        self._callback: Any = None  # what the stream called before the first fast lane
        self._context = contextvars.copy_context()
        self._alarm_clock: asyncio.TimerHandle | None = None

    @classmethod
    def here(cls) -> Inbox | None:
        """The inbox of the shell whose loop runs in this thread; None if there is none that we know.

        A subshell is where JupyterLab sends its clicks: what they call may wait there.
        """
        kernel = running_kernel()
        if kernel is None or not (_in_main_loop_of(kernel) or _in_subshell()):
            return None
        inbox: Inbox | None = getattr(_mine, "inbox", None)
        if inbox is None or inbox._kernel is not kernel:
            inbox = _mine.inbox = cls._of(kernel)
        return inbox

    @classmethod
    def _of(cls, kernel: Any) -> Inbox | None:
        try:
            stream, replies = _stream_and_replies(kernel)
            missing = [name for name in _NEEDED_OF_KERNEL if not hasattr(kernel, name)]
            missing += [name for name in _NEEDED_OF_STREAM if not hasattr(stream, name)]
            stream.socket.fileno()
        except Exception:  # noqa: BLE001 - anything may be different in a kernel that we do not know
            _log.debug("widget messages will wait while a cell waits", exc_info=True)
            return None
        if missing:
            _log.debug("widget messages will wait while a cell waits: no %s", ", ".join(missing))
            return None
        return cls(kernel, stream, replies)

    # While a cell blocks: read everything, hand back what is not urgent.

    def open(self) -> None:
        """Begin to read in the kernel's stead; each `open()` needs a `close()`."""
        self._readers += 1
        self._handle_taken()

    def close(self) -> None:
        """Hand everything that was held back to the kernel, once the outermost reader has closed."""
        self._readers -= 1
        if self._readers:
            return
        while self._held:
            self._held.popleft()()
        # Our looking at the socket used up the signal that wakes the kernel's loop: read what came since.
        self._stream.flush()

    def fileno(self) -> int:
        """Becomes readable when a message may have come. It is edge-triggered: `step()` until False first."""
        return self._stream.socket.fileno()

    def step(self) -> bool:
        """Take one message and handle or hold it; False if there was none."""
        if self._queue is not None and self._queue.qsize():
            item = self._queue.get_nowait()
            frames = self._frames_of(item)
            if frames is None or not self._handle(frames):
                self._held.append(partial(self._queue.put_nowait, item))
        elif self._stream.socket.poll(0):
            frames = self._stream.socket.recv_multipart(copy=False)
            if not self._handle(frames):
                self._held.append(partial(self._hand_back, frames))
        else:
            return False
        return True

    def _frames_of(self, item: tuple[Any, Any, Any]) -> Frames | None:
        """The message in an item of ipykernel 6's queue, which holds other errands too."""
        _, dispatch, arguments = item
        return arguments[0] if dispatch == self._kernel.dispatch_shell else None

    def _hand_back(self, frames: Frames) -> None:
        self._stream._run_callback(self._stream._recv_callback, frames)

    # While a cell awaits: the kernel reads, urgent messages overtake.

    def open_lane(self) -> None:
        """Let urgent messages overtake those that wait for the running cell; each needs a `close_lane()`."""
        self._lanes += 1
        if self._lanes > 1:
            return
        self._context = contextvars.copy_context()
        self._callback = self._stream._recv_callback
        self._stream.on_recv(self._receive, copy=False)
        self._wake_often()
        while frames := self._next_urgent_in_queue():
            self._handle(frames)
        self._handle_taken()

    def close_lane(self) -> None:
        """Give the stream back to the kernel, once the last lane has closed."""
        self._lanes -= 1
        if self._lanes:
            return
        if self._alarm_clock is not None:
            self._alarm_clock.cancel()
        if self._stream._recv_callback == self._receive:
            self._stream.on_recv(self._callback, copy=False)

    def _wake_often(self) -> None:
        self._alarm_clock = asyncio.get_running_loop().call_later(LONGEST_NAP, self._wake_often)

    def _receive(self, frames: Frames) -> Any:
        # In a copy of the context of the cell that waits, so that what a click prints is shown there.
        if not self._context.copy().run(self._handle, frames):
            return self._callback(frames)
        return None

    def _next_urgent_in_queue(self) -> Frames | None:
        """Remove the first urgent message from ipykernel 6's queue; the others keep their order."""
        if self._queue is None:
            return None
        queue, found = self._queue, None
        for _ in range(queue.qsize()):
            item = queue.get_nowait()
            frames = self._frames_of(item)
            if found is None and frames is not None and self._kind(frames) in URGENT:
                found = frames
            else:
                queue.put_nowait(item)
        return found

    def _handle_taken(self) -> None:
        while frames := self._taken.next(lambda frames: self._kind(frames) in URGENT):
            self._handle(frames)

    # One message.

    def _kind(self, frames: Frames) -> str:
        """The type of a message, read without opening it; empty if it has none."""
        try:
            _, parts = self._kernel.session.feed_identities(frames, copy=False)
            return str(self._kernel.session.unpack(parts[1].bytes)["msg_type"])
        except (ValueError, LookupError, TypeError):
            return ""  # an errand of the kernel to itself, or broken: the kernel knows what to say

    def _handle(self, frames: Frames) -> bool:
        """Handle an urgent message as the kernel would; False, and nothing done, for any other."""
        kernel, kind = self._kernel, self._kind(frames)
        handler = kernel.shell_handlers.get(kind) if kind in URGENT else None
        if handler is None:
            return False
        idents, parts = kernel.session.feed_identities(frames, copy=False)
        try:
            message = kernel.session.deserialize(parts, content=True, copy=False)
        except Exception:  # as the kernel does: not signed by our page
            kernel.log.exception("Invalid message")
            return True
        # Front ends wait for "idle" before they send a widget's next change.
        kernel._publish_status("busy", "shell", parent=message)
        try:
            _call_interruptibly(partial(handler, self._replies, idents, message))
        except Exception:  # as the kernel does: a handler's fault must not end the cell that waits
            kernel.log.exception("Exception in message handler:")
        finally:
            kernel._publish_status("idle", "shell", parent=message)
            if self._replies is self._stream:
                self._stream.flush(POLLOUT)  # ipykernel 6: the reply leaves now, not when the cell has ended
        return True


def _stream_and_replies(kernel: Any) -> tuple[Any, Any]:
    """What this thread's shell reads from, and where its replies go."""
    shell_thread = getattr(kernel, "shell_channel_thread", None)
    if shell_thread is None:
        return kernel.shell_stream, kernel.shell_stream
    if _in_subshell():
        thread: Any = threading.current_thread()
        return thread.shell_channel_to_subshell.to_stream, thread.subshell_to_shell_channel.from_socket
    manager = shell_thread.manager
    return manager._shell_channel_to_main.to_stream, manager.get_subshell_to_shell_channel_socket(None)


def _in_main_loop_of(kernel: Any) -> bool:
    return _running_loop_is_of(kernel) and threading.current_thread() is threading.main_thread()


def _in_subshell() -> bool:
    thread = threading.current_thread()
    return hasattr(thread, "shell_channel_to_subshell") and _running_loop_is_of(thread)


def _running_loop_is_of(owner: object) -> bool:
    """Whether the loop that runs in this thread is the one of a kernel or of a subshell's thread."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return False
    return loop is getattr(getattr(owner, "io_loop", None), "asyncio_loop", None)


def _call_interruptibly(handler: Callable[[], Any]) -> None:
    """Call a message's handler. A kernel interrupt ends it, and then goes on to whatever it was meant for.

    Even if it did not reach us as KeyboardInterrupt: the handler may catch that, and in the midst of a Condition's
    wait, as in flushing stdout, Python turns it into a RuntimeError. The thread of a subshell is never interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        _call(handler)
        return
    before = signal.getsignal(signal.SIGINT)
    interrupted = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    try:
        signal.signal(signal.SIGINT, interrupt)
        _call(handler)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        signal.signal(signal.SIGINT, before)
        if interrupted and callable(before):
            before(signal.SIGINT, None)


def _call(handler: Callable[[], Any]) -> None:
    result = handler()
    if not inspect.iscoroutine(result):
        return
    try:
        result.send(None)  # a coroutine only by name: the handlers of urgent messages never suspend
    except StopIteration:
        return
    result.close()
    raise RuntimeError("a handler of this kernel waits for something")
