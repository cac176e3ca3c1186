"""Exact denoising of pictures that are products of parts.

A picture is chosen by a *palette* g, one *part* k per horizontal band, and a *subject* s that stands in front of some
bands. With B the part's picture, T the subject's transmittance (1 where nothing is drawn) and F its own light, the
content of a band is z = T_s * B[g, k] + F[g, s]. Given (g, s) the bands are independent, so the posterior of all
pictures given x = z + sigma n, and with it the mean E[z | x], is a sum of products over a few small tables: the number
of pictures is the product of the part counts, the work is their sum. Nothing is approximated.

Dot products are float32, tables float64; the largest logit is always taken off before exp.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comfy_nb.server.worlds.base import Array

Floats = NDArray[np.float32]
Table = NDArray[np.float64]

NEGLIGIBLE = 1e-6
"""Posterior weights below this add nothing that float32 latents could show; skipping them makes late steps fast."""


class Band:
    """The pictures of one band, d numbers each, and how the subjects cover it.

    `pictures` is [G, K, d]; `through` [S, d] and `subjects` [G, S, d] are T and F. For a band that no subject reaches,
    leave them out: its tables then have one column for "any subject".
    """

    def __init__(
        self, pictures: Floats, through: Floats | None = None, subjects: Floats | None = None
    ) -> None:
        palettes, parts, size = pictures.shape
        if through is None or subjects is None:
            through = np.ones((1, size), np.float32)
            subjects = np.zeros((palettes, 1, size), np.float32)
            self._bare = True
        else:
            self._bare = False
        self.pictures, self.through, self.subjects = pictures, through, subjects
        self._flat = np.ascontiguousarray(pictures.reshape(palettes * parts, size))
        self._half_norms = self._half_squared_norms()

    @property
    def size(self) -> int:
        """How many numbers the band has."""
        return self.pictures.shape[2]

    def log_likelihood(self, x: Floats, sigma: float) -> Table:
        """Give log p(x | g, k, s) up to a constant, as [G, K, S]."""
        palettes, parts, _ = self.pictures.shape
        seen = x[None] if self._bare else self.through * x
        dots = (self._flat @ seen.T).reshape(palettes, parts, -1).astype(np.float64)
        if not self._bare:
            dots += (self.subjects @ x)[:, None, :]
        return (dots - self._half_norms) / sigma**2

    def mean(self, weights: Table, subject_weights: Table) -> Floats:
        """Give the weighted sum of the band's pictures; `weights` is [G, K, S], `subject_weights` [G, S]."""
        flat = weights.reshape(-1, weights.shape[2]).T.astype(np.float32)
        strong = np.abs(flat) > NEGLIGIBLE
        rows, columns = np.flatnonzero(strong.any(axis=1)), np.flatnonzero(strong.any(axis=0))
        behind = flat[np.ix_(rows, columns)] @ _pick(self._flat, columns)
        if self._bare:
            return behind.sum(axis=0)
        covers = subject_weights.reshape(-1).astype(np.float32)
        shown = np.flatnonzero(np.abs(covers) > NEGLIGIBLE)
        in_front = covers[shown] @ _pick(self.subjects.reshape(-1, self.size), shown)
        return np.einsum("sd,sd->d", _pick(self.through, rows), behind) + in_front

    def compose(self, palette: int, part: int, subject: int) -> Floats:
        """Give the band's content for one choice of everything."""
        column = 0 if self._bare else subject
        return self.through[column] * self.pictures[palette, part] + self.subjects[palette, column]

    def _half_squared_norms(self) -> Table:
        """|T B + F|^2 / 2 as [G, K, S], by three products instead of all the pictures."""
        squares = np.square(self._flat) @ np.square(self.through).T
        table = squares.reshape(*self.pictures.shape[:2], -1).astype(np.float64)
        if not self._bare:
            for palette, pictures in enumerate(self.pictures):
                lights = self.subjects[palette]
                table[palette] += 2.0 * (pictures @ (self.through * lights).T) + np.square(lights).sum(axis=1)
        return table / 2.0


