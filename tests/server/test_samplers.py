"""Samplers on distributions whose answer is known in closed form. The goldens come from ComfyUI itself."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from comfy_nb.server.diffusion.noise import Wiener
from comfy_nb.server.diffusion.samplers import SAMPLER_FUNCTIONS, SKIP_LAST, sampler
from comfy_nb.server.diffusion.samplers.base import ancestral
from comfy_nb.server.diffusion.sampling import SAMPLERS
from comfy_nb.server.diffusion.schedules import SIGMA_MAX, sigmas_for
from tests.server.gaussians import Draws, gaussian, run

STOCHASTIC = frozenset(
    name for name in SAMPLERS if "ancestral" in name or "sde" in name or name in ("ddpm", "lcm")
)
DETERMINISTIC = tuple(name for name in SAMPLERS if name not in STOCHASTIC)

GAINS = {
    ("karras", 20): {
        "euler": 0.922876,
        "heun": 1.011428,
        "dpm_2": 1.005034,
        "lms": 0.994042,
        "dpmpp_2m": 1.011960,
        "heunpp2": 0.935610,
        "ipndm": 1.003529,
        "deis": 0.997990,
        "res_multistep": 1.017952,
        "gradient_estimation": 1.060747,
        "ddim": 0.922876,
    },
    ("karras", 10): {"euler": 0.844542, "heun": 1.056058, "dpm_2": 1.022872, "lms": 0.951318, "dpmpp_2m": 1.054264},
    ("normal", 20): {"euler": 0.931296, "heun": 1.005157, "dpm_2": 0.978275, "lms": 0.997755, "dpmpp_2m": 1.059617},
    ("normal", 10): {"euler": 0.863717, "heun": 1.025816, "dpm_2": 0.954219, "lms": 0.982998, "dpmpp_2m": 1.162741},
    ("simple", 20): {"euler": 0.929483, "heun": 0.980674, "dpm_2": 0.950797, "lms": 0.974234, "dpmpp_2m": 0.980496},
    ("exponential", 20): {
        "euler": 0.921477,
        "heun": 1.013990,
        "dpm_2": 1.005523,
        "lms": 0.990799,
        "dpmpp_2m": 1.005811,
    },
}  # fmt: skip
"""What ComfyUI's own samplers make of sqrt(1 + sigma_max^2) when the data is N(0, 1)."""

SPREADS = {
    "euler_ancestral": 0.8506,
    "dpm_2_ancestral": 1.0246,
    "dpmpp_2s_ancestral": 0.9721,
    "dpmpp_sde": 0.8747,
    "dpmpp_2m_sde": 1.0302,
    "ddpm": 0.8506,
    "lcm": 0.6518,
}
"""Standard deviation of what ComfyUI's stochastic samplers make of N(0, 1) data, 20 karras steps."""


def ksampler_sigmas(name, scheduler, steps):
    return sigmas_for(scheduler, steps, skip_last=name in SKIP_LAST)


@pytest.mark.parametrize(
    ("scheduler", "steps", "name", "gain"),
    [(*setting, name, gain) for setting, gains in GAINS.items() for name, gain in gains.items()],
)
def test_gains_on_gaussian_data_are_comfyuis(scheduler, steps, name, gain):
    start = np.array([math.sqrt(1.0 + SIGMA_MAX**2)])
    assert run(name, gaussian, start, ksampler_sigmas(name, scheduler, steps))[0] == pytest.approx(
        gain, abs=2e-5
    )


@pytest.mark.parametrize("name", SPREADS)
def test_the_spread_of_stochastic_samplers_is_comfyuis(name):
    start = np.random.default_rng(7).normal(size=200_000) * math.sqrt(1.0 + SIGMA_MAX**2)
    ends = run(name, gaussian, start, ksampler_sigmas(name, "karras", 20))
    assert ends.std() == pytest.approx(SPREADS[name], abs=0.005)
    assert abs(ends.mean()) < 0.01


