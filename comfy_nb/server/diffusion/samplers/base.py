"""What a sampler is, and the few steps that most of them share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from comfy_nb.server.worlds.base import Array, Denoiser

OnStep = Callable[[int, Array, Array], None]
"""Called after every step with its index (from 0), the x it began with and its guess of the clean latent, x0."""


class StepNoise(Protocol):
    """The noise that a sampler adds on its way; see `noise.Wiener`."""

    def fresh(self) -> Array:
        """Draw standard normal noise, independent of all other."""
        ...

    def between(self, sigma: float, following: float) -> Array:
        """Give standard normal noise for a step; steps that overlap share what they have in common."""
        ...


class Sampler(Protocol):
    """(denoiser, x at sigmas[0], sigmas, on_step, noise) -> x at sigmas[-1]."""

    def __call__(
        self,
        denoiser: Denoiser,
        x: Array,
        sigmas: NDArray[np.float64],
        on_step: OnStep,
        noise: StepNoise,
        /,
    ) -> Array:
        """Sample."""
        ...


def steps(sigmas: NDArray[np.float64]) -> list[tuple[int, float, float]]:
    """List (index, sigma, following sigma) as plain floats, which leave float32 latents float32."""
    levels: list[float] = sigmas.tolist()
    return [(index, levels[index], levels[index + 1]) for index in range(len(levels) - 1)]


def towards(x: Array, guess: Array, sigma: float, following: float) -> Array:
    """Move along the straight line to `guess` until the noise level is `following`: an Euler step."""
    return guess + (x - guess) * (following / sigma)


def slope(x: Array, guess: Array, sigma: float) -> Array:
    """Give dx/dsigma."""
    return (x - guess) / sigma


def halfway(sigma: float, following: float) -> float:
    """Give the noise level halfway in log sigma."""
    return math.sqrt(sigma * following)


def ancestral(sigma: float, following: float, eta: float) -> tuple[float, float]:
    """Split a step: how far to go down without noise, and how much noise then to add, to end at `following`.

    `eta` 0 adds none, 1 as much as the forward process has (Song et al. 2021, arXiv 2010.02502).
    """
    up = min(following, eta * math.sqrt(following**2 * (sigma**2 - following**2)) / sigma)
    return math.sqrt(following**2 - up**2), up
