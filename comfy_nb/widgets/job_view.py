"""JobView: one job, live. It draws what its source says, and decides nothing."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import traitlets

from comfy_nb.errors import ComfyError, OutputError
from comfy_nb.events import Entitled, Event, OutputArrived, Placed, Preview, Progressed
from comfy_nb.run import FINAL
from comfy_nb.snapshot import Snapshot, plan_view
from comfy_nb.widgets import pictures
from comfy_nb.widgets.saved import BESIDE, Saved, saved_copy
from comfy_nb.widgets.source import ShownOutput, Source
from comfy_nb.widgets.view import Content, View

__all__ = ["JobView"]

STATIC = Path(__file__).parents[1] / "static"
log = logging.getLogger("comfy_nb")


class JobView(View):
    """The live view of one job: preview, progress, nodes, outputs, Interrupt."""

    _esm = STATIC / "job_view.js"
    _css = STATIC / "job_view.css"

    plan = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    poster = traitlets.Bytes(b"").tag(sync=True)

    def __init__(self, source: Source) -> None:
        """A view of `source`; it follows it from its first display until it is closed."""
        self._source = source
        self._stop: Callable[[], None] | None = None
        self._told: tuple[object, ...] = ()
        self._moving: str | None = None  # the node whose bar moved last, with nothing else since
        self._id = uuid.uuid4().hex
        super().__init__(model_id=self._id, plan=self._plan(), state=self._state())
        self._saved = Saved(source, self._loop)

    def show(self) -> None:
        """Display it in the cell that runs, and beside it what a saved notebook will show."""
        made = self._repr_mimebundle_()  # None once it is closed
        self._saved.show(made[0] if made else None)

    def _ipython_display_(self) -> None:
        self.show()

    def settle(self) -> None:
        """Wait a moment, if the view is on display, until what a saved notebook keeps of the ended job is there."""
        self._saved.settle()

    def freeze(self, max_bytes: int | None = None) -> None:
        """Put the final picture and a summary in place of the view wherever it is displayed, and close it."""
        self._saved.freeze(max_bytes)
        self.close()

    def __repr__(self) -> str:
        return f"<JobView {self._source.plan().title!r} {self._source.snapshot()}>"

    # -- on the loop thread --------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._stop = self._source.subscribe(self._follow)
        self._spawn(self._show_last_frame())
        self._tell()

    def _end(self) -> None:
        if self._stop is not None:
            self._stop()
            self._stop = None

    def _set_changing(self, state: dict[str, Any]) -> None:
        self.set_trait("state", state)

    def _follow(self, event: Event) -> None:
        match event:
            case Preview():
                self._show_frame(event)
                numbers = self._moving is not None
            case Progressed(node_id=node):
                numbers, self._moving = node == self._moving, node
            case OutputArrived(result=result):
                self._show_outputs(
                    output for output in self._source.outputs() if output.index == result.index
                )
                numbers = False
            case Placed() | Entitled():
                self.set_trait("plan", self._plan())
                numbers = False
            case _:
                numbers, self._moving = False, None
        if numbers:  # many a second, and no other news
            self._bridge.state(self._state, urgent=False)
        else:
            self._tell()

    def _plan(self) -> dict[str, Any]:
        return {**plan_view(self._source.plan(), self._source.server), "model": self._id}

    def _state(self) -> dict[str, Any]:
        return self._source.snapshot().state(output.kind for output in self._source.outputs())

    def _tell(self) -> None:
        """The state, at once if something happened that people wait for; after the end, nothing changes."""
        snapshot = self._source.snapshot()
        told = (snapshot.status, snapshot.node, snapshot.error, snapshot.stopping, snapshot.link)
        if snapshot.status not in FINAL:
            self._bridge.state(self._state, urgent=told != self._told)
        elif told != self._told:
            self._bridge.finish(self._state)
            self._spawn(self._keep_poster(snapshot))
            self._spawn(self._saved.fill())
        self._told = told

    async def _show_last_frame(self) -> None:
        """What came before anybody looked; of a job that has ended it may lie on the disk."""
        try:
            frame = await self._loop.work(self._source.last_frame)
        except OutputError:  # it is kept no more
            frame = None
        if frame is not None and not self._bridge.stream().shown:
            self._show_frame(frame)
        if self._source.snapshot().status in FINAL:
            self._bridge.finish(self._state)

    def _show_frame(self, preview: Preview) -> None:
        self._bridge.frame(partial(self._about, preview), preview.image)

    def _about(self, preview: Preview) -> dict[str, Any]:
        snapshot = self._source.snapshot()
        return {
            "node": self._source.display_id(preview.node_id) or snapshot.node or "",
            "step": preview.step,
            "of": preview.of,
            "progress": round(snapshot.progress, 4),
            "t": snapshot.elapsed,
        }

    def _show_outputs(self, outputs: Iterable[ShownOutput]) -> None:
        for output in outputs:
            self._spawn(self._show_output(output))

    async def _show_output(self, output: ShownOutput) -> None:
        self._bridge.message(*await self._loop.work(pictures.message_of, output))

    async def _keep_poster(self, snapshot: Snapshot) -> None:
        images = [output for output in self._source.outputs() if output.kind == "image"]
        if snapshot.status != "succeeded" or not images:
            return
        first = min(images, key=lambda output: (not output.saved, output.index))
        self.set_trait("poster", await self._loop.work(pictures.poster, first))

    async def _send_copy(self) -> None:
        """For a page that was loaded after the copy beside the view was displayed: it puts it there itself."""
        data = await self._loop.work(saved_copy, self._source, mark=BESIDE)
        self._bridge.message({"k": "copy", "data": data})

    def _answer(self, content: Content) -> None:
        match content:
            case {"k": "interrupt"}:
                self._interrupt()
            case {"k": "copy"} if self._source.snapshot().status in FINAL:
                self._spawn(self._send_copy())
            case {"k": "hello"}:
                self._show_outputs(self._source.outputs())
            case _:
                pass

    def _interrupt(self) -> None:
        """Every click has one answer: the state that says "stopping", the final one, or why it could not be done."""
        try:
            if not self._source.interrupt():
                self._bridge.state(self._state, urgent=True)
        except ComfyError as error:
            self._bridge.message({"k": "refused", "why": str(error)})
