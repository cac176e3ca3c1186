"""The one bounded store of this process for the bytes of steps and outputs.

Each kind has a cap in memory; over it, the least recently used spill to a temporary folder that is removed at exit.
The folder has a cap of its own; over that, the oldest are dropped and say so when they are asked for. Bytes live as
long as somebody holds their `Blob`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from pathlib import Path
from typing import Literal

from comfy_nb.errors import OutputError

__all__ = ["Blob", "Kind", "Store", "configure", "get_store", "saved_limit"]

Kind = Literal["steps", "outputs"]
MB = 1 << 20


class Blob:
    """A handle on stored bytes; they are let go when the last handle is."""

    def __init__(self, store: Store, key: int, size: int) -> None:
        self._store, self._key, self.size = store, key, size
        self._finalizer = weakref.finalize(self, store.discard, key)
        self._finalizer.atexit = False

    @property
    def data(self) -> bytes:
        """The bytes, from memory or disk. Raises `OutputError` if they had to be dropped, or were freed."""
        if not self._finalizer.alive:
            raise OutputError("These bytes are not kept any more: they were let go of on request.")
        return self._store.get(self._key)

    def free(self) -> None:
        """Let the bytes go now. Doing so twice is harmless."""
        self._finalizer()

    def __repr__(self) -> str:
        return f"<Blob {self.size:,} bytes>"


class Store:
    """Bytes under caps: `steps` and `outputs` in memory, `spill` on disk, all in bytes. Thread-safe."""

    def __init__(self, *, steps: int = 64 * MB, outputs: int = 128 * MB, spill: int = 4096 * MB) -> None:
        self.caps: dict[Kind, int] = {"steps": steps, "outputs": outputs}
        self.spill_cap = spill
        self.in_memory: dict[Kind, int] = {"steps": 0, "outputs": 0}
        self.on_disk = 0
        self._memory: dict[Kind, OrderedDict[int, bytes]] = {"steps": OrderedDict(), "outputs": OrderedDict()}
        self._kind: dict[int, Kind] = {}
        self._files: OrderedDict[int, int] = OrderedDict()
        self._next = 0
        # Re-entrant: a finalizer may run discard() in the middle of any of our own lines.
        self._lock = threading.RLock()
        self._folder: Path | None = None

    def put(self, data: bytes, kind: Kind) -> Blob:
        """Keep `data` and return its handle. Writes to disk when the cap is passed: not for the loop thread.

        Raises OSError if the disk does not take what must go there; what was kept before still is.
        """
        with self._lock:
            key, self._next = self._next, self._next + 1
            self._kind[key] = kind
            self._remember(key, data)
            blob = Blob(self, key, len(data))
            self._shrink(kind)
            return blob

    def get(self, key: int) -> bytes:
        """The bytes under `key`; recently read ones stay in memory longest."""
        with self._lock:
            kind = self._kind.get(key)
            if kind is not None and (data := self._memory[kind].get(key)) is not None:
                self._memory[kind].move_to_end(key)
                return data
            if kind is None or key not in self._files:
                raise OutputError(
                    f"These bytes are not kept any more: the {self.spill_cap // MB} MB of disk for results are full. "
                    "Save what you need earlier, or raise the cap with comfy_nb.configure(spill=…)."
                )
            return self._path(key).read_bytes()

    def discard(self, key: int) -> None:
        """Let the bytes under `key` go. Unknown keys are ignored."""
        with self._lock:
            kind = self._kind.pop(key, None)
            if kind is None:
                return
            data = self._memory[kind].pop(key, None)
            if data is not None:
                self.in_memory[kind] -= len(data)
            self._forget_file(key)

    def _remember(self, key: int, data: bytes) -> None:
        kind = self._kind[key]
        self._memory[kind][key] = data
        self.in_memory[kind] += len(data)

    def _shrink(self, kind: Kind) -> None:
        while self.in_memory[kind] > self.caps[kind] and self._memory[kind]:
            key, data = next(iter(self._memory[kind].items()))
            if len(data) > self.spill_cap:
                self.discard(key)
                continue
            self._spill(key, data)
            if self._memory[kind].pop(key, None) is not None:
                self.in_memory[kind] -= len(data)
            else:  # discarded while it was written
                self._forget_file(key)

    def _spill(self, key: int, data: bytes) -> None:
        while (
            self.on_disk + len(data) > self.spill_cap
            and (oldest := next(iter(self._files), None)) is not None
        ):
            self.discard(oldest)
        self._files[key] = len(data)
        self.on_disk += len(data)
        try:
            self._path(key).write_bytes(data)
        except OSError:
            self._forget_file(key)
            raise

    def _forget_file(self, key: int) -> None:
        size = self._files.pop(key, None)
        if size is not None:
            self.on_disk -= size
            self._path(key).unlink(missing_ok=True)

    def _path(self, key: int) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="comfy_nb-"))
            weakref.finalize(self, _remove, self._folder, os.getpid())
        return self._folder / str(key)


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # not in a forked child, whose parent still needs it
        shutil.rmtree(folder, ignore_errors=True)


_store = Store()


def get_store() -> Store:
    """The process's store."""
    return _store


_saved_limit = 150_000


def saved_limit() -> int:
    """How many bytes a saved notebook keeps of each job at most."""
    return _saved_limit


def configure(
    *,
    steps: int | None = None,
    outputs: int | None = None,
    spill: int | None = None,
    saved: int | None = None,
) -> None:
    """Set how many bytes are kept: `steps` and `outputs` in memory, `spill` on disk for what does not fit.

    `saved` is for each job in a saved notebook, 150,000 by default: its picture and summary; with 0 the summary alone.
    Takes effect with the next thing that is stored. Raises `ValueError` for a negative size.
    """
    global _saved_limit  # noqa: PLW0603 - a setting of the process
    for name, size in (("steps", steps), ("outputs", outputs), ("spill", spill), ("saved", saved)):
        if size is not None and size < 0:
            raise ValueError(f"{name} is a size in bytes and cannot be negative, but {size} was given.")
    _store.caps["steps"] = _store.caps["steps"] if steps is None else steps
    _store.caps["outputs"] = _store.caps["outputs"] if outputs is None else outputs
    _store.spill_cap = _store.spill_cap if spill is None else spill
    _saved_limit = _saved_limit if saved is None else saved
