"""What a hostile client may cost the embedded server: work that grows with what is sent, and no faster.

Times are compared as ratios to honest work of the same kind: ten times as much may take some more than ten times.
"""

from __future__ import annotations

import asyncio
import io
import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from comfy_nb.server import queue as queue_module
from comfy_nb.server.executor import Executor
from comfy_nb.server.files import Folders
from comfy_nb.server.graph import RunOrder
from comfy_nb.server.guard import refusal
from comfy_nb.server.hub import Hub
from comfy_nb.server.multipart import parse_multipart
from comfy_nb.server.nodes.conditioning import _check_nesting
from comfy_nb.server.process import EmbeddedServer
from comfy_nb.server.queue import PromptQueue, QueuedPrompt, weigh
from comfy_nb.server.validation import MANY_OUTPUTS, Refusal, validate
from tests.server.talk import Json, talking, text_to_image

SLACK = 3.5  # times as much as linear work would take: a square would be 10 times


def seconds(work: Callable[[], object]) -> float:
    """The best of three."""
    times = []
    for _ in range(3):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def grows_linearly(make: Callable[[int], Callable[[], object]], small: int) -> None:
    """Ten times as much takes no more than SLACK times ten times as long."""
    few, many = seconds(make(small)), seconds(make(10 * small))
    assert many <= SLACK * 10 * few + 0.005, (few, many)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


# Names


@pytest.mark.parametrize(
    "prefix", ["猫", "Ω_δ", "🦊", "кот", "قطة", "हिंदी", "é", "a\u202eb", "Ω/δ", 'say "hi"', "plain"]
)
def test_a_picture_is_served_under_a_name_of_any_script(talker, prefix):
    prompt = text_to_image(steps=1)
    prompt["9"]["inputs"]["filename_prefix"] = prefix
    prompt_id, _ = talker.run(prompt)
    reference = talker.history(prompt_id)["outputs"]["9"]["images"][0]
    for asked in ({}, {"preview": "webp;90"}, {"channel": "rgb"}):
        reply = talker.http.get("/view", params={**reference, **asked})
        assert reply.status_code == 200
        told = dict(reply.headers.raw)[b"content-disposition"].decode()
        name = reference["filename"].replace('"', "_").replace("\u202e", "_")
        assert f'filename="{name}"' in told
        assert ("filename*=UTF-8''" in told) is not name.isascii()


@pytest.mark.parametrize("name", ["a\r\nx-evil: 1.png", "a\x1b[31m.png", "猫\n.html"])
def test_no_name_of_a_file_adds_to_the_head_of_an_answer(server, talker, name):
    (server._folder / "input" / name).write_bytes(b"data")
    reply = talker.http.get("/view", params={"filename": name, "type": "input"})
    assert (reply.status_code, reply.content) == (200, b"data")
    assert "x-evil" not in reply.headers


@pytest.mark.parametrize("name", ["KSampler //Inspire", "a/b", "../KSampler", "KSampler/"])
def test_a_class_name_with_a_slash_is_one_that_is_not_there(talker, name):
    for prefix in ("", "/api"):
        reply = talker.http.get(f"{prefix}/object_info/{name.replace('/', '%2F')}")
        assert (reply.status_code, reply.json()) == (200, {})


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "//[", "http://127.0.0.1]"])
def test_an_origin_that_is_no_url_is_refused(talker, origin):
    assert talker.http.get("/queue", headers={"origin": origin}).status_code == 403
    assert refusal(SimpleNamespace(get={"host": "127.0.0.1", "origin": origin}.get)) is not None


# Validation


