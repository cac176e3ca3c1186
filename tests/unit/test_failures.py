"""The sentences for what went wrong, from the replies that real servers gave."""

from __future__ import annotations

import json
from typing import Any

import pytest

from comfy_nb import failures
from comfy_nb.errors import ConnectionFailed, Problem
from comfy_nb.failures import MAX_DETAIL, MAX_LINE, left_out, rejection, unreachable, verdict
from comfy_nb.wire.messages import ExecutionError
from comfy_nb.wire.records import PromptAccepted, PromptRejected, parse_history, parse_prompt_reply
from comfy_nb.workflow.plan import Plan, make_plan
from tests.traces.reader import VERSIONS, Trace, read
from tests.traces.replay import posts
from tests.unit.plans import PROMPT_ID, plan


def rejected(error: dict[str, Any], node_errors: dict[str, Any] | None = None) -> failures.Failure:
    reply = parse_prompt_reply(400, {"error": error, "node_errors": node_errors or {}})
    assert isinstance(reply, PromptRejected)
    return rejection(reply, plan())


def node_fault(kind: str, message: str, details: str, node: str = "3", **extra: Any) -> failures.Failure:
    fault = {"type": kind, "message": message, "details": details, "extra_info": extra}
    top = {
        "type": "prompt_outputs_failed_validation",
        "message": "Prompt outputs failed validation",
        "details": "",
    }
    entry = {"errors": [fault], "dependent_outputs": ["9"], "class_type": "KSampler"}
    return rejected(top, {node: entry})


# --- What the recorded servers said -------------------------------------------------------------------------

SAID = [
    (
        "CheckpointLoaderSimple (node 4), input 'ckpt_name': \"missing.safetensors\" is not in the list"
        " (allowed: tiny.safetensors)"
    ),
    "KSampler (node 3), input 'seed': it is required and missing",
    "NoSuchNode (node 3): the server has no class 'NoSuchNode'",
    "Prompt has no outputs",
    "KSampler (node 3), input 'steps': \"many\" is of the wrong type (allowed: 1 to 10000)",
    "KSampler (node 3), input 'steps': 0 is too small (allowed: 1 to 10000)",
    "KSampler (node 3), input 'model': it takes MODEL, but Positive (node 6) gives CONDITIONING",
    "KSampler (node 3): it is linked to node 99, which is not in the workflow",
    "node (node 3): Node 'ID #3' has no class_type. The workflow may be corrupted or a custom node is missing.",
    "No prompt provided",
    "Prompt has no outputs",
    (
        "prompt_id must be a valid UUID: prompt_id must be a UUID string in canonical lowercase hyphenated form;"
        " omit it to let the server generate one"
    ),
]
OLDER = {  # in v0.3.64, where it differs
    2: "NoSuchNode (node 3): Cannot execute because node NoSuchNode does not exist.",
    8: "node (node 3): Cannot execute because a node is missing the class_type property.",
}
RECORDED = {"v0.3.64": [OLDER.get(index, said) for index, said in enumerate(SAID[:-1])], "v0.33.0": SAID}


def refusals(trace: Trace) -> list[failures.Failure]:
    found: list[failures.Failure] = []
    for post in posts(trace):
        reply = parse_prompt_reply(post.status, post.response)
        if isinstance(reply, PromptRejected):
            found.append(rejection(reply, make_plan((post.request or {}).get("prompt", {}), PROMPT_ID)))
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_every_recorded_refusal_is_a_sentence(version: str) -> None:
    said = [
        failure.title.removeprefix("Rejected by the server: ")
        for failure in refusals(read(version, "invalid_prompts"))
    ]
    assert said == RECORDED[version]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_recorded_refusal_names_its_place(version: str) -> None:
    for failure in refusals(read(version, "invalid_prompts")):
        assert failure.kind == "rejected"
        assert failure.problems
        assert str(failure.problems[0]) in failure.title
        for problem in failure.problems:
            assert bool(problem.node_id) == bool(problem.label)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_left_out_of_a_prompt_that_was_taken_in_part(version: str) -> None:
    (post,) = posts(read(version, "partly_invalid"))
    reply = parse_prompt_reply(post.status, post.response)
    assert isinstance(reply, PromptAccepted)
    assert left_out(reply.node_errors, make_plan(post.request["prompt"], PROMPT_ID)) == (
        "Left out, as SaveImage (node 21), input 'images': it is required and missing",
    )


