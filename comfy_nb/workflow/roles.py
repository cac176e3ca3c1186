"""Text nodes by their role: whose conditioning reaches an input "positive" or "negative"."""

from __future__ import annotations

from collections.abc import Mapping

from comfy_nb.workflow.subject import TEXT_INPUTS
from comfy_nb.workflow.values import Prompt, read_link

__all__ = ["ROLES", "nodes_of_role"]

ROLES: Mapping[str, str] = {"Positive": "positive", "Negative": "negative"}
"""The name of a role, and of the inputs that it reaches."""

_PASSES = ("conditioning", "guider", "cond")
"""What the names begin with of the inputs through which conditioning comes on its way."""


def nodes_of_role(prompt: Prompt, role: str) -> list[str]:
    """The ids of the nodes that hold the text of that role, in the order of the file."""
    found = _reached(prompt, ROLES[role])
    if role == "Negative":  # what is negated, zeroed out, or given to both ends is the positive text
        found -= _reached(prompt, ROLES["Positive"])
    return [node_id for node_id in prompt if node_id in found]


def _reached(prompt: Prompt, end: str) -> set[str]:
    pending: list[str] = []
    for node in prompt.values():
        link = read_link(node["inputs"].get(end))
        if link is not None:
            pending.append(link.node_id)
    seen, found = set[str](), set[str]()
    while pending:
        node_id = pending.pop()
        if node_id in seen or node_id not in prompt:
            continue
        seen.add(node_id)
        inputs = prompt[node_id]["inputs"]
        if any(isinstance(inputs.get(name), str) for name in TEXT_INPUTS):
            found.add(node_id)
            continue
        links = {name: link for name, value in inputs.items() if (link := read_link(value))}
        ways = (
            [end] if end in links else [name for name in links if name.startswith((*_PASSES, *TEXT_INPUTS))]
        )
        pending += [links[name].node_id for name in ways]
    return found