ERRORS = {
    "euler": (1.1e-1, 5.6e-2, 2.9e-2, 1.4e-2, 7.2e-3, 3.6e-3),
    "heun": (2.6e-2, 6.3e-3, 1.5e-3, 3.8e-4, 9.5e-5, 2.4e-5),
    "dpm_2": (1.5e-2, 3.6e-3, 8.8e-4, 2.2e-4, 5.4e-5, 1.4e-5),
    "dpmpp_2m": (2.2e-2, 5.8e-3, 1.4e-3, 3.5e-4, 8.7e-5, 2.2e-5),
    "dpmpp_2s_ancestral": (1.3e-2, 3.3e-3, 8.5e-4, 2.1e-4, 5.4e-5, 1.3e-5),
    "dpmpp_sde": (1.3e-2, 3.3e-3, 8.5e-4, 2.1e-4, 5.4e-5, 1.3e-5),
    "lms": (1.9e-2, 2.1e-3, 2.0e-4, 2.1e-5, 3.1e-6, 6.1e-7),
}
"""Relative errors of ComfyUI's samplers in 10, 20, ... 320 steps from sigma 10 to 0.1; eta 0 where there is one."""


def level_errors(name, counts):
    options = {"eta": 0.0} if name in STOCHASTIC else {}
    exact = math.sqrt((1 + 0.1**2) / (1 + 10.0**2))
    for count in counts:
        levels = np.linspace(10.0 ** (1 / 7), 0.1 ** (1 / 7), count + 1) ** 7
        yield abs(run(name, gaussian, np.ones(1), levels, **options)[0] / exact - 1.0)


@pytest.mark.parametrize("name", ERRORS)
def test_errors_fall_as_fast_as_comfyuis(name):
    np.testing.assert_allclose(list(level_errors(name, (10, 20, 40, 80, 160, 320))), ERRORS[name], rtol=0.06)


@pytest.mark.parametrize(
    "name", ["euler", "heun", "dpm_2", "dpmpp_2m", "dpmpp_2s_ancestral", "dpmpp_sde", "lms"]
)
def test_the_order_of_convergence(name):
    low, high = {"euler": (0.9, 1.1), "lms": (2.5, 4.0)}.get(name, (1.85, 2.15))
    for coarse, fine in pairwise(level_errors(name, (40, 80, 160))):
        assert low < math.log2(coarse / fine) < high


def two_bumps(x, sigma):
    """The denoiser of an even mixture of N(1, .09) and N(-1, .09)."""
    variance = 0.09 + sigma**2
    side = np.tanh(x / variance)
    return (x * 0.09 + side * sigma**2) / variance


@pytest.mark.parametrize("name", ["euler", "heun", "dpm_2", "dpmpp_2m", "lms"])
def test_the_order_of_convergence_on_two_bumps(name):
    starts = np.linspace(-15.0, 15.0, 400)

    def ends(solver, count):
        return run(solver, two_bumps, starts, np.linspace(10.0 ** (1 / 7), 0.1 ** (1 / 7), count) ** 7)

    exact = ends("heun", 4000)
    errors = [np.sqrt(np.square(ends(name, count) - exact).mean()) for count in (80, 160, 320)]
    low, high = {"euler": (0.85, 1.1), "lms": (2.5, 4.2)}.get(name, (1.7, 2.15))
    for coarse, fine in pairwise(errors):
        assert low < math.log2(coarse / fine) < high


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("scheduler", ["karras", "normal", "beta"])
def test_with_one_image_every_sampler_ends_on_it(name, scheduler):
    image = np.linspace(-1.0, 1.0, 48)
    start = np.random.default_rng(0).normal(size=48) * SIGMA_MAX
    end = run(name, lambda x, sigma: image, start, ksampler_sigmas(name, scheduler, 20))
    np.testing.assert_allclose(end, image, atol=1e-14)


def either(image, odds=0.0):
    """The denoiser of two pictures, `image` and its negative; `odds` are the log odds of the first."""

    def denoise(x, sigma):
        return np.tanh(x @ image / sigma**2 + odds / 2)[:, None] * image

    return denoise


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_with_two_images_deterministic_samplers_end_on_the_nearer_one(name):
    rng = np.random.default_rng(1)
    image = rng.normal(size=48) * 0.3
    starts = rng.normal(size=(64, 48)) * SIGMA_MAX
    # Extrapolating solvers may leave their side while a decision is close, so only clear cases count for them.
    clear = np.abs(starts @ image) > (
        0.0 if name in ("euler", "ddim") else 0.2 * SIGMA_MAX * np.linalg.norm(image)
    )
    ends = run(name, either(image), starts[clear], sigmas_for("karras", 20))
    assert clear.sum() >= 40
    np.testing.assert_allclose(ends, np.sign(starts[clear] @ image)[:, None] * image, atol=1e-6)


