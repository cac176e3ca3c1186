"""How workflows and nodes look as text."""

from __future__ import annotations

from collections.abc import Iterator

from comfy_nb.workflow.names import clip
from comfy_nb.workflow.values import ApiNode, Json, Prompt, is_secret, read_link, read_value

MAX_ROWS = 60
"""Nodes shown before "… and more"."""

MAX_VALUE = 40
"""Characters of one value."""


def node_line(node_id: str, node: ApiNode) -> str:
    """One line: id, title, class, values and links."""
    links = (
        f"{_plain(name)}←{_plain(link.node_id)}[{link.slot}]"
        for name, value in node["inputs"].items()
        if (link := read_link(value)) is not None
    )
    inputs = ", ".join([*_settable(node), *links])
    title, class_type = _plain(node["_meta"]["title"]), _plain(node["class_type"])
    return f"<Node {_plain(node_id)} {title!r} ({class_type}): {inputs}>"


def workflow_table(prompt: Prompt, name: str) -> str:
    """A table: id, title, class, and the inputs that are not links, with their values."""
    rows = [
        (
            _plain(node_id),
            _plain(node["_meta"]["title"]),
            _plain(node["class_type"]),
            ", ".join(_settable(node)),
        )
        for node_id, node in list(prompt.items())[:MAX_ROWS]
    ]
    rows.insert(0, ("id", "title", "class", "settable inputs"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3])).rstrip()
        for row in rows
    ]
    count = f"{len(prompt)} node{'s' * (len(prompt) != 1)}"
    more = [f"… and {len(prompt) - MAX_ROWS} more"] if len(prompt) > MAX_ROWS else []
    return "\n".join([f"Workflow {_plain(name)!r}, {count}" if name else f"Workflow, {count}", *lines, *more])


def _settable(node: ApiNode) -> Iterator[str]:
    for name, value in node["inputs"].items():
        if read_link(value) is None:
            yield f"{_plain(name)}={'…' if is_secret(name) else _short(value)}"


def _short(value: Json) -> str:
    if isinstance(value, str):  # clipped first: a text may be megabytes
        return repr(clip(value, MAX_VALUE))
    return clip(repr(read_value(value)), MAX_VALUE)


def _plain(text: str) -> str:
    """The text on one line, without what could move a cursor."""
    return "".join(char if char.isprintable() else " " for char in clip(text, MAX_VALUE))
