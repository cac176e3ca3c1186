"""Guidance: what is made of several conditionings. All kinds of it are weighted sums of denoisers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from comfy_nb.server.diffusion.schedules import sigma_at_percent
from comfy_nb.server.worlds.base import Array, Conditioning, Conditionings, Denoiser, World
from comfy_nb.server.worlds.masks import fit_mask

Side = tuple[Conditioning, ...]
"""Conditionings whose denoisers are averaged, by strength and mask, while they are active."""


@dataclass(frozen=True, slots=True)
class Guider:
    """A world and the weighted sides that make up its denoiser."""

    world: World
    sides: tuple[tuple[Side, float], ...]

    @property
    def leading(self) -> Conditioning:
        """The conditioning that says most about what is wanted: the first."""
        return self.sides[0][0][0] if self.sides[0][0] else Conditioning("")

    def denoiser(self, shape: tuple[int, ...]) -> Denoiser:
        """Build the guided denoiser for latents of `shape`, in scaled space."""
        terms = [_Term(term, shape) for side, _ in self.sides for term in side]
        owners = [index for index, (side, _) in enumerate(self.sides) for _ in side]
        mixture = self.world.mixture(shape, [term.conditioning for term in terms])

        def denoise(x: Array, sigma: float) -> Array:
            counts = [term.count(sigma) for term in terms]
            totals = [sum(c for c, o in zip(counts, owners, strict=True) if o == i) for i in set(owners)]
            shares = [
                self.sides[owner][1] * _share(count, totals[owner])
                for count, owner in zip(counts, owners, strict=True)
            ]
            everywhere = [share if isinstance(share, float) else 0.0 for share in shares]
            guess = mixture(x, sigma, everywhere)
            for index, share in enumerate(shares):
                if not isinstance(share, float):
                    alone = [float(other == index) for other in range(len(shares))]
                    guess = guess + mixture(x, sigma, alone) * share
            return guess

        return denoise


class _Term:
    """One conditioning with its mask resized and its range in sigmas."""

    def __init__(self, conditioning: Conditioning, shape: tuple[int, ...]) -> None:
        self.conditioning = conditioning
        self._from = sigma_at_percent(conditioning.start)
        self._to = sigma_at_percent(conditioning.end)
        mask, strength = conditioning.mask, conditioning.strength
        self._count = strength if mask is None else fit_mask(mask, shape) * np.float32(strength)

    def count(self, sigma: float) -> float | Array:
        """Say how much it counts at a noise level: a number, or a map of it."""
        return self._count if self._to <= sigma <= self._from else 0.0


def _share(count: float | Array, total: float | Array) -> float | Array:
    """Give count / total, and nothing where nothing counts."""
    if isinstance(count, float | int) and isinstance(total, float | int):
        return count / total if total else 0.0
    divisor = np.asarray(total, np.float32)
    return np.divide(count, divisor, out=np.zeros_like(divisor), where=divisor != 0.0)


def cfg_guider(world: World, positive: Conditionings, negative: Conditionings, cfg: float) -> Guider:
    """Classifier-free guidance: negative + cfg * (positive - negative); with `cfg` 1 the negative is not looked at."""
    if math.isclose(cfg, 1.0):
        return basic_guider(world, positive)
    return Guider(world, ((_side(positive), float(cfg)), (_side(negative), 1.0 - cfg)))


def basic_guider(world: World, conditioning: Conditionings) -> Guider:
    """No guidance: the conditioned denoiser itself."""
    return Guider(world, ((_side(conditioning), 1.0),))


def dual_cfg_guider(  # noqa: PLR0917 - a world, three prompts and two strengths
    world: World,
    first: Conditionings,
    second: Conditionings,
    negative: Conditionings,
    cfg_first_second: float,
    cfg_second_negative: float,
) -> Guider:
    """Guide from the negative towards the second, and from the second towards the first prompt."""
    middle = cfg_second_negative - cfg_first_second
    sides = (
        (_side(first), float(cfg_first_second)),
        (_side(second), middle),
        (_side(negative), 1.0 - cfg_second_negative),
    )
    return Guider(world, sides)


def _side(conditionings: Conditionings | Sequence[Conditioning]) -> Side:
    return (conditionings,) if isinstance(conditionings, Conditioning) else tuple(conditionings)
