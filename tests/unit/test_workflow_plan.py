"""What a plan says will run, and what it calls it."""

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfy_nb.workflow import Plan, Workflow, make_plan

DATA = Path(__file__).parent.parent / "data" / "workflows"


def planned(file: str, **options: object) -> Plan:
    return make_plan(json.loads((DATA / f"{file}.json").read_text()), "id", **options)


def node(class_type: str, title: str | None = None, **inputs: object) -> dict:
    meta = {} if title is None else {"_meta": {"title": title}}
    return {"class_type": class_type, "inputs": inputs, **meta}


def ids(plan: Plan) -> list[str]:
    return [n.id for n in plan.nodes]


def test_the_default_workflow():
    plan = planned("default")
    assert plan.prompt_id == "id"
    assert [(n.label, n.activity, n.weight) for n in plan.nodes] == [
        ("Load Checkpoint", "Loading model…", 3),
        ("CLIP Text Encode (Positive)", "Encoding prompt…", 1),
        ("CLIP Text Encode (Negative)", "Encoding prompt…", 1),
        ("Empty Latent Image", "Empty Latent Image…", 0.2),
        ("KSampler", "Sampling image…", 20),
        ("VAE Decode", "Decoding image…", 2),
        ("Save Image", "Saving image…", 1),
    ]
    assert plan.title == "beautiful scenery nature glass bottle landscape…"
    assert plan.node("3").class_type == "KSampler"
    assert plan.node("99") is None


def test_a_node_without_a_title_is_called_by_its_class():
    assert planned("duplicate_titles").node("4").label == "EmptyLatentImage"


# --- order


def test_only_what_an_output_needs_is_planned():
    prompt = {
        "unused": node("CLIPTextEncode", text="x", clip=["model", 1]),
        "save": node("SaveImage", images=["image", 0]),
        "image": node("EmptyImage"),
        "model": node("CheckpointLoaderSimple"),
    }
    # Without word from the server, what nobody uses counts as an output.
    assert ids(make_plan(prompt, "id")) == ["model", "unused", "image", "save"]
    assert ids(make_plan(prompt, "id", outputs=["save"])) == ["image", "save"]
    assert ids(make_plan(prompt, "id", outputs=["image", "nobody"])) == ["image"]
    assert ids(make_plan(prompt, "id", outputs=[])) == []


def test_cycles_and_dangling_links_end():
    loop = {"1": node("A", x=["2", 0]), "2": node("A", x=["1", 0], y=["2", 0], z=["99", 0])}
    assert ids(make_plan(loop, "id")) == ["2", "1"]
    assert ids(make_plan({**loop, "3": node("Save", x=["1", 0])}, "id")) == ["2", "1", "3"]


def test_depth_costs_no_recursion():
    chain = {str(i): node("A", x=[str(i + 1), 0]) for i in range(20_000)}
    assert len(make_plan(chain, "id").nodes) == 20_000


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "prompt",
    [
        {str(i): node("A", x=1) for i in range(20_000)},
        {str(i): node("." * 100_000, **{"." * 100_000 + str(i): i}) for i in range(20)},
        {
            str(i): node("KSampler", latent_image=[str(i + 1), 0], positive=[str(i + 1), 0])
            for i in range(3000)
        },
    ],
    ids=["namesakes", "dots", "samplers"],
)
def test_large_and_odd_prompts_take_a_moment(prompt):
    """Each of these takes minutes when the work grows with the square of the prompt."""
    assert len(make_plan(prompt, "id").nodes) == len(prompt)


LINKS = st.tuples(st.sampled_from("abcdefx"), st.integers(0, 2)).map(list)
GRAPHS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.builds(
        lambda class_type, title, inputs: node(class_type, title, **inputs),
        st.sampled_from(["KSampler", "VAEDecode", "SaveImage", "SamplerCustom", "A"]),
        st.none() | st.sampled_from(["KSampler", "a", "A.b"]),
        st.dictionaries(
            st.sampled_from(["a", "b.c", "steps", "sigmas", "positive", "latent_image", "text"]),
            LINKS | st.integers() | st.floats() | st.text(max_size=60),
            max_size=4,
        ),
    ),
)


