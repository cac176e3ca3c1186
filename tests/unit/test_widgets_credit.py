"""How fast one stream's frames may go, on a clock that stands until it is moved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfy_nb.widgets.credit import (
    BLIND,
    BLIND_AFTER,
    BLIND_TIME,
    FASTEST,
    IN_FLIGHT,
    OLDEST,
    SLOWEST,
    Credit,
    MainThread,
)
from tests.unit.pacing import Asked, busy_main, free_main

# -- the main thread ---------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(("trip", "least", "most"), [(0.01, 90, FASTEST), (0.1, 55, 62), (0.149, 37, 42)])
def test_as_many_are_in_flight_as_one_round_trip_takes_at_most_six(trip: float, least: float, most: float):
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


def test_a_frame_that_was_never_sent_was_never_seen():
    credit, main = Credit(), free_main()
    credit.sent(1, 1.0)
    credit.seen(10**9, 0.0, 1.02, main)
    assert credit.in_flight(1.02) == 1
    credit.seen(1, 0.0, 1.03, main)
    assert credit.in_flight(1.03) == 0


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
    rates = [unheard(free_main(), after) for after in (0.7, 0.8, 1.3, 1.8, 2.3, 3, 4, 5, 60)]
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
