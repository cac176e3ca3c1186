"""What a world is: a known distribution of pictures, with an exact denoiser, that stands where a checkpoint would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.floating[Any]]
"""Latents, float32 in service; float64 where a test wants to see rounding go away."""

Denoiser = Callable[[Array, float], Array]
"""(x [B, 4, h, w], sigma) -> the expected clean latent given x, in the model's scaled space."""

Mixture = Callable[[Array, float, Sequence[float]], Array]
"""(x [B, 4, h, w], sigma, a weight for each of some conditionings) -> the weighted sum of their denoisers' results."""

LATENT_CHANNELS = 4
PIXELS_PER_LATENT = 8


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Clean pixels that are given, as an inpainting model gets them. Compared by identity: share one where you can."""

    latent: Array
    """[1 or B, 4, h, w] in v space."""
    mask: Array
    """1 where a picture is to be painted, 0 where it is known; [H, W] or [1 or B, H, W], of any size."""


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What a world understood of one prompt, and where and when it counts."""

    text: str
    words: tuple[str, ...] = ()
    """The words that it knows, in its own spelling."""
    weights: tuple[float, ...] = ()
    """How much each of `words` counts; 1 unless the prompt says (word:1.3)."""
    unknown: tuple[str, ...] = ()
    """The words that it does not know: to be reported, not hidden."""
    strength: float = 1.0
    """How much it counts among others of the same side."""
    mask: Array | None = field(default=None, compare=False)
    """Where it counts, 0 to 1, [H, W] of any size; None is everywhere."""
    start: float = 0.0
    """The share of sampling, in ComfyUI's percent, from which it counts."""
    end: float = 1.0
    """... and up to which."""
    known: Known | None = None


Conditionings = Conditioning | Sequence[Conditioning]
"""One, or several whose denoisers are averaged."""


def blend(to: Conditioning, towards: Conditioning, amount: float) -> Conditioning:
    """Mix two prompts: `amount` 1 is `to`, 0 is `towards`."""
    weights = {word: weight * amount for word, weight in zip(to.words, to.weights, strict=True)}
    for word, weight in zip(towards.words, towards.weights, strict=True):
        weights[word] = weights.get(word, 0.0) + weight * (1.0 - amount)
    return _reworded(to, towards, weights)


def join(first: Conditioning, second: Conditioning) -> Conditioning:
    """Give a prompt with the words of both; a word that both have counts with the sum of its weights."""
    weights = dict(zip(first.words, first.weights, strict=True))
    for word, weight in zip(second.words, second.weights, strict=True):
        weights[word] = weights.get(word, 0.0) + weight
    return _reworded(first, second, weights)


def zeroed(conditioning: Conditioning) -> Conditioning:
    """Take all words out."""
    return replace(conditioning, text="", words=(), weights=(), unknown=())


def _reworded(first: Conditioning, second: Conditioning, weights: dict[str, float]) -> Conditioning:
    text = ", ".join(filter(None, (first.text, second.text)))
    unknown = tuple(dict.fromkeys(first.unknown + second.unknown))
    return replace(first, text=text, words=tuple(weights), weights=tuple(weights.values()), unknown=unknown)


@dataclass(frozen=True, slots=True)
class Factor:
    """One of the things that a picture is made of, and how far it is decided."""

    name: str
    bits: float
    """Entropy; 0 is decided."""
    candidates: tuple[tuple[str, float], ...]
    """The most likely options with their probabilities, best first."""


class World(Protocol):
    """A distribution of pictures. Latents are [B, 4, height/8, width/8]; "v space" is -1 to 1."""

    @property
    def name(self) -> str:
        """What to ask `load_world` for."""
        ...

    @property
    def about(self) -> str:
        """One sentence on what it is."""
        ...

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Every word that changes a picture, sorted."""
        ...

    def encode_prompt(self, text: str) -> Conditioning:
        """Read a prompt; unknown words are listed, never an error."""
        ...

    def empty(self, width: int, height: int, batch: int) -> Array:
        """Zeros of the latent shape of a picture of `width` x `height` pixels."""
        ...

    def mixture(self, shape: tuple[int, ...], terms: Sequence[Conditioning]) -> Mixture:
        """Build the denoisers of several conditionings for latents of `shape`, in scaled space.

        They are mixed here rather than outside, since a world can do so before the costly part of its work.
        """
        ...

    def undecided(self, x: Array, sigma: float, conditioning: Conditioning) -> tuple[Factor, ...]:
        """Say what a latent x [4, h, w] of scaled space leaves open, at noise level `sigma`."""
        ...

    def scale(self, shape: tuple[int, ...]) -> float:
        """The factor from v space to the model's space."""
        ...

    def preview(self, x0: Array) -> Image.Image:
        """Show one latent [4, h, w] of v space as an RGB picture of w x h."""
        ...

    def decode(self, samples: Array) -> NDArray[np.uint8]:
        """Turn latents of v space into RGB pixels [B, H, W, 3]."""
        ...

    def encode(self, pixels: NDArray[np.uint8]) -> Array:
        """Turn RGB pixels [B, H, W, 3] into latents of v space."""
        ...
