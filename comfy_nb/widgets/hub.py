"""Delivers for all widgets of the process what the schedule says is due. All but `hub_of` is for the loop thread."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Protocol, TypeVar

from comfy_nb.kernel.pump import ping_main
from comfy_nb.loop import Loop
from comfy_nb.widgets.credit import ASK_EVERY, Credit, MainThread
from comfy_nb.widgets.flow import Lane, Schedule

__all__ = ["Hub", "Slot", "hub_of"]

T = TypeVar("T")

log = logging.getLogger("comfy_nb")


class Cancellable(Protocol):
    """A call that has not happened yet."""

    def cancel(self) -> object:
        """See that it never does."""
        ...


class Hub:
    """Delivers for all bridges of the process what the schedule says is due.

    `call_later` calls a function on the loop thread after some seconds. `ping` has a function called in the kernel's
    main thread, as `ping_main` does; `call` calls one on the loop thread, from any.
    """

    def __init__(
        self,
        call_later: Callable[[float, Callable[[], object]], Cancellable],
        call: Callable[[Callable[[], object]], object],
        *,
        ping: Callable[[Callable[[], object]], bool] = ping_main,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._call_later, self.clock = call_later, clock
        self.main = MainThread(lambda: ping(lambda: call(self._answered)))
        self.schedule = Schedule(self.main)
        self._due: Cancellable | None = None
        self._credits: dict[str, Credit] = {}
        self._name = secrets.token_hex(4)
        self._count = count(1)

    def enter(self, credit: Credit) -> str:
        """Give a stream of frames a name of its own. What stands before its colon names this kernel."""
        name = f"{self._name}:{next(self._count)}"
        self._credits[name] = credit
        self.schedule.credits.add(credit)
        return name

    def leave(self, name: str) -> None:
        """Forget a stream."""
        if (credit := self._credits.pop(name, None)) is not None:
            self.schedule.credits.discard(credit)

    def seen(self, at: Mapping[object, object]) -> None:
        """A page says what it has painted, of all its widgets: `{name: [number, milliseconds held back]}`."""
        now = self.clock()
        for name, told in at.items():
            match self._credits.get(str(name)), told:
                case Credit() as credit, [int(number), int() | float() as held]:
                    credit.seen(number, held / 1000, now, self.main)
                case _:  # of a stream that has ended, or nonsense
                    continue
        self.run()

    def put(self, lane: Lane[T], value: T) -> None:
        """Deliver `value` now or as soon as may be, unless a newer one comes first."""
        waited = lane.waits
        self.schedule.put(lane, value)
        if not waited:  # else its turn is looked for already
            self.run()

    def flush(self, lane: Lane[Any]) -> None:
        """Deliver what waits, whatever the pace."""
        if lane.waits:
            self._deliver(lane)

    def run(self) -> None:
        """Deliver what is due, and look again when more will be."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        while (lane := self.schedule.next(self.clock())) is not None:
            self._deliver(lane)
        now = self.clock()
        if (due := self.schedule.due(now)) is None:
            return
        self.main.ask(now)
        # While frames wait, the main thread is asked again and again: its answers change what is due.
        self._due = self._call_later(min(max(due - now, 0.001), ASK_EVERY), self._woken)

    def _woken(self) -> None:
        self._due = None
        self.run()

    def _deliver(self, lane: Lane[Any]) -> None:
        now = self.clock()
        self.schedule.went(lane, now)
        self.main.ask(now)
        try:
            lane.deliver(lane.take())
        except Exception:  # the others are still to be served
            log.exception("comfy_nb: something could not be sent to the front end")

    def _answered(self) -> None:
        self.main.answered(self.clock())
        self.run()


class Slot:
    """One value that is shown somewhere, where only the newest counts. See `Bridge.slot`."""

    def __init__(self, hub: Hub, lane: Lane[Any]) -> None:
        self._hub, self._lane = hub, lane

    @property
    def waits(self) -> bool:
        """Whether there is a value that was not delivered yet."""
        return self._lane.waits

    def put(self, value: Any) -> None:
        """Deliver `value` now or as soon as may be, unless a newer one comes first."""
        self._hub.put(self._lane, value)

    def flush(self) -> None:
        """Deliver what waits now, whatever the pace."""
        self._hub.flush(self._lane)

    def close(self) -> None:
        """Forget what waits."""
        self._hub.schedule.remove(self._lane)


_lock = threading.Lock()
_hub: tuple[Loop, Hub] | None = None


def hub_of(loop: Loop) -> Hub:
    """The hub of the process, on its loop; a new one after a fork. From any thread."""
    global _hub  # noqa: PLW0603 - one per process, by design
    with _lock:
        if _hub is None or _hub[0] is not loop:
            _hub = (loop, Hub(loop.call_later, loop.call))
        return _hub[1]
