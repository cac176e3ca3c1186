"""The structured denoiser against plain enumeration of every picture: they must be the same function."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from comfy_nb.server.diffusion.guidance import basic_guider
from comfy_nb.server.diffusion.noise import torch_randn
from comfy_nb.server.worlds.base import Conditioning
from comfy_nb.server.worlds.landscapes import library
from comfy_nb.server.worlds.landscapes.canvas import Canvas
from comfy_nb.server.worlds.landscapes.palettes import PALETTES, Ink
from comfy_nb.server.worlds.landscapes.parts import paint_sky
from comfy_nb.server.worlds.landscapes.subjects import SUBJECTS
from comfy_nb.server.worlds.landscapes.world import Landscapes
from comfy_nb.server.worlds.product import Band, Choice, Prior, ProductModel, mix

NEVER = -1e30
EMPTY = Conditioning("")


def softmax(logits):
    odds = np.exp(logits - logits.max())
    return odds / odds.sum()


# A product of random numbers: every index of the engine, in float64, with no drawing at all.

G, K, S, D = 3, (4, 2, 3), 5, (10, 14, 9)


@pytest.fixture
def toy():
    rng = np.random.default_rng(4)
    pictures = [rng.normal(size=(G, k, d)).astype(np.float32) for k, d in zip(K, D, strict=True)]
    through = [rng.uniform(0, 1, size=(S, d)).astype(np.float32) for d in D]
    light = [rng.normal(size=(G, S, d)).astype(np.float32) * 0.5 for d in D]
    for t, f in zip(through, light, strict=True):  # each subject leaves some places alone, as figures do
        bare = rng.random(t.shape) < 0.5
        t[bare] = 1.0
        f[:, bare] = 0.0
    labels = [np.arange(d) % 3 for d in D]
    bands = (Band(pictures[0]), *(Band(pictures[r], through[r], light[r], labels[r]) for r in (1, 2)))
    prior = Prior(
        rng.normal(size=G),
        (rng.normal(size=(G, K[0], 1)), rng.normal(size=(G, K[1], 1)), rng.normal(size=(G, K[2], S))),
        rng.normal(size=(G, S)),
    )
    everything = list(itertools.product(range(G), range(K[0]), range(K[1]), range(K[2]), range(S)))

    def picture(g, a, b, c, s):
        behind = (pictures[1][g, b], pictures[2][g, c])
        covered = [through[r][s] * behind[r - 1] + light[r][g, s] for r in (1, 2)]
        return np.concatenate((pictures[0][g, a], *covered)).astype(np.float64)

    def log_prior(g, a, b, c, s):
        bands = prior.parts[0][g, a, 0] + prior.parts[1][g, b, 0] + prior.parts[2][g, c, s]
        return prior.palette[g] + prior.subject[g, s] + bands

    all_pictures = np.array([picture(*choice) for choice in everything])
    return ProductModel(bands), prior, everything, all_pictures, np.array([log_prior(*c) for c in everything])


@pytest.mark.parametrize("sigma", [0.2, 0.7, 2.0, 10.0])
def test_mean_and_posterior_equal_enumeration(toy, sigma):
    model, prior, everything, pictures, log_prior = toy
    rng = np.random.default_rng(int(sigma * 10))
    x = (pictures[77] + sigma * rng.normal(size=pictures.shape[1])).astype(np.float32)
    weights = softmax(log_prior - np.square(x - pictures).sum(axis=1) / (2 * sigma**2))
    posterior = model.posterior(model.log_likelihoods(x, sigma), prior)
    np.testing.assert_allclose(model.mean(posterior), weights @ pictures, atol=2e-5)
    cover = np.zeros((G, S))
    backdrop = np.zeros((G, K[1], S))
    for (g, _, b, _, s), weight in zip(everything, weights, strict=True):
        cover[g, s] += weight
        backdrop[g, b, s] += weight
    np.testing.assert_allclose(posterior.cover, cover, atol=2e-5)
    np.testing.assert_allclose(posterior.bands[1], backdrop, atol=2e-5)


def test_mixing_the_tables_mixes_the_mean(toy):
    model, prior, _, pictures, _ = toy
    x = (pictures[5] + np.random.default_rng(2).normal(size=pictures.shape[1])).astype(np.float32)
    likelihoods = model.log_likelihoods(x, 1.0)
    other = dataclasses.replace(prior, palette=prior.palette[::-1].copy(), subject=-prior.subject)
    near, far = model.posterior(likelihoods, prior), model.posterior(likelihoods, other)
    for cfg in (0.0, 1.0, 6.0):
        expected = model.mean(far) + cfg * (model.mean(near) - model.mean(far))
        np.testing.assert_allclose(model.mean(mix([near, far], [cfg, 1.0 - cfg])), expected, atol=3e-5)


def test_compose_is_the_picture_and_the_most_likely_one_at_low_noise(toy):
    model, prior, everything, pictures, _ = toy
    for index in (0, 77, 200, len(everything) - 1):
        g, a, b, c, s = everything[index]
        choice = Choice(g, (a, b, c), s)
        np.testing.assert_allclose(model.compose(choice), pictures[index], atol=1e-6)
        likelihoods = model.log_likelihoods(pictures[index].astype(np.float32), 0.02)
        assert model.posterior(likelihoods, prior).most_likely() == choice


# The real world, narrowed to 216 pictures that the test draws whole.

PALETTE_CHOICES, SUBJECT_CHOICES = (0, 4, 9), (0, 1, 12, 30)
PART_CHOICES = ((0, 7, 20), (0, 9, 17), (1, 15))
SIZE = 32


def draw(palette, parts, subject):
    """One picture as latents, drawn in one go, without the engine."""
    ink, strips = Ink([PALETTES[palette]]), library.band_rows(SIZE)
    bands = []
    for options, part, rows in zip(library.PARTS, parts, strips, strict=True):
        canvas = Canvas(SIZE, SIZE, rows, ink, library.FINENESS)
        paint_sky(canvas)
        options[part].paint(canvas)
        bands.append(canvas.image[0])
    front = Canvas(SIZE, SIZE, (strips[1][0], SIZE), ink, library.FINENESS)
    SUBJECTS[subject].paint(front)
    lower = np.concatenate(bands[1:], axis=1) * front.through + front.image[0]
    return np.concatenate((bands[0], lower), axis=1).astype(np.float64)


def only(table, wanted, axis):
    shape = [1] * table.ndim
    shape[axis] = table.shape[axis]
    barred = np.full(table.shape[axis], NEVER)
    barred[list(wanted)] = 0.0
    return table + barred.reshape(shape)


@pytest.fixture(scope="module")
def narrow():
    world = Landscapes()
    base = world.lexicon.base
    parts = tuple(only(t, wanted, 1) for t, wanted in zip(base.parts, PART_CHOICES, strict=True))
    prior = Prior(only(base.palette, PALETTE_CHOICES, 0), parts, only(base.subject, SUBJECT_CHOICES, 1))
    world.lexicon = dataclasses.replace(world.lexicon, base=prior)
    choices = list(itertools.product(PALETTE_CHOICES, itertools.product(*PART_CHOICES), SUBJECT_CHOICES))
    logs = [
        base.palette[g] + base.parts[0][g, a, 0] + base.parts[1][g, b, 0] + base.parts[2][g, c, s]
        + base.subject[g, s]
        for g, (a, b, c), s in choices
    ]  # fmt: skip
    return world, np.array([draw(*choice) for choice in choices]), np.array(logs)


@pytest.mark.parametrize("sigma", [14.6, 4.0, 1.5, 0.6, 0.2, 0.03])
def test_the_landscapes_denoiser_equals_enumeration_of_216_pictures(narrow, sigma):
    world, pictures, log_prior = narrow
    assert len(pictures) == 216
    shape = (2, 4, SIZE, SIZE)
    scale = world.scale(shape)
    x = torch_randn(shape, 3) * np.float32(sigma)
    x[0, :3] += (pictures[40] * scale).astype(np.float32)
    x[1, :3] += (pictures[150] * scale).astype(np.float32)
    guess = basic_guider(world, EMPTY).denoiser(shape)(x, sigma)
    for item, found in zip(x, guess, strict=True):
        distances = np.square(item[:3] - pictures * scale).sum(axis=(1, 2, 3))
        weights = softmax(log_prior - distances / (2 * sigma**2))
        expected = np.tensordot(weights, pictures * scale, axes=1)
        np.testing.assert_allclose(found[:3], expected, atol=2e-6)
        assert not found[3].any()
