"""Samplers: ways to solve dx/dsigma = (x - D(x; sigma)) / sigma down a falling list of noise levels.

Each is a plain function of one signature, in the table at the end. They know nothing of worlds, prompts or scales.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from comfy_nb.server.worlds.base import Array, Denoiser

OnStep = Callable[[int, Array], None]
"""Called after every step with its index (from 0) and the current guess of the clean latent, x0."""

Sampler = Callable[[Denoiser, Array, NDArray[np.float64], OnStep], Array]
"""(denoiser, x at sigmas[0], sigmas, on_step) -> x at sigmas[-1]."""


def euler(denoiser: Denoiser, x: Array, sigmas: NDArray[np.float64], on_step: OnStep) -> Array:
    """First order: follow the tangent to the next noise level (Karras et al. 2022, without churn)."""
    levels: list[float] = sigmas.tolist()
    for index, (sigma, following) in enumerate(pairwise(levels)):
        guess = denoiser(x, sigma)
        x = x + (x - guess) * ((following - sigma) / sigma)
        on_step(index, guess)
    return x


SAMPLER_FUNCTIONS: dict[str, Sampler] = {"euler": euler}
"""The implemented samplers by ComfyUI's names, in ComfyUI's order."""
