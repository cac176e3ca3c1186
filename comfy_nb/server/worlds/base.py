"""What a world is: a known distribution of pictures, with an exact denoiser, that stands where a checkpoint would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.floating[Any]]
"""Latents, float32 in service; float64 where a test wants to see rounding go away."""

Denoiser = Callable[[Array, float], Array]
"""(x [B, 4, h, w], sigma) -> the expected clean latent given x, in the model's scaled space."""

LATENT_CHANNELS = 4
PIXELS_PER_LATENT = 8


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What a world understood of one prompt."""

    text: str
    words: tuple[str, ...] = ()
    """The words that it knows, in its own spelling."""
    weights: tuple[float, ...] = ()
    """How much each of `words` counts; 1 unless the prompt says (word:1.3)."""
    unknown: tuple[str, ...] = ()
    """The words that it does not know: to be reported, not hidden."""


class World(Protocol):
    """A distribution of pictures. Latents are [B, 4, height/8, width/8]; "v space" is -1 to 1."""

    @property
    def name(self) -> str:
        """What to ask `load_world` for."""
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

    def denoiser(
        self, shape: tuple[int, ...], positive: Conditioning, negative: Conditioning, cfg: float
    ) -> Denoiser:
        """Build the guided denoiser for latents of `shape`, in scaled space."""
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
