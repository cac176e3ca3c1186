"""The rules of the conversion one by one, on small graphs, and what hostile files do to it."""

from __future__ import annotations

import json
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfy_nb.errors import NotAWorkflow, WorkflowError, WorkflowProblems
from comfy_nb.workflow import Workflow
from comfy_nb.workflow.check import check
from comfy_nb.workflow.classes import Classes
from comfy_nb.workflow.convert import convert
from comfy_nb.workflow.dynamic_prompts import plain_prompt
from comfy_nb.workflow.ui import read_ui
from tests.unit.conversion import classes, read
from tests.unit.spoiling import spoiled

MUTED, BYPASSED = 2, 4
UUID, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


class Builder:
    """A small UI-format graph. Inputs are `name=link id`; links are made as the nodes are."""

    def __init__(self, **more):
        self.nodes, self.links, self.more = [], [], more

    def node(self, node_id, kind, values=(), mode=0, *, title=None, outputs=("*",), **inputs):
        slots = []
        for index, (name, source) in enumerate(inputs.items()):
            link = None
            if source is not None:
                link = len(self.links) + 1
                self.links.append([link, *source, node_id, index, "*"])
            slots.append({"name": name, "type": "*", "link": link})
        data = {"id": node_id, "type": kind, "mode": mode, "inputs": slots, "widgets_values": list(values)}
        data["outputs"] = [{"name": kind, "type": kind} for kind in outputs]
        self.nodes.append(data | ({} if title is None else {"title": title}))
        return self

    def graph(self):
        last = max((node["id"] for node in self.nodes if isinstance(node["id"], int)), default=0)
        return {"nodes": self.nodes, "links": self.links, "last_node_id": last, "version": 0.4} | self.more

    def definition(self, key, inputs=(), outputs=(), name="Sub"):
        """As a sub-graph: inputs are `(name, type)`, linked where a node names (-10, slot)."""
        links = [
            dict(
                zip(("id", "origin_id", "origin_slot", "target_id", "target_slot", "type"), link, strict=True)
            )
            for link in self.links
        ]
        ends = [
            {
                "name": end,
                "type": kind,
                "linkIds": [x["id"] for x in links if (x["origin_id"], x["origin_slot"]) == (-10, k)],
            }
            for k, (end, kind) in enumerate(inputs)
        ]
        made = []
        for slot, (end, kind, source) in enumerate(outputs):
            link = {"id": 1000 + slot, "origin_id": source[0], "origin_slot": source[1], "target_id": -20}
            links.append(link | {"target_slot": slot, "type": kind})
            made.append({"name": end, "type": kind, "linkIds": [1000 + slot]})
        return {"id": key, "name": name, "nodes": self.nodes, "links": links, "inputs": ends, "outputs": made}


def prompt_of(graph) -> dict:
    return convert(read_ui(graph, "the test"), classes()).prompt


def inputs_of(graph, node_id) -> dict:
    return prompt_of(graph)[node_id]["inputs"]


def with_definitions(builder: Builder, *definitions) -> dict:
    return builder.graph() | {"definitions": {"subgraphs": list(definitions)}}


# -- links -------------------------------------------------------------------------------------------------------


def test_reroutes_are_seen_through():
    graph = (
        Builder()
        .node(1, "VAELoader", ["a.safetensors"])
        .node(2, "Reroute", **{"": (1, 0)})
        .node(3, "Reroute", **{"": (2, 0)})
        .node(4, "VAEDecode", samples=None, vae=(3, 0))
        .graph()
    )
    assert prompt_of(graph)["4"]["inputs"] == {"vae": ["1", 0]}
    assert "2" not in prompt_of(graph)


@pytest.mark.parametrize("mode", [MUTED, BYPASSED])
def test_what_is_muted_or_bypassed_is_gone(mode):
    graph = Builder().node(1, "VAELoader", ["a"], mode).node(4, "VAEDecode", vae=(1, 0)).graph()
    assert prompt_of(graph) == {
        "4": {"class_type": "VAEDecode", "inputs": {}, "_meta": {"title": "VAE Decode"}}
    }


def test_a_bypassed_node_passes_on_the_input_of_the_same_type():
    graph = (
        Builder()
        .node(1, "CheckpointLoaderSimple", ["a"], outputs=("MODEL", "CLIP", "VAE"))
        .node(2, "LoraLoader", ["l", 1, 1], BYPASSED, outputs=("MODEL", "CLIP"), model=(1, 0), clip=(1, 1))
        .node(3, "CLIPTextEncode", ["x"], clip=(2, 1))
        .graph()
    )
    assert inputs_of(graph, "3") == {"text": "x", "clip": ["1", 1]}