def chain(length: int, outputs: int = 1, *, first: Any = "text", ring: bool = False) -> Json:
    """Switches, each of which takes from the one before; `outputs` of them are shown."""
    prompt: Json = {"0": {"class_type": "PreviewAny", "inputs": {"source": first}}}
    for number in range(1, length):
        prompt[str(number)] = {"class_type": "PrimitiveString", "inputs": {"value": [str(number - 1), 0]}}
    for number in range(outputs):
        source = [str(length - 1 - number * (length // outputs)), 0]
        prompt[f"out{number}"] = {"class_type": "PreviewAny", "inputs": {"source": source}}
    if ring:
        prompt["0"] = {"class_type": "PrimitiveString", "inputs": {"value": [str(length - 1), 0]}}
    return prompt


def verdict(prompt: Json, folders: Folders) -> Json:
    try:
        validate(prompt, folders)
    except Refusal as refused:
        return refused.body
    return {}


@pytest.mark.parametrize("ring", [False, True])
def test_long_chains_and_rings_are_checked_in_linear_time(folders, ring):
    grows_linearly(lambda size: lambda: verdict(chain(size, ring=ring), folders), 1000)


def test_the_reply_about_a_ring_grows_with_the_ring(folders):
    short, long = (len(json.dumps(verdict(chain(size, ring=True), folders))) for size in (600, 6000))
    assert long <= 11 * short
    told = verdict(chain(6000, ring=True), folders)["node_errors"]["7"]["errors"]
    assert "(5980 more)" in told[0]["details"] or "(5,980 more)" in told[0]["details"]


def test_many_outputs_of_a_long_chain_are_judged_in_linear_time(folders):
    def judge(size: int) -> Callable[[], object]:
        prompt = chain(size, size, first={"__value__": 5})
        del prompt["0"]["inputs"]["source"]
        return lambda: verdict(prompt, folders)

    grows_linearly(judge, 500)
    told = judge(500)()["node_errors"]["0"]
    assert len(told["dependent_outputs"]) == MANY_OUTPUTS
    assert told["errors"][0]["type"] == "required_input_missing"


def test_a_good_output_beside_a_bad_one_is_still_told_apart(folders):
    prompt = chain(3)
    prompt["bad"] = {"class_type": "PreviewAny", "inputs": {}}
    found = validate(prompt, folders)
    assert set(found.outputs) == {"0", "out0"}
    assert found.node_errors["bad"]["dependent_outputs"] == ["bad"]


def test_a_folder_is_listed_once_for_all_nodes_that_choose_from_it(folders, monkeypatch):
    for number in range(50):
        (folders.root / "input" / f"{number}.png").touch()
    listed = []
    monkeypatch.setattr(Folders, "inputs", lambda self: listed.append(1) or [f"{n}.png" for n in range(5000)])
    load = {"class_type": "LoadImage", "inputs": {"image": "1.png"}}
    wrong = {"class_type": "LoadImage", "inputs": {"image": ["load0", 1]}}
    show = {"class_type": "PreviewImage", "inputs": {"images": ["load0", 0]}}
    prompt: Json = {**{f"load{n}": load for n in range(300)}, **{f"wrong{n}": wrong for n in range(300)}}
    for number in range(300):
        prompt[f"show{number}"] = {**show, "inputs": {"images": [f"load{number}", 0]}}
        prompt[f"bad{number}"] = {**show, "inputs": {"images": [f"wrong{number}", 0]}}
    found = validate(prompt, folders)
    assert len(listed) == 1
    assert len(found.outputs) == 300
    assert len(json.dumps(found.node_errors)) < 1_000_000


# Running


def test_long_prompts_are_put_in_order_in_linear_time():
    def run(size: int) -> Callable[[], object]:
        prompt = chain(size, size)

        def work() -> None:
            order = RunOrder(prompt, [name for name in prompt if name.startswith("out")], lambda _: False)
            while (node_id := order.take()) is not None:
                order.done(node_id)

        return work

    grows_linearly(run, 500)


def test_trivial_nodes_cost_little_when_nobody_listens(folders):
    def run(size: int) -> Callable[[], object]:
        queue = PromptQueue(lambda: None)
        prompt = chain(size)

        def work() -> None:
            executor = Executor(Hub(), queue, folders, step_time=0)
            ended = executor.execute(QueuedPrompt(0, "id", prompt, {}, ["out0"]))
            assert ended["status"]["completed"]

        return work

    grows_linearly(run, 200)


# The queue and the history


def test_many_unknown_ids_are_cancelled_in_one_go():
    def cancel(size: int) -> Callable[[], object]:
        queue = PromptQueue(lambda: None)
        for number in range(size):
            queue.put(QueuedPrompt(number, str(uuid.uuid4()), {}, {}, []))
        names = [str(uuid.uuid4()) for _ in range(size)]
        return lambda: queue.cancel(names)

    grows_linearly(cancel, 2000)


def test_several_are_cancelled_whether_they_wait_or_run():
    queue = PromptQueue(lambda: None)
    for number in range(4):
        queue.put(QueuedPrompt(number, str(number), {}, {}, []))
    assert queue.take().prompt_id == "0"
    assert queue.cancel(["0", "2", "9"])
    assert queue.interrupt.is_set()
    assert [item.prompt_id for item in queue.snapshot()[1]] == ["1", "3"]
    assert not queue.cancel(["9"])


def finished(weights: list[int]) -> list[str]:
    queue = PromptQueue(lambda: None)
    for number, weight in enumerate(weights):
        queue.put(QueuedPrompt(number, str(number), {}, {}, [], weight))
        queue.take()
        queue.finish({"outputs": {}})
    return list(queue.history())


def test_the_history_keeps_what_fits_and_always_the_last():
    half = queue_module.HISTORY_BYTES * 2 // 5
    assert finished([half, half]) == ["0", "1"]
    assert finished([half, half, half]) == ["1", "2"]
    assert finished([half, 10 * half]) == ["1"]
    assert finished([10 * half, half]) == ["1"]


def test_what_waits_is_bounded_too_and_one_prompt_always_may():
    queue = PromptQueue(lambda: None)
    large = queue_module.WAITING_BYTES + 1
    assert queue.put(QueuedPrompt(0, "0", {}, {}, [], large))
    assert not queue.put(QueuedPrompt(1, "1", {}, {}, [], 1))
    queue.take()
    assert queue.put(QueuedPrompt(1, "1", {}, {}, [], 1))


def test_the_weight_of_json_is_near_to_what_it_takes():
    assert weigh(b"x" * 1000) == 1000
    assert weigh(b"[" + b"{}," * 999 + b"{}]") > 64 * 1000


# Uploads


def form(count: int, head: bytes) -> bytes:
    part = (
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="x.png"' + head + b"\r\n\r\ndata\r\n"
    )
    return part * count + b"--b--\r\n"


def test_odd_heads_of_uploads_are_read_in_linear_time():
    kind = "multipart/form-data; boundary=b"
    grows_linearly(lambda size: lambda: parse_multipart(kind, form(90, b";a" * size)), 100)
    grows_linearly(lambda size: lambda: parse_multipart(kind, form(1, b"") + b"-" * size), 100_000)
    assert parse_multipart(kind, form(400, b"")) == {}
    assert parse_multipart(kind, form(1, b";" * 5000)) == {}


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        ('filename="猫.png"', "猫.png"),
        ("filename=\"%E7%8C%AB.png\"; filename*=utf-8''%E7%8C%AB.png", "猫.png"),
        ("filename=plain.png", "plain.png"),
        ('filename="a\\"b.png"', 'a"b.png'),
        ("filename*=nonsense''a.png; filename=b.png", "b.png"),
        ('filename=""', ""),
    ],
)
def test_names_of_uploads_in_every_form(parameter, name):
    head = f'Content-Disposition: form-data; name="image"; {parameter}'.encode()
    body = b"--b\r\n" + head + b"\r\n\r\n\r\nda\r\n--ta\r\n--b--\r\n"
    part = parse_multipart("Multipart/Form-Data; boundary=b", body)["image"]
    assert (part.filename, part.data) == (name, b"\r\nda\r\n--ta")


def test_deep_brackets_are_refused_at_once_and_usual_ones_are_read(talker):
    def refuse(size: int) -> Callable[[], object]:
        def work() -> None:
            with pytest.raises(ValueError, match="deep; up to 100 are read"):
                _check_nesting("(" * size + "a")

        return work

    grows_linearly(refuse, 20_000)
    _check_nesting("(((a fox:1.2))) \\(\\( " + "(a)" * 1000)
    prompt_id, _ = talker.run(text_to_image(steps=1, text="(fox " * 20_000))
    told = talker.history(prompt_id)["status"]["messages"][-1]
    assert told[0] == "execution_error"
    assert "20,000 deep" in told[1]["exception_message"]


# Memory and the loop of a real server


def peak(server: EmbeddedServer) -> int:
    """Bytes of memory that it has had at most."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
def test_many_previews_of_large_pictures_take_the_memory_of_one():
    buffer = io.BytesIO()
    Image.new("RGB", (5000, 5000)).save(buffer, "PNG")
    with EmbeddedServer.start(step_time=0) as server, talking(server.url) as talker:
        talker.http.post("/upload/image", files={"image": ("large.png", buffer.getvalue(), "image/png")})
        asked = {"filename": "large.png", "type": "input", "preview": "jpeg;50"}
        before = peak(server)

        def preview(_: int) -> int:
            return talker.http.get("/view", params=asked, timeout=50).status_code

        preview(0)
        one = peak(server) - before
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(preview, range(8))) == {200}
        assert peak(server) - before <= 2 * one


def test_others_are_answered_while_a_large_prompt_is_checked(talker):
    body = json.dumps({"prompt": chain(20_000, ring=True)}).encode()

    async def lag() -> tuple[float, float]:
        import httpx2

        async with httpx2.AsyncClient(base_url=talker.url, trust_env=False, timeout=50) as http:
            started = time.perf_counter()
            posting = asyncio.create_task(http.post("/prompt", content=body))
            worst = 0.0
            while not posting.done():
                asked = time.perf_counter()
                await http.get("/queue")
                worst = max(worst, time.perf_counter() - asked)
            reply = await posting
            assert reply.status_code == 400
            assert len(reply.content) < 50_000_000
            return worst, time.perf_counter() - started

    worst, whole = asyncio.run(lag())
    assert worst <= 0.7 * whole, (worst, whole)  # a loop that is held answers only when all is done
