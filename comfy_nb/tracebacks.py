"""How long the traceback of an error is that is shown in IPython: the user's own lines, and none of ours.

The sentence of an error says what is to be done; our frames below it only push it off the screen. IPython asks an
exception for `_render_traceback_` before it formats one itself. Nothing is lost: the exception keeps its traceback, a
debugger sees every frame, and `%xmode Verbose` shows all of them.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, TypeVar

__all__ = ["brief", "render"]

PACKAGE = __name__.partition(".")[0]
AnyError = TypeVar("AnyError", bound=BaseException)


def brief(error: AnyError) -> AnyError:
    """Have IPython `render` an error of one of Python's own kinds, which is about to be raised."""
    error.__dict__["_render_traceback_"] = _render_current
    return error


def _render_current() -> list[str]:
    """IPython asks while it handles the error. (Were the error kept here, it would keep itself alive.)"""
    error = sys.exc_info()[1] or sys.last_value
    return render(error) if error else []


def render(error: BaseException) -> list[str]:
    """The traceback of an error as IPython would make it, of the user's frames alone."""
    from IPython.core.getipython import get_ipython  # noqa: PLC0415 - only IPython calls this

    shell: Any = get_ipython()
    everything = shell.InteractiveTB.mode == "Verbose"
    shown = error.__traceback__ if everything else _users_part(error.__traceback__)
    cause, context, suppress = error.__cause__, error.__context__, error.__suppress_context__
    if not everything and _began_in_ours(cause if suppress else context):
        error.__cause__, error.__suppress_context__ = None, True
    try:
        return shell.InteractiveTB.structured_traceback(type(error), error, shown)
    finally:
        error.__cause__, error.__suppress_context__ = cause, suppress


def _users_part(traceback: TracebackType | None) -> TracebackType | None:
    """The frames before the first of ours; all of them if there would be none to show."""
    frames: list[TracebackType] = []
    step = traceback
    while step is not None and not _is_ours(step):
        frames.append(step)
        step = step.tb_next
    if step is None or len(frames) < 2:  # the first is IPython's own, which it leaves out
        return traceback
    shown: TracebackType | None = None
    for frame in reversed(frames):
        shown = TracebackType(shown, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return shown


def _began_in_ours(error: BaseException | None) -> bool:
    """Whether an earlier error was caught by us, who then raised another one."""
    return error is not None and (error.__traceback__ is None or _is_ours(error.__traceback__))


def _is_ours(traceback: TracebackType) -> bool:
    return str(traceback.tb_frame.f_globals.get("__name__")).partition(".")[0] == PACKAGE
