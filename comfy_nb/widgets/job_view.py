"""JobView: one job, live. Traits, one message handler, and nothing that decides anything."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from pathlib import Path
from typing import Any, cast

import anywidget
import traitlets

from comfy_nb.client.loop import get_loop
from comfy_nb.events import Event, OutputArrived, Preview, Progressed
from comfy_nb.run import FINAL
from comfy_nb.snapshot import Snapshot, plan_view
from comfy_nb.widgets import pictures
from comfy_nb.widgets.begin import begin
from comfy_nb.widgets.bridge import Bridge, hub_of
from comfy_nb.widgets.saved import Saved
from comfy_nb.widgets.source import ShownOutput, Source

__all__ = ["JobView"]

STATIC = Path(__file__).parents[1] / "static"
log = logging.getLogger("comfy_nb")


class JobView(anywidget.AnyWidget):
    """The live view of one job: preview, progress, nodes, outputs, Interrupt.

    After the constructor its traits and messages are written on the loop thread only. No trait can be written by
    the page: what the page has to say comes as messages.
    """

    _esm = STATIC / "job_view.js"
    _css = STATIC / "job_view.css"

    plan = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    poster = traitlets.Bytes(b"").tag(sync=True)

    def __init__(self, source: Source) -> None:
        """A view of `source`; it follows it until `close()`."""
        self._source = source
        # Kept: at the interpreter's end a widget is closed once more, when no new loop can be started.
        self._loop = get_loop()
        begin()
        self._bridge = Bridge(self._post, partial(self.set_trait, "state"), hub_of(self._loop))
        self._saved = Saved(source, self._loop)
        self._stop: Callable[[], None] | None = None
        self._told: tuple[object, ...] = ()
        self._moving: str | None = None  # the node whose bar moved last, with nothing else since
        super().__init__(plan=plan_view(source.plan(), source.server), state=self._state())
        self.on_msg(self._hear)  # pyright: ignore[reportUnknownMemberType] - ipywidgets is untyped
        self._loop.call(self._begin)

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Ignored: pages may not write traits."""

    def close(self) -> None:
        """Stop following the job, and take the view off every page, soon. Doing so twice is harmless."""
        self._loop.call(self._end)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        self._loop.call(self._bridge.displayed)
        return super()._repr_mimebundle_(**kwargs)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - anywidget says only "dict"

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
        frame = self._source.last_frame()
        if frame is not None:
            self._show_frame(frame)
        self._tell()

    def _end(self) -> None:
        if self._stop is not None:
            self._stop()
            self._stop = None
        self._bridge.close()
        super().close()

    def _follow(self, event: Event) -> None:
        match event:
            case Preview():
                self._show_frame(event)
                numbers = self._moving is not None
            case Progressed(node_id=node):
                numbers, self._moving = node == self._moving, node
            case OutputArrived(index=index):
                self._show_outputs(output for output in self._source.outputs() if output.index == index)
                numbers = False
            case _:
                numbers, self._moving = False, None
        if numbers:  # many a second, and no other news
            self._bridge.state(self._state, urgent=False)
        else:
            self._tell()

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

    def _post(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        self.send(content, buffers)  # pyright: ignore[reportUnknownMemberType] - ipywidgets is untyped

    def _show_frame(self, preview: Preview) -> None:
        self._bridge.frame(partial(self._about, preview), preview.image)

    def _about(self, preview: Preview) -> dict[str, Any]:
        snapshot = self._source.snapshot()
        return {
            "node": self._source.plan().display_id(preview.node_id) or snapshot.node or "",
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

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        async def logged() -> None:
            try:
                await work
            except Exception:  # nobody awaits this, and a picture that cannot be shown ends no job
                log.exception("comfy_nb: a view could not show an output")

        self._loop.run(logged())

    # -- from the page: any thread may bring it, the loop thread answers ------------------------------------------

    def _hear(self, _: object, content: object, buffers: object) -> None:
        del buffers
        if isinstance(content, dict):
            self._loop.call(self._answer, cast("dict[object, object]", content))

    def _answer(self, content: dict[object, object]) -> None:
        match content:
            case {"k": "interrupt"}:
                self._source.interrupt()
            case {"k": "hello"} if self._bridge.hear(content):
                self._show_outputs(self._source.outputs())
            case _ if not self._bridge.hear(content):
                log.debug("comfy_nb: a page said something unknown: %r", content)
            case _:  # the bridge has heard it
                pass
