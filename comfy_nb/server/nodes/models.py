"""Checkpoints: a world stands where a model, its text encoder and its VAE would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_nb.server.nodes.base import Context, NodeClass, NodeResult, gives, gives_all
from comfy_nb.server.nodes.fields import choice, number
from comfy_nb.server.worlds import ABOUT, load_world
from comfy_nb.server.worlds.base import World

__all__ = ["CHECKPOINTS", "LOADABLE", "NODES"]

_WORLDS = {f"demo-{name}.safetensors": name for name in ABOUT}


def _with_aliases(*names: str) -> Mapping[str, str | None]:
    return {**_WORLDS, **dict.fromkeys(names)}


# The names under which ComfyUI's own templates ask for models mean the usual world, so that they run unmodified.
CHECKPOINTS = _with_aliases(
    "v1-5-pruned-emaonly-fp16.safetensors",
    "v1-5-pruned-emaonly.safetensors",
    "v1-5-pruned-emaonly.ckpt",
    "512-inpainting-ema.safetensors",
    "sd_xl_base_1.0.safetensors",
    "dreamshaper_8.safetensors",
)
LOADABLE: dict[str, Mapping[str, str | None]] = {
    "checkpoints": CHECKPOINTS,
    "diffusion_models": _with_aliases("z_image_turbo_bf16.safetensors"),
    "text_encoders": _with_aliases("qwen_3_4b.safetensors"),
    "vae": _with_aliases("ae.safetensors", "vae-ft-mse-840000-ema-pruned.safetensors"),
}

# As on the original; they make no difference here.
CLIP_TYPES = [
    "stable_diffusion", "stable_cascade", "sd3", "stable_audio", "mochi", "ltxv", "pixart", "cosmos",
    "lumina2", "wan", "hidream", "chroma", "ace", "omnigen2", "qwen_image", "hunyuan_image", "flux2",
    "ovis", "longcat_image", "cogvideox", "lens", "pixeldit", "ideogram4", "boogu", "krea2", "joyimage",
    "mage", "minimax",
]  # fmt: skip

_ABOUT = (
    "Nothing is loaded: this is comfy_nb's embedded server, which samples known worlds of pictures exactly, "
    "without weights. The names that begin with demo- are those worlds; those of well-known models are only there "
    "so that workflows run, and mean the world that the server was started with, by default demo-landscapes. "
    + " ".join(f"{file}: {ABOUT[name]}" for file, name in _WORLDS.items())
)
_UNCHANGED = (
    "Passes the model on as it is: the embedded server's noise levels are always those of Stable Diffusion."
)


def _load_checkpoint(_context: Context, inputs: dict[str, Any]) -> NodeResult:
    world = load_world(CHECKPOINTS[inputs["ckpt_name"]])
    return NodeResult((world, world, world))


def _load_part(_context: Context, inputs: dict[str, Any]) -> NodeResult:
    """A part of a model by the name of its file, which is the first input."""
    name = next(iter(inputs.values()))
    return NodeResult((load_world(next(names[name] for names in LOADABLE.values() if name in names)),))


def _same_model(model: World, **_settings: Any) -> World:
    return model


def _same_clip(clip: World, **_settings: Any) -> World:
    return clip


def _same_both(model: World, clip: World, **_settings: Any) -> tuple[World, World]:
    return model, clip


def _names(kind: str) -> list[Any]:
    return choice(list(LOADABLE[kind]), tooltip=_ABOUT)


_DEVICE = {"device": choice(["default", "cpu"], advanced=True)}
_STRENGTH = number(1.0, -100.0, 100.0, 0.01)
_NO_LORAS = "There are no LoRAs for a world without weights: the list is empty."

NODES = [
    NodeClass(
        name="CheckpointLoaderSimple",
        display_name="Load Checkpoint",
        category="model/loaders",
        description=_ABOUT,
        run=_load_checkpoint,
        required={"ckpt_name": _names("checkpoints")},
        outputs=("MODEL", "CLIP", "VAE"),
        output_tooltips=(
            "The exact denoiser of a known world.",
            "Reads prompts: which words it knows and which it does not.",
            "Draws the sampled scene, and looks pictures up.",
        ),
    ),
    NodeClass(
        name="UNETLoader",
        display_name="Load Diffusion Model",
        category="model/loaders",
        description=_ABOUT,
        run=_load_part,
        required={
            "unet_name": _names("diffusion_models"),
            "weight_dtype": choice(["default", "fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2"], advanced=True),
        },
        outputs=("MODEL",),
    ),
    NodeClass(
        name="CLIPLoader",
        display_name="Load CLIP",
        category="model/loaders",
        description=_ABOUT,
        run=_load_part,
        required={
            "clip_name": _names("text_encoders"),
            "type": choice(CLIP_TYPES),
        },
        optional=_DEVICE,
        outputs=("CLIP",),
    ),
    NodeClass(
        name="VAELoader",
        display_name="Load VAE",
        category="model/loaders",
        description=_ABOUT,
        run=_load_part,
        required={"vae_name": _names("vae")},
        outputs=("VAE",),
    ),
    NodeClass(
        name="LoraLoader",
        display_name="Load LoRA (Model and CLIP)",
        category="model/loaders",
        description=_NO_LORAS,
        run=gives_all(_same_both),
        required={
            "model": ["MODEL", {}],
            "clip": ["CLIP", {}],
            "lora_name": choice([]),
            "strength_model": _STRENGTH,
            "strength_clip": _STRENGTH,
        },
        outputs=("MODEL", "CLIP"),
    ),
    NodeClass(
        name="CLIPSetLastLayer",
        display_name="CLIP Set Last Layer",
        category="model/conditioning",
        description="Passes the CLIP on as it is: a world reads prompts without layers.",
        run=gives(_same_clip),
        required={
            "clip": ["CLIP", {}],
            "stop_at_clip_layer": [
                "INT",
                {"default": -1, "min": -24, "max": -1, "step": 1, "advanced": True},
            ],
        },
        outputs=("CLIP",),
    ),
    NodeClass(
        name="ModelSamplingAuraFlow",
        category="model/patch",
        description=_UNCHANGED,
        run=gives(_same_model),
        required={"model": ["MODEL", {}], "shift": number(1.73, 0.0, 100.0, 0.01)},
        outputs=("MODEL",),
        python_module="comfy_extras.nodes_model_advanced",
    ),
]
