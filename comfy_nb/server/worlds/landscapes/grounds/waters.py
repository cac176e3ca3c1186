"""Lakes, rivers and beaches."""

from __future__ import annotations

import math
from random import Random

import numpy as np

from comfy_nb.server.worlds.landscapes.canvas import Canvas, smooth
from comfy_nb.server.worlds.landscapes.grounds.fields import MEADOW, winding
from comfy_nb.server.worlds.landscapes.grounds.floor import fringe, grass, nearness, plain, spots, swells
from comfy_nb.server.worlds.landscapes.palettes import Floats
from comfy_nb.server.worlds.landscapes.parts import HORIZON, rolling


def _water(canvas: Canvas, rng: Random, top: float, sheen: float = 0.5) -> Floats:
    """Water below `top` that mirrors the sky: bright far away, deep near by; gives its mask."""
    line = rolling(rng, canvas.aspect, top + 0.008, 0.016, 1.7)
    mask = canvas.pen().polygon(line).mask()
    t = smooth((canvas.y - top) / (1.02 - top))
    canvas.fill(mask, canvas.ink.mix("water", "horizon", sheen))
    canvas.fill(mask * smooth(t * 1.7), "water")
    canvas.fill(mask * smooth(t * 1.5 - 0.5), "water_dark", 0.9)
    return mask


def _ripples(canvas: Canvas, rng: Random, top: float, count: int, mask: Floats) -> None:
    dark, bright = canvas.pen(), canvas.pen()
    for number in range(count):
        y = top + 0.012 + (1.0 - top) * rng.random() ** 1.3
        near = nearness(y)
        x, width = rng.random() * canvas.aspect, (0.018 + 0.075 * near) * rng.uniform(0.4, 1.1)
        (dark if number % 3 == 0 else bright).ellipse(x, y, width, 0.0013 + 0.0036 * near)
    canvas.fill(dark, "water_dark", 0.5 * mask)
    canvas.fill(bright, "glint", 0.42 * mask)


def lake(canvas: Canvas, rng: Random, top: float, lilies: bool = False) -> None:
    plain(canvas, "grass_far", canvas.ink.mix("grass", "grass_dark", 0.3))
    mask = _water(canvas, rng, top)
    streaks = canvas.noise(rng.randrange(1 << 30), 0.3, 0.02, 2)
    canvas.fill(smooth(streaks * 2.4 - 1.2) * mask, "horizon", 0.3)
    _ripples(canvas, rng, top, 64, mask)
    if lilies:
        _lily_pads(canvas, rng)
    _reeds(canvas, rng)


def _lily_pads(canvas: Canvas, rng: Random) -> None:
    pads, tops, blooms = canvas.pen(), canvas.pen(), canvas.pen()
    for number, (x, y, near) in enumerate(spots(rng, canvas.aspect, 20)):
        size, level = 0.014 + 0.03 * near, max(y, 0.74)
        pads.ellipse(x, level, size, size * 0.36)
        tops.ellipse(x - size * 0.06, level - size * 0.05, size * 0.86, size * 0.27)
        if number % 3 == 0:
            blooms.ellipse(x, level - size * 0.22, size * 0.34, size * 0.26)
    canvas.fill(pads, "grass_dark")
    canvas.fill(tops, "grass")
    canvas.fill(blooms, "bloom_a")


def _reeds(canvas: Canvas, rng: Random) -> None:
    stems, heads = canvas.pen(), canvas.pen()
    for side in (0.03, 0.97):
        for _ in range(11):
            x, tall = (side + rng.uniform(-0.05, 0.05)) * canvas.aspect, rng.uniform(0.07, 0.19)
            lean = rng.uniform(-0.02, 0.02)
            stems.polygon([(x - 0.006, 1.01), (x + lean, 1.0 - tall), (x + 0.006, 1.01)])
            heads.box(
                x + lean * 0.9 - 0.005, 1.0 - tall - 0.008, x + lean * 0.9 + 0.005, 1.0 - tall + 0.028, 0.005
            )
    canvas.fill(stems, canvas.ink.mix("grass_dark", "shadow", 0.35))
    canvas.fill(heads, canvas.ink.mix("earth_dark", "shadow", 0.3))


def beach(canvas: Canvas, rng: Random, top: float) -> None:
    """Sea that runs out on sand, with lines of foam."""
    canvas.flood("water")  # as the open sea behind it ends
    canvas.fill(smooth((canvas.y - HORIZON) / 0.1), canvas.ink.mix("water", "glint", 0.15))
    _ripples(canvas, rng, HORIZON, 26, np.ones_like(canvas.x))
    for offset, colour, amount in ((0.0, "glint", 0.0), (0.012, "sand_shade", 0.25), (0.034, "sand", 0.0)):
        shore = rolling(Random(7), canvas.aspect, top + offset + 0.04, 0.045, 0.9)
        canvas.fill(canvas.pen().polygon(shore), canvas.ink.mix(colour, "water_dark", amount))
    sand = canvas.pen().polygon(rolling(Random(7), canvas.aspect, top + 0.074, 0.045, 0.9))
    canvas.fill(sand, canvas.ink.mix("sand", "sand_shade", 0.35), smooth((canvas.y - top) / 0.25))
    pebbles = canvas.pen()
    for x, y, near in spots(rng, canvas.aspect, 40):
        if y > top + 0.08:
            pebbles.ellipse(x, y, 0.003 + 0.008 * near, 0.0016 + 0.004 * near)
    canvas.fill(pebbles, canvas.ink.mix("sand_shade", "shadow", 0.3), 0.7)
    star_x = canvas.aspect * rng.uniform(0.1, 0.25)
    star = [
        (star_x + r * math.cos(a), 0.94 + 0.6 * r * math.sin(a))
        for a, r in ((math.tau * i / 10 - math.pi / 2, 0.026 if i % 2 == 0 else 0.010) for i in range(10))
    ]
    canvas.fill(canvas.pen().polygon(star), "#e8624a")


def river(canvas: Canvas, rng: Random, start: float, bend: float) -> None:
    plain(canvas, "grass_far", "grass")
    swells(canvas, rng, MEADOW)
    grass(canvas, rng, 46)
    left, right = winding(start, bend, (0.008, 0.24), canvas.aspect)
    banks = (
        [(x - 0.004 - 0.022 * nearness(y), y) for x, y in left],
        [(x + 0.004 + 0.022 * nearness(y), y) for x, y in right],
    )
    canvas.fill(
        canvas.pen().polygon([*banks[0], *reversed(banks[1])]), canvas.ink.mix("grass_dark", "earth", 0.4)
    )
    stream = canvas.pen().polygon([*left, *reversed(right)])
    mask = stream.mask()
    canvas.fill(mask, canvas.ink.mix("water", "horizon", 0.5))
    canvas.fill(mask * smooth((canvas.y - HORIZON) / 0.24), "water")
    canvas.fill(mask * smooth((canvas.y - 0.84) / 0.2), "water_dark", 0.7)
    _ripples(canvas, rng, HORIZON, 90, mask)
    fringe(canvas, rng, 0.03)
