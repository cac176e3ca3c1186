"""A prompt runs, and nothing is heard of it: what the view says, and when the socket is opened anew."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from comfy_nb import events as ev
from comfy_nb.client import line as module
from comfy_nb.client.address import Address
from comfy_nb.client.delivery import Delivery
from comfy_nb.client.line import Line
from comfy_nb.client.timing import TIMING
from comfy_nb.loop import get_loop
from comfy_nb.record import Record, Request
from comfy_nb.wire import messages as wire
from comfy_nb.workflow.plan import make_plan
from tests.client.helpers import graph

ID = "0447b7af-958e-4c14-8d75-8144f041cd8b"


class Clock:
    """Time that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def delivery(clock: Clock) -> Delivery:
    delivery = Delivery(Record(Request(make_plan(graph(), ID), graph()), clock=clock.monotonic))
    delivery.feed(ev.Submitted())
    delivery.feed(ev.Positioned(0))
    return delivery


@pytest.fixture
def line(clock: Clock, delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> Line:
    def ignore(*_: object) -> None:
        pass

    line = Line(
        Address.parse("http://127.0.0.1:9"),
        get_loop(),
        TIMING,
        on_message=lambda _, message: delivery.hear(message),
        on_link=ignore,
        on_loss=ignore,
        tls=None,
        max_message=1000,
    )
    line.socket = SimpleNamespace(is_open=True)
    return line


def renewals(clock: Clock, line: Line, delivery: Delivery, seconds: int) -> list[int]:
    """When, in so many seconds of silence, the socket was to be opened anew."""
    due = []
    for second in range(seconds):
        if line.note_silence(delivery):
            due.append(second)
        clock.now += 1
    return due


def test_it_is_opened_anew_after_15_s_then_after_60_s_then_every_5_minutes(
    clock: Clock, line: Line, delivery: Delivery
) -> None:
    assert renewals(clock, line, delivery, 1300) == [15, 75, 375, 675, 975, 1275]


@pytest.mark.parametrize(
    ("seconds", "note"),
    [
        (4, ""),
        (5, "no word from the server for 5 s (loading a model can take minutes)"),
        (40, "no word from the server for 40 s (loading a model can take minutes)"),
        (180, "no word from the server for 3 min (loading a model can take minutes)"),
        (600, "no word from the server for 10 min (its worker may be dead: see its log)"),
    ],
)
def test_the_view_says_so_without_the_word_reconnecting(
    clock: Clock, line: Line, delivery: Delivery, seconds: int, note: str
) -> None:
    clock.now += seconds
    line.note_silence(delivery)
    assert (delivery.run.link, delivery.record.snapshot().note) == ("connected", note)


def test_a_word_ends_the_silence_and_the_next_one_begins_anew(
    clock: Clock, line: Line, delivery: Delivery
) -> None:
    renewals(clock, line, delivery, 100)
    line._hear(wire.Progress(1, 20, "3", ID))
    assert delivery.record.snapshot().note == ""
    assert renewals(clock, line, delivery, 100) == [15, 75]


def test_what_every_new_socket_hears_is_no_word(clock: Clock, line: Line, delivery: Delivery) -> None:
    renewals(clock, line, delivery, 20)
    line._hear(wire.FeatureFlags({}))
    assert renewals(clock, line, delivery, 60) == [55]


def test_a_closed_socket_is_no_silent_one(clock: Clock, line: Line, delivery: Delivery) -> None:
    line.socket = SimpleNamespace(is_open=False)
    assert renewals(clock, line, delivery, 100) == []
    assert delivery.record.snapshot().note == ""


# -- a word that must come -------------------------------------------------------------------------------------


@pytest.fixture
def owed(clock: Clock, line: Line, delivery: Delivery) -> Line:
    """A line whose server has just taken a prompt."""
    line.deliveries[ID] = delivery
    clock.now += 1
    line.expect(posted_at=clock.now)
    return line


def deaf(clock: Clock, line: Line, seconds: int) -> list[int]:
    """When, in so many seconds, the socket was to be opened anew."""
    due = []
    for second in range(seconds):
        if line.note_deafness():
            due.append(second)
        clock.now += 1
    return due


def test_two_seconds_after_a_post_a_silent_socket_is_told_and_opened_anew(
    clock: Clock, owed: Line, delivery: Delivery
) -> None:
    assert deaf(clock, owed, 2) == []
    assert delivery.record.snapshot().note == ""
    assert deaf(clock, owed, 400) == [0, 15, 75, 375]
    assert (delivery.run.link, delivery.record.snapshot().note) == ("connected", module.DEAF)
    owed._hear(wire.Status(1, None))
    assert delivery.record.snapshot().note == ""
    assert deaf(clock, owed, 100) == []


def test_until_then_the_queue_is_asked_every_two_seconds(clock: Clock, owed: Line) -> None:
    looked = clock.now - 7
    assert owed.look_due(looked) == clock.now + TIMING.word
    assert owed.look_due(clock.now + 10) == clock.now + 10 + TIMING.doubt
    owed._hear(wire.Status(1, None))
    assert owed.look_due(looked) == clock.now + module.TELL_AFTER
    assert owed.look_due(clock.now + 1) == clock.now + 1 + module.TELL_AFTER


def test_what_was_heard_since_the_post_will_do(clock: Clock, line: Line, delivery: Delivery) -> None:
    line.deliveries[ID] = delivery
    posted_at = clock.now
    line._hear(wire.Status(1, None))
    line.expect(posted_at)
    assert deaf(clock, line, 100) == []


def test_a_greeting_is_not_the_word(clock: Clock, owed: Line) -> None:
    owed._hear(wire.FeatureFlags({}))
    assert deaf(clock, owed, 5) == [2]
