"""View: what all our widgets share. A thin class: traits, a bridge to the pages, and one message handler.

After the constructor, traits and messages are written on the loop thread only. No trait can be written by a page: what
it has to say comes as messages. A view that is displayed nowhere follows nothing and sends nothing: it begins when its
mime bundle is asked for, or when a page says hello (it may stand inside another widget). It ends with `close()`, or
when the cell that displayed it runs again.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from typing import Any, cast

import anywidget

from comfy_nb.kernel.cells import shown
from comfy_nb.loop import get_loop
from comfy_nb.widgets.begin import begin
from comfy_nb.widgets.bridge import Bridge, hub_of

__all__ = ["View"]

log = logging.getLogger("comfy_nb")

Content = dict[object, object]


class View(anywidget.AnyWidget):
    """A widget of ours. Subclasses say what happens in `_begin`, `_end`, `_answer` and `_set_changing`."""

    def __init__(self, **traits: Any) -> None:
        """A view that nobody sees yet."""
        # Kept: at the interpreter's end a widget is closed once more, when no new loop can be started.
        self._loop = get_loop()
        begin()
        self._bridge = Bridge(self._post, self._change, hub_of(self._loop))
        self._begun = self._closed = self._over = False
        super().__init__(**traits)
        self.on_msg(self._hear)  # pyright: ignore[reportUnknownMemberType] - ipywidgets is untyped

    @property
    def closed(self) -> bool:
        """Whether it was closed; it cannot be displayed any more then."""
        return self._closed

    @property
    def is_displayed(self) -> bool:
        """Whether it was displayed, so that some page may show it."""
        return self._begun and not self._closed

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Ignored: pages may not write traits."""

    def close(self) -> None:
        """Follow nothing any more, and leave every page, soon. Doing so twice is harmless."""
        self._closed = True
        self._loop.call(self._finally)

    def release(self) -> None:
        """The cells that displayed it ran again."""
        self.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        made = super()._repr_mimebundle_(**kwargs)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - anywidget says only "dict"
        if made is not None:  # None once it is closed
            shown(self)
            self._loop.call(self._seen)
        return cast("tuple[dict[str, Any], dict[str, Any]] | None", made)

    # -- for subclasses: all on the loop thread --------------------------------------------------------------------

    def _begin(self) -> None:
        """Somebody may see it: follow, and tell how things stand."""

    def _end(self) -> None:
        """It was closed: let go of everything."""

    def _answer(self, content: Content) -> None:
        """A page says something. Its hello, and what the bridge knows, have been heard."""

    def _set_changing(self, state: dict[str, Any]) -> None:
        """Set the trait that changes as things go on."""

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something shown in time."""

        async def logged() -> None:
            try:
                await work
            except Exception:  # nobody awaits this, and a picture that cannot be shown ends no job
                log.exception("comfy_nb: a view could not show something")

        self._loop.run(logged())

    # -- inside ----------------------------------------------------------------------------------------------------

    def _seen(self) -> None:
        if self._closed:
            return
        self._bridge.displayed()
        if not self._begun:
            self._begun = True
            self._begin()

    def _finally(self) -> None:
        if not self._over:
            self._over = True
            self._end()
            self._bridge.close()
        super().close()

    def _change(self, state: dict[str, Any]) -> None:
        if self.is_displayed:
            self._set_changing(state)

    def _post(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        if self.is_displayed:
            self.send(content, buffers)  # pyright: ignore[reportUnknownMemberType] - ipywidgets is untyped

    def _hear(self, _: object, content: object, buffers: object) -> None:
        """From the page, on any thread."""
        del buffers
        if isinstance(content, dict):
            self._loop.call(self._take, cast("Content", content))

    def _take(self, content: Content) -> None:
        if self._closed:
            return
        if content.get("k") == "hello":
            self._seen()
        self._bridge.hear(content)
        self._answer(content)
