"""What runs, in which order, what is served from the cache, and how a run ends badly."""

from __future__ import annotations

import io
import itertools
import json
import threading
import time

import numpy as np
import pytest
from PIL import Image

from comfy_nb.server.files import Folders
from comfy_nb.server.graph import RunOrder, signatures
from comfy_nb.server.nodes.base import Context
from comfy_nb.server.progress import Progress
from comfy_nb.server.validation import Refusal, validate
from tests.server.talk import (
    binary,
    fresh_seed,
    is_progress,
    message,
    text_to_image,
    unpack_preview,
)


def node(kind: str, **inputs):
    return {"class_type": kind, "inputs": inputs}


def names(frames, kind: str) -> list[str]:
    return [m["data"]["node"] for m in map(message, frames) if m and m["type"] == kind]


def cached(frames) -> list[str]:
    return next(m["data"]["nodes"] for m in map(message, frames) if m and m["type"] == "execution_cached")


def milestone(talker, prompt_id: str, kind: str):
    return next(data for name, data in talker.history(prompt_id)["status"]["messages"] if name == kind)


# Caching


def test_only_what_changed_runs_again(talker):
    prompt = text_to_image()
    talker.run(prompt)
    prompt["3"]["inputs"]["seed"] += 1
    _, frames = talker.run(prompt)
    assert sorted(cached(frames)) == ["4", "5", "6", "7"]
    assert names(frames, "executing") == ["3", "8", "9", None]
    prompt["9"]["inputs"]["filename_prefix"] = "other"
    _, frames = talker.run(prompt)
    assert sorted(cached(frames)) == ["3", "4", "5", "6", "7", "8"]
    assert names(frames, "executing") == ["9", None]


def test_a_cached_run_names_the_files_of_the_first(talker):
    prompt = text_to_image()
    first, _ = talker.run(prompt)
    second, frames = talker.run(prompt)
    assert names(frames, "executing") == [None]
    assert talker.history(second)["outputs"] == talker.history(first)["outputs"]


def test_equal_nodes_run_once(talker):
    prompt = text_to_image(steps=1)
    prompt["7"]["inputs"]["text"] = prompt["6"]["inputs"]["text"] = f"twice {fresh_seed()}"
    _, frames = talker.run(prompt)
    ran = [node_id for node_id in names(frames, "executing") if node_id in ("6", "7")]
    assert len(ran) == 1
    # As on the original, a result from the cache is told even if there is nothing to show.
    (other,) = {"6", "7"} - set(ran)
    told = [m["data"] for m in map(message, frames) if m and m["type"] == "executed"]
    assert (told[0]["node"], told[0]["output"]) == (other, None)


def test_what_the_next_prompt_does_not_need_is_forgotten(talker):
    prompt = text_to_image()
    talker.run(prompt)
    talker.run({"1": node("PreviewAny", source=fresh_seed())})
    _, frames = talker.run(prompt)
    assert cached(frames) == []


def test_results_before_an_interrupt_are_kept(talker):
    prompt = text_to_image(steps=50)
    prompt["5"]["inputs"]["width"] = 96
    prompt_id = talker.post(prompt, extra_data={"step_time": 0.05})
    talker.until(lambda m: is_progress(m, 2))
    talker.http.post("/interrupt", json={"prompt_id": prompt_id})
    talker.until_end(prompt_id)
    prompt["3"]["inputs"]["steps"] = 1
    _, frames = talker.run(prompt)
    assert sorted(cached(frames)) == ["4", "5", "6", "7"]


def test_an_uploaded_file_that_changed_is_read_again(talker):
    prompt = {"1": node("LoadImage", image="same.png"), "2": node("PreviewImage", images=["1", 0])}
    shown = []
    for color in ("red", "red", "blue"):
        data = io.BytesIO()
        Image.new("RGB", (32, 32), color).save(data, "PNG")
        talker.http.post(
            "/upload/image", files={"image": ("same.png", data.getvalue())}, data={"overwrite": "true"}
        )
        prompt_id, frames = talker.run(prompt)
        shown.append(cached(frames))
    assert shown == [[], ["1", "2"], []]
    reference = talker.history(prompt_id)["outputs"]["2"]["images"][0]
    assert reference["type"] == "temp"
    with Image.open(io.BytesIO(talker.http.get("/view", params=reference).content)) as image:
        assert image.getpixel((0, 0)) == (0, 0, 255)


# Nodes


