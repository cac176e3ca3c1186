"""Latents and how they are sampled, decoded and encoded."""

from __future__ import annotations

from typing import Any

from comfy_nb.server.diffusion.sampling import SAMPLERS, SCHEDULERS, ksampler
from comfy_nb.server.nodes.base import Context, NodeClass, NodeResult
from comfy_nb.server.pictures import preview_jpeg
from comfy_nb.server.worlds import load_world
from comfy_nb.server.worlds.base import Array, World

__all__ = ["NODES", "CanvasTooLarge", "check_canvas"]

# One picture, and all pictures of a batch; beyond that the exact denoiser outgrows a small machine.
MAX_PIXELS = 2048 * 2048
MAX_BATCH_PIXELS = 4 * MAX_PIXELS


class CanvasTooLarge(ValueError):
    """The picture is larger than the embedded server wants to paint."""


def check_canvas(width: int, height: int, batch: int) -> None:
    """Raise CanvasTooLarge if that many pixels are too many."""
    if width * height > MAX_PIXELS:
        raise CanvasTooLarge(
            f"A picture of {width}x{height} pixels is too large for the embedded server: "
            f"it paints up to {MAX_PIXELS:,} pixels, such as 2048x2048."
        )
    if width * height * batch > MAX_BATCH_PIXELS:
        raise CanvasTooLarge(
            f"{batch} pictures of {width}x{height} pixels are too many for the embedded server: "
            f"it paints up to {MAX_BATCH_PIXELS:,} pixels at once."
        )


def _empty_latent(_context: Context, inputs: dict[str, Any]) -> NodeResult:
    width, height, batch = inputs["width"], inputs["height"], inputs["batch_size"]
    check_canvas(width, height, batch)
    # Latents are the same for every world.
    return NodeResult(({"samples": load_world("landscapes").empty(width, height, batch)},))


def _sample(context: Context, inputs: dict[str, Any]) -> NodeResult:
    world: World = inputs["model"]

    def on_step(step: int, steps: int, x0: Array) -> None:
        seen = context.previews and context.progress.listened()
        context.step(step, steps, preview_jpeg(world.preview(x0[0])) if seen else None)
        context.pace()

    samples = ksampler(
        world,
        seed=inputs["seed"],
        steps=inputs["steps"],
        cfg=inputs["cfg"],
        sampler_name=inputs["sampler_name"],
        scheduler=inputs["scheduler"],
        positive=inputs["positive"],
        negative=inputs["negative"],
        samples=inputs["latent_image"]["samples"],
        denoise=inputs["denoise"],
        callback=on_step,
    )
    return NodeResult(({"samples": samples},))


def _decode(_context: Context, inputs: dict[str, Any]) -> NodeResult:
    return NodeResult((inputs["vae"].decode(inputs["samples"]["samples"]),))


def _encode(_context: Context, inputs: dict[str, Any]) -> NodeResult:
    pixels = inputs["pixels"]
    check_canvas(pixels.shape[2], pixels.shape[1], pixels.shape[0])
    return NodeResult(({"samples": inputs["vae"].encode(pixels)},))


def _size(default: int, step: int, what: str) -> list[Any]:
    tooltip = f"The {what} of the picture in pixels."
    return ["INT", {"default": default, "min": 16, "max": 16384, "step": step, "tooltip": tooltip}]


_BATCH = ["INT", {"default": 1, "min": 1, "max": 4096, "tooltip": "How many pictures at once."}]

NODES = [
    NodeClass(
        name="EmptyLatentImage",
        display_name="Empty Latent Image",
        category="model/latent",
        description="A blank canvas to sample on.",
        run=_empty_latent,
        required={"width": _size(512, 8, "width"), "height": _size(512, 8, "height"), "batch_size": _BATCH},
        outputs=("LATENT",),
    ),
    NodeClass(
        name="EmptySD3LatentImage",
        display_name="EmptySD3LatentImage",
        category="model/latent/stable diffusion",
        description="A blank canvas to sample on; here the same as Empty Latent Image.",
        run=_empty_latent,
        required={
            "width": _size(1024, 16, "width"),
            "height": _size(1024, 16, "height"),
            "batch_size": _BATCH,
        },
        outputs=("LATENT",),
        python_module="comfy_extras.nodes_sd3",
    ),
    NodeClass(
        name="KSampler",
        display_name="KSampler",
        category="model/sampling",
        description="Removes noise from a latent, step by step, towards what the prompts ask for.",
        run=_sample,
        required={
            "model": ["MODEL", {"tooltip": "Whose denoiser is used."}],
            "seed": [
                "INT",
                {
                    "default": 0,
                    "min": 0,
                    "max": 2**64 - 1,
                    "control_after_generate": True,
                    "tooltip": "The seed of the starting noise: the same noise as ComfyUI's.",
                },
            ],
            "steps": ["INT", {"default": 20, "min": 1, "max": 10000, "tooltip": "How many denoising steps."}],
            "cfg": [
                "FLOAT",
                {
                    "default": 8.0,
                    "min": 0.0,
                    "max": 100.0,
                    "step": 0.1,
                    "round": 0.01,
                    "tooltip": "How strongly the prompts pull (classifier-free guidance).",
                },
            ],
            "sampler_name": [
                list(SAMPLERS),
                {"tooltip": "The solver. Those of ComfyUI that are built so far."},
            ],
            "scheduler": [list(SCHEDULERS), {"tooltip": "How the noise levels are spaced."}],
            "positive": ["CONDITIONING", {"tooltip": "What to include."}],
            "negative": ["CONDITIONING", {"tooltip": "What to exclude."}],
            "latent_image": ["LATENT", {"tooltip": "The latent to denoise."}],
            "denoise": [
                "FLOAT",
                {
                    "default": 1.0,
                    "min": 0.0,
                    "max": 1.0,
                    "step": 0.01,
                    "tooltip": "1 starts from noise alone; less keeps part of the latent's picture.",
                },
            ],
        },
        outputs=("LATENT",),
        output_tooltips=("The denoised latent.",),
    ),
    NodeClass(
        name="VAEDecode",
        display_name="VAE Decode",
        category="model/latent",
        description="Draws the sampled scene at full size.",
        run=_decode,
        required={
            "samples": ["LATENT", {"tooltip": "The latent to be decoded."}],
            "vae": ["VAE", {"tooltip": "The world that draws it."}],
        },
        outputs=("IMAGE",),
        output_tooltips=("The picture.",),
    ),
    NodeClass(
        name="VAEEncode",
        display_name="VAE Encode",
        category="model/latent",
        description="Turns a picture into a latent to start from.",
        run=_encode,
        required={"pixels": ["IMAGE"], "vae": ["VAE"]},
        outputs=("LATENT",),
    ),
]
