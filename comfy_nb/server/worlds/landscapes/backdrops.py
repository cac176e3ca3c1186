"""What stands on the horizon: the middle band, from far to near, each layer deeper in tone than the one behind it."""

from __future__ import annotations

import math
from functools import partial
from random import Random


from comfy_nb.server.worlds.landscapes.canvas import Canvas, Pen, Point, smooth
from comfy_nb.server.worlds.landscapes.palettes import Tint
from comfy_nb.server.worlds.landscapes.parts import HORIZON, Part, mist, pine, rolling, rough, variants

Peak = tuple[float, float, float]
"""A summit: across as a share of the width, height in the picture, half width at the foot."""

BASE = HORIZON + 0.01
"""Shapes reach a little below the band, so that none ends above the ground."""


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
        _snow_cap(canvas, rng, summit, spread, body, dark)


def _snow_cap(canvas: Canvas, rng: Random, summit: Point, spread: float, body: Pen, dark: Pen) -> None:
    x, top = summit
    depth = (BASE - top) * rng.uniform(0.34, 0.42)
    teeth = [(x - spread, top + depth * 0.8)]
    for i in range(9):
        u = (i - 4) / 4
        drip = depth * (1.0 if i % 2 else 0.52) * rng.uniform(0.8, 1.15)
        teeth.append((x + u * spread * 0.5, top + drip + abs(u) * depth * 0.1))
    cap = canvas.pen().polygon(
        [(x - spread, top - 0.1), *teeth, (x + spread, top + depth * 0.8), (x + spread, top - 0.1)]
    )
    cap.within(body)
    canvas.fill(cap, "snow")
    canvas.fill(cap.within(dark), "snow_shade")


def _ridge(canvas: Canvas, rng: Random, base: float, height: float, tone: Tint) -> None:
    """A distant, jagged chain."""
    joints = [(canvas.aspect * i / 8, base - height * rng.uniform(0.15, 1.0)) for i in range(9)]
    line: list[Point] = []
    for start, end in zip(joints, joints[1:], strict=False):
        line += rough(rng, start, end, height * 0.25, 4)
    canvas.fill(canvas.pen().polygon([*line, joints[-1], (canvas.aspect, 2.0), (0.0, 2.0)]), tone)


def _mountains(
    canvas: Canvas, rng: Random, peaks: tuple[tuple[float, float, float], ...], snow: bool = True
) -> None:
    _ridge(canvas, rng, 0.6, 0.14, canvas.ink.mix("far", "horizon", 0.4))
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


def _hills(canvas: Canvas, rng: Random, waves: float, lift: float) -> None:
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


def _forest(canvas: Canvas, rng: Random, tall: float, crowd: int) -> None:
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


def _woods(canvas: Canvas, rng: Random) -> None:
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


def _tower(
    canvas: Canvas, rng: Random, left: float, width: float, top: float, roofs: Pen, panes: Pen
) -> None:
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
    del canvas


def _city(canvas: Canvas, rng: Random, tallest: float, middle: float) -> None:
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
            _tower(canvas, rng, u * canvas.aspect, width, HORIZON - height, roofs, panes)
        tone = canvas.ink.mix(colour, "horizon", air)
        canvas.fill(roofs, tone)
        canvas.fill(panes.within(roofs), canvas.ink.mix(tone, "lamp", 0.35 + 0.3 * number))
        mist(canvas, 0.54, 0.72, 0.42 if number < 2 else 0.15)


def _dunes(canvas: Canvas, rng: Random, count: int) -> None:
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


def _mesas(canvas: Canvas, rng: Random, places: tuple[tuple[float, float, float], ...]) -> None:
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


def _pyramids(canvas: Canvas, rng: Random, places: tuple[tuple[float, float, float], ...]) -> None:
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


def _sea(canvas: Canvas, rng: Random, islands: tuple[tuple[float, float, float], ...]) -> None:
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


def _volcano(canvas: Canvas, rng: Random, u: float, top: float) -> None:
    """A cone with a glowing crater, lava on its flank and smoke."""
    x, ink = u * canvas.aspect, canvas.ink
    _ridge(canvas, rng, 0.63, 0.1, ink.mix("far", "horizon", 0.35))
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


