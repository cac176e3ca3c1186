"""A switch of which only the chosen branch runs, and a gate that holds up what comes after it."""

from __future__ import annotations

import pytest

from comfy_nb.server.files import Folders
from comfy_nb.server.validation import validate
from tests.server.flow import recorded, replay
from tests.server.talk import Json, Talker, fresh_seed, message
from tests.server.test_conformance import GREETING, read_trace, token, without


def node(kind: str, **inputs: object) -> Json:
    return {"class_type": kind, "inputs": inputs}


def started(frames: list[str | bytes]) -> list[str]:
    return [m["data"]["node"] for m in map(message, frames) if m and m["type"] == "executing"]


def test_only_the_chosen_branch_runs_as_on_the_original(server):
    said, heard = replay(server.url, "lazy_switch")
    assert said == heard
    assert [("1" in started(frames), "2" in started(frames)) for _, frames, _ in recorded("lazy_switch")] == [
        (False, True),
        (True, False),
        (False, False),
    ]


def test_a_literal_needs_nothing(talker: Talker):
    prompt = {"1": node("ComfySwitchNode", switch=False, on_false="no", on_true="yes")}
    prompt["2"] = node("PreviewAny", source=["1", 0])
    prompt_id, frames = talker.run(prompt)
    assert talker.history(prompt_id)["outputs"] == {"2": {"text": ["no"]}}
    assert started(frames) == ["1", "2", None]


def test_the_switch_itself_may_come_from_a_node(talker: Talker):
    text = str(fresh_seed())
    prompt = {
        "1": node("PrimitiveBoolean", value=True),
        "2": node("PrimitiveString", value=f"no {text}"),
        "3": node("PrimitiveString", value=f"yes {text}"),
        "4": node("ComfySwitchNode", switch=["1", 0], on_false=["2", 0], on_true=["3", 0]),
        "5": node("PreviewAny", source=["4", 0]),
    }
    prompt_id, frames = talker.run(prompt)
    assert talker.history(prompt_id)["outputs"] == {"5": {"text": [f"yes {text}"]}}
    assert started(frames) == ["1", "4", "3", "4", "5", None]


def test_what_the_other_branch_is_given_is_checked_all_the_same(talker: Talker):
    prompt = {
        "1": node("EmptyImage", width=0, height=64, batch_size=1, color=0),
        "2": node("ComfySwitchNode", switch=True, on_false=["1", 0], on_true="yes"),
        "3": node("PreviewAny", source=["2", 0]),
    }
    reply = talker.http.post("/prompt", json={"prompt": prompt})
    assert (reply.status_code, list(reply.json()["node_errors"])) == (400, ["1"])


@pytest.mark.parametrize("kind", ["ComfySwitchNode", "Gate"])
def test_a_value_of_any_type_may_pass(tmp_path, kind):
    names = ("on_false", "on_true") if kind == "ComfySwitchNode" else ("value",)
    more = {"switch": True} if kind == "ComfySwitchNode" else {"open": True, "note": ""}
    prompt = {
        "1": node("EmptyImage", width=64, height=64, batch_size=1, color=0),
        "2": node(kind, **more, **{name: ["1", 0] for name in names}),
        "3": node("SaveImage", filename_prefix="x", images=["2", 0]),
    }
    assert validate(prompt, Folders(tmp_path)).outputs == ["3"]


def test_what_is_blocked_does_not_run_and_the_rest_does_as_on_the_original(server):
    said, heard = replay(server.url, "blocked")
    assert said == heard


def test_the_recorded_blocker(talker: Talker):
    """A node of ComfyUI's own tests did there what a gate does here."""
    trace = read_trace("lazy_and_blocked")
    prompt = trace.prompts[0]["prompt"]
    prompt["2"] = node("Gate", value=["1", 0], open=False, note="Blocked Execution")
    talker.run({"1": node("PreviewAny", source=fresh_seed())})
    talker.frames.clear()
    prompt_id, frames = talker.run(prompt)
    assert [token(frame) for frame in frames] == without(trace.heard["client"], *GREETING)
    (error,) = [m["data"] for m in map(message, frames) if m and m["type"] == "execution_error"]
    assert error == {
        "prompt_id": prompt_id,
        "node_id": "3",
        "node_type": "PreviewImage",
        "executed": ["1", "4", "2"],
        "exception_message": "Execution Blocked: Blocked Execution",
        "exception_type": "ExecutionBlocked",
        "traceback": [],
        "current_inputs": [],
        "current_outputs": [],
    }
    entry = talker.history(prompt_id)
    assert (entry["status"]["completed"], list(entry["outputs"])) == (True, ["4"])
    assert [name for name, _ in entry["status"]["messages"]] == [
        "execution_start",
        "execution_cached",
        "execution_success",
    ]


def test_why_is_told_at_the_first_node_that_is_held_up(talker: Talker):
    prompt = {
        "1": node("EmptyImage", width=64, height=64, batch_size=1, color=0),
        "2": node("Gate", value=["1", 0], open=False, note=f"Closed {fresh_seed()}"),
        "3": node("ImageInvert", image=["2", 0]),
        "4": node("SaveImage", images=["3", 0], filename_prefix="x"),
    }
    prompt_id, frames = talker.run(prompt)
    told = [m["data"]["node_id"] for m in map(message, frames) if m and m["type"] == "execution_error"]
    assert (told, talker.history(prompt_id)["outputs"]) == (["3"], {})
