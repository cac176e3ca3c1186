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

__all__ = ["FORMATS", "convert", "png", "preview_jpeg", "read_image", "read_mask", "save_png", "with_alpha"]

PREVIEW_SIZE = 512
PREVIEW_QUALITY = 95
PIXELS = NDArray[np.uint8]

# Pillow knows many more, and has other programs read some of them.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")

MAX_PIXELS = 50_000_000
"""The largest picture that is decoded for /view or a mask: 200 MB as RGBA."""


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
    with Image.open(path, formats=FORMATS) as file:
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
    """What /view returns for `preview=webp;90` or `channel=rgb|a`.

    Raises OSError for what is no picture, ValueError for one that is too large.
    """
    image = _decoded(path)
    if preview is not None:
        return _preview(image, preview, channel)
    buffer = io.BytesIO()
    if channel == "rgb":
        _as_mode(image, "RGB").save(buffer, "PNG")
    else:
        alpha = image.getchannel("A") if image.mode == "RGBA" else Image.new("L", image.size, 255)
        mask = Image.new("RGBA", image.size)
        mask.putalpha(alpha)
        mask.save(buffer, "PNG")
    return EncodedImage(buffer.getvalue(), "image/png")


def with_alpha(original: Path, mask: bytes) -> bytes:
    """The original as PNG, its texts kept, with the alpha channel of the picture in `mask`.

    Raises OSError for what is no picture, ValueError if one is too large or the sizes differ.
    """
    image = _decoded(original).convert("RGBA")
    image.putalpha(_decoded(io.BytesIO(mask)).convert("RGBA").getchannel("A"))
    info = PngInfo()
    for key, value in image.info.items():
        if isinstance(value, str):
            info.add_text(str(key), value)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info, compress_level=4)
    return buffer.getvalue()


def _decoded(source: Path | io.BytesIO) -> Image.Image:
    """A picture as RGB or RGBA; a bomb is refused by the size that its header says."""
    try:
        with Image.open(source, formats=FORMATS) as file:
            if file.width * file.height > MAX_PIXELS:
                raise ValueError(f"{file.width}x{file.height} is more than {MAX_PIXELS:,} pixels")
            file.load()
            return _as_mode(file, "RGBA" if "A" in file.getbands() else "RGB")
    except (Image.DecompressionBombError, SyntaxError) as error:  # so does Pillow call some damage
        raise ValueError(str(error)) from error


def _as_mode(image: Image.Image, mode: str) -> Image.Image:
    """The picture in that mode; not copied if it is."""
    return image if image.mode == mode else image.convert(mode)


def _preview(image: Image.Image, preview: str, channel: str) -> EncodedImage:
    kind, _, number = preview.partition(";")
    kind = "jpeg" if kind == "jpeg" and "a" not in channel else "webp"
    quality = min(int(number), 100) if number.isdecimal() else 90
    buffer = io.BytesIO()
    image = _as_mode(image, "RGB") if kind == "jpeg" or channel == "rgb" else image
    image.save(buffer, kind, quality=quality)
    return EncodedImage(buffer.getvalue(), f"image/{kind}")
