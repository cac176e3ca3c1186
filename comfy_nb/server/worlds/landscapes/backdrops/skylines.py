"""Woods, cities and the open sea."""

from __future__ import annotations

import math
from random import Random

from comfy_nb.server.worlds.landscapes.canvas import Canvas, Pen, smooth
from comfy_nb.server.worlds.landscapes.parts import BASE, HORIZON, mist, pine, rolling


def forest(canvas: Canvas, rng: Random, tall: float, crowd: int) -> None:
    """Three ranks of conifers that come out of the mist."""
    ranks = ((0.6, 0.10, "far", 0.2), (0.645, 0.14, "mid", 0.0), (0.69, 0.18, "near", 0.0))
    for number, (base, height, colour, air) in enumerate(ranks):
        tone = canvas.ink.mix(colour, "horizon", air)
        trees = canvas.pen().polygon(rolling(rng, canvas.aspect, base, 0.05, 1.0))
        count = crowd - 5 * number
        for i in range(count):
            x = canvas.aspect * (i + rng.uniform(0.0, 1.0)) / count
            size = height * tall * rng.uniform(0.62, 1.08)
            pine(trees, x, base + 0.012, size, size * 0.42)
        canvas.fill(trees, tone)
        mist(canvas, base - 0.1, base + 0.09, 0.5 if number < 2 else 0.22)


def woods(canvas: Canvas, rng: Random) -> None:
    """Round-headed trees in leaf, lit from the left."""
    canvas.fill(
        canvas.pen().polygon(rolling(rng, canvas.aspect, 0.63, 0.12)), canvas.ink.mix("far", "horizon", 0.2)
    )
    mist(canvas, 0.5, 0.68, 0.4)
    for base, size, count, depth in ((0.645, 0.042, 20, 0.45), (0.685, 0.058, 15, 0.0)):
        dark, mid, light = canvas.pen(), canvas.pen(), canvas.pen()
        for i in range(count):
            x, y = canvas.aspect * (i + rng.random()) / count, base - size * rng.uniform(0.3, 1.0)
            for _ in range(4):
                dx, dy, r = (
                    rng.uniform(-0.8, 0.8) * size,
                    rng.uniform(-0.6, 0.4) * size,
                    size * rng.uniform(0.5, 0.8),
                )
                dark.ellipse(x + dx, y + dy, r)
                mid.ellipse(x + dx - r * 0.14, y + dy - r * 0.16, r * 0.84)
                light.ellipse(x + dx - r * 0.3, y + dy - r * 0.36, r * 0.42)
        dark.box(0, base - size * 0.4, canvas.aspect, 1.0)
        for pen, colour in ((dark, "leaf_dark"), (mid, "leaf"), (light, "leaf_light")):
            canvas.fill(pen, canvas.ink.mix(colour, "horizon", depth))


def _tower(rng: Random, place: tuple[float, float, float], roofs: Pen, panes: Pen) -> None:
    """One building, given as (left, width, top): its outline and its lit windows."""
    left, width, top = place
    roofs.box(left, top, left + width, BASE)
    crown = rng.randrange(4)
    if crown == 0:
        roofs.box(left + width * 0.25, top - 0.018, left + width * 0.75, BASE)
    elif crown == 1:
        roofs.line([(left + width / 2, top), (left + width / 2, top - 0.04)], 0.005)
    elif crown == 2:
        roofs.polygon([(left, top), (left + width / 2, top - 0.028), (left + width, top)])
    across = max(2, round(width / 0.017))
    pitch = width / across
    for row in range(16):
        y = top + 0.014 + row * 0.0185
        for column in range(across):
            lit = rng.random() < 0.5
            x = left + (column + 0.28) * pitch
            if lit and y < 0.665:
                panes.box(x, y, x + pitch * 0.44, y + 0.0095)


def city(canvas: Canvas, rng: Random, tallest: float, middle: float) -> None:
    """A skyline in three depths, tallest around its centre, with windows."""
    for number, (share, colour, air) in enumerate(
        ((0.8, "far", 0.35), (1.0, "mid", 0.0), (0.55, "near", 0.0))
    ):
        roofs, panes, count = canvas.pen(), canvas.pen(), 13 + 2 * number
        for i in range(count):
            u = (i + rng.uniform(0.0, 0.5)) / count
            bell = math.exp(-(((u - middle) / 0.3) ** 2))
            height = tallest * share * (0.26 + 0.74 * bell) * rng.uniform(0.55, 1.0)
            width = canvas.aspect * rng.uniform(0.045, 0.085)
            _tower(rng, (u * canvas.aspect, width, HORIZON - height), roofs, panes)
        tone = canvas.ink.mix(colour, "horizon", air)
        canvas.fill(roofs, tone)
        canvas.fill(panes.within(roofs), canvas.ink.mix(tone, "lamp", 0.35 + 0.3 * number))
        mist(canvas, 0.54, 0.72, 0.42 if number < 2 else 0.15)


def sea(canvas: Canvas, rng: Random, islands: tuple[tuple[float, float, float], ...]) -> None:
    """Open water to the horizon, with its glitter, and islands in the haze."""
    shore = 0.555
    for u, height, width in islands:
        x = u * canvas.aspect
        hump = [
            (
                x - width + 2 * width * i / 24,
                shore - height * math.sin(math.pi * i / 24) ** 1.3 * (0.85 + 0.3 * rng.random()),
            )
            for i in range(25)
        ]
        isle = canvas.pen().polygon([*hump, (x + width, shore + 0.01), (x - width, shore + 0.01)])
        canvas.fill(isle, canvas.ink.mix("mid", "far", 0.4))
        canvas.fill(
            canvas.pen()
            .polygon(
                [(a + 0.02, b + 0.012) for a, b in hump] + [(x + width, shore + 0.01), (x, shore + 0.01)]
            )
            .within(isle),
            "mid",
        )
    mist(canvas, 0.47, 0.58, 0.3)
    depth = smooth((canvas.y - shore) / (HORIZON - shore))
    water = canvas.pen().box(-1, shore, canvas.aspect + 1, 1)
    canvas.fill(water, canvas.ink.mix("water", "horizon", 0.45))
    canvas.fill(water, "water", depth)
    canvas.fill(canvas.pen().box(-1, shore, canvas.aspect + 1, shore + 0.006), "glint", 0.5)
    _glitter(canvas, rng, shore, 70)


def _glitter(canvas: Canvas, rng: Random, top: float, count: int) -> None:
    dark, bright = canvas.pen(), canvas.pen()
    for number in range(count):
        t = rng.random()
        y = top + 0.008 + t * (HORIZON - top - 0.012)
        x, width = rng.random() * canvas.aspect, (0.012 + 0.05 * t) * rng.uniform(0.5, 1.2)
        (bright if number % 2 else dark).ellipse(x, y, width, 0.0014 + 0.0016 * t)
    canvas.fill(dark, "water_dark", 0.45)
    canvas.fill(bright, "glint", 0.55)
