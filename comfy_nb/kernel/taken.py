"""What ipykernel 7 has taken from its socket, but not begun: a message that came before a cell that waits.

ipykernel 7 makes a task of each message as it reads it, and the task waits for the lock of the cell that runs. Such a
message cannot be read again. `Taken.next()` finds it in its task; once it was handled, the kernel passes it over when
its task is begun at last.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Generator
from typing import Any

__all__ = ["Taken"]

Frames = list[Any]  # one message, as the zmq frames it came in


class Taken:
    """The messages of this thread's shell that have a task of their own already."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._handled: list[Frames] = []
        self._dispatch: Any = None  # the kernel's own way to begin with a message, once ours stands before it

    def next(self, wanted: Callable[[Frames], bool]) -> Frames | None:
        """The oldest of them that is wanted; the kernel will pass it over. None if there is none."""
        for frames in _waiting():
            if self._is_handled(frames) or not wanted(frames):
                continue
            if self._dispatch is None:
                self._dispatch, self._kernel.dispatch_shell = self._kernel.dispatch_shell, self._begin
            self._handled.append(frames)
            return frames
        return None

    async def _begin(self, frames: Frames, *arguments: Any, **options: Any) -> Any:
        if self._is_handled(frames):
            self._handled = [each for each in self._handled if each is not frames]
            return None
        return await self._dispatch(frames, *arguments, **options)

    def _is_handled(self, frames: Frames) -> bool:
        return any(each is frames for each in self._handled)


def _waiting() -> Generator[Frames]:
    """The messages whose tasks have not got the lock, oldest first."""
    tasks = sorted(asyncio.all_tasks(), key=lambda task: (len(task.get_name()), task.get_name()))
    for task in tasks:  # "Task-9" comes before "Task-10"
        if (frames := _message_of(task.get_coro())) is not None:
            yield frames


def _message_of(coroutine: Any) -> Frames | None:
    code, frame = getattr(coroutine, "cr_code", None), getattr(coroutine, "cr_frame", None)
    if code is None or frame is None:
        return None
    state, known = inspect.getcoroutinestate(coroutine), frame.f_locals
    if code.co_name == "run_in_context" and state == inspect.CORO_CREATED:
        inner = getattr(known.get("f"), "func", None)  # partial(kernel.shell_main, subshell_id)
        arguments = known.get("args", ())
        return arguments[0] if getattr(inner, "__name__", "") == "shell_main" and arguments else None
    if code.co_name != "shell_main":
        return None
    waits_for_lock = getattr(getattr(coroutine.cr_await, "cr_code", None), "co_name", "") == "__aenter__"
    if state == inspect.CORO_CREATED or (state == inspect.CORO_SUSPENDED and waits_for_lock):
        return known.get("msg")
    return None
