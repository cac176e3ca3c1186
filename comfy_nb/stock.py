"""The store's books on one kind of bytes: what is in memory, what is in which file, what was dropped and why.

Pure: nothing here waits, touches the disk or has a lock; the store has one around it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from pathlib import Path

from comfy_nb.spill import Place

__all__ = ["Files", "Stock"]

MB = 1 << 20
LEEWAY = MB  # bytes that may wait for the disk at least, however small the cap is

SLOW = "the disk was too slow to take them. Ask for smaller previews, or raise comfy_nb.configure(steps=…)"


class Files:
    """Which bytes are in which file, by their keys; for the files of one kind. Its user has a lock around it."""

    def __init__(self) -> None:
        self.size = 0  # bytes of all files
        self._places: dict[int, Place] = {}
        self._files: OrderedDict[Path, tuple[int, set[int]]] = OrderedDict()  # size, and who is still wanted

    def __len__(self) -> int:
        return len(self._files)

    def paths(self) -> list[Path]:
        """All files, oldest first."""
        return list(self._files)

    def place(self, key: int) -> Place | None:
        """Where the bytes of a key are; None if they are in no file."""
        return self._places.get(key)

    def keys(self, path: Path) -> list[int]:
        """Those in a file that are still wanted."""
        return list(self._files[path][1]) if path in self._files else []

    def enter(self, path: Path, size: int, places: dict[int, Place]) -> None:
        """A file has been written. `places` are of those in it that are wanted, one at least."""
        self._files[path] = size, set(places)
        self._places |= places
        self.size += size

    def take_out(self, key: int) -> Path | None:
        """A key is not wanted any more; returns its file if nothing else in it is, for it to be removed."""
        place = self._places.pop(key, None)
        if place is None:
            return None
        size, keys = self._files[place.path]
        keys.remove(key)
        if keys:
            return None
        del self._files[place.path]
        self.size -= size
        return place.path


class Stock:
    """Bytes of one kind by their keys, under `cap` in memory and `disk_cap` in files. `trash` takes files to remove."""

    def __init__(self, kind: str, cap: int, trash: deque[Path]) -> None:
        self.kind, self.cap, self.disk_cap = kind, cap, 0
        self.memory: OrderedDict[int, bytes] = OrderedDict()  # the least recently used first
        self.in_memory = 0  # bytes
        self.files = Files()
        self.gone: dict[int, str] = {}  # why, by the keys of what was dropped and is still held by somebody
        self.dropped = 0  # how many so far
        self.writing: frozenset[int] = frozenset()
        self.fault = ""  # why the disk did not take the last ones
        self._trash = trash

    @property
    def full(self) -> bool:
        """Whether something in memory must go to the disk."""
        return self.in_memory > self.cap

    @property
    def most(self) -> int:
        """Bytes that may be in memory while the disk is slow or takes nothing: a quarter more than the cap."""
        return self.cap + max(self.cap // 4, LEEWAY)

    def add(self, key: int, data: bytes) -> None:
        """Something new."""
        self.memory[key] = data
        self.in_memory += len(data)

    def take_out(self, key: int) -> None:
        """Forget a key, wherever its bytes are."""
        self.gone.pop(key, None)
        if (data := self.memory.pop(key, None)) is not None:
            self.in_memory -= len(data)
        if (path := self.files.take_out(key)) is not None:
            self._trash.append(path)

    def lose(self, key: int, why: str) -> None:
        """Drop what somebody may hold."""
        if key in self.memory or self.files.place(key) is not None:
            self.take_out(key)
            self.gone[key] = why
            self.dropped += 1

    def lose_file(self, path: Path, why: str) -> None:
        """Drop all that is in a file."""
        for key in self.files.keys(path):  # the last one takes the file with it
            self.lose(key, why)

    def lose_excess(self, *, newest: bool, but: int | None = None) -> None:
        """Drop what is above `most`, the oldest or the newest first, but nothing that is being written."""
        if self.in_memory <= self.most:
            return
        for key in sorted(self.memory, reverse=newest):
            if key != but and key not in self.writing:
                self.lose(key, self.fault or SLOW)
            if self.in_memory <= self.most:
                break

    def batch(self) -> dict[int, bytes]:
        """What must be written now: the least recently used, and an eighth of the cap more, for some time of rest."""
        batch: dict[int, bytes] = {}
        size, over = 0, self.in_memory - self.cap
        for key, data in list(self.memory.items()):
            if over <= 0 or size >= over + self.cap // 8:
                break
            if len(data) > self.disk_cap:
                self.lose(key, self._no_room())
                over -= len(data)
            elif size + len(data) <= self.disk_cap:
                batch[key] = data
                size += len(data)
            else:
                break
        self.writing = frozenset(batch)
        return batch

    def make_room(self, size: int) -> None:
        """Drop the oldest files until `size` bytes more may go to the disk."""
        while len(self.files) and self.files.size + size > self.disk_cap:
            self.lose_file(self.files.paths()[0], self._no_room())

    def written(self, path: Path, batch: dict[int, bytes]) -> None:
        """A batch is in a file now; some of it may have been let go of meanwhile."""
        places: dict[int, Place] = {}
        start = 0
        for key, data in batch.items():
            if self.memory.pop(key, None) is not None:
                self.in_memory -= len(data)
                places[key] = Place(path, start, len(data))
            start += len(data)
        self.fault, self.writing = "", frozenset()
        if places:
            self.files.enter(path, start, places)
        else:
            self._trash.append(path)

    def refused(self, why: str) -> None:
        """The disk did not take a batch."""
        self.fault, self.writing = f"the disk for temporary files does not take them ({why})", frozenset()
        self.lose_excess(newest=self.kind == "outputs")

    def _no_room(self) -> str:
        return (
            f"the {self.disk_cap / MB:,.0f} MB of disk for {self.kind} are full. Save what you need earlier, or raise "
            "the cap with comfy_nb.configure(spill=…)"
        )