def test_set_and_get_are_joined_by_their_name():
    graph = (
        Builder()
        .node(1, "VAELoader", ["a"])
        .node(2, "SetNode", ["my vae"], VAE=(1, 0))
        .node(3, "GetNode", ["my vae"])
        .node(4, "VAEDecode", vae=(3, 0))
        .graph()
    )
    assert prompt_of(graph).keys() == {"1", "4"}
    assert inputs_of(graph, "4") == {"vae": ["1", 0]}


def test_a_primitive_writes_its_value_onto_the_widget():
    graph = (
        Builder()
        .node(1, "PrimitiveNode", [512, "fixed"])
        .node(2, "EmptyLatentImage", [64, 64, 1], width=(1, 0))
        .graph()
    )
    assert prompt_of(graph) == {
        "2": {
            "class_type": "EmptyLatentImage",
            "inputs": {"width": 512, "height": 64, "batch_size": 1},
            "_meta": {"title": "Empty Latent Image"},
        }
    }


# -- widgets -----------------------------------------------------------------------------------------------------


def test_controls_are_no_inputs_and_lists_are_wrapped():
    values = [7, "randomize", 20, 8.5, "euler", "normal", 1]
    inputs = inputs_of(Builder().node(3, "KSampler", values).graph(), "3")
    assert inputs == {
        "seed": 7,
        "steps": 20,
        "cfg": 8.5,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1,
    }
    compare = inputs_of(Builder().node(1, "ImageCompare").graph(), "1")
    assert compare == {"compare_view": {"__value__": ["", ""]}}


def test_values_by_name_and_values_that_are_missing():
    graph = Builder().node(1, "EmptyLatentImage").graph()
    graph["nodes"][0]["widgets_values"] = {"height": 8, "other": 1}
    converted = convert(read_ui(graph, ""), classes())
    assert converted.prompt["1"]["inputs"] == {"width": 512, "height": 8, "batch_size": 1}
    assert "no value for 'width', 'batch_size'; the default was taken" in str(converted.notes[0])


def test_a_dynamic_combo_adds_the_inputs_of_what_is_chosen():
    builder = Builder().node(1, "ResizeImageMaskNode", ["scale by multiplier", 2.5, "lanczos"], input=None)
    assert inputs_of(builder.graph(), "1") == {
        "resize_type": "scale by multiplier",
        "resize_type.multiplier": 2.5,
        "scale_method": "lanczos",
    }


def test_the_button_of_a_list_that_the_page_fetches_is_sent():
    graph = Builder().node(1, "LoadImageOutput", ["a.png [output]", False, "refresh", "image"]).graph()
    assert inputs_of(graph, "1") == {"image": "a.png [output]", "refresh": "refresh"}


def test_what_grew_keeps_its_names():
    graph = (
        Builder()
        .node(1, "LoadImage", ["a.png", "image"])
        .node(
            2, "BatchImagesNode", **{"images.image0": (1, 0), "images.image1": (1, 0), "images.image2": None}
        )
        .graph()
    )
    assert inputs_of(graph, "2") == {"images.image0": ["1", 0], "images.image1": ["1", 0]}
    assert inputs_of(graph, "1") == {"image": "a.png"}


def test_values_of_inputs_that_must_be_linked_are_dropped_from_old_files():
    info = {
        "Old": {
            "input": {"required": {"a": ["STRING", {"forceInput": True}], "b": ["STRING", {}]}},
            "output": [],
        }
    }
    for values in (["of a", "of b"], ["of b"]):
        graph = read_ui(Builder().node(1, "Old", values).graph(), "")
        assert convert(graph, Classes(info)).prompt["1"]["inputs"] == {"b": "of b"}


@pytest.mark.parametrize(
    ("text", "plain", "choice"),
    [
        ("a fox // no\nb /* c */d", "a fox \nb d", False),
        ("{one}", "one", False),
        ("{a|b} {{x}}", "{a|b} x", True),
        (r"\{a|b\} \(c\)", r"{a|b} \(c\)", False),
        ("open {", "open ", False),
        ("{" * 5000, "{" * 4900, False),
    ],
)
def test_dynamic_prompts(text, plain, choice):
    assert plain_prompt(text) == (plain, choice)


