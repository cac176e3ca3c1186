"""Titles that tell neighbours apart."""

from __future__ import annotations

from comfy_nb.widgets.titles import Titles
from comfy_nb.workflow.plan import Plan, make_plan


def plan(seed: int = 1, cfg: float = 8.0, text: str = "a castle at sunset", **more: object) -> Plan:
    graph = {
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": text}, "_meta": {"title": "Positive"}},
        "3": {
            "class_type": "KSampler",
            "inputs": {"seed": seed, "cfg": cfg, "positive": ["6", 0], **more},
            "_meta": {"title": "KSampler"},
        },
    }
    return make_plan(graph, "00000000-0000-4000-8000-000000000001")


def test_alone_it_goes_by_its_prompt():
    titles = Titles()
    assert titles.add(1, plan()) == {1}
    assert titles.title(1) == "a castle at sunset"


def test_neighbours_go_by_what_differs():
    titles = Titles()
    titles.add(1, plan(seed=1))
    assert titles.add(2, plan(seed=2)) == {1, 2}
    assert titles.add(3, plan(seed=3)) == {3}
    assert titles.add(4, plan(seed=3, cfg=5.0)) == {1, 2, 3, 4}
    assert [titles.title(key) for key in (1, 4)] == ["seed 1, cfg 8", "seed 3, cfg 5"]


def test_equal_neighbours_keep_their_prompt():
    titles = Titles()
    titles.add(1, plan())
    titles.add(2, plan())
    assert titles.title(2) == "a castle at sunset"


def test_where_prompts_differ_too_their_words_come_after_the_values():
    titles = Titles()
    titles.add(1, plan(seed=1))
    titles.add(2, plan(seed=2, text="a rocket"))
    assert titles.title(2) == "seed 2, a rocket"


def test_a_given_title_stays_and_can_change():
    titles = Titles()
    titles.add(1, plan(seed=1), given="mine")
    titles.add(2, plan(seed=2))
    assert (titles.title(1), titles.title(2)) == ("mine", "seed 2")
    assert titles.add(1, plan(seed=1), given="other") == {1}
    assert titles.title(1) == "other"


def test_other_workflows_are_no_neighbours():
    titles = Titles()
    titles.add(1, plan(seed=1))
    assert titles.add(2, plan(seed=2, denoise=0.5)) == {2}
    assert titles.title(2) == "a castle at sunset"


def test_what_is_gone_has_no_title_and_leaves_the_others_theirs():
    titles = Titles()
    titles.add(1, plan(seed=1))
    titles.add(2, plan(seed=2))
    titles.remove(2)
    titles.remove(2)
    assert (titles.title(1), titles.title(2)) == ("seed 1", "")
