"""What a workflow is about: the first words of its positive prompt."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable

from comfy_nb.workflow.costs import is_sampler
from comfy_nb.workflow.values import Json, Prompt, read_link

MAX_TITLE = 48
"""The longest title, in characters."""

# In these inputs a prompt is written, or comes in from a node that holds text.
TEXT_INPUTS = (
    "text",
    "prompt",
    "positive_prompt",
    "text_g",
    "clip_l",
    "t5xxl",
    "value",
    "string",
    "string_a",
)
# Through these inputs the positive conditioning comes: text encoder to guider, guider to sampler.
_ON_THE_WAY = ("positive", "guider", "conditioning", "conditioning_1", "conditioning_to", "conditioning1")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def subject(prompt: Prompt, nodes: Iterable[str]) -> str:
    """The first words of the positive prompt among these nodes, at most 48 characters; "" if there is none.

    The samplers' positive conditioning is followed to its text; without samplers, the first node with a text
    or prompt counts.
    """
    ids = list(nodes)
    samplers = [node_id for node_id in ids if is_sampler(prompt, node_id)]
    seen: set[str] = set()
    for node_id in samplers:
        text = _upstream(prompt, node_id, seen)
        if text:
            return text
    if samplers:
        return ""
    for node_id in ids:
        inputs = prompt[node_id]["inputs"]
        text = next((found for name in ("text", "prompt") if (found := _words(inputs.get(name)))), "")
        if text:
            return text
    return ""


def _upstream(prompt: Prompt, sampler: str, seen: set[str]) -> str:
    """The first text met by going upstream from a sampler, not through nodes `seen` before, which had none."""
    pending = deque([sampler])
    ways = (*_ON_THE_WAY, "prompt", "positive_prompt")
    while pending:
        inputs = prompt[pending.popleft()]["inputs"]
        for name in ways:
            value = inputs.get(name)
            link = read_link(value)
            if link is None and (text := _words(value)):
                return text
            if link is not None and link.node_id in prompt and link.node_id not in seen:
                seen.add(link.node_id)
                pending.append(link.node_id)
        ways = (*TEXT_INPUTS, *_ON_THE_WAY)
    return ""


def _words(value: Json) -> str:
    return first_words(value) if isinstance(value, str) else ""


def first_words(text: str, limit: int = MAX_TITLE) -> str:
    """The text's first words on one line, at most `limit` characters, with "…" where it was cut."""
    # No more than `limit` words can fit; control characters are blanks.
    line = " ".join(_CONTROL.sub(" ", text).split(maxsplit=limit)[:limit])
    if len(line) <= limit:
        return line.rstrip(" ,;")
    head = line[: limit - 1]
    if line[limit - 1] not in " ,;":
        head = head.rpartition(" ")[0] or head
    return head.rstrip(" ,;") + "…"
