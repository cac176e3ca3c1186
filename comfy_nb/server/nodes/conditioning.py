"""Prompts, and where, when and how much they count. A CONDITIONING is a tuple of one or more."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from comfy_nb.server.nodes.base import Context, NodeClass, NodeResult, Run, gives, gives_all
from comfy_nb.server.nodes.fields import MAX_SIZE, Field, choice, integer, number, switch
from comfy_nb.server.nodes.values import MASK, PIXELS, Latent, check_canvas
from comfy_nb.server.worlds.base import (
    PIXELS_PER_LATENT,
    Array,
    Conditioning,
    Known,
    World,
    blend,
    join,
    zeroed,
)

__all__ = ["NODES", "Side", "settle"]

Side = tuple[Conditioning, ...]

logger = logging.getLogger(__name__)

# Areas in percent are drawn on a canvas of this many pixels a side: as fine as the inputs' step of 0.01 needs.
PERCENT_CANVAS = 400

# Emphasis of 1.1 is 14,000 times at a depth of this: nobody means more.
MAX_NESTING = 100


def _encode_text(context: Context, inputs: dict[str, Any]) -> NodeResult:
    world: World = inputs["clip"]
    _check_nesting(inputs["text"])
    conditioning = world.encode_prompt(inputs["text"])
    if conditioning.unknown:
        words = ", ".join(conditioning.unknown)
        logger.warning("Node %s: the world %r does not know: %s", context.node_id, world.name, words)
    return NodeResult(((conditioning,),))


def _check_nesting(text: str) -> None:
    """Raise ValueError for brackets that are nested so deeply that weighing each word for each of them takes long."""
    depth = deepest = 0
    for mark in re.findall(r"(?<!\\)[()]", text):
        depth = depth + 1 if mark == "(" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    if deepest > MAX_NESTING:
        raise ValueError(f"The text has brackets nested {deepest:,} deep; up to {MAX_NESTING} are read.")


def _combine(conditioning_1: Side, conditioning_2: Side) -> Side:
    return conditioning_1 + conditioning_2


def _average(conditioning_to: Side, conditioning_from: Side, conditioning_to_strength: float) -> Side:
    # As on the original: only the first of those that are mixed in counts.
    towards = conditioning_from[0]
    return tuple(blend(each, towards, conditioning_to_strength) for each in conditioning_to)


def _concat(conditioning_to: Side, conditioning_from: Side) -> Side:
    return tuple(join(each, conditioning_from[0]) for each in conditioning_to)


def _zero_out(conditioning: Side) -> Side:
    return tuple(zeroed(each) for each in conditioning)


def _set_range(conditioning: Side, start: float, end: float) -> Side:
    return tuple(replace(each, start=start, end=end) for each in conditioning)


def _set_strength(conditioning: Side, strength: float) -> Side:
    return tuple(replace(each, strength=strength) for each in conditioning)


def _set_mask(conditioning: Side, mask: MASK, strength: float, set_cond_area: str) -> Side:
    # The bounds of a mask only save time where a model runs on a part of the picture; here it always sees all.
    del set_cond_area
    return tuple(replace(each, mask=mask[0], strength=strength) for each in conditioning)


@dataclass(frozen=True, slots=True)
class _Placed(Conditioning):
    """A conditioning for a rectangle in pixels, which becomes a mask once the size of the canvas is known."""

    area: tuple[int, int, int, int] = (0, 0, 0, 0)
    """x, y, width, height."""

    @classmethod
    def on(cls, base: Conditioning, area: tuple[int, int, int, int], strength: float) -> Self:
        """The same prompt on an area."""
        return cls(
            base.text,
            base.words,
            base.weights,
            base.unknown,
            strength,
            start=base.start,
            end=base.end,
            known=base.known,
            area=area,
        )

    def settled(self, canvas: tuple[int, int]) -> Conditioning:
        """The same with a mask for latents of `canvas` (height, width)."""
        x, y, width, height = (pixels // PIXELS_PER_LATENT for pixels in self.area)
        mask = np.zeros(canvas, np.float32)
        mask[y : y + height, x : x + width] = 1.0
        return replace(self, mask=mask)


def settle(side: Side, samples: Array) -> Side:
    """Turn areas into masks for these latents [B, 4, h, w]."""
    canvas = (samples.shape[-2], samples.shape[-1])
    return tuple(each.settled(canvas) if isinstance(each, _Placed) else each for each in side)


def _set_area(*, conditioning: Side, width: int, height: int, x: int, y: int, strength: float) -> Side:
    return tuple(_Placed.on(each, (x, y, width, height), strength) for each in conditioning)


def _set_area_percentage(
    *, conditioning: Side, width: float, height: float, x: float, y: float, strength: float
) -> Side:
    mask = np.zeros((PERCENT_CANVAS, PERCENT_CANVAS), np.float32)
    left, top = round(x * PERCENT_CANVAS), round(y * PERCENT_CANVAS)
    mask[top : top + round(height * PERCENT_CANVAS), left : left + round(width * PERCENT_CANVAS)] = 1.0
    return tuple(replace(each, mask=mask, strength=strength) for each in conditioning)


def _inpaint(
    *, positive: Side, negative: Side, vae: World, pixels: PIXELS, mask: MASK, noise_mask: bool
) -> tuple[Side, Side, Latent]:
    check_canvas(pixels.shape[2], pixels.shape[1], pixels.shape[0])
    latent = vae.encode(pixels)
    known = Known(latent, mask)
    painted: Latent = {"samples": latent, "noise_mask": mask} if noise_mask else {"samples": latent}
    return _knowing(positive, known), _knowing(negative, known), painted


def _knowing(side: Side, known: Known) -> Side:
    return tuple(replace(each, known=known) for each in side)


_CONDITIONING: Field = ["CONDITIONING", {}]
_STRENGTH = number(1.0, 0.0, 10.0, 0.01)
_PIXELS_64 = integer(64, 64, MAX_SIZE, 8)
_PIXELS_0 = integer(0, 0, MAX_SIZE, 8)


def _transform(name: str, title: str, description: str, run: Run, inputs: Mapping[str, Field]) -> NodeClass:
    """A node from CONDITIONING to CONDITIONING."""
    return NodeClass(
        name=name,
        display_name=title,
        category="model/conditioning/transform",
        description=description,
        run=run,
        required=inputs,
        outputs=("CONDITIONING",),
    )


NODES = [
    NodeClass(
        name="CLIPTextEncode",
        display_name="CLIP Text Encode (Prompt)",
        category="model/conditioning",
        description="Reads a prompt. Words that are not known are ignored, and named in the server's log.",
        run=_encode_text,
        required={
            "text": [
                "STRING",
                {
                    "multiline": True,
                    "dynamicPrompts": True,
                    "tooltip": "What the picture should hold, in words.",
                },
            ],
            "clip": ["CLIP", {"tooltip": "The world whose words are understood."}],
        },
        outputs=("CONDITIONING",),
        output_tooltips=("The words that were understood.",),
    ),
    _transform(
        "ConditioningCombine",
        "Conditioning (Combine)",
        "Both: their denoisers are averaged.",
        gives(_combine),
        {"conditioning_1": _CONDITIONING, "conditioning_2": _CONDITIONING},
    ),
    _transform(
        "ConditioningAverage",
        "Conditioning (Average)",
        "A mixture of the words' weights.",
        gives(_average),
        {
            "conditioning_to": _CONDITIONING,
            "conditioning_from": _CONDITIONING,
            "conditioning_to_strength": number(1.0, 0.0, 1.0, 0.01),
        },
    ),
    _transform(
        "ConditioningConcat",
        "Conditioning (Concat)",
        "The words of both as one prompt.",
        gives(_concat),
        {"conditioning_to": _CONDITIONING, "conditioning_from": _CONDITIONING},
    ),
    _transform(
        "ConditioningZeroOut",
        "Conditioning Zero Out",
        "No words at all: the world as it is.",
        gives(_zero_out),
        {"conditioning": _CONDITIONING},
    ),
    _transform(
        "ConditioningSetTimestepRange",
        "",
        "Counts only in this part of the sampling.",
        gives(_set_range),
        {
            "conditioning": _CONDITIONING,
            "start": number(0.0, 0.0, 1.0, 0.001),
            "end": number(1.0, 0.0, 1.0, 0.001),
        },
    ),
    _transform(
        "ConditioningSetArea",
        "Conditioning (Set Area)",
        "Counts only in a rectangle of the picture.",
        gives(_set_area),
        {
            "conditioning": _CONDITIONING,
            "width": _PIXELS_64,
            "height": _PIXELS_64,
            "x": _PIXELS_0,
            "y": _PIXELS_0,
            "strength": _STRENGTH,
        },
    ),
    _transform(
        "ConditioningSetAreaPercentage",
        "Conditioning (Set Area with Percentage)",
        "Counts only in a rectangle of the picture, in parts of it.",
        gives(_set_area_percentage),
        {
            "conditioning": _CONDITIONING,
            "width": number(1.0, 0, 1.0, 0.01),
            "height": number(1.0, 0, 1.0, 0.01),
            "x": number(0, 0, 1.0, 0.01),
            "y": number(0, 0, 1.0, 0.01),
            "strength": _STRENGTH,
        },
    ),
    _transform(
        "ConditioningSetAreaStrength",
        "Conditioning (Set Area Strength)",
        "Counts this much among others.",
        gives(_set_strength),
        {"conditioning": _CONDITIONING, "strength": _STRENGTH},
    ),
    _transform(
        "ConditioningSetMask",
        "Conditioning (Set Mask)",
        "Counts where the mask is.",
        gives(_set_mask),
        {
            "conditioning": _CONDITIONING,
            "mask": ["MASK", {}],
            "strength": _STRENGTH,
            "set_cond_area": choice(["default", "mask bounds"]),
        },
    ),
    NodeClass(
        name="InpaintModelConditioning",
        category="model/conditioning",
        description="Tells the sampler the clean pixels outside of the mask, as an inpainting model is told them: "
        "what it paints fits what is there.",
        run=gives_all(_inpaint),
        required={
            "positive": _CONDITIONING,
            "negative": _CONDITIONING,
            "vae": ["VAE", {}],
            "pixels": ["IMAGE", {}],
            "mask": ["MASK", {}],
            "noise_mask": switch(True, tooltip="Whether the latent also keeps what is outside of the mask."),
        },
        outputs=("CONDITIONING", "CONDITIONING", "LATENT"),
        output_names=("positive", "negative", "latent"),
    ),
]
