"""Looking for what Tab may offer follows our own things alone: nothing of the user's is called."""

from __future__ import annotations

from types import ModuleType

import pytest

import comfy_nb as cn
from comfy_nb.completion import complete


class Loud:
    """Something of the user's that would tell if it was asked."""

    def __getitem__(self, key):
        raise AssertionError(key)

    def __getattr__(self, name):
        raise AssertionError(name)


@pytest.mark.parametrize(
    "line",
    [
        'loud["x"].',
        "loud.thing.",
        'loud["x"]["',
        'loud["x"].y = "',
        'loud.thing["x"].y = "',
        "module.x.",
        "x.",
        "1.",
        "lambda.",
    ],
)
def test_nothing_of_the_users_is_called(line: str):
    module = ModuleType("somebodys")
    module.__getattr__ = Loud().__getattr__
    assert complete(line, {"loud": Loud(), "module": module}) is None


@pytest.mark.parametrize(
    "line",
    [
        "wf['no such node'].",
        "wf[99].",
        "wf.",
        'wf["KSampler"].no_such_input = "',
        'wf["KSampler"].seed = "',
        'wf = "',
        'cn.x = "',
    ],
)
def test_where_there_is_nothing_to_offer_others_are_asked(line: str):
    assert complete(line, {"wf": cn.example(), "cn": cn}) is None


def test_a_name_that_the_node_has_itself_is_offered_once():
    graph = {"1": {"class_type": "X", "inputs": {"title": "a", "class": 1, "a b": 2, "text": "t"}}}
    offered = complete("wf[1].", {"wf": cn.Workflow(graph)})
    own = ["id", "title", "class_type", "inputs", "add_input", "mute", "bypass", "restore"]
    assert [name for name, _ in offered.texts] == ["text", *own]
    keys = complete("wf[1]['", {"wf": cn.Workflow(graph)})
    assert [name for name, _ in keys.texts] == ["title", "class", "a b", "text"]
