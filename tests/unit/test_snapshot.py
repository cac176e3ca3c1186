"""The snapshot: the sentences, numbers and states that every view draws."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from comfy_nb import events as ev
from comfy_nb.errors import Problem
from comfy_nb.run import Run, fold
from comfy_nb.snapshot import VERSION, Snapshot, duration, made, ordinal, plan_view, take
from comfy_nb.wire.records import NodeOutput
from tests.unit.plans import API, DECODER, PROMPT_ID, SAMPLER, SAVER, plan, result

FAILURE = ev.Failure(
    "execution", "KSampler failed: boom", (Problem("boom", SAMPLER, "KSampler", "cfg"),), "at line 1\n"
)


def run_of(*events: ev.Event, every: float = 1.0) -> Run:
    run = Run(plan())
    for index, event in enumerate(events):
        run = fold(run, event, index * every)
    return run


def view(*events: ev.Event, at: float = 100.0) -> Snapshot:
    return take(run_of(*events), at)


def steps(to: int, of: int = 20) -> list[ev.Event]:
    return [ev.NodeStarted(SAMPLER), *(ev.Progressed(SAMPLER, step, of) for step in range(1, to + 1))]


CACHED = ev.NodesCached(tuple(API))


# --- One line -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "line"),
    [
        ([], "new"),
        ([ev.Submitted(1)], "queued"),
        ([ev.Submitted(1), ev.Positioned(1)], "queued (next in the queue)"),
        ([ev.Submitted(1), ev.Positioned(3)], "queued (3rd in the queue)"),
        ([ev.Started()], "running 0%"),
        ([ev.NodeStarted("4")], "running 0% Load Checkpoint"),
        (steps(12), "running 43% KSampler 12/20"),
        ([*steps(12), ev.LinkChanged("reconnecting", "in 2 s")], "running 43% KSampler 12/20 (in 2 s)"),
        ([*steps(12), ev.LinkChanged("reconnecting")], "running 43% KSampler 12/20 (reconnecting)"),
        ([*steps(12), ev.Settled("cancelled"), ev.Ended()], "cancelled (interrupted at step 12 of 20)"),
        ([ev.Vanished("cancelled while it waited", cancelled=True)], "cancelled (cancelled while it waited)"),
        ([ev.Started(), ev.Vanished("the server was restarted")], "lost (the server was restarted)"),
        ([ev.Settled("failed", FAILURE), ev.Ended()], "failed (KSampler failed: boom)"),
        ([*steps(20), ev.Settled("succeeded"), ev.Ended()], "succeeded"),
        ([CACHED, ev.Settled("succeeded"), ev.Ended()], "succeeded (cached: nothing had to be computed)"),
        ([ev.LinkChanged("connecting", "waiting"), ev.Rejected(FAILURE)], "failed (KSampler failed: boom)"),
    ],
)
def test_the_line(events: list[ev.Event], line: str) -> None:
    assert str(view(*events)) == line


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (10, "10th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (21, "21st"),
        (101, "101st"),
        (111, "111th"),
        (113, "113th"),
        (1002, "1002nd"),
    ],
)
def test_ordinals(number: int, word: str) -> None:
    assert ordinal(number) == word


@pytest.mark.parametrize(
    ("events", "line", "said", "empty"),
    [
        ([], "Nothing has been sent yet.", "Not started", "start() sends it to the server"),
        (
            [ev.Submitted(1), ev.Positioned(3)],
            "3rd in the queue",
            "Queued: 3rd in the queue",
            "the picture forms here",
        ),
        (steps(3), "Sampling image…", "Running", "the picture forms here"),
        (
            [*steps(3), ev.LinkChanged("reconnecting", "in 2 s")],
            "In 2 s",
            "Running",
            "the picture forms here",
        ),
        ([*steps(3), ev.Stopping()], "Sampling image…", "Interrupting", "the picture forms here"),
        (
            [*steps(3), ev.Settled("cancelled"), ev.Ended()],
            "Interrupted at step 3 of 20",
            "Cancelled: interrupted at step 3 of 20",
            "no picture",
        ),
        ([ev.Settled("failed", FAILURE), ev.Ended()], "", "Failed: KSampler failed: boom", "no picture"),
        (
            [CACHED, ev.Settled("succeeded"), ev.Ended()],
            "2 images, 1 text · cached: nothing had to be computed",
            "Succeeded: cached: nothing had to be computed",
            "no steps to preview",
        ),
    ],
)
def test_the_words_for_a_page(events: list[ev.Event], line: str, said: str, empty: str) -> None:
    state = view(*events).state(["image", "image", "text"])
    assert (state["line"], state["said"], state["empty"]) == (line, said, empty)
    assert state["word"] == said.partition(":")[0].replace("Interrupting", "Running")


def test_a_preview_is_called_what_it_is() -> None:
    assert view(*steps(3)).state()["guess"] == "current guess"
    assert view(*steps(3), ev.Settled("cancelled"), ev.Ended()).state()["guess"] == "last guess"


def test_what_was_made() -> None:
    assert made([]) == ""
    assert made(["image"]) == "1 image"
    assert made(["text", "audio", "text", "audio", "file"]) == "2 texts, 2 sounds, 1 file"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "< 0.1 s"),
        (0.06, "0.1 s"),
        (4.24, "4.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125.2, "2 min 05 s"),
        (3599.7, "1 h 00 min"),
        (3884, "1 h 05 min"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


# --- What it is doing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "activity"),
    [
        ([ev.Submitted(1)], ""),
        ([ev.Started()], "Starting…"),
        ([ev.NodeStarted("4")], "Loading model…"),
        (steps(3), "Sampling image…"),
        ([ev.NodeStarted("3.0.0.1")], "Sampling image…"),  # what a node expanded into is shown at the node
        ([ev.NodeStarted("77")], "Starting…"),  # a node that is not in the plan
        ([*steps(3), ev.NodeText(SAMPLER, "47 % of the download")], "47 % of the download"),
        ([*steps(3), ev.NodeText(SAMPLER, "47 %"), ev.NodeStarted(DECODER)], "Decoding image…"),
        ([*steps(3), ev.Finishing()], "Fetching results…"),
        ([*steps(3), ev.Settled("succeeded")], "Fetching results…"),
        ([*steps(3), ev.Settled("succeeded"), ev.Ended()], ""),
    ],
)
def test_the_activity(events: list[ev.Event], activity: str) -> None:
    assert view(*events).activity == activity


def test_the_step_is_that_of_the_node_that_spoke_last() -> None:
    assert (view(*steps(7)).step, view(*steps(7)).of) == (7, 20)
    decoding = view(*steps(20), ev.NodeStarted(DECODER))
    assert (decoding.node, decoding.label, decoding.step, decoding.of) == (DECODER, "VAEDecode", 0, 0)
    child = view(ev.NodeStarted(SAMPLER), ev.Progressed("3.0.0.1", 2, 5))
    assert (child.node, child.step, child.of) == (SAMPLER, 2, 5)


def test_the_nodes_in_order() -> None:
    shown = view(ev.NodesCached(("4",)), ev.NodeFinished("6"), *steps(3), ev.Settled("failed", FAILURE))
    assert [(node.id, node.label, node.state) for node in shown.nodes] == [
        ("4", "Load Checkpoint", "cached"),
        ("6", "Positive", "done"),
        ("7", "Negative", "waiting"),
        ("5", "EmptyLatentImage", "waiting"),
        ("3", "KSampler", "failed"),
        ("8", "VAEDecode", "waiting"),
        ("9", "Save Image", "waiting"),
    ]
    sampler = shown.nodes[4]
    assert (sampler.step, sampler.of, sampler.activity) == (3, 20, "Sampling image…")


def test_a_node_that_ran_when_the_job_ended_has_stopped() -> None:
    ended = view(*steps(3), ev.Settled("cancelled"), ev.Ended())
    assert [node.state for node in ended.nodes if node.state != "waiting"] == ["stopped"]
    assert ended.state()["ran"]
    assert not view(ev.Vanished("the server was restarted")).state()["ran"]


def test_a_node_tells_its_time_when_it_was_seen_from_start_to_end() -> None:
    shown = {
        node.id: node.seconds
        for node in view(*steps(3), ev.NodeFinished(SAMPLER), ev.NodeFinished("4")).nodes
    }
    assert shown[SAMPLER] == 4
    assert shown["4"] is None
    assert shown[DECODER] is None
    cached = view(ev.NodesCached(("4",)), ev.NodeExecuted("4", NodeOutput("4", "4", (), ())))
    assert cached.nodes[0].seconds is None


# --- Times --------------------------------------------------------------------------------------------------


def test_elapsed_counts_from_the_start_to_the_end() -> None:
    assert view(ev.Submitted(1), at=50).elapsed is None
    assert view(ev.Submitted(1), ev.Started(), at=50).elapsed == 49
    assert view(ev.Started(), ev.Settled("succeeded"), ev.Ended(), at=50).elapsed == 2
    assert view(ev.Submitted(1), ev.Started(), at=0).elapsed == 0  # a clock read too early


def test_the_age_of_the_last_word() -> None:
    run = run_of(*steps(2))
    assert take(run, 10).silent is None
    assert take(run, 10, heard_at=7.5).silent == 2.5
    assert take(run, 10, heard_at=11).silent == 0


def test_time_left_of_a_steady_run_holds_what_comes() -> None:
    """One step per second; what comes after the sampler is planned as three steps' worth."""
    run = run_of(*steps(8))
    shown = take(run, 8)
    assert shown.speed == 1
    assert shown.left is not None
    low, high = shown.left
    after = sum(node.weight for node in plan().nodes if node.id in (DECODER, SAVER))
    assert low <= 12 <= 12 + after <= high
    assert (low, high) == (pytest.approx(12 / 1.15), pytest.approx((12 + waiting(run)) * 1.15))


