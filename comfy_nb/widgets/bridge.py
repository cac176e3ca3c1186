"""The kernel's half of the bridge to a widget's pages: the only way by which a widget talks to its front end.

A `Bridge` belongs to one widget and any number of pages that show it. `flow` and `credit` decide when things go:

* `state()`: the widget's state, at most twice a second, urgent ones sooner; the final one always arrives.
* `stream(key)`: frames, each stream with one slot for the newest. A job view has one stream, a board one per card.
* `slot(deliver, per_second)`: anything else where only the newest counts, at its own pace.
* `message()`: everything else, at once.

What a frame or a state says is made when it goes: most are overtaken by newer ones.

Frames go to pages that look. From `displayed()` on, which a widget calls when it is asked for its mime bundle, some
page counts as looking until one says otherwise; pages say which streams they show (`Bridge.looks` in
js/src/bridge.ts), and a hidden one says that it looks at nothing. What a page says is given to `hear()`.

All methods are called on the loop thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from comfy_nb.widgets.credit import Credit
from comfy_nb.widgets.flow import Lane, Pace
from comfy_nb.widgets.hub import Hub, Slot, hub_of

__all__ = ["Bridge", "Hub", "Slot", "Stream", "hub_of"]

Make = Callable[[], Mapping[str, Any]]

STATES_PER_SECOND = 2.0
URGENT_PER_SECOND = 10.0  # and a few at once: nodes may begin and end by the hundred
URGENT_AT_ONCE = 5
PAGES = 16  # the newest ones of a widget are known; one that was closed may not have said so


class Stream:
    """Frames of one thing, to all pages that look at it. See `Bridge.stream`."""

    def __init__(self, key: str, hub: Hub, send: Callable[[dict[str, Any], list[bytes]], object]) -> None:
        self.key = key
        self.credit = Credit()
        self._hub, self._send = hub, send
        self._lane: Lane[tuple[int, Make, bytes]] = Lane(self._deliver, self.credit)
        self._name = hub.enter(self.credit)
        self._count = 0
        self._newest: tuple[int, Make, bytes] | None = None
        self._over = False

    def frame(self, about: Make, image: bytes) -> None:
        """A new frame; it goes as soon as it may, unless a newer one comes first."""
        self._count += 1
        self._newest = (self._count, about, image)
        self._hub.put(self._lane, self._newest)

    @property
    def shown(self) -> bool:
        """Whether there has been a frame."""
        return self._newest is not None

    def finish(self) -> None:
        """No frame follows: the last one goes now, and the others' frames need not mind this stream any more."""
        self._hub.flush(self._lane)
        self._hub.leave(self._name)
        self._over = True

    def close(self) -> None:
        """Forget the frames. Pages keep what they show."""
        self._hub.schedule.remove(self._lane)
        self._hub.leave(self._name)
        self._newest = None

    def hold(self, held: bool) -> None:
        """Nobody looks: nothing goes; or somebody does: the newest frame goes, and the pace is found anew."""
        if self._lane.held and not held:
            self.credit.begin()
        self._lane.held = held

    def again(self) -> None:
        """A new page is there: it needs the newest frame, and what was known of the way to the old one is gone."""
        if self._newest is None:
            return
        if self._over:
            self._deliver(self._newest)
            return
        self.credit.begin()
        self._hub.put(self._lane, self._newest)

    def _deliver(self, frame: tuple[int, Make, bytes]) -> None:
        number, about, image = frame
        self.credit.sent(number, self._hub.clock())
        try:
            self._send({"k": "frame", "s": self._name, "key": self.key, "n": number, **about()}, [image])
        except Exception:  # whatever it was, the frame is not on its way; the hub logs it
            self.credit.refused()
            raise


