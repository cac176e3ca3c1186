"""From a seed, a schedule, a sampler and prompts to latents: ComfyUI's KSampler and SamplerCustomAdvanced."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comfy_nb.server.diffusion.guidance import Guider, cfg_guider
from comfy_nb.server.diffusion.noise import Noise, NoNoise, RandomNoise, Wiener
from comfy_nb.server.diffusion.samplers import (
    MASK_NOISE_APART,
    SAMPLER_FUNCTIONS,
    SKIP_LAST,
    Sampler,
)
from comfy_nb.server.diffusion.samplers import sampler as sampler_named
from comfy_nb.server.diffusion.schedules import SCHEDULES, SIGMA_MAX, Sigmas, sigmas_for
from comfy_nb.server.worlds.base import Array, Conditionings, Denoiser, Factor, World
from comfy_nb.server.worlds.masks import fit_mask

SAMPLERS: tuple[str, ...] = tuple(SAMPLER_FUNCTIONS)
SCHEDULERS: tuple[str, ...] = tuple(SCHEDULES)

OnPreview = Callable[[int, int, Array], None]
"""(step from 1, number of steps, x0 of the whole batch in v space)."""

OnLook = Callable[[int, float, tuple[Factor, ...]], None]
"""(step from 1, sigma, what the first picture of the batch leaves open at the beginning of the step)."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """What a run gives, in v space [B, 4, h, w]."""

    samples: Array
    denoised: Array
    """The guess of the clean latent at the last step: the same, unless the run ends above sigma 0."""


def sample(
    guider: Guider,
    noise: Noise,
    sampler: Sampler,
    sigmas: Sigmas,
    samples: Array,
    *,
    mask: Array | None = None,
    batch_index: Sequence[int] | None = None,
    callback: OnPreview | None = None,
    watch: OnLook | None = None,
) -> Sampled:
    """Noise `samples` (v space, [B, 4, h, w]) to the first of `sigmas` and sample down to the last.

    `mask` says where to paint (1) and what to keep (0), at any size. `callback` runs after every step, `watch` too;
    what they raise ends the sampling. Without a step to do, the samples come back as they are.
    """
    if sigmas.size < 2:
        return Sampled(samples, samples)
    shape, scale = samples.shape, np.float32(guider.world.scale(samples.shape))
    latent = samples.astype(np.float32) * scale
    drawn = noise.generate(shape, batch_index)
    denoiser = guider.denoiser(shape)
    if mask is not None:
        apart = RandomNoise(noise.seed + 1).generate(shape) if sampler is MASK_NOISE_APART else drawn
        denoiser = _keeping(denoiser, latent, apart, fit_mask(mask, shape))
    total, last = sigmas.size - 1, latent

    def on_step(index: int, x: Array, guess: Array) -> None:
        nonlocal last
        last = guess
        if watch is not None:
            sigma = float(sigmas[index])
            watch(index + 1, sigma, guider.world.undecided(x[0], sigma, guider.leading))
        if callback is not None:
            callback(index + 1, total, guess / scale)

    x = latent + drawn * np.float32(starting_strength(float(sigmas[0])))
    x = sampler(denoiser, x, sigmas, on_step, Wiener(shape, noise.seed))
    return Sampled(x / scale, last / scale)


def ksampler(
    world: World,
    *,
    seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: Conditionings,
    negative: Conditionings,
    samples: Array,
    denoise: float = 1.0,
    mask: Array | None = None,
    batch_index: Sequence[int] | None = None,
    add_noise: bool = True,
    start_at_step: int | None = None,
    end_at_step: int | None = None,
    return_with_leftover_noise: bool = True,
    callback: OnPreview | None = None,
    watch: OnLook | None = None,
) -> Array:
    """Sample `world` as ComfyUI's KSampler and KSamplerAdvanced do; see `sample` for what is not said here.

    A run may begin at a step and end before another one; then `return_with_leftover_noise` says whether its last step
    goes all the way to 0 instead. Raises ValueError for an unknown sampler or scheduler, or for fewer than one step.
    """
    solver = sampler_named(sampler_name)
    sigmas = sigmas_for(scheduler, steps, denoise, skip_last=sampler_name in SKIP_LAST)
    part = _part(sigmas, start_at_step, end_at_step, return_with_leftover_noise)
    guider = cfg_guider(world, positive, negative, cfg)
    noise = RandomNoise(seed) if add_noise else NoNoise(seed)
    done = sample(
        guider,
        noise,
        solver,
        part,
        samples,
        mask=mask,
        batch_index=batch_index,
        callback=callback,
        watch=watch,
    )
    return done.samples


def _part(sigmas: Sigmas, start: int | None, end: int | None, leftover: bool) -> Sigmas:
    """Cut the steps from `start` up to `end` out of a schedule; the last one goes to 0 if no noise may be left."""
    if end is not None and end < sigmas.size - 1:
        sigmas = sigmas[: end + 1].copy()
        if not leftover:
            sigmas[-1] = 0.0
    if start is not None:
        sigmas = sigmas[start:]
    return sigmas


def starting_strength(sigma: float) -> float:
    """Say how strong the noise is that a run begins with at noise level `sigma`.

    At the very top the variance of the data is added: x should look like a noised picture, not like noise.
    """
    at_top = sigma > SIGMA_MAX or math.isclose(sigma, SIGMA_MAX, rel_tol=1e-5)
    return math.sqrt(1.0 + sigma * sigma) if at_top else sigma


def _keeping(denoiser: Denoiser, latent: Array, noise: Array, painted: NDArray[np.float32]) -> Denoiser:
    """Put what the mask keeps into every x, noised to its level, and into every guess, clean."""
    kept = np.float32(1.0) - painted

    def denoise(x: Array, sigma: float) -> Array:
        seen = x * painted + (latent + noise * np.float32(sigma)) * kept
        return denoiser(seen, sigma) * painted + latent * kept

    return denoise
