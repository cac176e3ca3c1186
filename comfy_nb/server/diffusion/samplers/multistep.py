"""Deterministic samplers that remember earlier steps: one look per step, and yet of higher order."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from comfy_nb.server.diffusion.samplers.base import OnStep, StepNoise, slope, steps, towards
from comfy_nb.server.worlds.base import Array, Denoiser

Sigmas = NDArray[np.float64]

Weights = Callable[[Sequence[float], float], Iterable[float]]
"""(the sigmas of the slopes, newest first; the sigma to reach) -> how much each slope moves x."""

_NODES, _SHARES = np.polynomial.legendre.leggauss(24)

# The continuous noise schedule that DEIS puts its polynomials in: sigma 0.002 at time 0.001 and 80 at time 1.
_EARLY, _LATE = math.log1p(0.002**2), math.log1p(80.0**2)
_BETA_D = 2 * (_EARLY / 0.001 - _LATE) / (0.001 - 1)
_BETA_MIN = _LATE - 0.5 * _BETA_D


def lms(
    denoiser: Denoiser, x: Array, sigmas: Sigmas, on_step: OnStep, noise: StepNoise, *, order: int = 4
) -> Array:
    """Linear multistep: the polynomial in sigma through the last slopes, integrated over the step."""
    del noise
    return _adams(denoiser, x, sigmas, on_step, order, _polynomial_in_sigma)


def ipndm(denoiser: Denoiser, x: Array, sigmas: Sigmas, on_step: OnStep, noise: StepNoise) -> Array:
    """Adams-Bashforth of order 4 as if all steps were equal (Zhang and Chen 2023, arXiv 2204.13902)."""
    del noise
    return _adams(denoiser, x, sigmas, on_step, 4, _equal_steps)


def deis(denoiser: Denoiser, x: Array, sigmas: Sigmas, on_step: OnStep, noise: StepNoise) -> Array:
    """Like `lms` of order 3, with the polynomial in the time of a variance-preserving process (as `ipndm`'s source)."""
    del noise
    return _adams(denoiser, x, sigmas, on_step, 3, _polynomial_in_time)


def _adams(  # noqa: PLR0917 - the arguments of a sampler and the two that make it one of this family
    denoiser: Denoiser, x: Array, sigmas: Sigmas, on_step: OnStep, order: int, weigh: Weights
) -> Array:
    """Move by a weighted sum of the last slopes; the last step, to 0, ends on the guess."""
    slopes: deque[Array] = deque(maxlen=order)
    levels: deque[float] = deque(maxlen=order)
    for index, sigma, following in steps(sigmas):
        guess = denoiser(x, sigma)
        start = x
        slopes.appendleft(slope(x, guess, sigma))
        levels.appendleft(sigma)
        if following > 0.0:
            for known, weight in zip(slopes, weigh(levels, following), strict=True):
                x = x + known * weight
        else:
            x = towards(x, guess, sigma, following)
        on_step(index, start, guess)
    return x


_ADAMS_BASHFORTH = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


def _equal_steps(levels: Sequence[float], following: float) -> Iterable[float]:
    distance = following - levels[0]
    return [distance * weight for weight in _ADAMS_BASHFORTH[len(levels) - 1]]


def _polynomial_in_sigma(levels: Sequence[float], following: float) -> Iterable[float]:
    half = (following - levels[0]) / 2
    places = levels[0] + half * (1 + _NODES)
    return (_lagrange(np.array(levels), places) @ (_SHARES * half)).tolist()


def _polynomial_in_time(levels: Sequence[float], following: float) -> Iterable[float]:
    times, end = _time(np.array(levels)), _time(np.array(following))
    half = (end - times[0]) / 2
    places = times[0] + half * (1 + _NODES)
    inner = 0.5 * _BETA_D * places**2 + _BETA_MIN * places
    speed = np.exp(inner) * (_BETA_D * places + _BETA_MIN) / (2 * np.sqrt(np.expm1(inner)))  # dsigma/dtime
    return (_lagrange(times, places) @ (_SHARES * half * speed)).tolist()


def _time(sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    return (np.sqrt(_BETA_MIN**2 + 2 * _BETA_D * np.log1p(sigma**2)) - _BETA_MIN) / _BETA_D


def _lagrange(nodes: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the polynomials that are 1 at one node and 0 at the others, at `places`: [nodes, places]."""
    rows: list[NDArray[np.float64]] = []
    for index, node in enumerate(nodes):
        others = np.delete(nodes, index)[:, None]
        rows.append(np.prod((places - others) / (node - others), axis=0))
    return np.array(rows)


def dpmpp_2m(denoiser: Denoiser, x: Array, sigmas: Sigmas, on_step: OnStep, noise: StepNoise) -> Array:
    """DPM-Solver++(2M): a line through the last two guesses, in log sigma (Lu et al. 2022, arXiv 2211.01095)."""
    del noise
    before: Array | None = None
    last = 0.0
    for index, sigma, following in steps(sigmas):
        guess = denoiser(x, sigma)
        start, aim = x, guess
        if following > 0.0:
            width = math.log(sigma / following)
            if before is not None:
                aim = guess + (guess - before) * (width / (2 * last))
            last = width
        x = towards(x, aim, sigma, following)
        before = guess
        on_step(index, start, guess)
    return x


def gradient_estimation(
    denoiser: Denoiser, x: Array, sigmas: Sigmas, on_step: OnStep, noise: StepNoise, *, gamma: float = 2.0
) -> Array:
    """Euler along a slope that is corrected with the one before (Permenter and Yuan 2023, arXiv 2306.04848)."""
    del noise
    before: Array | None = None
    for index, sigma, following in steps(sigmas):
        guess = denoiser(x, sigma)
        start, here = x, slope(x, guess, sigma)
        x = towards(x, guess, sigma, following)
        if before is not None and following > 0.0:
            x = x + (here - before) * ((gamma - 1.0) * (following - sigma))
        before = here
        on_step(index, start, guess)
    return x
