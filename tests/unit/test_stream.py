"""`job.events()`: readers of any number and speed, in threads and in asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfy_nb import events as ev
from comfy_nb.errors import BlockingCallError
from comfy_nb.loop import get_loop
from comfy_nb.record import Record, Request
from comfy_nb.snapshot import Snapshot
from comfy_nb.stream import COALESCED, MAX_WAITING, EventStream, Item
from tests.unit.plans import API, SAMPLER, plan, result

STEPS = [ev.Progressed(SAMPLER, step, 20) for step in range(1, 4)]
WHOLE: list[ev.Event] = [
    ev.Submitted(1),
    ev.Started(),
    ev.NodeStarted(SAMPLER),
    *STEPS,
    ev.Finishing(),
    ev.Settled("succeeded"),
    ev.Ended(),
]


@pytest.fixture
def record() -> Record:
    return Record(Request(plan(), API))


def feed(record: Record, *events: ev.Event) -> None:
    """Feed on the loop thread, where the client does it, and wait until it is done."""
    fed = threading.Event()
    for event in events:
        get_loop().call(record.feed, event)
    get_loop().call(fed.set)
    assert fed.wait(10)


def stream(record: Record) -> EventStream:
    return EventStream(record, get_loop())


def in_thread(read: Callable[[], list[Item]]) -> Callable[[], list[Item]]:
    """Read in another thread; the result waits for it to end."""
    got: list[Item] = []
    thread = threading.Thread(target=lambda: got.extend(read()), daemon=True)
    thread.start()

    def joined() -> list[Item]:
        thread.join(10)
        assert not thread.is_alive(), f"a reader waits for ever; it has got {got}"
        return got

    return joined


def test_a_reader_gets_a_snapshot_and_then_everything(record: Record) -> None:
    events = stream(record)
    feed(record, *WHOLE)
    snapshot, *told = list(events)
    assert isinstance(snapshot, Snapshot)
    assert snapshot.status == "new"
    assert told == WHOLE


def test_a_reader_in_the_middle_gets_the_rest(record: Record) -> None:
    feed(record, *WHOLE[:4])
    events = stream(record)
    feed(record, *WHOLE[4:])
    snapshot, *told = list(events)
    assert isinstance(snapshot, Snapshot)
    assert (snapshot.status, snapshot.step) == ("running", 1)
    assert told == WHOLE[4:]


def test_a_late_reader_gets_a_snapshot_and_ends(record: Record) -> None:
    feed(record, *WHOLE)
    events = stream(record)
    (snapshot,) = events
    assert isinstance(snapshot, Snapshot)
    assert snapshot.status == "succeeded"
    assert next(events, None) is None  # and stays ended


def test_dropped_events_are_not_told(record: Record) -> None:
    events = stream(record)
    late = ev.Preview(SAMPLER, "image/jpeg", b"x")
    feed(record, ev.Submitted(1), ev.Submitted(2), ev.NodeFinished(SAMPLER), late, ev.Vanished("gone"), late)
    assert list(events)[1:] == [ev.Submitted(1), ev.NodeFinished(SAMPLER), ev.Vanished("gone")]


def test_several_readers_each_get_all(record: Record) -> None:
    readers = [in_thread(partial(list, stream(record))) for _ in range(3)]
    feed(record, *WHOLE)
    for reader in readers:
        assert reader()[1:] == WHOLE


def test_a_waiting_reader_is_woken_by_each_event(record: Record) -> None:
    events = stream(record)
    next(events)
    for event in WHOLE:
        reader = in_thread(lambda: [next(events)])
        feed(record, event)
        assert reader() == [event]


def test_close_ends_a_waiting_reader(record: Record) -> None:
    events = stream(record)
    next(events)
    reader = in_thread(lambda: list(events))
    events.close()
    assert reader() == []
    feed(record, *WHOLE)
    assert list(events) == []
    assert record._listeners == []


def test_a_reader_that_leaves_lets_go(record: Record) -> None:
    with stream(record) as events:
        next(events)
        assert len(record._listeners) == 1
    assert record._listeners == []
    ended = stream(record)
    feed(record, *WHOLE)
    assert len(list(ended)) == len(WHOLE) + 1
    assert record._listeners == []


def test_reading_on_our_own_loop_is_refused(record: Record) -> None:
    events = stream(record)

    async def read() -> object:
        return next(events)

    with pytest.raises(BlockingCallError, match=r"reading job\.events\(\) waits"):
        get_loop().run(read()).result(10)


async def test_async_readers(record: Record) -> None:
    async def read() -> list[Item]:
        return [event async for event in stream(record)]

    readers = [asyncio.create_task(read()) for _ in range(3)]
    await asyncio.sleep(0)  # all have begun to read
    await asyncio.to_thread(feed, record, *WHOLE)
    for told in await asyncio.wait_for(asyncio.gather(*readers), 10):
        assert told[1:] == WHOLE


async def test_an_async_reader_that_is_cancelled_or_closed(record: Record) -> None:
    events = stream(record)
    await anext(events)
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    again = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    await asyncio.to_thread(feed, record, WHOLE[0])
    assert await asyncio.wait_for(again, 10) == WHOLE[0]  # nothing was lost with the cancelled read
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    events.close()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(waiting, 10)


def test_a_reader_whose_loop_is_gone_stops_nobody(record: Record, caplog: pytest.LogCaptureFixture) -> None:
    events = stream(record)

    async def read_a_little() -> None:
        await anext(events)
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(read_a_little())
    feed(record, *WHOLE)
    assert list(events) == WHOLE
    assert caplog.records == []


# --- A slow reader ------------------------------------------------------------------------------------------


def test_a_slow_reader_loses_previews_and_never_a_state(record: Record) -> None:
    events = stream(record)
    frames = [ev.Preview(SAMPLER, "image/jpeg", bytes([index % 256]), index, 5000) for index in range(5000)]
    feed(record, *WHOLE[:3])
    feed(record, *frames)
    feed(record, *WHOLE[-3:])
    told = list(events)[1:]
    assert len(told) <= MAX_WAITING + 3
    assert [event for event in told if not isinstance(event, ev.Preview)] == [*WHOLE[:3], *WHOLE[-3:]]
    shown = [event.image for event in told if isinstance(event, ev.Preview)]
    assert shown == [frame.image for frame in frames[-len(shown) :]]


HINTS = st.one_of(
    st.builds(ev.Preview, st.sampled_from("34"), st.just("image/jpeg"), st.binary(max_size=2)),
    st.builds(ev.Progressed, st.sampled_from("34"), st.integers(0, 20), st.just(20)),
    st.builds(ev.NodeText, st.sampled_from("34"), st.text(max_size=3)),
    st.builds(ev.Positioned, st.integers(1, 9)),
    st.builds(ev.Warned, st.text(max_size=3)),
    st.builds(ev.OutputArrived, st.builds(result, st.integers(0, 9))),
)


@settings(max_examples=50)
@given(st.lists(HINTS, max_size=12), st.integers(1, 100))
def test_only_what_a_newer_event_made_stale_is_lost(hints: list[ev.Event], times: int) -> None:
    record = Record(Request(plan(), API))
    told: list[ev.Event] = []
    record.listen(told.append)
    events = stream(record)
    for event in [ev.Submitted(1), *hints * times, ev.Vanished("gone")]:
        record.feed(event)
    got = list(events)[1:]
    assert is_subsequence(got, told)
    assert [event for event in got if not isinstance(event, COALESCED)] == [
        event for event in told if not isinstance(event, COALESCED)
    ]
    for event in got if len(told) > MAX_WAITING else []:
        newest = [other for other in told if subject(other) == subject(event)][-1]
        assert newest in got
    assert len([event for event in got if isinstance(event, COALESCED)]) <= MAX_WAITING + 7


def subject(event: ev.Event) -> tuple[type, object]:
    return type(event), getattr(event, "node_id", None)


def is_subsequence(some: list[Item], every: list[ev.Event]) -> bool:
    rest: Iterator[ev.Event] = iter(every)
    return all(any(item is event for event in rest) for item in some)
