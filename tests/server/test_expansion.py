"""A node that writes itself out into others: its ids, its messages, what is cached, how it fails and is stopped.

What ComfyUI said of the same prompts is in tests/data/flow: there a node of the same name wrote the same nodes.
"""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

import comfy_nb as cn
from comfy_nb.events import Preview
from comfy_nb.server.executor import Executor
from comfy_nb.server.files import Folders
from comfy_nb.server.nodes import NODE_CLASSES
from comfy_nb.server.nodes.base import Context, Expansion, NodeClass, NodeResult
from comfy_nb.server.nodes.flow import read_cfgs
from comfy_nb.server.process import EmbeddedServer
from comfy_nb.server.queue import PromptQueue, QueuedPrompt
from tests.server.flow import replay
from tests.server.talk import Json, message, text_to_image
from tests.server.test_conformance import GREETING, ours, read_trace, token, unflagged, without


def sweep(cfgs: str = "1, 4", *, seed: int = 1, steps: int = 2) -> Json:
    """Text to picture with a sweep in place of its sampler and decoder."""
    prompt = text_to_image(seed=seed, steps=steps)
    inputs = {name: value for name, value in prompt.pop("3")["inputs"].items() if name != "cfg"}
    del prompt["8"]
    prompt["40"] = {"class_type": "KSamplerSweep", "inputs": {**inputs, "cfgs": cfgs, "vae": ["4", 2]}}
    prompt["9"]["inputs"]["images"] = ["40", 0]
    return prompt


def started(frames: list[str | bytes]) -> list[str]:
    return [m["data"]["node"] for m in map(message, frames) if m and m["type"] == "executing"]


# What ComfyUI says


def test_one_value_more_samples_only_that_one(server):
    said, heard = replay(server.url, "expansion_cached")
    assert said == heard
    again = [[each.split()[1] for each in run if each.startswith("executing 40.")] for run in heard]
    assert [len(run) for run in again] == [5, 3, 0]


def test_a_client_without_flags_hears_of_an_expansion_too(server):
    said, heard = replay(server.url, "expansion_cached", flags=False)
    assert said == [unflagged(run) for run in heard]


def test_what_a_node_wrote_and_an_equal_node_beside_it_run_once(server):
    said, heard = replay(server.url, "expansion_nearby")
    assert said == heard


def test_a_failure_is_told_at_the_node_that_people_see(server):
    said, heard = replay(server.url, "expansion_error")
    assert said == heard


def test_an_interrupt_is_told_at_the_node_that_people_see(server):
    said, heard = replay(server.url, "expansion_interrupted", interrupt_at=3)
    assert said == heard


class Ears:
    """A hub that keeps what is sent."""

    def __init__(self) -> None:
        self.frames: list[str | bytes] = []

    def send(self, frame: str | bytes, sid: str | None = None) -> None:
        self.frames.append(frame)

    def listens(self, sid: str | None) -> bool:
        return True

    def wants_metadata(self, sid: str | None) -> bool:
        return True


def sampling_in_expansion(context: Context, inputs: dict[str, Any]) -> NodeResult:
    """What the recorded node, of ComfyUI's own tests, writes."""
    written = Expansion(context.node_id)
    positive = written.add("CLIPTextEncode", text=inputs["prompt"], clip=inputs["clip"])
    negative = written.add("CLIPTextEncode", text=inputs["negative_prompt"], clip=inputs["clip"])
    latent = written.add("EmptyLatentImage", width=64, height=64, batch_size=1)
    samples = written.add(
        "KSampler",
        model=inputs["model"],
        positive=positive,
        negative=negative,
        latent_image=latent,
        **{name: inputs[name] for name in ("seed", "steps", "cfg")},
        sampler_name="euler_ancestral",
        scheduler="normal",
        denoise=1.0,
    )
    return NodeResult((written.add("VAEDecode", samples=samples, vae=inputs["vae"]),), expand=written)


def test_the_recorded_expansion(tmp_path, monkeypatch):
    links = {name: [name.upper(), {"rawLink": True}] for name in ("model", "clip", "vae")}
    literals: dict[str, list[Any]] = {
        name: ["*", {}] for name in ("seed", "steps", "cfg", "prompt", "negative_prompt")
    }
    node = NodeClass(
        "TestSamplingInExpansion",
        "tests",
        sampling_in_expansion,
        required={**links, **literals},
        outputs=("IMAGE",),
    )
    monkeypatch.setitem(NODE_CLASSES, node.name, node)
    trace = read_trace("expansion_loop")
    prompt = ours(trace.prompts[0], None)["prompt"]
    ears = Ears()
    executor = Executor(ears, PromptQueue(lambda: None), Folders(tmp_path), step_time=0)
    loaded = {"4": prompt["4"], "5": {"class_type": "PreviewAny", "inputs": {"source": ["4", 0]}}}
    executor.execute(QueuedPrompt(0, "loads", loaded, {"client_id": "me"}, ["5"]))
    ears.frames.clear()
    executor.execute(QueuedPrompt(1, "runs", prompt, {"client_id": "me"}, ["9"]))
    heard = without(trace.heard["client"], *GREETING, "status", "executing None")
    assert [token(frame) for frame in ears.frames] == heard


# Pictures, history, checks


