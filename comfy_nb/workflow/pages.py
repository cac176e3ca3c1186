"""What the page scripts of packs add to a node: inputs that no server declares, so that only their names tell.

Facts about single packs stand here, and nowhere else. What is not known of a pack is not guessed: it is told of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from comfy_nb.workflow.classes import NodeClass
from comfy_nb.workflow.ui import UiNode
from comfy_nb.workflow.values import is_mapping

__all__ = ["FILLED", "PAGE_NODES", "PASSING", "Added", "added_by_page"]

_SHOWN_ONLY = ("videopreview", "imagepreview", "audiopreview", "PreviewImage")
"""Names of widgets that show something and are never sent."""

PASSING = frozenset({"Reroute", "Reroute (rgthree)", "SetNode", "easy setNode"})
"""Nodes of the page that hand on what comes into the input of the same number."""

PAGE_NODES = frozenset(
    {
        "Anything Everywhere",
        "Anything Everywhere3",
        "Anything Everywhere?",
        "Bookmark (rgthree)",
        "Fast Actions Button (rgthree)",
        "Fast Bypasser (rgthree)",
        "Fast Groups Bypasser (rgthree)",
        "Fast Groups Muter (rgthree)",
        "Fast Muter (rgthree)",
        "Label (rgthree)",
        "Mute / Bypass Relay (rgthree)",
        "Mute / Bypass Repeater (rgthree)",
        "Node Collector (rgthree)",
        "Note Plus (mtb)",
        "Prompts Everywhere",
        "Random Unmuter (rgthree)",
        "Reroute (rgthree)",
    }
)
"""Nodes of packs that only the page knows, unless a server has such a class; they never run."""

FILLED = frozenset(
    {
        "SaveImage",
        "SaveImageAdvanced",
        "SaveSVGNode",
        "SaveVideo",
        "SaveAnimatedWEBP",
        "SaveWEBM",
        "SaveAudio",
        "SaveAudioMP3",
        "SaveAudioOpus",
        "SaveAudioAdvanced",
        "SaveGLB",
        "Save3DAdvanced",
        "SaveGaussianSplat",
        "SavePointCloud",
        "SaveAnimatedPNG",
        "CLIPSave",
        "VAESave",
        "ModelSave",
        "LoraSave",
        "SaveLatent",
        "VHS_VideoCombine",
    }
)
"""Classes whose `filename_prefix` may hold texts that the page fills in when it queues."""


@dataclass(slots=True)
class Added:
    """Inputs beyond those of the class (name, value, where it stood), and the keys of the values that are done with."""

    inputs: list[tuple[str, object, int | str]] = field(default_factory=list[tuple[str, object, int | str]])
    taken: set[object] = field(default_factory=set[object])


def added_by_page(
    node: UiNode, node_class: NodeClass, left: Mapping[object, object], known: set[str]
) -> Added:
    """What becomes of the values that no declared widget took."""
    added = Added()
    if node.type == "Power Lora Loader (rgthree)":
        _lora_rows(node, left, added)
        return added
    if not node_class.is_custom:
        return added
    for name, value in left.items():
        if isinstance(name, str) and name not in known:
            if name in _SHOWN_ONLY or name.startswith("control_"):
                added.taken.add(name)
            elif isinstance(value, str | int | float) and "$" not in name:
                # A pack that saves its values by name has a widget for each, such as those of a video's format.
                added.inputs.append((name, value, name if isinstance(node.values, Mapping) else -1))
                added.taken.add(name)
    return added


def _lora_rows(node: UiNode, left: Mapping[object, object], added: Added) -> None:
    """Rows `{"on", "lora", "strength"}` become `lora_1`, …; the heading and the button are sent as well."""
    two = node.properties.get("Show Strengths") == "Separate Model & Clip"
    rows: list[tuple[str, object, int | str]] = []
    for at, value in left.items():
        if is_mapping(value) and "lora" in value:
            row = {str(key): item for key, item in value.items() if key != "strengthTwo"}
            if two:
                given = value.get("strengthTwo")
                row["strengthTwo"] = 1 if given is None else given
            home = at if isinstance(at, int) else -1
            rows.append((f"lora_{len(rows) + 1}", row, home))
            added.taken.add(at)
        elif value == {} or (is_mapping(value) and value.get("type") == "PowerLoraLoaderHeaderWidget"):
            added.taken.add(at)
    heading = "PowerLoraLoaderHeaderWidget"
    added.inputs += [(heading, {"type": heading}, -1), *rows, ("\N{HEAVY PLUS SIGN} Add Lora", "", -1)]