def test_a_choice_is_told_of_and_not_drawn():
    graph = Builder().node(1, "CLIPTextEncode", ["{red|blue} fox"]).graph()
    converted = convert(read_ui(graph, ""), classes())
    assert converted.prompt["1"]["inputs"] == {"text": "{red|blue} fox"}
    assert "none was drawn" in converted.notes[0].message


# -- sub-graphs --------------------------------------------------------------------------------------------------


def encoder(key=UUID, node_id=5):
    inner = Builder().node(node_id, "CLIPTextEncode", ["inside"], clip=(-10, 0), text=(-10, 1))
    return inner.definition(
        key, [("clip", "CLIP"), ("words", "STRING")], [("out", "CONDITIONING", (node_id, 0))]
    )


def test_a_sub_graph_is_written_out_and_its_links_lead_in_and_out():
    builder = (
        Builder()
        .node(1, "CLIPLoader", ["c", "wan"])
        .node(2, UUID, ["outside"], outputs=("CONDITIONING",), clip=(1, 0), words=None)
        .node(3, "ConditioningZeroOut", conditioning=(2, 0))
    )
    prompt = prompt_of(with_definitions(builder, encoder()))
    assert prompt.keys() == {"1", "2:5", "3"}
    assert prompt["2:5"]["inputs"] == {"text": "outside", "clip": ["1", 0]}
    assert prompt["3"]["inputs"] == {"conditioning": ["2:5", 0]}


def test_instances_hold_their_own_values():
    builder = Builder().node(1, UUID, ["first"]).node(2, UUID, []).node(3, UUID, ["third"])
    prompt = prompt_of(with_definitions(builder, encoder()))
    assert [prompt[f"{n}:5"]["inputs"]["text"] for n in (1, 2, 3)] == ["first", "inside", "third"]


def test_older_files_name_the_widgets_whose_values_they_hold():
    builder = Builder().node(1, UUID, ["by name"])
    builder.nodes[0]["properties"] = {"proxyWidgets": [["5", "text"]]}
    assert inputs_of(with_definitions(builder, encoder()), "1:5") == {"text": "by name"}
    hidden = Builder().node(5, "EmptyLatentImage", [1, 2, 3]).definition(UUID)
    builder = Builder().node(1, UUID, [77])
    builder.nodes[0]["properties"] = {"proxyWidgets": [["5", "height"]]}
    assert inputs_of(with_definitions(builder, hidden), "1:5") == {"width": 1, "height": 77, "batch_size": 3}


def test_sub_graphs_in_sub_graphs():
    middle = (
        Builder()
        .node(7, OTHER, [], clip=(-10, 0), words=(-10, 1))
        .definition(UUID, [("clip", "CLIP"), ("deep words", "STRING")], [("o", "CONDITIONING", (7, 0))])
    )
    builder = (
        Builder()
        .node(1, "CLIPLoader", ["c", "wan"])
        .node(2, UUID, ["from the top"], outputs=("CONDITIONING",), clip=(1, 0))
        .node(3, "ConditioningZeroOut", conditioning=(2, 0))
    )
    prompt = prompt_of(with_definitions(builder, middle, encoder(OTHER)))
    assert prompt["2:7:5"]["inputs"] == {"text": "from the top", "clip": ["1", 0]}
    assert prompt["3"]["inputs"] == {"conditioning": ["2:7:5", 0]}


@pytest.mark.parametrize("mode", [MUTED, BYPASSED])
def test_a_silenced_instance_takes_all_inside_with_it(mode):
    builder = Builder().node(1, UUID, ["x"], mode).node(2, "EmptyLatentImage", [8, 8, 1])
    assert prompt_of(with_definitions(builder, encoder())).keys() == {"2"}


def test_ids_that_meet_are_numbered_anew():
    builder = Builder().node(5, "EmptyLatentImage", [8, 8, 1]).node(9, UUID, []).node(12, OTHER, [])
    definitions = encoder(), encoder(OTHER)
    assert prompt_of(with_definitions(builder, *definitions)).keys() == {"5", "9:13", "12:14"}


def test_version_1_with_links_as_objects():
    graph = Builder().node(1, "VAELoader", ["a"]).node(4, "VAEDecode", vae=(1, 0)).graph()
    graph["version"], names = 1, ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    graph["links"] = [dict(zip(names, link, strict=True)) for link in graph["links"]]
    assert inputs_of(graph, "4") == {"vae": ["1", 0]}


