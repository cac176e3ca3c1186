"""Where a figure is drawn: its own coordinates, with the foot at (0, 0), up being negative, in picture heights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random

from comfy_nb.server.worlds.landscapes.canvas import Canvas, Mask, Pen, Point
from comfy_nb.server.worlds.landscapes.palettes import Tint


class Outline:
    """A pen in the figure's coordinates. Every method gives the outline back."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.pen: Pen = stage.canvas.pen()

    def polygon(self, points: Iterable[Point]) -> Outline:
        """Fill a polygon."""
        self.pen.polygon([self._stage.place(*point) for point in points])
        return self

    def ellipse(self, x: float, y: float, rx: float, ry: float | None = None) -> Outline:
        """Fill an ellipse."""
        size = self._stage.size
        self.pen.ellipse(*self._stage.place(x, y), rx * size, (rx if ry is None else ry) * size)
        return self

    def box(self, left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> Outline:
        """Fill a box, with rounded corners if `radius` is given."""
        corners = (*self._stage.place(left, top), *self._stage.place(right, bottom))
        self.pen.box(*corners, radius * self._stage.size)
        return self

    def line(self, points: Sequence[Point], width: float) -> Outline:
        """Draw a line with round joints and ends."""
        placed = [self._stage.place(*point) for point in points]
        self.pen.line(placed, width * self._stage.size)
        for x, y in (placed[0], placed[-1]):
            self.pen.ellipse(x, y, width * self._stage.size / 2)
        return self

    def within(self, other: Outline) -> Outline:
        """Keep only what lies in the other outline too."""
        self.pen.within(other.pen)
        return self

    def without(self, other: Outline) -> Outline:
        """Cut the other outline out."""
        self.pen.without(other.pen)
        return self


class Stage:
    """A canvas, with the place and size of one figure on it."""

    def __init__(self, canvas: Canvas, rng: Random, x: float, foot: float, size: float) -> None:
        self.canvas, self.rng, self.size = canvas, rng, size
        self._x, self._foot = x, foot
        self.ink = canvas.ink

    def place(self, x: float, y: float) -> Point:
        """Turn the figure's coordinates into the picture's."""
        return self._x + x * self.size, self._foot + y * self.size

    def outline(self) -> Outline:
        """Start a new outline."""
        return Outline(self)

    def fill(self, outline: Outline | Mask, colour: str | Tint, opacity: float = 1.0) -> None:
        """Paint an outline, or a mask of the whole canvas."""
        self.canvas.fill(outline.pen if isinstance(outline, Outline) else outline, colour, opacity)

    def halo(self, x: float, y: float, radius: float) -> Mask:
        """A round glow that ends before the figure's bands do."""
        glow = self.canvas.halo(*self.place(x, y), radius * self.size)
        return glow * (1.0 - self.canvas.fade(0.37, 0.43))

    def shadow(self, width: float, x: float = 0.0, depth: float = 0.02, strength: float = 0.32) -> None:
        """The soft shadow on the ground, thrown a little to the right."""
        self.fill(
            self.outline().ellipse(x + width * 0.16, 0.004, width * 1.12, depth * 1.1),
            "shadow",
            strength * 0.6,
        )
        self.fill(
            self.outline().ellipse(x + width * 0.08, 0.002, width * 0.9, depth * 0.7), "shadow", strength
        )

    def shade(self, body: Outline, colour: str | Tint, cut: Outline, opacity: float = 1.0) -> None:
        """Paint the part of `cut` that lies in `body`."""
        self.fill(cut.within(body), colour, opacity)
