"""Where the store puts what does not fit into memory: a temporary folder, and the thread that writes to it.

Only `Folder` touches the disk, and may wait for it. What is in its files is for `stock` to know.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

__all__ = ["Folder", "Place", "Writer"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where some bytes are: a file, and where in it."""

    path: Path
    start: int
    size: int


@dataclass(slots=True)
class _State:
    """What outlives the `Folder`, until its directory is removed."""

    path: Path
    owner: int = field(default_factory=os.getpid)
    ended: threading.Event = field(default_factory=threading.Event)


class Folder:
    """A directory that is removed at exit, and is there again if somebody cleans it.

    `write` is for one thread at a time, the rest for any.
    """

    def __init__(self) -> None:
        self._state: _State | None = None
        self._end: Callable[[], object] = lambda: None  # forgets the folder that was cleaned
        self._names = itertools.count()

    @property
    def path(self) -> Path | None:
        """The directory; None before it is needed."""
        return self._state.path if self._state else None

    def write(self, pieces: Collection[bytes]) -> Path:
        """Write one new file. Raises OSError if the disk does not take it, and leaves nothing then."""
        state = self._there()
        path = state.path / str(next(self._names))
        out = path.open("xb")
        try:
            with out:
                out.writelines(pieces)
        except OSError:
            _unlink(path)
            raise
        return path

    @staticmethod
    def read(place: Place) -> bytes:
        """The bytes at a place, fewer if somebody cut the file. Raises OSError."""
        with place.path.open("rb") as file:
            file.seek(place.start)
            return file.read(place.size)

    def remove(self, path: Path) -> None:
        """Remove a file, if it is ours: not in a forked child, whose parent still needs it."""
        if self._state is not None and self._state.owner == os.getpid():
            _unlink(path)

    def _there(self) -> _State:
        state = self._state
        if state is not None and state.ended.is_set():
            raise OSError("Python is exiting")
        if state is None or state.owner != os.getpid() or not state.path.is_dir():
            self._end()
            Path(tempfile.gettempdir()).mkdir(parents=True, exist_ok=True)  # it may have been cleaned as well
            state = self._state = _State(Path(tempfile.mkdtemp(prefix="comfy_nb-")))
            self._end = weakref.finalize(self, _remove, state).detach
        return state


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):  # on Windows, while it is read: then it goes with the folder
        path.unlink()


def _remove(state: _State) -> None:
    state.ended.set()
    if os.getpid() == state.owner:
        shutil.rmtree(state.path, ignore_errors=True)
        shutil.rmtree(state.path, ignore_errors=True)  # for a file that was begun in that moment


class Writer(threading.Thread):
    """Calls `write_behind` of its owner whenever it is woken, and ends with it. A daemon: it never delays the exit."""

    def __init__(self, owner: Behind) -> None:
        super().__init__(name="comfy_nb-store", daemon=True)
        self._owner = weakref.ref(owner, lambda _: self.wake())
        self._woken: queue.SimpleQueue[None] = queue.SimpleQueue()  # its put may come in the middle of itself

    def wake(self) -> None:
        """Have it look for what there is to do. Never waits."""
        if self._woken.empty():
            self._woken.put(None)

    def run(self) -> None:
        """Until its owner is gone."""
        while True:
            self._woken.get()
            owner = self._owner()
            if owner is None:
                return
            owner.write_behind()
            del owner


class Behind(Protocol):
    """Who has something to write."""

    def write_behind(self) -> None:
        """Write all that there is to write."""
