"""Pictures as bytes: previews, saved files, and what /view makes of them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from comfy_nb.server.progress import EncodedImage

__all__ = ["convert", "png", "preview_jpeg", "read_image", "read_mask", "save_png"]

PREVIEW_SIZE = 512
PREVIEW_QUALITY = 95
PIXELS = NDArray[np.uint8]


def preview_jpeg(image: Image.Image) -> EncodedImage:
    """A preview as ComfyUI sends it: fitted into 512x512 (enlarged, too), JPEG of quality 95."""
    fitted = ImageOps.contain(image, (PREVIEW_SIZE, PREVIEW_SIZE), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    fitted.save(buffer, "JPEG", quality=PREVIEW_QUALITY)
    return EncodedImage(buffer.getvalue(), "image/jpeg")


def png(pixels: PIXELS) -> EncodedImage:
    """A PNG of pixels [H, W, 3], without metadata."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return EncodedImage(buffer.getvalue(), "image/png")


def save_png(pixels: PIXELS, path: Path, metadata: Mapping[str, Any], compress_level: int) -> None:
    """Write pixels [H, W, 3] with each metadata value as JSON in a tEXt chunk."""
    info = PngInfo()
    for key, value in metadata.items():
        info.add_text(key, json.dumps(value))
    Image.fromarray(pixels).save(path, "PNG", pnginfo=info, compress_level=compress_level)


def read_image(path: Path) -> tuple[PIXELS, NDArray[np.float32]]:
    """(pixels [1, H, W, 3], mask [1, H, W]); the mask is 1 - alpha, all zeros without alpha."""
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file)
        pixels = np.asarray(image.convert("RGB"), np.uint8)[None]
        if "A" not in image.getbands() and "transparency" not in image.info:
            return pixels, np.zeros(pixels.shape[:3], np.float32)
        alpha = np.asarray(image.convert("RGBA"), np.float32)[None, ..., 3]
    return pixels, np.float32(1) - alpha / np.float32(255)


def read_mask(path: Path, channel: str) -> NDArray[np.float32]:
    """One channel (red, green, blue, alpha) as a mask [1, H, W]; of alpha it is 1 - alpha, all zeros without."""
    pixels, transparent = read_image(path)
    if channel == "alpha":
        return transparent
    return pixels[..., ("red", "green", "blue").index(channel)].astype(np.float32) / np.float32(255)


def convert(path: Path, preview: str | None, channel: str) -> EncodedImage:
    """What /view returns for `preview=webp;90` or `channel=rgb|a`. Not an image: raises OSError."""
    with Image.open(path) as file:
        image = file.convert("RGBA") if "A" in file.getbands() else file.convert("RGB")
    if preview is not None:
        return _preview(image, preview, channel)
    buffer = io.BytesIO()
    if channel == "rgb":
        image.convert("RGB").save(buffer, "PNG")
    else:
        alpha = image.getchannel("A") if image.mode == "RGBA" else Image.new("L", image.size, 255)
        mask = Image.new("RGBA", image.size)
        mask.putalpha(alpha)
        mask.save(buffer, "PNG")
    return EncodedImage(buffer.getvalue(), "image/png")


def _preview(image: Image.Image, preview: str, channel: str) -> EncodedImage:
    kind, _, number = preview.partition(";")
    kind = "jpeg" if kind == "jpeg" and "a" not in channel else "webp"
    quality = min(int(number), 100) if number.isdecimal() else 90
    buffer = io.BytesIO()
    image = image.convert("RGB") if kind == "jpeg" or channel == "rgb" else image
    image.save(buffer, kind, quality=quality)
    return EncodedImage(buffer.getvalue(), f"image/{kind}")
