"""What is in the sky: the top band. Everything fades out before the band ends, so that no seam shows."""

from __future__ import annotations

import math
from functools import partial
from random import Random

import numpy as np

from comfy_nb.server.worlds.landscapes.canvas import Canvas, Floats, arc, smooth
from comfy_nb.server.worlds.landscapes.palettes import BRIGHT, DARK
from comfy_nb.server.worlds.landscapes.parts import SKYLINE, Part, bank, variants


def _edge(canvas: Canvas, depth: float = 0.1) -> Floats:
    return canvas.fade(SKYLINE - depth, SKYLINE - 0.005)


def _clear(canvas: Canvas, rng: Random) -> None:
    del canvas, rng


def _sun(canvas: Canvas, rng: Random, u: float, y: float, radius: float) -> None:
    del rng
    x, edge = u * canvas.aspect, _edge(canvas, 0.14)
    canvas.fill(canvas.halo(x, y, radius * 4.2) * edge, "glow", 0.5)
    canvas.fill(canvas.halo(x, y, radius * 2.1) * edge, "light", 0.55)
    canvas.fill(canvas.pen().ellipse(x, y, radius * 1.28), canvas.ink.mix("light", "glow", 0.3), 0.4 * edge)
    canvas.fill(canvas.pen().ellipse(x, y, radius), canvas.ink.mix("light", "*ffffff", 0.35))


def _rays(canvas: Canvas, rng: Random, u: float, y: float) -> None:
    x, edge = u * canvas.aspect, _edge(canvas, 0.16)
    angle = np.arctan2(canvas.y - y, canvas.x - x)
    distance = np.hypot(canvas.x - x, canvas.y - y)
    turn = rng.uniform(0, math.tau)
    beams = smooth(np.cos(angle * 14 + turn) * 1.4 + 0.2) * np.exp(-distance / 0.24)
    canvas.fill(beams * edge, "light", 0.5)
    _sun(canvas, rng, u, y, 0.048)


def _stars(canvas: Canvas, rng: Random, count: int, low: float = SKYLINE) -> None:
    dim, bright, big = canvas.pen(), canvas.pen(), canvas.pen()
    for number in range(count):
        x, y = rng.random() * canvas.aspect, rng.random() ** 1.25 * (low - 0.03) + 0.008
        size = rng.random()
        if number % 9 == 0:
            reach = 0.010 + 0.009 * size
            thin = reach * 0.16
            big.polygon([(x - reach, y), (x, y - thin), (x + reach, y), (x, y + thin)])
            big.polygon([(x, y - reach), (x + thin, y), (x, y + reach), (x - thin, y)])
            bright.ellipse(x, y, 0.0032)
        else:
            (bright if number % 3 == 0 else dim).ellipse(x, y, 0.0016 + 0.0020 * size)
    canvas.fill(dim, "star", 0.62 * _edge(canvas))
    canvas.fill(bright, "star", 0.95 * _edge(canvas))
    canvas.fill(big, "star", _edge(canvas))


def _moon_glow(canvas: Canvas, x: float, y: float, radius: float) -> None:
    edge = _edge(canvas, 0.14)
    canvas.fill(canvas.halo(x, y, radius * 3.0) * edge, "glow", 0.38)
    canvas.fill(canvas.halo(x, y, radius * 1.6) * edge, "light", 0.35)


def _full_moon(canvas: Canvas, rng: Random, u: float, y: float, radius: float) -> None:
    _stars(canvas, rng, 26)
    x = u * canvas.aspect
    _moon_glow(canvas, x, y, radius)
    disc = canvas.pen().ellipse(x, y, radius)
    canvas.fill(disc, "light")
    seas, pits = canvas.pen(), canvas.pen()
    for dx, dy, r in ((-0.35, -0.2, 0.34), (0.12, -0.38, 0.24), (-0.1, 0.22, 0.27), (0.4, 0.1, 0.2)):
        seas.ellipse(x + dx * radius, y + dy * radius, r * radius, r * radius * 0.9)
    for dx, dy, r in ((0.2, 0.55, 0.13), (-0.55, 0.35, 0.1), (0.6, -0.35, 0.09), (-0.15, -0.62, 0.08)):
        pits.ellipse(x + dx * radius, y + dy * radius, r * radius)
    shade = canvas.ink.mix("light", "cloud_shade", 0.42)
    canvas.fill(seas.within(disc), shade, 0.45)
    canvas.fill(pits, shade, 0.6)
    rim = (
        canvas.pen()
        .ellipse(x, y, radius)
        .without(canvas.pen().ellipse(x - radius * 0.18, y - radius * 0.14, radius * 1.04))
    )
    canvas.fill(rim, shade, 0.6)