def history(version: str, name: str) -> tuple[Any, Plan]:
    trace = read(version, name)
    (post,) = posts(trace)
    prompt_id = post.response["prompt_id"]
    (reply,) = trace.replies("GET /history")
    return parse_history(reply.response, prompt_id), make_plan(post.request["prompt"], prompt_id)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_verdict_on_a_node_that_failed(version: str) -> None:
    settled = verdict(*history(version, "execution_error"))
    assert settled.outcome == "failed"
    failure = settled.failure
    assert failure is not None
    assert failure.kind == "execution"
    assert failure.title == "TestSyncError failed: Intentional sync execution error for testing"
    assert failure.problems == (
        Problem("Intentional sync execution error for testing", "30", "TestSyncError"),
    )
    assert failure.exception_type == "RuntimeError"
    assert "raise RuntimeError" in failure.detail


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("name", "outcome"), [("txt2img_flags", "succeeded"), ("interrupted", "cancelled")])
def test_the_verdict_on_others(version: str, name: str, outcome: str) -> None:
    settled = verdict(*history(version, name))
    assert (settled.outcome, settled.failure) == (outcome, None)
    assert settled.cached == ("4", "5", "6", "7")


# --- Every type of error, by its documented shape ----------------------------------------------------------

STEPS = ["INT", {"default": 20, "min": 1, "max": 10000}]


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (
            node_fault("required_input_missing", "Required input is missing", "steps", input_name="steps"),
            "KSampler (node 3), input 'steps': it is required and missing",
        ),
        (
            node_fault("bad_linked_input", "Bad linked input, must be a length-2 list", "model", input_name="model",
                       input_config=["MODEL"], received_value=["4"]),
            "KSampler (node 3), input 'model': [\"4\"] is no link, which is a node's id and the number of its output",
        ),
        (
            node_fault("return_type_mismatch", "Return type mismatch between linked nodes",
                       "model, received_type(CONDITIONING) mismatch input_type(MODEL)", input_name="model",
                       input_config=["MODEL"], received_type="CONDITIONING", linked_node=["6", 0]),
            "KSampler (node 3), input 'model': it takes MODEL, but Positive (node 6) gives CONDITIONING",
        ),
        (
            node_fault("invalid_input_type", "Failed to convert an input value to a INT value",
                       "steps, many, invalid literal", input_name="steps", input_config=STEPS, received_value="many"),
            "KSampler (node 3), input 'steps': \"many\" is of the wrong type (allowed: 1 to 10000)",
        ),
        (
            node_fault("value_smaller_than_min", "Value 0 smaller than min of 1", "steps", input_name="steps",
                       input_config=STEPS, received_value=0),
            "KSampler (node 3), input 'steps': 0 is too small (allowed: 1 to 10000)",
        ),
        (
            node_fault("value_bigger_than_max", "Value 99999 bigger than max of 10000", "steps", input_name="steps",
                       input_config=STEPS, received_value=99999),
            "KSampler (node 3), input 'steps': 99999 is too big (allowed: 1 to 10000)",
        ),
        (
            node_fault("value_not_in_list", "Value not in list", "sampler_name: 'eulr' not in ['euler', 'heun']",
                       input_name="sampler_name", input_config=[["euler", "heun"], {}], received_value="eulr"),
            "KSampler (node 3), input 'sampler_name': \"eulr\" is not in the list (allowed: euler, heun)",
        ),
        (
            node_fault("value_not_in_list", "Value not in list", "sampler_name: 'eulr' not in (list of length 44)",
                       input_name="sampler_name", input_config=None, received_value="eulr"),
            ("KSampler (node 3), input 'sampler_name': \"eulr\" is not in the list of 44 names;"
            " comfy.check(workflow) tells the nearest"),
        ),
        (
            node_fault("custom_validation_failed", "Custom validation failed for node",
                       "image - Invalid image file: nope.png", input_name="image"),
            "KSampler (node 3), input 'image': Invalid image file: nope.png",
        ),
        (
            node_fault("exception_during_validation", "Exception when validating node", "'99'",
                       exception_type="KeyError", traceback=["…"]),
            "KSampler (node 3): it is linked to node 99, which is not in the workflow",
        ),
        (
            node_fault("exception_during_validation", "Exception when validating node", "'inputs'",
                       exception_type="KeyError", traceback=["…"]),
            "KSampler (node 3): Exception when validating node: 'inputs'",
        ),
        (
            node_fault("exception_during_inner_validation", "Exception when validating inner node", "boom",
                       input_name="model", exception_message="boom", exception_type="ValueError", traceback=[],
                       linked_node=["4", 0]),
            "KSampler (node 3): Exception when validating inner node: boom",
        ),
        (
            node_fault("dependency_cycle", "Dependency cycle", "3 -> 8 -> 3", node_id="3", cycle_nodes=["3", "8"]),
            "KSampler (node 3): Dependency cycle: 3 -> 8 -> 3",
        ),
        (
            node_fault("a_type_of_next_year", "Something new", "and what"),
            "KSampler (node 3): Something new: and what",
        ),
        (
            node_fault("value_not_in_list", "Value not in list", "details", node="77"),
            "KSampler (node 77): Value not in list: details",  # no such node here: by its class
        ),
        (
            rejected({"type": "no_prompt", "message": "No prompt provided", "details": "No prompt provided"}),
            "No prompt provided",
        ),
        (
            rejected({"type": "prompt_no_outputs", "message": "Prompt has no outputs", "details": ""}),
            "Prompt has no outputs",
        ),
        (
            rejected({"type": "invalid_prompt_id", "message": "prompt_id must be a valid UUID", "details": "canon"}),
            "prompt_id must be a valid UUID: canon",
        ),
        (
            rejected({"type": "missing_node_type", "message": "Node 'My Nope' not found.", "details": "Node ID '#1'",
                      "extra_info": {"node_id": "1", "class_type": "NopeNode", "node_title": "My Nope"}}),
            "NopeNode (node 1): the server has no class 'NopeNode'",
        ),
        (rejected({"type": "", "message": "", "details": ""}), "The server gave no reason."),
    ],
)  # fmt: skip
def test_the_sentence(failure: failures.Failure, sentence: str) -> None:
    assert failure.title == f"Rejected by the server: {sentence}"


