"""The one bounded store of this process for the bytes of steps and outputs.

Each kind has a cap in memory; over it, the least recently used spill to a temporary folder that is removed at exit.
The folder has a cap of its own; over that, the oldest are dropped and say so when they are asked for. Bytes live as
long as somebody holds their `Blob`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from comfy_nb.errors import OutputError
from comfy_nb.tracebacks import brief

__all__ = ["Blob", "Kind", "Store", "configure", "get_store", "saved_limit"]

Kind = Literal["steps", "outputs"]
MB = 1 << 20
WRITING = -1  # no key: keeps a file from going while its blobs are entered, as a finalizer may come between


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
    """Bytes under caps: `steps` and `outputs` in memory, `spill` on disk, all in bytes. Thread-safe.

    What leaves memory goes to the disk in files of many blobs, as one file for each takes longer than the blob itself.
    A file goes when none of its blobs is wanted any more. No lock is held while the disk works, but for one that only
    those wait for who have something to write too.
    """

    def __init__(self, *, steps: int = 64 * MB, outputs: int = 128 * MB, spill: int = 4096 * MB) -> None:
        self.caps: dict[Kind, int] = {"steps": steps, "outputs": outputs}
        self.spill_cap = spill
        self.in_memory: dict[Kind, int] = {"steps": 0, "outputs": 0}
        self.on_disk = 0
        self._memory: dict[Kind, OrderedDict[int, bytes]] = {"steps": OrderedDict(), "outputs": OrderedDict()}
        self._kind: dict[int, Kind] = {}
        self._places: dict[int, _Place] = {}
        self._files: OrderedDict[Path, _File] = OrderedDict()
        self._next = 0
        # Re-entrant: a finalizer may run discard() in the middle of any of our own lines.
        self._lock = threading.RLock()
        self._writing = threading.Lock()
        self._folder: Path | None = None

    def put(self, data: bytes, kind: Kind) -> Blob:
        """Keep `data` and return its handle. Writes to disk when the cap is passed: not for the loop thread.

        Raises OSError if the disk does not take what must go there; what was kept before still is.
        """
        with self._lock:
            blob = self._remember(data, kind)
        try:
            self._shrink(kind)
        except OSError:
            blob.free()
            raise
        return blob

    def put_in_memory(self, data: bytes, kind: Kind) -> Blob | None:
        """As `put`, but None, and nothing kept, if something had to go to the disk for it. Never waits for the disk."""
        with self._lock:
            fits = self.in_memory[kind] + len(data) <= self.caps[kind]
            return self._remember(data, kind) if fits else None

    def get(self, key: int) -> bytes:
        """The bytes under `key`; recently read ones stay in memory longest."""
        with self._lock:
            kind = self._kind.get(key)
            if kind is not None and (data := self._memory[kind].get(key)) is not None:
                self._memory[kind].move_to_end(key)
                return data
            if (place := self._places.get(key)) is None:
                raise OutputError(
                    f"These bytes are not kept any more: the {self.spill_cap // MB} MB of disk for results are full. "
                    "Save what you need earlier, or raise the cap with comfy_nb.configure(spill=…)."
                )
            file = place.path.open("rb")  # from here on it may be removed
        with file:
            file.seek(place.start)
            return file.read(place.size)

    def discard(self, key: int) -> None:
        """Let the bytes under `key` go. Unknown keys are ignored."""
        with self._lock:
            kind = self._kind.pop(key, None)
            if kind is None:
                return
            if (data := self._memory[kind].pop(key, None)) is not None:
                self.in_memory[kind] -= len(data)
            if (place := self._places.pop(key, None)) is not None:
                keys = self._files[place.path].keys
                keys.remove(key)
                if not keys:
                    self._remove(place.path)

    def _remember(self, data: bytes, kind: Kind) -> Blob:
        key, self._next = self._next, self._next + 1
        self._kind[key] = kind
        self._memory[kind][key] = data
        self.in_memory[kind] += len(data)
        return Blob(self, key, len(data))

    def _shrink(self, kind: Kind) -> None:
        with self._writing:
            while batch := self._batch(kind):
                self._spill(batch, kind)

    def _batch(self, kind: Kind) -> dict[int, bytes]:
        """The least recently used, so many that there is room for some time; nothing if all is within the cap."""
        with self._lock:
            over = self.in_memory[kind] - self.caps[kind]
            batch: dict[int, bytes] = {}
            size = 0
            for key, data in list(self._memory[kind].items()):
                if over <= 0 or size >= over + self.caps[kind] // 8:
                    break
                if len(data) > self.spill_cap:
                    self.discard(key)
                    over -= len(data)
                elif size + len(data) <= self.spill_cap:
                    batch[key] = data
                    size += len(data)
                else:
                    break
            return batch

    def _spill(self, batch: dict[int, bytes], kind: Kind) -> None:
        size = sum(map(len, batch.values()))
        with self._lock:
            while self._files and self.on_disk + size > self.spill_cap:
                self._drop(next(iter(self._files)))
            path, self._next = self._make_folder() / str(self._next), self._next + 1
        try:
            with path.open("wb") as out:
                out.writelines(batch.values())
        except OSError:
            _unlink(path)
            raise
        with self._lock:
            file = self._files[path] = _File(size, {WRITING})
            self.on_disk += size
            start = 0
            for key, data in batch.items():
                if (
                    self._memory[kind].pop(key, None) is not None
                ):  # else it was discarded while it was written
                    self.in_memory[kind] -= len(data)
                    file.keys.add(key)
                    self._places[key] = _Place(path, start, len(data))
                start += len(data)
            file.keys.remove(WRITING)
            if not file.keys:
                self._remove(path)

    def _drop(self, path: Path) -> None:
        """Forget a file and the blobs in it."""
        for key in tuple(self._files[path].keys):  # the last one takes the file with it
            self.discard(key)

    def _remove(self, path: Path) -> None:
        self.on_disk -= self._files.pop(path).size
        _unlink(path)

    def _make_folder(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="comfy_nb-"))
            weakref.finalize(self, _remove, self._folder, os.getpid())
        return self._folder


@dataclass(frozen=True, slots=True)
class _Place:
    """Where on the disk the bytes of a blob are."""

    path: Path
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class _File:
    """A file of many blobs: its size in bytes, and those that are still wanted."""

    size: int
    keys: set[int]


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):  # on Windows, while it is read: then it goes with the folder
        path.unlink()


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
            raise brief(
                ValueError(f"{name} is a size in bytes and cannot be negative, but {size} was given.")
            )
    _store.caps["steps"] = _store.caps["steps"] if steps is None else steps
    _store.caps["outputs"] = _store.caps["outputs"] if outputs is None else outputs
    _store.spill_cap = _store.spill_cap if spill is None else spill
    _saved_limit = _saved_limit if saved is None else saved
