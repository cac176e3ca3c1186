"""Which cell of a notebook displays what, so that a cell that runs again lets go of what it displayed before.

IPython tells the id of the cell that runs (`pre_run_cell`); front ends keep it for as long as the cell stands. What was
displayed in a cell is held here until that cell runs again, and released if it stands in no other. Where there are no
ids (a terminal, some clients) nothing is released. Nothing is hooked before something is displayed.
"""

from __future__ import annotations

import sys
import threading
from typing import Any, Protocol

__all__ = ["Shown", "shown"]


class Shown(Protocol):
    """Something that stands in the output of a cell."""

    def release(self) -> None:
        """It stands in no cell any more."""
        ...


_lock = threading.RLock()
_held: dict[str, dict[int, Shown]] = {}  # by cell, then by identity
_hooked: list[Any] = []  # the shell that tells us of cells


def shown(thing: Shown) -> None:
    """`thing` is being displayed by the cell that runs."""
    shell = _shell()
    if shell is None:
        return
    with _lock:
        if not any(shell is known for known in _hooked):
            _hooked[:] = [shell]
            _held.clear()
            shell.events.register("pre_run_cell", _before)
        cell = _current(shell)
        if cell:
            _held.setdefault(cell, {})[id(thing)] = thing


def _before(info: Any) -> None:
    """A cell is about to run."""
    cell = getattr(info, "cell_id", None)
    with _lock:
        gone = _held.pop(cell, {}) if cell else {}
        still = {key for things in _held.values() for key in things}
    for key, thing in gone.items():
        if key not in still:
            thing.release()


def _current(shell: Any) -> str | None:
    """The id of the cell that runs; None where the front end tells none."""
    kernel = getattr(shell, "kernel", None)
    parent: Any = kernel.get_parent() if kernel is not None else {}
    match parent:
        case {"metadata": {"cellId": str(cell)}}:
            return cell
        case _:
            return None


def _shell() -> Any | None:
    """The running IPython, or None; never imports it."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None
