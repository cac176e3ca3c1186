"""Known pixels: the exact conditioning of an inpainting model, and what a noise mask makes of the same hole."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from comfy_nb.server.diffusion.guidance import basic_guider
from comfy_nb.server.diffusion.sampling import ksampler
from comfy_nb.server.worlds import load_world
from comfy_nb.server.worlds.base import Known
from comfy_nb.server.worlds.landscapes import scene
from comfy_nb.server.worlds.product import Band, Prior, ProductModel

SETTINGS = {"sampler_name": "euler", "scheduler": "karras", "steps": 16}


@pytest.fixture(scope="module")
def world():
    return load_world("landscapes")


@pytest.fixture(scope="module")
def sunset(world):
    """A latent of a boat at sunset, and its picture's names."""
    words = world.encode_prompt("sunset, lake, boat, mountains")
    latent = ksampler(
        world,
        seed=3,
        cfg=6.0,
        positive=words,
        negative=world.encode_prompt(""),
        samples=world.empty(256, 256, 1),
        **SETTINGS,
    )
    return latent, scene.names(world.recognise(latent[0]))


def upper_half():
    mask = np.zeros((256, 256), np.float32)
    mask[:120] = 1.0
    return mask


def paint(world, latent, mask, conditioning, seed):
    nothing = dataclasses.replace(world.encode_prompt(""), known=conditioning.known)
    return ksampler(
        world,
        seed=seed,
        cfg=4.0,
        positive=conditioning,
        negative=nothing,
        samples=latent,
        mask=mask,
        **SETTINGS,
    )


@pytest.mark.parametrize("sigma", [0.3, 1.0, 4.0])
def test_with_known_numbers_the_posterior_equals_enumeration(sigma):
    rng = np.random.default_rng(5)
    palettes, parts, subjects, size = 2, 5, 3, 30
    pictures = rng.normal(size=(palettes, parts, size)).astype(np.float32)
    through = rng.uniform(size=(subjects, size)).astype(np.float32)
    light = rng.normal(size=(palettes, subjects, size)).astype(np.float32)
    model = ProductModel((Band(pictures, through, light),))
    prior = Prior(
        rng.normal(size=palettes),
        (rng.normal(size=(palettes, parts, 1)),),
        rng.normal(size=(palettes, subjects)),
    )
    x, clean = rng.normal(size=(2, size)).astype(np.float32)
    share = rng.uniform(size=size).astype(np.float32)
    sight = model.sight(clean, share, 0.6)
    found = model.posterior(model.log_likelihoods(x, sigma, sight), prior)

    seen = pictures[:, :, None] * through + light[:, None]  # [G, K, S, size]
    firm = min(sigma, 0.6)
    logits = (
        -np.square(seen - x) / (2 * sigma**2) * (1 - share) - np.square(seen - clean) / (2 * firm**2) * share
    )
    joint = logits.sum(axis=3) + prior.parts[0] + (prior.palette[:, None] + prior.subject)[:, None]
    joint = np.exp(joint - joint.max())
    np.testing.assert_allclose(found.bands[0], joint / joint.sum(), atol=1e-5)


def test_nothing_known_changes_nothing(world):
    shape = (1, 4, 32, 32)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    plain = world.encode_prompt("castle")
    known = dataclasses.replace(
        plain, known=Known(np.ones(shape, np.float32), np.ones((1, 256, 256), np.float32))
    )
    expected = basic_guider(world, plain).denoiser(shape)(x, 1.0)
    np.testing.assert_allclose(basic_guider(world, known).denoiser(shape)(x, 1.0), expected, atol=1e-5)


def test_with_all_known_the_picture_is_decided_at_any_noise(world, sunset):
    latent, _ = sunset
    known = Known(latent, np.zeros((256, 256), np.float32))
    conditioning = dataclasses.replace(world.encode_prompt(""), known=known)
    noise = np.random.default_rng(1).normal(size=latent.shape).astype(np.float32) * 14.0
    guess = basic_guider(world, conditioning).denoiser(latent.shape)(noise, 14.0) / world.scale(latent.shape)
    np.testing.assert_allclose(guess[:, :3], latent[:, :3], atol=0.02)


def test_an_inpainting_model_always_goes_on_with_what_is_known(world, sunset):
    latent, names = sunset
    mask = upper_half()
    conditioning = dataclasses.replace(world.encode_prompt("stars"), known=Known(latent, mask))
    for seed in (1, 2, 3):
        painted = paint(world, latent, mask, conditioning, seed)
        choice = world.recognise(painted[0])
        palette, _, _, ground, subject = scene.names(choice)
        assert (palette, ground, subject) == (names[0], names[3], names[4])
        assert "star" in scene.tags(choice)
        np.testing.assert_allclose(painted[0, :3, 16:], latent[0, :3, 16:], atol=1e-5)


def test_a_noise_mask_keeps_its_pixels_but_may_miss_the_light(world, sunset):
    """At high noise the kept half is noise as well, so nothing holds the new sky to the old palette."""
    latent, names = sunset
    mask = upper_half()
    skies = []
    for seed in (1, 2, 3, 4):
        painted = paint(world, latent, mask, world.encode_prompt("noon, blue, day"), seed)
        np.testing.assert_allclose(painted[0, :3, 16:], latent[0, :3, 16:], atol=1e-5)
        skies.append(painted[0, :3, :4].mean(axis=(1, 2)))
    kept = latent[0, :3, :4].mean(axis=(1, 2))
    assert names[0] == "sunset"
    assert max(np.abs(sky - kept).max() for sky in skies) > 0.3


def test_a_batch_may_know_a_picture_each(world):
    latents = np.concatenate(
        [
            ksampler(
                world,
                seed=4,
                cfg=6.0,
                positive=world.encode_prompt(text),
                negative=world.encode_prompt(""),
                samples=world.empty(256, 256, 1),
                **SETTINGS,
            )
            for text in ("night, castle", "winter, snowman")
        ]
    )
    conditioning = dataclasses.replace(world.encode_prompt(""), known=Known(latents, upper_half()))
    painted = paint(world, latents, upper_half(), conditioning, 5)
    for new, old in zip(painted, latents, strict=True):
        found, expected = scene.names(world.recognise(new)), scene.names(world.recognise(old))
        assert (found[0], found[4]) == (expected[0], expected[4])
