"""How fast the frames of one stream may go: credit by round trip. Pure: the caller says what time it is.

Pages acknowledge what they have painted every 350 to 450 ms, for whoever hears it costs the page more than a frame, and
say how long they held the acknowledgement back; the rest is the round trip. As many frames are in flight as one round
trip takes, at most six, none counted for longer than 150 ms. A round trip that grows lowers the rate, down to one frame
at a time; one that does not raises it.

Acknowledgements are read by the kernel's main thread, so they stop while a cell is busy. `MainThread` tells that from
a page that has gone: it asks the main thread for an answer now and then. While that gives none, frames go without
acknowledgement, more slowly. If it answers and the page does not, the rate is halved until hardly anything goes.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable

__all__ = ["BLIND", "BLIND_AFTER", "Credit", "MainThread", "Standing"]

FASTEST = 100.0  # frames per second of one stream: a source of 60 with some jitter passes whole
SLOWEST = 0.2  # frames per second to a page that is gone, as far as can be told
RETURN = 10.0  # frames per second to begin with when a page answers again
IN_FLIGHT = 6  # frames of one stream
OLDEST = 0.150  # seconds that a frame counts as in flight
ACK_EVERY = 0.450  # seconds; pages hold their acknowledgements back for that long at most (js/src/bridge.ts)
PATIENCE = 0.200  # seconds beyond two round trips and ACK_EVERY; then an acknowledgement is overdue
HALVED_EVERY = 0.5  # seconds
QUICK = 0.040  # seconds; a page whose round trip is no longer has nothing waiting
PROBE = 1.35  # it takes what it is sent: how much more it could, only sending more can tell

PROMPT = 0.100  # seconds in which a main thread that is free answers
PROMPT_ANSWERS = 3  # in a row; one alone may come from between two queued cells
ASK_EVERY = 0.100  # seconds

# Frames per second without acknowledgement, of one stream and of the whole kernel: for BLIND_TIME seconds, and later.
BLIND, BLIND_AFTER = (10.0, 40.0), (2.0, 8.0)
BLIND_TIME = 30.0


class MainThread:
    """Whether the kernel's main thread, which reads what pages say, answers.

    `ask` has a function called in that thread, soon, and returns False if there is none; whoever is called there
    has `answered()` called.
    """

    def __init__(self, ask: Callable[[], bool]) -> None:
        self._ask = ask
        self._asked_at: float | None = None  # the question that has no answer yet
        self._last = float("-inf")
        self._prompt: list[float] = []  # the first answers in a row that came at once
        self._late_at = float("-inf")

    def ask(self, now: float) -> None:
        """Ask if it is time to."""
        if self._asked_at is None and now - self._last >= ASK_EVERY:
            self._last = now
            if self._ask():
                self._asked_at = now

    def answered(self, now: float) -> None:
        """The answer to the question is here."""
        if self._asked_at is None:
            return
        late = now - self._asked_at > PROMPT
        self._asked_at = None
        if late:
            self._late_at, self._prompt = now, []
        elif len(self._prompt) < PROMPT_ANSWERS:
            self._prompt.append(now)

    def free_for(self, now: float) -> float:
        """For how long it has surely been reading what pages say, in seconds. 0 when there is none to ask."""
        if len(self._prompt) < PROMPT_ANSWERS or self._waits(now):
            return 0.0
        return now - self._prompt[-1]

    def late_at(self, now: float) -> float:
        """When it was last found late: what was sent before then says nothing about the way to the page."""
        return now if self._waits(now) else self._late_at

    def _waits(self, now: float) -> bool:
        return self._asked_at is not None and now - self._asked_at > PROMPT


class Standing(enum.Enum):
    """What is known of the way to a stream's pages."""

    OPEN = "acknowledgements come as they should"
    BLIND = "the main thread is busy, so none can come"
    SILENT = "the main thread is free, and none comes"


