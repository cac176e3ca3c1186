"""Drawing a strip of a picture under all palettes at once.

Coordinates are those of the whole picture: y from 0 (top) to 1 (bottom), x from 0 to `aspect`, so that the same
drawing works at every size. Shapes are drawn with Pillow on a finer grid and averaged; soft things are arrays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from comfy_nb.server.worlds.landscapes.palettes import Floats, Ink, Tint

Point = tuple[float, float]
Area = tuple[slice, slice]
Mask = NDArray[np.floating[Any]]
"""Coverage from 0 to 1 that broadcasts to the strip's [rows, width]."""

ARC_POINTS = 24
HALO_EDGE = np.float32(0.02)
"""Glow below this is left out."""


class Pen:
    """A shape in the making: what is drawn is covered. Every method gives the pen back."""

    def __init__(self, canvas: Canvas) -> None:
        self._fine = canvas.fineness
        self._unit = canvas.height * self._fine
        self._top = canvas.rows[0] * self._fine
        self._shape = (canvas.rows[1] - canvas.rows[0], canvas.width)
        size = (canvas.width * self._fine, self._shape[0] * self._fine)
        self._image = Image.new("L", size)
        self._draw = ImageDraw.Draw(self._image)

    def polygon(self, points: Iterable[Point]) -> Pen:
        """Fill a polygon."""
        self._draw.polygon([self._place(point) for point in points], fill=255)
        return self

    def ellipse(self, x: float, y: float, rx: float, ry: float | None = None) -> Pen:
        """Fill an ellipse around (x, y)."""
        ry = rx if ry is None else ry
        bounds, cover = self._bounds(x - rx, y - ry, x + rx, y + ry)
        self._draw.ellipse(bounds, fill=cover)
        return self

    def box(self, left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> Pen:
        """Fill a box, with rounded corners if `radius` is given."""
        bounds, cover = self._bounds(left, top, right, bottom)
        self._draw.rounded_rectangle(bounds, radius * self._unit, fill=cover)
        return self

    def line(self, points: Sequence[Point], width: float) -> Pen:
        """Draw a line with round joints."""
        pixels = width * self._unit
        cover = round(255 * min(1.0, pixels))
        placed = [self._place(point) for point in points]
        self._draw.line(placed, fill=cover, width=max(1, round(pixels)), joint="curve")
        return self

    def within(self, other: Pen) -> Pen:
        """Keep only what lies in the other shape too."""
        return self._become(ImageChops.multiply(self._image, other._image))

    def without(self, other: Pen) -> Pen:
        """Cut the other shape out."""
        return self._become(ImageChops.subtract(self._image, other._image))

    def coverage(self) -> tuple[Area, Floats]:
        """Give the covered area and its coverage from 0 to 1."""
        bounds = self._image.getbbox()
        if bounds is None:
            return (slice(0, 0), slice(0, 0)), np.zeros((0, 0), np.float32)
        fine = self._fine
        left, top = bounds[0] // fine, bounds[1] // fine
        right, bottom = -(-bounds[2] // fine), -(-bounds[3] // fine)
        small = self._image.crop((left * fine, top * fine, right * fine, bottom * fine)).reduce(fine)
        return (slice(top, bottom), slice(left, right)), np.asarray(small, np.float32) / np.float32(255.0)

    def mask(self) -> Floats:
        """Give the coverage of the whole strip."""
        whole = np.zeros(self._shape, np.float32)
        area, cover = self.coverage()
        whole[area] = cover
        return whole

    def _place(self, point: Point) -> Point:
        return point[0] * self._unit - 0.5, point[1] * self._unit - self._top - 0.5

    def _bounds(
        self, left: float, top: float, right: float, bottom: float
    ) -> tuple[tuple[float, float, float, float], int]:
        """Give the pixels of a box, both ends included as Pillow has it, and how much of them is covered.

        What is thinner than a pixel covers one in part; otherwise small things would grow as the picture shrinks.
        """
        x0, x1 = left * self._unit, right * self._unit
        y0, y1 = top * self._unit - self._top, bottom * self._unit - self._top
        cover = round(255 * min(1.0, max(0.0, x1 - x0)) * min(1.0, max(0.0, y1 - y0)))
        return (x0, y0, max(x0, x1 - 1.0), max(y0, y1 - 1.0)), cover

    def _become(self, image: Image.Image) -> Pen:
        self._image = image
        self._draw = ImageDraw.Draw(image)
        return self


class Canvas:
    """A strip of rows of a picture of `width` x `height` pixels, under every palette of `ink`.

    `image` is [G, 3, rows, width], colours -1 to 1 times coverage; `through` [rows, width] is what still shows of
    whatever lies behind, 1 at the start.
    """

    def __init__(self, width: int, height: int, rows: tuple[int, int], ink: Ink, fineness: int) -> None:
        self.width, self.height, self.rows = width, height, rows
        self.ink, self.fineness = ink, fineness
        self.aspect = width / height
        count = rows[1] - rows[0]
        self.image = np.zeros((len(ink), 3, count, width), np.float32)
        self.through = np.ones((count, width), np.float32)
        self.x: Floats = _centres(0, width, height)[None, :]
        self.y: Floats = _centres(*rows, height)[:, None]

    def pen(self) -> Pen:
        """Start a new shape."""
        return Pen(self)

    def fill(self, shape: Pen | Mask, colour: str | Tint, opacity: float | Mask = 1.0) -> None:
        """Paint a shape over what is there."""
        if isinstance(shape, Pen):
            area, cover = shape.coverage()
        else:
            area = (slice(None), slice(None))
            cover = np.broadcast_to(np.asarray(shape, np.float32), self.through.shape)
        if isinstance(opacity, np.ndarray):
            opacity = np.broadcast_to(np.asarray(opacity, np.float32), self.through.shape)[area]
        cover = cover * np.float32(opacity) if isinstance(opacity, float) else cover * opacity
        rgb = self.ink(colour).rgb[:, :, None, None]
        under = self.image[:, :, area[0], area[1]]
        under += (rgb - under) * cover
        self.through[area] *= 1.0 - cover

    def flood(self, colour: str | Tint) -> None:
        """Paint the whole strip."""
        self.image[:] = self.ink(colour).rgb[:, :, None, None]
        self.through[:] = 0.0

    def fill_blend(self, weights: Floats, colours: Sequence[str | Tint]) -> None:
        """Paint the whole strip with a blend of colours; `weights` [rows, number of colours] add up to 1 per row."""
        table = np.stack([self.ink(colour).rgb for colour in colours])
        self.image[:] = np.einsum("rk,kgc->gcr", weights, table)[..., None]
        self.through[:] = 0.0

    def noise(self, seed: int, size_x: float, size_y: float | None = None, octaves: int = 3) -> Floats:
        """Smooth value noise from 0 to 1 with details of about `size_x` x `size_y`; the same at every resolution."""
        size_y = size_x if size_y is None else size_y
        total = np.zeros(self.through.shape, np.float32)
        strength, reach = 1.0, 0.0
        for octave in range(octaves):
            lattice = np.random.RandomState(seed + octave).rand(64, 64).astype(np.float32)
            rows = _lattice_weights(self.y[:, 0] / size_y * 2**octave)
            columns = _lattice_weights(self.x[0] / size_x * 2**octave)
            total += np.float32(strength) * (rows @ lattice @ columns.T)
            reach += strength
            strength /= 2
        return total / np.float32(reach)

    def halo(self, x: float, y: float, radius: float) -> Floats:
        """A round glow, 1 in the middle and faint beyond `radius`."""
        square = np.square(self.x - x) + np.square(self.y - y)
        glow = np.exp(-square / np.float32(radius * radius))
        # Cut off where it would not be seen, so that a glow does not cover the whole strip.
        return np.maximum((glow - HALO_EDGE) / (np.float32(1.0) - HALO_EDGE), np.float32(0.0))

    def fade(self, start: float, end: float) -> Floats:
        """1 above or at `start`, 0 at `end`, smooth between, by height; `end` may lie above `start`."""
        return smooth((self.y - end) / (start - end))


def _centres(start: int, end: int, height: int) -> Floats:
    return ((np.arange(start, end) + 0.5) / height).astype(np.float32)


def smooth(t: Mask) -> Floats:
    """Clip to 0..1 and ease both ends."""
    t = np.clip(t, 0.0, 1.0)
    return (t * t * (3.0 - 2.0 * t)).astype(np.float32)


def _lattice_weights(positions: Floats) -> Floats:
    """Give the matrix [positions, 64] that interpolates smoothly in a periodic lattice."""
    whole = np.floor(positions).astype(int)
    part = smooth(positions - whole)
    weights = np.zeros((positions.size, 64), np.float32)
    rows = np.arange(positions.size)
    weights[rows, whole % 64] = 1.0 - part
    weights[rows, (whole + 1) % 64] += part
    return weights


def arc(  # noqa: PLR0917 - an ellipse and its ends, as every drawing library takes them
    x: float, y: float, rx: float, ry: float, start: float, end: float
) -> list[Point]:
    """Points on an ellipse from `start` to `end` degrees; 0 is right, 90 is down."""
    angles = [math.radians(start + (end - start) * i / ARC_POINTS) for i in range(ARC_POINTS + 1)]
    return [(x + rx * math.cos(angle), y + ry * math.sin(angle)) for angle in angles]
