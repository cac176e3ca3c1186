"""Noise levels: the sigma table of Stable Diffusion 1.5, and the schedules that pick from it.

A schedule gives sigmas in float64, falling, the last one 0: `steps + 1` of them unless its text says otherwise.
Karras et al. 2022 (arXiv 2206.00364) for `karras`; the others follow ComfyUI's definitions.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Sigmas = NDArray[np.float64]

TRAIN_STEPS = 1000
KARRAS_RHO = 7.0
BETA_GRID = 200_000
ALWAYS = 999999999.9
"""ComfyUI's sigma for "before the first step"."""


def _sigma_table() -> Sigmas:
    betas = np.square(np.linspace(0.00085**0.5, 0.012**0.5, TRAIN_STEPS, dtype=np.float64))
    kept = np.cumprod(1.0 - betas, dtype=np.float64)
    return np.sqrt((1.0 - kept) / kept)


SIGMAS: Sigmas = _sigma_table()
"""The 1000 noise levels that the model was (in real life) trained on, rising from 0.0292 to 14.61."""
SIGMA_MIN = float(SIGMAS[0])
SIGMA_MAX = float(SIGMAS[-1])


def sigma_at(timestep: NDArray[np.float64]) -> Sigmas:
    """Give the sigma of fractional timesteps 0 to 999, interpolated in log sigma."""
    return np.exp(np.interp(timestep, np.arange(TRAIN_STEPS), np.log(SIGMAS)))


def sigma_at_percent(percent: float) -> float:
    """Give the sigma at a share of sampling from 0 to 1, as ranges of conditioning count it."""
    if percent <= 0.0:
        return ALWAYS
    if percent >= 1.0:
        return 0.0
    return float(sigma_at(np.array((1.0 - percent) * (TRAIN_STEPS - 1))))


def simple(steps: int) -> Sigmas:
    """Every n-th entry of the table, from the top."""
    picked = [SIGMAS[-(1 + int(i * TRAIN_STEPS / steps))] for i in range(steps)]
    return np.append(picked, 0.0)


def sgm_uniform(steps: int) -> Sigmas:
    """Even in timesteps, without the lowest level."""
    return np.append(sigma_at(np.linspace(TRAIN_STEPS - 1, 0, steps + 1)[:-1]), 0.0)


def karras(
    steps: int, sigma_max: float = SIGMA_MAX, sigma_min: float = SIGMA_MIN, rho: float = KARRAS_RHO
) -> Sigmas:
    """Even in sigma to the power 1/rho: with 7, about half of the steps lie below sigma 1."""
    top, bottom = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return np.append((top + np.linspace(0.0, 1.0, steps) * (bottom - top)) ** rho, 0.0)


def exponential(steps: int, sigma_max: float = SIGMA_MAX, sigma_min: float = SIGMA_MIN) -> Sigmas:
    """Even in log sigma."""
    return polyexponential(steps, sigma_max, sigma_min, 1.0)


def polyexponential(
    steps: int, sigma_max: float = SIGMA_MAX, sigma_min: float = SIGMA_MIN, rho: float = 1.0
) -> Sigmas:
    """A power of an even ramp in log sigma; above 1, `rho` puts more steps at low noise."""
    ramp = np.linspace(1.0, 0.0, steps) ** rho
    low, high = np.log(sigma_min), np.log(sigma_max)
    return np.append(np.exp(low + ramp * (high - low)), 0.0)


