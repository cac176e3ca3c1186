"""One picture of the world: what it is called, and how it looks at any size."""

from __future__ import annotations

import numpy as np

from comfy_nb.server.worlds.base import PIXELS_PER_LATENT
from comfy_nb.server.worlds.landscapes.canvas import Canvas
from comfy_nb.server.worlds.landscapes.library import PARTS, Rows, band_rows
from comfy_nb.server.worlds.landscapes.palettes import PALETTES, Floats, Ink
from comfy_nb.server.worlds.landscapes.parts import Part, paint_sky
from comfy_nb.server.worlds.landscapes.subjects import SUBJECTS
from comfy_nb.server.worlds.product import Choice

FINENESS = 2
"""Sub-pixels per pixel and direction; pixels are fine already."""


def names(choice: Choice) -> tuple[str, ...]:
    """Name a picture: palette, sky, backdrop, ground, subject."""
    bands = (options[index].name for options, index in zip(PARTS, choice.parts, strict=True))
    return (PALETTES[choice.palette].name, *bands, SUBJECTS[choice.subject].name)


def tags(choice: Choice) -> frozenset[str]:
    """Give all the words that are true of a picture."""
    bands = [options[index].tags for options, index in zip(PARTS, choice.parts, strict=True)]
    return PALETTES[choice.palette].tags.union(*bands, SUBJECTS[choice.subject].tags)


def render(choice: Choice, width: int, height: int) -> Floats:
    """Draw a picture of `width` x `height` pixels, as [3, height, width] from -1 to 1."""
    ink = Ink([PALETTES[choice.palette]])
    strips = [_pixels(rows) for rows in band_rows(height // PIXELS_PER_LATENT)]
    bands = zip(PARTS, choice.parts, strips, strict=True)
    sky, middle, low = (_strip(options[index], width, height, rows, ink) for options, index, rows in bands)
    front = Canvas(width, height, (strips[1][0], height), ink, FINENESS)
    SUBJECTS[choice.subject].paint(front)
    behind = np.concatenate((middle, low), axis=1)
    return np.concatenate((sky, behind * front.through + front.image[0]), axis=1)


def _pixels(rows: Rows) -> Rows:
    return rows[0] * PIXELS_PER_LATENT, rows[1] * PIXELS_PER_LATENT


def _strip(part: Part, width: int, height: int, rows: Rows, ink: Ink) -> Floats:
    canvas = Canvas(width, height, rows, ink, FINENESS)
    paint_sky(canvas)
    part.paint(canvas)
    return canvas.image[0]