def test_the_same_seed_gives_the_same_picture_and_another_one_another(talker):
    pictures = []
    for seed in (1, 1, 2):
        prompt = text_to_image(seed=seed, text="a mountain", steps=8)
        prompt["9"]["inputs"]["filename_prefix"] = f"p{fresh_seed()}"
        prompt_id, _ = talker.run(prompt)
        reference = talker.history(prompt_id)["outputs"]["9"]["images"][0]
        with Image.open(io.BytesIO(talker.http.get("/view", params=reference).content)) as image:
            pictures.append(np.asarray(image, float))
    assert (pictures[0] == pictures[1]).all()
    assert np.abs(pictures[0] - pictures[2]).mean() > 1


def test_pictures_sent_over_the_socket_are_whole_pngs(talker):
    prompt = text_to_image(size=64, batch=2)
    prompt["9"] = node("SaveImageWebsocket", images=["8", 0])
    for _ in range(2):  # never served from the cache
        prompt_id, frames = talker.run(prompt)
        sent = [unpack_preview(frame) for frame in binary(frames)]
        pngs = [data for metadata, data in sent if metadata["node_id"] == "9"]
        assert len(pngs) == 2
        for data in pngs:
            with Image.open(io.BytesIO(data)) as image:
                assert (image.format, image.size, image.info) == ("PNG", (64, 64), {})
    assert talker.history(prompt_id)["outputs"] == {}


def test_any_value_as_text(talker):
    prompt_id, _ = talker.run({"1": node("PreviewAny", source="<b>é</b>")})
    assert talker.history(prompt_id)["outputs"] == {"1": {"text": ["<b>é</b>"]}}


def test_image_to_image_keeps_the_picture_at_low_denoise(talker):
    prompt = text_to_image(steps=8, text="a lake")
    talker.run(prompt)
    prompt["10"] = node("VAEEncode", pixels=["8", 0], vae=["4", 2])
    links = {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["10", 0]}
    settings = {
        "seed": 5,
        "steps": 8,
        "cfg": 4.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 0.1,
    }
    prompt["11"] = node("KSampler", **settings, **links)
    prompt["12"] = node("VAEDecode", samples=["11", 0], vae=["4", 2])
    prompt["13"] = node("SaveImage", images=["12", 0], filename_prefix="again")
    prompt_id, _ = talker.run(prompt)
    pictures = []
    for node_id in ("9", "13"):
        reference = talker.history(prompt_id)["outputs"][node_id]["images"][0]
        with Image.open(io.BytesIO(talker.http.get("/view", params=reference).content)) as image:
            pictures.append(np.asarray(image, float))
    assert np.abs(pictures[0] - pictures[1]).mean() < 20


# Bad ends


def test_a_canvas_that_is_too_large_fails_while_it_runs(talker):
    talker.run({"1": node("PreviewAny", source=fresh_seed())})  # the cache is empty now
    prompt_id, frames = talker.run(text_to_image(size=16384))
    error = next(m["data"] for m in map(message, frames) if m and m["type"] == "execution_error")
    assert (error["prompt_id"], error["node_id"], error["node_type"]) == (prompt_id, "5", "EmptyLatentImage")
    assert error["exception_message"].startswith("A picture of 16384x16384 pixels is too large")
    assert error["exception_message"].endswith("\n")
    assert error["exception_type"].endswith("CanvasTooLarge")
    assert error["executed"] == ["4"]
    assert any("check_canvas" in line for line in error["traceback"])
    assert error["current_inputs"] == {"width": ["16384"], "height": ["16384"], "batch_size": ["1"]}
    types = [m["type"] for m in map(message, frames) if m]
    assert types[-3:] == ["execution_error", "status", "executing"]
    entry = talker.history(prompt_id)
    assert (entry["status"]["status_str"], entry["status"]["completed"]) == ("error", False)
    assert entry["status"]["messages"][-1] == ["execution_error", error]
    assert talker.http.get("/prompt").json() == {"exec_info": {"queue_remaining": 0}}


def test_what_finished_before_a_failure_stays_in_the_history(talker):
    prompt = {"1": node("PreviewAny", source=fresh_seed()), **text_to_image(size=16384)}
    prompt_id, _ = talker.run(prompt)
    assert list(talker.history(prompt_id)["outputs"]) == ["1"]


def test_an_interrupt_within_a_step_is_quick(talker):
    prompt_id = talker.post(text_to_image(), extra_data={"step_time": 2})
    talker.until(lambda m: is_progress(m, 1))
    started = time.monotonic()
    talker.http.post("/api/interrupt", json={"prompt_id": prompt_id})
    talker.until_end(prompt_id)
    assert time.monotonic() - started < 1.5  # a step takes 2
    entry = talker.history(prompt_id)
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"
    assert milestone(talker, prompt_id, "execution_interrupted")["node_type"] == "KSampler"


def test_an_interrupt_between_two_prompts_is_lost(talker):
    talker.http.post("/interrupt", json={})
    prompt_id, _ = talker.run(text_to_image(steps=1))
    assert talker.history(prompt_id)["status"]["completed"]


