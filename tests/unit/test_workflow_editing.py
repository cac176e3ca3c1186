"""Pictures and seeds as values, what differs, what is shown, and what is saved."""

from __future__ import annotations

import copy
import io
import pickle

import numpy as np
import pytest
from PIL import Image

from comfy_nb import RANDOM
from comfy_nb.errors import WorkflowError
from comfy_nb.workflow import Link, Workflow
from tests.unit.conversion import classes

GRAPH = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
    "2": {
        "class_type": "KSampler",
        "inputs": {"seed": 1, "steps": 20, "latent_image": ["1", 0], "sampler_name": "euler"},
    },
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
}


@pytest.fixture
def wf():
    return Workflow(GRAPH, name="mine")


def decoded(wf) -> Image.Image:
    ((name, data),) = wf.uploads.items()
    assert wf["LoadImage"].image == name
    assert wf.to_api()["1"]["inputs"]["image"] == name
    return Image.open(io.BytesIO(data))


# -- pictures ----------------------------------------------------------------------------------------------------


def test_a_pil_image_becomes_a_file_named_by_its_content(wf):
    picture = Image.new("RGBA", (3, 2), (1, 2, 3, 4))
    wf["LoadImage"].image = picture
    first = wf["LoadImage"].image
    assert decoded(wf).getpixel((0, 0)) == (1, 2, 3, 4)
    wf.set({"LoadImage.image": picture.copy()})
    assert wf["LoadImage"].image == first
    wf["LoadImage"].image = Image.new("RGB", (3, 2))
    assert wf["LoadImage"].image != first
    assert len(wf.uploads) == 1


@pytest.mark.parametrize(
    ("array", "pixel"),
    [
        (np.full((2, 2, 3), 7, np.uint8), (7, 7, 7)),
        (np.full((2, 2, 4), 0.5, np.float32), (128, 128, 128, 128)),
        (np.full((2, 2), True), 255),
        (np.full((2, 2, 1), 1.0), 255),
    ],
)
def test_an_array_becomes_a_picture(wf, array, pixel):
    wf["LoadImage"].image = array
    assert decoded(wf).getpixel((0, 0)) == pixel


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (np.zeros((4, 2, 2, 3)), "cannot hold an array of shape (4, 2, 2, 3)"),
        (np.zeros((0, 2)), "cannot hold an array of shape (0, 2)"),
        (np.full((2, 2), 2.0), "floats outside 0 to 1"),
        (np.full((2, 2), np.nan), "floats outside 0 to 1"),
        (np.zeros((2, 2), np.int64), "cannot hold pixels of type int64"),
        (b"", "cannot hold an empty file"),
    ],
)
def test_what_is_no_picture_is_one_sentence(wf, value, sentence):
    with pytest.raises(WorkflowError) as caught:
        wf["LoadImage"].image = value
    assert str(caught.value).startswith("'LoadImage' (node 1), input 'image' ")
    assert sentence in str(caught.value)
    assert wf["LoadImage"].image == "a.png"


def test_bytes_and_paths_keep_their_kind(wf, tmp_path):
    file = tmp_path / "clip.MP4"
    file.write_bytes(b"movie")
    wf["LoadImage"].image = file
    assert wf["LoadImage"].image.endswith(".mp4")
    wf["LoadImage"].image = b"\xff\xd8\xffjpeg"
    assert wf["LoadImage"].image.endswith(".jpg")
    wf["LoadImage"].image = str(file)  # a text names what the server has
    assert wf["LoadImage"].image == str(file)
    assert wf.uploads == {}
    with pytest.raises(WorkflowError, match=r"cannot be read from .*nowhere\.png: No such file"):
        wf["LoadImage"].image = tmp_path / "nowhere.png"


def test_an_input_that_is_linked_holds_no_file(wf):
    with pytest.raises(
        WorkflowError, match="is linked to node '1', so it holds no file: set the picture there"
    ):
        wf["KSampler"].latent_image = Image.new("L", (2, 2))


