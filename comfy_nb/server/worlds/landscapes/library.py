"""Every part of the landscapes world drawn at one latent size, ready for the exact denoiser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comfy_nb.server.worlds.base import Conditioning
from comfy_nb.server.worlds.landscapes.backdrops import BACKDROPS
from comfy_nb.server.worlds.landscapes.canvas import Canvas
from comfy_nb.server.worlds.landscapes.grounds import GROUNDS
from comfy_nb.server.worlds.landscapes.palettes import PALETTES, Floats, Ink
from comfy_nb.server.worlds.landscapes.parts import HORIZON, SKYLINE, Part, paint_sky
from comfy_nb.server.worlds.landscapes.skies import SKIES
from comfy_nb.server.worlds.landscapes.subjects import SUBJECTS
from comfy_nb.server.worlds.product import Band, Prior, ProductModel, Table

PARTS: tuple[tuple[Part, ...], ...] = (SKIES, BACKDROPS, GROUNDS)
"""The options of each band, from the top."""

PICTURES = len(PALETTES) * len(SKIES) * len(BACKDROPS) * len(GROUNDS) * len(SUBJECTS)
"""How many pictures the world has."""

RARE = -3.0
"""Log odds of a part under a palette that it is rare in."""
WORD_BONUS = 3.0
"""Log odds that each word of a prompt, times its weight, adds to what carries it. Soft on purpose: at low noise the
picture that is there outweighs it, so that guided and plain predictions meet and nothing is burnt."""

FINENESS = 4
"""Sub-pixels per latent pixel and direction."""

COLUMNS = 3
"""Groups of columns in which the denoiser works; see `product.Patch`."""

Rows = tuple[int, int]


def band_rows(height: int) -> tuple[Rows, Rows, Rows]:
    """Cut `height` rows into the three bands."""
    skyline, horizon = round(SKYLINE * height), round(HORIZON * height)
    return (0, skyline), (skyline, horizon), (horizon, height)


def build_model(width: int, height: int) -> ProductModel:
    """Draw all parts under all palettes at a latent size; flat pictures are 3 colours x rows x width, band by band."""
    ink = Ink(PALETTES)
    strips = band_rows(height)
    pictures = [_pictures(parts, width, height, rows, ink) for parts, rows in zip(PARTS, strips, strict=True)]
    split = strips[1][1] - strips[1][0]
    middle, low = _subjects(width, height, (strips[1][0], height), ink, split)
    sky = Band(pictures[0])
    backdrop = Band(pictures[1], *middle, _columns(width, pictures[1]))
    ground = Band(pictures[2], *low, _columns(width, pictures[2]))
    return ProductModel((sky, backdrop, ground))


def _columns(width: int, pictures: Floats) -> NDArray[np.intp]:
    """Group the numbers of a band by columns of the picture: figures stand here or there, seldom everywhere."""
    places: NDArray[np.intp] = np.arange(pictures.shape[2], dtype=np.intp)
    return places % width * COLUMNS // width


def _pictures(parts: Sequence[Part], width: int, height: int, rows: Rows, ink: Ink) -> Floats:
    size = 3 * (rows[1] - rows[0]) * width
    drawn = np.empty((len(ink), len(parts), size), np.float32)
    sky = Canvas(width, height, rows, ink, FINENESS)
    paint_sky(sky)
    for index, part in enumerate(parts):
        canvas = Canvas(width, height, rows, ink, FINENESS)
        canvas.image[:] = sky.image
        part.paint(canvas)
        drawn[:, index] = canvas.image.reshape(len(ink), size)
    return drawn


def _subjects(
    width: int, height: int, rows: Rows, ink: Ink, split: int
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Draw the subjects once over both lower bands: transmittance and light, for the middle band and the low one."""
    through: list[Floats] = []
    light: list[Floats] = []
    for part in SUBJECTS:
        canvas = Canvas(width, height, rows, ink, FINENESS)
        part.paint(canvas)
        through.append(np.broadcast_to(canvas.through, (3, *canvas.through.shape)))
        light.append(canvas.image)
    covers, lights = np.stack(through), np.stack(light, axis=1)
    return (
        (_flat(covers[..., :split, :], 1), _flat(lights[..., :split, :], 2)),
        (_flat(covers[..., split:, :], 1), _flat(lights[..., split:, :], 2)),
    )


def _flat(array: Floats, kept: int) -> Floats:
    return np.ascontiguousarray(array).reshape(*array.shape[:kept], -1)


def _log_prior(parts: Sequence[Part]) -> Table:
    """Give log p(part | palette) as [G, K]."""
    odds = [[part.bonus + RARE * (palette.name in part.rare_in) for part in parts] for palette in PALETTES]
    return _normalised(np.array(odds))


def _log_ground_prior() -> Table:
    """Give log p(ground | palette, subject) as [G, K, S]: a boat likes water, a cactus sand."""
    strange = [
        [bool(subject.at_home) and subject.at_home.isdisjoint(part.tags) for subject in SUBJECTS]
        for part in GROUNDS
    ]
    return _normalised(_log_prior(GROUNDS)[:, :, None] + RARE * np.array(strange))


def _normalised(odds: Table) -> Table:
    return odds - np.log(np.exp(odds).sum(axis=1, keepdims=True))


def _carriers(word: str, tag_sets: Sequence[frozenset[str]]) -> NDArray[np.float64]:
    return np.array([word in tags for tags in tag_sets], np.float64)


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What is likely before anything is seen, and how words change it."""

    base: Prior
    tag_sets: tuple[tuple[frozenset[str], ...], ...]
    """The words of every palette, of every part of each band, and of every subject."""

    @property
    def vocabulary(self) -> frozenset[str]:
        """All words that change a picture."""
        return frozenset[str]().union(*(tags for sets in self.tag_sets for tags in sets))

    def prior(self, conditioning: Conditioning) -> Prior:
        """Give the prior of a prompt. A word moves everything that carries it, so "moon" also pulls towards night."""
        bonus = [np.zeros(len(sets)) for sets in self.tag_sets]
        for word, weight in zip(conditioning.words, conditioning.weights, strict=True):
            bonus = [
                table + WORD_BONUS * weight * _carriers(word, sets)
                for table, sets in zip(bonus, self.tag_sets, strict=True)
            ]
        palette, *parts, subject = bonus
        # Not normalised again per palette: that would undo the pull of a word on the palette.
        tables = tuple(table + extra[:, None] for table, extra in zip(self.base.parts, parts, strict=True))
        return Prior(self.base.palette + palette, tables, self.base.subject + subject)


def build_lexicon() -> Lexicon:
    """Collect the words and the priors; needs no drawing."""
    groups: tuple[Sequence[Part], ...] = (*PARTS, SUBJECTS)
    base = Prior(
        np.full(len(PALETTES), -np.log(len(PALETTES))),
        (_log_prior(SKIES)[:, :, None], _log_prior(BACKDROPS)[:, :, None], _log_ground_prior()),
        _log_prior(SUBJECTS),
    )
    tags = tuple(tuple(part.tags for part in parts) for parts in groups)
    return Lexicon(base, (tuple(palette.tags for palette in PALETTES), *tags))
