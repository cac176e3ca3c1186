"""Latents: blank ones, to and from pixels, resized, taken apart and put together."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from comfy_nb.server.nodes.base import Context, NodeClass, NodeResult, gives
from comfy_nb.server.nodes.fields import MAX_SIZE, Field, choice, integer, number
from comfy_nb.server.nodes.values import MASK, PIXELS, Latent, check_canvas
from comfy_nb.server.worlds import load_world
from comfy_nb.server.worlds.base import PIXELS_PER_LATENT, Array, World
from comfy_nb.server.worlds.codec import resize
from comfy_nb.server.worlds.masks import fit_mask

__all__ = ["NODES"]

METHODS = {
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
}
"""Ways to resize latents. ComfyUI's bislerp is for latents whose channels are no colours."""


def _empty_latent(_context: Context, inputs: dict[str, Any]) -> NodeResult:
    width, height, batch = inputs["width"], inputs["height"], inputs["batch_size"]
    check_canvas(width, height, batch)
    # Latents are the same for every world.
    return NodeResult(({"samples": load_world().empty(width, height, batch)},))


def _decode(samples: Latent, vae: World, **_tiles: int) -> PIXELS:
    return vae.decode(samples["samples"])


def _encode(pixels: PIXELS, vae: World, **_tiles: int) -> Latent:
    check_canvas(pixels.shape[2], pixels.shape[1], pixels.shape[0])
    return {"samples": vae.encode(pixels)}


def _encode_for_inpaint(pixels: PIXELS, vae: World, mask: MASK, grow_mask_by: int) -> Latent:
    """Grey where it will be painted; the latent's own mask is a little larger."""
    check_canvas(pixels.shape[2], pixels.shape[1], pixels.shape[0])
    shape = (pixels.shape[0], 1, pixels.shape[1], pixels.shape[2])
    painted = fit_mask(mask, shape)[:, 0].round()
    grey = np.where(painted[..., None] > 0, np.uint8(128), pixels)
    return {"samples": vae.encode(grey), "noise_mask": grow(painted, grow_mask_by)}


def grow(mask: MASK, pixels: int) -> MASK:
    """A mask [B, H, W] with its edge moved outwards by half of `pixels`: the maximum over that many."""
    if pixels < 2:
        return mask
    before, after = pixels // 2, (pixels - 1) // 2
    padded = np.pad(mask, ((0, 0), (before, after), (before, after)))
    for axis in (1, 2):
        padded = np.lib.stride_tricks.sliding_window_view(padded, pixels, axis).max(axis=-1)
    return padded


def _set_noise_mask(samples: Latent, mask: MASK) -> Latent:
    return {**samples, "noise_mask": mask}


def _resized(latent: Latent, width: int, height: int, method: str, crop: str = "disabled") -> Latent:
    """A latent of `width` x `height` latent pixels."""
    check_canvas(width * PIXELS_PER_LATENT, height * PIXELS_PER_LATENT, len(latent["samples"]))
    samples: Array = latent["samples"]
    if crop == "center":
        samples = _cropped(samples, width / height)
    resized = [resize(each, width, height, METHODS[method]) for each in samples]
    return {**latent, "samples": np.stack(resized)}


def _cropped(samples: Array, ratio: float) -> Array:
    """The middle of latents, of the given width / height."""
    height, width = samples.shape[-2:]
    left = round((width - height * ratio) / 2) if width > height * ratio else 0
    top = round((height - width / ratio) / 2) if width < height * ratio else 0
    return samples[..., top : height - top, left : width - left]


def _upscale(samples: Latent, upscale_method: str, width: int, height: int, crop: str) -> Latent:
    """To a size in pixels; 0 keeps the shape, both 0 keep everything."""
    if width == height == 0:
        return samples
    rows, columns = samples["samples"].shape[-2:]
    # As on the original, no side is shorter than 64 pixels.
    wide = max(width, 64) // PIXELS_PER_LATENT if width else max(1, round(columns * height / (8 * rows)))
    high = max(height, 64) // PIXELS_PER_LATENT if height else max(1, round(rows * width / (8 * columns)))
    return _resized(samples, wide, high, upscale_method, crop)


