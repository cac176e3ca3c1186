"""Replies to POST /prompt. The bodies quoted are as real servers sent them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfy_nb.wire.fields import Json
from comfy_nb.wire.replies import NodeError, PromptAccepted, PromptRejected, parse_prompt_reply
from tests.unit.test_wire_messages import ODD

FAILED = {
    "type": "prompt_outputs_failed_validation",
    "message": "Prompt outputs failed validation",
    "details": "",
    "extra_info": {},
}


def rejected(kind: str, extra_info: dict[str, Json]) -> NodeError:
    error = {"type": kind, "message": "M", "details": "D", "extra_info": extra_info}
    node = {"errors": [error], "dependent_outputs": ["9"], "class_type": "KSampler"}
    reply = parse_prompt_reply(400, {"error": FAILED, "node_errors": {"3": node}})
    assert isinstance(reply, PromptRejected)
    assert (reply.type, reply.message) == (FAILED["type"], FAILED["message"])
    (only,) = reply.node_errors
    assert (only.node_id, only.class_type, only.type, only.message) == ("3", "KSampler", kind, "M")
    assert (only.details, only.dependent_outputs) == ("D", ("9",))
    return only


def test_accepted() -> None:
    reply = parse_prompt_reply(200, {"prompt_id": "p", "number": 23, "node_errors": {}})
    assert reply == PromptAccepted("p", 23, ())


def test_accepted_in_part() -> None:
    missing = {
        "type": "required_input_missing",
        "message": "Required input is missing",
        "details": "images",
        "extra_info": {"input_name": "images"},
    }
    node = {"errors": [missing], "dependent_outputs": ["21"], "class_type": "SaveImage"}
    reply = parse_prompt_reply(200, {"prompt_id": "p", "number": 1, "node_errors": {"21": node}})
    assert isinstance(reply, PromptAccepted)
    assert reply.node_errors == (
        NodeError(
            "21",
            "SaveImage",
            "required_input_missing",
            "Required input is missing",
            "images",
            "images",
            "",
            "",
            ("21",),
        ),
    )


@pytest.mark.parametrize(
    ("config", "choices"),
    [
        ([["euler", 2, "heun"], {}], ("euler", "heun")),
        (["COMBO", {"options": ["a", None]}], ("a",)),
        (["INT", {"options": "ab"}], ()),
        (None, ()),
        ([[f"{number}" for number in range(5000)]], tuple(str(number) for number in range(1000))),
    ],
)
def test_what_can_be_chosen(config: Json, choices: tuple[str, ...]) -> None:
    assert rejected("value_not_in_list", {"input_config": config}).choices == choices


@pytest.mark.parametrize(("link", "node"), [(["6", 0], "6"), ([6, 0], "6"), ([], ""), ("6", ""), (None, "")])
def test_where_the_wrong_type_comes_from(link: Json, node: str) -> None:
    assert rejected("return_type_mismatch", {"linked_node": link}).linked_node == node


@pytest.mark.parametrize(
    ("extra_info", "received", "allowed"),
    [
        ({"input_config": ["INT", {"min": 1, "max": 10000}], "received_value": 0}, "0", "1 to 10000"),
        ({"input_config": ["FLOAT", {"min": 0.0}], "received_value": -1.5}, "-1.5", "at least 0.0"),
        ({"input_config": ["FLOAT", {"max": 1}], "received_value": 2}, "2", "at most 1"),
        ({"input_config": ["INT", {"default": 20}], "received_value": "many"}, '"many"', "INT"),
        (
            {"input_config": [["tiny.safetensors"], {"tooltip": "T"}], "received_value": "nope"},
            '"nope"',
            "tiny.safetensors",
        ),
        ({"input_config": ["COMBO", {"options": ["a", 2]}], "received_value": None}, "null", "a, 2"),
        (
            {"input_config": [[str(i) for i in range(15)]], "received_value": "x"},
            '"x"',
            "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 5 more",
        ),
        ({"input_config": None, "received_value": "x" * 300}, '"' + "x" * 198 + "…", ""),
        ({"input_config": ["MODEL", {}], "received_type": "CONDITIONING"}, "CONDITIONING", "MODEL"),
        ({}, "", ""),
    ],
)
def test_what_was_received_and_what_is_allowed(
    extra_info: dict[str, Json], received: str, allowed: str
) -> None:
    error = rejected("any", {"input_name": "steps", **extra_info})
    assert (error.input_name, error.received, error.allowed) == ("steps", received, allowed)


def test_every_error_of_every_node_is_told() -> None:
    node = {"errors": [{"type": "a"}, {"type": "b"}], "class_type": "C"}
    reply = parse_prompt_reply(400, {"error": FAILED, "node_errors": {"1": node, "2": node}})
    assert [(error.node_id, error.type) for error in reply.node_errors] == [
        ("1", "a"),
        ("1", "b"),
        ("2", "a"),
        ("2", "b"),
    ]


def test_a_node_without_a_reason_is_still_named() -> None:
    reply = parse_prompt_reply(400, {"error": FAILED, "node_errors": {"1": {"class_type": "C"}}})
    assert [(error.node_id, error.message) for error in reply.node_errors] == [
        ("1", "The server gave no reason.")
    ]


@pytest.mark.parametrize(
    ("error", "class_type"),
    [
        (
            {
                "type": "missing_node_type",
                "message": "Node 'NoSuchNode' not found. The custom node may not be installed.",
                "details": "Node ID '#3'",
                "extra_info": {"node_id": "3", "class_type": "NoSuchNode", "node_title": "NoSuchNode"},
            },
            "NoSuchNode",
        ),
        (
            {
                "type": "missing_node_type",
                "message": "Node 'ID #3' has no class_type.",
                "details": "Node ID '#3'",
                "extra_info": {"node_id": "3", "class_type": None, "node_title": None},
            },
            "",
        ),
        (
            {
                "type": "invalid_prompt",
                "message": "Cannot execute because node NoSuchNode does not exist.",
                "details": "Node ID '#3'",
                "extra_info": {},
            },
            "",
        ),
    ],
)
def test_a_missing_class_names_its_node(error: dict[str, Json], class_type: str) -> None:
    reply = parse_prompt_reply(400, {"error": error, "node_errors": {}})
    assert isinstance(reply, PromptRejected)
    (only,) = reply.node_errors
    assert (only.node_id, only.class_type, only.message) == ("3", class_type, error["message"])


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        ("no luck", "", "no luck"),
        ({"code": "SERVICE_DISABLED", "message": "Off."}, "SERVICE_DISABLED", "Off."),
        ({}, "", "The server gave no reason."),
    ],
)
def test_other_ways_to_say_no(error: Json, kind: str, message: str) -> None:
    assert parse_prompt_reply(400, {"error": error, "node_errors": []}) == PromptRejected(
        kind, message, "", ()
    )


@pytest.mark.parametrize("data", [None, [], "text", {}, {"prompt_id": None}, {"prompt_id": ""}, {"error": 3}])
def test_neither_yes_nor_no(data: Json) -> None:
    with pytest.raises(
        ValueError, match=r"^The server answered POST /prompt with HTTP 200, no prompt id and no error"
    ):
        parse_prompt_reply(200, data)


def test_a_prompt_id_is_no_acceptance_unless_the_status_says_so() -> None:
    with pytest.raises(ValueError, match="HTTP 502"):
        parse_prompt_reply(502, {"prompt_id": "p", "number": 1})


@given(
    st.fixed_dictionaries({}, optional={"error": ODD, "node_errors": ODD, "prompt_id": ODD, "number": ODD})
)
def test_any_refusal_is_read(data: dict[str, Json]) -> None:
    data["error"] = {"extra_info": data.get("error")}
    data["node_errors"] = {"1": {"errors": [{"extra_info": data.get("node_errors")}]}}
    assert isinstance(parse_prompt_reply(400, data), PromptRejected)
    config = [data.get("prompt_id"), data.get("number")]
    assert rejected("any", {"input_config": config, "received_value": data.get("number")}).input_name == ""
