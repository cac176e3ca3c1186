"""What differs between two workflows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from comfy_nb.workflow.names import clip
from comfy_nb.workflow.values import ApiNode, Json, Prompt, is_secret, read_value

__all__ = ["Change", "Diff", "diff"]


class Change(NamedTuple):
    """One difference: `path` is "Title.input", or "Title" for a node that came or went (`before` or `after` is None).

    Of a renamed node and one of another class the path ends in "title" and "class_type".
    """

    kind: Literal["added", "removed", "changed"]
    node_id: str
    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        sign = {"added": "+", "removed": "-", "changed": "~"}[self.kind]
        where = f"{sign} {clip(self.path)} (node {clip(self.node_id)})"
        secret = is_secret(self.path)
        before, after = ("…" if secret else clip(repr(value), 60) for value in (self.before, self.after))
        if self.kind == "changed":
            return f"{where}: {before} → {after}"
        return f"{where}: {before if self.kind == 'removed' else after}"


class Diff(tuple[Change, ...]):
    """All differences, in the order of the nodes; empty if there is none. Its repr has one line for each."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or "no difference"


_ABSENT = object()


def diff(before: Prompt, after: Prompt) -> Diff:
    """What changes from one prompt to another; nodes are the same if their ids are."""
    return Diff(_changes(before, after))


def _changes(before: Prompt, after: Prompt) -> Iterator[Change]:
    for node_id, node in before.items():
        title = node["_meta"]["title"]
        if node_id not in after:
            yield Change("removed", node_id, title, node["class_type"], None)
        else:
            yield from _node_changes(node_id, node, after[node_id])
    for node_id, node in after.items():
        if node_id not in before:
            yield Change("added", node_id, node["_meta"]["title"], None, node["class_type"])


def _node_changes(node_id: str, before: ApiNode, after: ApiNode) -> Iterator[Change]:
    title = after["_meta"]["title"]
    if before["_meta"]["title"] != title:
        yield Change("changed", node_id, f"{title}.title", before["_meta"]["title"], title)
    if before["class_type"] != after["class_type"]:
        yield Change("changed", node_id, f"{title}.class_type", before["class_type"], after["class_type"])
    for name in dict.fromkeys([*before["inputs"], *after["inputs"]]):
        old, new = before["inputs"].get(name, _ABSENT), after["inputs"].get(name, _ABSENT)
        path = f"{title}.{name}"
        if old is _ABSENT:
            yield Change("added", node_id, path, None, read_value(after["inputs"][name]))
        elif new is _ABSENT:
            yield Change("removed", node_id, path, read_value(before["inputs"][name]), None)
        elif not _same(before["inputs"][name], after["inputs"][name]):
            yield Change(
                "changed", node_id, path, *map(read_value, (before["inputs"][name], after["inputs"][name]))
            )


def _same(old: Json, new: Json) -> bool:
    """Equal, and of the same kind: true is not 1, and RANDOM is not 0."""
    kinds = [bool if isinstance(value, bool) else type(value) for value in (old, new)]
    numbers = {int, float}
    return old == new and (kinds[0] is kinds[1] or set(kinds) <= numbers)
