"""Samplers that add noise on their way, and the two that can do with or without."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from comfy_nb.server.diffusion.samplers.base import (
    OnStep,
    StepNoise,
    ancestral,
    halfway,
    slope,
    steps,
    towards,
)
from comfy_nb.server.worlds.base import Array, Denoiser

Sigmas = NDArray[np.float64]


def euler_ancestral(
    denoiser: Denoiser,
    x: Array,
    sigmas: Sigmas,
    on_step: OnStep,
    noise: StepNoise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Array:
    """Euler further down than the next noise level, then up again with fresh noise."""
    for index, sigma, following in steps(sigmas):
        guess = denoiser(x, sigma)
        down, up = ancestral(sigma, following, eta)
        start, x = x, towards(x, guess, sigma, down)
        x = _noised(x, up * s_noise, noise)
        on_step(index, start, guess)
    return x


def dpm_2_ancestral(
    denoiser: Denoiser,
    x: Array,
    sigmas: Sigmas,
    on_step: OnStep,
    noise: StepNoise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Array:
    """As `euler_ancestral`, with the slope halfway (in log sigma) of the way down."""
    for index, sigma, following in steps(sigmas):
        guess = denoiser(x, sigma)
        down, up = ancestral(sigma, following, eta)
        start = x
        if down > 0.0:
            middle = halfway(sigma, down)
            between = towards(start, guess, sigma, middle)
            x = start + slope(between, denoiser(between, middle), middle) * (down - sigma)
        else:
            x = towards(start, guess, sigma, down)
        x = _noised(x, up * s_noise, noise)
        on_step(index, start, guess)
    return x


def dpmpp_2s_ancestral(
    denoiser: Denoiser,
    x: Array,
    sigmas: Sigmas,
    on_step: OnStep,
    noise: StepNoise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Array:
    """DPM-Solver++(2S) down, fresh noise up: the guess halfway leads the step (Lu et al. 2022, arXiv 2211.01095)."""
    for index, sigma, following in steps(sigmas):
        guess = denoiser(x, sigma)
        down, up = ancestral(sigma, following, eta)
        start, aim = x, guess
        if down > 0.0:
            middle = halfway(sigma, down)
            aim = denoiser(towards(x, guess, sigma, middle), middle)
        x = _noised(towards(x, aim, sigma, down), up * s_noise, noise)
        on_step(index, start, guess)
    return x


def dpmpp_sde(
    denoiser: Denoiser,
    x: Array,
    sigmas: Sigmas,
    on_step: OnStep,
    noise: StepNoise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
    r: float = 0.5,
) -> Array:
    """DPM-Solver++ for the stochastic equation: a noisy look at the share `r` of the step, then the step."""
    for index, sigma, following in steps(sigmas):
        guess = denoiser(x, sigma)
        start = x
        if following > 0.0:
            middle = sigma ** (1 - r) * following**r
            down, up = ancestral(sigma, middle, eta)
            seen = towards(x, guess, sigma, down) + noise.between(sigma, middle) * (up * s_noise)
            aim = guess + (denoiser(seen, middle) - guess) / (2 * r)
            down, up = ancestral(sigma, following, eta)
            x = towards(x, aim, sigma, down) + noise.between(sigma, following) * (up * s_noise)
        else:
            x = guess
        on_step(index, start, guess)
    return x


def dpmpp_2m_sde(
    denoiser: Denoiser,
    x: Array,
    sigmas: Sigmas,
    on_step: OnStep,
    noise: StepNoise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
    solver_type: str = "midpoint",
) -> Array:
    """DPM-Solver++(2M) for the stochastic equation; `solver_type` says how the guess before is used."""
    before: Array | None = None
    last = 0.0
    for index, sigma, following in steps(sigmas):
        guess = denoiser(x, sigma)
        start = x
        if following > 0.0:
            width = math.log(sigma / following)
            decay = width * (1 + eta)
            x = math.exp(-decay) * x - math.expm1(-decay) * guess
            if before is not None:
                share = _phi_2(decay) if solver_type == "heun" else -math.expm1(-decay) / 2
                x = x + (guess - before) * (share * width / last)
            x = _walked(x, (sigma, following), eta, s_noise, noise)
            last = width
        else:
            x = guess
        before = guess
        on_step(index, start, guess)
    return x


def dpmpp_3m_sde(
    denoiser: Denoiser,
    x: Array,
    sigmas: Sigmas,
    on_step: OnStep,
    noise: StepNoise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Array:
    """As `dpmpp_2m_sde`, with a parabola through the last three guesses."""
    guesses: deque[Array] = deque(maxlen=3)
    widths: deque[float] = deque(maxlen=2)
    for index, sigma, following in steps(sigmas):
        guess = denoiser(x, sigma)
        start = x
        guesses.appendleft(guess)
        if following > 0.0:
            width = math.log(sigma / following)
            decay = width * (1 + eta)
            x = math.exp(-decay) * x - math.expm1(-decay) * guess
            x = x + _bend(guesses, [last / width for last in widths], decay)
            x = _walked(x, (sigma, following), eta, s_noise, noise)
            widths.appendleft(width)
        else:
            x = guess
        on_step(index, start, guess)
    return x


def _bend(guesses: deque[Array], ratios: list[float], decay: float) -> Array | float:
    """Give what the guesses before add to a step; `ratios` are their distances over this step's, newest first."""
    if not ratios:
        return 0.0
    newer = (guesses[0] - guesses[1]) / ratios[0]
    phi_2 = _phi_2(decay)
    if len(ratios) == 1:
        return newer * phi_2
    older = (guesses[1] - guesses[2]) / ratios[1]
    curve = (newer - older) / (ratios[0] + ratios[1])
    phi_3 = phi_2 / decay - 0.5
    return (newer + curve * ratios[0]) * phi_2 - curve * phi_3


