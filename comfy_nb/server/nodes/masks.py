"""Masks, and pictures that are only looked at, resized or put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from comfy_nb.server.nodes.base import NodeClass, gives, gives_all
from comfy_nb.server.nodes.fields import MAX_SIZE, Field, choice, combo, integer, number, switch
from comfy_nb.server.nodes.values import MASK, PIXELS, check_canvas

__all__ = ["NODES"]

CHANNELS = ("red", "green", "blue", "alpha")

METHODS = {
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def _to_mask(image: PIXELS, channel: str) -> MASK:
    if channel == "alpha":  # pictures have none once they are loaded
        return np.ones(image.shape[:3], np.float32)
    return image[..., CHANNELS.index(channel)].astype(np.float32) / np.float32(255)


def _to_image(mask: MASK) -> PIXELS:
    levels = (np.clip(mask, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=-1)


def _invert_mask(mask: MASK) -> MASK:
    return 1 - mask


def _invert(image: PIXELS) -> PIXELS:
    return 255 - image


def _solid(value: float, width: int, height: int) -> MASK:
    check_canvas(width, height, 1)
    return np.full((1, height, width), value, np.float32)


def _grow(mask: MASK, expand: int, tapered_corners: bool) -> MASK:
    """One pixel further in every direction, `expand` times; inwards if that is negative."""
    extreme = np.maximum if expand > 0 else np.minimum
    for _ in range(min(abs(expand), max(mask.shape[1:]))):
        padded = np.pad(mask, ((0, 0), (1, 1), (1, 1)), mode="edge")
        shifted = [
            padded[:, 1 + down : padded.shape[1] - 1 + down, 1 + right : padded.shape[2] - 1 + right]
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
            if not (tapered_corners and down and right)
        ]
        mask = extreme.reduce(shifted)
    return mask


def _feather(mask: MASK, left: int, top: int, right: int, bottom: int) -> MASK:
    """Faded towards the four edges over so many pixels."""
    mask = mask.copy()
    for axis, before, after in ((2, left, right), (1, top, bottom)):
        size = mask.shape[axis]
        first, last = min(before, size), min(after, size)
        ramp = np.ones(size, np.float32)
        ramp[:first] *= np.arange(1, first + 1, dtype=np.float32) / max(first, 1)
        ramp[size - last :] *= np.arange(last, 0, -1, dtype=np.float32) / max(last, 1)
        mask *= ramp if axis == 2 else ramp[:, None]
    return mask


def _scale(image: PIXELS, upscale_method: str, width: int, height: int, crop: str = "disabled") -> PIXELS:
    """To a size in pixels; 0 keeps the shape, both 0 keep everything."""
    rows, columns = image.shape[1:3]
    if width == height == 0:
        return image
    width = width or max(1, round(columns * height / rows))
    height = height or max(1, round(rows * width / columns))
    check_canvas(width, height, len(image))
    if crop == "center":
        left = round((columns - rows * width / height) / 2) if columns * height > rows * width else 0
        top = round((rows - columns * height / width) / 2) if columns * height < rows * width else 0
        image = image[:, top : rows - top, left : columns - left]
    pictures = (Image.fromarray(each).resize((width, height), METHODS[upscale_method]) for each in image)
    return np.stack([np.asarray(each) for each in pictures])


def _scale_by(image: PIXELS, upscale_method: str, scale_by: float) -> PIXELS:
    rows, columns = image.shape[1:3]
    return _scale(image, upscale_method, max(1, round(columns * scale_by)), max(1, round(rows * scale_by)))


def _empty(width: int, height: int, batch_size: int, color: int) -> PIXELS:
    check_canvas(width, height, batch_size)
    return np.broadcast_to(np.array(list(color.to_bytes(3)), np.uint8), (batch_size, height, width, 3)).copy()


def _batch(image1: PIXELS, image2: PIXELS) -> PIXELS:
    """Both; the second is made as large as the first."""
    height, width = image1.shape[1:3]
    check_canvas(width, height, len(image1) + len(image2))
    return np.concatenate([image1, _scale(image2, "bilinear", width, height, "center")])


def _pad(
    *, image: PIXELS, left: int, top: int, right: int, bottom: int, feathering: int
) -> tuple[PIXELS, MASK]:
    """A grey frame around a picture, and the mask of the frame, which fades into the picture."""
    batch, rows, columns, _ = image.shape
    check_canvas(columns + left + right, rows + top + bottom, batch)
    padded = np.pad(image, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=128)
    inside = np.zeros((rows, columns), np.float32)
    if feathering > 0 and feathering * 2 < min(rows, columns):
        far = float(max(rows, columns))
        y, x = np.mgrid[:rows, :columns].astype(np.float32)
        edges = [(top, y), (bottom, rows - y), (left, x), (right, columns - x)]
        near = np.minimum.reduce([distance if side else np.full_like(y, far) for side, distance in edges])
        inside = np.clip((feathering - near) / feathering, 0, 1) ** 2
    mask = np.pad(inside, ((top, bottom), (left, right)), constant_values=1.0)
    return padded, mask[None]


_IMAGE: Field = ["IMAGE", {}]
_MASK: Field = ["MASK", {}]
_EDGE = integer(0, 0, MAX_SIZE, 1)
_EDGE_8 = integer(0, 0, MAX_SIZE, 8)
_SIDE = integer(512, 1, MAX_SIZE, 1)
_SCALED = integer(512, 0, MAX_SIZE, 1)


def _mask_node(
    name: str, title: str, text: str, function: Callable[..., Any], output: str, **inputs: Field
) -> NodeClass:
    return NodeClass(
        name=name,
        display_name=title,
        category="image/mask",
        description=text,
        run=gives(function),
        required=inputs,
        outputs=(output,),
        python_module="comfy_extras.nodes_mask",
    )


def _image_node(
    name: str, title: str, category: str, text: str, function: Callable[..., Any], **inputs: Field
) -> NodeClass:
    return NodeClass(
        name=name,
        display_name=title,
        category=category,
        description=text,
        run=gives(function),
        required=inputs,
        outputs=("IMAGE",),
    )


NODES = [
    _mask_node(
        "ImageToMask",
        "Convert Image to Mask",
        "One colour of a picture as a mask.",
        _to_mask,
        "MASK",
        image=_IMAGE,
        channel=combo(CHANNELS),
    ),
    _mask_node("MaskToImage", "Convert Mask to Image", "A mask in grey.", _to_image, "IMAGE", mask=_MASK),
    _mask_node("InvertMask", "Invert Mask", "What was outside.", _invert_mask, "MASK", mask=_MASK),
    _mask_node(
        "SolidMask",
        "Create Solid Mask",
        "The same value everywhere.",
        _solid,
        "MASK",
        value=number(1.0, 0.0, 1.0, 0.01),
        width=_SIDE,
        height=_SIDE,
    ),
    _mask_node(
        "GrowMask",
        "Grow Mask",
        "A mask with its edge moved.",
        _grow,
        "MASK",
        mask=_MASK,
        expand=integer(0, -MAX_SIZE, MAX_SIZE, 1),
        tapered_corners=switch(True, advanced=True),
    ),
    _mask_node(
        "FeatherMask",
        "Feather Mask",
        "A mask that fades towards the edges of the picture.",
        _feather,
        "MASK",
        mask=_MASK,
        left=_EDGE,
        top=_EDGE,
        right=_EDGE,
        bottom=_EDGE,
    ),
    _image_node(
        "ImageScale",
        "Upscale Image",
        "image/upscaling",
        "Resizes pictures.",
        _scale,
        image=_IMAGE,
        upscale_method=choice(list(METHODS)),
        width=_SCALED,
        height=_SCALED,
        crop=choice(["disabled", "center"]),
    ),
    _image_node(
        "ImageScaleBy",
        "Upscale Image By",
        "image/upscaling",
        "Resizes pictures.",
        _scale_by,
        image=_IMAGE,
        upscale_method=choice(list(METHODS)),
        scale_by=number(1.0, 0.01, 8.0, 0.01),
    ),
    _image_node(
        "ImageInvert",
        "Invert Image Colors",
        "image/color",
        "A negative.",
        _invert,
        image=_IMAGE,
    ),
    _image_node(
        "ImageBatch",
        "Batch Images (DEPRECATED)",
        "image/batch",
        "Both as one batch.",
        _batch,
        image1=_IMAGE,
        image2=_IMAGE,
    ),
    _image_node(
        "EmptyImage",
        "Empty Image",
        "image",
        "One colour.",
        _empty,
        width=_SIDE,
        height=_SIDE,
        batch_size=integer(1, 1, 4096),
        color=integer(0, 0, 0xFFFFFF, 1, display="color"),
    ),
    NodeClass(
        name="ImagePadForOutpaint",
        display_name="Pad Image for Outpainting",
        category="image/transform",
        description="A grey frame around a picture, and its mask.",
        run=gives_all(_pad),
        required={
            "image": _IMAGE,
            "left": _EDGE_8,
            "top": _EDGE_8,
            "right": _EDGE_8,
            "bottom": _EDGE_8,
            "feathering": integer(40, 0, MAX_SIZE, 1, advanced=True),
        },
        outputs=("IMAGE", "MASK"),
    ),
]
