"""The bridge between a widget that talks and pages that listen, on a clock that stands until it is moved."""

from __future__ import annotations

import threading
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfy_nb.widgets import hub
from comfy_nb.widgets.bridge import Bridge, Hub, hub_of
from comfy_nb.widgets.credit import BLIND, BLIND_AFTER, BLIND_TIME, FASTEST
from comfy_nb.widgets.flow import MESSAGES
from tests.unit.pacing import Clock, MainLoop, PageModel


class Kernel:
    """A clock, a main thread, a hub: what all widgets of a process share; and the page that shows them."""

    def __init__(self, *, there: bool = True, **page: float) -> None:
        self.clock = Clock()
        self.main = MainLoop(self.clock, there)
        self.hub = Hub(
            self.clock.call_later, lambda function: function(), ping=self.main.ping, clock=self.clock
        )
        self.widgets: list[Widget] = []
        self.page = PageModel(self.clock, self._to_main, **page)

    def _to_main(self, content: dict[str, Any]) -> None:
        self.main.give(lambda: self.widgets[0].bridge.hear(content))

    def widget(self, *, displayed: bool = True) -> Widget:
        self.widgets.append(Widget(self))
        if displayed:
            self.widgets[-1].bridge.displayed()
        return self.widgets[-1]

    def feed(self, per_second: float, seconds: float) -> None:
        """Frames for all widgets."""
        for _ in range(round(per_second * seconds)):
            for widget in self.widgets:
                widget.frame()
            self.clock.run(1 / per_second)

    @property
    def messages(self) -> int:
        return sum(len(widget.sent) + len(widget.states) for widget in self.widgets)


