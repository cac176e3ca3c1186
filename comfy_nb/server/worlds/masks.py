"""Masks come at any size, and are resized to latents as ComfyUI does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from comfy_nb.server.worlds.base import Array


def fit_mask(mask: Array, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Resize a mask to latents of `shape` [B, C, h, w], bilinear; gives [B, 1, h, w], to broadcast over channels.

    Takes [H, W], [N, H, W] or [N, 1, H, W]; masks are repeated over the batch. Raises ValueError for anything else.
    """
    planes = mask[None] if mask.ndim == 2 else mask[:, 0] if mask.ndim == 4 else mask
    if planes.ndim != 3 or not planes.size:
        raise ValueError(f"a mask has the shape [H, W], [N, H, W] or [N, 1, H, W], not {list(mask.shape)}")
    rows = _between(planes.shape[1], shape[-2])
    columns = _between(planes.shape[2], shape[-1])
    small = (rows @ planes.astype(np.float32) @ columns.T).clip(0.0, 1.0)
    return small[np.arange(shape[0]) % small.shape[0], None]


def _between(size: int, wanted: int) -> NDArray[np.float32]:
    """Give the matrix [wanted, size] that interpolates at pixel centres, from the two nearest pixels only."""
    if size == wanted:
        return np.eye(size, dtype=np.float32)
    places = np.clip((np.arange(wanted) + 0.5) * size / wanted - 0.5, 0, size - 1)
    low = places.astype(int)
    high = np.minimum(low + 1, size - 1)
    matrix = np.zeros((wanted, size), np.float32)
    matrix[np.arange(wanted), low] = 1.0 - (places - low)
    matrix[np.arange(wanted), high] += places - low
    return matrix
