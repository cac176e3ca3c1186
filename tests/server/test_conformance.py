"""The embedded server says what a recorded ComfyUI 0.33.0 said, in the same order.

Each scenario's prompts are posted again, with only the checkpoint's name changed. What is compared: the
sequence of message types with node ids, states, values and maxima, per socket. Files: tests/data/traces.
"""

from __future__ import annotations

import base64
import copy
import io
import itertools
import json
import re
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.server.talk import CHECKPOINT, Json, Talker, fresh_seed, is_progress, message, talking

SEEDS = ("seed", "noise_seed")
TRACES = Path(__file__).parents[1] / "data" / "traces" / "v0.33.0"


@dataclass
class Trace:
    """A recorded scenario: its prompts in order, and what each socket heard."""

    prompts: list[Json] = field(default_factory=list)
    heard: dict[str, list[str]] = field(default_factory=dict)
    flags: bool = True
    cached: list[list[str]] = field(default_factory=list)


def read_trace(name: str) -> Trace:
    trace = Trace()
    with (TRACES / f"{name}.jsonl").open() as lines:
        for line in lines:
            record = json.loads(line)
            kind = record.get("kind")
            if kind == "http" and (record["method"], record["path"]) == ("POST", "/prompt"):
                trace.prompts.append(record["request"])
            elif kind == "ws-open":
                trace.flags = record["feature_flags"]
            elif kind == "ws-in":
                frame = record["text"] if "text" in record else base64.b64decode(record["binary_b64"])
                trace.heard.setdefault(record["who"], []).append(token(frame))
                if isinstance(frame, str) and (m := json.loads(frame))["type"] == "execution_cached":
                    trace.cached.append(m["data"]["nodes"])
    return trace