# Order and signatures, without a server


@pytest.fixture
def folders(tmp_path):
    return Folders(tmp_path)


def run_order(prompt, outputs, cached=()):
    order, taken = RunOrder(prompt, outputs, lambda node_id: node_id in cached), []
    while (node_id := order.take()) is not None:
        taken.append(node_id)
        order.done(node_id)
    return taken


def test_outputs_go_first_then_what_feeds_them():
    prompt = text_to_image()
    prompt["10"] = node("PreviewAny", source=["6", 0])
    assert run_order(prompt, ["9", "10"]) == ["4", "6", "10", "5", "7", "3", "8", "9"]
    assert run_order(prompt, ["9", "10"], cached={"4", "5", "6", "7"}) == ["10", "3", "8", "9"]


def test_a_long_chain_is_no_problem(folders):
    prompt = {"0": node("PreviewAny", source="x")}
    for i in range(1, 3000):
        prompt[str(i)] = node("PreviewAny", source=[str(i - 1), 0])
    verdict = validate(prompt, folders, ["2999"])
    assert verdict.outputs == ["2999"]
    assert len(signatures(prompt, verdict.outputs, folders)) == 3000


def test_signatures_depend_on_all_above_and_on_nothing_else(folders):
    prompt = text_to_image(seed=1)
    before = signatures(prompt, ["9"], folders)
    prompt["6"]["inputs"]["text"] = "a bear"
    prompt["6"]["_meta"] = {"title": "Positive"}
    prompt["6"]["inputs"]["unknown"] = 1
    after = signatures(prompt, ["9"], folders)
    assert {node_id for node_id in before if before[node_id] != after[node_id]} == {"6", "3", "8", "9"}


# Validation beyond the recorded refusals


def refused(prompt, folders):
    with pytest.raises(Refusal) as info:
        validate(prompt, folders)
    return json.loads(json.dumps(info.value.body))


def only_error(prompt, folders, node_id="3"):
    errors = refused(prompt, folders)["node_errors"]
    assert list(errors) == [node_id]
    assert len(errors[node_id]["errors"]) == 1
    return errors[node_id]["errors"][0]


def test_literals_become_their_declared_types(folders):
    prompt = text_to_image(seed="7", steps="5", cfg="4", denoise=True)
    prompt["6"]["inputs"]["text"] = {"__value__": ["a", "list"]}
    validate(prompt, folders)
    inputs = prompt["3"]["inputs"]
    assert [inputs[name] for name in ("seed", "steps", "cfg", "denoise")] == [7, 5, 4.0, 1.0]
    assert prompt["6"]["inputs"]["text"] == "['a', 'list']"


@pytest.mark.parametrize(
    ("inputs", "kind", "message"),
    [
        ({"steps": 10001}, "value_bigger_than_max", "Value 10001 bigger than max of 10000"),
        ({"cfg": float("nan")}, "value_smaller_than_min", "Value nan smaller than min of 0.0"),
        ({"seed": float("inf")}, "invalid_input_type", "Failed to convert an input value to a INT value"),
        ({"steps": {"a": 1}}, "invalid_input_type", "Failed to convert an input value to a INT value"),
        ({"sampler_name": {"a": 1}}, "value_not_in_list", "Value not in list"),
    ],
)
def test_values_out_of_range(folders, inputs, kind, message):
    error = only_error(text_to_image(**inputs), folders)
    assert (error["type"], error["message"]) == (kind, message)


@pytest.mark.parametrize(
    ("link", "kind", "details"),
    [
        (["4"], "bad_linked_input", "model"),
        ([], "bad_linked_input", "model"),
        (["4", 9], "exception_during_inner_validation", "tuple index out of range"),
        (["4", -1], "exception_during_inner_validation", "-1 is not an output slot"),
        ([[], 0], "exception_during_inner_validation", "unhashable type: 'list'"),
        (["4", 1], "return_type_mismatch", "model, received_type(CLIP) mismatch input_type(MODEL)"),
    ],
)
def test_bad_links(folders, link, kind, details):
    prompt = text_to_image()
    prompt["3"]["inputs"]["model"] = link
    error = only_error(prompt, folders)
    assert (error["type"], error["details"]) == (kind, details)


def test_a_fault_of_an_output_itself_is_in_the_details(folders):
    body = refused({"1": node("SaveImage", filename_prefix="x")}, folders)
    assert body["error"]["details"] == "Required input is missing: images"
    body = refused({"1": node("SaveImage", filename_prefix="x", images=["9", 0])}, folders)
    assert body["node_errors"]["1"]["errors"][0]["type"] == "exception_during_validation"
    body = refused({"1": {"class_type": "SaveImage"}}, folders)
    assert body["node_errors"]["1"]["errors"][0]["extra_info"]["exception_type"] == "KeyError"


