"""The nodes of the embedded server: declared as ComfyUI declares them, and what each does to a picture."""

import io
import json
import lzma
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from comfy_nb.server.files import Folders
from comfy_nb.server.nodes import NODE_CLASSES
from tests.server.talk import binary, text_to_image

RECORDED = Path(__file__).parents[1] / "data" / "conversion" / "object_info.json.xz"

# What an option of the original says beyond types and ranges is for its front end alone.
COMPARED = ("default", "min", "max", "step", "round", "multiline", "control_after_generate")
OURS = {name for name, each in NODE_CLASSES.items() if each.category == "comfy_nb"}


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    return json.loads(lzma.decompress(RECORDED.read_bytes()))


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def shape(definition: dict[str, Any]) -> dict[str, Any]:
    """Names, order, types and ranges of a definition; lists of choices count as COMBO."""
    kinds = {
        kind: [(name, *field_shape(field)) for name, field in fields.items()]
        for kind, fields in definition["input"].items()
        if kind != "hidden" and fields
    }
    keys = ("output", "output_name", "output_node", "output_is_list", "category", "python_module")
    return {"input": kinds, **{key: definition[key] for key in keys}}


def field_shape(field: list[Any]) -> tuple[str, dict[str, Any]]:
    kind = "COMBO" if isinstance(field[0], list) else field[0]
    options = field[1] if len(field) > 1 else {}
    return kind, {name: options[name] for name in COMPARED if name in options}


def choices(field: list[Any]) -> list[Any]:
    if isinstance(field[0], list):
        return field[0]
    return field[1].get("options", []) if len(field) > 1 else []


@pytest.mark.parametrize("name", sorted(NODE_CLASSES.keys() - OURS))
def test_a_node_is_declared_as_the_original_declares_it(name, recorded, folders):
    assert shape(NODE_CLASSES[name].definition(folders)) == shape(recorded[name])


FILES = ("ckpt_name", "unet_name", "clip_name", "vae_name", "image")


@pytest.mark.parametrize("name", sorted(NODE_CLASSES.keys() - OURS))
def test_no_choice_is_offered_that_the_original_does_not_have(name, recorded, folders):
    for field, config in NODE_CLASSES[name].inputs(folders).items():
        if field not in FILES:
            kinds = recorded[name]["input"]
            original = {**kinds["required"], **kinds.get("optional", {})}[field]
            assert set(choices(config)) <= set(choices(original)), field


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def picture(talker, prompt: dict[str, Any]) -> np.ndarray:
    """The pixels that the prompt's node 9 saves."""
    prompt_id, _ = talker.run(prompt)
    entry = talker.history(prompt_id)
    assert entry["status"]["status_str"] == "success", entry["status"]["messages"][-1]
    reference = entry["outputs"]["9"]["images"][0]
    return np.asarray(Image.open(io.BytesIO(talker.http.get("/view", params=reference).content)), int)


def base(**settings: Any) -> dict[str, Any]:
    return text_to_image(seed=5, steps=8, **settings)


def test_two_parts_of_the_steps_make_the_picture_of_one(talker):
    whole = base()
    shared = {**whole["3"]["inputs"], "noise_seed": 5}
    del shared["seed"], shared["denoise"]
    first = {
        "add_noise": "enable",
        "start_at_step": 0,
        "end_at_step": 4,
        "return_with_leftover_noise": "enable",
    }
    last = {
        "add_noise": "disable",
        "start_at_step": 4,
        "end_at_step": 8,
        "return_with_leftover_noise": "disable",
    }
    parts = base()
    parts["2"] = node("KSamplerAdvanced", **shared, **first)
    parts["3"] = node("KSamplerAdvanced", **{**shared, "latent_image": ["2", 0]}, **last)
    assert (picture(talker, parts) == picture(talker, whole)).all()


def custom(sampler: str, prompt: dict[str, Any]) -> dict[str, Any]:
    prompt["20"] = node("KSamplerSelect", sampler_name="euler")
    prompt["21"] = node("BasicScheduler", model=["4", 0], scheduler="normal", steps=8, denoise=1.0)
    common = {"sampler": ["20", 0], "sigmas": ["21", 0], "latent_image": ["5", 0]}
    sides = {"positive": ["6", 0], "negative": ["7", 0], "cfg": 4.0}
    if sampler == "SamplerCustom":
        prompt["3"] = node(sampler, model=["4", 0], add_noise=True, noise_seed=5, **sides, **common)
    else:
        prompt["22"] = node("RandomNoise", noise_seed=5)
        prompt["23"] = node("CFGGuider", model=["4", 0], **sides)
        prompt["3"] = node(sampler, noise=["22", 0], guider=["23", 0], **common)
    return prompt


@pytest.mark.parametrize("sampler", ["SamplerCustom", "SamplerCustomAdvanced"])
def test_a_sampler_put_together_makes_the_picture_of_a_ksampler(talker, sampler):
    assert (picture(talker, custom(sampler, base())) == picture(talker, base())).all()


