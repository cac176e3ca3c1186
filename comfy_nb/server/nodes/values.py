"""What travels between nodes: IMAGE is uint8 [B, H, W, 3], MASK float32 [B, H, W], LATENT a dictionary."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MASK", "PIXELS", "CanvasTooLarge", "Latent", "check_canvas"]

PIXELS = NDArray[np.uint8]
MASK = NDArray[np.float32]

Latent = dict[str, Any]
"""`samples` [B, 4, h, w] in v space, and perhaps `noise_mask` and `batch_index`."""

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
