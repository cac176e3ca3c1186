"""Files of packs of custom nodes: what their pages send is sent here, or told of. One small file per kind."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from comfy_nb.errors import UnknownNode, WorkflowError, WorkflowProblems
from comfy_nb.workflow import Workflow
from comfy_nb.workflow.check import check
from comfy_nb.workflow.classes import Classes
from comfy_nb.workflow.convert import convert
from comfy_nb.workflow.filled import date_text
from comfy_nb.workflow.ui import read_ui
from tests.unit.conversion import read
from tests.unit.test_outputs import file, outputs, picture, text
from tests.unit.test_workflow_ui import BYPASSED, Builder, inputs_of, prompt_of


def pack(inputs, output=(), **more):
    return {"input": inputs, "output": list(output), "python_module": "custom_nodes.a_pack", **more}


FORMATS = {"video/h264-mp4": [["pix_fmt", ["yuv420p", "yuv420p10le"]], ["crf", "INT", {"default": 19}]]}
INFO = {
    **read("object_info"),
    "Power Lora Loader (rgthree)": pack({"required": {}, "optional": {}}, ["MODEL", "CLIP"]),
    "VHS_VideoCombine": pack(
        {
            "required": {
                "frame_rate": ["FLOAT", {"default": 8}],
                "filename_prefix": ["STRING", {}],
                "format": [["image/gif", "video/h264-mp4"], {"formats": FORMATS}],
            }
        },
        output_node=True,
    ),
    "Rows": pack(
        {
            "required": {
                "loras": [
                    "COMFY_DYNAMICGROUP_V3",
                    {
                        "min": 0,
                        "max": 9,
                        "template": {
                            "required": {"name": ["STRING", {}], "strength": ["FLOAT", {"default": 1}]}
                        },
                    },
                ],
                "after": ["INT", {"default": 1}],
            }
        }
    ),
    "Odd": pack({"required": {"a": ["INT", {}], "styles": ["PACK_STYLES", {}], "b": ["STRING", {}]}}),
    "Area": pack(
        {"required": {"text": ["TEXTAREA", {}], "range": ["RANGE", {}], "n": ["INT", {"default": 3}]}}
    ),
}


def converted(builder, **more):
    return convert(read_ui(builder.graph() | more, "the test"), Classes(INFO))


def test_rows_of_loras_are_sent_as_the_page_sends_them():
    rows = [
        {"on": True, "lora": "a", "strength": 0.5, "strengthTwo": None},
        {"on": False, "lora": "b", "strength": 1},
    ]
    values = [{}, {"type": "PowerLoraLoaderHeaderWidget"}, *rows, {}, ""]
    builder = Builder().node(1, "Power Lora Loader (rgthree)", values)
    heading = {"PowerLoraLoaderHeaderWidget": {"type": "PowerLoraLoaderHeaderWidget"}}
    button = {"\N{HEAVY PLUS SIGN} Add Lora": ""}
    first = {"on": True, "lora": "a", "strength": 0.5}
    assert converted(builder).prompt["1"]["inputs"] == {
        **heading,
        "lora_1": first,
        "lora_2": rows[1],
        **button,
    }
    builder.nodes[0]["properties"] = {"Show Strengths": "Separate Model & Clip"}
    assert converted(builder).prompt["1"]["inputs"]["lora_1"] == first | {"strengthTwo": 1}
    assert converted(builder).notes == []


def test_values_with_a_structure_that_nobody_takes_are_an_error_unless_they_are_left_out():
    builder = Builder().node(1, "Odd", [1, "x", {"lora": "a", "on": True}])
    builder.nodes[0]["inputs"] = [{"name": "styles", "type": "PACK_STYLES", "link": None}]
    with pytest.raises(WorkflowProblems, match="it holds 'a dict', which no input of this class takes"):
        Workflow.load(builder.graph(), object_info=INFO)
    wf = Workflow.load(builder.graph(), object_info=INFO, strict=False)
    assert wf["1"].inputs == {"a": 1, "b": "x"}
    assert "it holds 'a dict'" in str(wf.notes)


def test_values_by_name_that_the_class_does_not_declare():
    builder = Builder().node(1, "VHS_VideoCombine")
    builder.nodes[0]["widgets_values"] = {
        "frame_rate": 24,
        "filename_prefix": "v",
        "format": "video/h264-mp4",
        "pix_fmt": "yuv420p10le",
        "crf": 12,
        "trim_to_audio": True,
        "videopreview": {"hidden": False},
    }
    inputs = converted(builder).prompt["1"]["inputs"]
    assert (inputs["pix_fmt"], inputs["crf"], inputs["trim_to_audio"]) == ("yuv420p10le", 12, True)
    assert "videopreview" not in inputs
    wf = Workflow.load(builder.graph(), object_info=INFO)
    wf["1"].crf = 30
    assert wf.ui["nodes"][0]["widgets_values"]["crf"] == 30


def test_texts_that_the_page_fills_in():
    builder = (
        Builder()
        .node(1, "KSampler", [7, "fixed", 20, 8.5, "euler", "normal", 1.0])
        .node(
            2, "SaveImage", ["%date:yyyy-MM-dd%/%KSampler.seed%_%Mine.width%_%width%_%No.such%"], images=None
        )
        .node(3, "EmptyLatentImage", [64, 8, 1], title="Mine")
    )
    wf = Workflow.load(builder.graph(), object_info=INFO)
    wf["KSampler"].seed = 8
    prompt = wf.to_api()
    assert prompt["2"]["inputs"]["filename_prefix"] == f"{datetime.now():%Y-%m-%d}/8_64_%width%_%No.such%"  # noqa: DTZ005
    assert wf["SaveImage"].filename_prefix.startswith("%date")
    assert wf.ui_for(prompt)["nodes"][1]["widgets_values"] == builder.nodes[1]["widgets_values"]
    assert date_text("yy M d hh:mm:ss", datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)) == "26 3 4 05:06:07"


def group(nodes, links, **more):
    return {"extra": {"groupNodes": {"G": {"nodes": nodes, "links": links, "external": []} | more}}}


def inner(kind, values, *ends, outputs=("*",)):
    return {
        "type": kind,
        "widgets_values": values,
        "inputs": [{"name": name, "type": type_, "link": None} for name, type_ in ends],
        "outputs": [{"name": name, "type": name} for name in outputs],
    }


ENDS = [
    ("model", "MODEL"),
    ("positive", "CONDITIONING"),
    ("negative", "CONDITIONING"),
    ("latent_image", "LATENT"),
]
TEXT = inner("CLIPTextEncode", ["in"], ("clip", "CLIP"), outputs=["CONDITIONING"])
SAMPLE = inner("KSampler", [1, "fixed", 20, 8, "euler", "normal", 1], *ENDS, outputs=["LATENT"])


def test_group_nodes_are_written_out():
    values = ["out", 77, "fixed", 30, 7, "dpmpp_2m", "karras", 0.5]
    builder = (
        Builder()
        .node(1, "CheckpointLoaderSimple", ["a"], outputs=("MODEL", "CLIP", "VAE"))
        .node(3, "workflow>G", values, clip=(1, 1), model=(1, 0), negative=None, latent_image=None)
        .node(4, "VAEDecode", samples=(3, 0), vae=(1, 2))
    )
    found = converted(builder, **group([TEXT, SAMPLE], [[0, 0, 1, 1, 5, "CONDITIONING"]]))
    assert found.problems == []
    assert found.prompt["3:0"]["inputs"] == {"text": "out", "clip": ["1", 1]}
    sampler = found.prompt["3:1"]["inputs"]
    assert (sampler["seed"], sampler["cfg"], sampler["model"], sampler["positive"]) == (
        77,
        7,
        ["1", 0],
        ["3:0", 0],
    )
    assert found.prompt["4"]["inputs"] == {"samples": ["3:1", 0], "vae": ["1", 2]}


def test_group_nodes_in_group_nodes_and_values_that_do_not_fit():
    groups = {
        "A": {"nodes": [TEXT], "links": [], "external": []},
        "C": {"nodes": [inner("VAEDecode", [], ("samples", "LATENT"))], "links": [], "external": []},
        "B": {"nodes": [inner("workflow>A", ["mid"], ("clip", "CLIP"))] * 2, "links": [], "external": []},
    }
    builder = (
        Builder(extra={"groupNodes": groups})
        .node(1, "CLIPLoader", ["c", "wan"])
        .node(2, "workflow>B", ["one", "two"], clip=(1, 0))
        .node(5, "workflow/A", ["a", "b", "c"], title="Mine")
        .node(6, "workflow>C")
    )
    found = converted(builder)
    assert [found.prompt[f"2:{n}:0"]["inputs"]["text"] for n in (0, 1)] == ["one", "two"]
    assert found.prompt["2:0:0"]["inputs"]["clip"] == ["1", 0]
    assert found.prompt["5:0"]["inputs"]["text"] == "in"
    assert found.prompt["6:0"]["inputs"] == {}
    assert "Mine (node 5): its 3 values do not fit" in str(found.notes[0])


def test_lists_that_were_saved_as_text():
    hidden = Builder().node(5, "EmptyLatentImage", [1, 2, 3]).definition("key")
    builder = Builder(definitions={"subgraphs": [hidden]}).node(1, "key", [77])
    builder.nodes[0]["properties"] = {"proxyWidgets": '[["5", "height"]]'}
    builder.nodes[0]["widgets_values"] = "[77]"
    assert inputs_of(builder.graph(), "1:5")["height"] == 77


def test_nodes_of_the_page_hand_on_what_comes_in():
    builder = (
        Builder()
        .node(1, "VAELoader", ["a"], outputs=("VAE",))
        .node(2, "SetNode", ["v"], VAE=(1, 0))
        .node(3, "Reroute (rgthree)", **{"": (2, 0)})
        .node(4, "VAEDecode", vae=(3, 0))
        .node(5, "GetNode", ["nobody"])
        .node(6, "VAEDecode", samples=(5, 0))
        .node(7, "PrimitiveNode", [512, "fixed"])
        .node(8, "Reroute", **{"": (7, 0)})
        .node(9, "EmptyLatentImage", [64, 64, 1], width=(8, 0))
    )
    found = converted(builder)
    assert found.prompt.keys() == {"1", "4", "6", "9"}
    assert found.prompt["4"]["inputs"] == {"vae": ["1", 0]}
    assert found.prompt["9"]["inputs"]["width"] == 512
    assert len(found.notes) == 1
    assert "it is linked to a GetNode whose name 'nobody' no SetNode has" in str(found.notes[0])


def test_labels_and_switches_of_packs_run_nowhere():
    builder = (
        Builder()
        .node(1, "VAELoader", ["a"])
        .node(2, "Fast Groups Muter (rgthree)", outputs=("OPT_CONNECTION",))
        .node(3, "A Label", ["text"])
        .node(4, "Mute / Bypass Repeater (rgthree)", x=(1, 0))
    )
    found = converted(builder)
    assert found.prompt.keys() == {"1"}
    assert found.problems == []
    assert "A Label (node 3): the server has no class 'A Label'" in str(found.notes[0])


def broadcast(kind="Anything Everywhere", values=(), **more):
    builder = (
        Builder()
        .node(1, "VAELoader", ["a"], outputs=("VAE",))
        .node(2, kind, values, anything=(1, 0))
        .node(3, "VAEDecode", samples=None, vae=None, title="Mine")
        .node(4, "VAEDecode", samples=None, vae=None)
    )
    for node in builder.nodes[2:]:
        node["inputs"][1]["type"] = "VAE"
    return {node_id: node["inputs"] for node_id, node in converted(builder, **more).prompt.items()}


def test_anything_everywhere():
    there = {"vae": ["1", 0]}
    assert broadcast() == {"1": {"vae_name": "a"}, "3": there, "4": there}
    assert broadcast("Anything Everywhere?", ["Mine", ".*", ".*"])["4"] == {}
    assert broadcast("Anything Everywhere?", ["Mine", ".*", ".*"])["3"] == there
    listed = {
        "downstream": 4,
        "downstream_slot": 1,
        "upstream": 1,
        "upstream_slot": 0,
        "controller": 2,
        "type": "VAE",
    }
    found = broadcast(extra={"ue_links": [listed]})
    assert (found["3"], found["4"]) == ({}, there)


def test_values_by_name_beside_those_by_order():
    builder = Builder().node(1, "EmptyLatentImage", [1, 2, 3])
    builder.nodes[0]["widgets_values_named"] = {"batch_size": 1, "width": 2, "height": 3}
    wf = Workflow.load(builder.graph(), object_info=INFO)
    assert wf["1"].inputs == {"width": 2, "height": 3, "batch_size": 1}
    wf["1"].height = 9
    node = wf.ui["nodes"][0]
    assert node["widgets_values"] == [1, 2, 9]
    assert node["widgets_values_named"]["height"] == 9


def test_values_in_another_order_go_by_the_names_of_the_inputs():
    names = ["sampler_name", "scheduler", "steps", "cfg", "denoise", "seed"]
    builder = Builder().node(1, "KSampler", ["euler", "normal", 20, 8, 1.0, 7, "randomize"])
    builder.nodes[0]["inputs"] = [
        {"name": n, "type": "*", "link": None, "widget": {"name": n}} for n in names
    ]
    found = converted(builder)
    assert found.prompt["1"]["inputs"] == dict(zip(names, ["euler", "normal", 20, 8, 1.0, 7], strict=True))
    assert "another order" in str(found.notes[0])
    assert "unless it is set to comfy_nb.RANDOM" in str(found.notes[1])


def test_kinds_of_widgets_beside_the_old_ones():
    assert converted(Builder().node(1, "Area", ["t", {"min": 0}, 5])).prompt["1"]["inputs"] == {
        "text": "t",
        "range": {"min": 0},
        "n": 5,
    }
    assert converted(Builder().node(1, "Odd", [1, "s", "x"])).prompt["1"]["inputs"] == {
        "a": 1,
        "styles": "s",
        "b": "x",
    }
    rows = converted(Builder().node(1, "Rows", [2, "a", 0.5, "b", 1, 9])).prompt["1"]["inputs"]
    assert rows == {
        "loras.0.name": "a",
        "loras.0.strength": 0.5,
        "loras.1.name": "b",
        "loras.1.strength": 1,
        "after": 9,
    }


def test_an_id_that_is_there_twice():
    builder = Builder().node(5, "VAELoader", ["a"]).node(5, "VAEDecode", vae=(5, 0))
    found = converted(builder)
    assert found.prompt["6"]["inputs"] == {"vae": ["5", 0]}
    assert "its id '5' is there twice, so it was numbered 6" in str(found.notes[0])


# -- the check -----------------------------------------------------------------------------------------------------


def checked(kind, inputs, **more):
    info = INFO | more
    node = {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}
    return check({"1": node}, Classes({kind: info[kind]}))


def test_what_is_only_likely_is_no_reason_not_to_send():
    info = pack({"required": {"a": ["INT", {"max": 5}], "pick": [["x", "y"], {}]}}, output_node=True)
    found = checked("Judge", {"a": 9, "pick": "z"}, Judge=info)
    assert len(found) == 2
    assert found.certain == ()
    assert found.likely == found
    core = checked("Judge", {"a": 9, "pick": "z"}, Judge=info | {"python_module": "nodes"})
    assert len(core.certain) == 2


def test_a_dynamic_combo_that_is_absent_is_not_demanded():
    assert checked(
        "SaveVideo", {"video": ["1", 0], "filename_prefix": "v", "format": "auto", "codec": "auto"}
    ) == (checked("SaveVideo", {"video": ["1", 0], "filename_prefix": "v", "format": "auto"}))
    found = str(checked("SaveVideo", {"filename_prefix": "v", "format": "auto", "codec": "auto"}))
    assert "format.codec" not in found
    assert "'video': it is required and missing" in found


def test_a_type_that_nothing_makes_is_a_widget_of_a_pack():
    info = pack({"required": {"styles": ["PACK_STYLES", {}]}}, output_node=True)
    assert checked("Styled", {"styles": "a,b"}, Styled=info) == ()
    rows = INFO["Rows"] | {"output_node": True}
    inputs = {"loras.0.name": "a", "loras.0.strength": 1, "after": 1}
    assert checked("Rows", inputs, Rows=rows) == ()
    assert "loras.0.strength" in str(checked("Rows", {"loras.0.name": "a", "after": 1}, Rows=rows))


def test_a_seed_of_minus_one_names_the_remedy():
    found = checked(
        "RandomNoise", {"noise_seed": -1}, RandomNoise=INFO["RandomNoise"] | {"output_node": True}
    )
    assert "-1 is too small (allowed: 0 to 18446744073709551615); for a new seed" in str(found)


# -- mute, bypass, roles -------------------------------------------------------------------------------------------

API = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a"}},
    "2": {"class_type": "LoraLoader", "inputs": {"lora_name": "l", "model": ["1", 0], "clip": ["1", 1]}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "good", "clip": ["2", 1]}},
    "4": {"class_type": "CLIPTextEncode", "inputs": {"text": "bad", "clip": ["2", 1]}},
    "5": {"class_type": "ControlNetApply", "inputs": {"conditioning": ["3", 0]}},
    "6": {
        "class_type": "KSampler",
        "inputs": {"model": ["2", 0], "positive": ["5", 0], "negative": ["4", 0]},
    },
    "7": {"class_type": "VAEDecode", "inputs": {"samples": ["6", 0], "vae": ["1", 2]}},
}


def test_bypass_mute_and_restore():
    wf = Workflow(API)
    before = wf.to_api()
    wf["LoraLoader"].bypass()
    prompt = wf.to_api()
    assert "2" not in prompt
    assert prompt["3"]["inputs"]["clip"] == ["1", 1]
    assert prompt["6"]["inputs"]["model"] == ["1", 0]
    assert wf.copy().to_api() == prompt
    wf["LoraLoader"].restore()
    assert wf.to_api() == before
    wf["4"].mute()
    assert "negative" not in wf.to_api()["6"]["inputs"]
    wf["4"].restore()
    wf["6"].bypass()
    with pytest.raises(
        WorkflowError, match="'KSampler' cannot be bypassed, as nobody knows the types of its 3"
    ):
        wf.to_api()


def test_a_bypass_goes_by_types_where_they_are_known():
    builder = (
        Builder()
        .node(1, "EmptyLatentImage", [8, 8, 1], outputs=("LATENT",))
        .node(
            2, "KSampler", [7, "fixed", 20, 8.5, "euler", "normal", 1], latent_image=(1, 0), positive=(1, 0)
        )
        .node(3, "VAEDecode", samples=(2, 0))
    )
    wf = Workflow.load(builder.graph(), object_info=INFO)
    wf["KSampler"].bypass()
    assert wf.to_api()["3"]["inputs"] == {"samples": ["1", 0]}
    builder.nodes[1]["mode"] = BYPASSED
    assert prompt_of(builder.graph())["3"]["inputs"] == {"samples": ["1", 0]}


def test_texts_are_found_by_their_role():
    wf = Workflow(API)
    assert (wf["Positive"].id, wf["Negative"].id) == ("3", "4")
    wf.set({"Positive.text": "better"})
    assert wf["3"].text == "better"
    wf["KSampler"].negative = wf["3"]
    with pytest.raises(UnknownNode):
        wf["Negative"]
    titled = Workflow({**API, "9": {"class_type": "A", "inputs": {}, "_meta": {"title": "Positive"}}})
    assert titled["Positive"].id == "9"


def test_an_output_of_a_job_is_a_value():
    wf = Workflow({**API, "8": {"class_type": "LoadImage", "inputs": {"image": "old.png"}}})
    wf["LoadImage"].image = outputs(file("made.png", picture()))[0]
    assert wf["LoadImage"].image.endswith(".png")
    assert wf.uploads == {wf["LoadImage"].image: picture()}
    wf["3"].text = outputs(text("from a job"))[0]
    assert wf["3"].text == "from a job"
