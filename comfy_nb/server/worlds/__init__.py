"""Worlds: known distributions of pictures, which the embedded server samples exactly in place of a checkpoint."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache

from comfy_nb.server.worlds.base import Conditioning, Denoiser, World
from comfy_nb.server.worlds.landscapes.world import Landscapes
from comfy_nb.server.worlds.memories import Memories
from comfy_nb.server.worlds.textures.world import Textures

__all__ = ["ABOUT", "WORLDS", "Conditioning", "Denoiser", "World", "load_world", "make_usual"]

_landscapes = cache(Landscapes)  # the memories are some of them

WORLDS: dict[str, Callable[[], World]] = {
    "landscapes": _landscapes,
    "textures": Textures,
    "memorise": lambda: Memories(_landscapes()),
}
"""How to build each world, by name."""

ABOUT = {world.name: world.about for world in (Landscapes, Textures, Memories)}
"""One sentence on each world, by name."""

_built: dict[str, World] = {}
_building = threading.Lock()
_usual = ["landscapes"]


def load_world(name: str | None = None) -> World:
    """Give the world of that name, built on first use and then kept; may be called from any thread.

    Without a name it is this process's usual one. Raises ValueError for a name that is not in `WORLDS`.
    """
    name = _known(_usual[0] if name is None else name)
    with _building:
        if name not in _built:
            _built[name] = WORLDS[name]()
        return _built[name]


def make_usual(name: str) -> None:
    """Choose the world that stands behind the names of well-known models, in this process.

    Raises ValueError for a name that is not in `WORLDS`.
    """
    _usual[0] = _known(name)


def _known(name: str) -> str:
    if name not in WORLDS:
        raise ValueError(f"no world {name!r}; there are {', '.join(WORLDS)}")
    return name