SAMPLERS = ["euler", "euler_ancestral", "heun", "dpm_2", "DPM++ 2M"]


@pytest.mark.parametrize(
    ("received", "near"),
    [
        ("eulr", '; the nearest is "euler"'),
        ("EULER_ANCESTRL", '; the nearest is "euler_ancestral"'),
        ("dpm++ 2m", '; the nearest are "DPM++ 2M", "dpm_2"'),
        ("plms", ""),
        ("heun.safetensors", '; the nearest is "heun"'),
        (7, ""),
        ({"a": "b"}, ""),
    ],
)
@pytest.mark.parametrize("config", [[SAMPLERS, {}], ["COMBO", {"options": SAMPLERS}]])
def test_a_typo_is_answered_with_the_nearest_names(received: Any, near: str, config: list[Any]) -> None:
    failure = node_fault(
        "value_not_in_list", "Value not in list", "…", input_name="sampler_name", input_config=config,
        received_value=received,
    )  # fmt: skip
    allowed = "(allowed: euler, euler_ancestral, heun, dpm_2, DPM++ 2M)"
    assert failure.problems[0].message == f"{json.dumps(received)} is not in the list{near} {allowed}"


def test_the_ending_that_all_files_share_makes_none_of_them_near() -> None:
    files = [f"{stem}.safetensors" for stem in ("dreamshaper_8", "sd_xl_base_1.0", "flux", "wan")]
    for received, near in (
        ("nowhere.safetensors", ""),
        ("dreamshaper.safetensor", f'; the nearest is "{files[0]}"'),
    ):
        failure = node_fault(
            "value_not_in_list", "", "", input_name="ckpt_name", input_config=[files, {}], received_value=received
        )  # fmt: skip
        assert failure.problems[0].message.startswith(f'"{received}" is not in the list{near} (allowed')


