"""Where the classes come from that a UI-format workflow is converted by, when nobody names them.

Each open connection offers its server's; the one that was opened last is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from comfy_nb.workflow.classes import NodeClass

__all__ = ["Lookup", "offer", "offered", "withdraw"]

Lookup = Callable[[Collection[str]], Mapping[str, NodeClass] | None]
"""Gives the classes of these names that a server has, None if it does not tell; may wait for the server."""

_lookups: list[Lookup] = []


def offer(lookup: Lookup) -> None:
    """Have workflows converted by these classes from now on."""
    _lookups.append(lookup)


def withdraw(lookup: Lookup) -> None:
    """Ask it no more; the one before it is asked again."""
    if lookup in _lookups:
        _lookups.remove(lookup)


def offered() -> Lookup | None:
    """Whom to ask, or None if nobody offers."""
    return _lookups[-1] if _lookups else None