def _upscale_by(samples: Latent, upscale_method: str, scale_by: float) -> Latent:
    rows, columns = samples["samples"].shape[-2:]
    return _resized(
        samples, max(1, round(columns * scale_by)), max(1, round(rows * scale_by)), upscale_method
    )


def _indices(latent: Latent) -> list[int]:
    """Which pictures of a batch these are: the noise of each depends on it."""
    return latent.get("batch_index") or list(range(len(latent["samples"])))


def _from_batch(samples: Latent, batch_index: int, length: int) -> Latent:
    count = len(samples["samples"])
    start = min(batch_index % count if batch_index < 0 else batch_index, count - 1)
    chosen = slice(start, min(start + length, count))
    latent = {**samples, "samples": samples["samples"][chosen], "batch_index": _indices(samples)[chosen]}
    if "noise_mask" in samples and len(samples["noise_mask"]) == count:
        latent["noise_mask"] = samples["noise_mask"][chosen]
    return latent


def _repeat(samples: Latent, amount: int) -> Latent:
    array: Array = samples["samples"]
    check_canvas(array.shape[3] * PIXELS_PER_LATENT, array.shape[2] * PIXELS_PER_LATENT, len(array) * amount)
    latent = {**samples, "samples": np.concatenate([array] * amount)}
    if "batch_index" in samples:
        step = max(samples["batch_index"]) - min(samples["batch_index"]) + 1
        latent["batch_index"] = [
            index + step * turn for turn in range(amount) for index in samples["batch_index"]
        ]
    return latent


def _composite(samples_to: Latent, samples_from: Latent, x: int, y: int, feather: int) -> Latent:
    """One latent laid over another, its inner edges faded over `feather` pixels."""
    left, top, fade = x // PIXELS_PER_LATENT, y // PIXELS_PER_LATENT, feather // PIXELS_PER_LATENT
    base: Array = samples_to["samples"].copy()
    rows, columns = base.shape[-2:]
    over: Array = samples_from["samples"][: len(base), :, : max(rows - top, 0), : max(columns - left, 0)]
    height, width = over.shape[-2:]
    if height == 0 or width == 0:
        return samples_to
    share = np.ones((height, width), np.float32)
    for step in range(min(fade, height, width)):
        part = np.float32((step + 1) / fade)
        edges = (
            (top > 0, (step, slice(None))),
            (top + height < rows, (height - 1 - step, slice(None))),
            (left > 0, (slice(None), step)),
            (left + width < columns, (slice(None), width - 1 - step)),
        )
        for inner, place in edges:
            if inner:
                share[place] *= part
    window = base[: len(over), :, top : top + height, left : left + width]
    window += (over - window) * share
    return {**samples_to, "samples": base}


def _size(default: int, step: int, what: str) -> Field:
    return integer(default, 16, MAX_SIZE, step, tooltip=f"The {what} of the picture in pixels.")


