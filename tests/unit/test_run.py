"""Run: what each event means, by example, and what no sequence of events may do, by property."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from comfy_nb import events as ev
from comfy_nb import snapshot
from comfy_nb.errors import Problem
from comfy_nb.run import ALMOST, FINAL, MAX_WARNINGS, NodeRun, Pace, Run, differences, fold, fraction_of
from comfy_nb.store import get_store
from comfy_nb.wire.messages import NodeProgress
from comfy_nb.wire.records import NodeOutput
from comfy_nb.workflow.plan import make_plan
from tests.unit.plans import API, DECODER, PROMPT_ID, SAMPLER, SAVER, plan, result

NODES = [*API, "3.0.0.1", "40", ""]
FAILURE = ev.Failure(
    "execution", "KSampler failed: out of memory", (Problem("out of memory", SAMPLER, "KSampler"),)
)
REFUSED = ev.Failure("rejected", "Rejected by the server: no", (Problem("no"),))
PREVIEW = ev.Preview(SAMPLER, "image/jpeg", b"\xff\xd8\xff", 1, 20)
NOTHING = NodeOutput(SAVER, SAVER, (), ())


def after(*events: ev.Event, run: Run | None = None, every: float = 1.0) -> Run:
    """The run after these events, one each `every` seconds from 0."""
    run = run or Run(plan())
    for index, event in enumerate(events):
        run = fold(run, event, index * every)
    return run


def sampled(to: int, every: float = 1.0) -> Run:
    """A run whose sampler has made `to` steps of 20."""
    steps = [ev.Progressed(SAMPLER, step, 20) for step in range(1, to + 1)]
    return after(ev.Submitted(1), ev.Started(), ev.NodeStarted(SAMPLER), *steps, every=every)


def node_progress(node_id: str, value: float, most: float, state: str = "running") -> NodeProgress:
    return NodeProgress(node_id, value, most, state, node_id, None, node_id)


# --- Status -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ((), "new"),
        ((ev.Submitted(1),), "queued"),
        ((ev.Submitted(1), ev.Positioned(2)), "queued"),
        ((ev.Submitted(1), ev.Positioned(0)), "running"),
        ((ev.Submitted(1), ev.Started()), "running"),
        ((ev.Started(), ev.Submitted(1)), "running"),  # the reply came last
        ((ev.NodeStarted(SAMPLER),), "running"),
        ((PREVIEW,), "running"),
        ((ev.Started(), ev.Finishing()), "running"),
        ((ev.Started(), ev.Finishing(), ev.Ended()), "running"),  # nobody asked the history
        ((ev.Started(), ev.Settled("succeeded")), "running"),  # its outputs are being fetched
        ((ev.Settled("succeeded"), ev.Ended()), "succeeded"),
        ((ev.Settled("failed", FAILURE), ev.Ended()), "failed"),
        ((ev.Settled("cancelled"), ev.Ended()), "cancelled"),
        ((ev.Settled("cancelled"), ev.Settled("succeeded"), ev.Ended()), "cancelled"),
        ((ev.Rejected(REFUSED),), "failed"),
        ((ev.Submitted(1), ev.Vanished("removed", cancelled=True)), "cancelled"),
        ((ev.Started(), ev.Vanished("restarted")), "lost"),
        ((ev.Submitted(1), ev.Stopping()), "queued"),
        ((ev.Submitted(1), ev.Warned("odd")), "queued"),
        ((ev.Submitted(1), ev.LinkChanged("reconnecting")), "queued"),
    ],
)
def test_status(events: tuple[ev.Event, ...], status: str) -> None:
    assert after(*events).status == status


@pytest.mark.parametrize(
    "wrong", [ev.Vanished("gone"), ev.Vanished("gone", cancelled=True), ev.Rejected(REFUSED)]
)
def test_nothing_takes_back_what_the_history_said(wrong: ev.Event) -> None:
    run = after(ev.Started(), ev.Settled("succeeded"))
    assert fold(run, wrong, 9) is run
    assert after(wrong, ev.Ended(), run=run).status == "succeeded"


def test_times_are_kept() -> None:
    run = after(ev.Submitted(1), ev.Started(), ev.Settled("succeeded"), ev.Ended())
    assert (run.queued_at, run.started_at, run.ended_at) == (0, 1, 3)
    assert after(ev.Started()).queued_at == 0  # never seen in the queue


def test_the_position_is_that_in_the_queue() -> None:
    run = after(ev.Submitted(1), ev.Positioned(3))
    assert run.position == 3
    assert fold(run, ev.Positioned(3), 5) is run
    running = fold(run, ev.Positioned(0), 5)
    assert running.position is None
    assert fold(running, ev.Positioned(2), 6) is running


def test_the_link_is_told_once() -> None:
    run = after(ev.LinkChanged("reconnecting", "in 2 s"))
    assert (run.link, run.link_note) == ("reconnecting", "in 2 s")
    assert fold(run, ev.LinkChanged("reconnecting", "in 2 s"), 5) is run


def test_where_it_was_stopped() -> None:
    assert after(ev.Settled("cancelled"), run=sampled(9)).cause == "interrupted at step 9 of 20"
    assert after(ev.Settled("cancelled"), run=after(ev.NodeStarted(DECODER))).cause == "interrupted"


def test_warnings_are_told_once_and_are_not_endless() -> None:
    run = after(ev.Warned("a"))
    assert fold(run, ev.Warned("a"), 1) is run
    many = after(*(ev.Warned(str(index)) for index in range(1000)))
    assert len(many.warnings) == MAX_WARNINGS


# --- Nodes --------------------------------------------------------------------------------------------------


def test_the_life_of_a_node() -> None:
    run = after(ev.Started(), ev.NodeStarted(SAMPLER))
    assert run.nodes[SAMPLER] == NodeRun("running", started_at=1)
    assert run.current == SAMPLER
    assert run.bar is None
    run = after(ev.Progressed(SAMPLER, 5, 20), run=run)
    assert run.nodes[SAMPLER] == NodeRun("running", 5, 20, started_at=1)
    assert run.bar == run.nodes[SAMPLER]
    run = fold(run, ev.NodeFinished(SAMPLER), 9)
    assert run.nodes[SAMPLER] == NodeRun("done", 5, 20, started_at=1, ended_at=9)


@pytest.mark.parametrize(
    "late", [ev.NodeStarted(SAMPLER), ev.Progressed(SAMPLER, 3, 20), ev.NodeFinished(SAMPLER)]
)
def test_a_node_runs_once(late: ev.Event) -> None:
    run = after(ev.NodeFinished(SAMPLER), run=sampled(20))
    assert fold(run, late, 99) is run


def test_a_bar_may_start_over() -> None:
    """A node that is fed by a list runs once per item, between one start and one end."""
    run = after(ev.Progressed(SAMPLER, 1, 20), run=sampled(20))
    assert run.nodes[SAMPLER].value == 1
    assert run.progress == sampled(20).progress


def test_cached_nodes_do_not_run_unless_they_do() -> None:
    run = after(ev.NodesCached(("4", "5")))
    assert run.nodes["4"].state == "cached"
    assert after(ev.NodeExecuted("4", NOTHING), run=run).nodes["4"].state == "cached"
    assert after(ev.NodeFinished("4"), run=run).nodes["4"].state == "cached"
    assert (
        after(ev.NodeStarted("4"), run=run).nodes["4"].state == "running"
    )  # its result had been thrown away
    late = after(ev.NodeStarted("4"), ev.NodesCached(("4",)))
    assert late.nodes["4"].state == "running"


def test_a_node_whose_start_was_missed_has_no_time() -> None:
    for event in (ev.NodeFinished(SAMPLER), ev.NodeExecuted(SAMPLER, NOTHING)):
        node = after(ev.Started(), event).nodes[SAMPLER]
        assert (node.state, node.started_at, node.ended_at) == ("done", None, 1)


def test_all_nodes_are_done_after_a_success_and_only_then() -> None:
    events = (ev.NodeStarted(SAMPLER), ev.Progressed(SAMPLER, 4, 20))
    for outcome, state in (("succeeded", "done"), ("cancelled", "running"), ("failed", "running")):
        run = after(*events, ev.Settled(outcome), ev.Ended())
        assert run.nodes[SAMPLER].state == state


def test_the_failed_node_is_marked_and_stays_so() -> None:
    run = after(ev.NodeStarted(SAMPLER), ev.Settled("failed", FAILURE))
    assert run.nodes[SAMPLER].state == "failed"
    assert after(ev.NodeStarted(SAMPLER), ev.Ended(), run=run).nodes[SAMPLER].state == "failed"


def test_a_failure_of_no_node_invents_none() -> None:
    run = after(ev.Started(), ev.Settled("failed", ev.Failure("execution", "?", (Problem("?"),))), ev.Ended())
    assert dict(run.nodes) == {}
    unseen = after(ev.Settled("failed", FAILURE), ev.Ended())
    assert (unseen.nodes[SAMPLER].state, unseen.nodes[SAMPLER].started_at) == ("failed", None)


def test_the_history_knows_which_nodes_were_cached() -> None:
    run = after(ev.NodeStarted(SAMPLER), ev.Settled("succeeded", cached=("4", SAMPLER)), ev.Ended())
    assert run.nodes["4"].state == "cached"
    assert run.nodes[SAMPLER].state == "done"
    assert after(ev.Settled("succeeded", cached=tuple(API)), ev.Ended()).all_cached
    assert not run.all_cached


@pytest.mark.parametrize(("value", "most", "shown"), [(25, 20, (20, 20)), (-1, 20, (0, 20)), (0, 0, (0, 1))])
def test_a_bar_makes_sense_whatever_the_server_says(
    value: float, most: float, shown: tuple[float, float]
) -> None:
    node = after(ev.NodeStarted("8"), ev.Progressed(SAMPLER, value, most)).nodes[SAMPLER]
    assert (node.value, node.max) == shown


def test_what_a_node_says_of_itself_is_forgotten_with_the_next() -> None:
    run = after(ev.NodeStarted(SAMPLER), ev.NodeText(SAMPLER, "half way"))
    assert run.text == "half way"
    assert fold(run, ev.NodeText(SAMPLER, "half way"), 3) is run
    assert after(ev.NodeStarted(DECODER), run=run).text == ""
    assert after(ev.Progressed(DECODER, 1, 4), run=run).text == ""
    assert after(ev.Progressed(SAMPLER, 1, 4), run=run).text == "half way"


# --- Previews -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "shown"),
    [
        ((), True),
        ((ev.Submitted(1),), True),
        ((ev.NodeStarted(SAMPLER),), True),
        ((ev.NodeStarted(SAMPLER), ev.NodeFinished(SAMPLER)), False),
        ((ev.NodeExecuted(SAMPLER, NOTHING),), False),
        ((ev.NodesCached((SAMPLER,)),), False),
        ((ev.NodeStarted(SAMPLER), ev.Finishing()), False),
        ((ev.NodeStarted(SAMPLER), ev.Settled("succeeded")), False),
        ((ev.Settled("succeeded"), ev.Ended()), False),
        ((ev.Vanished("gone"),), False),
        ((ev.Settled("failed", FAILURE), ev.Ended()), False),
    ],
)
def test_a_preview_is_shown_only_while_its_node_may_run(before: tuple[ev.Event, ...], shown: bool) -> None:
    run = after(*before)
    told = fold(run, PREVIEW, 50)
    assert (told is not run) == shown
    assert told.previews == shown


# --- The full picture ---------------------------------------------------------------------------------------


def test_a_picture_gives_the_events_that_are_new() -> None:
    picture = [
        node_progress("4", 1, 1, "finished"),
        node_progress(SAMPLER, 3, 20),
        node_progress("8", 0.0, 1.0),
        node_progress("9", 0, 1, "pending"),
    ]
    events = list(differences(Run(plan()), picture))
    assert events == [
        ev.NodeFinished("4"),
        ev.NodeStarted(SAMPLER),
        ev.Progressed(SAMPLER, 3, 20),
        ev.NodeStarted("8"),
    ]
    run = after(*events)
    assert list(differences(run, picture)) == []
    assert list(differences(run, [node_progress(SAMPLER, 4, 20)])) == [ev.Progressed(SAMPLER, 4, 20)]


def test_an_old_picture_wakes_no_node() -> None:
    run = after(ev.NodeFinished(SAMPLER), run=sampled(20))
    assert list(differences(run, [node_progress(SAMPLER, 5, 20)])) == []
    cached = after(ev.NodesCached((SAMPLER, SAVER)))
    assert list(differences(cached, [node_progress(SAVER, 1, 1, "finished")])) == []
    assert list(differences(cached, [node_progress(SAMPLER, 0, 1)])) == [ev.NodeStarted(SAMPLER)]


def test_a_picture_heals_what_was_missed() -> None:
    missed = after(ev.Started())
    healed = after(
        *differences(missed, [node_progress("4", 1, 1, "finished"), node_progress(SAMPLER, 9, 20)]),
        run=missed,
    )
    assert (healed.nodes["4"].state, healed.nodes[SAMPLER].value) == ("done", 9)
    assert healed.current == SAMPLER


# --- Overall progress ---------------------------------------------------------------------------------------


def test_progress_weighs_nodes() -> None:
    weights = {node.id: node.weight for node in plan().nodes}
    assert weights[SAMPLER] == 20
    total = sum(weights.values())
    assert sampled(5).progress == pytest.approx(5 / total)
    assert after(ev.NodesCached(("4", "6", "7"))).progress == pytest.approx(
        (weights["4"] + 2 * weights["6"]) / total
    )


def test_progress_is_1_only_when_the_outputs_are_here() -> None:
    run = after(*(ev.NodeFinished(node_id) for node_id in API))
    assert run.progress == ALMOST
    settled = fold(run, ev.Settled("succeeded"), 8)
    assert settled.progress == ALMOST
    assert fold(settled, ev.Ended(), 9).progress == 1
    stopped = after(ev.Settled("cancelled"), ev.Ended(), run=sampled(10))
    assert stopped.progress == sampled(10).progress


def test_a_node_that_expanded_counts_by_its_children() -> None:
    planned = plan().node(SAMPLER)
    assert planned is not None
    run = after(ev.NodeStarted(SAMPLER), ev.NodeStarted("3.0.0.1"), ev.NodeStarted("3.0.0.2"))
    assert fraction_of(run, planned) == 0
    run = after(ev.NodeFinished("3.0.0.1"), run=run)
    assert fraction_of(run, planned) == pytest.approx(1 / 3)
    assert fraction_of(after(ev.NodeFinished(SAMPLER), run=run), planned) == 1
    assert fraction_of(Run(plan()), planned) == 0


def test_an_empty_plan_is_harmless() -> None:
    run = after(ev.NodeStarted("1"), run=Run(make_plan({}, PROMPT_ID)))
    assert run.progress == 0
    assert not run.all_cached
    assert after(ev.Settled("succeeded"), ev.Ended(), run=run).progress == 1


# --- Pace ---------------------------------------------------------------------------------------------------


def paced(*seen: tuple[float, float], node: str = SAMPLER) -> Pace:
    pace = Pace()
    for at, value in seen:
        pace = pace.observe(node, value, at)
    return pace


def test_speed_needs_three_observations() -> None:
    assert paced((0, 1), (1, 2)).speed is None
    assert paced((0, 1), (1, 2)).spread is None
    assert paced((0, 1), (1, 2), (2, 3)).speed == 1
    assert paced((0, 1), (0.5, 3), (2, 5)).speed == 2
    assert paced((0, 1), (0.5, 3), (2, 5)).spread == (pytest.approx(4 / 3), 4)


def test_speed_follows_a_change() -> None:
    slow_then_fast = [(index, index) for index in range(10)] + [
        (9 + index / 10, 9 + index) for index in range(1, 11)
    ]
    assert paced(*slow_then_fast).speed == pytest.approx(10)


def test_a_repeated_step_is_no_observation_and_a_bar_that_starts_over_begins_anew() -> None:
    assert paced((0, 1), (1, 2), (1.5, 2), (2, 3)) == paced((0, 1), (1, 2), (2, 3))
    assert paced((0, 1), (1, 2), (2, 3), (3, 1)).seen == ((3, 1),)
    assert paced((0, 1), (1, 2), (2, 3)).observe(DECODER, 1, 3).seen == ((3, 1),)


def test_no_speed_from_nonsense() -> None:
    assert paced((0, 1), (0, 2), (0, 3)).speed is None
    assert paced((0, 0), (1, 5e-324), (2, 1e-323)).speed is None
    assert paced((0, 0), (1e-300, 1e300), (2e-300, 1e308)).speed is None


# --- Any sequence of events ---------------------------------------------------------------------------------

node_ids = st.sampled_from(NODES)
amounts = (
    st.integers(-2, 25) | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
)
failures = st.sampled_from([FAILURE, REFUSED, ev.Failure("execution", "", (), "x" * 10)])
texts = st.text(max_size=5)
outcomes = st.sampled_from(get_args(ev.Outcome))
BLOB = get_store().put(b"a picture", "steps")
NODE_EVENTS: dict[type[ev.Event], st.SearchStrategy[ev.Event]] = {
    ev.NodesCached: st.builds(ev.NodesCached, st.lists(node_ids, max_size=7).map(tuple)),
    ev.NodeStarted: st.builds(ev.NodeStarted, node_ids),
    ev.NodeShown: st.builds(ev.NodeShown, node_ids, node_ids),
    ev.Progressed: st.builds(ev.Progressed, node_ids, amounts, amounts)
    | st.builds(ev.Progressed, st.just(SAMPLER), st.integers(0, 20), st.just(20)),
    ev.NodeFinished: st.builds(ev.NodeFinished, node_ids),
    ev.Preview: st.builds(ev.Preview, node_ids, st.just("image/jpeg"), st.binary(max_size=3)),
    ev.NodeExecuted: st.builds(ev.NodeExecuted, node_ids, st.just(NOTHING)),
    ev.NodeText: st.builds(ev.NodeText, node_ids, texts),
    ev.Finishing: st.just(ev.Finishing()),
    ev.Started: st.just(ev.Started()),
}
CLIENT_EVENTS: dict[type[ev.Event], st.SearchStrategy[ev.Event]] = {
    ev.Submitted: st.builds(ev.Submitted, st.none() | st.floats(-5, 5), st.sampled_from(["", "other"])),
    ev.Placed: st.builds(ev.Placed, texts),
    ev.StepKept: st.builds(
        ev.StepKept,
        st.integers(0, 9),
        node_ids,
        st.integers(0, 9),
        st.just(9),
        st.just("image/jpeg"),
        st.just(BLOB),
    ),
    ev.Positioned: st.builds(ev.Positioned, st.integers(0, 5)),
    ev.OutputArrived: st.builds(ev.OutputArrived, st.builds(result, st.integers(0, 9), node_ids)),
    ev.Warned: st.builds(ev.Warned, texts),
    ev.Stopping: st.just(ev.Stopping()),
    ev.LinkChanged: st.builds(ev.LinkChanged, st.sampled_from(get_args(ev.Link)), texts),
}
HOLDER_EVENTS: dict[type[ev.Event], st.SearchStrategy[ev.Event]] = {
    ev.Entitled: st.builds(ev.Entitled, texts),
    ev.PreviewsOff: st.just(ev.PreviewsOff()),
}
SETTLED = st.builds(ev.Settled, outcomes, st.none() | failures, st.lists(node_ids, max_size=3).map(tuple))
ENDS: dict[type[ev.Event], st.SearchStrategy[ev.Event]] = {
    ev.Rejected: st.builds(ev.Rejected, failures),
    ev.Vanished: st.builds(ev.Vanished, texts, st.booleans()),
    ev.Settled: SETTLED,
    ev.Ended: st.just(ev.Ended()),
}
HINTS = st.one_of(*NODE_EVENTS.values(), *CLIENT_EVENTS.values(), *HOLDER_EVENTS.values())
EVENTS = HINTS | st.one_of(*ENDS.values())
pauses = st.sampled_from([0.0, 1e-9, 0.04, 1.0, 3600.0])
timed_events = st.lists(st.tuples(EVENTS, pauses), max_size=40)
# Most sequences end early; these have no end of their own, so that all that can happen on the way does.
timed_hints = st.lists(st.tuples(HINTS, pauses), max_size=40)


def told(events: list[tuple[ev.Event, float]]) -> list[tuple[Run, ev.Event, Run, float]]:
    """Each step: the run before, the event, the run after, and when."""
    run, at, steps = Run(plan()), 100.0, []
    for event, pause in events:
        at += pause
        steps.append((run, event, run := fold(run, event, at), at))
    return steps


def test_the_strategies_know_every_event() -> None:
    assert {*NODE_EVENTS, *CLIENT_EVENTS, *HOLDER_EVENTS, *ENDS} == set(get_args(ev.Event))


@given(timed_events | timed_hints)
@example([(ev.Settled("succeeded"), 0.0), (ev.Vanished("gone"), 0.0), (ev.Ended(), 0.0)])
def test_at_most_one_final_state_and_never_back(events: list[tuple[ev.Event, float]]) -> None:
    rank = {"new": 0, "queued": 1, "running": 2} | dict.fromkeys(FINAL, 3)
    for before, event, now, _ in told(events):
        assert rank[before.status] <= rank[now.status]
        if before.status in FINAL and type(event) not in HOLDER_EVENTS:
            assert now is before
        if now.status in FINAL and before.status not in FINAL:
            assert isinstance(event, ev.Rejected | ev.Vanished | ev.Ended)


@given(timed_events | timed_hints)
def test_progress_is_monotone_and_1_only_after_success(events: list[tuple[ev.Event, float]]) -> None:
    for before, _, now, _ in told(events):
        assert 0 <= before.progress <= now.progress <= 1
        assert (now.progress == 1) == (now.status == "succeeded")


@given(timed_hints, SETTLED, timed_events)
def test_the_history_decides(
    hints: list[tuple[ev.Event, float]], settled: ev.Settled, more: list[tuple[ev.Event, float]]
) -> None:
    """Whatever was heard before, and whatever comes between the history's word and the end."""
    steps = told([*hints, (settled, 1.0), *more, (ev.Ended(), 0.0), *more])
    assert steps[-1][2].status == settled.outcome
    assert steps[-1][2].failure == settled.failure


