"""Where the classes come from that a UI-format workflow is converted by, when nobody names them.

Each open connection offers its server's; the one that was opened last is asked.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Mapping

from comfy_nb.workflow.classes import NodeClass

__all__ = ["Lookup", "offer", "offered", "withdraw"]

Lookup = Callable[[Collection[str]], Mapping[str, NodeClass] | None]
"""Gives the classes of these names that a server has, None if it does not tell; may wait for the server."""

_lookups: list[weakref.WeakMethod[Lookup]] = []  # a connection that nobody holds is not kept for this


def offer(lookup: Lookup) -> None:
    """Have workflows converted by this method from now on."""
    _lookups.append(weakref.WeakMethod(lookup))


def withdraw(lookup: Lookup) -> None:
    """Ask it no more; the one before it is asked again."""
    _lookups[:] = [known for known in _lookups if known() not in (lookup, None)]


def offered() -> Lookup | None:
    """Whom to ask, or None if nobody offers."""
    return next((lookup for known in reversed(_lookups) if (lookup := known()) is not None), None)
