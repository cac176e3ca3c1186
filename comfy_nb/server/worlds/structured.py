"""What worlds over a product model have in common: sizes, masks, mixtures, and the look at a latent."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
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
from comfy_nb.server.worlds.product import Choice, Posterior, Prior, ProductModel, Sight, Table, mix
from comfy_nb.server.worlds.prompt import read_prompt

Floats = NDArray[np.float32]
Rows = tuple[int, int]
_Sights = dict[Known, Sight]

CONTRAST = 6.4
"""scale * sqrt(latent pixels): small enough that noise at sigma 14.6 hides a whole picture of any size."""
LARGEST = 128 * 128
"""Latent pixels beyond which the denoiser works on a smaller copy, to bound memory."""
KEPT_SIZES = 2
SEEING = 0.3
"""Noise level, in v space at 64 x 64, at which the decoder looks at a latent."""
KNOWN_SIGMA = 0.25
"""Noise level, in scaled space, that known pixels are taken to have at most. Above 0, since they may be foreign."""
CANDIDATES = 5


def contrast(shape: tuple[int, ...]) -> float:
    """Give the factor from v space to the model's space for latents of `shape`: 0.1 for 64 x 64."""
    return CONTRAST / math.sqrt(shape[-2] * shape[-1])


class StructuredWorld(ABC):
    """A World (see `base.World`) whose pictures are choices of a `ProductModel`. Safe for any thread."""

    name: str
    about: str

    def __init__(self, vocabulary: frozenset[str]) -> None:
        self._models: OrderedDict[tuple[int, int], ProductModel] = OrderedDict()
        self._lock = threading.Lock()
        self._known_words = vocabulary
        self.vocabulary: tuple[str, ...] = tuple(sorted(vocabulary))

    @abstractmethod
    def build(self, width: int, height: int) -> ProductModel:
        """Draw everything at a latent size."""

    @abstractmethod
    def bands(self, height: int) -> Sequence[Rows]:
        """Cut `height` rows into the bands of the model."""

    @abstractmethod
    def prior(self, conditioning: Conditioning) -> Prior:
        """Say what is likely given a prompt."""

    @abstractmethod
    def options(self) -> Sequence[tuple[str, Sequence[str]]]:
        """Name what is chosen, and the options: of the palette, of the part of each band, of the subject."""

    @abstractmethod
    def draw(self, choice: Choice, width: int, height: int) -> Floats:
        """Draw a picture of `width` x `height` pixels, as [3, height, width] from -1 to 1."""

    def encode_prompt(self, text: str) -> Conditioning:
        """Read a prompt; unknown words are listed, never an error."""
        return read_prompt(text, self._known_words)

    def empty(self, width: int, height: int, batch: int) -> Array:
        """Zeros of the latent shape of a picture of `width` x `height` pixels."""
        shape = (batch, LATENT_CHANNELS, height // PIXELS_PER_LATENT, width // PIXELS_PER_LATENT)
        return np.zeros(shape, np.float32)

    def scale(self, shape: tuple[int, ...]) -> float:
        """The factor from v space to the model's space: 0.1 for 64 x 64 latents."""
        return contrast(shape)

    def mixture(self, shape: tuple[int, ...], terms: Sequence[Conditioning]) -> Mixture:
        """Build the exact denoisers of several conditionings; their posteriors are mixed, and one mean is taken."""
        width, height = _working_size(shape[-1], shape[-2])
        model, scale = self.model(width, height), np.float32(self.scale(shape))
        blur = math.sqrt(width * height / (shape[-2] * shape[-1]))
        priors = [self.prior(term) for term in terms]
        sights = self._sights(model, terms, shape)

        def mean(x: Floats, sigma: float, weights: Sequence[float], seen: _Sights) -> Floats:
            likelihoods: dict[Known | None, tuple[Table, ...]] = {}
            posteriors: list[Posterior] = []
            for term, prior, weight in zip(terms, priors, weights, strict=True):
                if weight == 0.0:
                    continue
                if term.known not in likelihoods:
                    sight = None if term.known is None else seen[term.known]
                    likelihoods[term.known] = model.log_likelihoods(x, sigma, sight)
                posteriors.append(model.posterior(likelihoods[term.known], prior))
            return model.mean(mix(posteriors, [weight for weight in weights if weight != 0.0]))

        def mixed(x: Array, sigma: float, weights: Sequence[float]) -> Array:
            guesses = np.zeros(x.shape, np.float32)
            if not any(weights):
                return guesses
            for item, guess, seen in zip(x, guesses, sights, strict=True):
                flat = self._flatten(_fit(item[:3], width, height)) / scale
                small = self._unflatten(mean(flat, sigma * blur / float(scale), weights, seen), width, height)
                guess[:3] = _fit(small, shape[-1], shape[-2]) * scale
            return guesses

        return mixed

    def undecided(self, x: Array, sigma: float, conditioning: Conditioning) -> tuple[Factor, ...]:
        """Say how many bits of each factor a latent x [4, h, w] of scaled space leaves open, at `sigma`."""
        scale = self.scale(x.shape)
        posterior = self._look(x / np.float32(scale), sigma / scale, self.prior(conditioning))
        tables = zip(self.options(), posterior.marginals(), strict=True)
        return tuple(_factor(name, options, table) for (name, options), table in tables if table.size > 1)

    def recognise(self, latent: Array) -> Choice:
        """Find the most likely picture behind one latent [4, h, w] of v space."""
        sigma = SEEING * math.sqrt(latent.shape[-1] * latent.shape[-2]) / 64.0
        return self._look(latent, sigma, self.prior(Conditioning(""))).most_likely()

    def preview(self, x0: Array) -> Image.Image:
        """Show one latent [4, h, w] of v space as an RGB picture of w x h."""
        return codec.preview(x0)

    def decode(self, samples: Array) -> NDArray[np.uint8]:
        """Turn latents of v space into RGB pixels [B, H, W, 3], drawn sharp where the picture is recognised."""
        return np.stack([codec.to_pixels(self._sharp(latent)) for latent in samples])

    def encode(self, pixels: NDArray[np.uint8]) -> Array:
        """Turn RGB pixels [B, H, W, 3] into latents of v space."""
        return codec.encode(pixels)

    def _sharp(self, latent: Array) -> Floats:
        height, width = (side * PIXELS_PER_LATENT for side in latent.shape[-2:])
        return codec.sharpen_or_mend(latent, self.draw(self.recognise(latent), width, height))

    def _look(self, latent: Array, sigma: float, prior: Prior) -> Posterior:
        """Give the posterior of a latent [4, h, w] with noise of `sigma`, both in v space."""
        width, height = _working_size(latent.shape[-1], latent.shape[-2])
        model = self.model(width, height)
        flat = self._flatten(_fit(latent[:3], width, height))
        blur = math.sqrt(width * height / (latent.shape[-2] * latent.shape[-1]))
        return model.posterior(model.log_likelihoods(flat, sigma * blur), prior)

    def _sights(
        self, model: ProductModel, terms: Sequence[Conditioning], shape: tuple[int, ...]
    ) -> list[_Sights]:
        """Prepare the known pixels of every item of a batch of `shape`, once where items share them."""
        ready: dict[tuple[Known, int], Sight] = {}
        items: list[_Sights] = [{} for _ in range(shape[0])]
        for known in dict.fromkeys(term.known for term in terms if term.known is not None):
            distinct = max(known.latent.shape[0], 1 if known.mask.ndim == 2 else known.mask.shape[0])
            for item, seen in enumerate(items):
                key = known, item % distinct
                if key not in ready:
                    ready[key] = self._sight(model, known, shape, item)
                seen[known] = ready[key]
        return items

    def _sight(self, model: ProductModel, known: Known, shape: tuple[int, ...], item: int) -> Sight:
        width, height = _working_size(shape[-1], shape[-2])
        painted = fit_mask(known.mask, (shape[0], 1, height, width))[item]
        latent = known.latent[item % known.latent.shape[0]]
        share = np.broadcast_to(np.float32(1.0) - painted, (3, height, width))
        pixels = self._flatten(_fit(latent[:3], width, height))
        return model.sight(pixels, self._flatten(share), KNOWN_SIGMA / self.scale(shape))

    def model(self, width: int, height: int) -> ProductModel:
        """Give the model of a latent size; the last few are kept, since each takes tens of megabytes."""
        with self._lock:
            if (width, height) not in self._models:
                self._models[width, height] = self.build(width, height)
            self._models.move_to_end((width, height))
            while len(self._models) > KEPT_SIZES:
                self._models.popitem(last=False)
            return self._models[width, height]

    def _flatten(self, picture: Array) -> Floats:
        """Order [3, h, w] as the model wants it: band by band, each with its three colours."""
        strips = [picture[:, top:bottom].reshape(-1) for top, bottom in self.bands(picture.shape[1])]
        return np.concatenate(strips).astype(np.float32)

    def _unflatten(self, flat: Floats, width: int, height: int) -> Floats:
        cuts = np.cumsum([3 * (bottom - top) * width for top, bottom in self.bands(height)])[:-1]
        strips = [strip.reshape(3, -1, width) for strip in np.split(flat, cuts)]
        return np.concatenate(strips, axis=1)


def _factor(name: str, options: Sequence[str], table: Table) -> Factor:
    bits = -float((table * np.log2(np.maximum(table, 1e-300))).sum())
    best: list[int] = np.argsort(-table)[:CANDIDATES].tolist()
    return Factor(name, max(0.0, bits), tuple((options[index], float(table[index])) for index in best))


def _working_size(width: int, height: int) -> tuple[int, int]:
    shrink = min(1.0, math.sqrt(LARGEST / (width * height)))
    return max(1, round(width * shrink)), max(1, round(height * shrink))


def _fit(picture: Array, width: int, height: int) -> Array:
    if picture.shape[-2:] == (height, width):
        return picture
    smaller = width < picture.shape[-1]
    return codec.resize(picture, width, height, Image.Resampling.BOX if smaller else Image.Resampling.BICUBIC)
