"""Latents to pixels and back."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from comfy_nb.server.worlds import codec, load_world
from comfy_nb.server.worlds.landscapes import library, scene
from comfy_nb.server.worlds.product import Choice

CHOICES = [
    Choice(5, (14, 2, 1), 1),
    Choice(0, (1, 12, 4), 17),
    Choice(4, (7, 15, 10), 21),
    Choice(9, (20, 9, 19), 30),
    Choice(2, (16, 25, 9), 22),
]


@pytest.fixture(scope="module")
def world():
    return load_world("landscapes")


def latent_of(world, choice, size=64):
    """The latent of a picture, as the library has it."""
    flat = world.model(size, size).compose(choice)
    latent = np.zeros((4, size, size), np.float32)
    start = 0
    for top, bottom in library.band_rows(size):
        count = 3 * (bottom - top) * size
        latent[:3, top:bottom] = flat[start : start + count].reshape(3, bottom - top, size)
        start += count
    return latent


@pytest.mark.parametrize("choice", CHOICES, ids=lambda c: "-".join(scene.names(c)))
def test_a_rendered_picture_encodes_to_its_latent(world, choice):
    pixels = codec.to_pixels(scene.render(choice, 512, 512))
    residual = np.abs(world.encode(pixels[None])[0] - latent_of(world, choice)) / 2.0
    assert residual[:3].mean() < 0.02


@pytest.mark.parametrize("choice", CHOICES, ids=lambda c: "-".join(scene.names(c)))
def test_the_decoder_recognises_a_picture_and_draws_it_sharp(world, choice):
    latent = latent_of(world, choice)
    assert world.recognise(latent) == choice
    np.testing.assert_array_equal(
        world.decode(latent[None])[0], codec.to_pixels(scene.render(choice, 512, 512))
    )


def test_a_picture_survives_pixels_and_back(world):
    pixels = codec.to_pixels(scene.render(CHOICES[0], 512, 512))
    np.testing.assert_array_equal(world.decode(world.encode(pixels[None]))[0], pixels)


def test_a_little_noise_does_not_hide_a_picture(world):
    noisy = latent_of(world, CHOICES[1])
    noisy[:3] += np.random.default_rng(0).normal(size=(3, 64, 64)).astype(np.float32) * 0.1
    assert world.recognise(noisy) == CHOICES[1]


def test_noise_is_only_enlarged(world):
    noise = np.clip(np.random.default_rng(1).normal(size=(1, 4, 64, 64)), -1, 1).astype(np.float32)
    pixels = world.decode(noise)
    assert np.abs(world.encode(pixels)[:, :3] - noise[:, :3]).mean() < 0.35
    small = np.asarray(codec.preview(noise[0]), np.int16)
    assert pixels.min() >= small.min()
    assert pixels.max() <= small.max()
    np.testing.assert_array_equal(pixels[0], codec.to_pixels(codec.enlarge(noise[0])))


def test_a_patchwork_keeps_what_was_put_in(world):
    latent = latent_of(world, CHOICES[1])
    latent[:3, 20:26, 4:10] = np.array([1.0, -1.0, 1.0])[:, None, None]
    pixels = world.decode(latent[None])[0]
    red, green, blue = pixels[22 * 8 : 24 * 8, 6 * 8 : 8 * 8].mean(axis=(0, 1))
    assert red > 200
    assert green < 60
    assert blue > 200
    untouched = codec.to_pixels(scene.render(CHOICES[1], 512, 512))
    assert np.abs(pixels[:128].astype(int) - untouched[:128]).mean() < 2


def test_encode_averages_blocks_and_crops_evenly(world):
    pixels = np.zeros((2, 19, 28, 3), np.uint8)
    pixels[0, 1:9, 2:10] = 255
    latents = world.encode(pixels)
    assert latents.shape == (2, 4, 2, 3)
    assert latents.dtype == np.float32
    np.testing.assert_allclose(latents[0, :3, 0, 0], 1.0)
    np.testing.assert_allclose(latents[0, :3, 1, 2], -1.0)
    np.testing.assert_array_equal(latents[:, 3], 0.0)


def test_a_preview_is_the_latents_own_colours(world):
    x0 = np.zeros((4, 2, 3), np.float32)
    x0[0, 0, 1], x0[1, 1, 2], x0[2] = 1.0, 9.0, -9.0
    image = world.preview(x0)
    assert isinstance(image, Image.Image)
    assert (image.mode, image.size) == ("RGB", (3, 2))
    assert image.getpixel((1, 0)) == (255, 127, 0)
    assert image.getpixel((2, 1)) == (127, 255, 0)


def test_empty_latents_have_comfyuis_shape(world):
    empty = world.empty(640, 384, 3)
    assert empty.shape == (3, 4, 48, 80)
    assert empty.dtype == np.float32
    assert not empty.any()