def _crescent(canvas: Canvas, rng: Random, u: float, y: float, radius: float) -> None:
    _stars(canvas, rng, 34)
    x = u * canvas.aspect
    _moon_glow(canvas, x, y, radius * 0.9)
    bite = canvas.pen().ellipse(x + radius * 0.46, y - radius * 0.2, radius * 0.86)
    canvas.fill(canvas.pen().ellipse(x, y, radius).without(bite), "light")


def _milky_way(canvas: Canvas, rng: Random, u: float, slope: float) -> None:
    """A tilted river of light with a dark lane, and stars that crowd towards it."""
    seed = rng.randrange(1 << 30)
    _stars(canvas, rng, 60)
    across = (canvas.y - 0.17) - slope * (canvas.x - u * canvas.aspect)
    across = across / math.hypot(1.0, slope) + (canvas.noise(seed, 0.22, octaves=2) - 0.5) * 0.09
    cloud, fine = canvas.noise(seed + 9, 0.13, octaves=4), canvas.noise(seed + 20, 0.05, octaves=3)
    edge = _edge(canvas, 0.16)
    canvas.fill(np.exp(-np.square(across / 0.13)) * edge, "*5b2bd0", 0.5)
    canvas.fill(np.exp(-np.square(across / 0.085)) * smooth(cloud * 2.2 - 0.45) * edge, "*c23fd6", 0.85)
    canvas.fill(np.exp(-np.square((across + 0.035) / 0.05)) * smooth(cloud * 3 - 1.2) * edge, "*3f8bff", 0.6)
    canvas.fill(np.exp(-np.square((across - 0.012) / 0.042)) * smooth(fine * 3 - 0.8) * edge, "*ff8fe0", 0.85)
    canvas.fill(np.exp(-np.square((across - 0.008) / 0.02)) * smooth(fine * 3 - 0.9) * edge, "*fff2ff", 0.9)
    lane = np.exp(-np.square((across + 0.012 + (fine - 0.5) * 0.05) / 0.009))
    canvas.fill(lane * edge * smooth(cloud * 3 - 0.7), "*1a0638", 0.55)
    _star_dust(canvas, rng, u, slope)


def _star_dust(canvas: Canvas, rng: Random, u: float, slope: float) -> None:
    dust = canvas.pen()
    for _ in range(110):
        along, off = rng.uniform(-0.75, 0.75), rng.gauss(0.0, 0.055)
        size = 0.0011 + 0.0017 * rng.random()
        dust.ellipse(u * canvas.aspect + along, 0.17 + slope * along + off, size)
    canvas.fill(dust, "*ffffff", 0.9 * _edge(canvas))