@pytest.mark.parametrize("name", ["euler", "dpmpp_2m", "euler_ancestral"])
def test_likely_images_come_as_often_as_they_should(name):
    rng = np.random.default_rng(2)
    image = rng.normal(size=16) * 0.3
    signs = np.where(rng.random(20_000) < 0.8, 1.0, -1.0)
    starts = signs[:, None] * image + rng.normal(size=(20_000, 16)) * SIGMA_MAX
    ends = run(name, either(image, math.log(0.8 / 0.2)), starts, sigmas_for("karras", 20))
    landed = np.sign(ends @ image)
    np.testing.assert_allclose(ends, landed[:, None] * image, atol=1e-9)
    assert (landed > 0).mean() == pytest.approx(0.8, abs=0.035)


def test_ddpm_and_euler_ancestral_are_one_and_the_same():
    start = np.random.default_rng(3).normal(size=200) * SIGMA_MAX
    sigmas = sigmas_for("karras", 20)
    np.testing.assert_allclose(
        run("ddpm", two_bumps, start, sigmas), run("euler_ancestral", two_bumps, start, sigmas)
    )


def test_without_noise_ancestral_samplers_are_their_plain_selves():
    start = np.random.default_rng(4).normal(size=50) * SIGMA_MAX
    sigmas = sigmas_for("karras", 12)
    for name, plain in (
        ("euler_ancestral", "euler"),
        ("dpm_2_ancestral", "dpm_2"),
        ("res_multistep_ancestral", "res_multistep"),
    ):
        np.testing.assert_allclose(
            run(name, two_bumps, start, sigmas, eta=0.0), run(plain, two_bumps, start, sigmas)
        )
    np.testing.assert_allclose(
        run("dpmpp_2m_sde", two_bumps, start, sigmas, s_noise=0.0, eta=0.0, solver_type="heun")[:3],
        run("dpmpp_2m_sde_heun", two_bumps, start, sigmas, s_noise=0.0, eta=0.0)[:3],
    )


def test_an_ancestral_step_ends_at_the_level_asked_for():
    down, up = ancestral(3.0, 1.0, 1.0)
    assert math.hypot(down, up) == pytest.approx(1.0)
    assert up == pytest.approx(math.sqrt(8.0) / 3.0)
    assert ancestral(3.0, 1.0, 0.0) == (1.0, 0.0)
    assert ancestral(3.0, 0.0, 1.0) == (0.0, 0.0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_steps_are_reported_once_each_with_their_x_and_guess(name):
    seen = []
    sigmas = sigmas_for("normal", 5)
    start = np.full(16, 3.0)

    def denoise(x, sigma):
        return np.full(16, sigma)

    SAMPLER_FUNCTIONS[name](denoise, start, sigmas, lambda *step: seen.append(step), Draws(16))
    assert [index for index, _, _ in seen] == list(range(5))
    assert [guess[0] for _, _, guess in seen] == list(sigmas[:-1])
    np.testing.assert_array_equal(seen[0][1], start)


@pytest.mark.parametrize("name", SAMPLERS)
def test_float32_stays_float32(name):
    noise = Wiener((4, 4), 1)
    start = np.ones((4, 4), np.float32)
    end = SAMPLER_FUNCTIONS[name](
        lambda x, sigma: x * np.float32(0.5), start, sigmas_for("karras", 6), lambda *step: None, noise
    )
    assert end.dtype == np.float32


def test_options_are_set_by_name():
    start, sigmas = np.ones(16) * 9.0, sigmas_for("karras", 6)
    quiet = sampler("euler_ancestral", eta=0.0)(two_bumps, start, sigmas, lambda *step: None, Draws(16))
    np.testing.assert_allclose(quiet, run("euler", two_bumps, start, sigmas))
    first = sampler("lms", order=1)(two_bumps, start, sigmas, lambda *step: None, Draws(16))
    np.testing.assert_allclose(first, run("euler", two_bumps, start, sigmas))
    assert sampler("heun") is SAMPLER_FUNCTIONS["heun"]
    with pytest.raises(ValueError, match="no sampler 'eular'; there are euler, euler_ancestral"):
        sampler("eular")


def test_names_are_offered_in_comfyuis_order():
    assert " ".join(SAMPLERS) == (
        "euler euler_ancestral heun heunpp2 dpm_2 dpm_2_ancestral lms dpmpp_2s_ancestral dpmpp_sde dpmpp_sde_gpu "
        "dpmpp_2m dpmpp_2m_sde dpmpp_2m_sde_gpu dpmpp_2m_sde_heun dpmpp_2m_sde_heun_gpu dpmpp_3m_sde "
        "dpmpp_3m_sde_gpu ddpm lcm ipndm deis res_multistep res_multistep_ancestral gradient_estimation ddim"
    )
