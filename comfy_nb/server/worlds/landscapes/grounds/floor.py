"""What grounds share: perspective, haze, grass."""

from __future__ import annotations

from random import Random

from comfy_nb.server.worlds.landscapes.canvas import Canvas, Pen, smooth
from comfy_nb.server.worlds.landscapes.palettes import Tint
from comfy_nb.server.worlds.landscapes.parts import HORIZON, rolling

DEPTH = 1.0 - HORIZON


def nearness(y: float) -> float:
    """How near a height on the ground is: 0 at the horizon, 1 at the lower edge."""
    return max(0.0, (y - HORIZON) / DEPTH)


def plain(canvas: Canvas, far: str | Tint, near: str | Tint, reach: float = 0.75) -> None:
    """Ground of two tones, with the haze of the distance at its far edge."""
    canvas.flood(far)
    canvas.fill(smooth((canvas.y - HORIZON) / (DEPTH * reach)), near)
    canvas.fill(canvas.fade(HORIZON - 0.01, HORIZON + 0.07), canvas.ink.mix("horizon", "glow", 0.2), 0.3)


def spots(rng: Random, aspect: float, count: int) -> list[tuple[float, float, float]]:
    """Places on the ground as (x, y, nearness), far ones first, crowded towards the horizon as perspective does."""
    places = [
        (rng.random() * aspect, HORIZON + 0.012 + (DEPTH - 0.015) * rng.random() ** 1.4) for _ in range(count)
    ]
    return [(x, y, nearness(y)) for x, y in sorted(places, key=lambda place: place[1])]


def tuft(pen: Pen, rng: Random, x: float, y: float, size: float) -> None:
    for _ in range(3):
        lean, height = rng.uniform(-0.5, 0.5) * size, size * rng.uniform(0.7, 1.2)
        pen.polygon([(x - size * 0.13, y), (x + lean, y - height), (x + size * 0.13, y)])


def grass(canvas: Canvas, rng: Random, count: int) -> None:
    dark, light = canvas.pen(), canvas.pen()
    for number, (x, y, near) in enumerate(spots(rng, canvas.aspect, count)):
        tuft(dark if number % 2 else light, rng, x, y, 0.010 + 0.024 * near)
    canvas.fill(light, canvas.ink.mix("grass_far", "glow", 0.12), 0.55)
    canvas.fill(dark, "grass_dark", 0.6)


def fringe(canvas: Canvas, rng: Random, height: float = 0.05) -> None:
    """Dark blades along the lower edge, close to the eye."""
    blades = canvas.pen()
    for i in range(58):
        x, tall = canvas.aspect * (i + rng.random()) / 58, height * rng.uniform(0.35, 1.0)
        lean = rng.uniform(-0.012, 0.012)
        blades.polygon([(x - 0.008, 1.01), (x + lean, 1.0 - tall), (x + 0.008, 1.01)])
    canvas.fill(blades, canvas.ink.mix("grass_dark", "shadow", 0.4), 0.92)


def swells(canvas: Canvas, rng: Random, colours: tuple[tuple[float, float, str, str, float], ...]) -> None:
    for base, height, first, second, amount in colours:
        line = rolling(rng, canvas.aspect, base, height, 0.8)
        canvas.fill(canvas.pen().polygon(line), canvas.ink.mix(first, second, amount))