def _spiral_galaxy(canvas: Canvas, rng: Random, u: float, y: float, turn: float) -> None:
    """A tilted spiral: two logarithmic arms around a bright core."""
    seed = rng.randrange(1 << 30)
    _stars(canvas, rng, 64)
    dx, dy = canvas.x - u * canvas.aspect, canvas.y - y
    tilt = -0.42
    along = dx * math.cos(tilt) + dy * math.sin(tilt)
    across = (dy * math.cos(tilt) - dx * math.sin(tilt)) / 0.46
    radius = np.hypot(along, across) + 1e-4
    arms = 0.5 + 0.5 * np.cos(2.0 * (np.arctan2(across, along) - turn - 2.6 * np.log(radius / 0.05)))
    grain = canvas.noise(seed, 0.045, octaves=3)
    edge = _edge(canvas, 0.14)
    disc = np.exp(-np.square(radius / 0.2))
    canvas.fill(disc * edge, "*6a2fd8", 0.6)
    canvas.fill(disc * smooth(arms * 1.3 + grain * 0.7 - 0.75) * edge, "*d65af0", 0.95)
    inner = np.exp(-np.square(radius / 0.13))
    canvas.fill(inner * smooth(arms * 1.6 + grain - 1.25) * edge, "*8fc7ff", 0.8)
    canvas.fill(np.exp(-np.square(radius / 0.065)) * edge, "*ffb3ea", 0.85)
    canvas.fill(np.exp(-np.square(radius / 0.03)) * edge, "*fffbe8", 1.0)
    sparks = canvas.pen()
    for _ in range(60):
        angle, far = rng.uniform(0, math.tau), abs(rng.gauss(0, 0.14))
        a, b = far * math.cos(angle), far * math.sin(angle) * 0.46
        x = u * canvas.aspect + a * math.cos(tilt) - b * math.sin(tilt)
        sparks.ellipse(x, y + a * math.sin(tilt) + b * math.cos(tilt), 0.0012 + 0.0016 * rng.random())
    canvas.fill(sparks, "*ffffff", 0.9 * edge)


def _puff(canvas: Canvas, rng: Random, x: float, y: float, size: float) -> None:
    """One cumulus: round heads on a flat base, lit from above."""
    heads = [
        (-0.95, 0.0, 0.34),
        (-0.45, -0.22, 0.5),
        (0.12, -0.34, 0.58),
        (0.62, -0.12, 0.44),
        (1.02, 0.03, 0.28),
    ]
    heads = [(dx + rng.uniform(-0.1, 0.1), dy + rng.uniform(-0.1, 0.06), r) for dx, dy, r in heads]
    whole, lit = canvas.pen(), canvas.pen()
    for dx, dy, r in heads:
        whole.ellipse(x + dx * size, y + dy * size, r * size)
        lit.ellipse(x + (dx - 0.07) * size, y + (dy - 0.13) * size, r * size * 0.93)
    floor = canvas.pen().box(x - 1.5 * size, y - 1.5 * size, x + 1.5 * size, y + 0.2 * size, 0.1 * size)
    whole.box(x - 1.1 * size, y - 0.1 * size, x + 1.1 * size, y + 0.2 * size, 0.14 * size)
    edge = _edge(canvas, 0.07)
    canvas.fill(whole.within(floor), canvas.ink.mix("cloud", "cloud_shade", 0.75), 0.95 * edge)
    canvas.fill(lit.within(whole), "cloud", 0.96 * edge)


def _cumulus(canvas: Canvas, rng: Random, places: tuple[tuple[float, float, float], ...]) -> None:
    for u, y, size in places:
        _puff(canvas, rng, u * canvas.aspect, y, size)


def _cirrus(canvas: Canvas, rng: Random, coverage: float) -> None:
    seed = rng.randrange(1 << 30)
    streaks = smooth((canvas.noise(seed, 0.55, 0.045, 4) - (1.0 - coverage)) / 0.3)
    canvas.fill(streaks * _edge(canvas, 0.12), "cloud", 0.85)


def _overcast(canvas: Canvas, rng: Random) -> None:
    seed = rng.randrange(1 << 30)
    edge = _edge(canvas, 0.15)
    canvas.fill(bank(canvas, seed, 0.5, 0.68) * edge, "cloud_shade", 0.85)
    canvas.fill(bank(canvas, seed + 3, 0.42, 0.55) * edge, "cloud", 0.75)


def _sun_and_cloud(canvas: Canvas, rng: Random, u: float, v: float) -> None:
    _sun(canvas, rng, u, 0.12, 0.058)
    _cumulus(canvas, rng, ((u + 0.09, 0.19, 0.07), (v, 0.13, 0.05)))


