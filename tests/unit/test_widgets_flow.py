"""When frames and states may go, on a clock that stands until it is moved."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfy_nb.widgets.credit import ACK_EVERY, BLIND, BLIND_AFTER, BLIND_TIME, Credit, MainThread
from comfy_nb.widgets.flow import LONGEST_DEBT, MESSAGES, Lane, Pace, Schedule
from tests.unit.pacing import Asked, free_main

# -- Pace --------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 0.3), min_size=2, max_size=80), st.floats(1, 100), st.integers(1, 8))
def test_no_more_than_the_rate_and_one_burst_in_any_while(pauses: list[float], rate: float, burst: int):
    pace, now, gone = Pace(rate, burst), 0.0, []
    for pause in pauses:
        now += pause
        if pace.free_at() <= now:
            pace.spend(now)
            gone.append(now)
    for i, start in enumerate(gone):
        for n, end in enumerate(gone[i:], 1):
            assert n <= burst + rate * (end - start) + 1e-6


def test_what_goes_out_of_turn_is_paid_back_but_never_for_long():
    pace = Pace(10)
    for _ in range(3):
        pace.spend(0.0)
    assert pace.free_at() == pytest.approx(0.3)
    for _ in range(1000):
        pace.spend(0.0)
    assert pace.free_at() == pytest.approx(LONGEST_DEBT)


# -- Schedule ----------------------------------------------------------------------------------------------------


def play(schedule: Schedule, lanes: list[Lane[int]], seconds: float, rate: float) -> list[list[float]]:
    """New values in all lanes at a rate, each delivered when it may be; when each lane's went."""
    went: list[list[float]] = [[] for _ in lanes]
    step = 0.002
    for tick in range(round(seconds / step)):
        now = tick * step
        if tick % max(1, round(1 / rate / step)) == 0:
            for lane in lanes:
                schedule.put(lane, tick)
        while (lane := schedule.next(now)) is not None:
            schedule.went(lane, now)
            went[lanes.index(lane)].append(now)
            lane.take()
    return went


def page_of(lanes: int, cost: float, seconds: float = 10.0) -> tuple[list[list[float]], list[float]]:
    """What a page that needs `cost` seconds for each frame paints of streams of 30 per second: when, and how old."""
    now, free_at, acknowledge_at, told = 0.0, 0.0, None, -1.0
    schedule, owned = Schedule(free_main()), [Credit() for _ in range(lanes)]
    schedule.credits.update(owned)
    numbers, seen = [0] * lanes, dict[int, tuple[int, float]]()
    painted, ages, queue = [[] for _ in owned], list[float](), list[tuple[int, int, float]]()

    def deliver(which: int, made: float) -> None:
        numbers[which] += 1
        owned[which].sent(numbers[which], now)
        queue.append((which, numbers[which], made))

    streams = [Lane[float](partial(deliver, which), credit) for which, credit in enumerate(owned)]
    for tick in range(round(seconds / 0.002)):
        now = tick * 0.002
        if tick % 17 == 0:
            for lane in streams:
                schedule.put(lane, now)
        while (lane := schedule.next(now)) is not None:
            schedule.went(lane, now)
            lane.deliver(lane.take())
        if queue and free_at <= now:
            which, number, made = queue.pop(0)
            free_at = now + cost
            painted[which].append(free_at)
            ages.append(free_at - made)
            seen[which] = number, free_at
            acknowledge_at = acknowledge_at or free_at + (ACK_EVERY if told > now - 2 * ACK_EVERY else 0.1)
        if acknowledge_at is not None and now >= acknowledge_at:
            for which, (number, at) in seen.items():
                owned[which].seen(number, now - at, now, schedule.main)
            seen.clear()
            acknowledge_at, told = None, now
    return painted, sorted(ages)


@pytest.mark.parametrize(
    ("lanes", "cost", "oldest"), [(16, 0.008, 0.12), (16, 0.025, 0.35), (4, 0.03, 0.3), (1, 0.08, 0.6)]
)
def test_a_page_that_is_slow_is_kept_busy_and_shows_what_is_new(lanes: int, cost: float, oldest: float):
    painted, ages = page_of(lanes, cost)
    assert ages[int(0.95 * len(ages))] <= oldest
    assert sum(map(len, painted)) >= 0.85 * min(10 / cost, 10 * MESSAGES * 0.9, 10 * 30 * lanes)
    assert min(map(len, painted)) >= 0.5 * max(map(len, painted))


