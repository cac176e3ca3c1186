"""Meadows, flowers, fields, a path."""

from __future__ import annotations

import math
from random import Random

import numpy as np

from comfy_nb.server.worlds.landscapes.canvas import Canvas, Pen, Point, smooth
from comfy_nb.server.worlds.landscapes.grounds.floor import DEPTH, fringe, grass, plain, spots, swells
from comfy_nb.server.worlds.landscapes.palettes import Tint
from comfy_nb.server.worlds.landscapes.parts import HORIZON

MEADOW = (
    (0.79, 0.06, "grass_far", "grass", 0.55),
    (0.9, 0.07, "grass", "grass_dark", 0.12),
    (1.02, 0.08, "grass", "grass_dark", 0.42),
)


def meadow(canvas: Canvas, rng: Random, tufts: int = 60) -> None:
    plain(canvas, "grass_far", "grass")
    swells(canvas, rng, MEADOW)
    grass(canvas, rng, tufts)
    fringe(canvas, rng)


def _bloom(pens: dict[str, Pen], kind: str, x: float, y: float, size: float) -> None:
    pens["stem"].line([(x, y), (x + size * 0.2, y + size * 2.2)], size * 0.3)
    for i in range(5):
        angle = math.tau * i / 5
        pens[kind].ellipse(
            x + 0.62 * size * math.cos(angle), y + 0.5 * size * math.sin(angle), size * 0.5, size * 0.42
        )
    pens["heart"].ellipse(x, y, size * 0.34, size * 0.28)


def flowers(canvas: Canvas, rng: Random, kinds: tuple[str, ...], count: int) -> None:
    plain(canvas, "grass_far", "grass")
    swells(canvas, rng, MEADOW)
    grass(canvas, rng, 30)
    pens = {name: canvas.pen() for name in ("stem", "bloom_a", "bloom_b", "bloom_c", "heart")}
    for x, y, near in spots(rng, canvas.aspect, count):
        _bloom(pens, kinds[rng.randrange(len(kinds))], x, y - 0.004, 0.0042 + 0.0125 * near)
    canvas.fill(pens["stem"], "grass_dark", 0.8)
    for name in kinds:
        canvas.fill(pens[name], name)
    canvas.fill(pens["heart"], canvas.ink.mix("bloom_b", "earth", 0.3))
    fringe(canvas, rng, 0.03)


def rows(canvas: Canvas, rng: Random, colours: tuple[str, str], vanish: float) -> None:
    """A planted field: rows that run together at a point on the horizon."""
    plain(canvas, canvas.ink.mix("grass_far", colours[0], 0.25), "grass_dark")
    x0 = vanish * canvas.aspect
    heads, lights = canvas.pen(), canvas.pen()
    for row in range(-9, 10):
        foot = x0 + row * 0.19
        for i in range(22):
            t = (i / 21) ** 1.9
            y = HORIZON + 0.006 + DEPTH * 1.06 * t
            x, size = x0 + (foot - x0) * (0.03 + t * 1.05), 0.0035 + 0.034 * t
            heads.ellipse(x + rng.uniform(-0.2, 0.2) * size, y, size * 1.15, size * 0.75)
            lights.ellipse(x - size * 0.25, y - size * 0.32, size * 0.62, size * 0.3)
    canvas.fill(heads, colours[0])
    canvas.fill(lights, colours[1], 0.7)


def wheat(canvas: Canvas, rng: Random) -> None:
    """A field of grain: golden, with ears along the front."""
    gold = canvas.ink("#e6b84d")
    deep = canvas.ink("#b67f2f")
    plain(canvas, gold.mix(canvas.ink("horizon"), 0.3), gold)
    seed = rng.randrange(1 << 30)
    canvas.fill(smooth(canvas.noise(seed, 0.35, 0.035, 3) * 2.6 - 1.0), deep, 0.45)
    stalks, ears = canvas.pen(), canvas.pen()
    for x, y, near in spots(rng, canvas.aspect, 150):
        tall, lean = 0.012 + 0.07 * near, rng.uniform(-0.3, 0.5)
        stalks.line([(x, y + tall), (x + lean * tall * 0.5, y)], 0.0016 + 0.003 * near)
        ears.ellipse(x + lean * tall * 0.5, y - tall * 0.1, 0.0025 + 0.006 * near, 0.005 + 0.016 * near)
    canvas.fill(stalks, deep, 0.85)
    canvas.fill(ears, gold.mix(canvas.ink("glow"), 0.35))
    _fringe_gold(canvas, rng, deep)


