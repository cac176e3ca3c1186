"""A prompt without the nodes that people muted or bypassed: the links that went through them are led past them."""

from __future__ import annotations

from collections.abc import Mapping

from comfy_nb.errors import WorkflowError
from comfy_nb.workflow.classes import NodeClass
from comfy_nb.workflow.names import clip
from comfy_nb.workflow.values import ApiNode, Json, Link, Prompt, read_link

__all__ = ["without"]


def without(prompt: Prompt, silenced: Mapping[str, str], classes: Mapping[str, NodeClass]) -> Prompt:
    """The nodes that run, with their links; an input whose link leads to nothing that runs is left out."""
    left: Prompt = {}
    for node_id, node in prompt.items():
        if node_id in silenced:
            continue
        inputs: dict[str, Json] = {}
        for name, value in node["inputs"].items():
            link = read_link(value)
            if link is None or link.node_id not in silenced:
                inputs[name] = value
            elif (source := _past(prompt, silenced, classes, link, name)) is not None:
                inputs[name] = [source.node_id, source.slot]
        left[node_id] = {**node, "inputs": inputs}
    return left


def _past(
    prompt: Prompt, silenced: Mapping[str, str], classes: Mapping[str, NodeClass], link: Link, wanted: str
) -> Link | None:
    """What a link to an input of the name `wanted` leads to once the nodes that are bypassed let it past."""
    seen: set[str] = set()
    while (how := silenced.get(link.node_id)) is not None:
        if how == "muted" or link.node_id in seen or link.node_id not in prompt:
            return None
        seen.add(link.node_id)
        node = prompt[link.node_id]
        incoming = {name: way for name, value in node["inputs"].items() if (way := read_link(value))}
        kind = _made(classes, prompt, link)
        if kind is not None:
            same = [way for name, way in incoming.items() if kind in (_kind(classes, node, name), "*")]
        elif wanted in incoming:  # no types are known here, so the names have to do
            same = [incoming[wanted]]
        elif len(incoming) > 1:
            title = clip(node["_meta"]["title"])
            raise WorkflowError(
                f"{title!r} cannot be bypassed, as nobody knows the types of its {len(incoming)} linked inputs: "
                "load the workflow by a connection, comfy.load(...), or set the links yourself."
            )
        else:
            same = list(incoming.values())
        if not same:
            return None
        link = same[0]
    return link


def _kind(classes: Mapping[str, NodeClass], node: ApiNode, name: str) -> str:
    """The type of an input; "" if nobody knows."""
    found = classes.get(node["class_type"])
    spec = found.input(name) if found else None
    return spec.type if spec else ""


def _made(classes: Mapping[str, NodeClass], prompt: Prompt, link: Link) -> str | None:
    """The type of what a link leads to; None if nobody knows."""
    found = classes.get(prompt[link.node_id]["class_type"])
    return found.outputs[link.slot] if found and 0 <= link.slot < len(found.outputs) else None
