"""Deterministic samplers that look at the current step only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from comfy_nb.server.diffusion.samplers.base import OnStep, StepNoise, halfway, slope, steps, towards
from comfy_nb.server.worlds.base import Array, Denoiser

Sigmas = NDArray[np.float64]


def euler(denoiser: Denoiser, x: Array, sigmas: Sigmas, on_step: OnStep, noise: StepNoise) -> Array:
    """First order: follow the tangent to the next noise level (Karras et al. 2022, without churn)."""
    del noise
    for index, sigma, following in steps(sigmas):
        guess = denoiser(x, sigma)
        start, x = x, x + slope(x, guess, sigma) * (following - sigma)
        on_step(index, start, guess)
    return x


def heun(denoiser: Denoiser, x: Array, sigmas: Sigmas, on_step: OnStep, noise: StepNoise) -> Array:
    """Second order: the mean of the slopes at both ends of the step (Karras et al. 2022)."""
    del noise
    for index, sigma, following in steps(sigmas):
        guess = denoiser(x, sigma)
        start, here = x, slope(x, guess, sigma)
        x = start + here * (following - sigma)
        if following > 0.0:
            there = slope(x, denoiser(x, following), following)
            x = start + (here + there) * ((following - sigma) / 2)
        on_step(index, start, guess)
    return x


def heunpp2(denoiser: Denoiser, x: Array, sigmas: Sigmas, on_step: OnStep, noise: StepNoise) -> Array:
    """Heun++: slopes at up to three coming levels, weighted by these levels (Li et al. 2023, arXiv 2308.14267)."""
    del noise
    levels: list[float] = sigmas.tolist()
    for index, sigma, following in steps(sigmas):
        guess = denoiser(x, sigma)
        start, look = x, slope(x, guess, sigma)
        ahead = [level for level in levels[index + 1 : index + 3] if level != levels[-1]]
        weights = [level / ((len(ahead) + 1) * levels[0]) for level in ahead]
        mean = look * (1.0 - sum(weights))
        seen, level = start, sigma
        for weight, reached in zip(weights, ahead, strict=True):
            seen = seen + look * (reached - level)
            level = reached
            look = slope(seen, denoiser(seen, level), level)
            mean = mean + look * weight
        x = start + mean * (following - sigma)
        on_step(index, start, guess)
    return x


def dpm_2(denoiser: Denoiser, x: Array, sigmas: Sigmas, on_step: OnStep, noise: StepNoise) -> Array:
    """Second order: the slope halfway (in log sigma) of the step (Lu et al. 2022, arXiv 2206.00927)."""
    del noise
    for index, sigma, following in steps(sigmas):
        guess = denoiser(x, sigma)
        start = x
        if following > 0.0:
            middle = halfway(sigma, following)
            between = towards(start, guess, sigma, middle)
            x = start + slope(between, denoiser(between, middle), middle) * (following - sigma)
        else:
            x = towards(start, guess, sigma, following)
        on_step(index, start, guess)
    return x