def _phi_2(decay: float) -> float:
    return math.expm1(-decay) / decay + 1.0


def res_multistep(
    denoiser: Denoiser,
    x: Array,
    sigmas: Sigmas,
    on_step: OnStep,
    noise: StepNoise,
    *,
    eta: float = 0.0,
    s_noise: float = 1.0,
) -> Array:
    """Refined exponential solver with the guess before in place of a second look (Zhang et al. 2023, arXiv 2308.02157).

    Deterministic unless `eta` is above 0.
    """
    before: Array | None = None
    above = reached = 0.0
    for index, sigma, following in steps(sigmas):
        guess = denoiser(x, sigma)
        down, up = ancestral(sigma, following, eta)
        start, aim = x, guess
        if before is not None and down > 0.0:
            width = math.log(sigma / down)
            share = _phi_2(width) / (math.log(reached / above) / width)
            aim = guess + (before - guess) * (share / -math.expm1(-width))
        x = _noised(towards(x, aim, sigma, down), up * s_noise, noise)
        before, above, reached = guess, sigma, down
        on_step(index, start, guess)
    return x


def ddpm(denoiser: Denoiser, x: Array, sigmas: Sigmas, on_step: OnStep, noise: StepNoise) -> Array:
    """The original reverse process: a draw from the posterior of the next x given the guess (Ho et al. 2020).

    `euler_ancestral` in other words: in exact arithmetic they are the same.
    """
    for index, sigma, following in steps(sigmas):
        guess = denoiser(x, sigma)
        start, kept = x, (1 + following**2) / (1 + sigma**2)
        gone = 1 - kept
        mean = x / math.sqrt(1 + sigma**2) - slope(x, guess, sigma) * (gone * math.sqrt(1 + sigma**2) / sigma)
        x = mean * math.sqrt((1 + following**2) / kept)
        spread = math.sqrt(gone * (1 + sigma**2)) * following / sigma
        x = _noised(x, spread, noise)
        on_step(index, start, guess)
    return x


def lcm(denoiser: Denoiser, x: Array, sigmas: Sigmas, on_step: OnStep, noise: StepNoise) -> Array:
    """Jump to the guess, then add fresh noise of the next level; made for consistency models (arXiv 2310.04378)."""
    for index, sigma, following in steps(sigmas):
        guess = denoiser(x, sigma)
        start, x = x, _noised(guess, following, noise)
        on_step(index, start, guess)
    return x


def _noised(x: Array, strength: float, noise: StepNoise) -> Array:
    return x + noise.fresh() * strength if strength > 0.0 else x


def _walked(x: Array, step: tuple[float, float], eta: float, s_noise: float, noise: StepNoise) -> Array:
    """Add the noise of a step of the stochastic equation."""
    sigma, following = step
    strength = following * math.sqrt(-math.expm1(-2 * eta * math.log(sigma / following))) * s_noise
    return x + noise.between(sigma, following) * strength if strength > 0.0 else x