def _waterfall(canvas: Canvas, rng: Random, u: float) -> None:
    """A cliff with a fall of water, and spray at its foot."""
    x, ink = u * canvas.aspect, canvas.ink
    _ridge(canvas, rng, 0.58, 0.12, ink.mix("far", "horizon", 0.3))
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
        ledges.polygon([(a - reach, y + 0.006), (a - reach * 0.4, y), (a + reach, y + 0.003), (a + reach * 0.3, y + 0.011)])
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


BACKDROPS: tuple[Part, ...] = (
    *variants(
        "mountains",
        "mountain peak alps alpine landscape scenery nature snowcapped",
        (
            partial(_mountains, peaks=((0.24, 0.41, 0.30), (0.66, 0.385, 0.34), (0.95, 0.46, 0.24))),
            partial(_mountains, peaks=((0.5, 0.38, 0.36), (0.13, 0.46, 0.27), (0.86, 0.44, 0.26))),
            partial(_mountains, peaks=((0.77, 0.385, 0.33), (0.36, 0.43, 0.28), (0.04, 0.45, 0.26))),
            partial(_mountains, peaks=((0.18, 0.385, 0.33), (0.56, 0.455, 0.25), (0.87, 0.42, 0.28))),
            partial(
                _mountains,
                peaks=((0.34, 0.40, 0.26), (0.6, 0.43, 0.24), (0.84, 0.40, 0.25), (0.08, 0.45, 0.22)),
            ),
        ),
    ),
    *variants(
        "rocky mountains",
        "mountain peak rock rocky cliff",
        (
            partial(_mountains, peaks=((0.3, 0.4, 0.3), (0.72, 0.42, 0.28)), snow=False),
            partial(
                _mountains, peaks=((0.62, 0.39, 0.32), (0.16, 0.44, 0.25), (0.93, 0.46, 0.2)), snow=False
            ),
        ),
    ),
    *variants(
        "hills",
        "hill valley countryside rolling nature",
        (
            partial(_hills, waves=0.9, lift=1.0),
            partial(_hills, waves=1.3, lift=1.25),
            partial(_hills, waves=0.6, lift=1.4),
            partial(_hills, waves=1.7, lift=0.8),
        ),
    ),
    *variants(
        "pine forest",
        "forest pine tree wood fir conifer nature",
        (
            partial(_forest, tall=1.0, crowd=26),
            partial(_forest, tall=1.25, crowd=22),
            partial(_forest, tall=0.8, crowd=32),
        ),
    ),
    *variants("woods", "forest wood tree grove jungle", (_woods, _woods)),
    *variants(
        "city",
        "city skyline town skyscraper building urban downtown",
        (
            partial(_city, tallest=0.29, middle=0.5),
            partial(_city, tallest=0.27, middle=0.28),
            partial(_city, tallest=0.28, middle=0.74),
            partial(_city, tallest=0.2, middle=0.5),
        ),
    ),
    *variants(
        "dunes",
        "dune desert sahara sand",
        (partial(_dunes, count=3), partial(_dunes, count=4), partial(_dunes, count=3)),
        rare_in=frozenset({"winter", "aurora", "autumn"}),
    ),
    *variants(
        "canyon",
        "canyon desert mesa cliff rock western",
        (
            partial(_mesas, places=((0.25, 0.43, 0.13), (0.78, 0.47, 0.1))),
            partial(_mesas, places=((0.66, 0.42, 0.16), (0.2, 0.5, 0.08))),
        ),
        rare_in=frozenset({"winter", "aurora", "candy"}),
    ),
    *variants(
        "pyramids",
        "pyramid egypt desert",
        (partial(_pyramids, places=((0.72, 0.5, 0.19), (0.34, 0.42, 0.27))),),
        rare_in=frozenset({"winter", "aurora", "candy"}),
    ),
    *variants(
        "sea",
        "sea ocean water island coast bay horizon",
        (
            partial(_sea, islands=((0.24, 0.07, 0.2), (0.8, 0.045, 0.16))),
            partial(_sea, islands=((0.7, 0.095, 0.17),)),
            partial(_sea, islands=((0.12, 0.05, 0.22), (0.5, 0.03, 0.1), (0.88, 0.11, 0.15))),
        ),
    ),
    *variants(
        "volcano",
        "volcano lava eruption fire",
        (partial(_volcano, u=0.5, top=0.44), partial(_volcano, u=0.7, top=0.45)),
    ),
    *variants(
        "waterfall", "waterfall cliff fall river", (partial(_waterfall, u=0.34), partial(_waterfall, u=0.7))
    ),
)