def _pick(rows: Floats, wanted: NDArray[np.intp]) -> Floats:
    return rows if wanted.size == rows.shape[0] else rows[wanted]


@dataclass(frozen=True, slots=True)
class Prior:
    """Log probabilities, need not be normalised: what is likely before anything is seen."""

    palette: Table
    """[G]"""
    parts: tuple[Table, ...]
    """[G, K, 1] for every band, or [G, K, S] where the subject has a say in what it stands on."""
    subject: Table
    """[G, S]"""


@dataclass(frozen=True, slots=True)
class Choice:
    """One picture of the product: an index for everything that was chosen."""

    palette: int
    parts: tuple[int, ...]
    subject: int


@dataclass(frozen=True, slots=True)
class Posterior:
    """Probabilities of everything given x. Guided ones (see `guide`) add up to 1 but may be negative."""

    bands: tuple[Table, ...]
    """Joint p(g, k, s) for every band, [G, K, S] or [G, K, 1]."""
    cover: Table
    """Joint p(g, s), [G, S]."""

    def guide(self, negative: Posterior, cfg: float) -> Posterior:
        """Push away from `negative`: the mean is linear in the tables, so guiding them guides the denoiser."""
        bands = tuple(far + cfg * (near - far) for near, far in zip(self.bands, negative.bands, strict=True))
        return Posterior(bands, negative.cover + cfg * (self.cover - negative.cover))

    def most_likely(self) -> Choice:
        """Pick the most likely palette and subject, then the most likely part of each band with them."""
        palette, subject = (int(i) for i in np.unravel_index(int(self.cover.argmax()), self.cover.shape))
        parts = (int(band[palette, :, subject % band.shape[2]].argmax()) for band in self.bands)
        return Choice(palette, tuple(parts), subject)


class ProductModel:
    """The exact posterior and its mean, for an x that is the bands' numbers one after the other."""

    def __init__(self, bands: tuple[Band, ...]) -> None:
        self.bands = bands
        self._cuts = np.cumsum([band.size for band in bands])[:-1]

    def log_likelihoods(self, x: Array, sigma: float) -> tuple[Table, ...]:
        """Give every band's log p(x | g, k, s); x is flat."""
        pieces = np.split(x.astype(np.float32, copy=False), self._cuts)
        return tuple(
            band.log_likelihood(piece, sigma) for band, piece in zip(self.bands, pieces, strict=True)
        )

    def posterior(self, log_likelihoods: tuple[Table, ...], prior: Prior) -> Posterior:
        """Combine likelihoods and prior: messages from the bands to (g, s), then back."""
        joint = prior.palette[:, None] + prior.subject
        scaled: list[Table] = []
        for table, parts in zip(log_likelihoods, prior.parts, strict=True):
            logits = table + parts
            peak = logits.max(axis=1, keepdims=True)
            odds = np.exp(logits - peak)
            total = odds.sum(axis=1, keepdims=True)
            scaled.append(odds / total)
            joint = joint + (peak + np.log(total))[:, 0, :]
        cover = np.exp(joint - joint.max())
        cover /= cover.sum()
        return Posterior(tuple(_joint(given, cover) for given in scaled), cover)

    def mean(self, posterior: Posterior) -> Floats:
        """Give the flat mean picture of a posterior, plain or guided."""
        means = [
            band.mean(table, posterior.cover) for band, table in zip(self.bands, posterior.bands, strict=True)
        ]
        return np.concatenate(means)

    def compose(self, choice: Choice) -> Floats:
        """Give the one flat picture of a choice."""
        chosen = zip(self.bands, choice.parts, strict=True)
        return np.concatenate([band.compose(choice.palette, part, choice.subject) for band, part in chosen])


def _joint(given: Table, cover: Table) -> Table:
    """Turn p(k | g, s) into p(g, k, s); a band without subjects needs only p(g)."""
    outer = cover if given.shape[2] == cover.shape[1] else cover.sum(axis=1, keepdims=True)
    return given * outer[:, None, :]
