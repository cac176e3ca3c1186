"""The starting noise of a seed: what `torch.randn` draws on the CPU, so that a seed means the same as in ComfyUI."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 16
"""torch fills normal numbers in blocks of sixteen: eight radii, then eight angles."""


def torch_randn(shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Draw standard normal float32 numbers of `shape`, as torch does after `manual_seed(seed)`; equal to about 5e-7.

    Raises ValueError for fewer than sixteen numbers, which torch draws in another way.
    """
    count = int(np.prod(shape))
    if count < BLOCK:
        raise ValueError(f"noise of shape {shape} has {count} values; at least {BLOCK} are needed")
    # torch's generator is the same Mersenne Twister, seeded with the low 32 bits only.
    words = np.random.RandomState(seed & 0xFFFFFFFF)
    values = _uniform(words, count)
    tail = count % BLOCK
    whole = count - tail
    values[:whole] = _box_muller(values[:whole])
    if tail:
        values[-BLOCK:] = _box_muller(_uniform(words, BLOCK))
    return values.reshape(shape)


def _uniform(words: np.random.RandomState, count: int) -> NDArray[np.float32]:
    drawn = words.randint(0, 1 << 32, size=count, dtype=np.uint32)
    return (drawn & np.uint32(0xFFFFFF)).astype(np.float32) * np.float32(2.0**-24)


def _box_muller(uniform: NDArray[np.float32]) -> NDArray[np.float32]:
    pairs = uniform.reshape(-1, 2, BLOCK // 2)
    radius = np.sqrt(np.float32(-2.0) * np.log(np.float32(1.0) - pairs[:, 0]))
    angle = np.float32(2.0 * np.pi) * pairs[:, 1]
    return np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1).reshape(-1)
