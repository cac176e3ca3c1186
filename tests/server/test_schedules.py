"""Noise levels against figures from ComfyUI."""

from __future__ import annotations

import numpy as np
import pytest

from comfy_nb.server.diffusion import schedules

NORMAL_20 = """14.61464 10.7468 8.08152 6.20494 4.85565 3.86538 3.12376 2.55717 2.11566 1.76482 1.48058 1.24581
1.04814 .87843 .72972 .59643 .47358 .35555 .23216 .02917 0"""
KARRAS_20 = """14.61464 11.72537 9.3402 7.38362 5.78941 4.49983 3.46475 2.64084 1.99092 1.48321 1.09079 .79095
.56472 .39639 .27304 .18417 .12134 .07786 .04848 .02917 0"""
BETA_20 = """14.61464 13.5157 11.54277 9.38892 7.37184 5.68659 4.3728 3.37472 2.61524 2.04731 1.61828 1.28462
1.02733 .82122 .65489 .51539 .39551 .29128 .19906 .11142 0"""

GOLDENS = [
    ("normal", 20, NORMAL_20),
    ("karras", 20, KARRAS_20),
    ("beta", 20, BETA_20),
    ("simple", 6, "14.6146 5.9631 2.9183 1.6129 .9324 .4924 0"),
    ("sgm_uniform", 6, "14.6146 5.9489 2.9183 1.6156 .9324 .4936 0"),
    ("exponential", 6, "14.6146 4.2151 1.2157 .3506 .1011 .0292 0"),
    ("ddim_uniform", 6, "14.4386 5.9064 2.9071 1.6129 .9324 .4947 .0413 0"),
    ("linear_quadratic", 6, "14.6146 14.4929 14.3711 14.2493 12.5848 7.8351 0"),
    ("kl_optimal", 6, "14.6146 2.6329 1.2948 .7116 .3356 .0292 0"),
]

EXACT = [name for name in schedules.SCHEDULES if name not in ("ddim_uniform", "beta")]
"""Schedules that have as many steps as were asked for."""


@pytest.mark.parametrize(("name", "steps", "golden"), GOLDENS, ids=[name for name, _, _ in GOLDENS])
def test_sigmas_are_comfyuis(name, steps, golden):
    expected = [float(word) for word in golden.split()]
    np.testing.assert_allclose(schedules.sigmas_for(name, steps), expected, rtol=3e-5, atol=6e-5)


def test_names_are_offered_in_comfyuis_order():
    assert " ".join(schedules.SCHEDULES) == (
        "simple sgm_uniform karras exponential ddim_uniform beta normal linear_quadratic kl_optimal"
    )


def test_the_table_is_that_of_stable_diffusion():
    assert schedules.SIGMAS.size == 1000
    assert pytest.approx(0.0291672, abs=1e-7) == schedules.SIGMA_MIN
    assert pytest.approx(14.6146412, abs=1e-6) == schedules.SIGMA_MAX


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("steps", [1, 2, 7, 20, 150])
def test_every_schedule_falls_to_zero(name, steps):
    sigmas = schedules.sigmas_for(name, steps)
    assert sigmas.size == steps + 1
    assert (np.diff(sigmas) < 0).all()
    assert sigmas[0] == pytest.approx(schedules.SIGMA_MAX)
    assert sigmas[-1] == 0


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize(("steps", "denoise", "longer"), [(20, 0.5, 40), (20, 0.3, 66), (7, 0.99, 7)])
def test_denoise_below_one_is_the_end_of_a_longer_schedule(name, steps, denoise, longer):
    sigmas = schedules.sigmas_for(name, steps, denoise)
    np.testing.assert_array_equal(sigmas, schedules.sigmas_for(name, longer)[-(steps + 1) :])
    assert sigmas.size == steps + 1


def test_denoise_zero_does_nothing():
    assert schedules.sigmas_for("normal", 20, 0.0).size == 0


def test_unknown_names_and_no_steps_are_refused():
    with pytest.raises(ValueError, match="no scheduler 'nromal'; there are simple, sgm_uniform, karras"):
        schedules.sigmas_for("nromal", 20)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        schedules.sigmas_for("normal", 0)


@pytest.mark.parametrize("steps", [1, 3, 20, 300, 999])
def test_beta_and_ddim_uniform_fall_to_zero_in_about_as_many_steps(steps):
    for name in ("ddim_uniform", "beta"):
        sigmas = schedules.sigmas_for(name, steps)
        assert (np.diff(sigmas) < 0).all()
        assert sigmas[-1] == 0
        assert steps * 0.5 <= sigmas.size - 1 <= steps * 1.2 + 1


def test_the_arcsine_distribution_is_inverted_exactly():
    """Beta(1/2, 1/2) has quantiles in closed form."""
    shares = np.linspace(0.0, 1.0, 41)
    found = schedules._beta_quantiles(shares, 0.5, 0.5)
    np.testing.assert_allclose(found, np.sin(np.pi * shares / 2) ** 2, atol=1e-9)


def test_making_room_for_a_look_halfway_to_zero_leaves_the_lowest_level_out():
    whole = schedules.sigmas_for("karras", 11)
    np.testing.assert_array_equal(
        schedules.sigmas_for("karras", 10, skip_last=True), np.append(whole[:-2], 0.0)
    )


def test_schedules_with_settings_of_their_own():
    np.testing.assert_allclose(
        schedules.karras(3, 10.0, 0.1, 7.0), [10.0, ((10 ** (1 / 7) + 0.1 ** (1 / 7)) / 2) ** 7, 0.1, 0.0]
    )
    np.testing.assert_allclose(schedules.exponential(3, 100.0, 0.01), [100.0, 1.0, 0.01, 0.0])
    np.testing.assert_allclose(schedules.polyexponential(3, 100.0, 0.01, 2.0), [100.0, 0.1, 0.01, 0.0])
    np.testing.assert_allclose(schedules.beta(5, 1.0, 1.0)[:-1], schedules.SIGMAS[[999, 799, 599, 400, 200]])
    np.testing.assert_allclose(schedules.sd_turbo(1), [schedules.SIGMA_MAX, 0.0])
    np.testing.assert_allclose(schedules.sd_turbo(2, 0.5), [*schedules.SIGMAS[[499, 399]], 0.0])
    # At time 1 the continuous process has the variance exp(beta_d / 2 + beta_min) - 1.
    assert schedules.vp(4, 10.0, 0.5)[0] == pytest.approx(np.sqrt(np.exp(5.5) - 1.0))


def test_cutting_and_turning_schedules():
    sigmas = np.array([8.0, 4.0, 2.0, 1.0, 0.0])
    high, low = schedules.split(sigmas, 1)
    assert (list(high), list(low)) == ([8, 4], [4, 2, 1, 0])
    high, low = schedules.split_denoise(sigmas, 0.25)
    assert (list(high), list(low)) == ([8, 4, 2, 1], [1, 0])
    assert list(schedules.flip(sigmas)) == [0.0001, 1, 2, 4, 8]
    assert schedules.flip(np.empty(0)).size == 0


def test_percents_of_sampling_are_timesteps_from_the_top():
    assert schedules.sigma_at_percent(0.0) > 1e6
    assert schedules.sigma_at_percent(1.0) == 0.0
    assert schedules.sigma_at_percent(0.5) == pytest.approx(
        np.exp(np.log(schedules.SIGMAS[499:501]).mean()), rel=1e-6
    )
