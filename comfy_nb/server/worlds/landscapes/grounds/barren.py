"""Snow and sand."""

from __future__ import annotations

import math
from random import Random

import numpy as np

from comfy_nb.server.worlds.landscapes.canvas import Canvas, smooth
from comfy_nb.server.worlds.landscapes.grounds.floor import DEPTH, nearness, plain, spots, tuft
from comfy_nb.server.worlds.landscapes.parts import HORIZON, rolling


def snow(canvas: Canvas, rng: Random, trees: bool = False) -> None:
    plain(canvas, canvas.ink.mix("snow", "snow_shade", 0.35), "snow")
    for base, height, amount in ((0.78, 0.05, 0.3), (0.89, 0.07, 0.12), (1.0, 0.07, 0.0)):
        line = rolling(rng, canvas.aspect, base, height, 0.7)
        drift = canvas.pen().polygon(line)
        shade = smooth((canvas.y - base + height) / 0.16)
        canvas.fill(drift, canvas.ink.mix("snow", "snow_shade", amount))
        canvas.fill(drift, "snow_shade", 0.6 * shade)
        rim = canvas.pen().polygon(line).without(canvas.pen().polygon([(x, y + 0.008) for x, y in line]))
        canvas.fill(rim, canvas.ink.mix("snow", "glow", 0.25), 0.9)
    if trees:
        _saplings(canvas, rng)
    glints = canvas.pen()
    for x, y, near in spots(rng, canvas.aspect, 60):
        glints.ellipse(x, y, 0.0012 + 0.0024 * near)
    canvas.fill(glints, "*ffffff", 0.8)


def _saplings(canvas: Canvas, rng: Random) -> None:
    for u, y, size in ((0.08, 0.8, 0.1), (0.93, 0.77, 0.085), (0.02, 0.93, 0.15), (0.985, 0.95, 0.17)):
        x = (u + rng.uniform(-0.02, 0.02)) * canvas.aspect
        for tier in range(3):
            low, half = y - size * 0.28 * tier, size * (0.3 - 0.075 * tier)
            green = canvas.pen().polygon([(x - half, low), (x, low - size * 0.48), (x + half, low)])
            canvas.fill(green, "pine")
            white = canvas.pen().polygon(
                [
                    (x - half * 0.8, low - size * 0.05),
                    (x, low - size * 0.48),
                    (x + half * 0.35, low - size * 0.2),
                ]
            )
            canvas.fill(white.within(green), "snow", 0.9)


def sand(canvas: Canvas, rng: Random, rocks: bool = False) -> None:
    plain(canvas, canvas.ink.mix("sand", "horizon", 0.25), "sand")
    for base, height, amount in ((0.79, 0.05, 0.12), (0.9, 0.07, 0.3), (1.03, 0.08, 0.05)):
        canvas.fill(
            canvas.pen().polygon(rolling(rng, canvas.aspect, base, height, 0.7)),
            canvas.ink.mix("sand", "sand_shade", amount),
        )
    waves = canvas.pen()
    phase = rng.uniform(0, math.tau)
    for i in range(13):
        y = HORIZON + 0.03 + DEPTH * (i / 13) ** 1.4
        size = 0.004 + 0.012 * nearness(y)
        line = [(canvas.aspect * j / 60, y + size * math.sin(j * 0.42 + phase + i * 0.9)) for j in range(61)]
        waves.line(line, 0.0022 + 0.004 * nearness(y))
    canvas.fill(waves, "sand_shade", 0.55)
    if rocks:
        _rocks(canvas, rng)


def _rocks(canvas: Canvas, rng: Random) -> None:
    for x, y, near in spots(rng, canvas.aspect, 9):
        size = 0.016 + 0.042 * near * rng.uniform(0.6, 1.0)
        canvas.fill(
            canvas.pen().ellipse(x + size * 0.4, y + size * 0.06, size * 1.4, size * 0.22), "shadow", 0.3
        )
        points = [
            (x - size, y),
            (x - size * 0.7, y - size * 0.7),
            (x + size * 0.1, y - size),
            (x + size * 0.8, y - size * 0.55),
            (x + size, y),
        ]
        stone = canvas.pen().polygon(points)
        canvas.fill(stone, canvas.ink.mix("stone", "earth", 0.35))
        dark = canvas.pen().polygon(
            [
                (x + size * 0.1, y - size),
                (x + size * 0.3, y),
                (x + size, y),
                (x + size * 0.8, y - size * 0.55),
            ]
        )
        canvas.fill(dark.within(stone), canvas.ink.mix("stone_dark", "shadow", 0.25))


def oasis(canvas: Canvas, rng: Random, u: float) -> None:
    """A pool in the sand, with a green rim."""
    sand(canvas, rng)
    x, y = u * canvas.aspect, 0.765
    canvas.fill(canvas.pen().ellipse(x, y + 0.004, 0.315, 0.055), canvas.ink.mix("sand_shade", "earth", 0.3))
    tufts = canvas.pen()
    for i in range(44):
        angle = math.tau * (i + rng.random()) / 44
        a, b = x + 0.3 * math.cos(angle), y + 0.048 * math.sin(angle)
        if angle > math.pi or i % 3 == 0:
            tuft(tufts, rng, a, b, rng.uniform(0.016, 0.034))
    canvas.fill(canvas.pen().ellipse(x, y, 0.295, 0.045), "water")
    canvas.fill(canvas.pen().ellipse(x, y - 0.006, 0.28, 0.034), canvas.ink.mix("water", "horizon", 0.45))
    glints = canvas.pen()
    for _ in range(16):
        glints.ellipse(
            x + rng.uniform(-0.22, 0.22), y + rng.uniform(-0.025, 0.03), rng.uniform(0.01, 0.035), 0.0022
        )
    canvas.fill(glints, "glint", 0.7)
    canvas.fill(tufts, "leaf_dark")


def frozen_lake(canvas: Canvas, rng: Random) -> None:
    """Ice with cracks and scratches, between banks of snow."""
    plain(canvas, canvas.ink.mix("snow", "snow_shade", 0.35), "snow")
    ice = canvas.pen().ellipse(canvas.aspect * 0.5, 0.86, canvas.aspect * 0.62, 0.135)
    rim = canvas.pen().ellipse(canvas.aspect * 0.5, 0.853, canvas.aspect * 0.635, 0.142)
    canvas.fill(rim, "snow_shade", 0.8)
    canvas.fill(ice, canvas.ink.mix("water", "snow", 0.45))
    canvas.fill(ice, canvas.ink.mix("water", "snow_shade", 0.3), smooth((canvas.y - 0.78) / 0.25))
    gleam = smooth(np.sin((canvas.x - canvas.y * 1.6) * 9.0) * 1.2 - 0.5)
    canvas.fill(ice, canvas.ink.mix("snow", "horizon", 0.3), gleam * np.float32(0.45))
    cracks = canvas.pen()
    for _ in range(7):
        x, y = canvas.aspect * rng.uniform(0.1, 0.9), rng.uniform(0.76, 0.95)
        for _ in range(3):
            end = (x + rng.uniform(-0.15, 0.15), y + rng.uniform(-0.035, 0.035))
            cracks.line(
                [(x, y), ((x + end[0]) / 2, (y + end[1]) / 2 + rng.uniform(-0.012, 0.012)), end], 0.0032
            )
    canvas.fill(cracks.within(ice), "snow", 0.9)
    front = canvas.pen().polygon(rolling(rng, canvas.aspect, 1.0, 0.05, 0.9))
    canvas.fill(front, "snow")
    _saplings(canvas, rng)
