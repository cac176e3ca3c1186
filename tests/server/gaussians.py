"""Distributions whose denoisers are known in closed form, and what runs samplers on them."""

from __future__ import annotations

import numpy as np

from comfy_nb.server.diffusion.samplers import SAMPLER_FUNCTIONS


def gaussian(x, sigma):
    """The denoiser of data distributed as N(0, 1)."""
    return x / (1.0 + sigma * sigma)


class Draws:
    """Independent noise in float64."""

    def __init__(self, shape, seed=0):
        self._rng = np.random.default_rng(seed)
        self._shape = shape

    def fresh(self):
        return self._rng.normal(size=self._shape)

    def between(self, sigma, following):
        return self.fresh()


def run(name, denoiser, x, sigmas, seed=0, **options):
    """Sample with one of the samplers."""
    draws = Draws(x.shape, seed)
    return SAMPLER_FUNCTIONS[name](denoiser, x, sigmas, lambda index, x, guess: None, draws, **options)
