"""Sheets of pictures and plots for notebooks, with Pillow and SVG alone: ``from comfy_nb.figures import plot``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import cycle
from typing import cast

from IPython.display import SVG
from PIL import Image, ImageDraw

__all__ = ["plot", "sheet"]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito's, for all eyes
INK, GRID, PAPER = "#333333", "#e4e4e4", "#ffffff"
LABEL = 90  # pixels beside a row

Point = tuple[float, float]
Labelled = tuple[str, Iterable[Point]]
Curves = Mapping[str, Iterable[Point]] | Iterable[Labelled]


def sheet(
    rows: Sequence[Sequence[Image.Image]],
    *,
    left: Sequence[object] = (),
    top: Sequence[object] = (),
    cell: int = 96,
) -> Image.Image:
    """Pictures in rows, with a label to the left of each row and above each column."""
    margin, head, gap = LABEL if left else 0, 24 if top else 0, 4
    size = margin + max(map(len, rows)) * (cell + gap), head + len(rows) * (cell + gap)
    page = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(page)
    for column, text in enumerate(top):
        draw.text(
            (margin + column * (cell + gap) + cell / 2, head / 2), str(text), INK, anchor="mm", font_size=13
        )
    for row, text in enumerate(left):
        draw.text(
            (margin - 10, head + row * (cell + gap) + cell / 2), str(text), INK, anchor="rm", font_size=13
        )
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            small = picture.resize((cell, cell), Image.Resampling.LANCZOS)
            page.paste(small, (margin + x * (cell + gap), head + y * (cell + gap)))
    return page


def plot(curves: Curves, *, x: str, y: str, log: str = "", falling: bool = False, marks: bool = False) -> SVG:
    """Curves of (x, y) points, by label; curves with the same label have one colour.

    `log` names the axes that are logarithmic ("x", "y" or "xy"); `falling` has x fall to the right; `marks` shows the
    points.
    """
    pairs = cast("Iterable[Labelled]", curves.items() if isinstance(curves, Mapping) else curves)
    lines = [(label, [(float(a), float(b)) for a, b in points]) for label, points in pairs]
    places = [point for _, points in lines for point in points]
    across = _Axis([a for a, _ in places], (70, 560), logarithmic="x" in log, falling=falling)
    up = _Axis([b for _, b in places], (262, 18), logarithmic="y" in log)
    parts = [f'<rect width="700" height="320" rx="6" fill="{PAPER}"/>']
    for value in across.ticks():
        parts.append(f'<path d="M{across(value):.1f} 18V262" stroke="{GRID}"/>')
        parts.append(_text(across(value), 280, f"{value:g}", "middle"))
    for value in up.ticks():
        parts.append(f'<path d="M70 {up(value):.1f}H560" stroke="{GRID}"/>')
        parts.append(_text(62, up(value) + 4, f"{value:g}", "end"))
    parts.append(_text(315, 306, x, "middle"))
    parts.append(f'<g transform="translate(18 140) rotate(-90)">{_text(0, 0, y, "middle")}</g>')
    parts += _drawn(lines, across, up, marks=marks)
    style = 'font-family="system-ui, sans-serif" font-size="13"'
    return SVG(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="700" height="320" {style}>{"".join(parts)}</svg>'
    )


class _Axis:
    """Places values between two ends, in pixels."""

    def __init__(
        self, values: Sequence[float], ends: tuple[int, int], *, logarithmic: bool, falling: bool = False
    ) -> None:
        self.low, self.high, self.logarithmic = min(values), max(values), logarithmic
        self.start, self.end = reversed(ends) if falling else ends
        if not logarithmic:
            spare = (self.high - self.low) * 0.03
            self.low, self.high = self.low - spare, self.high + spare

    def __call__(self, value: float) -> float:
        low, high, value = (
            map(math.log, (self.low, self.high, value)) if self.logarithmic else (self.low, self.high, value)
        )
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        if self.logarithmic:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            wanted = [factor * 10.0**decade for decade in decades for factor in (1, 2, 5)]
        else:
            step = 10 ** math.floor(math.log10((self.high - self.low) / 3))
            step *= next(factor for factor in (1, 2, 5, 10) if (self.high - self.low) / (step * factor) <= 6)
            wanted = [
                round(i * step, 9)
                for i in range(math.floor(self.low / step), math.ceil(self.high / step) + 1)
            ]
        return [value for value in wanted if self.low <= value <= self.high]


def _drawn(lines: list[tuple[str, list[Point]]], across: _Axis, up: _Axis, *, marks: bool) -> list[str]:
    colours = dict(zip(dict.fromkeys(label for label, _ in lines), cycle(COLOURS)))
    width = 2 if len(lines) == len(colours) else 1
    parts: list[str] = []
    for label, points in lines:
        path = "L".join(f"{across(a):.1f} {up(b):.1f}" for a, b in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colours[label]}" stroke-width="{width}"/>')
        if marks:
            parts += [
                f'<circle cx="{across(a):.1f}" cy="{up(b):.1f}" r="3" fill="{colours[label]}"/>'
                for a, b in points
            ]
    for row, (label, colour) in enumerate(colours.items()):
        parts.append(f'<path d="M574 {33 + 22 * row}h18" stroke="{colour}" stroke-width="3"/>')
        parts.append(_text(598, 37 + 22 * row, label, "start"))
    return parts


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{INK}" text-anchor="{anchor}">{escape(text)}</text>'
