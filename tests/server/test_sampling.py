"""What KSampler and SamplerCustomAdvanced make of a world, a seed, a schedule, masks and prompts."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from comfy_nb.server.diffusion.guidance import basic_guider, cfg_guider, dual_cfg_guider
from comfy_nb.server.diffusion.noise import NoNoise, RandomNoise, torch_randn
from comfy_nb.server.diffusion.samplers import SAMPLER_FUNCTIONS
from comfy_nb.server.diffusion.sampling import ksampler, sample
from comfy_nb.server.diffusion.schedules import SIGMA_MAX, sigmas_for
from comfy_nb.server.worlds.base import Conditioning, Factor, blend, join, zeroed
from comfy_nb.server.worlds.masks import fit_mask

SHAPE = (2, 4, 8, 8)
SCALE = 0.25


class Greys:
    """A world in which every prompt has one even picture, as light as its text says; it records what it is asked."""

    name = "greys"
    vocabulary = ()

    def __init__(self):
        self.asked = []
        self.weights = []

    def scale(self, shape):
        return SCALE

    def mixture(self, shape, terms):
        greys = [float(term.text or 0.0) for term in terms]

        def mixed(x, sigma, weights):
            self.asked.append((x, sigma))
            self.weights.append(list(weights))
            level = sum(weight * grey for weight, grey in zip(weights, greys, strict=True))
            return np.full(shape, level * SCALE, np.float32)

        return mixed

    def undecided(self, x, sigma, conditioning):
        return (Factor(conditioning.text, float(x.mean()), ()),)


HALF, DARK = Conditioning("0.5"), Conditioning("-1")


def run(world, **changes):
    settings = {
        "seed": 9,
        "steps": 4,
        "cfg": 1.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "positive": HALF,
        "negative": DARK,
        "samples": np.zeros(SHAPE, np.float32),
    }
    return ksampler(world, **(settings | changes))


def test_a_run_starts_from_torchs_noise_and_ends_in_v_space():
    world = Greys()
    result = run(world)
    first, sigma = world.asked[0]
    assert sigma == pytest.approx(SIGMA_MAX)
    np.testing.assert_allclose(first, torch_randn(SHAPE, 9) * math.sqrt(1 + SIGMA_MAX**2), rtol=1e-6)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, 0.5, atol=1e-5)


def test_below_full_denoise_a_run_starts_from_the_noised_latent():
    world = Greys()
    latent = np.full(SHAPE, -0.75, np.float32)
    run(world, samples=latent, denoise=0.5)
    first, sigma = world.asked[0]
    assert len(world.asked) == 4
    assert sigma == pytest.approx(sigmas_for("normal", 8)[4])
    np.testing.assert_allclose(first, -0.75 * SCALE + torch_randn(SHAPE, 9) * sigma, rtol=1e-5, atol=1e-6)


def test_with_no_denoise_the_latent_comes_back():
    world = Greys()
    latent = np.full(SHAPE, 0.3, np.float32)
    np.testing.assert_array_equal(run(world, samples=latent, denoise=0.0), latent)
    assert world.asked == []


def test_dpm_2_has_its_steps_without_the_lowest_level():
    world = Greys()
    run(world, sampler_name="dpm_2")
    sigmas = [sigma for _, sigma in world.asked]
    whole = sigmas_for("normal", 5)
    np.testing.assert_allclose(sigmas[::2], whole[:4])
    assert len(sigmas) == 7


def test_calls_back_after_every_step_with_x0_in_v_space():
    calls = []
    run(Greys(), callback=lambda step, of, x0: calls.append((step, of, float(x0.mean()), x0.shape)))
    assert calls == [(step, 4, pytest.approx(0.5), SHAPE) for step in (1, 2, 3, 4)]


def test_the_watcher_gets_what_the_first_picture_leaves_open():
    seen, world = [], Greys()
    run(world, watch=lambda *look: seen.append(look))
    assert [step for step, _, _ in seen] == [1, 2, 3, 4]
    for (_, sigma, (factor,)), (x, asked) in zip(seen, world.asked, strict=True):
        assert sigma == asked
        assert factor == Factor("0.5", pytest.approx(float(x[0].mean())), ())


def test_what_the_callback_raises_stops_the_sampling():
    class Stop(Exception):
        pass

    def stop_at_two(step, of, x0):
        if step == 2:
            raise Stop

    world = Greys()
    with pytest.raises(Stop):
        run(world, callback=stop_at_two)
    assert len(world.asked) == 2


def test_unknown_names_are_refused_before_anything_is_sampled():
    world = Greys()
    with pytest.raises(ValueError, match="no sampler 'eular'; there are euler"):
        run(world, sampler_name="eular")
    with pytest.raises(ValueError, match="no scheduler 'fast'"):
        run(world, scheduler="fast")
    assert world.asked == []


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_run_cut_in_two_equals_the_whole_run_bit_for_bit(cut):
    halves = Greys()
    high = run(halves, end_at_step=cut, return_with_leftover_noise=True)
    low = run(halves, samples=high, start_at_step=cut, add_noise=False)
    whole = Greys()
    np.testing.assert_array_equal(low, run(whole))
    assert [sigma for _, sigma in halves.asked] == [sigma for _, sigma in whole.asked]


def test_without_leftover_noise_the_last_step_goes_all_the_way():
    world = Greys()
    np.testing.assert_allclose(run(world, end_at_step=2, return_with_leftover_noise=False), 0.5, atol=1e-5)
    assert len(world.asked) == 2
    assert np.abs(run(Greys(), end_at_step=2) - 0.5).max() > 1.0


def test_steps_beyond_the_end_do_nothing():
    latent = np.full(SHAPE, 0.3, np.float32)
    world = Greys()
    np.testing.assert_array_equal(run(world, samples=latent, start_at_step=4), latent)
    np.testing.assert_array_equal(run(world, samples=latent, start_at_step=9, end_at_step=30), latent)
    assert world.asked == []
    run(world, start_at_step=0, end_at_step=10000, return_with_leftover_noise=False)
    assert len(world.asked) == 4


def test_no_noise_is_none():
    world = Greys()
    run(world, samples=np.full(SHAPE, 0.25, np.float32), add_noise=False)
    np.testing.assert_allclose(world.asked[0][0], 0.25 * SCALE)


def test_stochastic_samplers_differ_by_seed_and_repeat_with_it():
    settings = {"sampler_name": "euler_ancestral", "end_at_step": 3}
    one, again, other = (run(Greys(), **settings, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)


def test_noise_on_the_way_is_not_the_starting_noise():
    world = Greys()
    run(world, sampler_name="lcm", steps=2)
    (first, _), (second, sigma) = world.asked
    start = first / math.sqrt(1 + SIGMA_MAX**2)
    added = (second - 0.5 * SCALE) / sigma
    assert abs(np.corrcoef(start.ravel(), added.ravel())[0, 1]) < 0.2


def test_a_picture_of_a_batch_can_be_made_again_by_its_number():
    # Item by item the generator goes on drawing; the third of four is the same whoever else is drawn.
    noise = RandomNoise(5)
    whole = noise.generate((4, 4, 8, 8), [0, 1, 2, 3])
    np.testing.assert_array_equal(noise.generate((2, 4, 8, 8), [2, 0]), whole[[2, 0]])
    np.testing.assert_array_equal(noise.generate((4, 4, 8, 8)), whole)
    world = Greys()
    run(world, seed=5, batch_index=[3, 3])
    np.testing.assert_allclose(world.asked[0][0][0], whole[3] * math.sqrt(1 + SIGMA_MAX**2), rtol=1e-6)


# Masks


def test_a_mask_keeps_what_it_keeps():
    world = Greys()
    latent = np.random.default_rng(0).uniform(-1, 1, SHAPE).astype(np.float32)
    mask = np.zeros((64, 64), np.float32)
    mask[:, :32] = 1.0
    result = run(world, samples=latent, mask=mask)
    np.testing.assert_allclose(result[..., :4], 0.5, atol=1e-5)
    np.testing.assert_allclose(result[..., 4:], latent[..., 4:], atol=1e-5)
    noise = torch_randn(SHAPE, 9)
    for x, sigma in world.asked:
        np.testing.assert_allclose(
            x[..., 4:], (latent * SCALE + noise * sigma)[..., 4:], rtol=1e-5, atol=1e-5
        )


def test_ddim_noises_what_a_mask_keeps_with_noise_of_its_own():
    mask = np.zeros((8, 8), np.float32)
    for name, seed in (("euler", 9), ("ddim", 10)):
        world = Greys()
        run(world, mask=mask, sampler_name=name)
        x, sigma = world.asked[2]
        np.testing.assert_allclose(x, torch_randn(SHAPE, seed) * np.float32(sigma), rtol=1e-5)


def test_masks_are_resized_between_pixel_centres_and_repeated_over_the_batch():
    step = np.zeros((1, 16), np.float32)
    step[:, 8:] = 1.0
    fitted = fit_mask(np.repeat(step, 16, axis=0), (3, 4, 5, 4))
    assert fitted.shape == (3, 1, 5, 4)
    np.testing.assert_allclose(fitted[1, 0, 2], [0, 0, 1, 1])
    np.testing.assert_allclose(fit_mask(np.array([[0.0, 1.0]]), (1, 4, 1, 4))[0, 0, 0], [0, 0.25, 0.75, 1])
    pair = np.stack((np.zeros((2, 2)), np.ones((2, 2))))
    assert fit_mask(pair, (3, 4, 2, 2)).mean(axis=(1, 2, 3)).tolist() == [0, 1, 0]
    assert fit_mask(pair[:, None], (2, 4, 2, 2)).shape == (2, 1, 2, 2)
    with pytest.raises(ValueError, match=r"not \[4\]"):
        fit_mask(np.zeros(4), (1, 4, 2, 2))


# Guidance


def guess(guider, sigma=1.0):
    return guider.denoiser(SHAPE)(np.zeros(SHAPE, np.float32), sigma) / SCALE


def test_guidance_goes_beyond_the_positive_prompt():
    np.testing.assert_allclose(guess(cfg_guider(Greys(), HALF, DARK, 3.0)), -1 + 3 * 1.5)
    np.testing.assert_allclose(guess(cfg_guider(Greys(), HALF, DARK, 0.0)), -1.0)


def test_at_cfg_one_the_negative_prompt_is_not_looked_at():
    world = Greys()
    np.testing.assert_allclose(guess(cfg_guider(world, HALF, DARK, 1.0)), 0.5)
    assert world.weights == [[1.0]]


def test_two_stage_guidance():
    first, second, negative = (Conditioning(text) for text in ("0.5", "0.25", "-1"))
    found = guess(dual_cfg_guider(Greys(), first, second, negative, 2.0, 3.0))
    np.testing.assert_allclose(found, -1 + 3 * (0.25 + 1) + 2 * (0.5 - 0.25), rtol=1e-6)


def test_several_conditionings_are_averaged_by_strength():
    strong = dataclasses.replace(HALF, strength=3.0)
    np.testing.assert_allclose(guess(basic_guider(Greys(), (strong, DARK))), (3 * 0.5 - 1) / 4)


def test_a_masked_conditioning_counts_where_its_mask_is():
    left = np.zeros((8, 8), np.float32)
    left[:, :4] = 1.0
    masked = dataclasses.replace(DARK, mask=left)
    found = guess(basic_guider(Greys(), (HALF, masked)))
    np.testing.assert_allclose(found[..., :4], -0.25)
    np.testing.assert_allclose(found[..., 4:], 0.5)
    alone = guess(basic_guider(Greys(), masked))
    np.testing.assert_allclose(alone[..., :4], -1.0)
    np.testing.assert_allclose(alone[..., 4:], 0.0)


def test_a_conditioning_counts_in_its_range_only():
    early = dataclasses.replace(DARK, end=0.5)
    late = dataclasses.replace(HALF, start=0.5)
    guider = basic_guider(Greys(), (early, late))
    np.testing.assert_allclose(guess(guider, 14.0), -1.0)
    np.testing.assert_allclose(guess(guider, 0.1), 0.5)
    np.testing.assert_allclose(guess(basic_guider(Greys(), early), 0.1), 0.0)


def test_prompts_can_be_blended_joined_and_emptied():
    cat = Conditioning("cat, snow", ("cat", "snow"), (1.0, 0.5), ("meow",))
    fox = Conditioning("fox, snow", ("fox", "snow"), (2.0, 1.0), ("meow", "bark"))
    mixed = blend(cat, fox, 0.25)
    assert dict(zip(mixed.words, mixed.weights, strict=True)) == {"cat": 0.25, "snow": 0.875, "fox": 1.5}
    both = join(cat, fox)
    assert dict(zip(both.words, both.weights, strict=True)) == {"cat": 1.0, "snow": 1.5, "fox": 2.0}
    assert both.unknown == ("meow", "bark")
    assert (zeroed(cat).words, zeroed(cat).weights) == ((), ())


# SamplerCustomAdvanced


def test_parts_make_the_same_run_as_ksampler():
    world = Greys()
    latent = np.full(SHAPE, 0.1, np.float32)
    sigmas = sigmas_for("karras", 5)
    guider = cfg_guider(world, HALF, DARK, 2.0)
    custom = sample(guider, RandomNoise(9), SAMPLER_FUNCTIONS["heun"], sigmas, latent)
    whole = run(Greys(), scheduler="karras", steps=5, cfg=2.0, sampler_name="heun", samples=latent)
    np.testing.assert_array_equal(custom.samples, whole)
    np.testing.assert_allclose(custom.denoised, custom.samples, atol=1e-5)


def test_a_run_that_ends_in_noise_gives_its_guess_too():
    sigmas = sigmas_for("karras", 5)[:3]
    done = sample(
        basic_guider(Greys(), HALF), RandomNoise(9), SAMPLER_FUNCTIONS["euler"], sigmas, np.zeros(SHAPE)
    )
    np.testing.assert_allclose(done.denoised, 0.5, atol=1e-5)
    assert done.samples.std() * SCALE == pytest.approx(sigmas[-1], rel=0.1)


def test_a_single_sigma_is_nothing_to_do():
    latent = np.full(SHAPE, 0.1, np.float32)
    for sigmas in (np.array([1.0]), np.empty(0)):
        done = sample(basic_guider(Greys(), HALF), NoNoise(), SAMPLER_FUNCTIONS["euler"], sigmas, latent)
        assert done.samples is latent
