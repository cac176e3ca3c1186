"""The one bounded store of this process for the bytes of steps and outputs.

Each kind has a cap in memory; over it, the least recently used are written behind, by a thread of the store's own, to
a temporary folder that is removed at exit. Each kind has a cap there too, so steps never push out outputs; over it,
its oldest are dropped. Whatever was dropped says why when it is asked for. Bytes live as long as somebody holds their
`Blob`.

Nobody waits for the disk but who reads from it. Where it is too slow, or takes nothing, up to a quarter more than the
cap waits in memory. Beyond, the oldest *steps* are dropped at once. *Outputs* are never dropped for slowness: who has
many to put awaits `settled()` in between. Only if the disk refuses them, the newest are dropped, and say so.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import threading
import weakref
from collections import deque
from collections.abc import Generator
from pathlib import Path
from typing import Literal

from comfy_nb.errors import OutputError
from comfy_nb.spill import Folder, Writer
from comfy_nb.stock import Stock
from comfy_nb.tracebacks import brief

__all__ = ["Blob", "Kind", "Store", "configure", "get_store", "saved_limit"]

Kind = Literal["steps", "outputs"]
KINDS: tuple[Kind, ...] = ("outputs", "steps")  # in the order in which they are written
MB = 1 << 20

FREED = "they were let go of on request"
CLEANED = "somebody emptied the folder for temporary files, where they were"
CUT = "somebody cut the temporary file that they were in"


class Blob:
    """A handle on stored bytes; they are let go when the last handle is."""

    def __init__(self, store: Store, key: int, size: int) -> None:
        self._store, self._key, self.size = store, key, size
        self._digest = ""
        self._finalizer = weakref.finalize(self, store.discard, key)
        self._finalizer.atexit = False

    @property
    def data(self) -> bytes:
        """The bytes, from memory or disk. Raises `OutputError` if they had to be dropped, or were freed."""
        return self._store.get(self._key)

    @property
    def digest(self) -> str:
        """Their SHA-256, in hex; made at the first use, from `data`."""
        if not self._digest:
            self._digest = hashlib.sha256(self.data).hexdigest()
        return self._digest

    @property
    def problem(self) -> str:
        """Why the bytes are not kept any more; empty while they are. Never waits."""
        return self._store.problem(self._key)

    def free(self) -> None:
        """Let the bytes go now. Doing so twice is harmless."""
        self._finalizer()

    def __repr__(self) -> str:
        return f"<Blob {self.size:,} bytes>"


class Store:
    """Bytes under caps: `steps` and `outputs` in memory, `spill` on disk, all in bytes. Thread-safe.

    What leaves memory goes to the disk in files of many blobs, as one file for each takes longer than the blob itself.
    A file goes when none of its blobs is wanted any more. No lock is held while the disk works.
    """

    def __init__(self, *, steps: int = 64 * MB, outputs: int = 128 * MB, spill: int = 4096 * MB) -> None:
        self._trash: deque[Path] = deque()
        # In the order in which they are written.
        self._stocks: dict[Kind, Stock] = {
            "outputs": Stock("outputs", outputs, self._trash),
            "steps": Stock("steps", steps, self._trash),
        }
        self.set_caps(spill=spill)
        self._of: dict[int, Stock] = {}  # all that is held, by key
        self._freed: deque[int] = deque()  # keys that nobody holds any more
        self._waiting: list[tuple[Stock, concurrent.futures.Future[None]]] = []
        self._settled: deque[concurrent.futures.Future[None]] = deque()
        self._next = 0
        self._lock = threading.Lock()
        self._folder = Folder()
        self._writer: Writer | None = None

    def set_caps(
        self, *, steps: int | None = None, outputs: int | None = None, spill: int | None = None
    ) -> None:
        """Other caps, from the next `put` on. A quarter of the disk is for steps, the rest for outputs."""
        if steps is not None:
            self._stocks["steps"].cap = steps
        if outputs is not None:
            self._stocks["outputs"].cap = outputs
        if spill is not None:
            self.spill_cap = spill
            self._stocks["steps"].disk_cap = spill // 4
            self._stocks["outputs"].disk_cap = spill - spill // 4

    @property
    def caps(self) -> dict[Kind, int]:
        """The caps in memory."""
        return {kind: stock.cap for kind, stock in self._stocks.items()}

    @property
    def in_memory(self) -> dict[Kind, int]:
        """How many bytes are in memory."""
        return {kind: stock.in_memory for kind, stock in self._stocks.items()}

    @property
    def on_disk(self) -> dict[Kind, int]:
        """How many bytes are in files."""
        return {kind: stock.files.size for kind, stock in self._stocks.items()}

    @property
    def dropped(self) -> dict[Kind, int]:
        """How many blobs so far were dropped although somebody held them."""
        return {kind: stock.dropped for kind, stock in self._stocks.items()}

    # -- for any thread --------------------------------------------------------------------------------------------

    def put(self, data: bytes, kind: Kind) -> Blob:
        """Keep `data` and return its handle. Never waits for the disk and never raises for it.

        What cannot be kept in the end says so: `Blob.problem`, and `Blob.data`, which raises.
        """
        stock = self._stocks[kind]
        with self._books():
            key, self._next = self._next, self._next + 1
            self._of[key] = stock
            stock.add(key, data)
            if kind == "steps":
                stock.lose_excess(newest=False, but=key)
            if stock.full:
                self._wake(stock)
        return Blob(self, key, len(data))

    def behind(self, kind: Kind = "outputs") -> bool:
        """Whether more than the cap and a quarter waits in memory, as the disk is slow or takes nothing."""
        stock = self._stocks[kind]
        return stock.in_memory > stock.most

    def settled(self, kind: Kind = "outputs") -> concurrent.futures.Future[None]:
        """Done when all of a kind that must go to the disk is there, or was refused. Wait for it with a limit.

        It waits as long as a disk hangs. `asyncio.wrap_future` makes it something to await on a loop.
        """
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        stock = self._stocks[kind]
        with self._books():
            self._waiting.append((stock, future))
            self._wake(stock)
        return future

    def get(self, key: int) -> bytes:
        """The bytes under `key`; recently read ones stay in memory longest. Waits for the disk if they are there."""
        with self._books():
            stock = self._of.get(key)
            data = stock.memory.get(key) if stock else None
            place = stock.files.place(key) if stock else None
            if stock is not None and data is not None:
                stock.memory.move_to_end(key)
                return data
        if stock is None or place is None:
            raise OutputError(self.problem(key))
        try:
            data = self._folder.read(place)
        except (FileNotFoundError, NotADirectoryError):
            with self._books():
                stock.lose_file(place.path, CLEANED)  # or it has just been dropped
            raise OutputError(self.problem(key)) from None
        except OSError as error:
            raise OutputError(f"These bytes cannot be read: {error.strerror or error}.") from None
        if len(data) < place.size:
            with self._books():
                stock.lose(key, CUT)
            raise OutputError(self.problem(key))
        return data

    def problem(self, key: int) -> str:
        """Why the bytes under `key` are not kept any more; empty while they are."""
        with self._books():
            stock = self._of.get(key)
            why = stock.gone.get(key, "") if stock else FREED
        return f"These bytes are not kept any more: {why}." if why else ""

    def discard(self, key: int) -> None:
        """Let the bytes under `key` go. Never waits; may be called at any moment, as finalizers come amid our lines."""
        self._freed.append(key)
        while self._freed and self._lock.acquire(blocking=False):  # else whoever has the lock does it
            try:
                self._let_go()
            finally:
                self._lock.release()

    # -- inside ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _books(self) -> Generator[None]:
        with self._lock:
            self._let_go()
            yield
        while self._freed and self._lock.acquire(blocking=False):  # what came meanwhile
            try:
                self._let_go()
            finally:
                self._lock.release()
        while self._settled:  # not under the lock: whoever is told may put something
            future = self._settled.popleft()
            if future.set_running_or_notify_cancel():
                future.set_result(None)

    def _let_go(self) -> None:
        while self._freed:
            key = self._freed.popleft()
            if (stock := self._of.pop(key, None)) is not None:
                stock.take_out(key)
        if self._trash and self._writer is not None:
            self._writer.wake()

    def _wake(self, stock: Stock) -> None:
        try:
            if self._writer is None or not self._writer.is_alive():  # no thread survives a fork
                self._writer = Writer(self)
                self._writer.start()
            self._writer.wake()
        except RuntimeError as error:  # no thread can be started any more: Python is exiting
            stock.refused(str(error))
            self._release({stock.kind})

    def _release(self, refused: set[str]) -> None:
        """Tell those who wait for a kind that is settled."""
        waiting, self._waiting = self._waiting, []
        for stock, future in waiting:
            if stock.full and stock.kind not in refused:
                self._waiting.append((stock, future))
            else:
                self._settled.append(future)

    def write_behind(self) -> None:
        """Bring to the disk what must go there. For the writer's thread alone."""
        refused: set[str] = set()
        while True:
            self._empty_trash()
            with self._books():
                stock = next((s for s in self._stocks.values() if s.full and s.kind not in refused), None)
                batch = stock.batch() if stock is not None else {}
                self._release(refused)
            if stock is None:
                return
            if not batch:  # all of it was too large for the disk
                continue
            try:
                self._spill(stock, batch)
            except OSError as error:
                refused.add(stock.kind)
                with self._books():
                    stock.refused(error.strerror or str(error))

    def _spill(self, stock: Stock, batch: dict[int, bytes]) -> None:
        with self._books():
            stock.make_room(sum(map(len, batch.values())))
        self._empty_trash()
        before = self._folder.path
        path = self._folder.write(batch.values())
        with self._books():
            stock.written(path, batch)
        if before not in (None, path.parent):
            self._find_lost()

    def _find_lost(self) -> None:
        """The folder was cleaned, and came back: drop what is not there any more."""
        for stock in self._stocks.values():
            with self._books():
                paths = stock.files.paths()
            for path in paths:
                if not path.exists():
                    with self._books():
                        stock.lose_file(path, CLEANED)

    def _empty_trash(self) -> None:
        while self._trash:
            self._folder.remove(self._trash.popleft())


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

    A quarter of the disk is for steps and the rest for outputs, so that neither pushes out the other.

    `saved` is for each job in a saved notebook, 150,000 by default: its picture and summary; with 0 the summary alone.
    Takes effect with the next thing that is stored. Raises `ValueError` for a negative size.
    """
    global _saved_limit  # noqa: PLW0603 - a setting of the process
    for name, size in (("steps", steps), ("outputs", outputs), ("spill", spill), ("saved", saved)):
        if size is not None and size < 0:
            raise brief(
                ValueError(f"{name} is a size in bytes and cannot be negative, but {size} was given.")
            )
    _store.set_caps(steps=steps, outputs=outputs, spill=spill)
    _saved_limit = _saved_limit if saved is None else saved
