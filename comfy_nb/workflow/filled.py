"""Texts in names of files that ComfyUI's page fills in when it queues: "%date:yyyy-MM-dd%", "%KSampler.seed%".

A server that is sent a prompt directly does not fill them in ("%width%" and the like it does), so it is done here,
each time that a prompt is made: dates and seeds are those of the job.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from comfy_nb.workflow.pages import FILLED
from comfy_nb.workflow.ui import mappings
from comfy_nb.workflow.values import Prompt, is_mapping, read_link

__all__ = ["fill_in", "unfilled"]

NAME = "filename_prefix"
_PLACE = re.compile(r"%([^%]+)%")
_DATE = re.compile(r"d{1,2}|M{1,2}|h{1,2}|m{1,2}|s{1,2}|y{1,4}")
_UNFIT = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')


def fill_in(prompt: Prompt, ui: Mapping[str, Any] | None, now: datetime) -> None:
    """Fill in these texts, in place. `ui` is the graph that the prompt was made of, which may name nodes otherwise."""
    places = [inputs for inputs in map(_inputs, prompt.values()) if "%" in str(inputs.get(NAME, ""))]
    if not places:
        return
    aliases = _aliases(ui)

    def text(found: re.Match[str]) -> str:
        inner = found[1]
        parts = inner.split(".")
        if len(parts) == 2:
            value = _value(prompt, aliases, *parts)
            return found[0] if value is None else _UNFIT.sub("_", value)
        return date_text(parts[0][5:], now) if parts[0].startswith("date:") else found[0]

    for inputs in places:
        if isinstance(prefix := inputs[NAME], str):
            inputs[NAME] = _PLACE.sub(text, prefix)


def _inputs(node: Any) -> dict[str, Any]:
    return node["inputs"] if node["class_type"] in FILLED else {}


def unfilled(prompt: Prompt, own: Prompt) -> Prompt:
    """A prompt that was filled in, with the texts as people wrote them, for the graph that goes with it."""
    found: Prompt = dict(prompt)
    for node_id, node in own.items():
        if node_id in found and "%" in str(_inputs(node).get(NAME, "")):
            inputs = found[node_id]["inputs"] | {NAME: node["inputs"][NAME]}
            found[node_id] = {**found[node_id], "inputs": inputs}
    return found


def date_text(form: str, now: datetime) -> str:
    """A date as the page writes it: yyyy, yy, M, d, h, m and s, doubled for two digits."""
    numbers = {"d": now.day, "M": now.month, "h": now.hour, "m": now.minute, "s": now.second}

    def part(found: re.Match[str]) -> str:
        text = found[0]
        if text in ("yy", "yyyy"):
            return str(now.year)[-len(text) :]
        return str(numbers[text[0]]).rjust(len(text), "0") if text[0] in numbers else text

    return _DATE.sub(part, form)


def _aliases(ui: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """The nodes of the root by the name that people gave them for this."""
    found: dict[str, list[str]] = {}
    for node in mappings((ui or {}).get("nodes")):
        properties = node.get("properties")
        alias = properties.get("Node name for S&R") if is_mapping(properties) else None
        if isinstance(alias, str):
            found.setdefault(alias, []).append(str(node.get("id")))
    return found


def _value(prompt: Prompt, aliases: Mapping[str, list[str]], name: str, widget: str) -> str | None:
    """The value that is meant: of the first node of that alias, class or title that has such an input."""
    ways = (
        aliases.get(name, []),
        [key for key, node in prompt.items() if node["class_type"] == name],
        [key for key, node in prompt.items() if node["_meta"]["title"] == name],
    )
    for node_id in (key for keys in ways for key in keys if key in prompt):
        value = prompt[node_id]["inputs"].get(widget)
        if widget in prompt[node_id]["inputs"] and read_link(value) is None:
            return _shown(value)
    return None


def _shown(value: object) -> str:
    """A value as JavaScript writes it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: ""}[value]
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
