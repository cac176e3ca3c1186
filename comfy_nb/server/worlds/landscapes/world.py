"""The landscapes world as the server uses it."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from comfy_nb.server.worlds.base import LATENT_CHANNELS, PIXELS_PER_LATENT, Array, Conditioning, Denoiser
from comfy_nb.server.worlds.landscapes import codec, scene
from comfy_nb.server.worlds.landscapes.library import band_rows, build_lexicon, build_model
from comfy_nb.server.worlds.landscapes.palettes import Floats
from comfy_nb.server.worlds.product import Choice, ProductModel
from comfy_nb.server.worlds.prompt import read_prompt

CONTRAST = 6.4
"""scale * sqrt(latent pixels): small enough that noise at sigma 14.6 hides a whole picture of any size."""
LARGEST = 128 * 128
"""Latent pixels beyond which the denoiser works on a smaller copy, to bound memory."""
KEPT_SIZES = 2
SEEING = 0.3
"""Noise level, in v space at 64 x 64, at which the decoder looks at a latent."""


class Landscapes:
    """A World of landscapes; see `base.World`. All methods may be called from any thread."""

    name = "landscapes"

    def __init__(self) -> None:
        self._lexicon = build_lexicon()
        self._models: OrderedDict[tuple[int, int], ProductModel] = OrderedDict()
        self._lock = threading.Lock()
        self.vocabulary: tuple[str, ...] = tuple(sorted(self._lexicon.vocabulary))
        self._known = frozenset(self.vocabulary)

    def encode_prompt(self, text: str) -> Conditioning:
        """Read a prompt; unknown words are listed, never an error."""
        return read_prompt(text, self._known)

    def empty(self, width: int, height: int, batch: int) -> Array:
        """Zeros of the latent shape of a picture of `width` x `height` pixels."""
        shape = (batch, LATENT_CHANNELS, height // PIXELS_PER_LATENT, width // PIXELS_PER_LATENT)
        return np.zeros(shape, np.float32)

    def scale(self, shape: tuple[int, ...]) -> float:
        """The factor from v space to the model's space: 0.1 for 64 x 64 latents."""
        return CONTRAST / math.sqrt(shape[-2] * shape[-1])

    def denoiser(
        self, shape: tuple[int, ...], positive: Conditioning, negative: Conditioning, cfg: float
    ) -> Denoiser:
        """Build the exact, guided denoiser; with `cfg` 1 the negative prompt is not looked at."""
        width, height = _working_size(shape[-1], shape[-2])
        model, scale = self._model(width, height), self.scale(shape)
        blur = math.sqrt(width * height / (shape[-2] * shape[-1]))
        wanted, unwanted = self._lexicon.prior(positive), self._lexicon.prior(negative)
        guided = not math.isclose(cfg, 1.0)

        def mean(x: Array, sigma: float) -> Floats:
            likelihoods = model.log_likelihoods(x, sigma)
            posterior = model.posterior(likelihoods, wanted)
            if guided:
                posterior = posterior.guide(model.posterior(likelihoods, unwanted), cfg)
            return model.mean(posterior)

        def denoise(x: Array, sigma: float) -> Array:
            guesses = np.zeros(x.shape, np.float32)
            for item, guess in zip(x, guesses, strict=True):
                flat = _flatten(_fit(item[:3], width, height), height) / np.float32(scale)
                small = _unflatten(mean(flat, sigma * blur / scale), width, height)
                guess[:3] = _fit(small, shape[-1], shape[-2]) * np.float32(scale)
            return guesses

        return denoise

    def recognise(self, latent: Array) -> Choice:
        """Find the most likely picture behind one latent [4, h, w] of v space."""
        width, height = _working_size(latent.shape[-1], latent.shape[-2])
        model = self._model(width, height)
        flat = _flatten(_fit(latent[:3], width, height), height)
        sigma = SEEING * math.sqrt(width * height) / 64.0
        return model.posterior(model.log_likelihoods(flat, sigma), self._lexicon.base).most_likely()

    def preview(self, x0: Array) -> Image.Image:
        """Show one latent [4, h, w] of v space as an RGB picture of w x h."""
        return codec.preview(x0)

    def decode(self, samples: Array) -> NDArray[np.uint8]:
        """Turn latents of v space into RGB pixels [B, H, W, 3], drawn sharp where the picture is recognised."""
        return np.stack([scene.to_pixels(self._draw(latent)) for latent in samples])

    def encode(self, pixels: NDArray[np.uint8]) -> Array:
        """Turn RGB pixels [B, H, W, 3] into latents of v space."""
        return codec.encode(pixels)

    def _draw(self, latent: Array) -> Floats:
        height, width = (side * PIXELS_PER_LATENT for side in latent.shape[-2:])
        return codec.sharpen_or_mend(latent, scene.render(self.recognise(latent), width, height))

    def _model(self, width: int, height: int) -> ProductModel:
        """Give the model of a latent size; the last few are kept, since each takes tens of megabytes."""
        with self._lock:
            if (width, height) not in self._models:
                self._models[width, height] = build_model(width, height)
            self._models.move_to_end((width, height))
            while len(self._models) > KEPT_SIZES:
                self._models.popitem(last=False)
            return self._models[width, height]


def _working_size(width: int, height: int) -> tuple[int, int]:
    shrink = min(1.0, math.sqrt(LARGEST / (width * height)))
    return max(1, round(width * shrink)), max(1, round(height * shrink))


def _fit(picture: Array, width: int, height: int) -> Array:
    if picture.shape[-2:] == (height, width):
        return picture
    smaller = width < picture.shape[-1]
    return codec.resize(picture, width, height, Image.Resampling.BOX if smaller else Image.Resampling.BICUBIC)


def _flatten(picture: Array, height: int) -> Floats:
    """Order [3, h, w] as the model wants it: band by band, each with its three colours."""
    strips = (picture[:, top:bottom].reshape(-1) for top, bottom in band_rows(height))
    return np.concatenate(list(strips)).astype(np.float32)


def _unflatten(flat: Floats, width: int, height: int) -> Floats:
    cuts = np.cumsum([3 * (bottom - top) * width for top, bottom in band_rows(height)])[:-1]
    strips = [strip.reshape(3, -1, width) for strip in np.split(flat, cuts)]
    return np.concatenate(strips, axis=1)
