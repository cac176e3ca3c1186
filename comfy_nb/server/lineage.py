"""Which node wrote which: a node may, while it runs, write itself out into others that run in its place."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Lineage"]


@dataclass
class Lineage:
    """The parents of the nodes that were written while a prompt ran; the posted ones have none."""

    _parents: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, node_id: str, parent: str) -> None:
        """Say that one node wrote another."""
        self._parents[node_id] = parent

    def parent(self, node_id: str) -> str | None:
        """The node that wrote this one; None for a posted node."""
        return self._parents.get(node_id)

    def real(self, node_id: str) -> str:
        """The posted node that this one comes from in the end: where people see it, and where errors are told."""
        while (parent := self._parents.get(node_id)) is not None:
            node_id = parent
        return node_id