@given(GRAPHS)
def test_a_plan_of_any_graph(prompt):
    plan = make_plan(prompt, "id")
    order = ids(plan)
    assert order == ids(make_plan(prompt, "id"))
    assert len(set(order)) == len(order)
    assert set(order) <= set(prompt)

    uses = {
        i: {v[0] for v in n["inputs"].values() if isinstance(v, list) and v[0] in prompt}
        for i, n in prompt.items()
    }

    def reach(start: str) -> set[str]:
        found: set[str] = set()
        todo = [start]
        while todo:
            new = uses[todo.pop()] - found
            found |= new
            todo += new
        return found

    sinks = {i for i in prompt if not any(i in used for other, used in uses.items() if other != i)} or set(
        prompt
    )
    assert set(order) == sinks.union(*map(reach, sinks))
    for at, node_id in enumerate(order):
        for used in uses[node_id]:
            in_a_cycle = node_id in reach(used) or node_id == used
            assert in_a_cycle or order.index(used) < at
    assert all(n.weight > 0 and n.activity and n.label for n in plan.nodes)
    assert 0 < len(plan.title) <= 48


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["class_type", "inputs", "_meta", "title", "steps", "text"]), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=3), JUNK, max_size=4))
def test_a_prompt_from_a_server_may_be_anything(prompt):
    plan = make_plan(prompt, "id")
    assert set(ids(plan)) <= set(prompt)


# --- ids


@pytest.mark.parametrize(
    ("node_id", "shown"),
    [
        ("3", "3"),
        ("3.0.0.1", "3"),
        ("12:7:2", "12:7:2"),
        ("12:7:2.0.0.1", "12:7:2"),
        ("12:7:2:9", "12:7:2"),
        ("12:7", None),
        ("12:99", None),
        ("33", None),
        ("", None),
        (".", None),
        ("5.0.0.1", "5.0"),
    ],
)
def test_display_ids(node_id, shown):
    prompt = {i: node("A") for i in ("3", "5", "5.0", "12:7:2")}
    assert make_plan(prompt, "id").display_id(node_id) == shown


def test_subgraph_nodes_are_planned_themselves():
    plan = planned("subgraph")
    assert len(plan.nodes) == 15
    assert plan.display_id("12:7:2") == "12:7:2"


# --- weights and activities


def weights(name: str) -> dict[str, float]:
    return {n.id: n.weight for n in planned(name).nodes}


def test_a_sampler_weighs_its_steps():
    twins = weights("duplicate_titles")
    assert twins["5"] == 10
    assert twins["6"] == 8  # steps 12 to the end, of 20
    assert twins["7"] == 5
    assert weights("subgraph")["12:7:2"] == 4  # counted by the scheduler, through SplitSigmas
    assert weights("subgraph")["12:7:6"] < 1  # KSamplerSelect samples nothing


@pytest.mark.parametrize(
    ("inputs", "weight"),
    [
        ({"steps": 7}, 7),
        ({"steps": 0}, 1),
        ({"steps": -(10**30)}, 1),
        ({"steps": 10**30}, 10_000),
        ({"steps": float("nan")}, 20),
        ({"steps": float("inf")}, 10_000),
        ({"steps": "many"}, 20),
        ({"steps": True}, 20),
        ({"steps": ["count", 0]}, 9),
        ({"steps": ["nowhere", 0]}, 20),
        ({"latent_image": ["count", 0]}, 20),
        ({"latent_image": 0, "sigmas": ["manual", 0]}, 3),
        ({"latent_image": 0, "sigmas": ["loop", 0]}, 20),
        ({"steps": 20, "start_at_step": 5, "end_at_step": 15}, 10),
        ({"steps": 20, "start_at_step": 15, "end_at_step": 5}, 1),
    ],
)
def test_the_steps_of_a_sampler(inputs, weight):
    prompt = {
        "sampler": node("KSampler", **inputs),
        "count": node("PrimitiveInt", value=9),
        "manual": node("ManualSigmas", sigmas="1.0, 0.5, .25, 0"),
        "loop": node("SplitSigmas", sigmas=["loop", 0]),
    }
    assert make_plan(prompt, "id").node("sampler").weight == weight


