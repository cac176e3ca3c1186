"""Skies by day: sun, clouds, a rainbow, birds, balloons."""

from __future__ import annotations

import math
from random import Random

import numpy as np

from comfy_nb.server.worlds.landscapes.canvas import Canvas, arc, smooth
from comfy_nb.server.worlds.landscapes.parts import bank, sky_fade


def clear(canvas: Canvas, rng: Random) -> None:
    del canvas, rng


def sun(canvas: Canvas, rng: Random, u: float, y: float, radius: float) -> None:
    del rng
    x, edge = u * canvas.aspect, sky_fade(canvas, 0.14)
    canvas.fill(canvas.halo(x, y, radius * 4.2) * edge, "glow", 0.5)
    canvas.fill(canvas.halo(x, y, radius * 2.1) * edge, "light", 0.55)
    canvas.fill(canvas.pen().ellipse(x, y, radius * 1.28), canvas.ink.mix("light", "glow", 0.3), 0.4 * edge)
    canvas.fill(canvas.pen().ellipse(x, y, radius), canvas.ink.mix("light", "*ffffff", 0.35))


def rays(canvas: Canvas, rng: Random, u: float, y: float) -> None:
    x, edge = u * canvas.aspect, sky_fade(canvas, 0.16)
    angle = np.arctan2(canvas.y - y, canvas.x - x)
    distance = np.hypot(canvas.x - x, canvas.y - y)
    turn = rng.uniform(0, math.tau)
    beams = smooth(np.cos(angle * 14 + turn) * 1.4 + 0.2) * np.exp(-distance / 0.24)
    canvas.fill(beams * edge, "light", 0.5)
    sun(canvas, rng, u, y, 0.048)


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
    whole.box(x - 0.95 * size, y - 0.1 * size, x + 0.98 * size, y + 0.2 * size, 0.1 * size)
    edge = sky_fade(canvas, 0.07)
    canvas.fill(whole.within(floor), canvas.ink.mix("cloud", "cloud_shade", 0.75), 0.95 * edge)
    canvas.fill(lit.within(whole), "cloud", 0.96 * edge)


def cumulus(canvas: Canvas, rng: Random, places: tuple[tuple[float, float, float], ...]) -> None:
    for u, y, size in places:
        _puff(canvas, rng, u * canvas.aspect, y, size)


def cirrus(canvas: Canvas, rng: Random, coverage: float) -> None:
    seed = rng.randrange(1 << 30)
    streaks = smooth((canvas.noise(seed, 0.55, 0.045, 4) - (1.0 - coverage)) / 0.3)
    canvas.fill(streaks * sky_fade(canvas, 0.12), "cloud", 0.85)


def overcast(canvas: Canvas, rng: Random) -> None:
    seed = rng.randrange(1 << 30)
    edge = sky_fade(canvas, 0.15)
    canvas.fill(bank(canvas, seed, 0.5, 0.68) * edge, "cloud_shade", 0.85)
    canvas.fill(bank(canvas, seed + 3, 0.42, 0.55) * edge, "cloud", 0.75)


def sun_and_cloud(canvas: Canvas, rng: Random, u: float, v: float) -> None:
    sun(canvas, rng, u, 0.12, 0.058)
    cumulus(canvas, rng, ((u + 0.09, 0.19, 0.07), (v, 0.13, 0.05)))


def rainbow(canvas: Canvas, rng: Random, u: float, radius: float) -> None:
    del rng
    x, y = u * canvas.aspect, 0.44
    colours = ("*ff5a5f", "*ff9f45", "*ffe45e", "*6bd968", "*4aa8ff", "*9a6bff")
    edge = sky_fade(canvas, 0.17)
    distance = np.hypot(canvas.x - x, canvas.y - y)
    canvas.fill(
        smooth((radius - 0.085 - distance) / 0.3 + 1) * (distance < radius - 0.085) * edge, "glow", 0.16
    )
    for number, colour in enumerate(colours):
        outer = radius - number * 0.0145
        ring = canvas.pen().ellipse(x, y, outer).without(canvas.pen().ellipse(x, y, outer - 0.0155))
        canvas.fill(ring, colour, 0.72 * edge)


def flock(canvas: Canvas, rng: Random, u: float, y: float) -> None:
    cirrus(canvas, rng, 0.42)
    wings = canvas.pen()
    for number in range(9):
        side = (number + 1) // 2 * (1 if number % 2 else -1)
        x = u * canvas.aspect + side * 0.05 + rng.uniform(-0.012, 0.012)
        top = y + abs(side) * 0.021 + rng.uniform(-0.008, 0.008)
        span = 0.021 + rng.uniform(-0.004, 0.004)
        for way in (-1, 1):
            bow = [(x, top), (x + way * span * 0.55, top - span * 0.42), (x + way * span, top - span * 0.12)]
            wings.line(bow, 0.0055)
    canvas.fill(wings, "bird", 0.95 * sky_fade(canvas, 0.06))


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


def balloons(canvas: Canvas, rng: Random, spots: tuple[tuple[float, float, float, str, str], ...]) -> None:
    cirrus(canvas, rng, 0.4)
    for u, y, size, first, second in spots:
        _balloon(canvas, u * canvas.aspect, y, size, (first, second))
