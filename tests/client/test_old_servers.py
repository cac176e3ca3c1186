"""What servers before 0.3.45 leave out is filled in: they say when a node starts, and of most nothing more."""

from __future__ import annotations

import pytest

from comfy_nb.client.delivery import Delivery
from comfy_nb.client.routing import Router
from comfy_nb.record import Record, Request
from comfy_nb.testing import Faults, Frames
from comfy_nb.wire import messages as wire
from comfy_nb.workflow.plan import make_plan
from tests.client.helpers import LIMIT, connected, graph, until

ID = "0447b7af-958e-4c14-8d75-8144f041cd8b"
REJOINED = wire.Executing("3", None, None)  # the word that greets a socket whose prompt runs


def delivery() -> Delivery:
    return Delivery(Record(Request(make_plan(graph(), ID), graph())))


def states(of: Delivery) -> dict[str, str]:
    return {key: node.state for key, node in of.run.nodes.items()}


def test_a_node_is_over_as_the_next_one_starts():
    mine = delivery()
    for node in ("5", "3"):
        mine.hear(wire.Executing(node, node, ID))
    assert states(mine) == {"5": "done", "3": "running"}
    mine.hear(wire.Executing("9", "9", ID))
    assert states(mine) == {"5": "done", "3": "done", "9": "running"}


def test_a_node_that_expanded_runs_on_while_its_children_do():
    mine = delivery()
    for node in ("3", "3.0.0.1", "3.0.0.2"):
        mine.hear(wire.Executing(node, "3", ID))
    assert states(mine) == {"3": "running", "3.0.0.1": "done", "3.0.0.2": "running"}


def test_on_newer_servers_several_nodes_run_at_once():
    mine = delivery()
    mine.hear(wire.ProgressState(ID, (wire.NodeProgress("5", 0.0, 1.0, "running", "5", None, "5"),)))
    mine.hear(wire.Executing("3", "3", ID))
    assert states(mine) == {"5": "running", "3": "running"}


@pytest.mark.parametrize(
    ("ours", "runs", "owner"),
    [({"a"}, None, "a"), ({"a", "b"}, None, None), ({"a", "b"}, "b", "b"), ({"a"}, "foreign", None)],
)
def test_the_word_that_greets_whoever_comes_back(ours: set[str], runs: str | None, owner: str | None):
    router = Router(ours, lambda _, node: node == "3")
    if runs is not None:
        router.owner(wire.ExecutionStart(runs, None))
    assert router.owner(REJOINED) == owner


def test_a_job_on_such_a_server_has_its_nodes_done_and_its_previews():
    with connected(Frames(count=6, rate=50, version="0.3.40"), Faults(own_ids=True, api=False)) as (
        server,
        comfy,
    ):
        job = comfy.submit(graph(6))
        until(lambda: any(node.id == "3" and node.state == "running" for node in job.snapshot().nodes))
        job.result(LIMIT)
        assert {node.state for node in job.snapshot().nodes if node.id != "5"} == {"done"}
        assert len(job.steps) > 0
        assert job.id != server.calls("POST /prompt")[0]["prompt_id"]
