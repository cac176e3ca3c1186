"""How inputs are declared: [type, options], as /object_info shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["MATCHED", "Field", "choice", "combo", "integer", "number", "seed", "sigma", "switch"]

Field = list[Any]

MAX_SIZE = 16384

MATCHED = "COMFY_MATCHTYPE_V3"
"""The type of inputs and outputs that have any one type: the same for all of one template of a node."""


def integer(default: int, low: int, high: int, step: int | None = None, **options: Any) -> Field:
    """A whole number."""
    stepped = {} if step is None else {"step": step}
    return ["INT", {"default": default, "min": low, "max": high, **stepped, **options}]


def number(default: float, low: float, high: float, step: float, **options: Any) -> Field:
    """A number."""
    return ["FLOAT", {"default": default, "min": low, "max": high, "step": step, **options}]


def sigma(default: float, high: float = 5000.0, **options: Any) -> Field:
    """A setting of a sampler or a schedule, which front ends hide at first and do not round."""
    return number(default, 0.0, high, 0.01, round=False, advanced=True, **options)


def switch(default: bool, **options: Any) -> Field:
    """Yes or no."""
    return ["BOOLEAN", {"default": default, **options}]


def choice(names: Sequence[str], **options: Any) -> Field:
    """One of some names, in the form of ComfyUI's older nodes."""
    return [list(names), options]


def combo(names: Sequence[str], **options: Any) -> Field:
    """One of some names, in the form of its newer nodes."""
    return ["COMBO", {"multiselect": False, "options": list(names), **options}]


def seed(what: str) -> Field:
    """A seed, which a front end may change after each run."""
    return integer(0, 0, 2**64 - 1, control_after_generate=True, tooltip=what)
