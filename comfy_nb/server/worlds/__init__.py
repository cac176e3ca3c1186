"""Worlds: known distributions of pictures, which the embedded server samples exactly in place of a checkpoint."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache

from comfy_nb.server.worlds.base import Conditioning, Denoiser, World
from comfy_nb.server.worlds.landscapes.world import Landscapes
from comfy_nb.server.worlds.memories import Memories
from comfy_nb.server.worlds.textures.world import Textures

__all__ = ["WORLDS", "Conditioning", "Denoiser", "World", "load_world"]

_landscapes = cache(Landscapes)  # the memories are some of them

WORLDS: dict[str, Callable[[], World]] = {
    "landscapes": _landscapes,
    "textures": Textures,
    "memorise": lambda: Memories(_landscapes()),
}
"""How to build each world, by name."""

_built: dict[str, World] = {}
_building = threading.Lock()


def load_world(name: str) -> World:
    """Give the world of that name, built on first use and then kept; may be called from any thread.

    Raises ValueError for a name that is not in `WORLDS`.
    """
    if name not in WORLDS:
        raise ValueError(f"no world {name!r}; there are {', '.join(WORLDS)}")
    with _building:
        if name not in _built:
            _built[name] = WORLDS[name]()
        return _built[name]
