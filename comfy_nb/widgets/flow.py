"""When frames and states may go to the pages: pure scheduling. The caller says what time it is, and does what is due.

A kernel can hand over far more than a page can draw. What does not fit piles up out of sight, in ZeroMQ and in the
front end: pictures come seconds late, and beyond a thousand waiting messages some are dropped, states included. So:

* Each stream has one slot, where a newer value takes the place of an older one: a `Lane`. A lane of frames has a
  `Credit`, by which pages say how much they can take; others have a `Pace`.
* All lanes of the kernel share one budget of messages, frames and states alike: the `Schedule`. Whose turn is longest
  ago goes first.
* What is on its way and was not acknowledged is bounded for all streams together, by what pages took in the last
  second: many streams can fill a page's queue before any of them sees its own round trip grow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from comfy_nb.widgets.credit import BLIND, BLIND_AFTER, Credit, MainThread

__all__ = ["Lane", "Pace", "Schedule"]

T = TypeVar("T")

MESSAGES = 120.0  # per second from one kernel; JupyterLab keeps up with about 170 frames of 40 kB
BURST = 6  # of them at once
# Frames on their way, of all lanes together: what pages take in so many seconds, and at least so many. How many they
# take is not known at first.
AHEAD, LEAST_AHEAD, FIRST_AHEAD = 0.10, 4, 12
LOOK_AGAIN = 0.02  # seconds; an acknowledgement that comes before is a reason to look, too
LONGEST_DEBT = 0.5  # seconds that the others wait at most while messages go out of turn


class Pace:
    """At most `rate` per second on average, and `burst` at once."""

    def __init__(self, rate: float, burst: int = 1) -> None:
        self._step = 1 / rate
        self._slack = (burst - 1) / rate
        self._free_at = float("-inf")

    def free_at(self) -> float:
        """When the next may go."""
        return self._free_at - self._slack

    def spend(self, now: float) -> None:
        """One goes now, in its turn or not. Out of turn, the others wait for it, within reason."""
        most = self._slack + max(self._step, LONGEST_DEBT)
        self._free_at = min(max(self._free_at, now) + self._step, now + most)


class Lane(Generic[T]):
    """One slot: holds the newest value until it is its turn. Lanes of frames have a `credit`, others a `pace`."""

    def __init__(self, deliver: Callable[[T], object], limit: Credit | Pace) -> None:
        self.deliver = deliver
        self.limit = limit
        self.held = False  # nobody looks: nothing goes, the newest value waits
        self.served = float("-inf")
        self._slot: list[T] = []  # empty, or the newest value

    @property
    def waits(self) -> bool:
        """Whether there is anything to deliver."""
        return bool(self._slot)

    def put(self, value: T) -> None:
        """The newest value."""
        self._slot[:] = [value]

    def take(self) -> T:
        """The newest value, which leaves the slot empty."""
        return self._slot.pop()

    def clear(self) -> None:
        """Forget what waits."""
        self._slot.clear()

    def ready_at(self, now: float, main: MainThread) -> float:
        """When its own limit lets it go."""
        return self.limit.ready_at(now, main) if isinstance(self.limit, Credit) else self.limit.free_at()


class Schedule:
    """All lanes of a kernel, and the budget of messages that they share."""

    def __init__(self, main: MainThread, messages: float = MESSAGES) -> None:
        self.main = main
        self._budget = Pace(messages, BURST)
        self._blind = {False: Pace(BLIND[1]), True: Pace(BLIND_AFTER[1])}
        self._waiting: dict[Lane[Any], None] = {}
        self.credits: set[Credit] = set()  # of all streams of the kernel
        self._turn_at = float("-inf")  # when something last went in its turn

    def put(self, lane: Lane[T], value: T) -> None:
        """Have `value` wait in its lane, in the place of an older one."""
        lane.put(value)
        self._waiting[lane] = None

    def remove(self, lane: Lane[T]) -> None:
        """Forget a lane and what waits in it."""
        lane.clear()
        self._waiting.pop(lane, None)

    def spend(self, now: float) -> None:
        """A message goes out of turn."""
        self._budget.spend(now)

    def next(self, now: float) -> Lane[Any] | None:
        """The lane whose turn it is, or None if nothing may go now. Its value is to be taken and delivered."""
        if self._free_at() > now:
            return None
        full_until = self._full_until(now)
        ready = [lane for lane in self._lanes() if self._ready_at(lane, now, full_until) <= now]
        if not ready:
            return None
        self._turn_at = now
        return min(ready, key=lambda lane: lane.served)

    def went(self, lane: Lane[T], now: float) -> None:
        """The value of a lane goes now, in its turn or not."""
        lane.served = now
        self._waiting.pop(lane, None)
        self._budget.spend(now)
        if isinstance(lane.limit, Pace):
            lane.limit.spend(now)
        elif (long := lane.limit.blind(now, self.main)) is not None:
            self._blind[long].spend(now)

    def due(self, now: float) -> float | None:
        """When to look again; None if nothing waits."""
        full_until = self._full_until(now)
        times = [self._ready_at(lane, now, full_until) for lane in self._lanes()]
        if not times:
            return None
        return max(min(times), self._free_at())

    def _free_at(self) -> float:
        return min(self._budget.free_at(), self._turn_at + LONGEST_DEBT)

    def _lanes(self) -> list[Lane[Any]]:
        return [lane for lane in self._waiting if not lane.held]

    def _ready_at(self, lane: Lane[Any], now: float, full_until: float) -> float:
        at = lane.ready_at(now, self.main)
        if not isinstance(lane.limit, Credit):
            return at
        if (long := lane.limit.blind(now, self.main)) is not None:
            return max(at, self._blind[long].free_at())
        return max(at, full_until) if lane.limit.is_open(now, self.main) else at

    def _full_until(self, now: float) -> float:
        """When to look again if as much is on its way as pages take in a moment: no stream can tell that by itself."""
        open_ones = [each for each in self.credits if each.is_open(now, self.main)]
        ahead = sum(each.ahead(now) for each in open_ones)
        taken = sum(each.taken for each in open_ones)
        most = max(LEAST_AHEAD, AHEAD * taken) if taken else FIRST_AHEAD
        return now + LOOK_AGAIN if ahead >= most else now
