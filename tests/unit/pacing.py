"""What the bridge meets, made up: a clock that stands until it is moved, a kernel's main thread, a page."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any

from comfy_nb.widgets.credit import MainThread

EVERY, SELDOM, LATEST = 0.1, 0.35, 0.45  # seconds between two acknowledgements


class Handle:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """A timer and its clock: `run(until)` makes the calls that are due, in order."""

    def __init__(self) -> None:
        self.now = 100.0
        self._order = count()
        self._calls: list[tuple[float, int, Handle, Callable[[], object]]] = []

    def __call__(self) -> float:
        return self.now

    def call_later(self, seconds: float, function: Callable[[], object]) -> Handle:
        handle = Handle()
        heapq.heappush(self._calls, (self.now + seconds, next(self._order), handle, function))
        return handle

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._calls and self._calls[0][0] <= until + 1e-9:
            at, _, handle, function = heapq.heappop(self._calls)
            if not handle.cancelled:
                self.now = max(self.now, at)
                function()
        self.now = max(self.now, until)

    @property
    def pending(self) -> int:
        return sum(not handle.cancelled for _, _, handle, _ in self._calls)


class MainLoop:
    """The kernel's main thread: does what it is given in order, but not while it is busy."""

    def __init__(self, clock: Clock, there: bool = True) -> None:
        self._clock, self._there = clock, there
        self._todo: list[Callable[[], object]] = []
        self._busy = 0

    def ping(self, function: Callable[[], object]) -> bool:
        if self._there:
            self.give(function)
        return self._there

    def give(self, function: Callable[[], object]) -> None:
        self._todo.append(function)
        if not self._busy:
            self._clock.call_later(0.001, self._work)

    def work_for(self, seconds: float) -> None:
        """Hear nothing for so long, from now on."""
        self._busy += 1
        self._clock.call_later(seconds, self._done)

    def _done(self) -> None:
        self._busy -= 1
        self._work()

    def _work(self) -> None:
        while self._todo and not self._busy:
            self._todo.pop(0)()


class PageModel:
    """A page: each message takes `way` seconds to it and `handling` seconds of its time, one after another.

    It acknowledges as real ones do (js/src/bridge.ts): 350 ms after the last time as the next frame arrives, after
    450 ms at the latest, and after 100 ms when nothing was shown for a while. `absent` pages say nothing.
    """

    def __init__(
        self,
        clock: Clock,
        hear: Callable[[dict[str, Any]], object],
        way: float = 0.005,
        handling: float = 0.005,
    ) -> None:
        self._clock, self._hear = clock, hear
        self.way, self.handling, self.absent = way, handling, False
        self._free_at = 0.0
        self._last = float("-inf")  # when it acknowledged last
        self._timer: Handle | None = None
        self._painted: dict[str, tuple[int, float]] = {}
        self.shown: list[tuple[float, str, int, float]] = []  # when painted, stream, number, age

    def gets(self, content: dict[str, Any]) -> None:
        arrived = self._clock.now + self.way
        self._free_at = max(self._free_at, arrived) + self.handling
        if content["k"] == "frame":
            sent = self._clock.now
            self._clock.call_later(self._free_at - self.handling - sent, self._arrives)
            self._clock.call_later(self._free_at - sent, lambda: self._paint(content, sent))

    def _paint(self, content: dict[str, Any], sent: float) -> None:
        if self.absent:
            return
        self.shown.append((self._clock.now, content["s"], content["n"], self._clock.now - sent))
        self._painted[content["s"]] = (content["n"], self._clock.now)
        if self._timer is None:
            quiet = self._clock.now - self._last > 2 * SELDOM
            self._timer = self._clock.call_later(EVERY if quiet else LATEST, self._acknowledge)

    def _arrives(self) -> None:
        if self._painted and self._clock.now - self._last >= SELDOM:
            self._acknowledge()

    def _acknowledge(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        now, self._timer = self._clock.now, None
        self._last = now
        said = {name: [n, round(1000 * (now - at))] for name, (n, at) in self._painted.items()}
        self._painted.clear()
        self._clock.call_later(self.way, lambda: self._hear({"k": "seen", "at": said}))


class Asked:
    """Counts the questions."""

    def __init__(self, there: bool = True) -> None:
        self.count = 0
        self.there = there

    def __call__(self) -> bool:
        self.count += 1
        return self.there


def free_main(at: float = 0.0) -> MainThread:
    """A main thread that has just answered three times at once."""
    main = MainThread(Asked())
    for i in (0.5, 0.3, 0.1):
        main.ask(at - i)
        main.answered(at - i + 0.001)
    return main


def busy_main(since: float = 0.0) -> MainThread:
    main = MainThread(Asked())
    main.ask(since)
    return main