def test_the_pictures_are_those_of_the_samplers_it_stands_for(talker):
    prompt = sweep("2, 6", seed=11)
    for cfg, samples, picture, saved in ((2.0, "13", "18", "19"), (6.0, "23", "28", "29")):
        single = text_to_image(seed=11, steps=2, cfg=cfg)
        prompt[samples] = single["3"]
        prompt[picture] = {"class_type": "VAEDecode", "inputs": {"samples": [samples, 0], "vae": ["4", 2]}}
        prompt[saved] = {
            "class_type": "SaveImage",
            "inputs": {"filename_prefix": "one", "images": [picture, 0]},
        }
    prompt_id, _ = talker.run(prompt)
    outputs = talker.history(prompt_id)["outputs"]
    files = [*outputs["9"]["images"], *outputs["19"]["images"], *outputs["29"]["images"]]
    first, second, two, six = (talker.http.get("/view", params=file).content for file in files)
    assert first != second
    assert (pixels(first) == pixels(two)).all()
    assert (pixels(second) == pixels(six)).all()


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image)


def test_the_history_and_the_file_know_only_what_was_posted(talker):
    prompt = sweep("3")
    prompt_id, _ = talker.run(prompt)
    entry = talker.history(prompt_id)
    assert entry["prompt"][2].keys() == prompt.keys()
    assert entry["meta"] == {
        "9": {"node_id": "9", "display_node": "9", "parent_node": None, "real_node_id": "9"}
    }


def test_when_the_sweep_is_gone_so_is_what_it_wrote(talker):
    prompt = sweep("5", seed=3)
    talker.run(prompt)
    talker.run({"1": {"class_type": "PreviewAny", "inputs": {"source": "between"}}})
    _, frames = talker.run(prompt)
    assert [each for each in started(frames) if each and "." in each] == ["40.0.0.1", "40.0.0.2"]


def test_a_posted_node_of_an_id_that_is_written_is_not_confused_with_it(talker):
    prompt = sweep("5")
    prompt["40.0.0.1"] = {"class_type": "PreviewAny", "inputs": {"source": "posted"}}
    prompt_id, _ = talker.run(prompt)
    entry = talker.history(prompt_id)
    (error,) = [data for name, data in entry["status"]["messages"] if name == "execution_error"]
    assert error["node_id"] == "40"
    assert error["exception_message"].startswith(
        "Node 40 writes a node of the id 40.0.0.1, which the prompt has"
    )
    assert entry["outputs"] == {"40.0.0.1": {"text": ["posted"]}}


@pytest.mark.parametrize("text", ["", "1,,2", "one", "-1", "101", "nan", ", ".join(["1"] * 17)])
def test_a_text_that_is_no_list_of_cfgs_is_refused(talker, text):
    reply = talker.http.post("/prompt", json={"prompt": sweep(text)})
    assert reply.status_code == 400
    (error,) = reply.json()["node_errors"]["40"]["errors"]
    assert error["type"] == "custom_validation_failed"
    assert error["details"].startswith("cfgs - Expected 1 to 16 numbers from 0 to 100")


def test_a_text_of_cfgs():
    assert read_cfgs(" 1, 4.5,8 ") == [1.0, 4.5, 8.0]


def test_a_nested_expansion_is_seen_at_the_posted_node(tmp_path, monkeypatch):
    def outer(context: Context, inputs: dict[str, Any]) -> NodeResult:
        written = Expansion(context.node_id)
        return NodeResult((written.add("Inner", text=inputs["text"]),), expand=written)

    def inner(context: Context, inputs: dict[str, Any]) -> NodeResult:
        written = Expansion(context.node_id)
        written.add("PreviewAny", source=inputs["text"])  # an output: runs though nothing needs it
        return NodeResult((written.add("PrimitiveString", value="given"),), expand=written)

    for name, run in (("Outer", outer), ("Inner", inner)):
        node = NodeClass(name, "tests", run, required={"text": ["*", {}]}, outputs=("STRING",))
        monkeypatch.setitem(NODE_CLASSES, name, node)
    ears = Ears()
    executor = Executor(ears, PromptQueue(lambda: None), Folders(tmp_path), step_time=0)
    prompt: Json = {
        "7": {"class_type": "Outer", "inputs": {"text": "hello"}},
        "8": {"class_type": "PreviewAny", "inputs": {"source": ["7", 0]}},
    }
    entries = [
        executor.execute(QueuedPrompt(0, f"p{n}", prompt, {"client_id": "me"}, ["8"])) for n in range(2)
    ]
    deep = "7.0.0.1.0.0.1"
    assert entries[0]["outputs"] == {deep: {"text": ["hello"]}, "8": {"text": ["given"]}}
    assert entries[0]["meta"][deep] == {
        "node_id": deep,
        "display_node": "7",
        "parent_node": "7.0.0.1",
        "real_node_id": "7",
    }
    told = [m["data"] for m in map(json.loads, ears.frames) if m["type"] == "executed"]
    assert (told[0]["node"], told[0]["display_node"]) == (deep, "7")
    # As on the original: from the cache, a node does not show again what it wrote.
    assert entries[1]["outputs"] == {"8": {"text": ["given"]}}


# What people see


def test_a_job_shows_the_sweep_while_its_samplers_run():
    with EmbeddedServer.start(step_time=0.1) as slow, cn.connect(slow.url) as comfy:
        job = cn.Job(cn.Workflow(sweep(steps=200)), comfy)
        job.start()
        preview = next(event for event in job.events() if isinstance(event, Preview))
        snapshot = job.snapshot()
        job.interrupt()
        with pytest.raises(cn.JobCancelled):
            job.result(timeout=20)
    assert preview.node_id == "40.0.0.1"
    assert (snapshot.node, snapshot.label, snapshot.activity) == ("40", "KSamplerSweep", "Sampling image…")
    assert snapshot.step >= 1
    assert job.snapshot().node == "40"
