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
    """A cliff with a fall of water, and spray at its foot."""
    x, ink = u * canvas.aspect, canvas.ink
    ridge(canvas, rng, 0.58, 0.12, ink.mix("far", "horizon", 0.3))
    mist(canvas, 0.46, 0.62, 0.45)
    lip = 0.47
    left = rough(rng, (-0.05, 0.45), (x - 0.05, lip), 0.03)
    right = rough(rng, (x + 0.05, lip), (canvas.aspect + 0.05, 0.47), 0.035)
    cliff = canvas.pen().polygon(
        [
            *left,
            (x - 0.05, lip),
            *right,
            (canvas.aspect + 0.05, 0.47),
            (canvas.aspect + 0.05, 1.0),
            (-0.05, 1.0),
        ]
    )
    canvas.fill(cliff, ink.mix("mid", "stone", 0.3))
    cracks = canvas.pen()
    for _ in range(40):
        a, y = rng.random() * canvas.aspect, rng.uniform(0.47, 0.6)
        cracks.polygon([(a, y), (a + 0.008, y), (a + 0.003, y + rng.uniform(0.05, 0.14))])
    canvas.fill(cracks.within(cliff), ink.mix("mid", "shadow", 0.45), 0.7)
    ledges = canvas.pen()
    for _ in range(16):
        a, y, reach = rng.random() * canvas.aspect, rng.uniform(0.5, 0.66), rng.uniform(0.03, 0.09)
        ledges.polygon(
            [
                (a - reach, y + 0.006),
                (a - reach * 0.4, y),
                (a + reach, y + 0.003),
                (a + reach * 0.3, y + 0.011),
            ]
        )
    canvas.fill(ledges.within(cliff), ink.mix("far", "grass_far", 0.5), 0.55)
    trees = canvas.pen().polygon([(0.0, 0.478), (x - 0.06, 0.48), (x - 0.05, 0.5), (0.0, 0.497)])
    trees.polygon([(x + 0.06, 0.48), (canvas.aspect, 0.478), (canvas.aspect, 0.497), (x + 0.05, 0.5)])
    for i in range(24):
        a = canvas.aspect * (i + rng.random()) / 24
        if abs(a - x) > 0.07:
            pine(trees, a, 0.492, rng.uniform(0.045, 0.085))
    canvas.fill(trees, ink.mix("near", "pine", 0.35))
    fall = canvas.pen().polygon(
        [(x - 0.046, lip - 0.004), (x + 0.046, lip - 0.004), (x + 0.06, 1.0), (x - 0.062, 1.0)]
    )
    canvas.fill(fall, ink.mix("water", "*ffffff", 0.55))
    threads = canvas.pen()
    for i in range(7):
        a = x - 0.045 + 0.013 * i + rng.uniform(-0.003, 0.003)
        threads.line([(a, lip + rng.uniform(0, 0.05)), (a * 1.0 + (a - x) * 0.2, 0.69)], 0.0045)
    canvas.fill(threads.within(fall), "*ffffff", 0.85)
    canvas.fill(canvas.halo(x, 0.685, 0.075), "*ffffff", 0.75)


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