class Widget:
    """A bridge whose messages and states are kept with their times, and reach the page."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel, self.clock = kernel, kernel.clock
        self.sent: list[tuple[float, dict[str, Any], list[bytes]]] = []
        self.states: list[tuple[float, dict[str, Any]]] = []
        self.order: list[str] = []
        self.count = 0
        self.bridge = Bridge(self._send, self._set_state, kernel.hub)

    def _send(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        self.sent.append((self.clock.now, content, buffers))
        self.order.append(content["k"])
        self.kernel.page.gets(content)

    def _set_state(self, state: dict[str, Any]) -> None:
        self.states.append((self.clock.now, state))
        self.order.append("state")
        self.kernel.page.gets({"k": "state"})

    def frame(self, key: str = "") -> None:
        self.count += 1
        self.bridge.stream(key).frame(partial(dict, step=self.count), b"picture %d" % self.count)

    def steps(self, key: str = "") -> list[int]:
        return [
            content["step"]
            for _, content, _ in self.sent
            if content["k"] == "frame" and content["key"] == key
        ]

    def rate(self, seconds: float) -> float:
        """Frames per second of late."""
        return (
            sum(at > self.clock.now - seconds for at, content, _ in self.sent if content["k"] == "frame")
            / seconds
        )


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


# -- while all is well -------------------------------------------------------------------------------------------


def test_a_slow_stream_goes_at_once_and_whole(kernel: Kernel):
    widget = kernel.widget()
    for step in range(1, 21):
        widget.frame()
        at, content, buffers = widget.sent[-1]
        assert (at, content["step"], content["n"]) == (kernel.clock.now, step, step)
        assert buffers == [b"picture %d" % step]
        kernel.clock.run(0.1)


def test_sixty_frames_a_second_pass_whole(kernel: Kernel):
    widget = kernel.widget()
    kernel.feed(60, 5)
    assert widget.rate(4) >= 59


def test_a_burst_is_thinned_and_its_last_frame_arrives(kernel: Kernel):
    widget = kernel.widget()
    for _ in range(300):
        widget.frame()
    kernel.clock.run(1)
    assert widget.steps() == [1, 300]


def test_a_flood_goes_no_faster_than_one_stream_may(kernel: Kernel):
    widget = kernel.widget()
    kernel.feed(1000, 3)
    assert FASTEST * 0.9 <= widget.rate(2) <= FASTEST + 1


def test_what_a_page_cannot_take_is_not_sent(kernel: Kernel):
    kernel.page.handling = 0.050  # it can take 20 per second
    widget = kernel.widget()
    kernel.feed(60, 20)
    ages = [age for at, _, _, age in kernel.page.shown if at > kernel.clock.now - 10]
    assert 10 <= widget.rate(10) <= 21
    assert sorted(ages)[len(ages) // 2] < 0.2


def test_a_page_that_recovers_gets_more_again(kernel: Kernel):
    kernel.page.handling = 0.100
    widget = kernel.widget()
    kernel.feed(60, 10)
    kernel.page.handling = 0.002
    kernel.feed(60, 10)
    assert widget.rate(2) >= 55


def test_all_widgets_share_the_budget_of_messages_fairly_states_included(kernel: Kernel):
    widgets = [kernel.widget() for _ in range(16)]
    for tick in range(300):
        for widget in widgets:
            widget.frame()
            widget.bridge.state(partial(dict, tick=tick), urgent=False)
        kernel.clock.run(1 / 30)
    assert kernel.messages <= 10 * MESSAGES + 10
    rates = [widget.rate(5) for widget in widgets]
    assert min(rates) >= 4
    assert sum(rates) >= 64
    assert max(rates) - min(rates) <= 1
    assert all(18 <= len(widget.states) <= 22 for widget in widgets)


def test_streams_of_one_widget_share_as_widgets_do(kernel: Kernel):
    widget = kernel.widget()
    for _ in range(300):
        for card in range(16):
            widget.frame(str(card))
        kernel.clock.run(1 / 30)
    counts = [len(widget.steps(str(card))) for card in range(16)]
    assert sum(counts) >= 10 * 64
    assert max(counts) - min(counts) <= 5
    names = {content["s"] for _, content, _ in widget.sent}
    assert len(names) == 16


# -- states and the end ------------------------------------------------------------------------------------------


def test_urgent_states_go_at_once_and_the_others_twice_a_second(kernel: Kernel):
    widget = kernel.widget()
    start = kernel.clock.now
    for tick in range(100):
        widget.bridge.state(partial(dict, tick=tick), urgent=tick in (30, 31, 32))
        kernel.clock.run(0.05)
    at = [round((at - start) / 0.05) for at, _ in widget.states]
    assert {30, 31, 32} <= set(at)
    assert 10 <= len(at) <= 15


def test_a_hundred_nodes_in_a_second_are_told_ten_times(kernel: Kernel):
    widget = kernel.widget()
    for node in range(100):
        widget.bridge.state(partial(dict, node=node), urgent=True)
        widget.bridge.state(partial(dict, node=node), urgent=False)
        kernel.clock.run(0.01)
    kernel.clock.run(0.2)
    assert len(widget.states) <= 16
    assert widget.states[-1][1] == {"node": 99}
    told = [state["node"] for _, state in widget.states]
    assert told == sorted(told)


def test_the_end_sends_the_last_frame_and_then_the_final_state(kernel: Kernel):
    widget = kernel.widget()
    for _ in range(3):
        widget.frame()
        widget.bridge.state(partial(dict, status="running"), urgent=False)
        widget.bridge.state(partial(dict, status="running"), urgent=True)
    widget.bridge.finish(partial(dict, status="succeeded"))
    assert widget.order[-2:] == ["frame", "state"]
    assert widget.steps()[-1] == 3
    assert widget.states[-1][1] == {"status": "succeeded"}
    sent = len(widget.order)
    kernel.clock.run(30)
    assert len(widget.order) == sent


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["frame", "state", "urgent", "busy", "look", "away", "hello", "absent", "back"]),
            st.floats(0, 3),
        ),
        max_size=50,
    )
)
def test_whatever_happened_the_last_frame_and_the_final_state_arrive(steps: list[tuple[str, float]]):
    kernel = Kernel()
    widget = kernel.widget()
    for number, (what, pause) in enumerate(steps):
        match what:
            case "frame":
                widget.frame()
            case "state" | "urgent":
                widget.bridge.state(partial(dict, number=number), urgent=what == "urgent")
            case "busy":
                kernel.main.work_for(2 * pause)
            case "look" | "away":
                widget.bridge.look("a", what == "look")
            case "hello":
                widget.bridge.hello(str(number))
            case _:
                kernel.page.absent = what == "absent"
        kernel.clock.run(pause)
    widget.bridge.finish(partial(dict, status="succeeded"))
    assert widget.states[-1][1] == {"status": "succeeded"}
    assert widget.count == 0 or widget.steps()[-1] == widget.count
    assert len(set(widget.steps())) <= widget.count
    widget.bridge.close()
    kernel.clock.run(60)
    assert kernel.clock.pending == 0


# -- when the page cannot be heard -------------------------------------------------------------------------------


def test_in_a_busy_kernel_frames_flow_and_acknowledgements_that_come_late_do_no_harm(kernel: Kernel):
    widget = kernel.widget()
    kernel.feed(30, 2)
    kernel.main.work_for(20)
    kernel.feed(30, 20)
    assert widget.rate(15) == pytest.approx(BLIND[0], rel=0.1)
    assert kernel.page.shown[-1][3] < 0.05
    kernel.feed(30, 2)
    assert widget.rate(1) >= 29


def test_between_the_cells_of_run_all_the_page_is_not_taken_for_gone(kernel: Kernel):
    widget = kernel.widget()
    kernel.feed(30, 1)
    kernel._to_main = lambda content: None  # behind the queued cells, nothing of the page is heard
    kernel.page._hear = kernel._to_main
    for _ in range(3):
        kernel.main.work_for(4)
        kernel.feed(30, 4)
        kernel.feed(30, 0.1)  # the main thread answers between two cells
    assert widget.rate(10) == pytest.approx(BLIND[0], rel=0.1)


def test_a_kernel_that_stays_busy_gets_few_frames_after_half_a_minute(kernel: Kernel):
    widget = kernel.widget()
    kernel.main.work_for(120)
    kernel.feed(30, BLIND_TIME + 20)
    assert widget.rate(15) == pytest.approx(BLIND_AFTER[0], rel=0.1)


def test_many_streams_in_a_busy_kernel_share_forty_frames_a_second(kernel: Kernel):
    widgets = [kernel.widget() for _ in range(16)]
    kernel.feed(30, 1)
    kernel.main.work_for(120)
    kernel.feed(30, 12)
    rates = [widget.rate(8) for widget in widgets]
    assert sum(rates) == pytest.approx(BLIND[1], rel=0.1)
    assert max(rates) - min(rates) <= 0.5


def test_without_ipykernel_frames_flow_without_acknowledgement():
    kernel = Kernel(there=False)
    widget = kernel.widget()
    kernel.page.absent = True
    kernel.feed(30, 10)
    assert widget.rate(5) == pytest.approx(BLIND[0], rel=0.1)


def test_a_page_that_is_gone_gets_hardly_anything_and_the_budget_is_the_others(kernel: Kernel):
    gone, there = kernel.widget(), kernel.widget()
    name = gone.bridge.stream()._name
    gone.bridge._hub.leave(name)  # what it has painted is heard no more
    kernel.feed(60, 12)
    assert gone.rate(5) <= 0.4
    assert there.rate(5) >= 55


def test_a_page_that_comes_back_is_served_as_before(kernel: Kernel):
    widget = kernel.widget()
    kernel.page.absent = True
    kernel.feed(30, 12)
    assert widget.rate(5) <= 0.4
    kernel.page.absent = False
    widget.bridge.hello("new")
    kernel.feed(30, 2)
    assert widget.rate(1) >= 28


# -- who looks ---------------------------------------------------------------------------------------------------


def test_nothing_goes_before_the_widget_is_displayed_and_then_the_newest(kernel: Kernel):
    widget = kernel.widget(displayed=False)
    kernel.feed(10, 2)
    assert widget.sent == []
    widget.bridge.displayed()
    assert widget.steps() == [20]


def test_a_page_that_says_hello_is_answered_and_shown_the_newest_frame(kernel: Kernel):
    widget = kernel.widget(displayed=False)
    assert widget.bridge.hear({"k": "hello", "page": "a"})
    assert [content for _, content, _ in widget.sent] == [{"k": "hi"}]
    widget.frame()
    kernel.clock.run(1)
    widget.bridge.hear({"k": "hello", "page": "b"})
    assert [content["k"] for _, content, _ in widget.sent] == ["hi", "frame", "hi", "frame"]
    assert widget.sent[-1][1]["n"] == 1


def test_a_page_that_comes_after_the_end_is_shown_the_last_frame(kernel: Kernel):
    widget = kernel.widget()
    kernel.feed(10, 1)
    widget.bridge.finish(partial(dict, status="succeeded"))
    kernel.clock.run(60)
    widget.bridge.hear({"k": "hello", "page": "b"})
    assert widget.steps()[-1] == 10


def test_frames_wait_while_no_page_looks(kernel: Kernel):
    widget = kernel.widget()
    for page, at in (("a", True), ("b", False)):
        widget.bridge.hear({"k": "looks", "page": page, "at": at})
    widget.frame()
    widget.bridge.hear({"k": "looks", "page": "a", "at": False})
    kernel.feed(10, 3)
    assert widget.steps() == [1]
    widget.bridge.hear({"k": "looks", "page": "b", "at": True})
    assert widget.steps() == [1, 31]


def test_a_page_that_looks_again_is_served_at_full_speed(kernel: Kernel):
    widget = kernel.widget()
    kernel.feed(30, 2)
    widget.bridge.look("a", at=False)
    kernel.feed(30, 30)
    widget.bridge.look("a", at=True)
    kernel.feed(30, 1)
    assert widget.rate(1) >= 29


def test_only_the_streams_that_some_page_shows_get_frames(kernel: Kernel):
    widget = kernel.widget()
    widget.bridge.hear({"k": "looks", "page": "a", "at": ["1", "2"]})
    widget.bridge.hear({"k": "looks", "page": "b", "at": ["2", "3"]})
    for key in "1234":
        widget.frame(key)
    assert {key: bool(widget.steps(key)) for key in "1234"} == {"1": True, "2": True, "3": True, "4": False}
    widget.bridge.hear({"k": "looks", "page": "b", "at": ["4"]})
    assert widget.steps("4") == [4]


def test_the_last_frame_goes_to_hidden_pages_too(kernel: Kernel):
    widget = kernel.widget()
    widget.bridge.look("a", at=False)
    widget.frame()
    widget.bridge.finish(partial(dict, status="succeeded"))
    assert widget.steps() == [1]


def test_a_stream_that_was_dropped_holds_nothing(kernel: Kernel):
    widget = kernel.widget()
    widget.bridge.look("a", at=False)
    widget.frame("x")
    widget.bridge.drop("x")
    widget.bridge.drop("x")
    widget.bridge.look("a", at=True)
    kernel.clock.run(5)
    assert widget.sent == []
    assert kernel.hub._credits == {}


def test_pages_that_never_said_goodbye_are_forgotten(kernel: Kernel):
    widget = kernel.widget()
    for number in range(100):
        widget.bridge.hello(f"page {number}")
    assert len(widget.bridge._pages) <= 16


def test_the_page_that_looks_is_kept_whatever_reloads_elsewhere(kernel: Kernel):
    widget = kernel.widget()
    widget.bridge.look("mine", at=True)
    for number in range(40):
        widget.bridge.look(f"hidden {number}", at=False)
    kernel.feed(10, 3)
    assert widget.rate(2) >= 9
    assert "mine" in widget.bridge._pages


def test_too_many_pages_that_look_leave_none_without_frames(kernel: Kernel):
    widget = kernel.widget()
    for number in range(17):
        widget.bridge.look(f"page {number}", at=True)
    for number in range(1, 17):
        widget.bridge.look(f"page {number}", at=False)  # and the first, which was forgotten, still looks
    kernel.feed(10, 3)
    assert widget.rate(2) >= 9


def test_views_that_have_ended_cost_the_others_nothing(kernel: Kernel):
    for _ in range(200):
        widget = kernel.widget()
        widget.frame()
        widget.bridge.finish(dict)
    assert (len(kernel.hub._credits), len(kernel.hub.schedule.credits)) == (0, 0)
    last = kernel.widgets[-1]
    sent = len(last.steps())
    last.bridge.hello("late")  # and still show their last frame to whoever comes
    assert len(last.steps()) == sent + 1


def test_what_no_page_can_have_costs_nothing_of_the_budget(kernel: Kernel):
    unseen, seen = kernel.widget(displayed=False), kernel.widget()
    for _ in range(500):
        unseen.bridge.message({"k": "rows"})
    seen.bridge.state(dict, urgent=True)
    assert (unseen.sent, len(seen.states)) == ([], 1)


# -- the rest ----------------------------------------------------------------------------------------------------


def test_a_closed_bridge_sends_nothing_any_more_and_leaves_nothing_behind(kernel: Kernel):
    widget = kernel.widget()
    for step in (1, 2):
        widget.frame()
        widget.bridge.state(partial(dict, step=step), urgent=False)
    widget.bridge.close()
    kernel.clock.run(10)
    assert len(widget.steps()) == len(widget.states) == 1
    assert kernel.hub._credits == {}
    assert kernel.clock.pending == 0


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"k": "seen"},
        {"k": "seen", "at": 3},
        {"k": "looks", "page": "a"},
        {"k": "looks", "page": "a", "at": 1},
        {"k": "hello"},
        {"k": 4},
    ],
)
def test_what_it_does_not_know_is_for_the_widget(kernel: Kernel, content: dict[object, object]):
    widget = kernel.widget()
    assert not widget.bridge.hear(content)
    assert widget.sent == []


def test_nonsense_about_streams_is_passed_over(kernel: Kernel):
    widget = kernel.widget()
    widget.frame()
    name = widget.sent[0][1]["s"]
    for told in (None, [], [1], ["x", 0], [1, "x"], {"n": 1}, 7):
        assert widget.bridge.hear({"k": "seen", "at": {name: told, "none": [1, 2], "": [3, 4]}})
    assert widget.bridge.stream().credit.in_flight(kernel.clock.now) == 1


def test_one_widget_that_fails_does_not_stop_the_others(kernel: Kernel, caplog: pytest.LogCaptureFixture):
    bad, good = kernel.widget(), kernel.widget()

    def fail(*_: object) -> None:
        raise RuntimeError("the comm is gone")

    bad.bridge.stream()._send = fail
    kernel.feed(30, 1)
    assert good.rate(1) >= 29
    assert "the comm is gone" in caplog.text


def test_a_process_has_one_hub_and_after_a_fork_a_new_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub, "_hub", None)
    loop: Any = SimpleNamespace(call_later=None, call=None)
    hubs: list[Hub] = []
    threads = [threading.Thread(target=lambda: hubs.append(hub_of(loop))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(hubs)) == 1
    child: Any = SimpleNamespace(call_later=None, call=None)
    assert hub_of(child) not in hubs
