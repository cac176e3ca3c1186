"""The world as a whole: pictures follow prompts, parts can be told apart, nothing shows a seam."""

from __future__ import annotations

import numpy as np
import pytest

from comfy_nb.server.diffusion.guidance import cfg_guider
from comfy_nb.server.diffusion.sampling import ksampler
from comfy_nb.server.diffusion.schedules import sigmas_for
from comfy_nb.server.worlds import load_world
from comfy_nb.server.worlds.landscapes import library, scene
from comfy_nb.server.worlds.landscapes.canvas import Canvas
from comfy_nb.server.worlds.landscapes.palettes import PALETTES, Ink
from comfy_nb.server.worlds.landscapes.parts import paint_sky
from comfy_nb.server.worlds.landscapes.subjects import SUBJECTS

SMALL = 256
"""Pixels a side: 32 x 32 latents, quick."""

DEFAULT = "beautiful scenery nature glass bottle landscape, , purple galaxy bottle,"

PROMPTS = (
    DEFAULT,
    "castle on a hill, rainbow",
    "black cat, snow, winter forest",
    "sunset, mountains, lake, boat",
    "night city, full moon",
    "desert, cactus, mars",
    "sakura, flowers, mushroom",
    "house at night",
)


@pytest.fixture(scope="module")
def world():
    return load_world("landscapes")


def sample(world, prompt, *, cfg=8.0, negative="", batch=1, size=SMALL, seed=1, **changes):
    settings = {"sampler_name": "euler", "scheduler": "normal", "steps": 20, "seed": seed, "cfg": cfg}
    return ksampler(
        world,
        positive=world.encode_prompt(prompt),
        negative=world.encode_prompt(negative),
        samples=world.empty(size, size, batch),
        **(settings | changes),
    )


def adherence(world, prompts, batch, **settings):
    """The share of the prompts' words that are true of the pictures."""
    kept = []
    for prompt in prompts:
        words = world.encode_prompt(prompt).words
        for latent in sample(world, prompt, batch=batch, **settings):
            true = scene.tags(world.recognise(latent))
            kept += [word in true for word in words]
    return float(np.mean(kept))


@pytest.mark.timeout(180)
def test_pictures_show_what_was_asked_for_and_guidance_is_why(world):
    guided = adherence(world, PROMPTS, 3)
    assert guided >= 0.95
    assert adherence(world, PROMPTS, 3, cfg=1.0) < guided - 0.05


@pytest.mark.timeout(180)
def test_palettes_come_equally_often_without_a_prompt(world):
    """Chi-squared with 11 degrees of freedom; the slight bias towards small norms is real."""
    counts = np.zeros(len(PALETTES))
    for latent in sample(world, "", cfg=1.0, batch=240, size=128):
        counts[world.recognise(latent).palette] += 1
    expected = counts.sum() / len(PALETTES)
    assert np.square(counts - expected).sum() / expected < 45


@pytest.mark.timeout(180)
def test_a_negative_prompt_keeps_things_out(world):
    def share(negative):
        latents = sample(world, "", cfg=4.0, negative=negative, batch=12)
        return np.mean(["mountain" in scene.tags(world.recognise(latent)) for latent in latents])

    assert share("mountain") == 0.0
    assert share("") > 0.0


def test_the_default_workflow_shows_a_bottle_under_a_purple_galaxy_before_mountains(world):
    latents = sample(world, DEFAULT, negative="text, watermark", seed=156680208700286, size=512)
    palette, sky, backdrop, _, subject = scene.names(world.recognise(latents[0]))
    assert palette == "galaxy"
    assert sky.startswith("galaxy")
    assert backdrop.startswith("mountains")
    assert subject.startswith("galaxy bottle")


def test_a_weight_of_nought_takes_a_word_out_and_a_heavy_one_wins(world):
    plain = sample(world, "")
    np.testing.assert_array_equal(sample(world, "(castle:0)"), plain)
    assert "castle" in scene.tags(world.recognise(sample(world, "(castle:3) (fox:0.2)")[0]))


def test_cfg_one_never_looks_at_the_negative_prompt(world):
    np.testing.assert_array_equal(
        sample(world, "castle", cfg=1.0), sample(world, "castle", cfg=1.0, negative="castle, night, snow")
    )


