"""What a node of a class does, in words, and about how long it takes.

A weight is a time in sampler steps, very roughly: the bar should move evenly, not predict. Sampling counts
its steps, loading a model 3, coding pixels 2, most else 1, and nodes that only hold or rearrange values 0.2.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import NamedTuple

from comfy_nb.workflow.values import Json, Prompt, read_link

DEFAULT_STEPS = 20
"""Steps of a sampler that does not say how many it takes (ComfyUI's own default)."""

MAX_STEPS = 10_000
"""KSampler's own upper limit."""

MAX_HOPS = 20
"""How far upstream a sampler's steps, and what its latent becomes, are looked for."""

_LATENT_INPUTS = ("latent_image", "samples", "latent", "av_latent", "video_latent")


class Cost(NamedTuple):
    """What a node is doing ("" if its class does not say), and its weight in sampler steps."""

    activity: str
    weight: float


# The first pattern that is found in the class name counts. "{medium}" is what the latent becomes.
_BY_CLASS: tuple[tuple[re.Pattern[str], Cost], ...] = tuple(
    (re.compile(pattern), Cost(activity, weight))
    for pattern, activity, weight in (
        (r"^Load.*Image|^ImageLoad", "Loading image…", 0.5),
        (r"^Load.*Video|^VHS_LoadVideo", "Loading video…", 1.0),
        (r"^Load.*Audio", "Loading audio…", 0.5),
        (r"Loader", "Loading model…", 3.0),
        (r"VAEDecodeAudio|AudioVAEDecode", "Decoding audio…", 2.0),
        (r"VAEDecode", "Decoding {medium}…", 2.0),
        (r"VAEEncodeAudio|AudioVAEEncode", "Encoding audio…", 2.0),
        (r"VAEEncode", "Encoding image…", 2.0),
        (r"CLIPVisionEncode", "Encoding image…", 1.0),
        (r"TextEncode", "Encoding prompt…", 1.0),
        (r"UpscaleWithModel|UpscaleImageUsingModel", "Upscaling image…", 3.0),
        (r"^Save.*Audio", "Saving audio…", 1.0),
        (r"^Save(?:Video|WEBM)|VideoCombine", "Saving video…", 2.0),
        (r"^Save.*Image|^SaveAnimated", "Saving image…", 1.0),
        (r"^(?:Primitive|Empty|Reroute|Get|String|Regex|Json|ComfySwitch|ComfyMath|ComfyNumber)", "", 0.2),
        (r"^(?:KSamplerSelect|RandomNoise)$|^(?:Conditioning|ModelSampling)", "", 0.2),
        (r"(?:Scheduler|Guider|Guidance|Sigmas|Combo|Selector)$", "", 0.2),
    )
)
_UNKNOWN = Cost("", 1.0)


def cost(prompt: Prompt, node_id: str) -> Cost:
    """What one node of a prompt does, and its weight."""
    if is_sampler(prompt, node_id):
        return Cost(f"Sampling {_medium(prompt, node_id)}…", float(max(1, _steps(prompt, node_id))))
    found = _by_class(prompt[node_id]["class_type"])
    if "{" in found.activity:
        return found._replace(activity=found.activity.format(medium=_medium(prompt, node_id)))
    return found


@lru_cache(maxsize=1024)
def _by_class(class_type: str) -> Cost:
    return next((found for pattern, found in _BY_CLASS if pattern.search(class_type)), _UNKNOWN)


def _medium(prompt: Prompt, node_id: str) -> str:
    """What a latent becomes, "image", "video" or "audio", by the classes that it comes from."""
    seen: set[str] = set()
    while node_id in prompt and node_id not in seen and len(seen) < MAX_HOPS:
        seen.add(node_id)
        node = prompt[node_id]
        named = re.search(r"Video|Audio", node["class_type"])
        if named:
            return named.group().lower()
        sources = (read_link(node["inputs"].get(name)) for name in _LATENT_INPUTS)
        node_id = next((link.node_id for link in sources if link is not None), "")
    return "image"


def is_sampler(prompt: Prompt, node_id: str) -> bool:
    """Whether a node runs a model step by step: "Sampler" in its class, and an input for a latent or steps.

    (KSamplerSelect and its like, which only choose an algorithm, have neither.)
    """
    node = prompt[node_id]
    return "Sampler" in node["class_type"] and ("latent_image" in node["inputs"] or "steps" in node["inputs"])


def _steps(prompt: Prompt, node_id: str) -> int:
    """The steps a sampler will take: its own count, or that of the scheduler that makes its sigmas."""
    inputs = prompt[node_id]["inputs"]
    steps = _number(prompt, inputs.get("steps"))
    if steps is None:
        steps = _scheduled_steps(prompt, inputs.get("sigmas"))
    if steps is None:
        return DEFAULT_STEPS
    # KSamplerAdvanced runs a part of its schedule.
    end = _number(prompt, inputs.get("end_at_step"))
    start = _number(prompt, inputs.get("start_at_step"))
    return min(steps, steps if end is None else end) - (start or 0)


def _scheduled_steps(prompt: Prompt, sigmas: Json) -> int | None:
    """The step count of the scheduler upstream, looked for through nodes that pass sigmas on."""
    seen: set[str] = set()
    link = read_link(sigmas)
    while link is not None and link.node_id in prompt and link.node_id not in seen and len(seen) < MAX_HOPS:
        seen.add(link.node_id)
        inputs = prompt[link.node_id]["inputs"]
        written = inputs.get("sigmas")
        if "steps" in inputs:
            return _number(prompt, inputs["steps"])
        if isinstance(written, str):  # ManualSigmas: n + 1 numbers are n steps
            return len(re.findall(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?", written)) - 1
        link = read_link(written)
    return None


def _number(prompt: Prompt, value: Json) -> int | None:
    """A whole number of steps, also when it comes from a node that just holds one ("value")."""
    link = read_link(value)
    if link is not None:
        value = prompt[link.node_id]["inputs"].get("value") if link.node_id in prompt else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    return int(min(max(value, 0), MAX_STEPS))
