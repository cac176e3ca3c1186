"""What a saved notebook keeps of a job: a picture and one line, in an output beside the live view.

A front end without its kernel shows no widgets and nothing that stands in the same output. So there is a second
output, empty at first, filled in once when the job has ended, and hidden by the live view's style sheet while that
is there. An update of the first output would take the live view away.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from comfy_nb.errors import OutputError
from comfy_nb.kernel.display import WIDGET, publish, replace, static_bundle
from comfy_nb.loop import Loop
from comfy_nb.run import FINAL
from comfy_nb.snapshot import Snapshot, duration, made
from comfy_nb.store import saved_limit
from comfy_nb.widgets import pictures
from comfy_nb.widgets.source import ShownOutput, Source

__all__ = ["BESIDE", "Saved", "saved_copy"]

BESIDE = "cnb-saved"  # the style sheet hides it behind a live view
PATIENCE = 1.0  # seconds that `settle()` waits at most


class Saved:
    """The outputs of one job's view in a notebook: the live one and, beside it, the copy that outlives the kernel."""

    def __init__(self, source: Source, loop: Loop) -> None:
        self._source, self._loop = source, loop
        name = uuid.uuid4().hex
        self._live_id, self._beside_id = f"comfy_nb-{name}-live", f"comfy_nb-{name}-saved"
        self._shown = False
        self._filled = threading.Event()

    def show(self, live: Mapping[str, Any] | None) -> None:
        """Display the bundle of a live view, and the copy beside it; without one, the copy alone."""
        if live is None or WIDGET not in live:
            publish(self._live_id, saved_copy(self._source))
            return
        publish(self._live_id, {WIDGET: live[WIDGET], "text/plain": self._source.plan().title})
        publish(self._beside_id, static_bundle("", mark=BESIDE))
        self._shown = True
        self._filled.clear()
        self._loop.run(self.fill())

    async def fill(self) -> None:
        """Fill in the copy, if a view is on display and the job has ended. On the loop thread."""
        if not self._shown or self._source.snapshot().status not in FINAL:
            return
        try:
            replace(self._beside_id, await self._loop.work(saved_copy, self._source, mark=BESIDE))
        finally:
            self._filled.set()

    def settle(self) -> None:
        """Wait until the copy of a job that has ended is filled in, so that it is there when the cell ends."""
        if self._shown:
            self._filled.wait(PATIENCE)

    def freeze(self, limit: int | None = None) -> None:
        """Put a copy of at most `limit` bytes in place of the live view, and nothing beside it."""
        if self._shown:
            self.settle()
            replace(self._live_id, saved_copy(self._source, limit))
            replace(self._beside_id, static_bundle(""))
            self._shown = False


def saved_copy(source: Source, limit: int | None = None, *, mark: str = "") -> dict[str, str]:
    """Picture and summary by media type, at most `limit` bytes (by default `configure(saved=…)`). For the workers."""
    snapshot, outputs = source.snapshot(), source.outputs()
    picture, what = _picture(source, outputs)
    text = f"{snapshot.title}: {_line(snapshot, outputs, what if picture else '')}"
    room = (saved_limit() if limit is None else limit) - len(str(static_bundle(text, mark=mark)))
    # The picture is there twice, for viewers of HTML and for those that know only images, in four characters for
    # three bytes.
    jpeg = pictures.jpeg(picture, room * 3 // 8) if picture else b""
    return static_bundle(text, jpeg=jpeg, mark=mark)


def _picture(source: Source, outputs: Sequence[ShownOutput]) -> tuple[bytes, str]:
    """The picture to keep, and what to call it if it is not the final one."""
    images = [output for output in outputs if output.kind == "image"]
    for output in sorted(images, key=lambda image: (not image.saved, image.index)):
        try:
            return output.data, ""
        except OutputError:  # dropped from the store, or never fetched: the next one will do
            continue
    last = source.last_frame()
    return (
        (last.image, f"last guess, of step {last.step}" if last.step else "last guess") if last else (b"", "")
    )


def _line(snapshot: Snapshot, outputs: Sequence[ShownOutput], what: str) -> str:
    took = f" in {duration(snapshot.elapsed)}" if snapshot.status == "succeeded" and snapshot.elapsed else ""
    why = snapshot.error.title if snapshot.error else snapshot.note
    words = (snapshot.status + took, made(output.kind for output in outputs), why, what)
    return " · ".join(word for word in words if word)