_BATCH = integer(1, 1, 4096, tooltip="How many pictures at once.")
_LATENT: Field = ["LATENT", {}]
_VAE: Field = ["VAE", {"tooltip": "The world that draws it."}]
_TILES = {
    "overlap": integer(64, 0, 4096, 32, advanced=True),
    "temporal_size": integer(64, 8, 4096, 4, advanced=True),
    "temporal_overlap": integer(8, 4, 4096, 4, advanced=True),
}
_CROP = choice(["disabled", "center"])
_NO_TILES = " Here tiles are not needed, and make no difference."

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
        name="VAEDecode",
        display_name="VAE Decode",
        category="model/latent",
        description="Draws the sampled scene at full size.",
        run=gives(_decode),
        required={"samples": ["LATENT", {"tooltip": "The latent to be decoded."}], "vae": _VAE},
        outputs=("IMAGE",),
        output_tooltips=("The picture.",),
    ),
    NodeClass(
        name="VAEDecodeTiled",
        display_name="VAE Decode (Tiled)",
        category="model/latent",
        description="Draws the sampled scene at full size." + _NO_TILES,
        run=gives(_decode),
        required={
            "samples": _LATENT,
            "vae": _VAE,
            "tile_size": integer(512, 64, 4096, 32, advanced=True),
            **_TILES,
        },
        outputs=("IMAGE",),
    ),
    NodeClass(
        name="VAEEncode",
        display_name="VAE Encode",
        category="model/latent",
        description="Turns a picture into a latent to start from.",
        run=gives(_encode),
        required={"pixels": ["IMAGE", {}], "vae": ["VAE", {}]},
        outputs=("LATENT",),
    ),
    NodeClass(
        name="VAEEncodeTiled",
        display_name="VAE Encode (Tiled)",
        category="model/latent",
        description="Turns a picture into a latent to start from." + _NO_TILES,
        run=gives(_encode),
        required={
            "pixels": ["IMAGE", {}],
            "vae": ["VAE", {}],
            "tile_size": integer(512, 64, 4096, 64, advanced=True),
            **_TILES,
        },
        outputs=("LATENT",),
    ),
    NodeClass(
        name="VAEEncodeForInpaint",
        display_name="VAE Encode (for Inpainting)",
        category="model/latent",
        description="Greys out what is under the mask, and lets the sampler paint there only.",
        run=gives(_encode_for_inpaint),
        required={
            "pixels": ["IMAGE", {}],
            "vae": ["VAE", {}],
            "mask": ["MASK", {}],
            "grow_mask_by": integer(6, 0, 64, 1),
        },
        outputs=("LATENT",),
    ),
    NodeClass(
        name="SetLatentNoiseMask",
        display_name="Set Latent Noise Mask",
        category="model/latent",
        description="Lets the sampler paint under the mask only.",
        run=gives(_set_noise_mask),
        required={"samples": _LATENT, "mask": ["MASK", {}]},
        outputs=("LATENT",),
    ),
    NodeClass(
        name="LatentUpscale",
        display_name="Upscale Latent",
        category="model/latent",
        description="Resizes a latent to a size in pixels.",
        run=gives(_upscale),
        required={
            "samples": _LATENT,
            "upscale_method": choice(list(METHODS)),
            "width": integer(512, 0, MAX_SIZE, 8),
            "height": integer(512, 0, MAX_SIZE, 8),
            "crop": _CROP,
        },
        outputs=("LATENT",),
    ),
    NodeClass(
        name="LatentUpscaleBy",
        display_name="Upscale Latent By",
        category="model/latent",
        description="Resizes a latent.",
        run=gives(_upscale_by),
        required={
            "samples": _LATENT,
            "upscale_method": choice(list(METHODS)),
            "scale_by": number(1.5, 0.01, 8.0, 0.01),
        },
        outputs=("LATENT",),
    ),
    NodeClass(
        name="LatentFromBatch",
        display_name="Get Latent From Batch",
        category="model/latent/batch",
        description="Some pictures of a batch; sampled again, each has the noise that it had in the batch.",
        run=gives(_from_batch),
        required={
            "samples": _LATENT,
            "batch_index": integer(0, -MAX_SIZE, MAX_SIZE),
            "length": integer(1, 1, 64),
        },
        outputs=("LATENT",),
    ),
    NodeClass(
        name="RepeatLatentBatch",
        display_name="Repeat Latent Batch",
        category="model/latent/batch",
        description="The same latents several times over.",
        run=gives(_repeat),
        required={"samples": _LATENT, "amount": integer(1, 1, 64)},
        outputs=("LATENT",),
    ),
    NodeClass(
        name="LatentComposite",
        display_name="Latent Composite",
        category="model/latent",
        description="Lays one latent over another.",
        run=gives(_composite),
        required={
            "samples_to": _LATENT,
            "samples_from": _LATENT,
            "x": integer(0, 0, MAX_SIZE, 8),
            "y": integer(0, 0, MAX_SIZE, 8),
            "feather": integer(0, 0, MAX_SIZE, 8),
        },
        outputs=("LATENT",),
    ),
]
