"""Work grows no faster than what a server sends: ten times as much takes no more than twenty times as long."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from comfy_nb import events as ev
from comfy_nb.client.delivery import MOST_CHANGES, Delivery, keys_of
from comfy_nb.client.reconcile import _places
from comfy_nb.client.veil import Veil
from comfy_nb.failures import rejection
from comfy_nb.record import Record, Request
from comfy_nb.wire import messages as wire
from comfy_nb.wire.records import (
    NodeOutput,
    PromptRejected,
    Queue,
    QueueItem,
    parse_history,
    parse_prompt_reply,
)
from comfy_nb.workflow.plan import make_plan
from tests.client.helpers import graph

ID = "0447b7af-958e-4c14-8d75-8144f041cd8b"
STEEPEST = 50  # times as long for ten times as much; what grows with the square takes a hundred


def seconds(work: Callable[[], object]) -> float:
    """The best of some tries, in processor time."""
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return max(best, 1e-5)


def new_delivery() -> Delivery:
    return Delivery(Record(Request(make_plan(graph(), ID), graph())))


def ordering(count: int) -> Callable[[], object]:
    texts = [f"text {n}" for n in range(count)]
    history = {ID: {"outputs": {"9": {"text": texts}}, "status": {"status_str": "success"}}}
    entry = parse_history(history, ID)
    assert entry is not None
    outputs: tuple[NodeOutput, ...] = entry.outputs
    assert len(outputs[0].texts) == count
    keys = [key for output in outputs for key in keys_of(output)]

    def take_in() -> None:
        delivery = new_delivery()
        for index, key in enumerate(keys):
            text = ev.Result(index, "9", "9", "", "text/plain", "text", saved=False, text="x")
            delivery.add(key, text)
        assert delivery.order_by(outputs) == tuple(range(count))

    return take_in


def queue(count: int) -> Queue:
    return Queue((), tuple(QueueItem(n, f"id-{n}", {}, {}, ()) for n in range(count)))


def looking(count: int) -> Callable[[], object]:
    """As many of our own prompts as the queue is long."""
    long = queue(count)

    def look() -> None:
        places = _places(long)
        assert [places.get(item.prompt_id) for item in long.pending[-2:]] == [count - 1, count]

    return look


def hiding(count: int) -> Callable[[], object]:
    veil = Veil()
    veil.add(["s3cret-of-mine"])
    message = wire.Executed("9", "9", {"text": ["it says s3cret-of-mine"] * count}, ID)
    return lambda: veil.record(message)


@pytest.mark.parametrize(
    ("work", "few"), [(ordering, 500), (looking, 20_000), (hiding, 500)], ids=["texts", "a queue", "secrets"]
)
def test_ten_times_as_much_takes_ten_times_as_long(
    work: Callable[[int], Callable[[], object]], few: int
) -> None:
    one, ten = (seconds(work(count)) for count in (few, 10 * few))
    assert ten / one < STEEPEST


def test_every_place_is_what_the_queue_says() -> None:
    asked = Queue((QueueItem(0, "runs", {}, {}, ()),), (*queue(3).pending, *queue(2).pending))
    for prompt_id in ("runs", "id-0", "id-1", "id-2", "nobody"):
        assert _places(asked).get(prompt_id) == asked.position(prompt_id)


def picture(count: int) -> wire.ProgressState:
    nodes = (wire.NodeProgress(f"3.{n}", 1.0, 2.0, "running", "3", None, f"3.{n}") for n in range(count))
    return wire.ProgressState(ID, tuple(nodes))


def test_a_picture_of_any_size_is_taken_in_parts_and_nothing_of_it_is_lost() -> None:
    prompt = new_delivery()
    heard = prompt.hear(picture(1000))
    assert len(heard) <= MOST_CHANGES
    for _ in range(2 * 1000 // MOST_CHANGES):
        prompt.hear(picture(1000))
    assert len(prompt.run.nodes) == 1000


def rejected(errors: int, names: int = 200) -> PromptRejected:
    choices = [f"{'model' * 4}-{n:05}.safetensors" for n in range(names)]
    fault = {
        "type": "value_not_in_list",
        "message": "no",
        "details": "d",
        "extra_info": {"input_name": "x", "received_value": "modelmodelmodel", "input_config": [choices, {}]},
    }
    data = {str(n): {"errors": [fault], "dependent_outputs": [], "class_type": "K"} for n in range(errors)}
    error = {"type": "prompt_outputs_failed_validation", "message": "m", "details": "", "extra_info": {}}
    reply = parse_prompt_reply(400, {"error": error, "node_errors": data})
    assert isinstance(reply, PromptRejected)
    return reply


def test_nearest_names_are_looked_up_for_the_first_faults_alone() -> None:
    plan = make_plan(graph(), ID)
    few, many = rejected(5), rejected(50)
    assert len(rejection(many, plan).problems) == 50
    assert seconds(lambda: rejection(many, plan)) / seconds(lambda: rejection(few, plan)) < 3