@pytest.mark.parametrize("count", [2, 8, 16, 60])
def test_all_lanes_share_the_budget_fairly(count: int):
    schedule = Schedule(free_main(), messages=100)
    went = play(schedule, [Lane(print, Pace(60)) for _ in range(count)], 4, 30)
    counts = [len(times) for times in went]
    assert sum(counts) <= 4 * 100 + 6
    assert sum(counts) >= min(0.9 * 4 * 100, count * 4 * 28)
    assert max(counts) - min(counts) <= 1


def test_a_lane_that_wants_little_gets_it_beside_those_that_want_much():
    schedule = Schedule(free_main(), messages=50)
    greedy: list[Lane[int]] = [Lane(print, Pace(1000)) for _ in range(10)]
    modest: Lane[int] = Lane(print, Pace(2))
    went = play(schedule, [*greedy, modest], 5, 200)
    assert len(went[-1]) >= 9


def test_no_lane_starves_while_urgent_messages_go_out_of_turn():
    schedule = Schedule(free_main(), messages=50)
    lane: Lane[int] = Lane(print, Pace(10))
    went = 0
    for tick in range(1000):
        now = tick / 100
        schedule.spend(now)
        schedule.put(lane, tick)
        if schedule.next(now) is lane:
            schedule.went(lane, now)
            lane.take()
            went += 1
    assert went >= 10 / (LONGEST_DEBT + 0.2)


def test_a_held_lane_waits_and_keeps_its_newest_value():
    schedule = Schedule(free_main())
    lane: Lane[int] = Lane(print, Pace(10))
    lane.held = True
    schedule.put(lane, 1)
    schedule.put(lane, 2)
    assert schedule.next(0.0) is None
    assert schedule.due(0.0) is None
    lane.held = False
    assert schedule.next(0.0) is lane
    assert lane.take() == 2


def test_a_lane_that_was_removed_is_forgotten():
    schedule = Schedule(free_main())
    lane: Lane[int] = Lane(print, Pace(10))
    schedule.put(lane, 1)
    schedule.remove(lane)
    assert schedule.next(0.0) is None
    assert not lane.waits


@pytest.mark.parametrize(("silent", "limit"), [(1.0, BLIND[1]), (BLIND_TIME + 5, BLIND_AFTER[1])])
def test_without_acknowledgements_the_kernel_sends_forty_frames_a_second_and_later_eight(
    silent: float, limit: float
):
    main = MainThread(Asked())
    main.ask(-50.0)
    lanes: list[Lane[int]] = []
    for _ in range(16):
        credit = Credit()
        credit.sent(1, -silent)
        lanes.append(Lane(print, credit))
    counts = [len(times) for times in play(Schedule(main), lanes, 5, 30)]
    assert sum(counts) == pytest.approx(5 * limit, rel=0.06)
    assert max(counts) - min(counts) <= 1


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 0.2)), min_size=1, max_size=80))
def test_whatever_comes_when_the_newest_value_of_each_lane_goes_last(puts: list[tuple[int, float]]):
    schedule, now = Schedule(free_main(), messages=20), 0.0
    lanes: list[Lane[int]] = [Lane(print, Pace(7)) for _ in range(5)]
    got: list[list[int]] = [[] for _ in lanes]

    def deliver(until: float) -> None:
        nonlocal now
        while True:
            while (lane := schedule.next(now)) is not None:
                schedule.went(lane, now)
                got[lanes.index(lane)].append(lane.take())
            due = schedule.due(now)
            if due is None or due > until:
                break
            assert due > now
            now = due
        now = until

    last: dict[int, int] = {}
    for number, (which, pause) in enumerate(puts):
        schedule.put(lanes[which], number)
        last[which] = number
        deliver(now + pause)
    deliver(now + 10)
    assert {which: got[which][-1] for which in last} == last
    assert all(values == sorted(set(values)) for values in got)
    assert schedule.due(now) is None
