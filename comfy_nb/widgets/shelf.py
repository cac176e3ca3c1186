"""The thumbnails of a board: made in the workers when a job has ended, sent when a page asks for them.

What pages ask for comes first; what nobody asked for yet is made one at a time, newest first, so that scrolling
through old jobs finds them ready. All methods are called on the loop thread.
"""

from __future__ import annotations

import itertools
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from comfy_nb.errors import OutputError
from comfy_nb.loop import WORKERS, Loop
from comfy_nb.widgets import pictures
from comfy_nb.widgets.source import ShownOutput

__all__ = ["Shelf", "Thumb", "make_thumb"]

log = logging.getLogger("comfy_nb")

SIDE = 256  # pixels
MAX_BYTES = 20_000
MAX_TEXT = 280  # characters of a text output on a card
KEPT_BYTES = 24 << 20  # of thumbnails kept on this side
BATCH = 8  # thumbnails in one message
MAX_PAGES = 16  # whose wishes are remembered


@dataclass(frozen=True, slots=True)
class Thumb:
    """What a card shows of a finished job: a picture, or the start of a text; `pictures` counts its images."""

    image: bytes = b""
    text: str = ""
    pictures: int = 0

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return len(self.image) + 4 * len(self.text) + 100


def make_thumb(outputs: Sequence[ShownOutput]) -> Thumb:
    """The thumbnail of a job's outputs. Reads, decodes and encodes: for the workers."""
    images = [output for output in outputs if output.kind == "image"]
    for output in sorted(images, key=lambda output: (not output.saved, output.index)):
        try:
            image = pictures.thumbnail(output.data, SIDE, MAX_BYTES)
        except OutputError:
            continue
        if image:
            return Thumb(image, pictures=len(images))
    return Thumb(text=_first_text(outputs), pictures=len(images))


def _first_text(outputs: Sequence[ShownOutput]) -> str:
    for output in outputs:
        try:
            if output.kind == "text" and output.text:
                return output.text[:MAX_TEXT]
        except OutputError:
            continue
    return ""


Send = Callable[[dict[str, Any], list[bytes]], object]


class Shelf:
    """`outputs` gives those of a key, or None when it is not there any more; `send` takes a message and buffers.

    `made` is called whenever a thumbnail has been made.
    """

    def __init__(
        self,
        loop: Loop,
        outputs: Callable[[int], Sequence[ShownOutput] | None],
        send: Send,
        made: Callable[[], object],
    ) -> None:
        self._loop, self._outputs, self._send, self._told = loop, outputs, send, made
        self._made: OrderedDict[int, Thumb] = OrderedDict()
        self._bytes = 0
        self._wanted: dict[str, list[int]] = {}  # by page
        self._spare: deque[int] = deque()
        self._working: set[int] = set()
        self._closed = False

    def ended(self, key: int) -> None:
        """A job has ended: its thumbnail will be wanted sooner or later."""
        if not self._closed and key not in self._made:
            self._spare.append(key)
            self._go_on()

    def want(self, page: str, keys: Iterable[int]) -> None:
        """A page shows these, or will soon. Replaces what that page asked for before and has not got."""
        keys = list(dict.fromkeys(keys))
        self._deliver([key for key in keys if key in self._made])
        self._wanted.pop(page, None)
        if missing := [key for key in keys if key not in self._made]:
            self._wanted[page] = missing
        while len(self._wanted) > MAX_PAGES:  # one that was closed never says so
            self._wanted.pop(next(iter(self._wanted)))
        self._go_on()

    def newest(self, keys: Iterable[int], count: int) -> list[bytes]:
        """Up to `count` pictures of these keys that are there already. From any thread."""
        thumbs = (self._made.get(key) for key in keys)
        images = (thumb.image for thumb in thumbs if thumb is not None and thumb.image)
        return list(itertools.islice(images, count))

    def forget(self, key: int) -> None:
        """Let a thumbnail go."""
        thumb = self._made.pop(key, None)
        if thumb is not None:
            self._bytes -= thumb.size

    def close(self) -> None:
        """Let all go, and make no more."""
        self._closed = True
        self._made.clear()
        self._wanted.clear()
        self._spare.clear()

    def _go_on(self) -> None:
        """Keep both workers at what is wanted, and one at most at what is not."""
        for key in [key for keys in self._wanted.values() for key in keys if key not in self._working]:
            if len(self._working) >= WORKERS:
                return
            if key not in self._working and not self._start(key):
                self._unwant(key)
        while self._spare and not self._working:
            key = self._spare.pop()
            if key not in self._made:
                self._start(key)

    def _start(self, key: int) -> bool:
        outputs = self._outputs(key)
        if outputs is not None:
            self._working.add(key)
            self._loop.run(self._make(key, outputs))
        return outputs is not None

    async def _make(self, key: int, outputs: Sequence[ShownOutput]) -> None:
        try:
            thumb = await self._loop.work(make_thumb, outputs)
        except Exception:  # a card without a picture is better than a board that stops
            log.exception("comfy_nb: a thumbnail could not be made")
            thumb = Thumb()
        finally:
            self._working.discard(key)
        if self._closed:
            return
        if self._outputs(key) is None:  # dismissed meanwhile: on to the others
            self._unwant(key)
            self._go_on()
            return
        self.forget(key)
        self._made[key] = thumb
        self._bytes += thumb.size
        while self._bytes > KEPT_BYTES:
            self.forget(next(iter(self._made)))
        if self._unwant(key):
            self._deliver([key])
        self._told()
        self._go_on()

    def _unwant(self, key: int) -> bool:
        """Nobody waits for it any more; whether somebody did."""
        waiting = [keys for keys in self._wanted.values() if key in keys]
        for keys in waiting:
            keys.remove(key)
        return bool(waiting)

    def _deliver(self, keys: Sequence[int]) -> None:
        for start in range(0, len(keys), BATCH):
            batch = keys[start : start + BATCH]
            thumbs = [self._made[key] for key in batch]
            told = [
                {"i": key, "text": thumb.text, "n": thumb.pictures, "bytes": len(thumb.image)}
                for key, thumb in zip(batch, thumbs, strict=True)
            ]
            self._send({"k": "thumbs", "thumbs": told}, [thumb.image for thumb in thumbs])