def _fringe_gold(canvas: Canvas, rng: Random, tone: Tint) -> None:
    blades = canvas.pen()
    for i in range(40):
        x, tall = canvas.aspect * (i + rng.random()) / 40, rng.uniform(0.02, 0.055)
        blades.polygon([(x - 0.006, 1.01), (x + rng.uniform(-0.02, 0.02), 1.0 - tall), (x + 0.006, 1.01)])
    canvas.fill(blades, tone.mix(canvas.ink("shadow"), 0.45), 0.9)


def winding(
    start: float, bend: float, widths: tuple[float, float], aspect: float
) -> tuple[list[Point], list[Point]]:
    """Both edges of a way that winds from the horizon to the viewer."""
    left: list[Point] = []
    right: list[Point] = []
    for i in range(41):
        t = i / 40
        y = HORIZON + (DEPTH + 0.02) * t**1.6
        x = start * aspect + bend * math.sin(t * 5.2) * (0.05 + t * 0.95)
        half = widths[0] + (widths[1] - widths[0]) * t**1.7
        left.append((x - half, y))
        right.append((x + half, y))
    return left, right


def path(canvas: Canvas, rng: Random, start: float, bend: float) -> None:
    plain(canvas, "grass_far", "grass")
    swells(canvas, rng, MEADOW)
    grass(canvas, rng, 46)
    left, right = winding(start, bend, (0.006, 0.16), canvas.aspect)
    way = canvas.pen().polygon([*left, *reversed(right)])
    canvas.fill(way, canvas.ink.mix("earth", "sand", 0.5))
    inner = [(a * 0.35 + b * 0.65, y) for (a, y), (b, _) in zip(left, right, strict=True)]
    canvas.fill(
        canvas.pen().polygon([*inner, *reversed(right)]).within(way),
        canvas.ink.mix("earth", "earth_dark", 0.3),
        0.6,
    )
    stones = canvas.pen()
    for x, y, near in spots(rng, canvas.aspect, 70):
        stones.ellipse(x, y, 0.003 + 0.010 * near, 0.0015 + 0.005 * near)
    canvas.fill(stones.within(way), canvas.ink.mix("sand", "glow", 0.2), 0.6)
    fringe(canvas, rng, 0.034)


def farmland(canvas: Canvas, rng: Random) -> None:
    """A mown meadow with bales of hay behind a fence."""
    plain(canvas, "grass_far", "grass")
    swells(canvas, rng, MEADOW)
    stripes = np.sin((canvas.x / canvas.aspect - 0.5) / (canvas.y - HORIZON + 0.06) * 7.0)
    canvas.fill(smooth(stripes * 1.5), "grass_far", 0.3)
    for u, y, size in ((0.2, 0.735, 0.028), (0.82, 0.75, 0.034), (0.62, 0.715, 0.018), (0.1, 0.83, 0.055)):
        x = (u + rng.uniform(-0.03, 0.03)) * canvas.aspect
        canvas.fill(
            canvas.pen().ellipse(x + size * 0.5, y + size * 0.03, size * 1.7, size * 0.24), "shadow", 0.3
        )
        canvas.fill(canvas.pen().box(x, y - size * 1.5, x + size * 1.5, y, size * 0.3), "#c9993f")
        canvas.fill(canvas.pen().ellipse(x, y - size * 0.75, size * 0.72, size * 0.76), "#eac465")
        canvas.fill(canvas.pen().ellipse(x, y - size * 0.75, size * 0.42, size * 0.45), "#c9993f", 0.7)
        canvas.fill(canvas.pen().ellipse(x, y - size * 0.75, size * 0.22, size * 0.24), "#eac465")
    rails, lights = canvas.pen(), canvas.pen()
    for i in range(-1, 9):
        x = canvas.aspect * (i + 0.5) / 8
        rails.box(x - 0.009, 0.905, x + 0.009, 1.01, 0.006)
        lights.box(x - 0.009, 0.905, x - 0.003, 1.01, 0.003)
    for y in (0.93, 0.965):
        rails.box(-0.1, y, canvas.aspect + 0.1, y + 0.013)
        lights.box(-0.1, y, canvas.aspect + 0.1, y + 0.004)
    canvas.fill(rails, canvas.ink.mix("earth", "earth_dark", 0.4))
    canvas.fill(lights, canvas.ink.mix("earth", "sand", 0.5))
    fringe(canvas, rng, 0.03)