class Credit:
    """How fast the frames of one stream may go."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start afresh, as with a new page: fast, until it proves too fast."""
        self.rate = FASTEST
        self.trip = (
            OLDEST / 2
        )  # seconds: smoothed, from sending to having heard, without what the page held back
        self._best = float("inf")
        self._waiting: deque[tuple[int, float]] = deque(
            maxlen=128
        )  # frames not acknowledged: number, when sent
        self._times: deque[float] = deque(maxlen=round(FASTEST))  # when the latest frames were sent
        self._acknowledged = 0  # the newest frame that was
        self._heard = float("-inf")  # when that was heard
        self.taken = 0.0  # frames per second that pages took, by the latest acknowledgements
        self._since: float | None = None  # when the first frame after the latest acknowledgement was sent
        self._changed = float("-inf")
        self._keeps_up = True  # whether the latest round trip was no longer than it should be

    def sent(self, number: int, now: float) -> None:
        """A frame goes; numbers count up."""
        self._waiting.append((number, now))
        self._times.append(now)
        if self._since is None:
            self._since = now

    def refused(self) -> None:
        """The frame that was sent last could not be: it is not on its way, and others need not try as often."""
        self._waiting.pop()
        self._since = self._waiting[0][1] if self._waiting else None
        self.rate = max(SLOWEST, self.rate / 2)

    def seen(self, number: int, held: float, now: float, main: MainThread) -> None:
        """A page has painted this frame, and said so after having held it back for `held` seconds.

        With several pages the fastest counts: what others say later is no news.
        """
        if not self._waiting or not self._acknowledged < number <= self._waiting[-1][0]:
            return
        self._acknowledged = number
        if self._standing(now, main) is Standing.SILENT:
            self.rate = min(self.rate, RETURN)
        sent_at = dict(self._waiting).get(number)
        taken, since = 0, max(self._heard, self._waiting[0][1])
        while self._waiting and self._waiting[0][0] <= number:
            self._waiting.popleft()
            taken += 1
        rate = taken / max(0.05, now - since)
        self.taken = (self.taken + rate) / 2 if self.taken else rate
        self._heard = now
        self._since = self._waiting[0][1] if self._waiting else None
        if sent_at is not None and sent_at > main.late_at(now):
            self._learn(max(0.001, now - sent_at - max(0.0, held)), now)

    def in_flight(self, now: float) -> int:
        """Frames that are on their way, as far as one can tell: younger than a round trip, and not acknowledged."""
        return sum(at > now - self.life for _, at in self._waiting)

    def ahead(self, now: float) -> float:
        """Frames that are on their way, going by how many pages take: those painted since are not told of yet."""
        since = min(max(0.0, now - self._heard), ACK_EVERY + PATIENCE)
        taken = self.taken * (PROBE if self._keeps_up else 1.0)
        return max(0.0, sum(at > now - 1 for _, at in self._waiting) - taken * since)

    @property
    def life(self) -> float:
        """For how many seconds a frame counts as in flight."""
        return min(self.trip, OLDEST)

    def ready_at(self, now: float, main: MainThread) -> float:
        """When the next frame may go, as things stand now."""
        if not self._times:
            return now
        at = self._times[-1] + 1 / self.rate_now(now, main)
        if len(self._waiting) >= IN_FLIGHT:
            at = max(at, self._waiting[-IN_FLIGHT][1] + self.life)
        return at

    def rate_now(self, now: float, main: MainThread) -> float:
        """Frames per second, as things stand now."""
        match self._standing(now, main):
            case Standing.OPEN:
                return self.rate
            case Standing.BLIND:
                return min(self.rate, self._blind_rates(now)[0])
            case Standing.SILENT:
                halvings = int(min(self._overdue(now), main.free_for(now)) / HALVED_EVERY) + 1
                return max(SLOWEST, self.rate / 2 ** min(halvings, 16))

    def blind(self, now: float, main: MainThread) -> bool | None:
        """None if acknowledgements are not kept from coming; else whether that is so for long."""
        if self._standing(now, main) is not Standing.BLIND:
            return None
        return self._overdue(now) > BLIND_TIME

    def is_open(self, now: float, main: MainThread) -> bool:
        """Whether acknowledgements come as they should."""
        return self._standing(now, main) is Standing.OPEN

    def is_overdue(self, now: float) -> bool:
        """Whether an acknowledgement should have come long ago."""
        return self._overdue(now) > 0

    def _blind_rates(self, now: float) -> tuple[float, float]:
        return BLIND_AFTER if self._overdue(now) > BLIND_TIME else BLIND

    def _standing(self, now: float, main: MainThread) -> Standing:
        if not self.is_overdue(now):
            return Standing.OPEN
        return Standing.SILENT if main.free_for(now) > 0 else Standing.BLIND

    def _overdue(self, now: float) -> float:
        if self._since is None:
            return 0.0
        return max(0.0, now - self._since - ACK_EVERY - PATIENCE - 2 * min(self.trip, 0.5))

    def _learn(self, trip: float, now: float) -> None:
        self._best = min(self._best, trip)
        self.trip += 0.3 * (trip - self.trip)
        self._keeps_up = trip <= QUICK
        if trip <= max(OLDEST, 1.5 * self._best):
            self.rate = min(FASTEST, 1.1 * self.rate + 0.5)
        elif now - self._changed > trip:
            # Only once per round trip: the frames behind this one were sent before it could be known.
            self._changed = now
            lately = sum(at > now - 1 for at in self._times)
            # One frame at a time is always safe: then it is not our frames that it waits for.
            self.rate = max(SLOWEST, 1 / self.trip, 0.7 * min(self.rate, lately))
