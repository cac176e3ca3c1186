"""BoardView: many jobs in one widget. Rows are text; frames and thumbnails go for what a page shows.

The rows of all jobs go to a page once, when it says hello; from then on only what changed. See `rows` for what a row
is, `thumbs` for the pictures of finished jobs, `bridge` for the live ones: one stream for each job that runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import anywidget
import traitlets

from comfy_nb.client.loop import get_loop
from comfy_nb.events import Event, Preview
from comfy_nb.run import FINAL
from comfy_nb.widgets.begin import begin
from comfy_nb.widgets.bridge import Bridge, hub_of
from comfy_nb.widgets.job_view import JobView
from comfy_nb.widgets.rows import Row, row_of
from comfy_nb.widgets.source import ShownOutput, Source
from comfy_nb.widgets.thumbs import Thumbs

__all__ = ["BoardView", "Wishes"]

STATIC = Path(__file__).parents[1] / "static"
log = logging.getLogger("comfy_nb")

DELTAS_PER_SECOND = 4.0
REST_AFTER = 1.0  # seconds without news
MAX_OPEN = 4  # detail views at a time
MAX_KEYS = 10_000  # in one message of a page


@dataclass(frozen=True)
class Wishes:
    """What a page may wish of who holds the jobs. Called on the loop thread, with keys of jobs that are here.

    `dismiss` takes jobs off the board that have ended, `undo` brings back those that were dismissed last. `describe`
    gives what the detail view says beside the job's own view. `rest` hears that nothing runs or waits any more.
    """

    choose: Callable[[Sequence[int]], object]
    dismiss: Callable[[Sequence[int]], object]
    undo: Callable[[], object]
    describe: Callable[[int], dict[str, Any]]
    rest: Callable[[], object]


@dataclass
class _Shown:
    """One of our jobs on the board."""

    source: Source
    title: str
    server: int
    stop: Callable[[], None]
    row: Row
    told: tuple[object, ...] = ()


class BoardView(anywidget.AnyWidget):
    """The grid of jobs. A `JobBoard` makes one; after the constructor, traits and messages go from the loop thread."""

    _esm = STATIC / "board_view.js"
    _css = STATIC / "board_view.css"

    counts = traitlets.Dict().tag(sync=True)
    sheet = traitlets.Bytes(b"").tag(sync=True)

    def __init__(self, wishes: Wishes, servers: Sequence[str]) -> None:
        """A view without jobs: `show()` adds them. `servers` are the names of the servers that rows refer to."""
        self._wishes, self._servers = wishes, tuple(servers)
        self._loop = get_loop()
        begin()
        self._bridge = Bridge(self._post, self._set_counts, hub_of(self._loop))
        self._shown: dict[int, _Shown] = {}
        self._foreign: dict[int, Row] = {}
        self._changed: dict[int, Row] = {}
        self._gone: set[int] = set()
        self._selected: tuple[int, ...] = ()
        self._undoable = 0
        self._details: dict[tuple[str, int], JobView] = {}
        self._deltas = self._bridge.slot(self._send_deltas, DELTAS_PER_SECOND)
        self._thumbs = Thumbs(self._loop, self._outputs_of, self._message, self._settle)
        self._resting: asyncio.TimerHandle | None = None
        self._closed = False
        super().__init__(counts={"v": 1})
        self.on_msg(self._hear)  # pyright: ignore[reportUnknownMemberType] - ipywidgets is untyped

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Ignored: pages may not write traits."""

    def close(self) -> None:
        """Let go of all jobs, and take the view off every page, soon. Doing so twice is harmless."""
        self._loop.call(self._end)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        self._loop.call(self._bridge.displayed)
        return super()._repr_mimebundle_(**kwargs)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - anywidget says only "dict"

    def __repr__(self) -> str:
        return f"<BoardView of {len(self._shown)} jobs>"

    # -- from the holder: all on the loop thread -------------------------------------------------------------------

    def show(self, key: int, source: Source, title: str, server: int) -> None:
        """Take a job in, or tell it anew by this title."""
        known = self._shown.get(key)
        if known is not None:
            known.title = title
        elif not self._closed:
            stop = source.subscribe(lambda event: self._follow(key, event))
            known = self._shown[key] = _Shown(source, title, server, stop, {})
            frame = source.last_frame()
            if frame is not None and source.snapshot().status not in FINAL:
                self._show_frame(key, known, frame)
        if known is not None:
            self._tell(key, known)

    def show_foreign(self, key: int, row: Row) -> None:
        """Show a job that is not ours: a row, and no more."""
        if self._foreign.get(key) != row and not self._closed:
            self._foreign[key] = row
            self._put(row)

    def drop(self, keys: Iterable[int]) -> None:
        """Take jobs off the board, and free all that was kept for them."""
        for key in keys:
            shown = self._shown.pop(key, None)
            if shown is not None:
                shown.stop()
                self._release(key)
            if shown is None and self._foreign.pop(key, None) is None:
                continue
            self._changed.pop(key, None)
            self._gone.add(key)
        self._deltas.put(None)
        self._deltas.flush()

    def select(self, keys: Sequence[int]) -> None:
        """Show these as selected, on every page."""
        self._selected = tuple(keys)
        self._bridge.message({"k": "selected", "ids": list(keys)})

    def offer_undo(self, count: int) -> None:
        """Say that `count` dismissed jobs can be had back; 0: none."""
        self._undoable = count
        self._bridge.message({"k": "undo", "count": count})

    def newest_thumbs(self, keys: Iterable[int], count: int) -> list[bytes]:
        """Up to `count` thumbnails of these jobs that are there already."""
        return self._thumbs.newest(keys, count)

    def keep_sheet(self, sheet: bytes) -> None:
        """Have this contact sheet in the widget's state, for notebooks that save it."""
        if not self._closed:
            self.set_trait("sheet", sheet)

    # -- what happens to jobs --------------------------------------------------------------------------------------

    def _follow(self, key: int, event: Event) -> None:
        shown = self._shown.get(key)
        if shown is None:
            return
        if isinstance(event, Preview):
            self._show_frame(key, shown, event)
        self._tell(key, shown)

    def _tell(self, key: int, shown: _Shown) -> None:
        snapshot = shown.source.snapshot()
        row = row_of(key, snapshot, shown.title, shown.server)
        if row == shown.row:
            return
        before, shown.row = shown.row.get("s"), row
        if snapshot.status in FINAL or not snapshot.previews:
            self._bridge.drop(str(key))
        if snapshot.status in FINAL and before != snapshot.status and snapshot.outputs:
            self._thumbs.ended(key)
        if snapshot.status in FINAL and before != snapshot.status:
            self._settle()
        told = (snapshot.status, snapshot.stopping, snapshot.previews, snapshot.position, shown.title)
        urgent, shown.told = told != shown.told, told
        self._put(row, urgent=urgent)

    def _show_frame(self, key: int, shown: _Shown, preview: Preview) -> None:
        snapshot = shown.source.snapshot()
        if not snapshot.previews or snapshot.status in FINAL:
            return
        about = {"i": key, "a": preview.step, "b": preview.of, "p": round(snapshot.progress, 4)}
        self._bridge.stream(str(key)).frame(lambda: about, preview.image)

    def _settle(self) -> None:
        """A job has ended, or its thumbnail is there: soon, if nothing follows, the board is at rest."""
        if self._resting is not None:
            self._resting.cancel()
        self._resting = self._loop.call_later(REST_AFTER, self._rest)

    def _rest(self) -> None:
        self._resting = None
        if not self._closed and all(shown.row.get("s") in FINAL for shown in self._shown.values()):
            self._wishes.rest()

    def _release(self, key: int) -> None:
        self._bridge.drop(str(key))
        self._thumbs.forget(key)
        for page, other in [place for place in self._details if place[1] == key]:
            self._close_detail(page, other)

    # -- to the pages ----------------------------------------------------------------------------------------------

    def _put(self, row: Row, *, urgent: bool = False) -> None:
        self._gone.discard(row["i"])
        self._changed[row["i"]] = row
        self._deltas.put(None)
        if urgent:
            self._loop.call(
                self._deltas.flush
            )  # after what happens at the same moment, so that it goes along

    def _send_deltas(self, _: object) -> None:
        if not (self._changed or self._gone):
            return
        rows, self._changed = list(self._changed.values()), {}
        gone, self._gone = sorted(self._gone), set()
        self._bridge.message({"k": "rows", "rows": rows, "gone": gone})
        self._bridge.state(self._counted, urgent=False)

    def _counted(self) -> dict[str, Any]:
        counts: dict[str, int] = {"v": 1}
        for shown in self._shown.values():
            status = str(shown.row.get("s", "new"))
            counts[status] = counts.get(status, 0) + 1
        return counts

    def _set_counts(self, counts: dict[str, Any]) -> None:
        self.set_trait("counts", counts)

    def _message(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        self._bridge.message(content, buffers)

    def _post(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        if not self._closed:
            self.send(content, buffers)  # pyright: ignore[reportUnknownMemberType] - ipywidgets is untyped

    def _outputs_of(self, key: int) -> Sequence[ShownOutput] | None:
        shown = self._shown.get(key)
        return None if shown is None else shown.source.outputs()

    def _end(self) -> None:
        if self._closed:
            return
        for page, key in list(self._details):
            self._close_detail(page, key)
        for shown in self._shown.values():
            shown.stop()
        self._closed = True
        self._shown.clear()
        self._foreign.clear()
        self._changed.clear()
        self._thumbs.close()
        self._bridge.close()
        super().close()

    # -- from the page: any thread may bring it, the loop thread answers -------------------------------------------

    def _hear(self, _: object, content: object, buffers: object) -> None:
        del buffers
        if isinstance(content, dict):
            self._loop.call(self._answer, cast("dict[object, object]", content))

    def _answer(self, content: dict[object, object]) -> None:
        known = self._bridge.hear(content)
        match content:
            case {"k": "hello"}:
                self._greet()
            case {"k": "want", "ids": ids}:
                self._thumbs.want(self._ours(ids))
            case {"k": "select", "ids": ids}:
                self._wishes.choose(self._ours(ids))
            case {"k": "dismiss", "ids": ids}:
                self._wishes.dismiss(self._ours(ids))
            case {"k": "undo"}:
                self._wishes.undo()
            case {"k": "interrupt", "ids": ids}:
                for key in self._ours(ids):
                    self._shown[key].source.interrupt()
            case {"k": "open", "page": str(page), "id": int(key)}:
                self._open_detail(page, key)
            case {"k": "close", "page": str(page), "id": int(key)}:
                self._close_detail(page, key)
            case _ if not known:
                log.debug("comfy_nb: a page said something unknown: %r", content)
            case _:
                pass

    def _ours(self, ids: object) -> list[int]:
        """The keys among what a page sent: jobs of ours that are still here."""
        given = cast("list[object]", ids) if isinstance(ids, list) else []
        return [key for key in given[:MAX_KEYS] if isinstance(key, int) and key in self._shown]

    def _greet(self) -> None:
        self._changed.clear()
        self._gone.clear()
        rows = [shown.row for shown in self._shown.values() if shown.row] + list(self._foreign.values())
        said = {"rows": rows, "servers": list(self._servers), "selected": list(self._selected)}
        self._bridge.message({"k": "all", **said, "undo": self._undoable})

    def _open_detail(self, page: str, key: int) -> None:
        shown = self._shown.get(key)
        if shown is None or self._closed:
            return
        if (page, key) not in self._details:
            while len(self._details) >= MAX_OPEN:
                self._close_detail(*next(iter(self._details)))
            self._details[page, key] = JobView(shown.source)
        reference = f"anywidget:{self._details[page, key].model_id}"
        said = self._wishes.describe(key)
        self._bridge.message({"k": "opened", "page": page, "id": key, "ref": reference, **said})

    def _close_detail(self, page: str, key: int) -> None:
        view = self._details.pop((page, key), None)
        if view is not None:
            view.close()