def test_items_of_a_batch_do_not_touch_each_other(world):
    shape = (3, 4, 32, 32)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    words = world.encode_prompt("castle"), world.encode_prompt("")
    together = cfg_guider(world, *words, 5.0).denoiser(shape)(x, 1.0)
    for index in range(3):
        alone = cfg_guider(world, *words, 5.0).denoiser((1, *shape[1:]))(x[index : index + 1], 1.0)
        np.testing.assert_allclose(together[index], alone[0], atol=1e-6)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_undecided_falls_and_the_palette_is_decided_before_the_subject(world, seed):
    seen = []
    sample(world, "", cfg=1.0, scheduler="karras", seed=seed, watch=lambda *look: seen.append(look))
    assert [step for step, _, _ in seen] == list(range(1, 21))
    np.testing.assert_allclose([sigma for _, sigma, _ in seen], sigmas_for("karras", 20)[:-1])
    names = [factor.name for factor in seen[0][2]]
    assert names == ["palette", "sky", "backdrop", "ground", "subject"]
    bits = np.array([[factor.bits for factor in factors] for _, _, factors in seen])
    assert (bits[0] > [3.0, 4.0, 4.0, 3.5, 4.5]).all()
    assert (bits[-1] < 0.01).all()
    assert (bits[:, 0] < 1.0).argmax() < (bits[:, 4] < 1.0).argmax()


def test_the_read_out_names_what_is_likely(world):
    seen = []
    latent = sample(world, "castle at night", watch=lambda *look: seen.append(look))[0]
    palette, *_, subject = scene.names(world.recognise(latent))
    last = {factor.name: factor.candidates for factor in seen[-1][2]}
    assert last["palette"][0] == (palette, pytest.approx(1.0))
    assert last["subject"][0] == (subject, pytest.approx(1.0))
    first = {factor.name: factor.candidates for factor in seen[0][2]}
    assert first["subject"][0][0].startswith("castle")
    shares = [share for _, share in first["sky"]]
    assert len(shares) == 5
    assert shares == sorted(shares, reverse=True)


def test_denoise_below_one_keeps_the_light_of_the_latent(world):
    start = sample(world, "sunset, boat, lake")
    settings = {
        "positive": world.encode_prompt(""),
        "negative": world.encode_prompt(""),
        "cfg": 1.0,
        "sampler_name": "euler",
        "scheduler": "normal",
    }
    again = ksampler(world, seed=5, steps=10, samples=start, denoise=0.2, **settings)
    assert scene.names(world.recognise(again[0]))[0] == "sunset"


@pytest.fixture(scope="module")
def drawn():
    """Every part of every band under every palette, at 64 x 64."""
    ink = Ink(PALETTES)
    rows = library.band_rows(64)
    bands = zip(library.PARTS, rows, strict=True)
    return [library._pictures(parts, 64, 64, strip, ink) for parts, strip in bands]


def test_parts_can_be_told_apart_under_every_palette(drawn):
    """Closer than about five times the last sigma, two parts would never be resolved, and leave a ghost."""
    close = []
    for parts, pictures in zip(library.PARTS, drawn, strict=True):
        for palette, options in zip(PALETTES, pictures.astype(np.float64), strict=True):
            distance = 0.1 * np.sqrt(np.square(options[:, None] - options[None]).sum(axis=2))
            for i, j in zip(*np.nonzero(np.triu(distance < 0.15, 1)), strict=True):
                close.append((palette.name, parts[i].name, parts[j].name))
    assert close == []


def test_subjects_can_be_told_apart():
    model = library.build_model(64, 64)
    for palette in range(len(PALETTES)):
        whole = [
            model.compose(library_choice(palette, subject)).astype(np.float64)
            for subject in range(len(SUBJECTS))
        ]
        pictures = np.array(whole)
        gram = pictures @ pictures.T
        squares = np.diag(gram)[:, None] + np.diag(gram) - 2 * gram
        distance = 0.1 * np.sqrt(np.maximum(squares[np.triu_indices(len(SUBJECTS), 1)], 0.0))
        assert distance.min() > 0.15


def library_choice(palette, subject):
    return scene.Choice(palette, (0, 0, 0), subject)


