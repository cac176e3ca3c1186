"""Workflows on the embedded server: converted by its classes, checked, sent, and given back by what it saved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

import numpy as np
import pytest
from PIL import Image

import comfy_nb as cn
from comfy_nb.errors import UnknownWorkflow
from comfy_nb.server.process import EmbeddedServer
from comfy_nb.workflow.saved import SavedWorkflows

FILE = Path(__file__).parents[2] / "notebooks" / "workflows" / "sub_graph.json"
LIMIT = 30.0
PICTURE = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "nothing.png"}},
    "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
    "4": {"class_type": "MaskToImage", "inputs": {"mask": ["1", 1]}},
    "5": {"class_type": "PreviewImage", "inputs": {"images": ["4", 0]}},
}


@pytest.fixture(scope="module")
def comfy() -> Iterator[cn.Comfy]:
    with EmbeddedServer.start(step_time=0) as server, cn.connect(server.url, preview="none") as connection:
        yield connection


def small(wf: cn.Workflow) -> cn.Workflow:
    return wf.set({"Empty Latent Image.width": 64, "Empty Latent Image.height": 64, "KSampler.steps": 2})


def test_a_ui_format_file_is_converted_by_the_connected_server(comfy):
    for wf in (cn.Workflow.load(FILE), comfy.load(FILE), cn.Workflow.load(FILE.read_bytes())):
        assert wf["2:14"].steps == wf["KSampler"].steps == 20
        assert wf["Positive"].text == "a lighthouse by the sea, full moon"
        assert comfy.check(wf) == ()
    assert "steps=20 (1 to 10000)" in repr(comfy.load(FILE))


def test_the_picture_gives_the_workflow_and_the_graph_back(comfy):
    wf = small(cn.Workflow.load(FILE))
    wf.set({"KSampler.seed": cn.RANDOM, "Positive.text": "a castle", "Save Image.filename_prefix": "mine"})
    job = comfy.submit(wf)
    outputs = job.result(LIMIT)
    seed = job.plan.parameters["KSampler.seed"]
    for source in (job.image, outputs[0].data):
        back = cn.Workflow.from_image(source)
        assert [(change.path, change.after) for change in wf.diff(back)] == [("KSampler.seed", seed)]
    original, graph = json.loads(FILE.read_text()), back.ui
    # It opens as before, with the values that made the picture.
    assert graph["nodes"][1]["widgets_values"] == ["a castle", seed, 2]
    assert graph["nodes"][4]["widgets_values"] == ["mine"]
    for node, old in zip(graph["nodes"], original["nodes"], strict=True):
        assert node | {"widgets_values": 0} == old | {"widgets_values": 0}
    assert graph | {"nodes": 0} == original | {"nodes": 0}
    # And so does what ComfyUI would make of that graph.
    again = cn.Workflow.load(graph)
    assert [change.path for change in again.diff(back)] == [
        "Empty Latent Image.width",
        "Empty Latent Image.height",
    ]


def test_a_prompt_without_a_graph_saves_none(comfy):
    job = comfy.submit(cn.Workflow(small(cn.Workflow.load(FILE)).to_api()))
    assert "workflow" not in job.image.info
    assert cn.Workflow.from_image(job.image).ui is None


def test_a_picture_and_its_mask_are_uploaded_when_the_job_starts(comfy):
    wf = cn.Workflow(PICTURE)
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., 0], pixels[:4, :, 3] = 255, 255
    for value in (pixels, Image.fromarray(pixels)):
        wf["LoadImage"].image = value
        job = comfy.submit(wf)
        job.result(LIMIT)
        assert job.outputs["SaveImage"].image.getpixel((0, 0)) == (0, 255, 255)
        mask = job.outputs["PreviewImage"].image.convert("L")
        assert (mask.getpixel((0, 0)), mask.getpixel((0, 7))) == (0, 255)
        assert (
            cn.Workflow.from_image(job.outputs["SaveImage"].image)["LoadImage"].image == wf["LoadImage"].image
        )


def test_every_fault_is_told_before_anything_is_sent(comfy):
    wf = cn.Workflow.load(FILE).set(
        {"KSampler.sampler_name": "eulr", "KSampler.cfg": 1000, "VAE Decode.vae": ("1", 7)}
    )
    problems = comfy.check(wf)
    assert [(problem.label, problem.input) for problem in problems] == [
        ("KSampler", "cfg"),
        ("KSampler", "sampler_name"),
        ("VAE Decode", "vae"),
    ]
    job = comfy.submit(wf)
    with pytest.raises(cn.WorkflowInvalid) as caught:
        job.result(LIMIT)
    assert caught.value.problems == tuple(problems)
    assert "The server would reject" in str(caught.value)
    with pytest.raises(cn.WorkflowInvalid, match="The server rejected"):
        comfy.submit(wf, check=False).result(LIMIT)


def test_an_unknown_class_comes_with_the_nearest_of_all_that_there_are(comfy):
    wf = cn.Workflow({"1": {"class_type": "KSamplr", "inputs": {}}})
    assert "'KSampler'" in str(comfy.check(wf)[0])


def test_saved_workflows_are_fetched_by_name(comfy):
    assert repr(comfy.workflows()) == "no workflow is saved on the server"
    with pytest.raises(cn.ComfyError, match=r"^No workflow is saved on the server, so there is no 'x'\.$"):
        comfy.workflows()["x"]
    url = f"{comfy.url}/api/userdata/{quote('workflows/folder/é 1.json', safe='')}"
    with urlopen(Request(url, FILE.read_bytes(), method="POST"), timeout=LIMIT) as reply:  # noqa: S310 - our own
        assert reply.status == 200
    saved = comfy.workflows()
    assert list(saved) == ["folder/é 1.json"]
    for name in ("folder/é 1.json", "folder/é 1"):
        assert saved[name]["KSampler"].steps == 20
        assert saved[name].name == "é 1"
    with pytest.raises(KeyError) as caught:
        saved["folder/e"]
    assert str(caught.value) == (
        "No workflow 'folder/e' is saved on the server. There are: 'folder/é 1.json'."
    )


def test_saved_workflows_are_a_mapping_that_fetches_nothing_but_what_is_asked_for():
    fetched: list[str] = []
    wf = cn.Workflow(PICTURE)

    def fetch(name: str) -> cn.Workflow:
        fetched.append(name)
        return wf

    saved = SavedWorkflows(["b/sea.json", "portrait.json"], fetch)
    assert "portrait" in saved
    assert "portrait.json" in saved
    assert saved.keys() == {"b/sea.json", "portrait.json"}
    for absent in ("portrai", "sea", "", 7, None):
        assert absent not in saved
        assert saved.get(absent) is None
        with pytest.raises(
            UnknownWorkflow, match=rf"^No workflow '{absent}' is saved on the server\. There are: "
        ):
            saved[absent]
    assert fetched == []
    assert saved["portrait"] is saved.get("portrait.json") is wf
    assert fetched == ["portrait.json"] * 2
