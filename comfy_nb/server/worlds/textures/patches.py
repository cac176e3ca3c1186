"""A denoiser that sees only patches (Kamb and Ganguli 2024, arXiv 2412.20292): local, and the same everywhere.

At every noise level the picture is averaged in blocks until a patch of 7 x 7 blocks is about what the noise leaves to
be seen. Each patch is compared with patches from anywhere in the exemplars; the weighted mean of those, at full
detail, is laid back, and overlapping patches are averaged. Within a patch this is the exact posterior mean; the whole
is not the denoiser of any distribution, which is why it can make pictures that no exemplar holds.

Numbers that are not known at all (beyond the border) have the precision 0, as pixels of an inpainting's hole.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comfy_nb.server.worlds.textures.styles import SIDE, Picture, Style

Floats = NDArray[np.float32]

PATCH = 7
"""Blocks a side."""
LEVELS = ((1.6, 0), (4.0, 1), (10.0, 2), (math.inf, 3))
"""Noise levels, in v space, below which blocks of 2**level pixels are seen."""
LIBRARY = (2000, 2000, 1200, 1200)
"""Patches by level, of every style."""
STRIDE = (2, 1, 1, 1)
"""Blocks between patches, by level."""
ROWS = 2048
"""Patches compared at once, to bound memory."""
NEGLIGIBLE = np.float32(1e-4)


def level_at(sigma: float) -> int:
    """Choose the size of blocks for a noise level in v space."""
    return next(level for limit, level in LEVELS if sigma < limit)


@dataclass(frozen=True, slots=True)
class View:
    """A noisy picture as patches of one level see it: "pull" is precision times value, summed over each block."""

    level: int
    size: tuple[int, int]
    pull: Floats
    """[patches, 3 * PATCH * PATCH]"""
    precision: Floats
    """The same shape; the square of a library patch is weighed with it."""
    grid: tuple[int, int]
    """Rows and columns of patches."""


def look(x: Floats, precision: Floats, level: int) -> View:
    """Cut [3, h, w] with a precision for every number into patches of a level; beyond the border nothing is known."""
    block, step = 2**level, STRIDE[level]
    height, width = (_padded(side, block, step) for side in x.shape[1:])

    def patches(picture: Floats) -> Floats:
        whole = np.zeros((3, height, width), np.float32)
        whole[:, : x.shape[1], : x.shape[2]] = picture
        small = whole.reshape(3, height // block, block, width // block, block).sum(axis=(2, 4))
        windows = np.lib.stride_tricks.sliding_window_view(small, (PATCH, PATCH), axis=(1, 2))
        return windows[:, ::step, ::step].transpose(1, 2, 0, 3, 4)

    pull = patches(x * precision)
    rows, columns = pull.shape[:2]
    flat = rows * columns, -1
    seen = patches(np.broadcast_to(precision, x.shape))
    size = (int(x.shape[1]), int(x.shape[2]))
    return View(level, size, pull.reshape(flat), seen.reshape(flat), (rows, columns))


def _padded(side: int, block: int, step: int) -> int:
    """Round a side up so that patches, `step` blocks apart, cover it."""
    blocks = max(PATCH, -(-side // block))
    return (PATCH + -(-(blocks - PATCH) // step) * step) * block


class PatchLibrary:
    """Patches of one style at every level, drawn when first asked for. Safe for any thread."""

    def __init__(self, style: Style) -> None:
        self._style = style
        self._levels: dict[int, tuple[Floats, Floats]] = {}
        self._lock = threading.Lock()

    def evidence(self, view: View) -> float:
        """Give log p(x) up to what all styles share, from patches that do not overlap."""
        apart = -(-PATCH // STRIDE[view.level])
        rows, columns = (np.arange(0, count, apart) for count in view.grid)
        logits = self._logits(view, np.add.outer(rows * view.grid[1], columns).reshape(-1))
        peak = logits.max(axis=1)
        return float((peak + np.log(np.exp(logits - peak[:, None]).mean(axis=1))).sum())

    def mean(self, view: View) -> tuple[Floats, float]:
        """Give the denoised [3, h, w], and how many bits of choice a patch has left."""
        _, detailed = self._patches(view.level)
        means: list[Floats] = []
        bits = 0.0
        for start in range(0, view.pull.shape[0], ROWS):
            chosen = np.arange(start, min(start + ROWS, view.pull.shape[0]))
            logits = self._logits(view, chosen)
            odds = np.exp(logits - logits.max(axis=1, keepdims=True))
            odds[odds < NEGLIGIBLE] = 0.0
            odds /= odds.sum(axis=1, keepdims=True)
            bits -= float((odds * np.log2(np.maximum(odds, np.float32(1e-30)))).sum())
            means.append(odds @ detailed)
        return _laid(np.concatenate(means), view), bits / view.pull.shape[0]

    def _logits(self, view: View, chosen: NDArray[np.intp]) -> Floats:
        seen, _ = self._patches(view.level)
        half_squares = (np.square(seen) / 2.0).astype(np.float32)
        logits: Floats = view.pull[chosen] @ seen.T
        logits -= view.precision[chosen] @ half_squares.T
        return logits

    def _patches(self, level: int) -> tuple[Floats, Floats]:
        """Give the library of a level: what is compared, in blocks, and what is laid, in finer ones."""
        with self._lock:
            if level not in self._levels:
                self._levels[level] = _cut(self._style.exemplars(), level)
            return self._levels[level]


def _cut(exemplars: list[Picture], level: int) -> tuple[Floats, Floats]:
    """Take random patches out of the exemplars; see `PatchLibrary`."""
    rng = np.random.RandomState(level)
    reach = PATCH * 2**level
    corners = rng.randint(0, SIDE - reach + 1, (LIBRARY[level], 2))
    pictures = rng.randint(0, len(exemplars), LIBRARY[level])
    places = pictures, corners[:, 0], corners[:, 1]
    stack = np.stack(exemplars)
    return _averaged(stack, places, reach, 2**level), _averaged(stack, places, reach, _lay_block(level))


def _lay_block(level: int) -> int:
    """Say how fine patches are laid: twice as fine as they are compared, if that is possible."""
    return 2 ** max(level - 1, 0)


def _averaged(exemplars: Floats, places: tuple[NDArray[np.intp], ...], reach: int, block: int) -> Floats:
    """Give the patches of `reach` x `reach` pixels at `places` (picture, top, left), averaged in blocks; flat."""
    side = SIDE - block + 1
    means = np.zeros((exemplars.shape[0], side, side, 3), np.float32)
    for y in range(block):
        for x in range(block):
            means += exemplars[:, y : y + side, x : x + side]
    means /= block**2
    picture, top, left = places
    inner = np.arange(0, reach, block)
    patches = means[
        picture[:, None, None], (top[:, None] + inner)[:, :, None], (left[:, None] + inner)[:, None, :]
    ]
    return np.ascontiguousarray(patches.transpose(0, 3, 1, 2)).reshape(picture.size, -1)


def _laid(patches: Floats, view: View) -> Floats:
    """Lay patches over each other, each strongest in its middle, and give [3, h, w]."""
    fine = _lay_block(view.level)
    ratio = 2**view.level // fine
    side, step = PATCH * ratio, STRIDE[view.level] * ratio
    rows, columns = view.grid
    tiles = patches.reshape(rows, columns, 3, side, side)
    edge = 1.0 - np.abs((np.arange(side, dtype=np.float64) + 0.5) / side * 2.0 - 1.0)
    window = np.outer(edge, edge).astype(np.float32) ** 2
    total = np.zeros((3, (rows - 1) * step + side, (columns - 1) * step + side), np.float32)
    weight = np.zeros(total.shape[1:], np.float32)
    for y in range(side):
        for x in range(side):
            area = slice(y, y + (rows - 1) * step + 1, step), slice(x, x + (columns - 1) * step + 1, step)
            total[:, *area] += tiles[:, :, :, y, x].transpose(2, 0, 1) * window[y, x]
            weight[area] += window[y, x]
    whole = total / weight
    height, width = view.size
    return whole.repeat(fine, axis=1).repeat(fine, axis=2)[:, :height, :width]