def test_skies_leave_no_seam_where_the_backdrop_begins():
    """The last row of every sky is the bare gradient, so that it meets every backdrop."""
    ink = Ink(PALETTES)
    rows = library.band_rows(64)[0]
    bare = Canvas(64, 64, rows, ink, 4)
    paint_sky(bare)
    for part in library.PARTS[0]:
        canvas = Canvas(64, 64, rows, ink, 4)
        paint_sky(canvas)
        part.paint(canvas)
        assert np.abs(canvas.image[:, :, -1] - bare.image[:, :, -1]).max() < 0.03, part.name


def test_backdrops_begin_with_the_bare_sky():
    ink = Ink(PALETTES)
    rows = library.band_rows(64)[1]
    bare = Canvas(64, 64, rows, ink, 4)
    paint_sky(bare)
    for part in library.PARTS[1]:
        canvas = Canvas(64, 64, rows, ink, 4)
        paint_sky(canvas)
        part.paint(canvas)
        assert np.abs(canvas.image[:, :, 0] - bare.image[:, :, 0]).max() < 0.03, part.name


def test_subjects_stay_within_their_bands():
    """What a subject would draw above its bands is nothing, so no roof or mast is cut off."""
    ink = Ink(PALETTES[:1])
    rows = (0, library.band_rows(64)[0][1])
    for part in SUBJECTS:
        canvas = Canvas(64, 64, rows, ink, 4)
        part.paint(canvas)
        assert canvas.through.min() > 0.97, part.name


def test_colours_stay_within_range(drawn):
    for pictures in drawn:
        assert np.abs(pictures).max() <= 1.0 + 1e-5


def test_names_are_unique_and_words_are_plain():
    for parts in (*library.PARTS, SUBJECTS):
        names = [part.name for part in parts]
        assert len(set(names)) == len(names)
    for word in library.build_lexicon().vocabulary:
        assert word.isalpha()
        assert word.islower()


def test_there_are_millions_of_pictures():
    assert library.PICTURES > 10_000_000


def test_where_things_like_to_stand():
    ground = library.build_lexicon().base.parts[2]
    words = [part.tags for part in library.PARTS[2]]
    boat = next(i for i, part in enumerate(SUBJECTS) if part.name == "sailboat 1")
    on_water = np.exp(ground[0, :, boat])[["lake" in tags for tags in words]].sum()
    assert on_water > 0.7
    np.testing.assert_allclose(np.exp(ground).sum(axis=1), 1.0)


@pytest.mark.parametrize(("width", "height"), [(768, 512), (512, 768), (64, 64), (16, 16), (1024, 256)])
def test_any_size_works(world, width, height):
    latents = ksampler(
        world,
        seed=1,
        steps=4,
        cfg=5.0,
        sampler_name="euler",
        scheduler="normal",
        positive=world.encode_prompt("house"),
        negative=world.encode_prompt(""),
        samples=world.empty(width, height, 1),
    )
    assert latents.shape == (1, 4, height // 8, width // 8)
    assert np.isfinite(latents).all()
    assert world.decode(latents).shape == (1, height, width, 3)


def test_beyond_the_largest_size_a_smaller_copy_is_denoised(world):
    latents = sample(world, "castle, rainbow", size=1280, steps=12)
    assert latents.shape == (1, 4, 160, 160)
    assert {"castle", "rainbow"} <= scene.tags(world.recognise(latents[0]))
    assert (128, 128) in world._models


def test_the_smaller_copy_sees_as_much_noise_as_it_has(world):
    """Averaging 2 x 2 pixels halves the noise; with the scale of the size, sigma stays what it was."""
    words = world.encode_prompt("castle"), world.encode_prompt("")
    small = np.random.default_rng(3).normal(size=(1, 4, 128, 128)).astype(np.float32) * 3.0
    large = small.repeat(2, axis=2).repeat(2, axis=3) / 2.0
    expected = cfg_guider(world, *words, 1.0).denoiser(small.shape)(small, 3.0)
    found = cfg_guider(world, *words, 1.0).denoiser(large.shape)(large, 3.0)
    blocks = found.reshape(1, 4, 128, 2, 128, 2).mean(axis=(3, 5)) * 2.0
    assert np.abs(blocks - expected).mean() < 0.1 * np.abs(expected).mean()


def test_an_unknown_world_is_refused():
    with pytest.raises(ValueError, match="no world 'moon'; there are landscapes"):
        load_world("moon")
