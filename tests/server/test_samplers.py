"""Samplers on distributions whose answer is known in closed form, and what KSampler makes of them."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from comfy_nb.server.diffusion.noise import torch_randn
from comfy_nb.server.diffusion.samplers import SAMPLER_FUNCTIONS, euler
from comfy_nb.server.diffusion.sampling import SAMPLERS, SCHEDULERS, ksampler
from comfy_nb.server.diffusion.schedules import SIGMA_MAX, sigmas_for
from comfy_nb.server.worlds.base import Conditioning

EMPTY = Conditioning("")
SHAPE = (2, 4, 8, 8)


def gaussian(x, sigma):
    """The denoiser of data distributed as N(0, 1)."""
    return x / (1.0 + sigma * sigma)


def ignore(index, guess):
    pass


def run(name, denoiser, x, sigmas):
    return SAMPLER_FUNCTIONS[name](denoiser, x, sigmas, ignore)


@pytest.mark.parametrize(
    ("scheduler", "steps", "gain"),
    [
        ("karras", 20, 0.922876),
        ("karras", 10, 0.844542),
        ("normal", 20, 0.931296),
        ("normal", 10, 0.863717),
        ("simple", 20, 0.929483),
    ],
)
def test_eulers_gain_on_gaussian_data_is_comfyuis(scheduler, steps, gain):
    start = np.array([math.sqrt(1.0 + SIGMA_MAX**2)])
    assert run("euler", gaussian, start, sigmas_for(scheduler, steps))[0] == pytest.approx(gain, abs=2e-5)


def test_euler_is_of_first_order():
    def error(steps):
        ramp = np.linspace(10.0 ** (1 / 7), 0.1 ** (1 / 7), steps) ** 7
        exact = math.sqrt((1 + 0.1**2) / (1 + 10.0**2))
        return abs(run("euler", gaussian, np.ones(1), ramp)[0] / exact - 1.0)

    errors = [error(steps) for steps in (40, 80, 160)]
    for coarse, fine in pairwise(errors):
        assert 0.9 < math.log2(coarse / fine) < 1.1


@pytest.mark.parametrize("name", SAMPLERS)
def test_with_one_image_every_sampler_ends_on_it(name):
    image = np.linspace(-1.0, 1.0, 48)
    start = np.random.default_rng(0).normal(size=48) * SIGMA_MAX
    end = run(name, lambda x, sigma: image, start, sigmas_for("karras", 20))
    np.testing.assert_allclose(end, image, atol=1e-14)


@pytest.mark.parametrize("name", SAMPLERS)
def test_with_two_images_every_sampler_ends_on_the_nearer_one(name):
    rng = np.random.default_rng(1)
    image = rng.normal(size=48) * 0.3
    starts = rng.normal(size=(64, 48)) * SIGMA_MAX

    def either(x, sigma):
        return np.tanh(x @ image / sigma**2)[:, None] * image

    ends = run(name, either, starts, sigmas_for("karras", 20))
    np.testing.assert_allclose(ends, np.sign(starts @ image)[:, None] * image, atol=1e-9)


def test_steps_are_reported_in_order_with_their_guess():
    seen = []
    sigmas = sigmas_for("normal", 5)
    euler(lambda x, sigma: np.full(1, sigma), np.ones(1), sigmas, lambda i, guess: seen.append((i, guess[0])))
    assert seen == [(i, sigmas[i]) for i in range(5)]


class OnePicture:
    """A world with a single picture, 0.5 everywhere, that records what the denoiser was asked."""

    name = "one"
    vocabulary = ()

    def __init__(self):
        self.asked = []

    def scale(self, shape):
        return 0.25

    def denoiser(self, shape, positive, negative, cfg):
        def denoise(x, sigma):
            self.asked.append((x, sigma))
            return np.full(shape, 0.5 * 0.25, np.float32)

        return denoise


def sample(world, **changes):
    settings = {
        "seed": 9,
        "steps": 4,
        "cfg": 8.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "positive": EMPTY,
        "negative": EMPTY,
        "samples": np.zeros(SHAPE, np.float32),
    }
    return ksampler(world, **(settings | changes))


def test_ksampler_starts_from_torchs_noise_and_ends_in_v_space():
    world = OnePicture()
    result = sample(world)
    first, sigma = world.asked[0]
    assert sigma == pytest.approx(SIGMA_MAX)
    np.testing.assert_allclose(first, torch_randn(SHAPE, 9) * math.sqrt(1 + SIGMA_MAX**2), rtol=1e-6)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, 0.5, atol=1e-5)


def test_ksampler_below_full_denoise_starts_from_the_noised_latent():
    world = OnePicture()
    latent = np.full(SHAPE, -0.75, np.float32)
    sample(world, samples=latent, denoise=0.5)
    first, sigma = world.asked[0]
    assert len(world.asked) == 4
    assert sigma == pytest.approx(sigmas_for("normal", 8)[4])
    np.testing.assert_allclose(first, -0.75 * 0.25 + torch_randn(SHAPE, 9) * sigma, rtol=1e-5, atol=1e-6)


def test_ksampler_with_no_denoise_gives_the_latent_back():
    world = OnePicture()
    latent = np.full(SHAPE, 0.3, np.float32)
    np.testing.assert_array_equal(sample(world, samples=latent, denoise=0.0), latent)
    assert world.asked == []


def test_ksampler_calls_back_after_every_step_with_x0_in_v_space():
    calls = []
    sample(OnePicture(), callback=lambda step, of, x0: calls.append((step, of, float(x0.mean()), x0.shape)))
    assert calls == [(step, 4, pytest.approx(0.5), SHAPE) for step in (1, 2, 3, 4)]


def test_what_the_callback_raises_stops_the_sampling():
    class Stop(Exception):
        pass

    def stop_at_two(step, of, x0):
        if step == 2:
            raise Stop

    world = OnePicture()
    with pytest.raises(Stop):
        sample(world, callback=stop_at_two)
    assert len(world.asked) == 2


def test_unknown_names_are_refused_before_anything_is_sampled():
    world = OnePicture()
    with pytest.raises(ValueError, match="no sampler 'eular'; there are euler"):
        sample(world, sampler_name="eular")
    with pytest.raises(ValueError, match="no scheduler 'fast'"):
        sample(world, scheduler="fast")
    assert world.asked == []


def test_names_are_offered_in_comfyuis_order():
    assert SAMPLERS[0] == "euler"
    assert SCHEDULERS == ("simple", "karras", "normal")