SCHEDULES = [name for name, each in NODE_CLASSES.items() if each.category == "model/sampling/schedulers"]
SOLVERS = [name for name, each in NODE_CLASSES.items() if each.category == "model/sampling/samplers"]


def defaults(name: str, **given: Any) -> dict[str, Any]:
    """A node with its declared defaults, or the first of its choices."""
    values = {
        field: config[1].get("default", (choices(config) or [None])[0])
        for field, config in NODE_CLASSES[name].required.items()
    }
    return node(name, **{**values, **{key: value for key, value in given.items() if key in values}})


@pytest.mark.parametrize("name", [*SCHEDULES, *SOLVERS])
def test_every_schedule_and_solver_runs(talker, name):
    prompt = custom("SamplerCustom", base())
    prompt["20" if name in SOLVERS else "21"] = defaults(name, model=["4", 0], steps=4)
    assert picture(talker, prompt).std() > 5


def test_sigmas_can_be_split_and_joined_by_two_samplers(talker):
    prompt = custom("SamplerCustom", base())
    prompt["24"] = node("SplitSigmas", sigmas=["21", 0], step=4)
    prompt["2"] = {**prompt["3"], "inputs": {**prompt["3"]["inputs"], "sigmas": ["24", 0]}}
    second = {"sigmas": ["24", 1], "latent_image": ["2", 0], "add_noise": False}
    prompt["3"] = {**prompt["3"], "inputs": {**prompt["3"]["inputs"], **second}}
    assert (picture(talker, prompt) == picture(talker, base())).all()


