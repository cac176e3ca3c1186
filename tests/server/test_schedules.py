"""Noise levels against figures from ComfyUI."""

from __future__ import annotations

import numpy as np
import pytest

from comfy_nb.server.diffusion import schedules

NORMAL_20 = """14.61464 10.7468 8.08152 6.20494 4.85565 3.86538 3.12376 2.55717 2.11566 1.76482 1.48058 1.24581
1.04814 .87843 .72972 .59643 .47358 .35555 .23216 .02917 0"""
KARRAS_20 = """14.61464 11.72537 9.3402 7.38362 5.78941 4.49983 3.46475 2.64084 1.99092 1.48321 1.09079 .79095
.56472 .39639 .27304 .18417 .12134 .07786 .04848 .02917 0"""
SIMPLE_6 = "14.6146 5.9631 2.9183 1.6129 .9324 .4924 0"


@pytest.mark.parametrize(
    ("name", "golden"), [("normal", NORMAL_20), ("karras", KARRAS_20), ("simple", SIMPLE_6)]
)
def test_sigmas_are_comfyuis(name, golden):
    expected = [float(word) for word in golden.split()]
    np.testing.assert_allclose(schedules.sigmas_for(name, len(expected) - 1), expected, rtol=3e-5, atol=6e-5)


def test_the_table_is_that_of_stable_diffusion():
    assert schedules.SIGMAS.size == 1000
    assert pytest.approx(0.0291672, abs=1e-7) == schedules.SIGMA_MIN
    assert pytest.approx(14.6146412, abs=1e-6) == schedules.SIGMA_MAX


@pytest.mark.parametrize("name", schedules.SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 7, 20, 150])
def test_every_schedule_falls_to_zero(name, steps):
    sigmas = schedules.sigmas_for(name, steps)
    assert sigmas.size == steps + 1
    assert (np.diff(sigmas) < 0).all()
    assert sigmas[0] == pytest.approx(schedules.SIGMA_MAX)
    assert sigmas[-1] == 0


@pytest.mark.parametrize("name", schedules.SCHEDULES)
@pytest.mark.parametrize(("steps", "denoise", "longer"), [(20, 0.5, 40), (20, 0.3, 66), (7, 0.99, 7)])
def test_denoise_below_one_is_the_end_of_a_longer_schedule(name, steps, denoise, longer):
    sigmas = schedules.sigmas_for(name, steps, denoise)
    np.testing.assert_array_equal(sigmas, schedules.sigmas_for(name, longer)[-(steps + 1) :])
    assert sigmas.size == steps + 1


def test_denoise_zero_does_nothing():
    assert schedules.sigmas_for("normal", 20, 0.0).size == 0


def test_unknown_names_and_no_steps_are_refused():
    with pytest.raises(ValueError, match="no scheduler 'nromal'; there are simple, karras, normal"):
        schedules.sigmas_for("nromal", 20)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        schedules.sigmas_for("normal", 0)
