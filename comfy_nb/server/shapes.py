"""The two shapes that JSON from outside is asked for before it is used."""

from __future__ import annotations

from typing import Any, TypeGuard

__all__ = ["is_list", "is_object"]


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether this is a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether this is a JSON list; as the value of a node's input it is a link: [node id, output slot]."""
    return isinstance(value, list)
