"""The bridge's pace, on a clock that stands until it is moved."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from comfy_nb.widgets.bridge import FRAMES_PER_PROCESS, FRAMES_PER_VIEW, Bridge, Pace, Slot


class Handle:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """A timer and its clock: `run(until)` makes the calls that are due, in order."""

    def __init__(self) -> None:
        self.now = 0.0
        self._order = count()
        self._calls: list[tuple[float, int, Handle, Callable[[], object]]] = []

    def __call__(self) -> float:
        return self.now

    def call_later(self, seconds: float, function: Callable[[], object]) -> Handle:
        handle = Handle()
        heapq.heappush(self._calls, (self.now + seconds, next(self._order), handle, function))
        return handle

    def run(self, until: float) -> None:
        while self._calls and self._calls[0][0] <= until:
            at, _, handle, function = heapq.heappop(self._calls)
            if not handle.cancelled:
                self.now = max(self.now, at)
                function()
        self.now = until


class Rig:
    """A bridge whose messages and states are kept with their times."""

    def __init__(self, clock: Clock | None = None, shared: Pace | None = None) -> None:
        self.clock = clock or Clock()
        self.sent: list[tuple[float, dict[str, Any], list[bytes]]] = []
        self.states: list[tuple[float, dict[str, Any]]] = []
        self.bridge = Bridge(
            lambda content, buffers: self.sent.append((self.clock.now, content, buffers)),
            lambda state: self.states.append((self.clock.now, state)),
            self.clock,
            clock=self.clock,
            shared=shared or Pace(FRAMES_PER_PROCESS),
        )

    @property
    def frames(self) -> list[tuple[float, int]]:
        return [(at, content["step"]) for at, content, _ in self.sent if content["k"] == "frame"]


def feed(rigs: list[Rig], per_second: float, seconds: float) -> Iterator[int]:
    """Frames at a steady rate to all `rigs`, which share a clock; gives their step numbers."""
    clock = rigs[0].clock
    for step in range(1, round(per_second * seconds) + 1):
        clock.run((step - 1) / per_second)
        for rig in rigs:
            rig.bridge.frame({"step": step}, b"x")
        yield step


def test_a_slow_stream_goes_at_once_and_whole():
    rig = Rig()
    for step in feed([rig], 10, 2):
        assert rig.frames[-1] == (rig.clock.now, step)


def test_a_fast_stream_is_thinned_to_the_views_pace_and_its_last_frame_arrives():
    rig = Rig()
    steps = list(feed([rig], 200, 2))
    rig.clock.run(3)
    assert len(rig.frames) <= 2 * FRAMES_PER_VIEW + 2
    assert rig.frames[-1][1] == steps[-1]
    gaps = [b[0] - a[0] for a, b in zip(rig.frames, rig.frames[1:], strict=False)]
    assert min(gaps) > 0.999 / FRAMES_PER_VIEW


def test_many_views_share_the_process_fairly():
    clock, shared = Clock(), Pace(FRAMES_PER_PROCESS)
    rigs = [Rig(clock, shared) for _ in range(8)]
    for _ in feed(rigs, 30, 4):
        pass
    counts = [len(rig.frames) for rig in rigs]
    assert 0.9 * 4 * FRAMES_PER_PROCESS < sum(counts) <= 4 * FRAMES_PER_PROCESS + 1
    assert max(counts) - min(counts) <= 2


def test_two_views_below_the_budget_do_not_slow_each_other():
    clock, shared = Clock(), Pace(FRAMES_PER_PROCESS)
    rigs = [Rig(clock, shared) for _ in range(2)]
    for _ in feed(rigs, 25, 2):
        pass
    clock.run(3)
    assert [len(rig.frames) for rig in rigs] == [50, 50]


def test_frames_count_up_and_carry_their_picture():
    rig = Rig()
    for step in feed([rig], 10, 1):
        _, content, buffers = rig.sent[-1]
        assert (content["n"], buffers) == (step, [b"x"])


def test_urgent_states_go_at_once_and_the_others_twice_a_second():
    rig = Rig()
    for tick in range(100):
        rig.clock.run(tick / 20)
        rig.bridge.state({"tick": tick}, urgent=tick in (30, 31, 32))
    at = [at for at, _ in rig.states]
    assert {30 / 20, 31 / 20, 32 / 20} <= set(at)
    assert 9 <= len(at) <= 15


def test_many_urgent_states_do_not_silence_those_that_follow():
    rig = Rig()
    for tick in range(20):
        rig.bridge.state({"tick": tick}, urgent=True)
    rig.bridge.state({"tick": 20}, urgent=False)
    rig.clock.run(0.6)
    assert rig.states[-1][1] == {"tick": 20}


def test_the_end_sends_the_last_frame_and_then_the_final_state():
    rig = Rig()
    for step in (1, 2, 3):
        rig.bridge.frame({"step": step}, b"x")
    rig.bridge.state({"status": "running"}, urgent=False)
    rig.bridge.state({"status": "running", "step": 3}, urgent=False)
    order: list[str] = []
    rig.bridge._send = lambda content, _: order.append(content["k"])
    rig.bridge._states._deliver = lambda state: order.append(state["status"])
    rig.bridge.finish({"status": "succeeded"})
    rig.clock.run(5)
    assert order == ["frame", "succeeded"]


def test_a_new_page_gets_the_newest_frame_again():
    rig = Rig()
    rig.bridge.hello()
    assert [content for _, content, _ in rig.sent] == [{"k": "hi"}]
    rig.bridge.frame({"step": 7}, b"x")
    rig.bridge.hello()
    assert [content["k"] for _, content, _ in rig.sent[1:]] == ["frame", "hi", "frame"]
    assert rig.sent[-1][1]["n"] == 1


def test_frames_wait_while_no_page_can_be_seen():
    rig = Rig()
    rig.bridge.look("a", True)
    rig.bridge.look("b", False)
    rig.bridge.frame({"step": 1}, b"x")
    rig.bridge.look("a", False)
    for _ in feed([rig], 10, 3):
        pass
    assert [step for _, step in rig.frames] == [1]
    rig.bridge.look("b", True)
    assert [step for _, step in rig.frames] == [1, 30]


def test_the_last_frame_goes_to_hidden_pages_too():
    rig = Rig()
    rig.bridge.look("a", False)
    rig.bridge.frame({"step": 1}, b"x")
    rig.bridge.finish({"status": "succeeded"})
    assert [step for _, step in rig.frames] == [1]


def test_a_closed_bridge_calls_nothing_any_more():
    rig = Rig()
    for step in (1, 2):
        rig.bridge.frame({"step": step}, b"x")
        rig.bridge.state({"step": step}, urgent=False)
    rig.bridge.close()
    rig.clock.run(10)
    assert len(rig.frames) == len(rig.states) == 1


@given(
    st.lists(st.tuples(st.floats(0, 0.2), st.booleans()), min_size=1, max_size=60),
    st.floats(min_value=1, max_value=90),
)
def test_whatever_comes_when_the_newest_value_arrives_last(puts: list[tuple[float, bool]], rate: float):
    clock, got = Clock(), []
    slot = Slot(got.append, rate, clock, clock, Pace(60))
    for number, (pause, flush) in enumerate(puts):
        clock.run(clock.now + pause)
        slot.put(number)
        if flush:
            slot.flush()
    clock.run(clock.now + 10)
    assert got[-1] == len(puts) - 1
    assert got == sorted(set(got))
