"""What a server would refuse, found before: every fault at once, by title."""

from __future__ import annotations

import re
import time

import pytest

from comfy_nb.workflow.check import check
from tests.unit.conversion import classes, read

GRAPH = {
    "1": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512, "batch_size": 1}},
    "2": {"class_type": "VAELoader", "inputs": {"vae_name": "pixel_space"}},
    "3": {"class_type": "VAEDecode", "inputs": {"samples": ["1", 0], "vae": ["2", 0]}},
    "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}},
}


def graph(**changes):
    """The graph with inputs set by `node_input`; None takes one away, a class_type makes a node."""
    prompt = {
        key: {**node, "inputs": dict(node["inputs"]), "_meta": {"title": f"Title {key}"}}
        for key, node in GRAPH.items()
    }
    for path, value in changes.items():
        key, _, name = path.lstrip("_").partition("_")
        if name == "":
            prompt[key] = {"class_type": value, "inputs": {}, "_meta": {"title": f"Title {key}"}}
        elif value is None:
            del prompt[key]["inputs"][name]
        else:
            prompt[key]["inputs"][name] = value
    return prompt


def faults(**changes):
    return [str(problem) for problem in check(graph(**changes), classes())]


def test_a_good_prompt_has_no_faults():
    assert check(graph(), classes()) == ()
    assert repr(check(graph(), classes())) == "no problems found"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"_1_width": 8}, "Title 1 (node 1), input 'width': 8 is too small (allowed: 16 to 16384)"),
        ({"_1_width": "99999"}, "Title 1 (node 1), input 'width': 99999 is too big (allowed: 16 to 16384)"),
        (
            {"_1_width": "wide"},
            "Title 1 (node 1), input 'width': it is 'wide', which is not a whole number (allowed: 16 to 16384)",
        ),
        (
            {"_1_width": {"a": 1}},
            "Title 1 (node 1), input 'width': it is {'a': 1}, which is not a whole number",
        ),
        ({"_3_vae": None}, "Title 3 (node 3), input 'vae': it is required and missing"),
        ({"_3_vae": "text"}, "Title 3 (node 3), input 'vae': it takes a link to VAE, not the value 'text'"),
        (
            {"_3_vae": ["9", 0]},
            "Title 3 (node 3), input 'vae': it is linked to node '9', which is not in the workflow",
        ),
        (
            {"_3_vae": ["2", 1]},
            "Title 3 (node 3), input 'vae': it is linked to output 1 of 'Title 2', which has 1 output, counted from 0",
        ),
        ({"_3_vae": ["1", 0]}, "Title 3 (node 3), input 'vae': it takes VAE, but 'Title 1' gives LATENT"),
        ({"_2_vae_name": "ae.safetensors"}, "'ae.safetensors' is not in the list (allowed: 'pixel_space')"),
    ],
)
def test_each_fault_has_its_sentence(changes, fault):
    assert any(fault in found for found in faults(**changes)), faults(**changes)


def test_all_faults_are_told_at_once():
    found = faults(_1_width=8, _1_height="x", _4_filename_prefix=None, _2_vae_name="none")
    assert len(found) == 4


def test_an_unknown_class_comes_with_the_nearest():
    found = faults(_2="VAELoadr")
    assert "Title 2 (node 2): the server has no class 'VAELoadr'; the nearest are 'VAELoader', " in found[0]


def test_a_wrong_choice_comes_with_the_nearest():
    prompt = graph()
    prompt["5"] = {
        "class_type": "KSamplerSelect",
        "inputs": {"sampler_name": "eulr"},
        "_meta": {"title": "S"},
    }
    prompt["1"]["inputs"]["batch_size"] = ["5", 0]  # so that it counts
    assert any(
        "'eulr' is not in the list; the nearest are 'euler', " in str(found)
        for found in check(prompt, classes())
    )


def test_what_leads_to_no_output_is_not_checked_as_the_server_does_not_either():
    prompt = graph()
    prompt["5"] = {"class_type": "VAEDecode", "inputs": {}, "_meta": {"title": "Loose"}}
    assert check(prompt, classes()) == ()
    prompt["5"]["class_type"] = "Unknown"
    assert len(check(prompt, classes())) == 1


