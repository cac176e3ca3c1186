"""Exact denoising of pictures that are products of parts.

A picture is chosen by a *palette* g, one *part* k per horizontal band, and a *subject* s that stands in front of some
bands. With B the part's picture, T the subject's transmittance (1 where nothing is drawn) and F its own light, the
content of a band is z = T_s * B[g, k] + F[g, s]. Given (g, s) the bands are independent, so the posterior of all
pictures given x = z + sigma n, and with it the mean E[z | x], is a sum of products over a few small tables: the number
of pictures is the product of the part counts, the work is their sum. Nothing is approximated.

Dot products are float32, tables float64; the largest logit is always taken off before exp.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comfy_nb.server.worlds.base import Array

Floats = NDArray[np.float32]
Table = NDArray[np.float64]
Places = NDArray[np.intp]

NEGLIGIBLE = 1e-6
"""Posterior weights below this add nothing that float32 latents could show; skipping them makes late steps fast."""


class Patch:
    """Some places of a band, and the subjects that touch them; all other subjects are one here, "nothing in front".

    That is what keeps the work small: most subjects touch few places. `pictures` [G, K, places] has these places
    only, `through` and `subjects` are those of the whole band.
    """

    def __init__(self, places: Places, pictures: Floats, through: Floats, subjects: Floats) -> None:
        touched = (through[:, places] != 1.0).any(axis=1) | subjects[:, :, places].any(axis=(0, 2))
        self.places = places
        self.touching: Places = np.flatnonzero(touched)
        self._pictures = pictures.reshape(-1, places.size)
        open_air = np.ones((1, places.size), np.float32)
        self._through = np.concatenate((through[np.ix_(self.touching, places)], open_air))
        self._lights = np.ascontiguousarray(subjects[:, self.touching][:, :, places])

    def dots(self, x: Floats) -> tuple[Table, Table]:
        """Give z . x, as [G, K] where nothing is in front, and what the subjects that touch add, [G, K, touching]."""
        seen = x[self.places]
        behind = self._pictures @ (self._through * seen).T
        return self._apart(behind, (self._lights @ seen)[:, None, :])

    def squares(self, share: Floats) -> tuple[Table, Table]:
        """Give the sum of share * z^2 in the same two parts, by three products instead of all the pictures."""
        seen = share[self.places]
        behind = np.square(self._pictures) @ (np.square(self._through) * seen).T
        pictures = self._pictures.reshape(self._lights.shape[0], -1, self.places.size)
        crossed = np.matmul(pictures, (self._through[:-1] * self._lights * seen).transpose(0, 2, 1))
        lights = (np.square(self._lights) * seen).sum(axis=2)
        return self._apart(behind, np.float32(2.0) * crossed + lights[:, None, :])

    def _apart(self, behind: Array, in_front: Array) -> tuple[Table, Table]:
        table = behind.reshape(self._lights.shape[0], -1, self.touching.size + 1).astype(np.float64)
        return table[:, :, -1], table[:, :, :-1] - table[:, :, -1:] + in_front

    def mean(self, weights: Floats, columns: Places, covers: Floats) -> Floats:
        """Give the weighted sum of the pictures: `weights` [S, chosen columns of G * K], `covers` [G, S]."""
        own = weights[self.touching]
        rest = weights.sum(axis=0, keepdims=True) - own.sum(axis=0, keepdims=True)
        mixed = np.concatenate((own, rest))
        rows = _used(mixed, axis=1)
        behind = mixed[rows] @ _pick(self._pictures, columns)
        in_front = np.tensordot(covers[:, self.touching], self._lights, axes=2)
        return np.einsum("sd,sd->d", _pick(self._through, rows), behind) + in_front

    def compose(self, picture: int, palette: int, subject: int) -> Floats:
        """Give the content for one choice; `picture` counts through G * K."""
        if subject not in self.touching:
            return self._pictures[picture]
        row = int(np.searchsorted(self.touching, subject))
        return self._through[row] * self._pictures[picture] + self._lights[palette, row]


class Band:
    """The pictures of one band, d numbers each, and how the subjects cover it.

    `pictures` is [G, K, d]; `through` [S, d] and `subjects` [G, S, d] are T and F. For a band that no subject reaches,
    leave them out: its tables then have one column for "any subject". `patches` [d] says which numbers to treat
    together; any grouping gives the same result, and the fastest is by columns of the picture.
    """

    def __init__(
        self,
        pictures: Floats,
        through: Floats | None = None,
        subjects: Floats | None = None,
        patches: Places | None = None,
    ) -> None:
        palettes, parts, self.size = pictures.shape
        everything: Floats = np.ones((self.size,), np.float32)
        if through is None or subjects is None:
            through = np.ones((1, self.size), np.float32)
            subjects = np.zeros((palettes, 1, self.size), np.float32)
        labels = np.zeros(self.size, np.intp) if patches is None else patches
        groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        self._shape = (palettes, parts, through.shape[0])
        picked = _pick_places(pictures, groups)
        self._patches = [
            Patch(places, own, through, subjects) for places, own in zip(groups, picked, strict=True)
        ]
        self.half_norms = self.weighted_half_norms(everything)

    def weighted_half_norms(self, share: Floats) -> Table:
        """Give half the sum of share * z^2, as [G, K, S]."""
        return self._sum([patch.squares(share) for patch in self._patches]) / 2.0

    def dots(self, x: Floats) -> Table:
        """Give z . x, as [G, K, S]."""
        return self._sum([patch.dots(x) for patch in self._patches])

    def mean(self, weights: Table, covers: Table) -> Floats:
        """Give the weighted sum of the band's pictures; `weights` is [G, K, S], `covers` [G, S]."""
        flat = weights.reshape(-1, self._shape[2]).T.astype(np.float32)
        flat[np.abs(flat) < NEGLIGIBLE] = 0.0
        columns = _used(flat, axis=0)
        chosen, light = flat[:, columns], covers.astype(np.float32)
        total = np.empty(self.size, np.float32)
        for patch in self._patches:
            total[patch.places] = patch.mean(chosen, columns, light)
        return total

    def compose(self, palette: int, part: int, subject: int) -> Floats:
        """Give the band's content for one choice of everything."""
        content = np.empty(self.size, np.float32)
        for patch in self._patches:
            picture = palette * self._shape[1] + part
            content[patch.places] = patch.compose(picture, palette, subject % self._shape[2])
        return content

    def _sum(self, parts: list[tuple[Table, Table]]) -> Table:
        """Add up what the patches say of every [G, K, S]."""
        table = np.zeros(self._shape)
        for patch, (bare, extra) in zip(self._patches, parts, strict=True):
            table += bare[:, :, None]
            table[:, :, patch.touching] += extra
        return table