TRANSFORMS = {
    "ConditioningCombine": {"conditioning_1": ["6", 0], "conditioning_2": ["6", 0]},
    "ConditioningAverage": {
        "conditioning_to": ["6", 0],
        "conditioning_from": ["7", 0],
        "conditioning_to_strength": 1.0,
    },
    "ConditioningConcat": {"conditioning_to": ["6", 0], "conditioning_from": ["11", 0]},
    "ConditioningSetTimestepRange": {"conditioning": ["6", 0], "start": 0.0, "end": 1.0},
    "ConditioningSetAreaStrength": {"conditioning": ["6", 0], "strength": 2.0},
    "ConditioningSetArea": {
        "conditioning": ["6", 0],
        "width": 64,
        "height": 64,
        "x": 0,
        "y": 0,
        "strength": 1.0,
    },
    "ConditioningSetAreaPercentage": {
        "conditioning": ["6", 0],
        "width": 1.0,
        "height": 1.0,
        "x": 0.0,
        "y": 0.0,
        "strength": 1.0,
    },
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_that_changes_nothing_changes_nothing(talker, name):
    prompt = base()
    prompt["11"] = node("CLIPTextEncode", text="", clip=["4", 1])
    prompt["10"] = node(name, **TRANSFORMS[name])
    prompt["3"]["inputs"]["positive"] = ["10", 0]
    assert np.abs(picture(talker, prompt) - picture(talker, base())).mean() < 1


def test_zeroed_words_are_no_words(talker):
    zeroed, empty = base(), base(text="")
    zeroed["10"] = node("ConditioningZeroOut", conditioning=["6", 0])
    zeroed["3"]["inputs"]["positive"] = ["10", 0]
    assert (picture(talker, zeroed) == picture(talker, empty)).all()


def upload(talker, name: str, pixels: np.ndarray) -> None:
    data = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(data, "PNG")
    reply = talker.http.post("/upload/image", files={"image": (name, data.getvalue())})
    assert reply.json()["name"] == name


def inpainting(talker, how: str) -> tuple[np.ndarray, np.ndarray]:
    """(a picture, the same with its right half painted anew in the given way)."""
    original = picture(talker, base(size=128))
    mask = np.zeros((128, 128, 3))
    mask[:, 64:] = 255
    upload(talker, f"{how}.png", original)
    upload(talker, "mask.png", mask)
    prompt = base(size=128)
    prompt["10"] = node("LoadImage", image=f"{how}.png")
    prompt["11"] = node("LoadImageMask", image="mask.png", channel="red")
    pixels = {"pixels": ["10", 0], "vae": ["4", 2]}
    match how:
        case "SetLatentNoiseMask":
            prompt["12"] = node("VAEEncode", **pixels)
            prompt["5"] = node(how, samples=["12", 0], mask=["11", 0])
        case "VAEEncodeForInpaint":
            prompt["5"] = node(how, **pixels, mask=["11", 0], grow_mask_by=6)
        case _:
            sides = {"positive": ["6", 0], "negative": ["7", 0]}
            prompt["5"] = node(how, **sides, **pixels, mask=["11", 0], noise_mask=True)
            prompt["3"]["inputs"].update(positive=["5", 0], negative=["5", 1], latent_image=["5", 2])
    prompt["3"]["inputs"]["seed"] = 77
    return original, picture(talker, prompt)


@pytest.mark.parametrize("how", ["SetLatentNoiseMask", "VAEEncodeForInpaint", "InpaintModelConditioning"])
def test_inpainting_keeps_what_is_not_masked(talker, how):
    original, painted = inpainting(talker, how)
    assert np.abs(painted - original)[:, :48].mean() < 12
    assert (painted != original)[:, 80:].any()


def test_latents_are_resized_repeated_and_taken_out(talker):
    prompt = base(batch=2)
    prompt["10"] = node("LatentFromBatch", samples=["3", 0], batch_index=1, length=1)
    prompt["11"] = node("LatentUpscaleBy", samples=["10", 0], upscale_method="nearest-exact", scale_by=2.0)
    prompt["12"] = node("RepeatLatentBatch", samples=["11", 0], amount=3)
    prompt["8"]["inputs"]["samples"] = ["12", 0]
    prompt_id, _ = talker.run(prompt)
    images = talker.history(prompt_id)["outputs"]["9"]["images"]
    assert len(images) == 3
    saved = Image.open(io.BytesIO(talker.http.get("/view", params=images[0]).content))
    assert saved.size == (128, 128)


def result(name: str, **inputs: Any) -> Any:
    """What a node that is a function of its inputs gives."""
    return NODE_CLASSES[name].run(None, inputs).values  # type: ignore[arg-type]  # they do not look at the context


def test_a_latent_laid_over_another():
    under, over = np.zeros((1, 4, 8, 8), np.float32), np.ones((1, 4, 4, 4), np.float32)
    (latent,) = result(
        "LatentComposite", samples_to={"samples": under}, samples_from={"samples": over}, x=16, y=0, feather=8
    )
    assert latent["samples"][0, 0, :4].tolist() == [[0, 0, 1, 1, 1, 1, 0, 0]] * 3 + [[0, 0, 1, 1, 1, 1, 0, 0]]
    assert under.max() == 0


def test_masks_grow_shrink_and_fade():
    mask = np.zeros((1, 7, 7), np.float32)
    mask[0, 3, 3] = 1
    (tapered,) = result("GrowMask", mask=mask, expand=1, tapered_corners=True)
    (square,) = result("GrowMask", mask=mask, expand=1, tapered_corners=False)
    (back,) = result("GrowMask", mask=square, expand=-1, tapered_corners=False)
    assert (tapered.sum(), square.sum()) == (5, 9)
    assert (back == mask).all()
    (faded,) = result("FeatherMask", mask=np.ones((1, 4, 4), np.float32), left=2, top=0, right=0, bottom=0)
    assert faded[0, 0].tolist() == [0.5, 1, 1, 1]


def test_a_frame_to_paint_has_its_mask():
    image = np.full((1, 8, 8, 3), 9, np.uint8)
    padded, mask = result("ImagePadForOutpaint", image=image, left=8, top=0, right=0, bottom=0, feathering=0)
    assert padded.shape == (1, 8, 16, 3)
    assert mask[0, 0].tolist() == [1] * 8 + [0] * 8
    assert (padded[0, :, :8] == 128).all()


def test_pictures_are_scaled_batched_and_inverted():
    image = np.full((1, 8, 16, 3), 200, np.uint8)
    (half,) = result("ImageScale", image=image, upscale_method="area", width=8, height=0, crop="disabled")
    (both,) = result("ImageBatch", image1=half, image2=image)
    (negative,) = result("ImageInvert", image=image)
    assert half.shape == (1, 4, 8, 3)
    assert both.shape == (2, 4, 8, 3)
    assert (negative == 55).all()


def test_what_is_undecided_falls_to_nothing(talker):
    prompt = base()
    prompt["3"] = {**prompt["3"], "class_type": "KSamplerUndecided"}
    prompt_id, frames = talker.run(prompt)
    told = [frame[9:].decode() for frame in binary(frames) if frame[:9] == b"\0\0\0\3\0\0\0\0013"]
    assert len(told) == 8
    assert re.fullmatch(r"2\d\.\d bits undecided, 5\.\d of them in the (sky|backdrop|subject)", told[0])
    assert told[-1] == "All is decided"
    steps = talker.history(prompt_id)["outputs"]["3"]["undecided"]
    assert talker.http.get(f"/undecided/{prompt_id}").json() == {"3": steps}
    assert talker.http.get("/undecided/nobody").status_code == 404
    bits = [sum(factor["bits"] for factor in step["factors"]) for step in steps]
    assert [step["step"] for step in steps] == list(range(1, 9))
    assert bits[0] > 5
    assert bits[-1] < 1
    assert all(factor["candidates"] for factor in steps[0]["factors"])
    head, *rows = (line.split() for line in talker.history(prompt_id)["outputs"]["3"]["text"][0].splitlines())
    assert head == ["step", "sigma", *(factor["name"] for factor in steps[0]["factors"]), "decided"]
    shown = [[float(cell) for cell in row[2:7]] for row in rows]
    listed = [[factor["bits"] for factor in step["factors"]] for step in steps]
    np.testing.assert_allclose(shown, listed, atol=0.006)
    likeliest = [factor["candidates"][0][0] for factor in steps[-1]["factors"]]
    decided = " ".join(" ".join(row[7:]) for row in rows)
    assert all(name in decided for name in likeliest)
