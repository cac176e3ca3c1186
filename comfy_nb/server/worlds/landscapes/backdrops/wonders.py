"""A volcano, a waterfall, and what rises from deserts."""

from __future__ import annotations

import math
from random import Random

from comfy_nb.server.worlds.landscapes.backdrops.heights import ridge
from comfy_nb.server.worlds.landscapes.canvas import Canvas, smooth
from comfy_nb.server.worlds.landscapes.parts import BASE, mist, pine, rolling, rough


def volcano(canvas: Canvas, rng: Random, u: float, top: float) -> None:
    """A cone with a glowing crater, lava on its flank and smoke."""
    x, ink = u * canvas.aspect, canvas.ink
    ridge(canvas, rng, 0.63, 0.1, ink.mix("far", "horizon", 0.35))
    mist(canvas, 0.5, 0.66, 0.4)
    seed = rng.randrange(1 << 30)
    smoke = smooth((canvas.noise(seed, 0.07, octaves=3) - 0.3) / 0.3) * canvas.halo(
        x + 0.03, top - 0.04, 0.075
    )
    canvas.fill(smoke * canvas.fade(0.44, 0.365), "cloud_shade", 0.8)
    canvas.fill(canvas.halo(x, top, 0.09) * canvas.fade(0.45, 0.365), "*ff7a3c", 0.6)
    left = rough(rng, (x - 0.34, BASE), (x - 0.045, top), 0.014)
    right = rough(rng, (x + 0.05, top + 0.004), (x + 0.36, BASE), 0.014)
    body = canvas.pen().polygon(
        [*left, (x - 0.02, top + 0.014), (x + 0.02, top + 0.012), *right, (x + 0.37, BASE)]
    )
    canvas.fill(body, ink.mix("mid", "shadow", 0.25))
    dark = canvas.pen().polygon(
        [(x + 0.01, top), *right, (x + 0.4, BASE), (x + 0.08, BASE), (x + 0.03, 0.55)]
    )
    canvas.fill(dark.within(body), ink.mix("near", "shadow", 0.45))
    canvas.fill(canvas.pen().ellipse(x, top + 0.006, 0.046, 0.011), "*ffd36b")
    flow = [
        (x - 0.012, top + 0.008),
        (x - 0.022, top + 0.06),
        (x + 0.004, top + 0.11),
        (x - 0.04, top + 0.17),
        (x - 0.03, BASE),
    ]
    canvas.fill(canvas.pen().line(flow, 0.020).within(body), "*ff5a2c")
    canvas.fill(canvas.pen().line(flow, 0.008).within(body), "*ffe07a")
    mist(canvas, 0.6, 0.73, 0.35)


def waterfall(canvas: Canvas, rng: Random, u: float) -> None:
    """A fall between two shoulders of rock, spray at its foot, and a dark wood before it."""
    x, ink = u * canvas.aspect, canvas.ink
    ridge(canvas, rng, 0.56, 0.14, ink.mix("far", "horizon", 0.45))
    mist(canvas, 0.44, 0.64, 0.5)
    lip = 0.465
    for side in (-1, 1):
        _shoulder(canvas, rng, x, side, lip)
    fall = canvas.pen().polygon(
        [
            (x - 0.022, lip),
            (x + 0.022, lip),
            (x + 0.03, 0.57),
            (x + 0.044, 0.7),
            (x - 0.044, 0.7),
            (x - 0.03, 0.57),
        ]
    )
    canvas.fill(fall, ink.mix("water", "snow", 0.55))
    threads = canvas.pen()
    for i in range(6):
        a = (i - 2.5) / 6
        threads.line([(x + a * 0.04, lip + rng.uniform(0, 0.06)), (x + a * 0.078, 0.7)], 0.004)
    canvas.fill(threads.within(fall), "snow", 0.9)
    wood = canvas.pen().polygon(rolling(rng, canvas.aspect, 0.668, 0.012))
    for i in range(30):
        a = canvas.aspect * (i + rng.random()) / 30
        if abs(a - x) > 0.085:
            pine(wood, a, 0.675, rng.uniform(0.035, 0.08))
    canvas.fill(wood, ink.mix("near", "pine", 0.3))
    canvas.fill(canvas.halo(x, 0.665, 0.075), "snow", 0.75)


def _shoulder(canvas: Canvas, rng: Random, x: float, side: int, lip: float) -> None:
    """The rock on one side of a fall: a high step, a lower one, and a slope; the light comes from the left."""
    ink = canvas.ink
    outline = [
        (0.0, lip),
        (0.03, lip),
        (0.05, lip - 0.035),
        (0.14, lip - 0.05),
        (0.2, lip - 0.03),
        (0.23, 0.53),
    ]
    outline += [(0.34, 0.52), (0.4, 0.56), (0.46, 0.62), (0.8, BASE), (0.0, BASE)]
    rock = canvas.pen().polygon(
        [(x + side * (a + rng.uniform(-0.008, 0.008) * (a > 0.03)), y) for a, y in outline]
    )
    canvas.fill(rock, ink.mix("mid", "stone", 0.25))
    shade, light = canvas.pen(), canvas.pen()
    reach = 0.012
    while reach < 0.5:
        width = rng.uniform(0.014, 0.035)
        top, foot = rng.uniform(0.42, 0.5), rng.uniform(0.6, 0.67)
        face = [(reach, top), (reach + width, top), (reach + width * 1.3, foot), (reach + width * 0.4, foot)]
        (shade if rng.random() < 0.6 else light).polygon([(x + side * a, y) for a, y in face])
        reach += width + rng.uniform(0.004, 0.022)
    canvas.fill(shade.within(rock), ink.mix("near", "shadow", 0.3), 0.55)
    canvas.fill(light.within(rock), ink.mix("far", "horizon", 0.2), 0.45)
    turf = canvas.pen().polygon([(x + side * a, y - 0.012) for a, y in outline[1:7]])
    turf.line([(x + side * a, y) for a, y in outline[1:9]], 0.012)
    canvas.fill(turf.within(rock), ink.mix("near", "pine", 0.4), 0.9)
    if side > 0:
        canvas.fill(rock, ink.mix("near", "shadow", 0.4), 0.25)