def _rainbow(canvas: Canvas, rng: Random, u: float, radius: float) -> None:
    del rng
    x, y = u * canvas.aspect, 0.44
    colours = ("*ff5a5f", "*ff9f45", "*ffe45e", "*6bd968", "*4aa8ff", "*9a6bff")
    edge = _edge(canvas, 0.17)
    distance = np.hypot(canvas.x - x, canvas.y - y)
    canvas.fill(
        smooth((radius - 0.085 - distance) / 0.3 + 1) * (distance < radius - 0.085) * edge, "glow", 0.16
    )
    for number, colour in enumerate(colours):
        outer = radius - number * 0.0145
        ring = canvas.pen().ellipse(x, y, outer).without(canvas.pen().ellipse(x, y, outer - 0.0155))
        canvas.fill(ring, colour, 0.72 * edge)


def _flock(canvas: Canvas, rng: Random, u: float, y: float) -> None:
    _cirrus(canvas, rng, 0.42)
    wings = canvas.pen()
    for number in range(9):
        side = (number + 1) // 2 * (1 if number % 2 else -1)
        x = u * canvas.aspect + side * 0.05 + rng.uniform(-0.012, 0.012)
        top = y + abs(side) * 0.021 + rng.uniform(-0.008, 0.008)
        span = 0.021 + rng.uniform(-0.004, 0.004)
        for way in (-1, 1):
            bow = [(x, top), (x + way * span * 0.55, top - span * 0.42), (x + way * span, top - span * 0.12)]
            wings.line(bow, 0.0055)
    canvas.fill(wings, "bird", 0.95 * _edge(canvas, 0.06))


def _planet(
    canvas: Canvas, rng: Random, u: float, y: float, radius: float, colours: tuple[str, str, str]
) -> None:
    """A ringed planet with bands and a night side, and a small moon."""
    _stars(canvas, rng, 40)
    x = u * canvas.aspect
    canvas.fill(canvas.halo(x, y, radius * 1.9) * _edge(canvas), colours[1], 0.35)
    turn = -0.36
    back, front, gap = canvas.pen(), canvas.pen(), canvas.pen()
    for pen, start in ((back, 180), (front, 0)):
        outer, inner = (arc(0, 0, r, r * 0.27, start, start + 180) for r in (radius * 2.05, radius * 1.42))
        spun = [
            (a * math.cos(turn) - b * math.sin(turn), a * math.sin(turn) + b * math.cos(turn))
            for a, b in [*outer, *reversed(inner)]
        ]
        pen.polygon([(x + a, y + b) for a, b in spun])
    canvas.fill(back, colours[2], 0.75)
    disc = canvas.pen().ellipse(x, y, radius)
    canvas.fill(disc, colours[0])
    for dy, thick in ((-0.55, 0.16), (-0.08, 0.2), (0.42, 0.15)):
        stripe = [(x - 1.1 * radius, y + (dy + 0.36) * radius), (x + 1.1 * radius, y + (dy - 0.36) * radius)]
        canvas.fill(gap.line(stripe, thick * radius).within(disc), colours[1], 0.85)
        gap = canvas.pen()
    night = (
        canvas.pen()
        .ellipse(x, y, radius)
        .without(canvas.pen().ellipse(x - radius * 0.3, y - radius * 0.24, radius * 1.06))
    )
    canvas.fill(night, "zenith", 0.5)
    canvas.fill(front, colours[2], 0.95)
    canvas.fill(canvas.pen().ellipse(x + radius * 2.3, y - radius * 0.9, radius * 0.2), "light", 0.9)