def test_a_workflow_must_put_something_out():
    prompt = graph()
    del prompt["4"]
    assert [str(problem) for problem in check(prompt, classes())] == [
        "no node puts anything out, such as Save Image or Preview Image"
    ]


def test_nodes_that_wait_for_each_other():
    prompt = graph()
    prompt["5"] = {"class_type": "ImageInvert", "inputs": {"image": ["6", 0]}, "_meta": {"title": "Five"}}
    prompt["6"] = {"class_type": "ImageInvert", "inputs": {"image": ["5", 0]}, "_meta": {"title": "Six"}}
    prompt["4"]["inputs"]["images"] = ["5", 0]
    assert [str(problem) for problem in check(prompt, classes())] == [
        "Five (node 5): it waits for itself: Five ← Six ← Five"
    ]


def test_uploads_and_remote_lists_are_left_to_the_server():
    prompt = graph()
    prompt["5"] = {
        "class_type": "LoadImage",
        "inputs": {"image": "sub/new.png [temp]"},
        "_meta": {"title": "L"},
    }
    prompt["4"]["inputs"]["images"] = ["5", 0]
    assert check(prompt, classes()) == ()


def test_dynamic_inputs_are_looked_into():
    prompt = graph()
    inputs = {
        "input": ["3", 0],
        "resize_type": "scale by multiplier",
        "resize_type.multiplier": 99,
        "scale_method": "area",
    }
    prompt["5"] = {"class_type": "ResizeImageMaskNode", "inputs": inputs, "_meta": {"title": "R"}}
    prompt["6"] = {
        "class_type": "BatchImagesNode",
        "inputs": {"images.image1": ["5", 0]},
        "_meta": {"title": "B"},
    }
    prompt["4"]["inputs"]["images"] = ["6", 0]
    assert [str(problem) for problem in check(prompt, classes())] == [
        "R (node 5), input 'resize_type.multiplier': 99.0 is too big (allowed: 0.01 to 8.0)"
    ]
    del prompt["6"]["inputs"]["images.image1"]
    assert "B (node 6), input 'images.image0': it is required and missing" in map(
        str, check(prompt, classes())
    )


def test_a_custom_combos_own_choices_are_no_faults():
    inputs = {"choice": "mine", "index": 0, "option1": "mine", "option2": ""}
    prompt = graph(_5_="CustomCombo", _6_="PreviewAny")
    prompt["5"]["inputs"] = inputs
    prompt["6"]["inputs"] = {"source": ["5", 0]}
    assert check(prompt, classes()) == ()


def test_of_the_templates_only_files_are_missing():
    file = re.compile(r"(safe|rank_|\.(pt|onnx|png|jpg|jpeg|webp|mp3|mp4|glb)\b)")  # long names are cut
    other = [
        str(problem)
        for prompt in read("expected").values()
        for problem in check(prompt, classes())
        if not file.search(problem.message)
    ]
    # The front end itself gives this one's shape the name of a model.
    assert [problem.partition(" is not in")[0] for problem in other] == [
        "Nano Banana 2 (node 143:157), input 'model.aspect_ratio': 'gemini-3-pro-image-preview'"
    ]


@pytest.mark.timeout(20)
def test_a_large_prompt_takes_a_moment():
    prompt = {
        str(n): {"class_type": "ImageInvert", "inputs": {"image": [str(n - 1), 0]}, "_meta": {"title": "I"}}
        for n in range(1, 10_000)
    }
    prompt["0"] = {"class_type": "EmptyImage", "inputs": {}, "_meta": {"title": "E"}}
    prompt["s"] = {"class_type": "PreviewImage", "inputs": {"images": ["9999", 0]}, "_meta": {"title": "P"}}
    start = time.process_time()
    assert len(check(prompt, classes())) == 4  # the empty image's own inputs
    assert time.process_time() - start < 3