class Bridge:
    """One widget's messages and states, to all of its pages.

    `send` takes a message and its buffers, `set_state` the state for the trait.
    """

    def __init__(
        self,
        send: Callable[[dict[str, Any], list[bytes]], object],
        set_state: Callable[[dict[str, Any]], object],
        hub: Hub,
    ) -> None:
        self._send, self._hub = send, hub
        self._streams: dict[str, Stream] = {}
        self._slots: list[Slot] = []
        self._state = self.slot(lambda make: set_state(make()), STATES_PER_SECOND)
        self._urgent = self.slot(lambda make: set_state(make()), URGENT_PER_SECOND, at_once=URGENT_AT_ONCE)
        self._displayed = False
        self._forgot_one = False  # of the pages that look, there were too many
        self._pages: dict[str, bool | frozenset[str]] = {}  # page -> the keys it shows; True for all

    # -- from the widget -----------------------------------------------------------------------------------------

    def stream(self, key: str = "") -> Stream:
        """The stream of frames called `key`, made at the first call. The page hears the key with each frame."""
        if key not in self._streams:
            stream = self._streams[key] = Stream(key, self._hub, self._send)
            stream.hold(not self._looked_at(key))
        return self._streams[key]

    def drop(self, key: str) -> None:
        """Close a stream and forget it."""
        if (stream := self._streams.pop(key, None)) is not None:
            stream.close()

    def slot(self, deliver: Callable[[Any], object], per_second: float, *, at_once: int = 1) -> Slot:
        """A slot that calls `deliver` with the newest value, so often at most, within the budget of the kernel.

        A few values may go `at_once` when none has gone for a while.
        """
        slot = Slot(self._hub, Lane(deliver, Pace(per_second, at_once)))
        self._slots.append(slot)
        return slot

    def frame(self, about: Make, image: bytes) -> None:
        """A frame of a widget that has only one stream."""
        self.stream().frame(about, image)

    def state(self, state: Callable[[], dict[str, Any]], *, urgent: bool) -> None:
        """The state now; `urgent` ones go at once, unless too many have."""
        if urgent or self._urgent.waits:
            self._state.close()
            self._urgent.put(state)
        else:
            self._state.put(state)

    def message(self, content: dict[str, Any], buffers: Sequence[bytes] = ()) -> None:
        """Anything else, at once; nothing, and nothing of the budget, while no page can have it."""
        if not self._displayed:
            return
        self._hub.schedule.spend(self._hub.clock())
        self._send(content, list(buffers))

    def finish(self, state: Callable[[], dict[str, Any]]) -> None:
        """The last frames, then the final state: all of them always arrive."""
        for stream in self._streams.values():
            stream.finish()
        self.state(state, urgent=True)
        self._urgent.flush()

    def displayed(self) -> None:
        """The widget's mime bundle was asked for: from now on it counts as seen."""
        self._displayed = True
        self._look()

    def close(self) -> None:
        """Send nothing any more by itself."""
        for stream in self._streams.values():
            stream.close()
        for slot in self._slots:
            slot.close()

    # -- from the pages ------------------------------------------------------------------------------------------

    def hear(self, content: Mapping[object, object]) -> bool:
        """What a page says; False if it is nothing that a bridge knows.

        "hello": a page is there, see `hello`. "seen": what it has painted, of this widget and others. "looks": the
        keys of the streams that it shows, or True for all of them.
        """
        match content:
            case {"k": "hello", "page": str(page)}:
                self.hello(page)
            case {"k": "seen", "at": dict()}:
                self._hub.seen(cast("dict[object, object]", content["at"]))
            case {"k": "looks", "page": str(page), "at": bool(at)}:
                self.look(page, at)
            case {"k": "looks", "page": str(page), "at": list()}:
                self.look(page, frozenset(map(str, cast("list[object]", content["at"]))))
            case _:
                return False
        return True

    def hello(self, page: str) -> None:
        """A page is there: answer, and show it the newest frames."""
        self._displayed = True
        self.message({"k": "hi"})
        self.look(page, True)
        for stream in self._streams.values():
            stream.again()

    def look(self, page: str, at: bool | frozenset[str]) -> None:
        """A page says which streams it shows: all, none, or those with these keys."""
        self._pages.pop(page, None)
        self._pages[page] = at or frozenset()
        while len(self._pages) > PAGES:  # those that look at nothing go first: they may be closed
            idle = next((each for each, keys in self._pages.items() if not keys), None)
            self._forgot_one = self._forgot_one or idle is None
            self._pages.pop(next(iter(self._pages)) if idle is None else idle)
        self._look()

    def _look(self) -> None:
        for stream in self._streams.values():
            stream.hold(not self._looked_at(stream.key))
        self._hub.run()

    def _looked_at(self, key: str) -> bool:
        if not self._pages or self._forgot_one:  # a page that was forgotten may look as well
            return self._displayed
        return any(at is True or (at is not False and key in at) for at in self._pages.values())