def _balloon(canvas: Canvas, x: float, y: float, size: float, colours: tuple[str, str]) -> None:
    def envelope(scale: float) -> list[tuple[float, float]]:
        top = arc(x, y, size * scale, size, 180, 360)
        return [
            *top,
            (x + size * 0.62 * scale, y + size * 0.78),
            (x + size * 0.22 * scale, y + size * 1.28),
            (x - size * 0.22 * scale, y + size * 1.28),
            (x - size * 0.62 * scale, y + size * 0.78),
        ]

    ropes = canvas.pen().line(
        [(x - size * 0.2, y + size * 1.25), (x - size * 0.13, y + size * 1.65)], size * 0.05
    )
    ropes.line([(x + size * 0.2, y + size * 1.25), (x + size * 0.13, y + size * 1.65)], size * 0.05)
    canvas.fill(ropes, "#5a4030")
    canvas.fill(
        canvas.pen().box(x - size * 0.19, y + size * 1.6, x + size * 0.19, y + size * 1.88, size * 0.05),
        "#8a5a34",
    )
    canvas.fill(canvas.pen().polygon(envelope(1.0)), colours[0])
    canvas.fill(canvas.pen().polygon(envelope(0.68)), colours[1])
    canvas.fill(canvas.pen().polygon(envelope(0.3)), colours[0])
    whole = canvas.pen().polygon(envelope(1.0))
    canvas.fill(
        canvas.pen().ellipse(x + size * 1.05, y + size * 0.35, size * 0.95, size * 1.5).within(whole),
        "shadow",
        0.22,
    )
    canvas.fill(
        canvas.pen().ellipse(x - size * 0.5, y - size * 0.35, size * 0.24, size * 0.36), "*ffffff", 0.35
    )


def _balloons(canvas: Canvas, rng: Random, spots: tuple[tuple[float, float, float, str, str], ...]) -> None:
    _cirrus(canvas, rng, 0.4)
    for u, y, size, first, second in spots:
        _balloon(canvas, u * canvas.aspect, y, size, (first, second))


def _aurora(canvas: Canvas, rng: Random, colours: tuple[str, str], drop: float) -> None:
    """Curtains: bright at a wavering lower edge, streaked, dying away upwards."""
    _stars(canvas, rng, 40)
    edge = _edge(canvas, 0.12)
    for number in range(3):
        seed, phase = rng.randrange(1 << 30), rng.uniform(0, math.tau)
        wave = np.sin(canvas.x * (3.1 + number) / canvas.aspect * 2 + phase) * 0.045
        hem = drop - number * 0.085 + wave + (canvas.noise(seed, 0.3, 9.0, 2)[:1] - 0.5) * 0.1
        up = hem - canvas.y
        curtain = np.where(up > 0, np.exp(-np.maximum(up, 0) / 0.085), np.exp(np.minimum(up, 0) / 0.012))
        streak = 0.45 + 0.55 * smooth(canvas.noise(seed + 5, 0.035, 9.0, 2)[:1] * 1.9 - 0.4)
        canvas.fill(curtain * streak * edge, colours[0], 0.85)
        violet = np.where(up > 0, np.exp(-np.square((up - 0.11) / 0.06)), 0.0)
        canvas.fill(violet * streak * edge, colours[1], 0.6)


def _comet(canvas: Canvas, rng: Random, u: float, y: float) -> None:
    """A shooting star with a long tail."""
    _stars(canvas, rng, 46)
    x, slope = u * canvas.aspect, -0.42
    along, off = canvas.x - x, (canvas.y - y) - slope * (canvas.x - x)
    width = 0.006 + 0.05 * np.clip(along, 0, None)
    tail = np.where(along > 0, np.exp(-along / 0.15) * np.exp(-np.square(off / width)), 0.0)
    canvas.fill(tail * _edge(canvas), "star", 0.9)
    canvas.fill(canvas.halo(x, y, 0.03), "glow", 0.8)
    canvas.fill(canvas.pen().ellipse(x, y, 0.0105), "*ffffff")


_RED_BALLOON = ("#e8484f", "#ffd166")
_BLUE_BALLOON = ("#3f7fd9", "#fff1d6")
_SATURN = ("*f2bd85", "*cf8058", "*f8dcb0")
_VIOLET_WORLD = ("*9fb4f5", "*6f6fd8", "*f5c4ea")

