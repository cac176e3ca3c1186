"""What a part is, and the shapes of land that several parts share."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from comfy_nb.server.worlds.landscapes.canvas import Canvas, Floats, Pen, Point, smooth

HORIZON = 0.68
"""Where the ground begins."""
SKYLINE = 0.36
"""Where the backdrop begins."""
BASE = HORIZON + 0.01
"""Where backdrops stand: a little below their band, so that none ends above the ground."""


@dataclass(frozen=True, slots=True)
class Part:
    """One option for a band, or one subject: how to draw it and the words that ask for it.

    `draw` gets a random generator that depends on the name alone, so one part can be drawn again at any size. It must
    draw from it the same numbers at every size. `rare_in` names the palettes that it seldom goes with.
    """

    name: str
    tags: frozenset[str]
    draw: Callable[[Canvas, Random], None]
    rare_in: frozenset[str] = frozenset()
    bonus: float = 0.0
    """Added to its log prior."""
    at_home: frozenset[str] = frozenset()
    """For a subject: the words of the grounds that it likes to stand on; empty for any."""

    def paint(self, canvas: Canvas) -> None:
        """Draw it on the canvas."""
        self.draw(canvas, Random(zlib.crc32(self.name.encode())))


def variants(
    name: str,
    tags: str,
    draws: Sequence[Callable[[Canvas, Random], None]],
    rare_in: frozenset[str] = frozenset(),
    bonus: float = 0.0,
) -> tuple[Part, ...]:
    """Make parts that share their words: "name 1", "name 2", ..."""
    words = frozenset(tags.split())
    return tuple(
        Part(f"{name} {number}", words, draw, rare_in, bonus) for number, draw in enumerate(draws, start=1)
    )


def paint_sky(canvas: Canvas) -> None:
    """The gradient behind everything, from the zenith to the horizon, with the glow of the low air."""
    rows = canvas.y[:, 0]
    middle = smooth(rows / 0.36)
    low = smooth((rows - 0.24) / (HORIZON - 0.24))
    weights = np.stack(((1 - middle) * (1 - low), middle * (1 - low), low), axis=1)
    canvas.fill_blend(weights, ("zenith", "sky", "horizon"))
    canvas.fill(np.exp(-np.square((HORIZON - canvas.y) / 0.11)), "glow", 0.55)


def rolling(rng: Random, aspect: float, base: float, height: float, waves: float = 1.5) -> list[Point]:
    """The closed outline of rolling land: a few sines, between `base` and `base - height`."""
    parts = [(waves * f, rng.random() * math.tau, a) for f, a in ((1.0, 0.6), (1.9, 0.27), (3.7, 0.13))]

    def level(u: float) -> float:
        return sum(a * (0.5 + 0.5 * math.sin(math.tau * f * u + phase)) for f, phase, a in parts)

    return [(aspect * i / 96, base - height * level(i / 96)) for i in range(97)] + [(aspect, 2.0), (0.0, 2.0)]


def rough(rng: Random, start: Point, end: Point, jitter: float, depth: int = 5) -> list[Point]:
    """A broken line from `start` to `end`, by midpoint displacement; without its last point."""
    if depth == 0:
        return [start]
    shift = rng.uniform(-jitter, jitter)
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + shift)
    left = rough(rng, start, middle, jitter * 0.52, depth - 1)
    return left + rough(rng, middle, end, jitter * 0.52, depth - 1)


def pine(pen: Pen, x: float, base: float, height: float, width: float | None = None) -> None:
    """A conifer: four skirts, each narrower than the one below."""
    half = (height * 0.4 if width is None else width) / 2
    for tier in range(4):
        low = base - height * (0.06 + 0.2 * tier)
        reach = half * (1.0 - 0.2 * tier)
        pen.polygon([(x - reach, low), (x, low - height * 0.42), (x + reach, low)])
    pen.box(x - height * 0.025, base - height * 0.1, x + height * 0.025, base)


def mist(canvas: Canvas, top: float, bottom: float, strength: float) -> None:
    """Haze that thickens downwards from `top` to `bottom`."""
    canvas.fill(smooth((canvas.y - top) / (bottom - top)), canvas.ink.mix("horizon", "glow", 0.35), strength)


def bank(canvas: Canvas, seed: int, size: float, coverage: float) -> Floats:
    """Cloudy noise with soft edges: 0 where there is none, 1 in the thick of it."""
    field = canvas.noise(seed, size, size * 0.35, 4)
    return smooth((field - (1.0 - coverage)) / 0.28)


def sky_fade(canvas: Canvas, depth: float = 0.1) -> Floats:
    """A mask that takes the sky band's lower edge away, so that no seam shows."""
    return canvas.fade(SKYLINE - depth, SKYLINE - 0.005)
