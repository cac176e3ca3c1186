"""A few hundred landscapes learnt by heart: what a model is that only memorises.

Its denoiser is the plain softmax over stored pictures (Karras et al. 2022, appendix B.3). It can say nothing new.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
from numpy.typing import NDArray

from comfy_nb.server.worlds.base import Conditioning
from comfy_nb.server.worlds.landscapes import scene
from comfy_nb.server.worlds.landscapes.library import WORD_BONUS, band_rows
from comfy_nb.server.worlds.landscapes.world import Landscapes
from comfy_nb.server.worlds.product import Band, Choice, Prior, ProductModel, Table
from comfy_nb.server.worlds.structured import Rows, StructuredWorld

COUNT = 400
SEED = 20


class Memories(StructuredWorld):
    """`COUNT` pictures of the landscapes world and no others; see `base.World`."""

    name = "memorise"
    about = f"{COUNT} landscapes learnt by heart: whatever is asked for, one of them comes back."

    def __init__(self, landscapes: Landscapes) -> None:
        self._landscapes = landscapes
        self.pictures: tuple[Choice, ...] = _chosen(landscapes)
        self._tags = [scene.tags(choice) for choice in self.pictures]
        super().__init__(frozenset[str]().union(*self._tags))

    def build(self, width: int, height: int) -> ProductModel:
        """Store every picture at a latent size: one band with one palette and nothing in front."""
        parts = self._landscapes.model(width, height)
        stored = np.stack([parts.compose(choice) for choice in self.pictures])
        return ProductModel((Band(stored[None]),))

    def bands(self, height: int) -> Sequence[Rows]:
        """Order a picture as the landscapes do."""
        return band_rows(height)

    def prior(self, conditioning: Conditioning) -> Prior:
        """Make pictures more likely by every word that is true of them."""
        bonus = np.zeros(COUNT)
        for word, weight in zip(conditioning.words, conditioning.weights, strict=True):
            bonus += WORD_BONUS * weight * np.array([word in tags for tags in self._tags], np.float64)
        return Prior(np.zeros(1), (bonus[None, :, None],), np.zeros((1, 1)))

    def options(self) -> Sequence[tuple[str, Sequence[str]]]:
        """Name the pictures; there is nothing else to choose."""
        pictures = [", ".join(scene.names(choice)) for choice in self.pictures]
        return (("palette", ["any"]), ("picture", pictures), ("subject", ["any"]))

    def draw(self, choice: Choice, width: int, height: int) -> NDArray[np.float32]:
        """Draw a stored picture at full size."""
        return scene.render(self.pictures[choice.parts[0]], width, height)


def _chosen(landscapes: Landscapes) -> tuple[Choice, ...]:
    """Draw different pictures from the landscapes' own prior."""
    rng, base = Random(SEED), landscapes.lexicon.base
    pictures: dict[Choice, None] = {}
    while len(pictures) < COUNT:
        palette = _draw(rng, base.palette)
        subject = _draw(rng, base.subject[palette])
        parts = (_draw(rng, table[palette, :, subject % table.shape[2]]) for table in base.parts)
        pictures[Choice(palette, tuple(parts), subject)] = None
    return tuple(pictures)


def _draw(rng: Random, logits: Table) -> int:
    odds: list[float] = np.exp(logits).tolist()
    return rng.choices(range(len(odds)), odds)[0]
