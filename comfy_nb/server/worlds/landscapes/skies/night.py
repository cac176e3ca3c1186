"""Skies by night: stars, moons, galaxies, planets, northern lights."""

from __future__ import annotations

import math
from random import Random

import numpy as np

from comfy_nb.server.worlds.landscapes.canvas import Canvas, arc, smooth
from comfy_nb.server.worlds.landscapes.parts import SKYLINE, sky_fade


def stars(canvas: Canvas, rng: Random, count: int, low: float = SKYLINE) -> None:
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
    canvas.fill(dim, "star", 0.62 * sky_fade(canvas))
    canvas.fill(bright, "star", 0.95 * sky_fade(canvas))
    canvas.fill(big, "star", sky_fade(canvas))


def _moon_glow(canvas: Canvas, x: float, y: float, radius: float) -> None:
    edge = sky_fade(canvas, 0.14)
    canvas.fill(canvas.halo(x, y, radius * 3.0) * edge, "glow", 0.38)
    canvas.fill(canvas.halo(x, y, radius * 1.6) * edge, "light", 0.35)


def full_moon(canvas: Canvas, rng: Random, u: float, y: float, radius: float) -> None:
    stars(canvas, rng, 26)
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


def crescent(canvas: Canvas, rng: Random, u: float, y: float, radius: float) -> None:
    stars(canvas, rng, 34)
    x = u * canvas.aspect
    _moon_glow(canvas, x, y, radius * 0.9)
    bite = canvas.pen().ellipse(x + radius * 0.46, y - radius * 0.2, radius * 0.86)
    canvas.fill(canvas.pen().ellipse(x, y, radius).without(bite), "light")


def milky_way(canvas: Canvas, rng: Random, u: float, slope: float) -> None:
    """A tilted river of light with a dark lane, and stars that crowd towards it."""
    seed = rng.randrange(1 << 30)
    stars(canvas, rng, 60)
    across = (canvas.y - 0.17) - slope * (canvas.x - u * canvas.aspect)
    across = across / math.hypot(1.0, slope) + (canvas.noise(seed, 0.22, octaves=2) - 0.5) * 0.09
    cloud, fine = canvas.noise(seed + 9, 0.13, octaves=4), canvas.noise(seed + 20, 0.05, octaves=3)
    edge = sky_fade(canvas, 0.16)
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
    canvas.fill(dust, "*ffffff", 0.9 * sky_fade(canvas))


def spiral_galaxy(canvas: Canvas, rng: Random, u: float, y: float, turn: float) -> None:
    """A tilted spiral: two logarithmic arms around a bright core."""
    seed = rng.randrange(1 << 30)
    stars(canvas, rng, 64)
    dx, dy = canvas.x - u * canvas.aspect, canvas.y - y
    tilt = -0.42
    along = dx * math.cos(tilt) + dy * math.sin(tilt)
    across = (dy * math.cos(tilt) - dx * math.sin(tilt)) / 0.46
    radius = np.hypot(along, across) + 1e-4
    arms = 0.5 + 0.5 * np.cos(2.0 * (np.arctan2(across, along) - turn - 2.6 * np.log(radius / 0.05)))
    grain = canvas.noise(seed, 0.045, octaves=3)
    edge = sky_fade(canvas, 0.14)
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


def planet(
    canvas: Canvas, rng: Random, *, u: float, y: float, radius: float, colours: tuple[str, str, str]
) -> None:
    """A ringed planet with bands and a night side, and a small moon."""
    stars(canvas, rng, 40)
    x = u * canvas.aspect
    canvas.fill(canvas.halo(x, y, radius * 1.9) * sky_fade(canvas), colours[1], 0.35)
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


def aurora(canvas: Canvas, rng: Random, colours: tuple[str, str], drop: float) -> None:
    """Curtains: bright at a wavering lower edge, streaked, dying away upwards."""
    stars(canvas, rng, 40)
    edge = sky_fade(canvas, 0.12)
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


def comet(canvas: Canvas, rng: Random, u: float, y: float) -> None:
    """A shooting star with a long tail."""
    stars(canvas, rng, 46)
    x, slope = u * canvas.aspect, -0.42
    along, off = canvas.x - x, (canvas.y - y) - slope * (canvas.x - x)
    width = 0.006 + 0.05 * np.clip(along, 0, None)
    tail = np.where(along > 0, np.exp(-along / 0.15) * np.exp(-np.square(off / width)), 0.0)
    canvas.fill(tail * sky_fade(canvas), "star", 0.9)
    canvas.fill(canvas.halo(x, y, 0.03), "glow", 0.8)
    canvas.fill(canvas.pen().ellipse(x, y, 0.0105), "*ffffff")