def _pick_places(pictures: Floats, groups: list[Places]) -> list[Floats]:
    """Copy the pictures of each group of places, all into one block of memory.

    Every step streams through all of it, and only a large block gets huge pages, without which that is much slower.
    """
    palettes, parts, size = pictures.shape
    block = np.empty(palettes * parts * size, np.float32)
    picked: list[Floats] = []
    start = 0
    for places in groups:
        end = start + palettes * parts * places.size
        own = block[start:end].reshape(palettes, parts, places.size)
        np.take(pictures, places, axis=2, out=own, mode="clip")
        picked.append(own)
        start = end
    return picked


def _used(weights: Floats, axis: int) -> Places:
    """Find what has a weight; everything, if it is most of it, since picking means copying."""
    used = weights.any(axis=axis)
    return np.flatnonzero(used) if used.sum() * 2 < used.size else np.arange(used.size)


def _pick(rows: Floats, wanted: Places) -> Floats:
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
    """Probabilities of everything given x. Those of guidance (see `mix`) add up to 1 but may be negative."""

    bands: tuple[Table, ...]
    """Joint p(g, k, s) for every band, [G, K, S] or [G, K, 1]."""
    cover: Table
    """Joint p(g, s), [G, S]."""

    def marginals(self) -> tuple[Table, ...]:
        """Give the probabilities of the palettes, of the parts of each band, and of the subjects."""
        parts = (band.sum(axis=(0, 2)) for band in self.bands)
        return (self.cover.sum(axis=1), *parts, self.cover.sum(axis=0))

    def most_likely(self) -> Choice:
        """Pick the most likely palette and subject, then the most likely part of each band with them."""
        palette, subject = (int(i) for i in np.unravel_index(int(self.cover.argmax()), self.cover.shape))
        parts = (int(band[palette, :, subject % band.shape[2]].argmax()) for band in self.bands)
        return Choice(palette, tuple(parts), subject)


def mix(posteriors: Sequence[Posterior], weights: Sequence[float]) -> Posterior:
    """Give the weighted sum: the mean is linear in the tables, so mixing them mixes denoisers, at the cost of one."""

    def total(tables: Iterable[Table]) -> Table:
        return np.sum([weight * table for table, weight in zip(tables, weights, strict=True)], axis=0)

    bands = tuple(total(tables) for tables in zip(*(each.bands for each in posteriors), strict=True))
    return Posterior(bands, total(each.cover for each in posteriors))


@dataclass(frozen=True, slots=True)
class Sight:
    """Clean numbers that are known beforehand; see `ProductModel.sight`."""

    x: Floats
    share: Floats
    """How much of each number is known, 0 to 1."""
    sigma: float
    """The noise level that known numbers are taken to have at most: a little, for a picture not of this world."""
    half_norms: tuple[Table, ...]


class ProductModel:
    """The exact posterior and its mean, for an x that is the bands' numbers one after the other."""

    def __init__(self, bands: tuple[Band, ...]) -> None:
        self.bands = bands
        self._cuts = np.cumsum([band.size for band in bands])[:-1]

    def sight(self, x: Floats, share: Floats, sigma: float) -> Sight:
        """Prepare for known numbers: all flat. The norms take about as long as a few steps, once."""
        shares = np.split(share, self._cuts)
        norms = (band.weighted_half_norms(part) for band, part in zip(self.bands, shares, strict=True))
        return Sight(x, share, sigma, tuple(norms))

    def log_likelihoods(self, x: Array, sigma: float, sight: Sight | None = None) -> tuple[Table, ...]:
        """Give every band's log p(x | g, k, s), up to a constant; x is flat.

        With `sight`, every number has a precision of its own: that of x where nothing is known, that of the known
        one elsewhere.
        """
        precision = 1.0 / sigma**2
        pull = x.astype(np.float32, copy=False) * np.float32(precision)
        if sight is None:
            norms = [band.half_norms * precision for band in self.bands]
        else:
            firm = 1.0 / min(sigma, sight.sigma) ** 2
            pull = pull + sight.share * (sight.x * np.float32(firm) - pull)
            norms = [
                band.half_norms * precision + known * (firm - precision)
                for band, known in zip(self.bands, sight.half_norms, strict=True)
            ]
        pieces = zip(self.bands, np.split(pull, self._cuts), norms, strict=True)
        return tuple(band.dots(piece) - norm for band, piece, norm in pieces)

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
