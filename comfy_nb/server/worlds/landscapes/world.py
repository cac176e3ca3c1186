"""The landscapes world as the server uses it."""

from __future__ import annotations

from collections.abc import Sequence

from comfy_nb.server.worlds.base import Conditioning
from comfy_nb.server.worlds.landscapes import scene
from comfy_nb.server.worlds.landscapes.library import PARTS, PICTURES, band_rows, build_lexicon, build_model
from comfy_nb.server.worlds.landscapes.palettes import PALETTES, Floats
from comfy_nb.server.worlds.landscapes.subjects import SUBJECTS
from comfy_nb.server.worlds.product import Choice, Prior, ProductModel
from comfy_nb.server.worlds.structured import Rows, StructuredWorld

_NAMES = ("sky", "backdrop", "ground")


class Landscapes(StructuredWorld):
    """Every landscape that can be put together from the parts; see `base.World`."""

    name = "landscapes"
    about = (
        f"{PICTURES / 1e6:.0f} million landscapes: every palette with every sky, backdrop, ground and subject. "
        "It composes pictures that nobody drew."
    )

    def __init__(self) -> None:
        self.lexicon = build_lexicon()
        super().__init__(self.lexicon.vocabulary)

    def build(self, width: int, height: int) -> ProductModel:
        """Draw all parts at a latent size."""
        return build_model(width, height)

    def bands(self, height: int) -> Sequence[Rows]:
        """Cut into sky, backdrop and ground."""
        return band_rows(height)

    def prior(self, conditioning: Conditioning) -> Prior:
        """Give the prior of the parts, moved by the words."""
        return self.lexicon.prior(conditioning)

    def options(self) -> Sequence[tuple[str, Sequence[str]]]:
        """Name the palettes, the parts of each band and the subjects."""
        parts = [(name, [part.name for part in band]) for name, band in zip(_NAMES, PARTS, strict=True)]
        palettes = [palette.name for palette in PALETTES]
        return (("palette", palettes), *parts, ("subject", [part.name for part in SUBJECTS]))

    def draw(self, choice: Choice, width: int, height: int) -> Floats:
        """Draw the picture at full size."""
        return scene.render(choice, width, height)
