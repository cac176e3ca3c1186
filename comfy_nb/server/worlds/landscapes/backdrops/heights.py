"""Mountains and hills."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from comfy_nb.server.worlds.landscapes.canvas import Canvas, Pen, Point
from comfy_nb.server.worlds.landscapes.palettes import Tint
from comfy_nb.server.worlds.landscapes.parts import BASE, mist, pine, rolling, rough

Peak = tuple[float, float, float]
"""A summit: across as a share of the width, height in the picture, half width at the foot."""


def _peak(canvas: Canvas, rng: Random, peak: Peak, tone: Tint, snow: bool) -> None:
    """One mountain: a lit and a shaded side along a wandering spine, with a cap of snow."""
    u, top, spread = peak
    x = u * canvas.aspect
    summit = (x, top)
    left = rough(rng, (x - spread * rng.uniform(0.9, 1.15), BASE), summit, 0.020)
    right = rough(rng, summit, (x + spread * rng.uniform(0.9, 1.15), BASE), 0.020)
    body = canvas.pen().polygon([*left, *right, (right[-1][0] + 0.05, BASE), (left[0][0], BASE)])
    spine = [summit]
    for i in range(1, 8):
        swing = spread * (0.10 if i % 2 else -0.03) * rng.uniform(0.7, 1.3)
        spine.append((x + swing + spread * 0.03 * i, top + (BASE - top) * i / 7))
    dark = canvas.pen().polygon([*right, (x + spread * 1.3, BASE), *reversed(spine)])
    canvas.fill(body, tone)
    canvas.fill(dark.within(body), tone.mix(canvas.ink("shadow"), 0.34))
    lit, deep = canvas.pen(), canvas.pen()
    for i in range(7):
        t = 0.25 + 0.09 * i
        y = top + (BASE - top) * t
        fall, drift = (BASE - top) * rng.uniform(0.16, 0.34), spread * rng.uniform(0.05, 0.12)
        a, c = x - spread * t * rng.uniform(0.2, 0.8), x + spread * t * rng.uniform(0.35, 0.85)
        deep.polygon([(a, y), (a - drift * 0.2, y + fall), (a - drift, y + fall * 0.92)])
        lit.polygon([(c, y), (c + drift, y + fall * 0.95), (c + drift * 0.3, y + fall)])
    canvas.fill(deep.within(body), tone.mix(canvas.ink("shadow"), 0.18))
    canvas.fill(lit.within(dark), tone.mix(canvas.ink("shadow"), 0.2))
    if snow:
        cap = _snow_cap(canvas, rng, summit, spread).within(body)
        canvas.fill(cap, "snow")
        canvas.fill(cap.within(dark), "snow_shade")


def _snow_cap(canvas: Canvas, rng: Random, summit: Point, spread: float) -> Pen:
    """Everything above a snow line with long teeth."""
    x, top = summit
    depth = (BASE - top) * rng.uniform(0.34, 0.42)
    teeth = [(x - spread, top + depth * 0.8)]
    for i in range(9):
        u = (i - 4) / 4
        drip = depth * (1.0 if i % 2 else 0.52) * rng.uniform(0.8, 1.15)
        teeth.append((x + u * spread * 0.5, top + drip + abs(u) * depth * 0.1))
    return canvas.pen().polygon(
        [(x - spread, top - 0.1), *teeth, (x + spread, top + depth * 0.8), (x + spread, top - 0.1)]
    )


def ridge(canvas: Canvas, rng: Random, base: float, height: float, tone: Tint) -> None:
    """A distant, jagged chain."""
    joints = [(canvas.aspect * i / 8, base - height * rng.uniform(0.15, 1.0)) for i in range(9)]
    line: list[Point] = []
    for start, end in pairwise(joints):
        line += rough(rng, start, end, height * 0.25, 4)
    canvas.fill(canvas.pen().polygon([*line, joints[-1], (canvas.aspect, 2.0), (0.0, 2.0)]), tone)


def mountains(
    canvas: Canvas, rng: Random, peaks: tuple[tuple[float, float, float], ...], snow: bool = True
) -> None:
    ridge(canvas, rng, 0.6, 0.14, canvas.ink.mix("far", "horizon", 0.4))
    mist(canvas, 0.46, 0.66, 0.55)
    order = sorted(peaks, key=lambda peak: -peak[1])
    for number, peak in enumerate(order):
        depth = number / max(1, len(order) - 1)
        _peak(canvas, rng, peak, canvas.ink.mix("far", "mid", 0.25 + 0.6 * depth), snow)
    mist(canvas, 0.52, 0.7, 0.5)
    line = rolling(rng, canvas.aspect, 0.685, 0.055, 1.3)
    canvas.fill(canvas.pen().polygon(line), "near")
    trees = canvas.pen()
    for i in range(34):
        height = rng.uniform(0.016, 0.036)
        pine(trees, canvas.aspect * (i + rng.random()) / 34, 0.682 - 0.028 * rng.random(), height)
    canvas.fill(trees, canvas.ink.mix("near", "shadow", 0.25))
    mist(canvas, 0.64, 0.73, 0.35)


def hills(canvas: Canvas, rng: Random, waves: float, lift: float) -> None:
    layers = ((0.62, 0.14, "far", 0.25), (0.655, 0.13, "mid", 0.0), (0.685, 0.1, "near", 0.0))
    for number, (base, height, colour, air) in enumerate(layers):
        line = rolling(rng, canvas.aspect, base, height * lift, waves * (0.8 + 0.25 * number))
        tone = canvas.ink.mix(colour, "horizon", air)
        canvas.fill(canvas.pen().polygon(line), tone)
        woods = canvas.pen()
        for _ in range(14 * number):
            x, y = line[rng.randrange(97)]
            size = rng.uniform(0.008, 0.015) * (0.6 + 0.4 * number)
            woods.ellipse(x, y - size * 0.2 + 0.012 * rng.random(), size, size * 1.1)
        canvas.fill(woods, tone.mix(canvas.ink("shadow"), 0.22))
        mist(canvas, base - 0.07, base + 0.1, 0.36)
