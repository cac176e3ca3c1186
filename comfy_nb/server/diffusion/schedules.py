"""Noise levels: the sigma table of Stable Diffusion 1.5, and the schedules that pick from it.

Every schedule returns `steps + 1` sigmas in float64, falling, the last one 0.
Karras et al. 2022 (arXiv 2206.00364) for `karras`; the others follow ComfyUI's definitions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Sigmas = NDArray[np.float64]

TRAIN_STEPS = 1000
KARRAS_RHO = 7.0


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


def simple(steps: int) -> Sigmas:
    """Every n-th entry of the table, from the top."""
    picked = [SIGMAS[-(1 + int(i * TRAIN_STEPS / steps))] for i in range(steps)]
    return np.append(picked, 0.0)


def karras(steps: int) -> Sigmas:
    """Even in sigma to the power 1/7: about half of the steps lie below sigma 1."""
    ramp = np.linspace(0.0, 1.0, steps)
    top, bottom = SIGMA_MAX ** (1 / KARRAS_RHO), SIGMA_MIN ** (1 / KARRAS_RHO)
    return np.append((top + ramp * (bottom - top)) ** KARRAS_RHO, 0.0)


def normal(steps: int) -> Sigmas:
    """Even in timesteps, both ends included."""
    return np.append(sigma_at(np.linspace(TRAIN_STEPS - 1, 0, steps)), 0.0)


SCHEDULES: dict[str, Callable[[int], Sigmas]] = {"simple": simple, "karras": karras, "normal": normal}
"""The implemented schedules by ComfyUI's names, in ComfyUI's order."""


def sigmas_for(scheduler: str, steps: int, denoise: float = 1.0) -> Sigmas:
    """Give the sigmas of a KSampler run; with `denoise` below 1 the last `steps + 1` of a longer schedule.

    Empty when `denoise` is 0 or less: nothing is to be done. Raises ValueError for an unknown scheduler or no steps.
    """
    if scheduler not in SCHEDULES:
        raise ValueError(f"no scheduler {scheduler!r}; there are {', '.join(SCHEDULES)}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    if denoise <= 0.0:
        return np.empty(0)
    if denoise > 0.9999:
        return SCHEDULES[scheduler](steps)
    return SCHEDULES[scheduler](int(steps / denoise))[-(steps + 1) :]