def ddim_uniform(steps: int) -> Sigmas:
    """Every n-th entry of the table, from the bottom; may come out one step longer."""
    return np.append(SIGMAS[1 :: max(TRAIN_STEPS // steps, 1)][::-1], 0.0)


def beta(steps: int, alpha: float = 0.6, beta: float = 0.6) -> Sigmas:
    """Timesteps at the quantiles of a beta distribution: dense at both ends. Repeats are dropped, so it may be shorter.

    Lee et al. 2024 (arXiv 2407.12173).
    """
    quantiles = _beta_quantiles(1.0 - np.linspace(0.0, 1.0, steps, endpoint=False), alpha, beta)
    timesteps = np.rint(quantiles * (TRAIN_STEPS - 1)).astype(int)
    repeated = np.flatnonzero(np.diff(timesteps) == 0) + 1
    return np.append(SIGMAS[np.delete(timesteps, repeated)], 0.0)


def _beta_quantiles(shares: NDArray[np.float64], alpha: float, beta: float) -> NDArray[np.float64]:
    """Invert the beta distribution. With x = sin^2(t) its density has no poles for parameters of 1/2 and more."""
    edges = np.linspace(0.0, np.pi / 2, BETA_GRID + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    density = np.sin(middles) ** (2 * alpha - 1) * np.cos(middles) ** (2 * beta - 1)
    reached = np.append(0.0, np.cumsum(density))
    return np.sin(np.interp(shares, reached / reached[-1], edges)) ** 2


def normal(steps: int) -> Sigmas:
    """Even in timesteps, both ends included."""
    return np.append(sigma_at(np.linspace(TRAIN_STEPS - 1, 0, steps)), 0.0)


def linear_quadratic(steps: int, threshold: float = 0.025) -> Sigmas:
    """Half of the steps linear down to 1 - `threshold` of the top, the rest quadratic. Made for flow models.

    On these noise levels its last step is far too long, as in ComfyUI.
    """
    if steps == 1:
        return np.array([SIGMA_MAX, 0.0])
    half = steps // 2
    bend = (half - threshold * steps) / (half * (steps - half) ** 2)
    index = np.linspace(0.0, steps, steps + 1)
    past: Sigmas = np.maximum(index - half, 0.0)
    done = threshold * index / half + bend * past**2
    done[-1] = 1.0
    return SIGMA_MAX * (1.0 - done)


def kl_optimal(steps: int) -> Sigmas:
    """Even in arctan sigma. Sabour et al. 2024 (arXiv 2404.14507)."""
    return np.append(np.tan(np.linspace(math.atan(SIGMA_MAX), math.atan(SIGMA_MIN), steps)), 0.0)


def vp(steps: int, beta_d: float = 14.0, beta_min: float = 0.05, eps_s: float = 0.001) -> Sigmas:
    """The continuous variance-preserving schedule. Song et al. 2021 (arXiv 2011.13456)."""
    time = np.linspace(1.0, eps_s, steps)
    return np.append(np.sqrt(np.expm1(beta_d * np.square(time) / 2 + beta_min * time)), 0.0)


def sd_turbo(steps: int, denoise: float = 1.0) -> Sigmas:
    """Up to ten levels a hundred timesteps apart, from the top or, with `denoise` below 1, from further down."""
    start = 10 - int(10 * denoise)
    timesteps = np.arange(TRAIN_STEPS - 1, 0, -100)[start : start + steps]
    return np.append(SIGMAS[timesteps], 0.0)


SCHEDULES: dict[str, Callable[[int], Sigmas]] = {
    "simple": simple,
    "sgm_uniform": sgm_uniform,
    "karras": karras,
    "exponential": exponential,
    "ddim_uniform": ddim_uniform,
    "beta": beta,
    "normal": normal,
    "linear_quadratic": linear_quadratic,
    "kl_optimal": kl_optimal,
}
"""The schedules by ComfyUI's names, in ComfyUI's order."""


def sigmas_for(scheduler: str, steps: int, denoise: float = 1.0, *, skip_last: bool = False) -> Sigmas:
    """Give the sigmas of a run; with `denoise` below 1 the last `steps + 1` of a longer schedule.

    `skip_last` makes room for samplers that look halfway to 0 (dpm_2): one step more, less the lowest level.
    Empty when `denoise` is 0 or less: nothing is to be done. Raises ValueError for an unknown scheduler or no steps.
    """
    if scheduler not in SCHEDULES:
        raise ValueError(f"no scheduler {scheduler!r}; there are {', '.join(SCHEDULES)}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    if denoise <= 0.0:
        return np.empty(0)
    whole = steps if denoise > 0.9999 else int(steps / denoise)
    sigmas = SCHEDULES[scheduler](whole + skip_last)
    if skip_last:
        sigmas = np.delete(sigmas, -2)
    return sigmas if denoise > 0.9999 else sigmas[-(steps + 1) :]


def split(sigmas: Sigmas, step: int) -> tuple[Sigmas, Sigmas]:
    """Cut a schedule before a step; both parts hold the sigma of the cut."""
    return sigmas[: step + 1], sigmas[step:]


def split_denoise(sigmas: Sigmas, denoise: float) -> tuple[Sigmas, Sigmas]:
    """Cut a schedule so that the low part has the last `denoise` of its steps."""
    steps = max(sigmas.size - 1, 0)
    return split(sigmas, steps - round(steps * denoise))


def flip(sigmas: Sigmas) -> Sigmas:
    """Turn a schedule round, to go from a picture to noise. A leading 0 becomes 0.0001, which can be divided by."""
    turned = sigmas[::-1].copy()
    if turned.size and turned[0] == 0.0:
        turned[0] = 0.0001
    return turned