def test_several_faults_are_all_named() -> None:
    errors = [
        {"type": "required_input_missing", "message": "…", "details": "", "extra_info": {"input_name": name}}
        for name in ("steps", "cfg", "seed")
    ]
    failure = rejected(
        {"type": "prompt_outputs_failed_validation", "message": "…"}, {"3": {"errors": errors}}
    )
    assert failure.title.endswith("input 'steps': it is required and missing (and 2 more)")
    assert [problem.input for problem in failure.problems] == ["steps", "cfg", "seed"]


# --- A run that failed --------------------------------------------------------------------------------------


def entry(**error: Any) -> Any:
    status = (
        {"status_str": "error", "messages": [["execution_error", error]]}
        if error
        else {"status_str": "error"}
    )
    return parse_history({PROMPT_ID: {"prompt": [], "outputs": {}, "status": status}}, PROMPT_ID)


def failed(**error: Any) -> failures.Failure:
    failure = verdict(entry(**error), plan()).failure
    assert failure is not None
    return failure


def test_the_first_line_is_the_sentence_and_the_end_of_the_traceback_is_kept() -> None:
    tips = "\nAllocation on device\nTIPS: buy a GPU\n"
    failure = failed(
        node_id="3", node_type="KSampler", exception_message=tips, traceback=["x" * MAX_DETAIL, "the fault"]
    )
    assert failure.title == "KSampler failed: Allocation on device"
    assert failure.detail.endswith("the fault")
    assert len(failure.detail) == MAX_DETAIL


def test_a_node_of_an_expansion_is_named_as_the_node_that_people_see() -> None:
    assert failed(node_id="3.0.0.1", node_type="Inner", exception_message="boom").problems[0].node_id == "3"


@pytest.mark.parametrize(
    ("error", "title"),
    [
        ({"node_id": "77", "node_type": "Odd", "exception_message": "boom"}, "Odd failed: boom"),
        (
            {"node_id": "3", "exception_message": "", "exception_type": "ValueError"},
            "KSampler failed: ValueError",
        ),
        ({"node_id": "77"}, "node failed: no message"),
        ({}, "The run failed, and the server's history does not say why"),
    ],
)
def test_whatever_is_missing(error: dict[str, Any], title: str) -> None:
    assert failed(**error).title == title


def test_a_server_cannot_make_us_say_megabytes() -> None:
    long = "x" * 1_000_000
    failure = failed(node_id="3", node_type="KSampler", exception_type=long, exception_message="")
    assert len(failure.title) < 2 * MAX_LINE
    assert len(node_fault("odd", long, long).title) < 2 * MAX_LINE


def test_a_server_that_cannot_be_reached() -> None:
    failure = unreachable(ConnectionFailed("No ComfyUI at 127.0.0.1:1."))
    assert (failure.kind, failure.title) == ("unreachable", "No ComfyUI at 127.0.0.1:1.")
    assert failure.problems == (Problem("No ComfyUI at 127.0.0.1:1."),)


@pytest.mark.parametrize(
    ("kind", "message", "shown"),
    [
        ("KeyError", "'workflow'", "KeyError: 'workflow'"),
        ("RuntimeError", "boom", "RuntimeError: boom"),
        (
            "RuntimeError",
            "The sampler failed:\n\n  too many channels\nand more",
            "The sampler failed: too many channels",
        ),
        ("ValueError", "a plain sentence\nand more", "a plain sentence"),
        ("torch.OutOfMemoryError", "", "OutOfMemoryError"),
    ],
)
def test_what_an_exception_says(kind: str, message: str, shown: str) -> None:
    error = ExecutionError("p", "3", "KSampler", kind, message, (), (), None, {})
    assert failures._raised(error) == shown