@given(timed_events | timed_hints)
def test_what_changes_nothing_is_dropped(events: list[tuple[ev.Event, float]]) -> None:
    counted = (ev.Preview, ev.NodeExecuted)  # two of the same are two
    for before, event, now, at in told(events):
        assert (now is before) or (now != before) or isinstance(event, ev.OutputArrived | ev.Ended)
        if not isinstance(event, counted) and now is not before:
            again = fold(now, event, at)
            assert again == now


@given(timed_events | timed_hints)
def test_no_preview_of_a_finished_node_gets_through(events: list[tuple[ev.Event, float]]) -> None:
    over: set[str] = set()
    for before, event, now, _ in told(events):
        match event:
            case ev.NodeFinished(node_id=node) | ev.NodeExecuted(node_id=node) if before.outcome is None:
                over.add(node)
            case ev.NodeStarted(node_id=node) if before.nodes.get(node, NodeRun()).state == "cached":
                over.discard(node)  # it ran after all
            case ev.Preview(node_id=node) if now is not before:
                assert node not in over
                assert not before.ended
                assert not before.finishing
            case _:
                pass


@given(timed_events | timed_hints, st.sampled_from([0.0, 1.0, 1e6]))
def test_every_snapshot_is_strict_json_and_its_numbers_make_sense(
    events: list[tuple[ev.Event, float]], later: float
) -> None:
    for _, _, run, at in told(events):
        view = snapshot.take(run, at + later, heard_at=at)
        json.dumps(view.state(), allow_nan=False)
        assert 0 <= view.step <= max(view.of, 1)
        assert view.elapsed is None or view.elapsed >= 0
        if view.left is not None:
            low, high = view.left
            assert 0 <= low <= high
        assert view.speed is None or view.speed > 0
        assert str(view).startswith(view.status)
        assert "\n" not in str(view) or any("\n" in text for text in (run.cause, run.link_note, view.note))