def http_records(name: str) -> list[Json]:
    """The HTTP calls of a scenario with their replies."""
    lines = (TRACES / f"{name}.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record.get("kind") == "http"]


def token(frame: str | bytes) -> str:
    """A frame without what differs from run to run: ids of prompts and clients, times, file names, pictures."""
    if isinstance(frame, bytes):
        return _binary_token(frame)
    m = json.loads(frame)
    data, keys = m["data"], ",".join(m["data"])
    match m["type"]:
        case "status":
            return f"status {data['status']['exec_info']['queue_remaining']} ({keys})"
        case "progress_state":
            nodes = data["nodes"].items()
            return "state " + " ".join(
                f"{i}:{n['value']}/{n['max']} {n['state']} {','.join(n)}" for i, n in nodes
            )
        case "progress":
            return f"progress {data['node']} {data['value']}/{data['max']} ({keys})"
        case "executed":
            output: Json = data["output"] or {}
            shown = {kind: [*map(_value_token, values)] for kind, values in output.items()}
            return f"executed {data['node']} {data['display_node']} {shown} ({keys})"
        case "execution_cached":
            return f"cached {data['nodes']} ({keys})"
        case "executing":
            return f"executing {data['node']} ({keys})"
        case "execution_interrupted":
            return f"interrupted {data['node_id']} {data['node_type']} {data['executed']} ({keys})"
        case "feature_flags":
            return "feature_flags"
        case kind:
            return f"{kind} ({keys})"


def _value_token(value: Any) -> Any:
    """The keys of a file's reference, or what kind of value it is."""
    return sorted(value) if isinstance(value, dict) else type(value).__name__


def _binary_token(frame: bytes) -> str:
    kind, number = struct.unpack(">II", frame[:8])
    if kind == 1:
        return f"preview type 1, format {number}, {frame[8:10].hex()}"
    metadata = json.loads(frame[8 : 8 + number])
    del metadata["prompt_id"]
    return f"preview type {kind}, {metadata}, {frame[8 + number : 10 + number].hex()}"


def ours(request: Json, talker: Talker | None) -> Json:
    """The recorded request, with our checkpoint and our client id."""
    request = copy.deepcopy(request)
    for node in request["prompt"].values():
        if "ckpt_name" in node.get("inputs", {}):
            node["inputs"]["ckpt_name"] = CHECKPOINT
        node["inputs"] |= {name: fresh_seed() for name in SEEDS if name in node.get("inputs", {})}
    request.pop("client_id", None)
    return {**request, "client_id": talker.client_id} if talker else request


def warm(talker: Talker, request: Json, cached: list[str]) -> None:
    """Run the prompt so changed that, of its nodes, exactly `cached` are known afterwards."""
    prompt = copy.deepcopy(request["prompt"])
    for node_id, node in prompt.items():
        if node_id in cached:
            continue
        for name, value in node["inputs"].items():
            if name in SEEDS:
                node["inputs"][name] = value + 1
            elif name == "ckpt_name":
                node["inputs"][name] = "v1-5-pruned-emaonly.ckpt"
            elif name == "text":
                node["inputs"][name] = f"{value}, another"
            elif name == "width":
                node["inputs"][name] = value + 64
    talker.run(prompt)


def replay(
    url: str, name: str, *, outputs_first: tuple[str, ...] = (), flags: bool = True
) -> tuple[list[str], list[str]]:
    """(recorded, ours) for a scenario of one socket whose prompts run to their end one after the other.

    With `flags` the socket says its flags if the recorded one did, without it never.
    """
    trace = read_trace(name)
    recorded = trace.heard["client"]
    with talking(url) as warmer:
        first = ours(trace.prompts[0], None)
        warm(warmer, first, trace.cached[0])
    client_id = uuid.uuid4().hex
    with talking(url, flags=trace.flags and flags, client_id=client_id) as talker:
        seed = fresh_seed()
        for posted in trace.prompts:
            request = ours(posted, talker)
            prompt = request.pop("prompt")
            for node in prompt.values():
                if "seed" in node["inputs"]:
                    node["inputs"]["seed"] = seed  # a scenario that posts a prompt twice means the same one
            # The original takes outputs in the order of a Python set; ours in the order of the prompt.
            prompt = {**{node_id: prompt[node_id] for node_id in outputs_first}, **prompt}
            talker.run(prompt, **{k: v for k, v in request.items() if k != "client_id"})
        return recorded, [token(frame) for frame in talker.frames]


# Of the recorded text_and_animation: the nodes that make films, and what was said of them.
FILMS = ("11", "13", "14", "15")
FILM = re.compile(rf"(executing|executed|progress) ({'|'.join(FILMS)}) ")
GREETING = ("feature_flags", "status 0 (status,sid)")


def starts_sampling(m: Json | None) -> bool:
    """Whether the KSampler starts: by then the worker has taken the prompt."""
    return m is not None and m["type"] == "executing" and m["data"]["node"] == "3"


def without(tokens: list[str], *starts: str) -> list[str]:
    return [each for each in tokens if not each.startswith(starts)]


@pytest.mark.parametrize(
    "name",
    [
        "txt2img_flags",
        "txt2img_noflags",
        "fully_cached",
        "partly_invalid",
        "save_image_websocket",
        "save_image_websocket_noflags",
        "two_stage_advanced",
    ],
)
def test_the_same_messages_in_the_same_order(server, name):
    recorded, said = replay(server.url, name)
    assert said == recorded


def unflagged(tokens: list[str]) -> list[str]:
    """What a client that says no flags hears instead: the preview without metadata, and after the progress."""
    said: list[str] = []
    for each in without(tokens, "feature_flags"):
        said.append(each)
        if len(said) > 1 and said[-2].startswith("preview type 4"):
            said[-2:] = [each, "preview type 1, format 1, ffd8"]
    return said


@pytest.mark.parametrize("version", ["v0.33.0", "v0.3.64"])
def test_what_a_client_without_flags_hears_instead(version):
    flagged, plain = (
        read_trace(f"../{version}/txt2img_{kind}").heard["client"] for kind in ("flags", "noflags")
    )
    assert unflagged(flagged) == plain


@pytest.mark.parametrize("name", ["txt2img_flags", "fully_cached", "partly_invalid", "two_stage_advanced"])
def test_the_same_messages_to_a_client_without_flags(server, name):
    recorded, said = replay(server.url, name, flags=False)
    assert said == unflagged(recorded)


def test_a_batch_with_two_outputs(server):
    recorded, said = replay(server.url, "batch_two_outputs", outputs_first=("10",))
    assert said == recorded


def test_image_to_image_from_a_cold_cache(server):
    trace = read_trace("upload_and_img2img")
    picture = io.BytesIO()
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(picture, "PNG")
    with talking(server.url) as talker:
        # Another graph, so that nothing of this one is known.
        talker.run({"1": {"class_type": "PreviewAny", "inputs": {"source": fresh_seed()}}})
        talker.frames.clear()
        files = {"image": ("grad.png", picture.getvalue(), "image/png")}
        reply = talker.http.post("/upload/image", files=files, data={"subfolder": "nb"})
        assert reply.json() == {"name": "grad.png", "subfolder": "nb", "type": "input"}
        talker.run(ours(trace.prompts[0], talker)["prompt"])
        assert [token(frame) for frame in talker.frames] == without(
            trace.heard["client"], "feature_flags", "status 0 (status,sid)"
        )


def test_a_node_that_fails(server):
    trace = read_trace("execution_error")
    with talking(server.url) as talker:
        request = ours(trace.prompts[0], talker)
        # There the node was one of ComfyUI's tests; here one whose result would be too large.
        large = {"upscale_method": "bilinear", "width": 16320, "height": 16384, "crop": "disabled"}
        request["prompt"]["30"] = {"class_type": "LatentUpscale", "inputs": {**large, "samples": ["3", 0]}}
        warm(talker, request, trace.cached[0])
        talker.frames.clear()
        talker.run(request["prompt"])
        said = [token(frame) for frame in talker.frames]
    assert said == without(trace.heard["client"], *GREETING)


def test_text_and_a_picture(server):
    """The recorded graph saved films as well, which the embedded server cannot."""
    trace = read_trace("text_and_animation")
    with talking(server.url) as talker:
        request = ours(trace.prompts[0], talker)
        for node_id in FILMS:
            del request["prompt"][node_id]
        warm(talker, request, trace.cached[0])
        talker.frames.clear()
        talker.run(request["prompt"])
        said = [token(frame) for frame in talker.frames]
    recorded = [each for each in trace.heard["client"] if not FILM.match(each)]
    assert without(said, "state") == without(recorded, "state", *GREETING)


def is_idle(said):
    return said is not None and said["data"].get("status") == {"exec_info": {"queue_remaining": 0}}


def test_a_client_that_comes_back_when_all_is_over(server):
    trace = read_trace("reconnect_after_finish")
    client_id = uuid.uuid4().hex
    with talking(server.url, client_id=client_id) as talker:
        request = ours(trace.prompts[0], talker)
        warm(talker, request, trace.cached[0])
        talker.frames.clear()
        prompt_id = talker.post(request["prompt"], extra_data={"step_time": 0.02})
        talker.until(lambda m: is_progress(m, 1))
        left = [token(frame) for frame in talker.frames]
    with talking(server.url) as other:
        if not any(is_idle(message(frame)) for frame in other.frames):  # the greeting may say so already
            other.until(is_idle)
    with talking(server.url, client_id=client_id) as again:
        said = [token(frame) for frame in again.frames]
        assert again.history(prompt_id)["status"]["completed"]
    assert left == without(trace.heard["client"], *GREETING)
    assert said == trace.heard["client-again"]


def test_a_prompt_without_client_id_is_told_to_all(server):
    trace = read_trace("no_client_id")
    with talking(server.url) as other:
        request = ours(trace.prompts[0], None)
        warm(other, request, ["4", "5", "6", "7"])
        other.frames.clear()
        assert other.http.post("/prompt", json=request).status_code == 200
        other.until(
            lambda m: m is not None and m["data"].get("status", {}).get("exec_info") == {"queue_remaining": 0}
        )
        assert [token(frame) for frame in other.frames] == without(
            trace.heard["other"], "feature_flags", "status 0 (status,sid)"
        )


def test_another_client_hears_only_how_long_the_queue_is(server):
    trace = read_trace("other_client_watches")
    with talking(server.url) as owner, talking(server.url) as other:
        warm(owner, ours(trace.prompts[0], owner), trace.cached[0])
        for _ in range(3):
            other.receive()
        owner.frames.clear()
        other.frames.clear()
        owner.run(ours(trace.prompts[0], owner)["prompt"])
        for _ in range(3):
            other.receive()
        greeting = ("feature_flags", "status 0 (status,sid)")
        assert [token(frame) for frame in owner.frames] == without(trace.heard["owner"], *greeting)
        assert [token(frame) for frame in other.frames] == without(trace.heard["other"], *greeting)


def test_two_queued(server):
    trace = read_trace("two_queued")
    with talking(server.url) as talker:
        warm(talker, ours(trace.prompts[0], talker), trace.cached[0])
        talker.frames.clear()
        first = talker.post(ours(trace.prompts[0], talker)["prompt"], extra_data={"step_time": 0.05})
        talker.until(starts_sampling)
        second = talker.post(ours(trace.prompts[1], talker)["prompt"])
        talker.until_end(second)
        said = [token(frame) for frame in talker.frames]
    recorded = without(trace.heard["client"], "feature_flags", "status 0 (status,sid)")
    # When the second POST came differs; everything else has one order.
    assert without(said, "status 2") == without(recorded, "status 2")
    assert said.count("status 2 (status)") == recorded.count("status 2 (status)") == 1
    assert first != second


def test_interrupted(server):
    trace = read_trace("interrupted")
    with talking(server.url) as talker:
        warm(
            talker,
            {**(request := ours(trace.prompts[0], talker)), "prompt": _steps(request, 1)},
            trace.cached[0],
        )
        talker.frames.clear()
        prompt_id = talker.post(request["prompt"], extra_data={"step_time": 0.05})
        talker.until(lambda m: is_progress(m, 4))
        talker.http.post("/interrupt", json={"prompt_id": prompt_id})
        talker.until_end(prompt_id)
        said = [token(frame) for frame in talker.frames]
    recorded = without(trace.heard["client"], "feature_flags", "status 0 (status,sid)")
    assert list(_without_late_steps(said)) == recorded


def _steps(request: Json, steps: int) -> Json:
    prompt = copy.deepcopy(request["prompt"])
    prompt["3"]["inputs"]["steps"] = steps
    return prompt


def _without_late_steps(tokens: list[str]) -> Iterator[str]:
    """Leave out what came between step 4 and the interrupt: the recording had none, ours may have some."""
    seen = tokens.index(next(each for each in tokens if each.startswith("progress 3 4/")))
    yield from tokens[: seen + 1]
    stopped = next(i for i, each in enumerate(tokens) if each.startswith("interrupted"))
    assert stopped - seen < 10
    yield from tokens[stopped:]


def test_an_interrupt_for_another_prompt_changes_nothing(server):
    trace = read_trace("interrupt_other_id")
    with talking(server.url) as talker:
        warm(
            talker,
            {**(request := ours(trace.prompts[0], talker)), "prompt": _steps(request, 1)},
            trace.cached[0],
        )
        talker.frames.clear()
        prompt_id = talker.post(request["prompt"])
        talker.until(lambda m: is_progress(m, 4))
        talker.http.post("/interrupt", json={"prompt_id": str(uuid.uuid4())})
        talker.until_end(prompt_id)
        said = [token(frame) for frame in talker.frames]
    assert said == without(trace.heard["client"], "feature_flags", "status 0 (status,sid)")


def test_a_waiting_prompt_is_deleted(server):
    trace = read_trace("pending_deleted")
    with talking(server.url) as talker:
        warm(
            talker,
            {**(request := ours(trace.prompts[0], talker)), "prompt": _steps(request, 1)},
            trace.cached[0],
        )
        talker.frames.clear()
        running = talker.post(request["prompt"], extra_data={"step_time": 0.05})
        talker.until(starts_sampling)
        waiting = talker.post(ours(trace.prompts[1], talker)["prompt"])
        talker.http.post("/queue", json={"delete": [waiting]})
        assert talker.http.get("/queue").json()["queue_pending"] == []
        talker.until_end(running)
        assert talker.http.get(f"/history/{waiting}").json() == {}
        said = [token(frame) for frame in talker.frames]
    recorded = without(trace.heard["client"], "feature_flags", "status 0 (status,sid)")
    # put, taken, put, and two of the deletion; they stand where the calls happened to come.
    statuses = ["status 1 (status)", "status 1 (status)", "status 2 (status)", *["status 1 (status)"] * 2]
    assert [each for each in said if each.startswith("status")] == [*statuses, "status 0 (status)"]
    assert without(said, "status 1", "status 2") == without(recorded, "status 1", "status 2")


def test_cancelled_through_the_jobs_api(server):
    trace = read_trace("job_cancel_api")
    with talking(server.url) as talker:
        warm(
            talker,
            {**(request := ours(trace.prompts[0], talker)), "prompt": _steps(request, 1)},
            trace.cached[0],
        )
        talker.frames.clear()
        running = talker.post(request["prompt"], extra_data={"step_time": 0.05})
        talker.until(starts_sampling)
        waiting = talker.post(ours(trace.prompts[1], talker)["prompt"])
        talker.until(lambda m: is_progress(m, 4))
        for prompt_id in (waiting, running):
            assert talker.http.post(f"/api/jobs/{prompt_id}/cancel").json() == {"cancelled": True}
        talker.until_end(running)
        said = [token(frame) for frame in talker.frames]
        jobs = talker.http.get("/api/jobs", params={"limit": 1}).json()["jobs"]
    recorded = without(trace.heard["client"], "feature_flags", "status 0 (status,sid)")
    assert list(_without_late_steps(without(said, "status"))) == without(recorded, "status")
    assert [each for each in said if each.startswith("status")] == [
        each for each in recorded if each.startswith("status")
    ]
    assert (jobs[0]["id"], jobs[0]["status"]) == (running, "cancelled")


def test_reconnecting_in_the_middle_of_a_run(server):
    trace = read_trace("reconnect_mid_run")
    client_id = uuid.uuid4().hex
    with talking(server.url, client_id=client_id) as talker:
        request = ours(trace.prompts[0], talker)
        warm(talker, {**request, "prompt": _steps(request, 1)}, trace.cached[0])
        prompt_id = talker.post(_steps(request, 40), extra_data={"step_time": 0.05})
        talker.until(lambda m: is_progress(m, 5))
    with talking(server.url, client_id=client_id) as again:
        again.until_end(prompt_id)
        said = [token(frame) for frame in again.frames]
    recorded = trace.heard["client-again"]
    assert said[:2] == recorded[:2] == ["status 1 (status,sid)", "executing 3 (node)"]
    end = list(itertools.dropwhile(lambda each: " finished" not in each or "3:150" not in each, recorded))
    ends = [each.replace("150/150", "40/40") for each in without(end, "preview", "progress")]
    assert ends
    assert without(said, "preview", "progress")[-len(ends) :] == ends


def test_previews_can_be_turned_off_for_one_prompt(server):
    trace = read_trace("preview_off_per_prompt")
    with talking(server.url) as talker:
        request = ours(trace.prompts[0], talker)
        warm(talker, request, trace.cached[0])
        talker.frames.clear()
        talker.run(request["prompt"], extra_data=trace.prompts[0]["extra_data"])
        said = [token(frame) for frame in talker.frames]
    recorded = without(trace.heard["client"], "feature_flags", "status 0 (status,sid)")
    assert not [each for each in said if each.startswith("preview")]
    # Without a picture, only as many steps are told as time allows: the first and the last always.
    between = tuple(
        f"{kind} 3{dot}{n}/6" for kind, dot in (("progress", " "), ("state", ":")) for n in range(2, 6)
    )
    assert without(said, *between) == without(recorded, *between)


def test_the_same_shapes_over_http(server):
    """Every GET of the survey: the same status and, for objects, the keys that the original has."""
    with talking(server.url) as talker:
        talker.run(ours(read_trace("txt2img_flags").prompts[0], talker)["prompt"])
        for record in http_records("http_survey"):
            if record["path"] in ("/settings", "/users"):
                continue  # the front end's own
            call: dict[str, Any] = {"params": record["params"], "json": record["request"]}
            reply = talker.http.request(record["method"], record["path"], **call)
            assert (record["path"], reply.status_code) == (record["path"], record["status"])
            if isinstance(record.get("response"), dict) and not record["path"].startswith(
                ("/history", "/features")
            ):
                assert set(record["response"]) <= set(reply.json()), record["path"]


def test_a_definition_has_the_keys_of_the_original(server):
    paths = {record["path"]: record.get("response") for record in http_records("http_survey")}
    with talking(server.url) as talker:
        recorded = paths["/object_info/KSampler"]["KSampler"]
        said = talker.http.get("/object_info/KSampler").json()["KSampler"]
    assert list(said) == list(recorded)
    assert {k: said[k] for k in ("input_order", "output", "output_name", "name", "category")} == {
        k: recorded[k] for k in ("input_order", "output", "output_name", "name", "category")
    }
    for name, (kind, *_) in recorded["input"]["required"].items():
        ours_kind = said["input"]["required"][name][0]
        assert set(ours_kind) <= set(kind) if isinstance(kind, list) else ours_kind == kind


def test_history_entries_have_the_shape_of_the_original(server):
    records = http_records("txt2img_flags")
    recorded = next(iter(next(r for r in records if r["path"].startswith("/history/"))["response"].values()))
    job = next(r for r in records if r["path"].startswith("/api/jobs/"))["response"]
    with talking(server.url) as talker:
        prompt_id, _ = talker.run(ours(read_trace("txt2img_flags").prompts[0], talker)["prompt"])
        said = talker.history(prompt_id)
        said_job = talker.http.get(f"/api/jobs/{prompt_id}").json()
    assert list(said) == list(recorded)
    assert said["prompt"][1] == prompt_id
    assert list(said["prompt"][3]) == list(recorded["prompt"][3])
    assert said["prompt"][4] == recorded["prompt"][4]
    assert said["meta"] == recorded["meta"]
    assert [name for name, _ in said["status"]["messages"]] == [
        name for name, _ in recorded["status"]["messages"]
    ]
    assert (said["status"]["status_str"], said["status"]["completed"]) == ("success", True)
    assert list(said["outputs"]["9"]["images"][0]) == list(recorded["outputs"]["9"]["images"][0])
    assert list(said_job) == list(job)


INVALID = http_records("invalid_prompts")


@pytest.mark.parametrize("record", INVALID, ids=[str(i) for i in range(len(INVALID))])
def test_refusals_are_worded_as_the_original_words_them(server, record):
    with talking(server.url) as talker:
        body = record["request"]
        for node in (body.get("prompt") or {}).values():
            if node.get("inputs", {}).get("ckpt_name") == "tiny.safetensors":
                node["inputs"]["ckpt_name"] = CHECKPOINT
        reply = talker.http.post("/prompt", json=body)
    assert reply.status_code == record["status"] == 400
    assert _comparable(reply.json()) == _comparable(record["response"])


def _comparable(body: Json) -> Json:
    """Without what our nodes say otherwise: their tooltips, the list of checkpoints, tracebacks."""
    for node in body["node_errors"].values():
        for error in node["errors"]:
            info = error["extra_info"]
            assert isinstance(info.pop("traceback", []), list)
            if "input_config" in info:
                options = info["input_config"][1]
                options.pop("tooltip", None)
            if error["type"] == "value_not_in_list":
                error["details"], info["input_config"] = error["details"].partition(" not in ")[0], None
    return body