def dunes(canvas: Canvas, rng: Random, count: int) -> None:
    """Sand in long waves: a lit slope and a shaded one meet in a sharp crest."""
    for number in range(count):
        depth = number / max(1, count - 1)
        base = 0.59 + 0.1 * depth
        air = 0.55 * (1 - depth)
        x, top = canvas.aspect * rng.uniform(0.12, 0.88), base - rng.uniform(0.08, 0.13)
        reach = rng.uniform(0.55, 0.8)
        crest = [(x - reach + 2 * reach * i / 40, 0.0) for i in range(41)]
        crest = [(a, base - (base - top) * math.exp(-(((a - x) / (reach * 0.46)) ** 2))) for a, _ in crest]
        body = canvas.pen().polygon(
            [(-0.2, base), *crest, (canvas.aspect + 0.2, base), (canvas.aspect + 0.2, 2), (-0.2, 2)]
        )
        canvas.fill(body, canvas.ink.mix("sand", "horizon", air))
        fall = [
            (x + reach * (0.06 + 0.32 * t) + 0.03 * math.sin(5 * t), top + (BASE - top) * t)
            for t in (0.2, 0.4, 0.6, 0.8, 1.0)
        ]
        shade = canvas.pen().polygon(
            [p for p in crest if p[0] >= x] + [(x + 2 * reach, BASE), *reversed(fall), (x, top)]
        )
        canvas.fill(shade.within(body), canvas.ink.mix("sand_shade", "horizon", air))
    mist(canvas, 0.56, 0.72, 0.25)


def mesas(canvas: Canvas, rng: Random, places: tuple[tuple[float, float, float], ...]) -> None:
    """Table mountains with banded cliffs."""
    canvas.fill(
        canvas.pen().polygon(rolling(rng, canvas.aspect, 0.66, 0.06)), canvas.ink.mix("earth", "horizon", 0.6)
    )
    mist(canvas, 0.5, 0.68, 0.3)
    for u, top, width in places:
        x = u * canvas.aspect
        foot = width * 1.55
        outline = [
            (x - foot, BASE),
            (x - width * 1.12, 0.61),
            (x - width, top + 0.008),
            (x - width * 0.9, top),
            (x + width * 0.86, top + 0.004),
            (x + width, top + 0.02),
            (x + width * 1.1, 0.61),
            (x + foot, BASE),
        ]
        outline = [(a + rng.uniform(-0.008, 0.008), b) for a, b in outline]
        body = canvas.pen().polygon(outline)
        canvas.fill(body, "#c8744a")
        bands = canvas.pen()
        for i in range(4):
            y = top + 0.03 + i * 0.034
            bands.line([(x - foot, y + rng.uniform(-0.004, 0.004)), (x + foot, y)], 0.009)
        canvas.fill(bands.within(body), "#a3543a", 0.75)
        canvas.fill(
            canvas.pen()
            .polygon(
                [
                    (x + width * 0.35, top - 0.02),
                    (x + foot, top - 0.02),
                    (x + foot, BASE),
                    (x + width * 0.6, BASE),
                    (x + width * 0.45, 0.6),
                ]
            )
            .within(body),
            "#6f3436",
            0.55,
        )
    mist(canvas, 0.58, 0.72, 0.32)


def pyramids(canvas: Canvas, rng: Random, places: tuple[tuple[float, float, float], ...]) -> None:
    canvas.fill(
        canvas.pen().polygon(rolling(rng, canvas.aspect, 0.66, 0.05)),
        canvas.ink.mix("sand_shade", "horizon", 0.5),
    )
    for u, top, width in places:
        x = u * canvas.aspect
        canvas.fill(canvas.pen().polygon([(x - width, BASE), (x, top), (x + width, BASE)]), "sand")
        canvas.fill(
            canvas.pen().polygon([(x, top), (x + width, BASE), (x + width * 0.28, BASE)]),
            canvas.ink.mix("sand_shade", "shadow", 0.35),
        )
        courses = canvas.pen()
        for i in range(1, 7):
            y = top + (BASE - top) * i / 7
            courses.line([(x - width * i / 7, y), (x + width * 0.28 * i / 7, y)], 0.0035)
        canvas.fill(courses, "sand_shade", 0.6)
    mist(canvas, 0.6, 0.72, 0.3)
