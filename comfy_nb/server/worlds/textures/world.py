"""The textures world as the server uses it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from comfy_nb.server.worlds import codec
from comfy_nb.server.worlds.base import (
    LATENT_CHANNELS,
    PIXELS_PER_LATENT,
    Array,
    Conditioning,
    Factor,
    Known,
    Mixture,
)
from comfy_nb.server.worlds.masks import fit_mask
from comfy_nb.server.worlds.prompt import read_prompt
from comfy_nb.server.worlds.textures.patches import PatchLibrary, View, level_at, look
from comfy_nb.server.worlds.textures.styles import STYLES

Floats = NDArray[np.float32]

SCALE = 0.1
"""From v space to the model's space. The same at every size: what is decided here is as large as a patch."""
WORD_BONUS = 4.0
"""Log odds that a word, times its weight, adds to its style."""
KNOWN_SIGMA = 2.5
"""Noise level, in v space, that known pixels are taken to have at most."""
CANDIDATES = 5
UNSEEN = 1e-3
"""A style with less weight than this is left out of a step."""


class Textures:
    """Patterns without end, of six styles; see `base.World`. Safe for any thread."""

    name = "textures"
    about = (
        f"{len(STYLES)} kinds of texture ({', '.join(style.name for style in STYLES)}), grown from small patches: "
        "new everywhere, and now and then misgrown."
    )

    def __init__(self) -> None:
        self._libraries = [PatchLibrary(style) for style in STYLES]
        self._words = frozenset[str]().union(*(style.tags for style in STYLES))
        self.vocabulary: tuple[str, ...] = tuple(sorted(self._words))

    def encode_prompt(self, text: str) -> Conditioning:
        """Read a prompt; unknown words are listed, never an error."""
        return read_prompt(text, self._words)

    def empty(self, width: int, height: int, batch: int) -> Array:
        """Zeros of the latent shape of a picture of `width` x `height` pixels."""
        shape = (batch, LATENT_CHANNELS, height // PIXELS_PER_LATENT, width // PIXELS_PER_LATENT)
        return np.zeros(shape, np.float32)

    def scale(self, shape: tuple[int, ...]) -> float:
        """The factor from v space to the model's space."""
        del shape
        return SCALE

    def mixture(self, shape: tuple[int, ...], terms: Sequence[Conditioning]) -> Mixture:
        """Build the denoisers of several conditionings: each is a mixture of the styles, of which one soon remains."""
        priors = [_log_prior(term) for term in terms]
        groups = list(dict.fromkeys(term.known for term in terms))
        painted = {
            known: np.ones(shape, np.float32) if known is None else fit_mask(known.mask, shape)
            for known in groups
        }

        def mixed(x: Array, sigma: float, weights: Sequence[float]) -> Array:
            guesses = np.zeros(x.shape, np.float32)
            for known in groups:
                own = [
                    (prior, weight)
                    for term, prior, weight in zip(terms, priors, weights, strict=True)
                    if term.known is known and weight != 0.0
                ]
                for item, guess in enumerate(guesses):
                    view = _view(x[item], sigma, known, painted[known][item], item)
                    guess[:3] += self._mean(view, own) * np.float32(SCALE)
            return guesses

        return mixed

    def undecided(self, x: Array, sigma: float, conditioning: Conditioning) -> tuple[Factor, ...]:
        """Say how many bits of style a latent leaves open, and how many of choice each patch, in the likeliest style.

        A patch keeps more bits than it seems: similar patches stay possible to the end.
        """
        view = _view(x, sigma, None, np.ones((1, *x.shape[1:]), np.float32), 0)
        styles = _softmax(_log_prior(conditioning) + self._evidence(view))
        order: list[int] = np.argsort(-styles).tolist()
        bits = -float((styles * np.log2(np.maximum(styles, 1e-300))).sum())
        names = tuple((STYLES[index].name, float(styles[index])) for index in order[:CANDIDATES])
        _, patch_bits = self._libraries[order[0]].mean(view)
        return (Factor("style", max(0.0, bits), names), Factor("patch", patch_bits, ()))

    def preview(self, x0: Array) -> Image.Image:
        """Show one latent [4, h, w] of v space as an RGB picture of w x h."""
        return codec.preview(x0)

    def decode(self, samples: Array) -> NDArray[np.uint8]:
        """Turn latents of v space into RGB pixels [B, H, W, 3], enlarged and sharpened."""
        return np.stack([codec.to_pixels(codec.enlarge(latent)) for latent in samples])

    def encode(self, pixels: NDArray[np.uint8]) -> Array:
        """Turn RGB pixels [B, H, W, 3] into latents of v space."""
        return codec.encode(pixels)

    def _evidence(self, view: View) -> NDArray[np.float64]:
        return np.array([library.evidence(view) for library in self._libraries])

    def _mean(self, view: View, terms: Sequence[tuple[NDArray[np.float64], float]]) -> Floats:
        """Mix the styles as the weighted terms want them, and give the weighted sum of their means."""
        evidence = self._evidence(view)
        styles = np.zeros(len(STYLES))
        for prior, weight in terms:
            styles += weight * _softmax(prior + evidence)
        total = np.zeros((3, *view.size), np.float32)
        for share, library in zip(styles, self._libraries, strict=True):
            if abs(share) >= UNSEEN:
                total += np.float32(share) * library.mean(view)[0]
        return total


def _view(x: Array, sigma: float, known: Known | None, painted: Floats, item: int) -> View:
    """Look at a latent [4, h, w] of scaled space; what is not `painted` is known instead."""
    picture: Floats = (x[:3] / SCALE).astype(np.float32)
    level_sigma = sigma / SCALE
    precision: Floats = (painted[:1] / level_sigma**2).astype(np.float32)
    if known is not None:
        given = known.latent[item % known.latent.shape[0], :3]
        firm = (1.0 - painted[:1]) / min(level_sigma, KNOWN_SIGMA) ** 2
        both = precision + firm
        picture = ((picture * precision + given * firm) / both).astype(np.float32)
        precision = both.astype(np.float32)
    return look(picture, precision, level_at(level_sigma))


def _log_prior(conditioning: Conditioning) -> NDArray[np.float64]:
    bonus = np.zeros(len(STYLES))
    for word, weight in zip(conditioning.words, conditioning.weights, strict=True):
        bonus += WORD_BONUS * weight * np.array([word in style.tags for style in STYLES], np.float64)
    return bonus


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    odds = np.exp(logits - logits.max())
    return odds / odds.sum()