# -- what cannot be converted ------------------------------------------------------------------------------------


def test_unknown_classes_are_told_of_by_title_and_left_out_when_not_strict():
    builder = (
        Builder().node(1, "Mystery", ["x"], title="My node").node(2, "VAEDecode", samples=(1, 0), vae=None)
    )
    info = read("object_info")
    with pytest.raises(WorkflowProblems) as caught:
        Workflow.load(builder.graph(), object_info=info)
    assert "My node (node 1): the server has no class 'Mystery'" in str(caught.value)
    assert [problem.node_id for problem in caught.value.problems] == ["1"]
    wf = Workflow.load(builder.graph(), object_info=info, strict=False)
    assert wf.to_api().keys() == {"2"}
    assert wf["VAE Decode"].inputs == {}
    assert "Mystery" in str(wf.notes[0])


def test_values_that_do_not_fit_are_told_of():
    graph = Builder().node(3, "KSampler", [7, 20, 8.5, "euler", "normal", 1], title="Mine").graph()
    with pytest.raises(
        WorkflowProblems, match=r"Mine \(node 3\), input '\w+': the 6 saved values do not fit"
    ):
        Workflow.load(graph, object_info=read("object_info"))


def test_without_classes_it_says_what_to_do():
    with pytest.raises(NotAWorkflow, match="connect\\(\\) first, or pass object_info"):
        Workflow.load(Builder().node(1, "VAELoader", ["a"]).graph())


# -- hostile files -----------------------------------------------------------------------------------------------


def chain(length):
    builder = Builder()
    for number in range(1, length):
        builder.node(number, "Reroute", **{"": (number + 1, 0)})
    return builder.node(length, "VAEDecode", vae=(1, 0)).graph()


def doubling(depth):
    """Each definition holds two of the next: two to the power of the depth, written out."""
    keys = [f"sub-{number}" for number in range(depth)]
    definitions = [
        Builder().node(1, inner).node(2, inner).definition(key)
        for key, inner in zip(keys, [*keys[1:], "Note"], strict=True)
    ]
    return with_definitions(Builder().node(1, keys[0]), *definitions)