SKIES: tuple[Part, ...] = (
    *variants("clear sky", "clear cloudless empty", (_clear,)),
    *variants(
        "sun",
        "sun sunshine sunny",
        (
            partial(_sun, u=0.74, y=0.14, radius=0.062),
            partial(_sun, u=0.27, y=0.12, radius=0.056),
            partial(_sun, u=0.5, y=0.21, radius=0.078),
            partial(_rays, u=0.7, y=0.12),
        ),
        rare_in=DARK,
    ),
    *variants(
        "sun and clouds",
        "sun sunny cloud cloudy",
        (partial(_sun_and_cloud, u=0.68, v=0.22), partial(_sun_and_cloud, u=0.3, v=0.76)),
        rare_in=DARK,
    ),
    *variants(
        "full moon",
        "moon moonlight moonlit full night",
        (
            partial(_full_moon, u=0.29, y=0.145, radius=0.072),
            partial(_full_moon, u=0.73, y=0.13, radius=0.064),
        ),
        rare_in=BRIGHT,
    ),
    *variants(
        "crescent moon",
        "moon moonlight crescent night",
        (partial(_crescent, u=0.3, y=0.13, radius=0.062), partial(_crescent, u=0.72, y=0.15, radius=0.068)),
        rare_in=BRIGHT,
    ),
    *variants(
        "stars",
        "star starry starlight night",
        (partial(_stars, count=70), partial(_stars, count=110), partial(_stars, count=160)),
        rare_in=BRIGHT,
    ),
    *variants(
        "galaxy",
        "galaxy milky nebula star starry cosmic space universe night",
        (
            partial(_milky_way, u=0.5, slope=-0.36),
            partial(_milky_way, u=0.45, slope=0.3),
            partial(_spiral_galaxy, u=0.66, y=0.15, turn=0.4),
            partial(_spiral_galaxy, u=0.34, y=0.16, turn=2.0),
        ),
        rare_in=BRIGHT,
    ),
    *variants(
        "clouds",
        "cloud cloudy cumulus",
        (
            partial(_cumulus, places=((0.24, 0.15, 0.075), (0.72, 0.24, 0.055))),
            partial(_cumulus, places=((0.66, 0.14, 0.085), (0.2, 0.25, 0.05), (0.95, 0.27, 0.05))),
            partial(_cumulus, places=((0.42, 0.2, 0.095), (0.88, 0.1, 0.045))),
        ),
    ),
    *variants(
        "thin clouds",
        "cloud cloudy cirrus windy wind",
        (partial(_cirrus, coverage=0.56), partial(_cirrus, coverage=0.66)),
    ),
    *variants("overcast", "cloud cloudy overcast", (_overcast, _overcast)),
    *variants(
        "rainbow",
        "rainbow",
        (partial(_rainbow, u=0.42, radius=0.36), partial(_rainbow, u=0.68, radius=0.4)),
        rare_in=DARK,
    ),
    *variants(
        "birds",
        "bird gull flock flying",
        (partial(_flock, u=0.64, y=0.13), partial(_flock, u=0.34, y=0.16)),
        rare_in=DARK,
    ),
    *variants(
        "planet",
        "planet saturn ring space night",
        (
            partial(_planet, u=0.7, y=0.15, radius=0.07, colours=_SATURN),
            partial(_planet, u=0.3, y=0.15, radius=0.078, colours=_VIOLET_WORLD),
        ),
        rare_in=BRIGHT,
    ),
    *variants(
        "balloons",
        "balloon air flying",
        (
            partial(
                _balloons, spots=((0.72, 0.115, 0.072, *_RED_BALLOON), (0.3, 0.19, 0.036, *_BLUE_BALLOON))
            ),
            partial(_balloons, spots=((0.27, 0.11, 0.068, *_BLUE_BALLOON), (0.6, 0.2, 0.034, *_RED_BALLOON))),
        ),
        rare_in=DARK,
    ),
    *variants(
        "northern lights",
        "aurora northern polar borealis night",
        (
            partial(_aurora, colours=("*5dffb0", "*a45cff"), drop=0.29),
            partial(_aurora, colours=("*4af0e0", "*ff6bd0"), drop=0.26),
        ),
        rare_in=BRIGHT,
    ),
    *variants(
        "shooting star",
        "comet meteor shooting star night",
        (partial(_comet, u=0.36, y=0.2), partial(_comet, u=0.56, y=0.17)),
        rare_in=BRIGHT,
    ),
)
