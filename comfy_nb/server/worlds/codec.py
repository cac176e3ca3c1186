"""Between latents and pixels. A latent pixel is the mean colour of 8 x 8 pixels; the fourth channel is always 0.

A decoder knows its world, as a trained one does: where it recognises the picture it draws it again, sharp. What the
latent holds besides (an inpainted patchwork, say) is added as a residual; a latent that is no picture of the world at
all (noise, a photograph) is only enlarged.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from comfy_nb.server.worlds.base import LATENT_CHANNELS, PIXELS_PER_LATENT, Array

Floats = NDArray[np.float32]

PURE = 0.02
"""Mean residual (of a 0 to 1 scale) up to which a latent is taken to be the recognised picture itself."""
FOREIGN = 0.08
"""Mean residual above which the latent is taken to be no picture of this world."""
STRANGE = 0.2
"""Residual averaged over 5 x 5 latent pixels (of a 0 to 1 scale) that only something put in can have."""
NOISE_FLOOR = 0.12
"""Residuals below this (of a -1 to 1 scale) are anti-aliasing, not content."""


def encode(pixels: NDArray[np.uint8]) -> Floats:
    """Turn RGB pixels [B, H, W, 3] into latents [B, 4, H/8, W/8]; what is over a multiple of 8 is cropped evenly."""
    batch, height, width, _ = pixels.shape
    step = PIXELS_PER_LATENT
    top, left = height % step // 2, width % step // 2
    rows, columns = height // step, width // step
    whole = pixels[:, top : top + rows * step, left : left + columns * step, :3].astype(np.float32)
    means = whole.reshape(batch, rows, step, columns, step, 3).mean(axis=(2, 4))
    latents = np.zeros((batch, LATENT_CHANNELS, rows, columns), np.float32)
    latents[:, :3] = means.transpose(0, 3, 1, 2) / 127.5 - 1.0
    return latents


def to_pixels(picture: Floats) -> NDArray[np.uint8]:
    """Turn [3, height, width] from -1 to 1 into RGB pixels [height, width, 3]."""
    levels = np.clip((picture + 1.0) * 127.5 + 0.5, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(1, 2, 0))


def blocks(picture: Floats) -> Floats:
    """Average [3, H, W] over 8 x 8 pixels."""
    step = PIXELS_PER_LATENT
    _, height, width = picture.shape
    return picture.reshape(3, height // step, step, width // step, step).mean(axis=(2, 4))


def resize(picture: Array, width: int, height: int, method: Image.Resampling) -> Floats:
    """Resize [C, h, w] in float."""
    planes = [Image.fromarray(plane).resize((width, height), method) for plane in picture.astype(np.float32)]
    return np.stack([np.asarray(plane, np.float32) for plane in planes])


def preview(x0: Array) -> Image.Image:
    """Show a latent [4, h, w] as an RGB image of the same size: its first three channels are its colours."""
    levels = np.clip((x0[:3] + 1.0) / 2.0, 0.0, 1.0) * 255.0
    return Image.fromarray(np.ascontiguousarray(levels.astype(np.uint8).transpose(1, 2, 0)))


def sharpen_or_mend(latent: Array, drawn: Floats) -> Floats:
    """Give the pixels of a latent [4, h, w], as [3, H, W], when `drawn` [3, H, W] is the most likely picture."""
    residual = latent[:3] - blocks(drawn)
    distance = float(np.abs(residual).mean()) / 2.0
    if distance > FOREIGN:
        return enlarge(latent)
    if distance <= PURE and float(np.abs(_smoothed(residual)).max()) / 2.0 <= STRANGE:
        return drawn
    _, height, width = drawn.shape
    extra = resize(residual, width, height, Image.Resampling.BICUBIC)
    return drawn + np.sign(extra) * np.maximum(np.abs(extra) - NOISE_FLOOR, 0.0)


def _smoothed(residual: Array) -> Floats:
    """Average [3, h, w] over 5 x 5 neighbourhoods."""
    _, height, width = residual.shape
    padded = np.pad(residual, ((0, 0), (2, 2), (2, 2)), mode="edge")
    total = np.zeros(residual.shape, np.float32)
    for row in range(5):
        for column in range(5):
            total += padded[:, row : row + height, column : column + width]
    return total / np.float32(25.0)


def enlarge(latent: Array) -> Floats:
    """Enlarge a latent eight times and sharpen it, without overshoot beyond its 3 x 3 neighbourhoods."""
    small = preview(latent)
    size = (small.width * PIXELS_PER_LATENT, small.height * PIXELS_PER_LATENT)
    sharp = small.resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.UnsharpMask(6, 120, 0))
    low = small.filter(ImageFilter.MinFilter(3)).resize(size, Image.Resampling.BILINEAR)
    high = small.filter(ImageFilter.MaxFilter(3)).resize(size, Image.Resampling.BILINEAR)
    levels = np.clip(np.asarray(sharp), np.asarray(low), np.asarray(high)).astype(np.float32)
    return levels.transpose(2, 0, 1) / 127.5 - 1.0
