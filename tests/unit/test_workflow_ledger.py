"""Nothing that a file holds is lost in silence: sent, of the page alone, or noted, over all fixtures and mutations."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfy_nb.workflow.convert import convert
from comfy_nb.workflow.ui import read_ui
from tests.unit.conversion import classes, read
from tests.unit.ledger import unaccounted
from tests.unit.test_workflow_ui import Builder


def ledger(data: dict[str, Any]) -> list[str]:
    return list(unaccounted(data, convert(read_ui(data, "the test"), classes()), classes()))


@pytest.mark.timeout(120)
def test_every_template_is_accounted_for():
    wrong = {name: lines for name, data in read("templates").items() if (lines := ledger(data))}
    assert wrong == {}


def test_the_ledger_sees_what_is_lost():
    """Break the conversion's result by hand, in each way, and see the ledger say so."""
    data = (
        Builder()
        .node(1, "VAELoader", ["a"])
        .node(2, "EmptyLatentImage", [512, 8, 1])
        .node(3, "VAEDecode", samples=(2, 0), vae=(1, 0))
        .graph()
    )
    for node_id, name in (("2", "width"), ("3", "vae"), ("3", "")):
        converted = convert(read_ui(data, "x"), classes())
        assert list(unaccounted(data, converted, classes())) == []
        if name:
            del converted.prompt[node_id]["inputs"][name]
        else:
            del converted.prompt[node_id]
        assert len(list(unaccounted(data, converted, classes()))) == 1


def mutated(data: dict[str, Any], seed: int) -> dict[str, Any]:
    """A copy with one value moved, doubled or nested, or one name, link or id changed."""
    rng = random.Random(seed)
    data = copy.deepcopy(data)
    nodes = [
        node
        for node in data["nodes"]
        if isinstance(node.get("widgets_values"), list) and node["widgets_values"]
    ]
    if not nodes:
        return data
    node = rng.choice(nodes)
    values = node["widgets_values"]
    at = rng.randrange(len(values))
    way = rng.randrange(7)
    if way == 0:
        values.insert(rng.randrange(len(values) + 1), values.pop(at))
    elif way == 1:
        values.insert(at, copy.deepcopy(values[at]))
    elif way == 2:
        values[at] = {"nested": values[at]}
    elif way == 3:
        values.append(f"new {seed}")
    elif way == 4:
        node["widgets_values"] = {f"name{number}": value for number, value in enumerate(values)}
    elif way == 5 and node.get("inputs"):
        rng.choice(node["inputs"])["link"] = 10**6 + seed
    else:
        node["id"] = rng.choice(data["nodes"])["id"]
    return data


@pytest.mark.timeout(240)
@settings(max_examples=400, deadline=None)
@given(st.integers(0, 10**9))
def test_no_mutation_loses_anything_in_silence(seed):
    templates = read("templates")
    name = sorted(templates)[seed % len(templates)]
    data = mutated(templates[name], seed)
    ids = [str(node["id"]) for node in data["nodes"]]
    converted = convert(read_ui(data, name), classes())
    if len(ids) != len(set(ids)):  # the second one has another number now, which is told
        assert any("is there twice" in note.message for note in converted.notes)
        return
    assert list(unaccounted(data, converted, classes())) == []
