"""The other worlds: pictures learnt by heart, and textures grown from patches; and who gets which world."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest

import comfy_nb as cn
from comfy_nb.errors import ConnectionFailed
from comfy_nb.server.diffusion.guidance import basic_guider
from comfy_nb.server.diffusion.sampling import ksampler
from comfy_nb.server.names import WORLDS as NAMES
from comfy_nb.server.process import EmbeddedServer
from comfy_nb.server.worlds import ABOUT, WORLDS, load_world, make_usual
from comfy_nb.server.worlds.base import Known
from comfy_nb.server.worlds.landscapes import scene
from comfy_nb.server.worlds.landscapes.library import band_rows
from comfy_nb.server.worlds.memories import COUNT
from comfy_nb.server.worlds.textures.patches import PATCH, PatchLibrary, level_at, look
from comfy_nb.server.worlds.textures.styles import SIDE, STYLES
from comfy_nb.server.worlds.textures.world import Textures
from tests.server.talk import CHECKPOINT, talking, text_to_image


def sample(world, prompt, *, size=256, batch=1, seed=1, cfg=4.0, **changes):
    settings = {"sampler_name": "euler", "scheduler": "karras", "steps": 16}
    return ksampler(
        world,
        seed=seed,
        cfg=cfg,
        positive=world.encode_prompt(prompt),
        negative=world.encode_prompt(""),
        samples=world.empty(size, size, batch),
        **(settings | changes),
    )


def test_worlds_are_built_once_by_whichever_thread_comes_first():
    found = []
    threads = [threading.Thread(target=lambda: found.append(load_world("memorise"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len({id(world) for world in found}) == 1
    assert len(found) == 8


@pytest.mark.parametrize("name", WORLDS)
def test_every_world_says_what_it_is(name):
    world = load_world(name)
    assert world.name == name
    assert len(world.about) > 30
    assert "castle" in world.vocabulary or "zebra" in world.vocabulary
    assert world.encode_prompt("quux").unknown == ("quux",)


# By heart


@pytest.fixture(scope="module")
def memories():
    return load_world("memorise")


def stored(world, index, size):
    flat = world._landscapes.model(size, size).compose(world.pictures[index])
    return world._unflatten(flat, size, size)


def test_the_denoiser_is_the_softmax_over_the_stored_pictures(memories):
    size, sigma = 16, 2.0
    shape = (1, 4, size, size)
    scale = memories.scale(shape)
    pictures = np.stack([stored(memories, index, size) for index in range(COUNT)]).astype(np.float64) * scale
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32) * sigma
    logits = -np.square(pictures - x[0, :3]).sum(axis=(1, 2, 3)) / (2 * sigma**2)
    weights = np.exp(logits - logits.max())
    expected = np.tensordot(weights / weights.sum(), pictures, axes=1)
    found = basic_guider(memories, memories.encode_prompt("")).denoiser(shape)(x, sigma)
    np.testing.assert_allclose(found[0, :3], expected, atol=1e-5)


@pytest.mark.parametrize("prompt", ["", "castle, night", "rainbow, fox"])
def test_whatever_is_asked_for_a_stored_picture_comes_back(memories, prompt):
    for latent in sample(memories, prompt, batch=3):
        index = memories.recognise(latent).parts[0]
        np.testing.assert_allclose(latent[:3], stored(memories, index, 32), atol=1e-4)


def test_it_decodes_to_the_picture_itself(memories):
    latent = sample(memories, "castle")
    choice = memories.pictures[memories.recognise(latent[0]).parts[0]]
    assert "castle" in scene.tags(choice)
    expected = np.clip((scene.render(choice, 256, 256) + 1.0) * 127.5 + 0.5, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(memories.decode(latent)[0], expected.transpose(1, 2, 0))


def test_its_read_out_names_stored_pictures(memories):
    seen = []
    latent = sample(memories, "", watch=lambda *look: seen.append(look))
    (first,), (last,) = seen[0][2], seen[-1][2]
    assert first.name == "picture"
    assert first.bits > 8.0
    assert last.bits < 1e-6
    assert last.candidates[0][0] == ", ".join(
        scene.names(memories.pictures[memories.recognise(latent[0]).parts[0]])
    )


def test_pictures_are_all_different_and_ordered_as_landscapes_are(memories):
    assert len(set(memories.pictures)) == COUNT
    assert memories.bands(64) == band_rows(64)


# Textures


@pytest.fixture(scope="module")
def textures():
    return load_world("textures")


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_exemplars_differ_and_stay_within_range(style):
    first, *others = style.exemplars()
    assert first.shape == (SIDE, SIDE, 3)
    assert np.abs(first).max() <= 1.0
    assert all(np.abs(first - other).mean() > 0.05 for other in others)
    np.testing.assert_array_equal(first, style.draw(0))


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_the_mean_of_a_patch_is_the_softmax_over_the_library(level):
    """On a canvas of one patch the engine must be the plain formula."""
    library, side = PatchLibrary(STYLES[0]), PATCH * 2**level
    seen, detailed = library._patches(level)
    sigma = 1.0 * 2**level * 2
    x = np.random.default_rng(level).normal(size=(3, side, side)).astype(np.float32) * sigma
    view = look(x, np.full((1, side, side), 1 / sigma**2, np.float32), level)
    found, bits = library.mean(view)
    blocks = x.reshape(3, PATCH, 2**level, PATCH, 2**level).mean(axis=(2, 4)).ravel()
    logits = -np.square(seen - blocks).sum(axis=1, dtype=np.float64) / (2 * (sigma / 2**level) ** 2)
    weights = np.exp(logits - logits.max())
    weights /= weights.sum()
    fine = round((detailed.shape[1] / 3) ** 0.5)
    expected = (
        (weights @ detailed).reshape(3, fine, fine).repeat(side // fine, axis=1).repeat(side // fine, axis=2)
    )
    np.testing.assert_allclose(found, expected, atol=5e-3)
    assert bits == pytest.approx(-(weights * np.log2(np.maximum(weights, 1e-30))).sum(), abs=0.1)


def test_blocks_shrink_as_the_noise_falls():
    assert [level_at(sigma) for sigma in (146.0, 9.9, 3.9, 1.5, 0.01)] == [3, 2, 1, 0, 0]


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_textures_are_of_the_style_asked_for_and_made_of_its_patches(textures, style):
    latent = sample(textures, style.name)
    sigma = 0.02
    factors = {
        factor.name: factor
        for factor in textures.undecided(latent[0] * 0.1, sigma, textures.encode_prompt(""))
    }
    assert factors["style"].candidates[0] == (style.name, pytest.approx(1.0))
    # Where patches disagree they are averaged, but most are close to one of the library, and not of another's.
    windows = np.lib.stride_tricks.sliding_window_view(latent[0, :3], (PATCH, PATCH), axis=(1, 2))[
        :, ::5, ::5
    ]
    patches = windows.transpose(1, 2, 0, 3, 4).reshape(-1, 3 * PATCH * PATCH)
    distances = {}
    for other, library in zip(STYLES, textures._libraries, strict=True):
        seen, _ = library._patches(0)
        square = np.square(patches).sum(axis=1)[:, None] + np.square(seen).sum(axis=1) - 2 * patches @ seen.T
        distances[other.name] = np.median(np.sqrt(np.maximum(square.min(axis=1), 0) / patches.shape[1]))
    own = distances.pop(style.name)
    assert own < 0.45
    assert own < 0.75 * min(distances.values())


def test_textures_are_new(textures):
    """No exemplar holds the picture."""
    latent = sample(textures, "islands")[0, :3]
    exemplars = np.stack(STYLES[0].exemplars()).transpose(0, 3, 1, 2)
    windows = np.lib.stride_tricks.sliding_window_view(exemplars, (32, 32), axis=(2, 3))[:, :, ::2, ::2]
    difference = np.square(windows - latent[None, :, None, None]).mean(axis=(1, 4, 5))
    assert np.sqrt(difference.min()) > 0.2


def test_without_a_prompt_seeds_choose_the_style(textures):
    latents = sample(textures, "", cfg=1.0, batch=4, steps=10)
    names = set()
    for latent in latents:
        style, _ = textures.undecided(latent * 0.1, 0.02, textures.encode_prompt(""))
        assert style.bits < 0.01
        names.add(style.candidates[0][0])
    assert len(names) > 1


@pytest.mark.parametrize(("width", "height"), [(16, 16), (200, 64), (56, 520)])
def test_any_canvas_is_covered(textures, width, height):
    latents = ksampler(
        textures,
        seed=2,
        steps=4,
        cfg=2.0,
        sampler_name="euler",
        scheduler="karras",
        positive=textures.encode_prompt("maze"),
        negative=textures.encode_prompt(""),
        samples=textures.empty(width, height, 1),
    )
    assert np.isfinite(latents).all()
    assert textures.decode(latents).shape == (1, height, width, 3)


def test_known_pixels_lead_a_texture(textures):
    """A hole in a zebra grows zebra, without a word."""
    zebra = STYLES[1].draw(0)[:32, :32].transpose(2, 0, 1)
    latent = np.zeros((1, 4, 32, 32), np.float32)
    latent[0, :3] = zebra
    mask = np.zeros((32, 32), np.float32)
    mask[8:24, 8:24] = 1.0
    conditioning = dataclasses.replace(textures.encode_prompt(""), known=Known(latent, mask))
    painted = ksampler(
        textures,
        seed=1,
        steps=12,
        cfg=1.0,
        sampler_name="euler",
        scheduler="karras",
        positive=conditioning,
        negative=conditioning,
        samples=latent,
        mask=mask,
    )
    hole = painted[0, :3, 8:24, 8:24]
    assert hole.std() > 0.5
    assert np.abs(hole[0] - hole[2]).mean() < 0.15  # black and white, no colour


def test_a_texture_can_be_made_again(textures):
    one, other = (sample(world, "bricks", steps=5) for world in (textures, Textures()))
    np.testing.assert_array_equal(one, other)


# Which world a workflow gets


def decided(url: str, checkpoint: str) -> set[str]:
    """What a sampler has to decide in the world that a checkpoint stands for."""
    prompt = text_to_image(size=64, steps=1, text="castle, zebra")
    prompt["4"]["inputs"]["ckpt_name"] = checkpoint
    prompt["3"]["class_type"] = "KSamplerUndecided"
    with talking(url) as talker:
        prompt_id, _ = talker.run(prompt)
        (step,) = talker.history(prompt_id)["outputs"]["3"]["undecided"]
    return {factor["name"] for factor in step["factors"]}


def test_a_server_has_all_worlds_and_its_own_for_well_known_names():
    with EmbeddedServer.start(step_time=0, options=["--world", "textures"]) as server:
        assert "style" in decided(server.url, CHECKPOINT)
        assert "palette" in decided(server.url, "demo-landscapes.safetensors")
        assert decided(server.url, "demo-memorise.safetensors") == {"picture"}
        with talking(server.url) as talker:
            node = talker.http.get("/object_info/CheckpointLoaderSimple").json()["CheckpointLoaderSimple"]
    names, options = node["input"]["required"]["ckpt_name"]
    assert names[:3] == [f"demo-{name}.safetensors" for name in NAMES]
    assert "without weights" in options["tooltip"]
    assert all(about in options["tooltip"] for about in ABOUT.values())


def test_a_world_that_is_not_there_is_refused():
    with pytest.raises(ConnectionFailed, match="invalid choice: 'moon'"):
        EmbeddedServer.start(options=["--world", "moon"])
    with pytest.raises(ValueError, match="no world 'moon'; there are landscapes, textures, memorise"):
        make_usual("moon")
    with pytest.raises(ValueError, match="world='moon' is none of 'landscapes', 'textures', 'memorise'"):
        cn.demo(world="moon")


def test_the_names_that_are_known_early_are_those_of_the_worlds():
    assert tuple(WORLDS) == tuple(ABOUT) == NAMES


def test_a_demo_per_world():
    textures, again = (cn.demo(world="textures", step_time=0) for _ in range(2))
    landscapes = cn.demo(step_time=0)
    try:
        assert textures is again
        assert textures.url != landscapes.url
        assert "style" in decided(textures.url, CHECKPOINT)
        assert "palette" in decided(landscapes.url, CHECKPOINT)
    finally:
        textures.close()
        landscapes.close()
