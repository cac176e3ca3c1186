"""The kernel's half of the bridge to a widget's pages: when frames and states go, and what a new page is told.

Frames are not state: only the newest is worth sending, at the rate that the front end can take. So each widget has
one slot for the frame and one for the state. A slot holds one value, a newer one takes its place, and it is
delivered as soon as its pace allows. What is left in a slot at the end is always delivered: `finish()`.

All methods are called on the loop thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["Bridge", "Pace", "Slot"]

T = TypeVar("T")

# A page paints up to 60 pictures per second, and takes about 170 messages of 40 kB per second from one kernel before
# it falls behind. Beyond that ZeroMQ drops messages, state changes included.
FRAMES_PER_VIEW = 30.0
FRAMES_PER_PROCESS = 60.0
STATES_PER_VIEW = 2.0


class Timer(Protocol):
    """What calls a function later; `client.loop.Loop` is one."""

    def call_later(self, seconds: float, function: Callable[[], object]) -> Cancellable:
        """Call `function` after `seconds`."""
        ...


class Cancellable(Protocol):
    """A call that has not happened yet."""

    def cancel(self) -> object:
        """See that it never does."""
        ...


class Pace:
    """At most `rate` per second, first come, first served. Pure: the caller says what time it is."""

    def __init__(self, rate: float) -> None:
        self._interval = 1 / rate
        self._free_at = float("-inf")

    def wait(self, now: float) -> float:
        """Seconds until the next may go."""
        return max(0.0, self._free_at - now)

    def book(self, now: float) -> float:
        """Take the next free moment; returns the seconds until then."""
        wait = self.wait(now)
        self._free_at = now + wait + self._interval
        return wait

    def spend(self, now: float) -> None:
        """One goes now, in its turn or not."""
        self._free_at = now + self._interval


PROCESS = Pace(FRAMES_PER_PROCESS)


class Slot(Generic[T]):
    """Holds one value, latest wins, and delivers it when its own pace and the shared one allow."""

    def __init__(
        self,
        deliver: Callable[[T], object],
        rate: float,
        timer: Timer,
        clock: Callable[[], float],
        shared: Pace | None = None,
    ) -> None:
        self._deliver, self._timer, self._clock, self._shared = deliver, timer, clock, shared
        self._own = Pace(rate)
        self._waiting: list[T] = []  # empty, or the newest value
        self._due: Cancellable | None = None
        self.held = False

    def put(self, value: T) -> None:
        """Deliver `value` now or as soon as may be, unless a newer one comes first."""
        self._waiting[:] = [value]
        if self._due is None:
            self._try()

    def hold(self, held: bool) -> None:
        """Deliver nothing while `held`; the newest value waits."""
        self.held = held
        if not held and self._due is None:
            self._try()

    def flush(self) -> None:
        """Deliver what waits, whatever the pace."""
        self.close()
        self._go()

    def close(self) -> None:
        """Call nothing any more until the next `put`. What waits stays."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _try(self) -> None:
        # The shared pace is booked only when our own allows: a moment booked ahead is lost to the others.
        self._due = None
        if not self._waiting or self.held:
            return
        now = self._clock()
        if (wait := self._own.wait(now)) > 0:
            self._due = self._timer.call_later(wait, self._try)
        elif self._shared is not None and (wait := self._shared.book(now)) > 0:
            self._due = self._timer.call_later(wait, self._go)
        else:
            self._go()

    def _go(self) -> None:
        self._due = None
        if self._waiting:
            self._own.spend(self._clock())
            self._deliver(self._waiting.pop())


Message = tuple[dict[str, Any], list[bytes]]


class Bridge:
    """One widget's messages and states, to all of its pages.

    `send` takes a message and its buffers, `set_state` the state for the trait.
    """

    def __init__(
        self,
        send: Callable[[dict[str, Any], list[bytes]], object],
        set_state: Callable[[dict[str, Any]], object],
        timer: Timer,
        *,
        clock: Callable[[], float] = time.monotonic,
        shared: Pace = PROCESS,
    ) -> None:
        self._send = send
        self._frames: Slot[Message] = Slot(self._send_frame, FRAMES_PER_VIEW, timer, clock, shared)
        self._states: Slot[dict[str, Any]] = Slot(set_state, STATES_PER_VIEW, timer, clock)
        self._count = 0
        self._newest: Message | None = None
        self._pages: dict[str, bool] = {}  # page -> whether a view of it can be seen
        self.seen = 0  # the newest frame that a page has painted

    def frame(self, content: Mapping[str, Any], image: bytes) -> None:
        """A new frame; it goes as soon as it may, unless a newer one comes first."""
        self._count += 1
        self._newest = ({"k": "frame", "n": self._count, **content}, [image])
        self._frames.put(self._newest)

    def state(self, state: dict[str, Any], *, urgent: bool) -> None:
        """The state now; `urgent` ones go at once."""
        self._states.put(state)
        if urgent:
            self._states.flush()

    def message(self, content: dict[str, Any], buffers: Sequence[bytes] = ()) -> None:
        """Anything else, at once."""
        self._send(content, list(buffers))

    def finish(self, state: dict[str, Any]) -> None:
        """The last frame, then the final state: both always arrive."""
        self._frames.flush()
        self.state(state, urgent=True)

    def hello(self) -> None:
        """A page is there: answer, and show it the newest frame."""
        self._send({"k": "hi"}, [])
        if self._newest is not None:
            self._send(*self._newest)

    def look(self, page: str, visible: bool) -> None:
        """A page says whether it can be seen. Frames wait while none of the pages that spoke can."""
        self._pages[page] = visible
        self._frames.hold(not any(self._pages.values()))

    def close(self) -> None:
        """Send nothing any more by itself."""
        self._frames.close()
        self._states.close()

    def _send_frame(self, message: Message) -> None:
        self._send(*message)
