"""KSampler: a seed, a schedule, a sampler and two prompts make latents out of latents."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from comfy_nb.server.diffusion.noise import torch_randn
from comfy_nb.server.diffusion.samplers import SAMPLER_FUNCTIONS
from comfy_nb.server.diffusion.schedules import SCHEDULES, SIGMA_MAX, sigmas_for
from comfy_nb.server.worlds.base import Array, Conditioning, World

SAMPLERS: tuple[str, ...] = tuple(SAMPLER_FUNCTIONS)
SCHEDULERS: tuple[str, ...] = tuple(SCHEDULES)

OnPreview = Callable[[int, int, Array], None]
"""(step from 1, number of steps, x0 of the whole batch in v space)."""


def ksampler(
    world: World,
    *,
    seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: Conditioning,
    negative: Conditioning,
    samples: Array,
    denoise: float = 1.0,
    callback: OnPreview | None = None,
) -> Array:
    """Sample `world` as ComfyUI's KSampler does; `samples` and the result are float32 [B, 4, h, w] in v space.

    `callback` runs after every step; what it raises ends the sampling. With `denoise` 0 the samples come back
    as they are. Raises ValueError for an unknown sampler or scheduler, or for fewer than one step.
    """
    if sampler_name not in SAMPLER_FUNCTIONS:
        raise ValueError(f"no sampler {sampler_name!r}; there are {', '.join(SAMPLER_FUNCTIONS)}")
    sigmas = sigmas_for(scheduler, steps, denoise)
    if sigmas.size == 0:
        return samples
    scale = world.scale(samples.shape)
    x = samples.astype(np.float32) * np.float32(scale) + starting_noise(samples.shape, seed, float(sigmas[0]))
    total = sigmas.size - 1

    def on_step(index: int, guess: Array) -> None:
        if callback is not None:
            callback(index + 1, total, guess / scale)

    denoiser = world.denoiser(samples.shape, positive, negative, cfg)
    return SAMPLER_FUNCTIONS[sampler_name](denoiser, x, sigmas, on_step) / scale


def starting_noise(shape: tuple[int, ...], seed: int, sigma: float) -> Array:
    """Draw the noise that a run begins with at noise level `sigma`.

    At the very top the variance of the data is added: x should look like a noised picture, not like noise.
    """
    at_top = math.isclose(sigma, SIGMA_MAX, rel_tol=1e-5)
    strength = math.sqrt(1.0 + sigma * sigma) if at_top else sigma
    return torch_randn(shape, seed) * np.float32(strength)