def test_files_go_with_a_copy(wf):
    wf["LoadImage"].image = Image.new("L", (2, 2))
    other = wf.copy()
    assert other.uploads == wf.uploads
    other["LoadImage"].image = "b.png"
    assert other.uploads == {}
    assert len(wf.uploads) == 1


# -- seeds -------------------------------------------------------------------------------------------------------


def test_a_random_seed_is_drawn_for_each_prompt(wf):
    wf["KSampler"].seed = RANDOM
    assert wf["KSampler"].seed is RANDOM
    assert wf.copy()["KSampler"].seed is RANDOM
    drawn = {wf.to_api()["2"]["inputs"]["seed"] for _ in range(5)}
    assert len(drawn) == 5
    assert all(type(seed) is int and 0 <= seed < 2**50 for seed in drawn)
    assert "seed=RANDOM" in repr(wf)


def test_there_is_one_random():
    assert copy.deepcopy(RANDOM) is RANDOM
    assert pickle.loads(pickle.dumps(RANDOM)) is RANDOM  # noqa: S301 - our own bytes


# -- what differs ------------------------------------------------------------------------------------------------


def test_diff_says_what_changes(wf):
    other = wf.copy().set({"KSampler.seed": 2, "SaveImage.images": ("1", 0)})
    assert repr(wf.diff(other)) == (
        "~ KSampler.seed (node 2): 1 → 2\n"
        "~ SaveImage.images (node 3): Link(node_id='2', slot=0) → Link(node_id='1', slot=0)"
    )
    assert wf.diff(wf.copy()) == ()
    assert repr(wf.diff(wf.copy())) == "no difference"


def test_diff_of_nodes_inputs_and_kinds(wf):
    api = wf.to_api()
    del api["3"]
    api["2"]["inputs"].pop("steps")
    api["2"]["inputs"].update(new="n", seed=True)
    api["4"] = {"class_type": "PreviewImage", "inputs": {}, "_meta": {"title": "Look"}}
    changes = [(change.kind, change.path, change.before, change.after) for change in wf.diff(Workflow(api))]
    assert changes == [
        ("changed", "KSampler.seed", 1, True),
        ("removed", "KSampler.steps", 20, None),
        ("added", "KSampler.new", None, "n"),
        ("removed", "SaveImage", "SaveImage", None),
        ("added", "Look", None, "PreviewImage"),
    ]


# -- shown and saved ---------------------------------------------------------------------------------------------


def test_the_table_says_what_is_allowed(wf):
    wf.classes = classes()
    text = repr(wf)
    assert "seed=1 (0 to 2^64-1), steps=20 (1 to 10000)" in text
    assert (
        "sampler_name='euler' (euler, euler_cfg_pp, euler_ancestral, euler_ancestral_cfg_pp and 40 more)"
        in text
    )
    html = wf._repr_html_()
    assert ">1 to 10000</small>" in html
    rows, cells = html.count("<tr"), html.count("<td")
    inputs = sum(len(values) for values in shown_inputs(wf))
    empty = sum(not values for values in shown_inputs(wf))
    assert rows == 1 + inputs + empty
    assert cells == 3 * len(wf) + 3 * (inputs + empty)


def shown_inputs(wf) -> list[list[str]]:
    return [[name for name in node if not isinstance(node[name], Link)] for node in wf]


def test_nothing_in_the_table_is_html():
    evil = "<script>alert(1)</script>"
    graph = {
        evil: {"class_type": evil, "inputs": {evil: evil, "api_key": "hidden"}, "_meta": {"title": evil}}
    }
    html = Workflow(graph, name=evil)._repr_html_()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 5
    assert "hidden" not in html


def test_saved_and_loaded_it_is_the_same(wf, tmp_path):
    path = wf.save(tmp_path / "saved.json")
    again = Workflow.load(path)
    assert again.to_api() == wf.to_api()
    assert again.name == "saved"
