"""The noise of a seed: what `torch.randn` draws on the CPU, so that a seed means the same as in ComfyUI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from comfy_nb.server.worlds.base import Array

BLOCK = 16
"""torch fills normal numbers in blocks of sixteen: eight radii, then eight angles."""


class TorchGenerator:
    """torch's CPU generator after `manual_seed(seed)`: a Mersenne Twister, seeded with the low 32 bits only."""

    def __init__(self, seed: int) -> None:
        self._words = np.random.RandomState(seed & 0xFFFFFFFF)

    def randn(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Draw standard normal float32 numbers of `shape`, equal to torch's to about 5e-7.

        Raises ValueError for fewer than sixteen numbers, which torch draws in another way.
        """
        count = int(np.prod(shape))
        if count < BLOCK:
            raise ValueError(f"noise of shape {shape} has {count} values; at least {BLOCK} are needed")
        values = self._uniform(count)
        tail = count % BLOCK
        whole = count - tail
        values[:whole] = _box_muller(values[:whole])
        if tail:
            values[-BLOCK:] = _box_muller(self._uniform(BLOCK))
        return values.reshape(shape)

    def _uniform(self, count: int) -> NDArray[np.float32]:
        drawn = self._words.randint(0, 1 << 32, size=count, dtype=np.uint32)
        return (drawn & np.uint32(0xFFFFFF)).astype(np.float32) * np.float32(2.0**-24)


def torch_randn(shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Draw standard normal float32 numbers of `shape`, as torch does right after `manual_seed(seed)`."""
    return TorchGenerator(seed).randn(shape)


def _box_muller(uniform: NDArray[np.float32]) -> NDArray[np.float32]:
    pairs = uniform.reshape(-1, 2, BLOCK // 2)
    radius = np.sqrt(np.float32(-2.0) * np.log(np.float32(1.0) - pairs[:, 0]))
    angle = np.float32(2.0 * np.pi) * pairs[:, 1]
    return np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1).reshape(-1)


class Noise(Protocol):
    """Where the starting noise of a run comes from."""

    @property
    def seed(self) -> int:
        """What samplers that add noise on their way seed it with."""
        ...

    def generate(self, shape: tuple[int, ...], batch_index: Sequence[int] | None = None) -> Array:
        """Give noise for latents of `shape`, the same at every call; see `RandomNoise`."""
        ...


@dataclass(frozen=True, slots=True)
class RandomNoise:
    """The noise of a seed."""

    seed: int

    def generate(self, shape: tuple[int, ...], batch_index: Sequence[int] | None = None) -> Array:
        """Draw the noise of a whole batch at once.

        With `batch_index`, item by item, and of these the ones with the given numbers: so a single picture of a
        batch can be made again.
        """
        if batch_index is None:
            return torch_randn(shape, self.seed)
        generator = TorchGenerator(self.seed)
        drawn = [generator.randn((1, *shape[1:])) for _ in range(max(batch_index) + 1)]
        return np.concatenate([drawn[index] for index in batch_index])


@dataclass(frozen=True, slots=True)
class NoNoise:
    """None at all, for latents that are noisy already."""

    seed: int = 0

    def generate(self, shape: tuple[int, ...], batch_index: Sequence[int] | None = None) -> Array:
        """Give zeros."""
        del batch_index
        return np.zeros(shape, np.float32)


class Wiener:
    """The noise that stochastic samplers add on their way: increments of one random walk over sigma.

    A stretch of sigma asked for in pieces is the sum of its pieces (ComfyUI gets this from torchsde's Brownian tree),
    which is what makes dpmpp_sde's two looks at a step agree. The walk goes down: what lies above is forgotten.
    The draws themselves are torch's for `seed + 1`; with `seed` itself the first one would be the starting noise.
    """

    def __init__(self, shape: tuple[int, ...], seed: int) -> None:
        self._generator = TorchGenerator(seed + 1)
        self._shape = shape
        self._walk: dict[float, Array] = {}

    def fresh(self) -> Array:
        """Draw standard normal noise that is independent of all other."""
        return self._generator.randn(self._shape)

    def between(self, sigma: float, following: float) -> Array:
        """Give the walk's increment from `sigma` down to `following`, divided by the root of their distance."""
        change = self._at(following) - self._at(sigma)
        self._walk = {known: value for known, value in self._walk.items() if known <= max(sigma, following)}
        return change / np.float32(abs(sigma - following) ** 0.5)

    def _at(self, sigma: float) -> Array:
        """Give the walk's value: a Brownian bridge between its known neighbours, a free step beyond the last."""
        if sigma not in self._walk:
            self._walk[sigma] = self._draw(sigma)
        return self._walk[sigma]

    def _draw(self, sigma: float) -> Array:
        if not self._walk:
            return np.zeros(self._shape, np.float32)
        above = min((known for known in self._walk if known > sigma), default=None)
        below = max((known for known in self._walk if known < sigma), default=None)
        if above is None or below is None:
            nearest = min(self._walk, key=lambda known: abs(known - sigma))
            return self._walk[nearest] + np.float32(abs(nearest - sigma) ** 0.5) * self.fresh()
        share = (above - sigma) / (above - below)
        mean = self._walk[above] + np.float32(share) * (self._walk[below] - self._walk[above])
        return mean + np.float32((share * (sigma - below)) ** 0.5) * self.fresh()