def test_a_cycle_is_told_at_each_of_its_nodes(folders):
    prompt = {
        "1": node("PreviewAny", source=["2", 0]),
        "2": node("PreviewAny", source=["3", 0]),
        "3": node("PreviewAny", source=["2", 0]),
    }
    body = refused(prompt, folders)
    assert set(body["node_errors"]) == {"2", "3"}
    for node_id, errors in body["node_errors"].items():
        (error,) = errors["errors"]
        assert error["type"] == "dependency_cycle"
        assert error["extra_info"]["node_id"] == node_id
        assert sorted(error["extra_info"]["cycle_nodes"]) == ["2", "3"]


def test_a_bad_node_names_every_output_that_needs_it(folders):
    prompt = text_to_image(steps=0)
    prompt["10"] = node("PreviewImage", images=["8", 0])
    prompt["11"] = node("PreviewAny", source=["6", 0])
    verdict = validate(prompt, folders)
    assert verdict.outputs == ["11"]
    assert verdict.node_errors["3"]["dependent_outputs"] == ["9", "10"]


def test_only_the_outputs_asked_for_run(folders):
    prompt = text_to_image()
    prompt["10"] = node("PreviewImage", images=["8", 0])
    assert validate(prompt, folders, ["10", "3", "nope"]).outputs == ["10"]
    with pytest.raises(Refusal, match="Prompt has no outputs"):
        validate(prompt, folders, ["3"])


def test_a_missing_file_is_told_as_the_original_tells_it(folders):
    error = only_error(
        {"1": node("PreviewImage", images=["2", 0]), "2": node("LoadImage", image="nope.png")}, folders, "2"
    )
    assert (error["type"], error["details"]) == (
        "custom_validation_failed",
        "image - Invalid image file: nope.png",
    )


@pytest.mark.parametrize(
    "name", ["../outside.png", "sub/../../outside.png", "a\0b", "in.png [temp]", "..", ""]
)
def test_pictures_outside_of_their_folder_are_missing(folders, name):
    (folders.root / "outside.png").write_bytes(b"x")
    (folders.root / "input" / "in.png").write_bytes(b"x")
    prompt = {"1": node("PreviewImage", images=["2", 0]), "2": node("LoadImage", image=name)}
    assert only_error(prompt, folders, "2")["type"] == "custom_validation_failed"
    prompt["2"]["inputs"]["image"] = "in.png"
    assert validate(prompt, folders).outputs == ["1"]


def test_a_class_is_named_by_its_title(folders):
    body = refused({"1": {"class_type": "NopeNode", "inputs": {}, "_meta": {"title": "My Nope"}}}, folders)
    assert body["error"]["message"] == "Node 'My Nope' not found. The custom node may not be installed."
    assert body["error"]["extra_info"] == {"node_id": "1", "class_type": "NopeNode", "node_title": "My Nope"}


@pytest.mark.parametrize("odd", [None, [], "x", {}, {"class_type": ["SaveImage"]}, {"class_type": 1}])
def test_odd_nodes_are_refused(folders, odd):
    assert refused({"1": odd}, folders)["error"]["type"] == "missing_node_type"


@pytest.mark.parametrize("odd", [None, [], "x", 3])
def test_odd_inputs_are_refused(folders, odd):
    body = refused({"1": {"class_type": "SaveImage", "inputs": odd}}, folders)
    assert body["error"]["type"] == "prompt_outputs_failed_validation"


# Bars


class DeafHub:
    """Takes what is sent and keeps the values of the bars."""

    def __init__(self):
        self.told = []

    def listens(self, sid):
        return True

    def send(self, frame, sid):
        m = json.loads(frame)
        if m["type"] == "progress":
            self.told.append(m["data"]["value"])


@pytest.mark.parametrize(
    ("previews", "steps", "told"),
    [
        (True, 10, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (
            False,
            10,
            [1, 3, 5, 7, 9, 10],
        ),  # 0.06 s a step: every second one is more than 0.1 s after the last told
        (False, 1000, [1, *range(6, 1000, 5), 1000]),  # less than 0.5 % is not worth a message
    ],
)
def test_bars_without_pictures_are_told_now_and_then(folders, previews, steps, told):
    hub, now = DeafHub(), itertools.count(0, 0.06)
    progress = Progress(hub, "prompt", "client", clock=lambda: next(now))
    progress.start("3")
    context = Context("3", {}, {}, folders, progress, threading.Event(), step_time=0, previews=previews)
    for step in range(1, steps + 1):
        context.step(step, steps)
    assert hub.told == told
