"""How workflows and nodes look: as text, and as a table in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import NamedTuple

from comfy_nb.workflow.classes import InputSpec, NodeClass
from comfy_nb.workflow.names import clip
from comfy_nb.workflow.values import ApiNode, Json, Prompt, is_secret, read_link, read_value

__all__ = ["node_line", "workflow_html", "workflow_table"]

MAX_ROWS = 60
"""Nodes shown before "… and more"."""

MAX_VALUE = 40
"""Characters of one value."""

MAX_CHOICES = 4
"""Choices of a list that are shown."""


class _Setting(NamedTuple):
    """An input that is no link: its name, its value, and what is allowed ("" if nobody knows)."""

    name: str
    value: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.name}={self.value}{f' ({self.allowed})' if self.allowed else ''}"


def node_line(node_id: str, node: ApiNode) -> str:
    """One line: id, title, class, values and links."""
    links = (
        f"{_plain(name)}←{_plain(link.node_id)}[{link.slot}]"
        for name, value in node["inputs"].items()
        if (link := read_link(value)) is not None
    )
    inputs = ", ".join([*map(str, _settings(node, None)), *links])
    title, class_type = _plain(node["_meta"]["title"]), _plain(node["class_type"])
    return f"<Node {_plain(node_id)} {title!r} ({class_type}): {inputs}>"


def workflow_table(prompt: Prompt, name: str, classes: Mapping[str, NodeClass]) -> str:
    """A table: id, title, class, and the inputs that are not links, with their values and what is allowed."""
    rows = [
        (*cells, ", ".join(map(str, _settings(node, classes.get(node["class_type"])))))
        for cells, node in _rows(prompt)
    ]
    rows.insert(0, ("id", "title", "class", "settable inputs"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3])).rstrip()
        for row in rows
    ]
    return "\n".join([_headline(prompt, name), *lines, *_more(prompt)])


def workflow_html(prompt: Prompt, name: str, classes: Mapping[str, NodeClass]) -> str:
    """The same as a table for a notebook, one row for each input; everything from the workflow is escaped."""
    heads = "".join(_cell("th", head) for head in ("id", "title", "class", "input", "value", "allowed"))
    rows = "".join(_html_rows(cells, node, classes) for cells, node in _rows(prompt))
    more = "".join(f"<p>{escape(line)}</p>" for line in _more(prompt))
    headline = escape(_headline(prompt, name))
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<div><strong>{headline}</strong>{table}{more}</div>"


def _html_rows(cells: tuple[str, str, str], node: ApiNode, classes: Mapping[str, NodeClass]) -> str:
    """The rows of one node: its own cells stand beside all of its inputs."""
    settings = [*_settings(node, classes.get(node["class_type"]))] or [_Setting("", "", "")]
    span = f' rowspan="{len(settings)}"'
    lead = "".join(_cell("td", escape(cell), span) for cell in cells)
    rows = [
        _cell("td", escape(one.name))
        + _cell("td", f"<code>{escape(one.value)}</code>" if one.value else "")
        + _cell("td", f'<small style="opacity:0.75">{escape(one.allowed)}</small>' if one.allowed else "")
        for one in settings
    ]
    rows[0] = lead + rows[0]
    # Notebooks shade every second row, which would cut nodes in two.
    line = "border-top:1px solid rgba(128,128,128,0.35)"
    return "".join(
        f'<tr style="background:none{"" if number else ";" + line}">{row}</tr>'
        for number, row in enumerate(rows)
    )


def _cell(tag: str, content: str, attributes: str = "") -> str:
    return f'<{tag} style="text-align:left;vertical-align:top;padding:2px 8px"{attributes}>{content}</{tag}>'


def _rows(prompt: Prompt) -> Iterator[tuple[tuple[str, str, str], ApiNode]]:
    for node_id, node in list(prompt.items())[:MAX_ROWS]:
        yield (_plain(node_id), _plain(node["_meta"]["title"]), _plain(node["class_type"])), node


def _headline(prompt: Prompt, name: str) -> str:
    count = f"{len(prompt)} node{'s' * (len(prompt) != 1)}"
    return f"Workflow {_plain(name)!r}, {count}" if name else f"Workflow, {count}"


def _more(prompt: Prompt) -> list[str]:
    return [f"… and {len(prompt) - MAX_ROWS} more"] if len(prompt) > MAX_ROWS else []


def _settings(node: ApiNode, node_class: NodeClass | None) -> Iterator[_Setting]:
    for name, value in node["inputs"].items():
        if read_link(value) is None:
            shown = "…" if is_secret(name) else _short(value)
            spec = node_class.input(name) if node_class else None
            yield _Setting(_plain(name), shown, _allowed(spec) if spec else "")


def _allowed(spec: InputSpec) -> str:
    choices = spec.choices
    if choices is not None:
        more = f" and {len(choices) - MAX_CHOICES} more" if len(choices) > MAX_CHOICES else ""
        return _plain(", ".join(str(choice) for choice in choices[:MAX_CHOICES]), 80) + more
    low, high = spec.limits
    if low is not None and high is not None:
        return f"{_number(low)} to {_number(high)}"
    if low is not None:
        return f"{_number(low)} or more"
    return f"{_number(high)} or less" if high is not None else ""


def _number(value: float) -> str:
    """A limit as people write it: the largest seed is 2^64-1."""
    if isinstance(value, int) and value > 2**31 and (value + 1).bit_count() == 1:
        return f"2^{value.bit_length()}-1"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _short(value: Json) -> str:
    if isinstance(value, str):  # clipped first: a text may be megabytes
        return repr(clip(value, MAX_VALUE))
    return clip(repr(read_value(value)), MAX_VALUE)


def _plain(text: str, limit: int = MAX_VALUE) -> str:
    """The text on one line, without what could move a cursor."""
    return "".join(char if char.isprintable() else " " for char in clip(text, limit))