def waiting(run: Run) -> float:
    return sum(node.weight for node in run.plan.nodes if node.id != SAMPLER)


@pytest.mark.parametrize(
    "events",
    [
        [ev.Submitted(1)],
        steps(2),  # too few to say
        [*steps(8), ev.NodeStarted(DECODER)],  # the bar that moved is over
        [*steps(8), *(ev.Progressed("5", step, 9) for step in range(1, 5)), ev.Progressed(SAMPLER, 8, 20)],
        [*steps(8), ev.Finishing()],
        [*steps(8), ev.Settled("succeeded"), ev.Ended()],
    ],
)
def test_no_time_left_without_data(events: list[ev.Event]) -> None:
    assert view(*events).left is None


def test_no_speed_after_the_end() -> None:
    assert view(*steps(8)).speed == 1
    assert view(*steps(8), ev.Settled("succeeded"), ev.Ended()).speed is None


def test_stopping_is_shown_until_it_has_stopped() -> None:
    assert view(ev.Started(), ev.Stopping()).stopping
    assert not view(ev.Started(), ev.Stopping(), ev.Settled("cancelled"), ev.Ended()).stopping


# --- JSON ---------------------------------------------------------------------------------------------------


def test_the_state_for_a_page() -> None:
    run = run_of(ev.NodesCached(("4",)), *steps(3), ev.Warned("odd"), ev.OutputArrived(result(0)))
    state = take(replace(run, previewing=False), 10, heard_at=9.876).state()
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    assert state == {
        "v": VERSION,
        "status": "running",
        "word": "Running",
        "line": "Sampling image…",
        "said": "Running",
        "empty": "previews are off for this job",
        "guess": "current guess",
        "progress": round(run.progress, 4),
        "node": SAMPLER,
        "step": 3,
        "of": 20,
        "speed": 1.0,
        "elapsed": 10,
        "left": [14.8, round((17 + waiting(run) - 3) * 1.15, 1)],
        "ran": True,
        "nodes": [["cached", None], *[["waiting", None]] * 3, ["running", None], *[["waiting", None]] * 2],
        "stopping": False,
        "link": "connected",
        "silent": 0.12,
        "error": None,
        "warnings": ["odd"],
        "outputs": 1,
        "previews": False,
    }


def test_an_error_for_a_page() -> None:
    state = view(ev.Settled("failed", FAILURE), ev.Ended()).state()
    assert state["error"] == {
        "title": "KSampler failed: boom",
        "problems": [{"label": "KSampler", "node": "3", "input": "cfg", "message": "boom"}],
        "detail": "at line 1\n",
    }


def test_the_plan_for_a_page() -> None:
    shown = plan_view(plan(), "gpu.example")
    assert (shown["id"], shown["title"], shown["server"]) == (PROMPT_ID, plan().title, "gpu.example")
    assert shown["nodes"][4] == {"id": "3", "label": "KSampler", "activity": "Sampling image…"}
    assert [node["id"] for node in shown["nodes"]] == [node.id for node in view().nodes]
    json.dumps(shown, allow_nan=False)