@pytest.mark.parametrize(
    ("class_type", "inputs", "activity"),
    [
        ("CheckpointLoaderSimple", {}, "Loading model…"),
        ("LoraLoaderModelOnly", {}, "Loading model…"),
        ("LoadImage", {}, "Loading image…"),
        ("TextEncodeQwenImageEditPlus", {}, "Encoding prompt…"),
        ("VAEEncode", {}, "Encoding image…"),
        ("VAEDecodeTiled", {}, "Decoding image…"),
        ("VAEDecode", {"samples": ["sampler", 0]}, "Decoding video…"),
        ("VAEDecodeAudio", {}, "Decoding audio…"),
        ("KSamplerAdvanced", {"latent_image": ["video", 0]}, "Sampling video…"),
        ("KSampler", {"latent_image": ["loop", 0]}, "Sampling image…"),
        ("SaveAnimatedWEBP", {}, "Saving image…"),
        ("SaveVideo", {}, "Saving video…"),
        ("SomethingOfSomebodys", {}, "My node…"),
    ],
)
def test_activities(class_type, inputs, activity):
    prompt = {
        "1": node(class_type, "My node", **inputs),
        "sampler": node("KSampler", latent_image=["video", 0]),
        "video": node("EmptyHunyuanLatentVideo"),
        "loop": node("KSampler", latent_image=["loop", 0]),
    }
    assert make_plan(prompt, "id").node("1").activity == activity


# --- title


def test_a_title_that_is_given_counts():
    assert planned("default", title="mine", name="file").title == "mine"


def test_the_title_without_a_prompt_text():
    assert planned("dotted", name="dotted").title == "dotted"
    assert planned("dotted").title == "Workflow"


def test_the_title_through_guider_and_primitive():
    assert planned("subgraph").title == "a lighthouse at dusk"


def test_the_negative_prompt_is_no_title():
    prompt = {
        "1": node("KSampler", steps=1, negative=["2", 0], positive=["3", 0]),
        "2": node("CLIPTextEncode", text="blurry"),
        "3": node("CLIPTextEncode", text=" "),
    }
    assert make_plan(prompt, "id").title == "Workflow"
    prompt["3"]["inputs"]["text"] = "sharp"
    assert make_plan(prompt, "id").title == "sharp"
    assert make_plan({"1": node("OpenAIGPTImage1", prompt="a cat")}, "id").title == "a cat"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("a\n\tb\x00\x1b[31m", "a b [31m"),
        ("word " * 40, "word " * 8 + "word…"),
        ("x" * 49, "x" * 47 + "…"),
        ("x" * 48, "x" * 48),
        ("x" * 47 + " y", "x" * 47 + "…"),
        ("a, b, ", "a, b"),
        (" " * 100_000 + "far", "far"),
    ],
)
def test_first_words(text, title):
    assert make_plan({"1": node("CLIPTextEncode", text=text)}, "id").title == title


# --- parameters


def test_parameters_are_the_plain_values():
    parameters = planned("default").parameters
    assert parameters["KSampler.seed"] == 156680208700286
    assert parameters["CLIP Text Encode (Negative).text"] == "text, watermark"
    assert len(parameters) == 13


def test_parameters_with_secret_names_are_left_out():
    parameters = planned("dotted").parameters
    assert not any("api_key" in name for name in parameters)
    prompt = {
        "1": node("A", max_tokens=5, **dict.fromkeys(["token", "hf_token", "password", "model.api_key"], "x"))
    }
    assert make_plan(prompt, "id").parameters == {"A.max_tokens": 5}


def test_parameters_of_twins_go_by_id():
    parameters = planned("duplicate_titles").parameters
    assert (parameters["2.text"], parameters["3.text"]) == ("a bottle", "blurry")
    assert parameters["Save.filename_prefix"] == "a"


@given(GRAPHS)
def test_a_parameters_name_is_a_path_to_its_value(prompt):
    prompt = json.loads(
        json.dumps(prompt).replace("NaN", "0").replace("-Infinity", "0").replace("Infinity", "0")
    )
    if not prompt:
        return
    workflow = Workflow(prompt)
    for path, value in make_plan(workflow.to_api(), "id").parameters.items():
        assert workflow.get(path) == value


def test_a_plan_is_frozen_and_travels():
    plan = planned("default")
    again = pickle.loads(pickle.dumps(plan))  # noqa: S301 - our own bytes
    assert again == plan
    assert again.display_id("3.0.0.1") == "3"
    assert hash(again) == hash(plan)
    with pytest.raises(AttributeError):
        plan.title = "x"


def test_changing_the_workflow_changes_no_plan():
    workflow = Workflow.load(DATA / "default.json")
    plan = make_plan(workflow.to_api(), "id", name=workflow.name)
    workflow["KSampler"].steps = 3
    assert plan.node("3").weight == 20
    assert plan.parameters["KSampler.steps"] == 20