pictures = st.lists(
    st.builds(
        node_progress,
        node_ids,
        amounts,
        amounts,
        st.sampled_from(["running", "finished", "pending", "error"]),
    ),
    max_size=6,
    unique_by=lambda line: line.node_id,
)


@given(timed_hints, pictures)
def test_a_picture_is_true_once_it_is_folded(
    hints: list[tuple[ev.Event, float]], picture: list[NodeProgress]
) -> None:
    before = told(hints)[-1][2] if hints else Run(plan())
    now = before
    for event in differences(before, picture):
        now = fold(now, event, 1e6)
    for line in picture:
        if line.state == "finished":
            assert now.nodes[line.node_id].state in ("done", "cached")
        if line.state == "running":
            assert now.nodes[line.node_id].state in ("running", "done")
    assert list(differences(now, picture)) == []


def test_a_run_is_a_value() -> None:
    one, other = sampled(5), sampled(5)
    assert one == other
    with pytest.raises(AttributeError):
        one.status = "failed"  # type: ignore[misc]  # frozen: the point of the test
    with pytest.raises(TypeError):
        one.nodes["3"] = NodeRun()  # type: ignore[index]  # a read-only view
    assert replace(one, text="x") != other


def test_progress_of_a_steady_run_is_even() -> None:
    progress = [sampled(step).progress for step in range(1, 21)]
    gaps = [b - a for a, b in pairwise(progress)]
    assert max(gaps) - min(gaps) < 1e-9
