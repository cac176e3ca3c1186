"""When frames and states may go, on a clock that stands until it is moved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfy_nb.widgets.flow import (
    BLIND,
    BLIND_AFTER,
    BLIND_TIME,
    FASTEST,
    IN_FLIGHT,
    LONGEST_DEBT,
    OLDEST,
    SLOWEST,
    Credit,
    Lane,
    MainThread,
    Pace,
    Schedule,
)

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


# -- the main thread ---------------------------------------------------------------------------------------------


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


def test_one_question_at_a_time_and_ten_a_second():
    asked = Asked()
    main = MainThread(asked)
    for i in range(100):
        main.ask(i / 100)
    assert asked.count == 1
    main.answered(1.0)
    for i in range(100):
        main.ask(1 + i / 100)
        main.answered(1 + i / 100)
    assert asked.count == pytest.approx(11, abs=1)


def test_it_is_free_after_three_prompt_answers_and_not_between_two_cells():
    main = free_main(1.0)
    assert main.free_for(1.5) == pytest.approx(0.599)
    main.ask(2.0)
    assert main.free_for(2.05) > 0
    assert main.free_for(2.2) == 0
    main.answered(5.0)  # a cell ended; the next one may have begun
    for i in range(3):
        assert main.free_for(5.0 + 0.2 * i) == 0
        main.ask(5.1 + 0.2 * i)
        main.answered(5.11 + 0.2 * i)
    assert main.free_for(6.0) == pytest.approx(0.49)


def test_it_says_when_it_was_last_found_late():
    main = free_main(1.0)
    assert main.late_at(1.0) == float("-inf")
    main.ask(2.0)
    assert main.late_at(2.05) == float("-inf")
    assert main.late_at(2.5) == 2.5
    main.answered(3.0)
    assert main.late_at(9.0) == 3.0


def test_without_a_main_thread_nothing_is_known():
    main = MainThread(Asked(there=False))
    for i in range(10):
        main.ask(i)
    assert main.free_for(10) == 0
    assert main.late_at(10) == float("-inf")


# -- Credit ------------------------------------------------------------------------------------------------------


def test_a_new_stream_may_go_at_once_and_fast():
    credit = Credit()
    assert credit.ready_at(5.0, free_main(5.0)) <= 5.0
    credit.sent(1, 5.0)
    assert credit.ready_at(5.0, free_main(5.0)) == pytest.approx(5 + 1 / FASTEST)


def drive(credit: Credit, main: MainThread, seconds: float, trip: float, start: float = 0.0) -> int:
    """Send as fast as may be to a page that acknowledges every frame after `trip`; how many frames went."""
    now, number = start, 1000 * round(start)
    flying: list[tuple[float, int]] = []
    first = number
    while now < start + seconds:
        while flying and flying[0][0] <= now:
            at, seen = flying.pop(0)
            credit.seen(seen, 0.0, at, main)
        if credit.ready_at(now, main) <= now:
            number += 1
            credit.sent(number, now)
            flying.append((now + trip, number))
            assert credit.in_flight(now) <= IN_FLIGHT
        now += 0.001
    return number - first


@pytest.mark.parametrize(("trip", "least", "most"), [(0.01, 60, FASTEST), (0.1, 36, 42), (0.149, 25, 29)])
def test_as_many_are_in_flight_as_one_round_trip_takes_at_most_four(trip: float, least: float, most: float):
    credit, main = Credit(), free_main()
    drive(credit, main, 4, trip)
    assert least <= drive(credit, main, 4, trip, start=4) / 4 <= most


def test_a_way_that_is_long_by_nature_is_not_taken_for_a_jam():
    credit, main = Credit(), free_main()
    drive(credit, main, 4, 0.4)
    assert drive(credit, main, 4, 0.4, start=4) / 4 >= 20


def test_a_round_trip_that_grows_lowers_the_rate_and_one_that_shrinks_raises_it():
    credit, main = Credit(), free_main()
    drive(credit, main, 2, 0.02)
    assert credit.rate == FASTEST
    drive(credit, main, 4, 0.6, start=2)
    low = credit.rate
    assert low < 10
    drive(credit, main, 6, 0.02, start=6)
    assert credit.rate > 4 * low


def test_what_the_page_held_back_is_no_part_of_the_round_trip():
    one, other = Credit(), Credit()
    main = free_main()
    for number in range(1, 20):
        one.sent(number, number)
        other.sent(number, number)
        one.seen(number, 0.0, number + 0.02, main)
        other.seen(number, 0.09, number + 0.11, main)
    assert one.trip == pytest.approx(other.trip) == pytest.approx(0.02, rel=0.2)


def test_acknowledgements_that_waited_for_the_main_thread_say_nothing_of_the_page():
    credit = Credit()
    main = free_main()
    credit.sent(1, 1.0)
    main.ask(1.5)
    main.answered(9.0)
    credit.seen(1, 0.0, 9.0, main)
    assert credit.rate == FASTEST
    assert credit.in_flight(9.0) == 0


def test_with_several_pages_the_fastest_sets_the_pace():
    credit, main = Credit(), free_main()
    for number in range(1, 50):
        credit.sent(number, number / 10)
        credit.seen(number, 0.0, number / 10 + 0.02, main)
        if number > 20:
            credit.seen(number - 20, 0.0, number / 10 + 0.03, main)
    assert credit.rate == FASTEST
    assert credit.trip < 0.03


def unheard(main: MainThread, after: float) -> float:
    """The rate when nothing was heard for so long."""
    credit = Credit()
    credit.sent(1, 0.0)
    return credit.rate_now(after, main)


def test_while_the_main_thread_is_busy_frames_flow_more_slowly_and_later_hardly():
    assert unheard(busy_main(), 0.2) == FASTEST
    assert unheard(busy_main(), 1.0) == BLIND[0] == 10
    assert unheard(busy_main(), BLIND_TIME) == 10
    assert unheard(busy_main(), BLIND_TIME + 1) == BLIND_AFTER[0] == 2


def test_where_there_is_no_main_thread_to_ask_it_counts_as_busy():
    assert unheard(MainThread(Asked(there=False)), 1.0) == 10


def test_when_the_main_thread_answers_and_the_page_does_not_the_rate_is_halved_until_hardly_anything_goes():
    rates = [unheard(free_main(), after) for after in (0.3, 0.5, 1.0, 1.5, 2, 3, 4, 5, 60)]
    assert rates[0] == FASTEST
    assert rates[1] == FASTEST / 2
    assert rates == sorted(rates, reverse=True)
    assert rates[-2:] == [SLOWEST, SLOWEST]


def test_after_a_busy_cell_the_page_has_a_moment_to_be_heard():
    credit = Credit()
    credit.sent(1, 0.0)
    main = free_main(20.0)  # free again, after 20 s
    assert credit.rate_now(20.2, main) >= FASTEST / 4


def test_a_page_that_answers_again_is_fast_again_but_not_at_once():
    credit, main = Credit(), free_main()
    credit.sent(1, 0.0)
    assert credit.rate_now(30.0, main) == SLOWEST
    credit.sent(2, 30.0)
    credit.seen(2, 0.0, 30.02, main)
    assert SLOWEST < credit.rate_now(30.02, main) <= 12
    drive(credit, main, 5, 0.02, start=31)
    assert credit.rate == FASTEST


@given(
    st.lists(
        st.tuples(
            st.floats(0, 0.5), st.sampled_from(["send", "ack", "late ack", "ask", "answer", "nothing"])
        ),
        max_size=200,
    )
)
def test_whatever_happens_there_are_never_more_in_flight_than_the_credit(steps: list[tuple[float, str]]):
    credit, main, now, number = Credit(), MainThread(Asked()), 0.0, 0
    for pause, what in steps:
        now += pause
        if what == "send" and credit.ready_at(now, main) <= now:
            number += 1
            credit.sent(number, now)
        elif what == "ack":
            credit.seen(number, 0.0, now, main)
        elif what == "late ack":
            credit.seen(number - 3, 5.0, now, main)
        elif what == "ask":
            main.ask(now)
        elif what == "answer":
            main.answered(now)
        assert credit.in_flight(now) <= IN_FLIGHT
        assert credit.life <= OLDEST
        assert SLOWEST <= credit.rate_now(now, main) <= FASTEST
        assert credit.ready_at(now, main) <= now + 1 / SLOWEST


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
