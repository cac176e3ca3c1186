"""Workflow and its node handles: reading, finding by name, setting."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from comfy_nb.errors import (
    AmbiguousName,
    NotAWorkflow,
    UnknownInput,
    UnknownNode,
    WorkflowError,
)
from comfy_nb.workflow import Link, Workflow

DATA = Path(__file__).parent.parent / "data" / "workflows"


def api(name: str) -> dict:
    return json.loads((DATA / f"{name}.json").read_text())


@pytest.fixture
def wf() -> Workflow:
    return Workflow.load(DATA / "default.json")


@pytest.fixture
def twins() -> Workflow:
    return Workflow.load(DATA / "duplicate_titles.json")


@pytest.fixture
def dotted() -> Workflow:
    return Workflow.load(DATA / "dotted.json")


def short(value: object) -> str:
    """The id of a parameter; some are megabytes, or numbers too long to print."""
    return ascii(value[:40]) if isinstance(value, str) else type(value).__name__


def node(class_type: str, title: str | None = None, **inputs: object) -> dict:
    meta = {} if title is None else {"_meta": {"title": title}}
    return {"class_type": class_type, "inputs": inputs, **meta}


# --- loading


@pytest.mark.parametrize("make", [Path, str, lambda p: p.read_text(), lambda p: p.read_bytes()])
def test_load_takes_path_text_and_bytes(make):
    assert Workflow.load(make(DATA / "default.json")).to_api() == api("default")


def test_load_takes_a_dict_and_a_post_body():
    prompt = api("default")
    assert Workflow.load(prompt).to_api() == prompt
    assert Workflow.load({"client_id": "x", "prompt": prompt}).to_api() == prompt
    assert Workflow.load(json.dumps({"prompt": prompt})).to_api() == prompt


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_load_reads_what_editors_write(tmp_path, encoding):
    file = tmp_path / "é.json"
    file.write_text("\n " + json.dumps({"1": node("A", "Größe", x="é😀")}, ensure_ascii=False), encoding)
    assert Workflow.load(file)["Größe"].x == "é😀"
    assert Workflow.load(file).name == "é"


def test_a_dict_is_copied_both_ways(wf):
    prompt = api("default")
    loaded = Workflow(prompt)
    prompt["3"]["inputs"]["seed"] = 0
    assert loaded["KSampler"].seed == 156680208700286
    sent = loaded.to_api()
    sent["3"]["inputs"]["model"][0] = "gone"
    sent["3"]["_meta"]["title"] = "gone"
    assert loaded.to_api()["3"] == api("default")["3"]
    twin = loaded.copy()
    twin["KSampler"].seed = 1
    assert loaded["KSampler"].seed == 156680208700286


def test_every_node_gets_a_title(twins):
    assert twins.to_api()["4"]["_meta"] == {"title": "EmptyLatentImage"}
    assert all(n["_meta"]["title"] for n in twins.to_api().values())
    assert Workflow({"1": node("A", "  ")})[1].title == "A"


def test_what_the_server_does_not_need_is_left_out():
    prompt = json.loads(
        '{"1": {"class_type": "A", "inputs": {}, "is_changed": [NaN], "_meta": {"title": "T"}}}'
    )
    assert Workflow(prompt).to_api() == {"1": node("A", "T")}


def test_a_node_named_prompt_is_a_node():
    assert Workflow({"prompt": node("A", x=1)})["prompt"].x == 1


UI = (DATA / "ui_format.json").read_text()


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("nowhere.json", "There is no file nowhere.json."),
        ("no/where", "There is no file no/where."),
        ("~nobody", "There is no file ~nobody."),
        (
            "a castle at sunset",
            """that looks like a prompt: comfy.submit(cn.example(), {"Positive.text": …}), or cn.imagine(…).""",
        ),
        ("castle", "There is no file 'castle'; that looks like a prompt: "),
        ("a castle,\na moat.", "There is no file 'a castle,\\na moat.'; that looks like a prompt: "),
        ("a castle and a moat, " * 30, "that looks like a prompt: "),
        (" ", "The text is empty."),
        ("12", "There is no file 12."),
        (str(DATA), f"{DATA} is not a file."),
        ("a\0b", "embedded null"),
        ("", "The text is empty."),
        (b" \n", "The data is empty."),
        ('{"1":\n  {,}}', "The text is not JSON: line 2, column 4: "),
        ("{'1': 2}", "The text is not JSON: line 1, column 2: "),
        (b'{"\xff": 1}', "The data is not JSON: byte 2 is not utf-8 text."),
        ('{"\ud800": 1}', "is not utf-8 text."),
        ("[1]", "The text holds a list; an API-format workflow is an object with one entry per node"),
        ("\n3", "The text holds a single value"),
        ("{}", "The text holds no nodes."),
        (UI, "The text is in ComfyUI's UI format; in ComfyUI use Workflow > Export (API) and load that file"),
        (b"\x89PNG\r\n\x1a\n", "The data holds no workflow: ComfyUI did not make it"),
        ('{"1":' * 100_000, "The text is nested too deeply"),
        ('{"1": ' + "1" * 5000 + "}", "more digits than can be read"),
        (
            '{"1": {"class_type": "A", "inputs": {"x": NaN}}}',
            "node '1', input 'x' holds a number that JSON cannot",
        ),
        (
            '{"1": {"class_type": "A", "inputs": {"x": [1e999]}}}',
            "node '1', input 'x' holds a number that JSON",
        ),
        (
            '{"1": {"class_type": "A", "inputs": {"x": "\\ud800"}}}',
            "input 'x' holds half of a surrogate pair",
        ),
        (
            '{"1": 5}',
            """node '1' is not an object with "class_type" and "inputs", so this is not API format""",
        ),
        ('{"1": {"inputs": {}}}', """node '1' has no "class_type", so this is not API format"""),
        ('{"1": {"class_type": 3, "inputs": {}}}', """node '1' has no "class_type", so"""),
        ('{"1": {"class_type": "A"}}', """node '1' (A) has no "inputs" object, so"""),
        ('{"prompt": {"7": []}}', """The "prompt" of the text: node '7' is not"""),
        ({"1": node("A"), 1: node("A")}, "The dict: node '1' is there twice."),
        ({"1": node("A", x=object())}, "The dict: node '1', input 'x' cannot hold a value of type object"),
        (7, "not of type int."),
    ],
    ids=short,
)
def test_what_cannot_be_loaded_is_one_sentence(source, sentence):
    with pytest.raises(NotAWorkflow) as caught:
        Workflow.load(source)
    text = str(caught.value)
    assert sentence in text
    assert text.endswith(".")
    assert "\n" not in text
    assert len(text) < 400


def test_too_large_is_refused_unread(tmp_path):
    file = tmp_path / "large.json"
    with file.open("wb") as out:
        out.write(b"{")
        out.truncate(64 * 1024**2 + 1)
    with pytest.raises(NotAWorkflow, match="larger than 64 MB"):
        Workflow.load(file)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
ALMOST_NODES = st.fixed_dictionaries(
    {"class_type": st.text(max_size=3), "inputs": st.dictionaries(st.text(max_size=3), JSON, max_size=3)},
    optional={"_meta": JSON | st.fixed_dictionaries({"title": JSON}), "is_changed": JSON},
)
ALMOST_PROMPTS = st.dictionaries(
    st.sampled_from(["1", "2:3", "nodes", "prompt"]), ALMOST_NODES | JSON, max_size=3
)


@given(JSON | ALMOST_PROMPTS | st.fixed_dictionaries({"prompt": ALMOST_PROMPTS}))
def test_any_json_is_a_workflow_or_not_one(value):
    try:
        loaded = Workflow.load(json.dumps(value))
    except NotAWorkflow:
        return
    assert Workflow(loaded.to_api()).to_api() == loaded.to_api()
    json.dumps(loaded.to_api(), allow_nan=False)
    assert repr(loaded)


# --- finding nodes


def test_by_title_class_and_id(wf):
    assert wf["CLIP Text Encode (Positive)"].id == "6"
    assert wf["CheckpointLoaderSimple"].id == "4"
    assert wf["9"] == wf[9] == wf["SaveImage"]
    assert Workflow.load(DATA / "subgraph.json")["12:7:2"].class_type == "SamplerCustomAdvanced"
    assert len(wf) == 7
    assert [n.id for n in wf] == ["3", "4", "5", "6", "7", "8", "9"]
    assert "KSampler" in wf
    assert "3" in wf
    assert "nothing" not in wf


def test_nodes_by_class_or_title(twins):
    assert [n.id for n in twins.nodes(class_type="KSampler")] == ["5", "7"]
    assert [n.id for n in twins.nodes(title="Save", class_type="SaveImage")] == ["9"]
    assert len(twins.nodes()) == len(twins)


def test_an_ambiguous_name_shows_its_readings(twins):
    with pytest.raises(AmbiguousName) as caught:
        twins["Prompt"]
    text = str(caught.value)
    assert "'Prompt' (node 2, CLIPTextEncode)" in text
    assert "'Prompt' (node 3, CLIPTextEncode)" in text
    with pytest.raises(AmbiguousName, match=r"node 2.*node 3"):
        twins["CLIPTextEncode"]


def test_the_title_that_comfyui_gives_beats_the_class(twins):
    assert twins["KSampler"].id == "5"  # 7 is a KSampler too, but titled "Finish"


def test_a_title_that_is_another_nodes_class_or_id_is_ambiguous():
    wf = Workflow({"1": node("A", "B"), "2": node("B", "other"), "3": node("C", "1")})
    for name in ("B", "1"):
        with pytest.raises(AmbiguousName):
            wf[name]
    assert wf[1].title == "B"  # a number is always an id


def test_an_unknown_node_lists_what_there_is_nearest_first(wf):
    with pytest.raises(UnknownNode) as caught:
        wf["KSampleer"]
    text = str(caught.value)
    assert text.startswith("There is no node 'KSampleer'; the nodes are 'KSampler' (node 3), ")
    assert all(f"'{n.title}' (node {n.id})" in text for n in wf)


def test_long_lists_are_cut():
    wf = Workflow({str(i): node("A", f"title {i}" + "x" * 1000) for i in range(100)})
    with pytest.raises(UnknownNode) as caught:
        wf["nothing"]
    assert "and 88 more" in str(caught.value)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize("name", ["KSampler.cfg", None, 99, True, ("3",)])
def test_odd_names_are_unknown(wf, name):
    with pytest.raises(UnknownNode):
        wf[name]


def test_a_path_is_not_a_node(wf):
    with pytest.raises(UnknownNode, match=r"an input's path, not a node; use it with get\(\) or set\(\)"):
        wf["KSampler.cfg"]


# --- inputs


def test_attributes_are_sugar_for_items(wf):
    sampler = wf["KSampler"]
    sampler.seed = 7
    sampler["cfg"] = 5.5
    assert (sampler["seed"], sampler.cfg) == (7, 5.5)
    assert wf.to_api()["3"]["inputs"]["seed"] == 7
    assert "seed" in dir(sampler)
    assert "seed" in sampler
    assert sampler._ipython_key_completions_() == list(sampler) == list(api("default")["3"]["inputs"])
    assert {"KSampler", "VAE Decode", "9"} <= set(wf._ipython_key_completions_())


def test_the_nodes_own_names_are_not_inputs(dotted):
    provider = dotted["Provider"]
    assert provider.title == "Provider"
    assert provider["title"] == "an input named as an attribute is"
    with pytest.raises(AttributeError, match=r"use node\['title'\]"):
        provider.title = "x"
    provider["title"] = "x"
    assert provider["title"] == "x"
    assert "mode.steps" not in dir(provider)


def test_an_unknown_input_lists_what_there_is_nearest_first(wf):
    expected = "'KSampler' (node 3) has no input 'cgf'; its inputs are 'cfg', "
    with pytest.raises(UnknownInput) as caught:
        wf["KSampler"].cgf = 1
    assert str(caught.value).startswith(expected)
    with pytest.raises(KeyError, match="scheduler"):
        wf["KSampler"]["cgf"]
    assert not hasattr(wf["KSampler"], "cgf")
    assert wf.to_api() == api("default")


def test_add_input_is_the_explicit_way(wf):
    wf["KSampler"].add_input("new.one", 1)
    assert wf["KSampler"]["new.one"] == 1
    assert wf.get("KSampler.new.one") == 1


def test_links_are_read_set_and_cut(wf):
    sampler = wf["KSampler"]
    assert sampler.model == Link("4", 0) == ("4", 0)
    sampler.positive = wf["CLIP Text Encode (Negative)"]
    sampler.negative = (wf[6], np.int64(0))
    wf["VAE Decode"].vae = ("4", 2)
    wf[6].clip = ["4", 1]
    sampler.latent_image = wf["VAE Decode"].samples
    sampler.model = (4, 1)
    inputs = wf.to_api()["3"]["inputs"]
    assert inputs["positive"] == ["7", 0]
    assert inputs["negative"] == ["6", 0]
    assert inputs["latent_image"] == ["3", 0]
    assert inputs["model"] == ["4", 1]
    assert wf.to_api()["6"]["inputs"]["clip"] == ["4", 1]
    sampler.positive = "cut"
    assert wf.get("3.positive") == "cut"
    assert sampler.inputs["model"] == Link("4", 1)


def test_a_link_must_lead_somewhere(wf):
    with pytest.raises(UnknownNode, match="leads nowhere"):
        wf["KSampler"].model = ("99", 0)
    with pytest.raises(WorkflowError, match="another workflow"):
        wf["KSampler"].model = wf.copy()[4]


def test_a_list_value_is_wrapped_for_the_server(dotted):
    provider = dotted["Provider"]
    assert provider["mode.size"] == [512, 768]
    provider["mode.size"] = [1, 2]
    assert dotted.to_api()["2"]["inputs"]["mode.size"] == {"__value__": [1, 2]}
    provider["mode.size"].append(3)
    assert provider["mode.size"] == [1, 2]
    provider["mode"] = {"a": (1, np.float32(0.5))}
    assert dotted.to_api()["2"]["inputs"]["mode"] == {"a": [1, 0.5]}


@pytest.mark.parametrize(
    ("value", "kind", "plain"),
    [
        (np.int64(7), int, 7),
        (np.float32(0.5), float, 0.5),
        (np.float64(0.5), float, 0.5),
        (np.bool_(True), bool, True),
        (np.str_("a"), str, "a"),
        (np.array(3), int, 3),
    ],
)
def test_numpy_scalars_become_pythons(wf, value, kind, plain):
    wf["KSampler"].seed = value
    stored = wf.to_api()["3"]["inputs"]["seed"]
    assert type(stored) is kind
    assert stored == plain


CYCLE: list = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "a number that JSON cannot carry"),
        ([float("inf")], "a number that JSON cannot carry"),
        (np.float32("nan"), "a number that JSON cannot carry"),
        (10**5000, "a number that JSON cannot carry"),
        (Image.new("RGB", (2, 2)), "cannot hold a value of type Image; allowed are"),
        (np.zeros(3), "cannot hold a value of type ndarray"),
        ([{"a": b"bytes"}], "cannot hold a value of type bytes"),
        (Path("a.png"), "a picture or file is uploaded first"),
        ({(1,): 2}, "cannot hold a dict whose keys are not text"),
        ("\ud800", "half of a surrogate pair"),
        (CYCLE, "contains itself"),
    ],
    ids=short,
)
def test_other_values_are_refused_in_one_sentence(wf, value, reason):
    with pytest.raises(WorkflowError) as caught:
        wf["KSampler"].seed = value
    assert str(caught.value).startswith("'KSampler' (node 3), input 'seed' ")
    assert reason in str(caught.value)
    assert wf.to_api() == api("default")


# --- paths


def test_set_and_get_by_path(wf):
    assert wf.set({"KSampler.cfg": 5, "6.text": "a", "SaveImage.filename_prefix": "b"}) is wf
    assert (wf[3].cfg, wf[6].text, wf.get("Save Image.filename_prefix")) == (5, "a", "b")


def test_set_is_all_or_nothing(wf):
    for bad in ({"KSampler.cgf": 1}, {"Nobody.cfg": 1}, {"KSampler.cfg": float("nan")}, {"3.seed": 2}):
        with pytest.raises(WorkflowError):
            wf.set({"KSampler.seed": 1, **bad})
    assert wf.to_api() == api("default")


def test_the_longest_title_wins(dotted):
    # "Provider" has an input "mode.steps", "Provider.mode" one named "steps".
    dotted.set({"Provider.mode.steps": 1, "Load v1.5.image": "x"})
    assert dotted["Provider.mode"].steps == 1
    assert dotted["Provider"]["mode.steps"] == 8
    assert dotted["Load v1.5"].image == "x"
    # Only the shorter title has this one.
    assert dotted.get("Provider.mode.size") == [512, 768]


def test_two_readings_of_a_path_are_shown(twins):
    with pytest.raises(AmbiguousName, match=r"'Prompt.text' can mean .*node 2.*node 3"):
        twins.set({"Prompt.text": "a"})
    # One of the two nodes titled "Save" has the input, so the path has one reading.
    assert twins.get("Save.filename_prefix") == "a"


@pytest.mark.parametrize(
    ("path", "error", "sentence"),
    [
        (
            "KSampler",
            UnknownNode,
            "'KSampler' is not a node's name, a dot and an input; the nodes are 'KSampler'",
        ),
        ("", UnknownNode, "'' is not a node's name"),
        (7, UnknownNode, "'7' is not a node's name"),
        ("Sampler.cfg", UnknownNode, "the nodes are 'KSampler'"),
        ("KSampler.", UnknownInput, "has no input ''"),
        ("KSampler.cfg.x", UnknownInput, "'KSampler' (node 3) has no input 'cfg.x'; its inputs are 'cfg'"),
    ],
)
def test_paths_that_lead_nowhere(wf, path, error, sentence):
    with pytest.raises(error) as caught:
        wf.get(path)
    assert sentence in str(caught.value)


NAMES = st.text(st.sampled_from("ab. 1"), min_size=1, max_size=5)
GRAPHS = st.dictionaries(
    NAMES,
    st.builds(
        lambda class_type, title, names: node(class_type, title, **dict.fromkeys(names, 0)),
        NAMES,
        st.none() | NAMES,
        st.lists(NAMES, max_size=4),
    ),
    min_size=1,
    max_size=6,
)


@given(GRAPHS, st.text(st.sampled_from("ab. 1"), max_size=12))
def test_a_path_sets_what_it_gets_and_nothing_else(prompt, path):
    """The oracle tries every node, name and input by itself."""
    wf = Workflow(prompt)
    readings: dict[int, set[tuple[str, str]]] = {}
    for n in wf:
        for name in {n.id, n.title, n.class_type}:
            for input_name in n:
                if f"{name}.{input_name}" == path:
                    readings.setdefault(len(name), set()).add((n.id, input_name))
    longest = readings[max(readings)] if readings else set()
    before = wf.to_api()
    try:
        wf.set({path: 1})
    except AmbiguousName:
        assert len(longest) != 1
        assert wf.to_api() == before
    except (UnknownNode, UnknownInput):
        assert not longest
        assert wf.to_api() == before
    else:
        assert wf.get(path) == 1
        changed = [
            (node_id, name)
            for node_id, n in wf.to_api().items()
            for name, value in n["inputs"].items()
            if value != before[node_id]["inputs"][name]
        ]
        assert len(changed) == 1
        assert changed[0] in longest
        if len(longest) > 1:  # the one exception: a node titled as its class
            chosen = next(n for n in wf if n.id == changed[0][0])
            assert chosen.title == chosen.class_type


# --- text, copies


def test_repr_is_a_table_of_settable_inputs(wf, dotted):
    lines = repr(wf).splitlines()
    assert lines[0] == "Workflow 'default', 7 nodes"
    assert lines[1].split() == ["id", "title", "class", "settable", "inputs"]
    row = next(line for line in lines if line.startswith("3 "))
    assert "seed=156680208700286, steps=20, cfg=8, sampler_name='euler'" in row
    assert "model" not in row
    assert "text='beautiful scenery nature glass bottle l…'" in repr(wf)
    assert "mode.size=[512, 768]" in repr(dotted)
    assert "model←4[0]" in repr(wf["KSampler"])


def test_nothing_secret_and_nothing_hostile_is_shown(dotted):
    assert "sk-not" not in repr(dotted) + repr(dotted["Provider"])
    assert "api_key=…" in repr(dotted)
    hostile = Workflow({"1": node("A", "x\n\x1b[31m\u202e", text="\x1b]0;\n" * 10**5)})
    assert not any(ord(c) < 32 and c != "\n" for c in repr(hostile) + repr(hostile[1]))
    assert len(repr(hostile).splitlines()) == 3
    assert len(repr(hostile)) < 300
    assert len(repr(Workflow({str(i): node("A") for i in range(5000)})).splitlines()) < 70


def test_copies_and_pickles_keep_nodes_and_workflow_together(wf):
    for twin in (copy.deepcopy(wf), pickle.loads(pickle.dumps(wf))):  # noqa: S301 - our own bytes
        assert twin.to_api() == wf.to_api()
        assert twin[3] != wf[3]
    again, handle = pickle.loads(pickle.dumps((wf, wf[3])))  # noqa: S301 - our own bytes
    handle.seed = 5
    assert again[3].seed == 5
    assert wf[3].seed != 5
    assert wf[3] == wf["KSampler"]
    assert len({wf[3], wf["KSampler"]}) == 1


def test_a_list_that_a_server_unwrapped_is_wrapped_again():
    # A server saves ["", ""] where {"__value__": ["", ""]} was sent, and would take it back for a broken link.
    wf = Workflow({"1": node("ImageCompare", compare_view=["", ""], image_a=["1", 0])})
    assert wf.to_api()["1"]["inputs"] == {"compare_view": {"__value__": ["", ""]}, "image_a": ["1", 0]}
    assert wf["ImageCompare"].compare_view == ["", ""]