HOSTILE = {
    "a ring of reroutes": (
        Builder()
        .node(1, "Reroute", **{"": (2, 0)})
        .node(2, "Reroute", **{"": (1, 0)})
        .node(3, "VAEDecode", vae=(1, 0))
        .graph(),
        "lead in a circle",
    ),
    "a long chain": (chain(15_000), "or through 1,000 nodes"),
    "a sub-graph in itself": (
        with_definitions(Builder().node(1, UUID), Builder().node(2, UUID).definition(UUID)),
        "contains itself",
    ),
    "sub-graphs in each other": (
        with_definitions(
            Builder().node(1, UUID),
            Builder().node(2, OTHER).definition(UUID),
            Builder().node(3, UUID).definition(OTHER),
        ),
        "contains itself",
    ),
    "doubling sub-graphs": (doubling(40), "more than 20,000 nodes once"),
    "duplicate ids": (
        {"nodes": [{"id": 1, "type": "Note"}] * 20_000, "last_node_id": 5},
        "holds no node that would run",
    ),
    "group nodes in each other": (
        Builder(extra={"groupNodes": {"G": {"nodes": [{"type": "workflow>G"}], "links": []}}})
        .node(1, "workflow>G")
        .graph(),
        "contains itself",
    ),
    "doubling group nodes": (
        Builder(
            extra={
                "groupNodes": {
                    f"G{n}": {"nodes": [{"type": f"workflow>G{n + 1}"}] * 2, "links": []} for n in range(40)
                }
            }
        )
        .node(1, "workflow>G0")
        .graph(),
        "more than 20,000 nodes once",
    ),
    "too many nodes": (
        {"nodes": [{"id": n, "type": "Note"} for n in range(20_001)]},
        "20,001 nodes; the most",
    ),
    "a node that is none": ({"nodes": [3]}, "node 1 of the list is not an object"),
    "a node without type": ({"nodes": [{"id": 1}]}, 'node 1 of the list has no "type"'),
    "no nodes": ({"nodes": []}, "holds no nodes"),
    "only notes": (Builder().node(1, "Note").graph(), "holds no node that would run"),
    "sub-graphs with one id": (
        with_definitions(Builder().node(1, UUID), encoder(), encoder()),
        "shares its id with another",
    ),
    "NaN": (
        json.loads(json.dumps(Builder().node(1, "EmptyLatentImage", [float("nan"), 8, 1]).graph())),
        None,
    ),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_sentence_in_bounded_time(name):
    graph, sentence = HOSTILE[name]
    start = time.process_time()
    if sentence is None:
        wf = Workflow.load(graph, object_info=read("object_info"))
        assert wf["1"].width == 512
        assert "null for 'width'; the default was taken" in str(wf.notes)
    else:
        with pytest.raises(NotAWorkflow) as caught:
            Workflow.load(graph, object_info=read("object_info"))
        assert sentence in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400
    assert time.process_time() - start < 5


def test_a_gigabyte_is_refused_by_its_size(tmp_path):
    file = tmp_path / "large.json"
    with file.open("wb") as out:
        out.write(b'{"nodes": [')
        out.truncate(1 << 30)
    tracemalloc.start()
    try:
        with pytest.raises(NotAWorkflow, match="larger than 64 MB"):
            Workflow.load(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200 << 20


@pytest.mark.parametrize("value", ["[]", "{}", '{"a": 1}', "1"])
def test_many_small_values_are_refused_before_they_are_made(value):
    text = f'{{"nodes": [{", ".join([value] * 2_100_000)}]}}'
    tracemalloc.start()
    try:
        with pytest.raises(NotAWorkflow, match="more than 2,000,000 values"):
            Workflow.load(text)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2.1 * len(text)


def test_a_key_that_is_there_twice():
    with pytest.raises(NotAWorkflow, match="'1' is there twice in one object"):
        Workflow.load('{"1": {"class_type": "A", "inputs": {}}, "1": {"class_type": "B", "inputs": {}}}')


def whole():
    """A graph with everything in it."""
    middle = (
        Builder()
        .node(7, OTHER, ["mid"], clip=(-10, 0), words=(-10, 1))
        .node(8, "PrimitiveNode", ["p"])
        .node(9, "CLIPTextEncode", ["w"], clip=(-10, 0), text=(8, 0))
        .definition(UUID, [("clip", "CLIP"), ("deep words", "STRING")], [("o", "CONDITIONING", (7, 0))])
    )
    builder = (
        Builder()
        .node(1, "CLIPLoader", ["c", "wan"], outputs=("CLIP",))
        .node(2, UUID, ["from the top"], outputs=("CONDITIONING",), clip=(1, 0))
        .node(3, "Reroute", **{"": (2, 0)})
        .node(4, "SetNode", ["n"], X=(3, 0))
        .node(5, "GetNode", ["n"])
        .node(6, "KSampler", [7, "fixed", 20, 8.5, "euler", "normal", 1], positive=(5, 0), negative=(2, 0))
        .node(10, "ComfySwitchNode", [True], BYPASSED, on_false=(6, 0), on_true=(6, 0))
        .node(11, "SaveVideo", ["v", "auto", "auto"], video=(10, 0))
        .node(12, "CustomCombo", ["a", 0, "a", ""])
        .node(13, "BatchImagesNode", **{"images.image0": (10, 0)})
    )
    builder.nodes[1]["properties"] = {"proxyWidgets": [["7", "words"], ["8", "value"]]}
    return with_definitions(builder, middle, encoder(OTHER))


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 10**9))
def test_any_graph_is_converted_or_refused_in_one_sentence(seed):
    refused = None
    try:
        wf = Workflow.load(spoiled(whole(), seed), object_info=read("object_info"), strict=False)
    except WorkflowError as error:
        refused = str(error)
    if refused is not None:
        assert "\n" not in refused
        assert len(refused) < 500
        return
    prompt = wf.to_api()
    json.dumps(prompt, allow_nan=False)
    for node in prompt.values():
        for value in node["inputs"].values():
            assert not isinstance(value, list) or value[0] in prompt
    assert repr(wf)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**9))
def test_any_object_info_will_do(seed):
    used = {node["type"] for node in whole()["nodes"]}
    info = {name: definition for name, definition in read("object_info").items() if name in used}
    try:
        wf = Workflow.load(whole(), object_info=spoiled(info, seed), strict=False)
    except WorkflowError:
        return
    repr(wf)
    wf._repr_html_()
    check(wf.to_api(), Classes(spoiled(info, seed)))
