"""The server's side of the pipe from the process that started it: it ends with that one, and takes its words.

A word is a line: `end`, or `step_time 1.5`, which is answered by `ok` on standard output. That the pipe closes
means the end, too. But a process that was forked from the parent holds the pipe open when the parent has long gone:
so its id is looked at as well.
"""

from __future__ import annotations

import os
import select
import stat
import sys
import threading
from collections.abc import Callable

__all__ = ["listen"]

LOOK_EVERY = 0.5
"""Seconds between two looks at the parent's id."""


def listen(parent: int | None, stop: Callable[[], None], set_step_time: Callable[[float], None]) -> None:
    """Call `stop` when the parent, or whoever holds standard input, has gone or says so.

    Without a `parent` only the end of standard input counts, if it is a pipe: a terminal or /dev/null says nothing.
    """
    mode = _mode()
    if parent is None and not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return
    arguments = (parent, stop, set_step_time)
    threading.Thread(target=_listen, args=arguments, name="comfy_nb-parent", daemon=True).start()


def _mode() -> int:
    try:
        return os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):  # no standard input at all
        return 0


def _listen(parent: int | None, stop: Callable[[], None], set_step_time: Callable[[float], None]) -> None:
    held = b""
    while parent is None or os.getppid() == parent:
        if parent is not None and not select.select([sys.stdin], [], [], LOOK_EVERY)[0]:
            continue
        chunk = os.read(sys.stdin.fileno(), 4096)
        if not chunk:
            break
        if parent is None:  # not our words
            continue
        *lines, held = (held + chunk).split(b"\n")
        if b"end" in lines:
            break
        for line in lines:
            set_step_time(float(line.removeprefix(b"step_time ")))
            print("ok", flush=True)  # noqa: T201 - it is the answer
    stop()
