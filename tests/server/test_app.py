"""The embedded server's routes, as a client sees them: files, limits, who may ask, and odd requests."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import time
import uuid
from urllib.parse import urlsplit

import pytest
from PIL import Image
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from comfy_nb.server import hub as hub_module
from comfy_nb.server.app import create_app
from comfy_nb.server.files import Folders
from comfy_nb.server.routes.socket import serve
from tests.server.talk import (
    CHECKPOINT,
    FLAGS,
    binary,
    fresh_seed,
    is_end,
    is_progress,
    message,
    talking,
    text_to_image,
    unpack_preview,
)


def picture(color: str = "red", size: tuple[int, int] = (64, 48), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, color).save(buffer, "PNG")
    return buffer.getvalue()


def upload(talker, name: str, data: bytes, **fields: str):
    return talker.http.post("/upload/image", files={"image": (name, data, "image/png")}, data=fields)


# Previews


def test_previews_are_jpegs_of_512_with_the_ids_of_their_node(talker):
    prompt_id, frames = talker.run(text_to_image(size=64))
    previews = [unpack_preview(frame) for frame in binary(frames)]
    assert len(previews) == 6
    for metadata, data in previews:
        assert metadata == {
            "node_id": "3",
            "prompt_id": prompt_id,
            "display_node_id": "3",
            "parent_node_id": None,
            "real_node_id": "3",
            "image_type": "image/jpeg",
        }
        with Image.open(io.BytesIO(data)) as image:
            assert (image.format, image.size) == ("JPEG", (512, 512))


def test_previews_keep_the_shape_of_the_canvas(talker):
    prompt = text_to_image(steps=1)
    prompt["5"]["inputs"] |= {"width": 96, "height": 64}
    _, frames = talker.run(prompt)
    with Image.open(io.BytesIO(unpack_preview(binary(frames)[0])[1])) as image:
        assert image.size == (512, 341)


def test_flags_that_do_not_come_first_are_ignored(server):
    with talking(server.url, flags=False) as talker:
        talker.socket.send("hello")
        talker.socket.send(json.dumps(FLAGS))
        _, frames = talker.run(text_to_image(steps=2))
        assert [frame[:8].hex() for frame in binary(frames)] == ["0000000100000001"] * 2
        assert "feature_flags" not in [m["type"] for m in map(message, frames) if m]


@pytest.mark.parametrize("flags", ["[]", "null", '{"type": "feature_flags"}', "{", "[" * 100_000])
def test_odd_first_messages_leave_the_socket_as_it_is(server, flags):
    with talking(server.url, flags=False) as talker:
        talker.socket.send(flags)
        _, frames = talker.run(text_to_image(steps=1))
        assert frames[-1]


def test_the_newest_of_two_sockets_with_one_id_hears(server):
    with talking(server.url) as old, talking(server.url, client_id=old.client_id) as new:
        prompt_id, frames = new.run(text_to_image(steps=1))
        assert is_end(message(frames[-1]), prompt_id)
        with pytest.raises(TimeoutError):
            old.socket.recv(0.05)
        # The old one's end does not take the new one with it.
        old.socket.close()
        new.run(text_to_image(steps=1))


def test_a_socket_without_an_id_is_given_one(server):
    with connect(f"{server.url.replace('http', 'ws')}/api/ws", proxy=None) as ws:
        assert len(json.loads(ws.recv(5))["data"]["sid"]) == 32


def test_a_client_that_stops_reading_holds_up_nobody(server, talker):
    host, port = urlsplit(server.url).hostname, urlsplit(server.url).port
    with socket.create_connection((host, port)) as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.sendall(
            f"GET /ws?clientId=lazy HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        prompt = text_to_image(size=256, steps=200)
        lazy_prompt = talker.http.post("/prompt", json={"prompt": prompt, "client_id": "lazy"}).json()[
            "prompt_id"
        ]
        talker.run(text_to_image(steps=1))
        assert talker.history(lazy_prompt)["status"]["completed"]


# Prompts


def test_a_run_takes_as_long_as_its_step_time_says(talker):
    talker.run(text_to_image(steps=1))
    started = time.monotonic()
    talker.run(text_to_image(steps=4), extra_data={"step_time": 0.25})
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize("value", [-1, 3, "1", None, True, float("nan")])
def test_a_step_time_out_of_range_is_refused(talker, value):
    body = json.dumps({"prompt": text_to_image(), "extra_data": {"step_time": value}})
    reply = talker.http.post("/prompt", content=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["message"] == "extra_data.step_time must be a number of seconds from 0 to 2"


def test_lower_numbers_run_first(talker):
    blocker = talker.post(text_to_image(steps=100), extra_data={"step_time": 0.05})
    talker.until(lambda m: is_progress(m, 1))
    third = talker.post(text_to_image(steps=1))
    second = talker.post(text_to_image(steps=1), number="-1000000.5")
    first = talker.post(text_to_image(steps=1), number=-2_000_000)
    talker.http.post("/interrupt", json={"prompt_id": blocker})
    talker.until_end(third)
    starts = [
        m["data"]["prompt_id"] for m in map(message, talker.frames) if m and m["type"] == "execution_start"
    ]
    assert starts == [blocker, first, second, third]
    assert talker.history(first)["prompt"][0] == -2_000_000


def test_a_prompt_at_the_front_runs_before_those_that_wait(talker):
    blocker = talker.post(text_to_image(steps=100), extra_data={"step_time": 0.05})
    talker.until(lambda m: is_progress(m, 1))
    last = talker.post(text_to_image(steps=1))
    front = talker.post(text_to_image(steps=1), front=True)
    assert {item[1] for item in talker.http.get("/queue").json()["queue_pending"]} == {last, front}
    assert talker.http.get("/prompt").json() == {"exec_info": {"queue_remaining": 3}}
    talker.http.post("/interrupt", content=b"not JSON: whatever runs")
    talker.until_end(last)
    starts = [
        m["data"]["prompt_id"] for m in map(message, talker.frames) if m and m["type"] == "execution_start"
    ]
    assert starts == [blocker, front, last]


def test_the_same_id_and_number_twice_harms_nothing(talker):
    prompt_id = str(uuid.uuid4())
    for _ in range(4):
        talker.post(text_to_image(steps=1), prompt_id=prompt_id, number=5)
    for _ in range(4):
        talker.until_end(prompt_id)
    assert talker.http.get("/prompt").json() == {"exec_info": {"queue_remaining": 0}}


def test_clearing_removes_what_waits_and_not_what_runs(talker):
    running = talker.post(text_to_image(steps=40), extra_data={"step_time": 0.02})
    talker.until(lambda m: is_progress(m, 1))
    talker.post(text_to_image())
    talker.http.post("/queue", json={"clear": True})
    talker.until_end(running)
    assert talker.http.get("/queue").json() == {"queue_running": [], "queue_pending": []}


def test_credentials_are_never_shown(talker):
    secret = {"api_key_comfy_org": "s3cret", "auth_token_comfy_org": "s3cret"}
    prompt_id, _ = talker.run(text_to_image(steps=1), extra_data=secret)
    assert "s3cret" not in json.dumps(talker.history(prompt_id))


def test_history_by_pages_and_forgotten(talker):
    ids = [talker.run(text_to_image(steps=1))[0] for _ in range(3)]
    assert list(talker.http.get("/api/history", params={"max_items": 2}).json()) == ids[1:]
    everything = list(talker.http.get("/history").json())
    assert everything[-3:] == ids
    page = talker.http.get("/history", params={"max_items": 1, "offset": len(everything) - 2}).json()
    assert list(page) == [ids[1]]
    talker.http.post("/history", json={"delete": [ids[0]]})
    assert talker.http.get(f"/history/{ids[0]}").json() == {}
    talker.http.post("/history", json={"clear": True})
    assert talker.http.get("/history").json() == {}


def test_jobs_by_status_and_page(talker):
    talker.http.post("/history", json={"clear": True})
    done, _ = talker.run(text_to_image(steps=1), extra_data={"extra_pnginfo": {"workflow": {"id": "w1"}}})
    failed, _ = talker.run(text_to_image(size=4096, steps=1))
    jobs = talker.http.get("/api/jobs").json()
    assert [job["id"] for job in jobs["jobs"]] == [failed, done]
    assert jobs["pagination"] == {"offset": 0, "limit": None, "total": 2, "has_more": False}
    assert [job["id"] for job in talker.http.get("/api/jobs?status=failed").json()["jobs"]] == [failed]
    assert [job["id"] for job in talker.http.get("/api/jobs?workflow_id=w1").json()["jobs"]] == [done]
    assert talker.http.get("/api/jobs?limit=1&sort_order=asc").json()["jobs"][0]["id"] == done
    assert talker.http.get(f"/api/jobs/{failed}").json()["execution_error"]["node_id"] == "5"
    for bad in ("status=nope", "sort_by=name", "sort_order=up", "limit=0", "limit=x"):
        assert talker.http.get(f"/api/jobs?{bad}").status_code == 400
    assert talker.http.get(f"/api/jobs/{uuid.uuid4()}").status_code == 404
    assert talker.http.get("/jobs").status_code == 404
    assert talker.http.post("/api/jobs/cancel", json={"job_ids": ["x"]}).json()["invalid_ids"] == ["x"]


# Odd requests


@pytest.mark.parametrize("path", ["/prompt", "/queue", "/history", "/free"])
@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_not_json_is_answered_as_the_original_does(talker, path, body):
    assert talker.http.post(path, content=body).status_code == 500


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": None},
        {"prompt": []},
        {"prompt": {}, "extra_data": None},
        {"prompt": text_to_image(), "number": "first"},
        {"prompt": text_to_image(), "extra_data": {"extra_pnginfo": None}},
        {"prompt": text_to_image(), "client_id": ["a"]},
        {"prompt": text_to_image(), "client_id": {}},
        {"prompt": text_to_image(), "prompt_id": 7},
        {"prompt": text_to_image(), "prompt_id": str(uuid.uuid4()).upper()},
        [],
    ],
)
def test_odd_prompts_are_refused_and_harm_nothing(talker, body):
    assert talker.http.post("/prompt", json=body).status_code in (400, 500)
    talker.run(text_to_image(steps=1))


def test_unknown_routes(talker):
    for method, path, status in [
        ("GET", "/nope", 404),
        ("GET", "/api/nope", 404),
        ("POST", "/nope", 405),
        ("DELETE", "/api/assets/x", 405),
        ("POST", "/api/system_stats", 405),
        ("GET", "/models/nope", 404),
    ]:
        reply = talker.http.request(method, path)
        assert (path, reply.status_code, reply.content) == (path, status, b"")


def test_the_server_says_what_it_is(talker):
    system = talker.http.get("/api/system_stats").json()["system"]
    assert system["deploy_environment"] == "comfy_nb-embedded"
    tooltip = talker.http.get("/object_info/CheckpointLoaderSimple").json()["CheckpointLoaderSimple"]["input"]
    assert "Nothing is loaded" in tooltip["required"]["ckpt_name"][1]["tooltip"]
    assert CHECKPOINT in talker.http.get("/models/checkpoints").json()


# Files


def test_a_saved_picture_carries_its_prompt_and_workflow(talker):
    prompt = text_to_image(steps=2, batch=2)
    prompt["9"]["inputs"]["filename_prefix"] = "sub/dir/%width%x%height%"
    workflow = {"nodes": [], "text": "é ⟂"}
    prompt_id, _ = talker.run(prompt, extra_data={"extra_pnginfo": {"workflow": workflow}})
    references = talker.history(prompt_id)["outputs"]["9"]["images"]
    assert [r["filename"] for r in references] == ["64x64_00001_.png", "64x64_00002_.png"]
    for reference in references:
        assert (reference["subfolder"], reference["type"]) == ("sub/dir", "output")
        reply = talker.http.get("/view", params=reference)
        assert reply.headers["content-type"] == "image/png"
        with Image.open(io.BytesIO(reply.content)) as image:
            assert image.size == (64, 64)
            assert json.loads(image.info["prompt"]) == prompt
            assert json.loads(image.info["workflow"]) == workflow


def test_previews_and_channels_of_a_picture(talker):
    half = picture("#ff000080", mode="RGBA")
    name = upload(talker, "half.png", half).json()["name"]
    params = {"filename": name, "type": "input"}
    assert talker.http.get("/view", params=params).content == half
    assert talker.http.get("/view", params={**params, "channel": "rgba"}).content == half
    for asked, kind, mode in [
        ({"preview": "webp;90"}, "WEBP", "RGBA"),
        ({"preview": "jpeg;75"}, "JPEG", "RGB"),
        ({"preview": "gif"}, "WEBP", "RGBA"),
        ({"preview": "jpeg", "channel": "a"}, "WEBP", "RGBA"),
        ({"channel": "rgb"}, "PNG", "RGB"),
        ({"channel": "a"}, "PNG", "RGBA"),
    ]:
        with Image.open(io.BytesIO(talker.http.get("/view", params={**params, **asked}).content)) as image:
            assert (asked, image.format, image.mode, image.size) == (asked, kind, mode, (64, 48))
            if asked == {"channel": "a"}:
                assert image.getpixel((0, 0)) == (0, 0, 0, 128)


def test_parts_of_a_file_can_be_asked_for(talker):
    data = picture()
    name = upload(talker, "range.png", data).json()["name"]
    reply = talker.http.get(
        "/view", params={"filename": name, "type": "input"}, headers={"range": "bytes=1-3"}
    )
    assert (reply.status_code, reply.content) == (206, data[1:4])


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({}, 404),
        ({"filename": "none.png"}, 404),
        ({"filename": "/etc/passwd"}, 400),
        ({"filename": "../server.log"}, 400),
        ({"filename": "a..b"}, 400),
        ({"filename": "server.log", "subfolder": ".."}, 403),
        ({"filename": "passwd", "subfolder": "/etc"}, 403),
        ({"filename": "x", "type": "nowhere"}, 400),
        ({"filename": "a\0b"}, 404),
        ({"filename": "x" * 5000}, 404),
        ({"filename": "text.txt", "type": "input", "preview": "webp"}, 500),
    ],
)
def test_only_files_of_the_three_folders_can_be_viewed(talker, params, status):
    upload(talker, "text.txt", b"no picture")
    reply = talker.http.get("/view", params=params)
    assert reply.status_code == status


def test_a_link_out_of_a_folder_is_not_followed(server, talker):
    (server._folder / "output" / "log").symlink_to(server._folder / "server.log")
    assert talker.http.get("/view", params={"filename": "log"}).status_code == 404
    (server._folder / "output" / "out").symlink_to("/etc")
    assert talker.http.get("/view", params={"filename": "passwd", "subfolder": "out"}).status_code == 403


def test_pages_and_scripts_are_downloads(talker):
    upload(talker, "page.html", b"<script>alert(1)</script>")
    headers = talker.http.get("/view", params={"filename": "page.html", "type": "input"}).headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"].startswith("attachment")
    assert headers["x-content-type-options"] == "nosniff"


def test_uploads_of_the_same_name(talker):
    red, blue = picture("red"), picture("blue")
    assert upload(talker, "a b.png", red).json() == {"name": "a b.png", "subfolder": "", "type": "input"}
    assert upload(talker, "a b.png", red).json()["name"] == "a b.png"
    assert upload(talker, "a b.png", blue).json()["name"] == "a b (1).png"
    assert upload(talker, "a b.png", blue, overwrite="true").json()["name"] == "a b.png"
    assert talker.http.get("/view", params={"filename": "a b.png", "type": "input"}).content == blue
    assert upload(talker, "é.png", red, subfolder="x/y", type="temp").json() == {
        "name": "é.png",
        "subfolder": "x/y",
        "type": "temp",
    }


@pytest.mark.parametrize("data", [b"", b"\r\n", b" \r\n\r\n-- \r\n--x", bytes(range(256)) * 3])
def test_uploads_arrive_byte_for_byte(talker, data):
    name = upload(talker, "bytes.bin", data, overwrite="1").json()["name"]
    assert talker.http.get("/view", params={"filename": name, "type": "input"}).content == data


def test_uploads_cannot_leave_their_folder(talker):
    assert upload(talker, "../../evil.png", b"x").status_code == 400
    assert upload(talker, "x.png", b"x", subfolder="../..").status_code == 400
    assert upload(talker, "x.png", b"x", type="root").status_code == 500
    assert talker.http.post("/upload/image", data={"a": "b"}).status_code == 500
    assert talker.http.post("/upload/image", content=b"x").status_code == 500


def test_larger_bodies_than_the_limit_are_refused(talker):
    def chunks():
        for _ in range(101):
            yield bytes(1024 * 1024)

    reply = talker.http.post(
        "/upload/image", content=chunks(), headers={"content-type": "multipart/form-data"}
    )
    assert reply.status_code == 413


# Who may ask


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost"}, 200),
        ({"host": "[::1]:80"}, 200),
        ({"host": "127.0.0.1.example.com"}, 403),
        ({"host": "example.com"}, 403),
        ({"host": "10.0.0.1"}, 403),
        ({"host": ""}, 403),
        ({"host": "[::1"}, 403),
        ({"host": "localhost:1234", "origin": "http://localhost:1234"}, 200),
        ({"host": "localhost:1234", "origin": "http://127.0.0.1:1234"}, 403),
        ({"host": "localhost:1234", "origin": "http://localhost:8888"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://example.com"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
    ],
)
def test_only_programs_and_our_own_pages_are_answered(server, talker, headers, status):
    assert talker.http.get("/queue", headers=headers).status_code == status
    assert talker.http.post("/prompt", headers=headers, json={"prompt": {}}).status_code == (
        status if status == 403 else 400
    )


def test_sockets_of_pages_from_elsewhere_are_refused(server):
    address = f"{server.url.replace('http', 'ws')}/ws"
    with pytest.raises(InvalidStatus, match="403"):
        connect(address, origin="https://example.com", proxy=None)
    with connect(address, origin=server.url, proxy=None) as ws:
        assert json.loads(ws.recv(5))["type"] == "status"


def test_words_that_the_world_does_not_know_are_logged(server, talker):
    word = "zzz" + "".join(chr(97 + int(digit)) for digit in str(fresh_seed()))
    talker.run(text_to_image(steps=1, text=f"a {word}"))
    assert word in server.log()


async def test_a_socket_that_lets_too_much_pile_up_is_cut_off(monkeypatch, tmp_path):
    class Socket:
        """A client that takes one message and then reads no more."""

        def __init__(self):
            self.query_params = {"clientId": "lazy"}
            self.app = create_app(Folders(tmp_path), step_time=0)
            self.sent = asyncio.Queue()

        async def accept(self):
            pass

        async def receive(self):
            await asyncio.Event().wait()

        async def send_text(self, text):
            self.sent.put_nowait(text)
            await asyncio.Event().wait()

    monkeypatch.setattr(hub_module, "BACKLOG_LIMIT", 1000)
    lazy = Socket()
    hub = lazy.app.state.server.hub
    hub.attach(asyncio.get_running_loop())
    serving = asyncio.create_task(serve(lazy))
    await lazy.sent.get()
    for _ in range(9):
        hub.send("x" * 100, "lazy")
    await asyncio.sleep(0)
    assert hub.listens("lazy")
    assert not serving.done()
    hub.send("x" * 100, "lazy")
    await asyncio.wait_for(serving, 5)
    assert not hub.listens("lazy")
    assert lazy.sent.empty()


def test_the_address_in_a_browser_says_what_it_is(talker):
    reply = talker.http.get("/")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/plain")
    assert f'cn.connect("{str(talker.http.base_url).rstrip("/")}")' in reply.text
    assert talker.http.get("/no-such-page").status_code == 404
