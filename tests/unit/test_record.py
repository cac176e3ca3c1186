"""Record: a fold that tells, in one order, whatever its listeners do."""

from __future__ import annotations

import gc
import pickle
import weakref

import pytest

from comfy_nb import events as ev
from comfy_nb.errors import UnknownStep
from comfy_nb.loop import get_loop
from comfy_nb.record import Growing, Record, Request
from comfy_nb.steps import Recorder, Steps
from comfy_nb.store import get_store
from comfy_nb.stream import EventStream
from tests.unit.plans import API, SAMPLER, SAVER, plan, result


@pytest.fixture
def record() -> Record:
    return Record(Request(plan(), API))


def sampling(record: Record, to: int, node: str = SAMPLER) -> None:
    record.feed(ev.NodeStarted(node))
    for step in range(1, to + 1):
        record.feed(ev.Progressed(node, step, 20))
        record.feed(ev.Preview(node, "image/jpeg", b"picture %d" % step))


def test_what_a_listener_feeds_is_told_after_the_current_event_and_to_all(record: Record) -> None:
    heard: list[list[str]] = [[], []]

    def answer(event: ev.Event) -> None:
        heard[0].append(type(event).__name__)
        if isinstance(event, ev.Started):
            assert record.feed(ev.Warned("odd")) is None

    record.listen(answer)
    record.listen(lambda event: heard[1].append(type(event).__name__))
    assert record.feed(ev.Started()) == ev.Started()
    assert heard == [["Started", "Warned"], ["Started", "Warned"]]
    assert record.seq == 2


def test_told_events_are_numbered_and_timed_and_dropped_ones_are_not() -> None:
    now = [10.0]
    record = Record(Request(plan(), API), clock=lambda: now[0])
    record.feed(ev.Submitted(1))
    now[0] = 12.5
    record.feed(ev.Started())
    now[0] = 20.0
    assert record.feed(ev.Started()) is None
    assert (record.seq, record.at) == (2, 12.5)


def test_a_step_is_kept_in_the_turn_of_its_preview_and_the_last_before_the_end(record: Record) -> None:
    Recorder(record)
    told: list[ev.Event] = []
    record.listen(told.append)
    sampling(record, 3)
    record.feed(ev.Settled("succeeded"))
    record.feed(ev.Ended())
    kinds = [type(event).__name__ for event in told if isinstance(event, ev.Preview | ev.StepKept | ev.Ended)]
    assert kinds == ["Preview", "StepKept"] * 3 + ["Ended"]
    assert [kept.event.blob.data for kept in record.steps] == [b"picture 1", b"picture 2", b"picture 3"]
    assert record.latest is None  # kept once
    assert record.last_frame() == ev.Preview(SAMPLER, "image/jpeg", b"picture 3", 3, 20)


def test_without_a_recorder_nothing_is_kept(record: Record) -> None:
    before = get_store().in_memory["steps"]
    sampling(record, 3)
    assert (len(record.steps), get_store().in_memory["steps"]) == (0, before)
    assert record.last_frame() is not None


def test_previews_turned_off_are_let_go_of_also_after_the_end(record: Record) -> None:
    Recorder(record)
    sampling(record, 2)
    record.feed(ev.Settled("succeeded"))
    record.feed(ev.Ended())
    blob = record.steps[0].event.blob
    record.feed(ev.PreviewsOff())
    assert (len(record.steps), record.last_frame(), record.snapshot().previews) == (0, None, False)
    with pytest.raises(LookupError):
        _ = blob.data


def test_results_come_in_order_of_arrival_and_at_the_end_in_that_of_the_history(record: Record) -> None:
    first, second = result(0), result(1)
    record.feed(ev.OutputArrived(first))
    record.feed(ev.OutputArrived(second))
    assert list(record.results) == [first, second]
    record.feed(ev.Settled("succeeded"))
    record.feed(ev.Ended((1, 0)))
    assert list(record.results) == [second, first]


def test_an_order_that_is_none_is_not_followed(record: Record) -> None:
    record.feed(ev.OutputArrived(result(0)))
    record.feed(ev.Settled("succeeded"))
    record.feed(ev.Ended((0, 7)))
    assert len(record.results) == 1


def test_a_node_with_an_id_of_its_own_shows_where_the_server_says(record: Record) -> None:
    record.feed(ev.NodeShown("abc", SAMPLER))
    record.feed(ev.NodeStarted("abc"))
    record.feed(ev.Progressed("abc", 5, 10))
    shown = record.snapshot()
    assert (shown.node, shown.activity, shown.step, shown.of) == (SAMPLER, "Sampling image…", 5, 10)
    assert shown.progress > 0
    record.feed(ev.NodeShown("xyz", "nowhere"))
    assert record.run.display_id("xyz") is None


def test_a_request_can_be_pickled_and_shows_nothing_of_its_inputs() -> None:
    request = Request(
        plan(), {"1": {"class_type": "X", "inputs": {"api_key": "hush"}}}, uploads={"a": b"hush"}
    )
    assert pickle.loads(pickle.dumps(request)) == request  # noqa: S301 - our own
    assert "hush" not in repr(request)


def test_a_reader_that_is_left_in_the_middle_is_forgotten(record: Record) -> None:
    for number in range(3):
        record.feed(ev.Warned(f"{number}"))
    for _ in EventStream(record, get_loop()):
        break
    gc.collect()
    assert record._listeners == []
    stream = EventStream(record, get_loop())
    gone = weakref.ref(stream)
    del stream
    gc.collect()
    assert gone() is None


def test_growing_is_read_as_it_was_when_reading_began() -> None:
    growing: Growing[int] = Growing()
    growing.append(1)
    seen = []
    for item in growing:
        seen.append(item)
        growing.append(item + 1)
    assert (seen, len(growing), growing[-1], growing[:1]) == ([1], 2, 2, [1])


def test_steps_by_arrival_number_and_node(record: Record) -> None:
    Recorder(record)
    assert repr(Steps(record)) == "<Steps: 0. No step has been kept.>"
    sampling(record, 4)
    steps = Steps(record)
    assert [step.step for step in steps] == [1, 2, 3, 4]
    assert steps.at(2).data == b"picture 2"
    assert [step.index for step in steps[1:3]] == [1, 2]
    assert steps[-1].step == steps.latest.step == 4
    assert [step.step for step in steps["KSampler"]] == [1, 2, 3, 4]
    with pytest.raises(UnknownStep, match=r"No step 9 was kept\. There are steps 1 to 4\."):
        steps.at(9)
    with pytest.raises(
        UnknownStep, match=r"No node 'Save Image' has steps\. Nodes with steps: 'KSampler' \(node 3\)"
    ):
        steps["Save Image"]
    with pytest.raises(IndexError):
        steps[9]
    sampling(record, 1, SAVER)
    with pytest.raises(UnknownStep, match=r"Several nodes sampled: 'KSampler', 'Save Image'"):
        steps.at(1)
    assert steps["Save Image"].at(1).label == "Save Image"
