"""The exemplars: a few small pictures of each style, drawn by rule. Each is [SIDE, SIDE, 3], -1 to 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Picture = NDArray[np.float32]

SIDE = 96
"""Latent pixels a side."""
FINE = 4
"""Sub-pixels per latent pixel and direction, for what is drawn with a pen."""
EXEMPLARS = 4


@dataclass(frozen=True, slots=True)
class Style:
    """One kind of texture and the words that ask for it."""

    name: str
    tags: frozenset[str]
    draw: Callable[[int], Picture]

    def exemplars(self) -> list[Picture]:
        """Draw all exemplars."""
        return [self.draw(seed) for seed in range(EXEMPLARS)]


class _Sheet:
    """A picture in the making, in units of latent pixels."""

    def __init__(self, ground: str) -> None:
        self._image = Image.new("RGB", (SIDE * FINE, SIDE * FINE), ground)
        self._draw = ImageDraw.Draw(self._image)

    def line(self, points: list[tuple[float, float]], colour: str, width: float) -> None:
        self._draw.line([(x * FINE, y * FINE) for x, y in points], colour, round(width * FINE), "curve")

    def disc(self, x: float, y: float, radius: float, colour: str) -> None:
        self._draw.ellipse(
            [(value * FINE) for value in (x - radius, y - radius, x + radius, y + radius)], colour
        )

    def box(self, corner: tuple[float, float], size: tuple[float, float], colour: str, radius: float) -> None:
        ends = (*corner, corner[0] + size[0], corner[1] + size[1])
        self._draw.rounded_rectangle([value * FINE for value in ends], radius * FINE, colour)

    def picture(self) -> Picture:
        return np.asarray(self._image.reduce(FINE), np.float32) / np.float32(127.5) - np.float32(1.0)


def _field(seed: int, detail: float, sharpness: float) -> Picture:
    """Smooth periodic noise of mean 0 and spread 1, around one wave length in latent pixels."""
    white = np.random.RandomState(seed).standard_normal((SIDE, SIDE))
    waves = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None]) * detail
    waves[0, 0] = 1e-9
    field = np.fft.irfft2(np.fft.rfft2(white) * np.exp(-sharpness * np.square(np.log(waves))), (SIDE, SIDE))
    return (field / field.std()).astype(np.float32)


def _ramp(field: Picture, stops: tuple[tuple[float, str], ...]) -> Picture:
    """Colour a field: a stop is the height at which a colour is reached."""
    heights = [height for height, _ in stops]
    colours = np.array([list(bytes.fromhex(colour[1:])) for _, colour in stops]) / 127.5 - 1.0
    channels = [np.interp(field, heights, colours[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=2).astype(np.float32)


def islands(seed: int) -> Picture:
    """An archipelago from above: deep water, shoals, beaches, woods, and snow on what is highest."""
    height = _field(seed + 100, 34.0, 2.5)
    height += _field(seed + 200, 11.0, 3.0) * np.float32(0.22)
    stops = (
        (-1.2, "#123f7c"), (-0.5, "#1b5fa6"), (-0.05, "#37a0c9"), (0.1, "#8fdcd6"), (0.17, "#f4e3ab"),
        (0.3, "#efd48c"), (0.36, "#8dbf5a"), (0.8, "#4b9a4c"), (1.3, "#2f7550"), (1.6, "#7d7a73"), (2.0, "#ffffff"),
    )  # fmt: skip
    return _ramp(height, stops)


def zebra(seed: int) -> Picture:
    """Stripes that wander, fork and end, as on skins and shells."""
    field = _field(seed + 300, 10.0, 14.0)
    return _ramp(field, ((-0.22, "#17131f"), (0.22, "#fbf4e6")))


def circuit(seed: int) -> Picture:
    """Copper tracks on a dark board, from pad to pad."""
    rng, sheet, pitch = Random(seed), _Sheet("#0d2f3f"), 8
    count = SIDE // pitch
    centres = [pitch * (i + 0.5) for i in range(count)]
    for row, y in enumerate(centres):
        for column, x in enumerate(centres):
            if column + 1 < count and rng.random() < 0.55:
                sheet.line([(x, y), (x + pitch, y)], "#e9a23b", 2.4)
            if row + 1 < count and rng.random() < 0.5:
                sheet.line([(x, y), (x, y + pitch)], "#e9a23b", 2.4)
            pad = rng.random() < 0.35
            sheet.disc(x, y, 2.7 if pad else 1.2, "#ffcf6b" if pad else "#e9a23b")
            if pad:
                sheet.disc(x, y, 1.1, "#0d2f3f")
    return sheet.picture()


def bricks(seed: int) -> Picture:
    """A wall of fired clay."""
    rng, sheet = Random(seed), _Sheet("#e6d3bd")
    clay = ("#b4472f", "#c45a3c", "#a63d2c", "#d06f4c", "#8f3628", "#bd5136")
    course, length = 8, 16
    for row in range(SIDE // course + 1):
        left = -length + (row % 2) * length / 2
        while left < SIDE:
            colour = rng.choice(clay)
            sheet.box((left + 0.6, row * course + 0.6), (length - 1.5, course - 1.5), colour, 1.0)
            left += length
    return sheet.picture()


def flowers(seed: int) -> Picture:
    """A meadow in bloom, from above."""
    rng, sheet = Random(seed), _Sheet("#3f8a3c")
    for _ in range(420):
        x, y, lean = rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.uniform(-1.5, 1.5)
        sheet.line([(x, y), (x + lean, y - 3.5)], rng.choice(("#2f7434", "#57a445", "#6ab64b")), 0.8)
    spots: list[tuple[float, float]] = []
    for _ in range(900):
        x, y = rng.uniform(3, SIDE - 3), rng.uniform(3, SIDE - 3)
        if all(math.hypot(x - a, y - b) > 11.5 for a, b in spots):
            spots.append((x, y))
    for x, y in spots:
        petals = rng.choice(("#ff6f91", "#ffffff", "#ffd84d", "#b58cff", "#ff8a5c"))
        turn = rng.uniform(0, math.tau)
        for petal in range(5):
            angle = turn + petal * math.tau / 5
            sheet.disc(x + 2.5 * math.cos(angle), y + 2.5 * math.sin(angle), 2.1, petals)
        sheet.disc(x, y, 1.6, "#e0782f" if petals != "#ff8a5c" else "#fff1c9")
    return sheet.picture()


def maze(seed: int) -> Picture:
    """Every cell has one of two diagonals: a labyrinth by coin tosses."""
    rng, sheet, cell = Random(seed), _Sheet("#f6efdc"), 8
    for top in range(0, SIDE, cell):
        for left in range(0, SIDE, cell):
            ends = (
                ((left, top + cell), (left + cell, top))
                if rng.random() < 0.5
                else ((left, top), (left + cell, top + cell))
            )
            sheet.line([(float(x), float(y)) for x, y in ends], "#2f4a7d", 2.0)
            for x, y in ends:
                sheet.disc(x, y, 0.9, "#2f4a7d")
    return sheet.picture()


def _style(name: str, tags: str, draw: Callable[[int], Picture]) -> Style:
    return Style(name, frozenset([name, *tags.split()]), draw)


STYLES: tuple[Style, ...] = (
    _style("islands", "island sea ocean map archipelago coast water", islands),
    _style("zebra", "stripe skin animal black white", zebra),
    _style("circuit", "pipe copper gold board track", circuit),
    _style("bricks", "brick wall red clay", bricks),
    _style("flowers", "flower meadow garden blossom floral", flowers),
    _style("maze", "labyrinth line diagonal", maze),
)
