"""Where the values of a prompt stand in the UI-format graph that it was made of, so that both can stay the same.

Known are the values of the root's own nodes and of its sub-graphs' instances. A value inside a definition, which
all instances share, is not written back.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from comfy_nb.workflow.values import Json, Prompt, read_link, read_value

__all__ = ["Place", "Places", "brought_up_to_date"]


class Place(NamedTuple):
    """The entry `at` of `widgets_values` of the root's node `node_id`, which became `value`; `widget` is its name."""

    node_id: str
    at: int | str
    value: Json
    widget: str = ""


Places = dict[tuple[str, str], Place]
"""By the prompt's node id and input."""


def brought_up_to_date(ui: Mapping[str, Any], places: Places, prompt: Prompt) -> dict[str, Any]:
    """A copy of a graph that holds the values of a prompt made of it, where they have changed since."""
    fresh: dict[str, Any] = copy.deepcopy(dict(ui))
    nodes = {str(node["id"]): node for node in fresh["nodes"]}
    for (node_id, name), place in places.items():
        value = prompt[node_id]["inputs"].get(name, place.value) if node_id in prompt else place.value
        node = nodes.get(place.node_id)
        if node is None or value == place.value or read_link(value) is not None:
            continue
        values, named = node.get("widgets_values"), node.get("widgets_values_named")
        if (isinstance(place.at, int) and isinstance(values, list)) or isinstance(values, dict):
            cast("dict[int | str, object]", values)[place.at] = read_value(value)
        if isinstance(named, dict) and place.widget in named:
            named[place.widget] = read_value(value)
    return fresh
