"""What the embedded server keeps from others: files outside of its folders, its memory, and, with a token, itself."""

from __future__ import annotations

import base64
import io
import json
import os
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from comfy_nb.client.credentials import basic
from comfy_nb.server.process import EmbeddedServer
from tests.server.talk import Json, Talker, text_to_image
from tests.unit.spoiling import spoiled

SECRET = "only for those who may see it"  # noqa: S105 - the text of a file
TOKEN = "correct horse é"  # noqa: S105 - of a server that lives for one test


def picture(mode: str = "RGB", size: tuple[int, int] = (8, 8), color: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, color).save(buffer, "PNG")
    return buffer.getvalue()


# Names


@pytest.fixture
def outside(server: EmbeddedServer) -> Iterator[Path]:
    """A file beside the server's folders, which nobody may read, change, move or remove."""
    file = server._folder / "secret.txt"
    file.write_text(SECRET)
    (server._folder / "user" / "mine.txt").write_text("mine")
    before = everything(server)
    yield file
    assert file.read_text() == SECRET
    assert everything(server) == before
    file.unlink()


def everything(server: EmbeddedServer) -> set[str]:
    """All that lies in the server's root but in none of the folders that it serves."""
    return {path.name for path in server._folder.iterdir()}


def hostile_names(file: Path) -> list[str]:
    up = f"../{file.name}"
    return [
        up,
        f"../{up}",
        f"sub/../../{file.name}",
        f"./{up}",
        f"....//{file.name}",
        str(file),
        f"/{file}",
        f"file://{file}",
        up.replace("/", "\\"),
        quote(up, safe=""),
        quote(quote(up, safe=""), safe=""),
        f"{up} [output]",
        f"{up}\0.png",
        "\0",
        "..",
        ".",
        "/",
        "~/.profile",
        "x" * 5000,
        "a/" * 3000,
    ]


def askings(name: str) -> Iterator[tuple[str, str, Json]]:
    """Every route that takes a name, with this one."""
    path = quote(name, safe="")
    file = {"image": (name, picture(), "image/png")}
    harmless = {"image": ("x.png", picture("RGBA"), "image/png")}
    references = [
        {"filename": name},
        {"filename": "x.png", "subfolder": name},
        {"filename": "x", "type": name},
    ]
    for prefix in ("", "/api"):
        for reference in references:
            yield "GET", f"{prefix}/view", {"params": reference}
            yield "GET", f"{prefix}/view", {"params": {**reference, "preview": "webp"}}
            data = {"original_ref": json.dumps(reference)}
            yield "POST", f"{prefix}/upload/mask", {"files": harmless, "data": data}
        yield "POST", f"{prefix}/upload/image", {"files": harmless, "data": {"subfolder": f"../{name}"}}
        yield "POST", f"{prefix}/upload/image", {"files": harmless, "data": {"type": name}}
        if ".." in name:
            yield "POST", f"{prefix}/upload/image", {"files": file, "data": {"overwrite": "true"}}
        yield "GET", f"{prefix}/userdata/{path}", {}
        yield "DELETE", f"{prefix}/userdata/{path}", {}
        yield "POST", f"{prefix}/userdata/{path}/move/stolen.txt", {}
        yield "POST", f"{prefix}/userdata/mine.txt/move/{path}", {"params": {"overwrite": "false"}}
        yield "GET", f"{prefix}/userdata", {"params": {"dir": name, "recurse": "true"}}
        yield "GET", f"{prefix}/v2/userdata", {"params": {"path": name}}
        if ".." in name or name.startswith("/"):
            yield "POST", f"{prefix}/userdata/{path}", {"content": b"overwritten"}
        for route in ("models", "experiment/models", "object_info", "history", "settings"):
            yield "GET", f"{prefix}/{route}/{path}", {}
    yield "GET", f"/{name}".replace("\0", "%00"), {}
    yield "GET", f"/{path}", {}


@pytest.mark.parametrize("number", range(len(hostile_names(Path("/x")))))
def test_no_name_leads_out_of_the_servers_folders(server, talker, outside, number):
    name = hostile_names(outside)[number]
    for method, path, options in askings(name):
        reply = talker.http.request(method, path, **options)
        asked = (method, path, options.get("params"), options.get("data"))
        assert SECRET not in reply.text, asked
        assert method != "GET" or "secret.txt" not in reply.text.replace(name, ""), asked
        # A 500 is what the original says to odd uploads; it is never a fault of ours that nobody caught.
        assert reply.status_code < 500 or reply.text.startswith("500 Internal Server Error: "), asked


@pytest.mark.parametrize(
    "name", ["../secret.txt", "/etc/passwd", "x" * 5000, "\0", "\ud800", "..", "../secret.txt [output]"]
)
def test_no_name_in_a_prompt_leads_out_either(server, talker, outside, name):
    show = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    load = {"1": {"class_type": "LoadImage", "inputs": {"image": name}}, "2": show}
    mask = {"class_type": "LoadImageMask", "inputs": {"image": name, "channel": "alpha"}}
    for prompt in (load, {**load, "1": mask}):
        # json.dumps, because it can say half of a surrogate pair.
        assert talker.http.post("/prompt", content=json.dumps({"prompt": prompt})).status_code == 400
    save = text_to_image(steps=1)
    save["9"]["inputs"]["filename_prefix"] = name if name[:1] in "x\ud800" else f"{name}/../../secret.txt\0"
    body = json.dumps({"prompt": save, "client_id": talker.client_id})
    prompt_id = talker.http.post("/prompt", content=body).json()["prompt_id"]
    talker.until_end(prompt_id)
    assert talker.history(prompt_id)["status"]["status_str"] == "error"


# Masks


def upload_mask(talker: Talker, mask: bytes, reference: object, name: str = "masked.png", **fields: str):
    files = {"image": (name, mask, "image/png")}
    data = {"original_ref": reference if isinstance(reference, str) else json.dumps(reference), **fields}
    return talker.http.post("/upload/mask", files=files, data=data)


def test_a_mask_becomes_the_alpha_channel_of_its_picture(talker):
    prompt_id, _ = talker.run(text_to_image(steps=1), extra_data={"extra_pnginfo": {"workflow": {"id": "w"}}})
    reference = talker.history(prompt_id)["outputs"]["9"]["images"][0]
    stored = upload_mask(
        talker, picture("RGBA", (64, 64), "#0000ff40"), reference, subfolder="clipspace"
    ).json()
    assert stored == {"name": "masked.png", "subfolder": "clipspace", "type": "input"}
    found = {"filename": stored["name"], "subfolder": stored["subfolder"], "type": stored["type"]}
    with (
        Image.open(io.BytesIO(talker.http.get("/view", params=reference).content)) as original,
        Image.open(io.BytesIO(talker.http.get("/view", params=found).content)) as masked,
    ):
        assert masked.mode == "RGBA"
        assert set(masked.getchannel("A").get_flattened_data()) == {0x40}
        assert masked.convert("RGB").tobytes() == original.convert("RGB").tobytes()
        assert masked.info["workflow"] == original.info["workflow"] == '{"id": "w"}'


@pytest.mark.parametrize(
    ("mask", "reference", "status"),
    [
        (picture("RGBA"), {"filename": "no.png"}, 400),
        (picture("RGBA"), {"filename": "../secret.txt"}, 400),
        (picture("RGBA"), {"filename": "x.png", "subfolder": "../.."}, 403),
        (picture("RGBA"), {}, 400),
        (picture("RGBA"), "{", 500),
        (picture("RGBA"), "[]", 500),
        (picture("RGBA"), {"filename": 3}, 500),
        (b"no picture", {"filename": "small.png", "type": "input"}, 500),
        (picture("RGBA", (9, 9)), {"filename": "small.png", "type": "input"}, 500),
        (picture("RGBA"), {"filename": "small.txt", "type": "input"}, 500),
    ],
)
def test_odd_masks_are_refused(talker, mask, reference, status):
    for name, data in (("small.png", picture()), ("small.txt", b"text")):
        talker.http.post("/upload/image", files={"image": (name, data, "image/png")})
    assert upload_mask(talker, mask, reference).status_code == status
    assert upload_mask(talker, picture("RGBA"), {"filename": "small.png", "type": "input"}).status_code == 200


# Sizes


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises that many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(3 * width + 1)
    rows = b"".join(packer.compress(row) for _ in range(height if height <= 8000 else 9)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8_000, 30_000])
def test_a_picture_that_would_fill_the_memory_is_not_decoded(talker, side):
    name = f"bomb{side}.png"
    data = bomb(side, side)
    assert len(data) < 2_000_000
    talker.http.post("/upload/image", files={"image": (name, data, "image/png")})
    reference = {"filename": name, "type": "input"}
    started = time.monotonic()
    for asked in ({"preview": "webp"}, {"channel": "a"}):
        reply = talker.http.get("/view", params={**reference, **asked})
        assert (reply.status_code, reply.text) == (500, "500 Internal Server Error: not an image.")
    assert upload_mask(talker, picture("RGBA"), reference).status_code == 500
    load = {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    prompt_id, _ = talker.run(load)
    assert talker.history(prompt_id)["status"]["status_str"] == "error"
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("depth", [101, 955, 960, 2000, 1_000_000])
@pytest.mark.parametrize("key", ["prompt", "extra_data"])
def test_what_is_nested_too_deeply_does_not_spoil_the_history_for_others(talker, key, depth):
    body = json.dumps({"prompt": {}, "client_id": talker.client_id, key: {"1": 0}})
    body = body.replace('{"1": 0}', '{"1": ' + "[" * depth + "]" * depth + "}")
    assert talker.http.post("/prompt", content=body).status_code == 500
    for path in ("/queue", "/history", "/api/jobs"):
        assert talker.http.get(path).status_code == 200


def test_damaged_and_foreign_pictures_are_no_pictures(talker):
    damaged = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + bytes(17) + bytes(8) + b"\xff" * 50
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    for name, data in (("damaged.png", damaged), ("program.eps", script), ("program.png", script)):
        talker.http.post("/upload/image", files={"image": (name, data, "image/png")})
        asked = {"filename": name, "type": "input", "preview": "webp"}
        reply = talker.http.get("/view", params=asked)
        assert (reply.status_code, reply.text) == (500, "500 Internal Server Error: not an image."), name


def test_a_part_whose_header_is_endless_is_left_out(talker):
    head = b'Content-Disposition: form-data; name="image"; filename="x.png"' + b';"' * 500_000
    body = b"--b\r\n" + head + b"\r\n\r\ndata\r\n--b--"
    started = time.monotonic()
    reply = talker.http.post(
        "/upload/image", content=body, headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert reply.status_code == 500
    assert time.monotonic() - started < 10


def send_too_much(url: str) -> None:
    with connect(f"{url.replace('http', 'ws')}/ws", proxy=None) as loud:
        loud.send("x" * (5 * 1024 * 1024))
        while True:
            loud.recv(5)


def test_a_message_that_is_too_large_ends_its_socket_only(server, talker):
    with pytest.raises(ConnectionClosed):
        send_too_much(server.url)
    talker.run(text_to_image(steps=1))


# Wrong types

BODY = {
    "prompt": text_to_image(steps=1, seed=5),
    "number": 3,
    "front": False,
    "prompt_id": None,
    "extra_data": {"preview_method": "none", "extra_pnginfo": {"workflow": {"id": "w"}}, "step_time": 0},
    "partial_execution_targets": ["9"],
    "client_id": "somebody",
}
BODIES: list[tuple[str, Json]] = [
    ("/prompt", BODY),
    ("/queue", {"clear": False, "delete": ["a", "b"]}),
    ("/history", {"clear": False, "delete": ["a", "b"]}),
    ("/interrupt", {"prompt_id": "a"}),
    ("/api/jobs/cancel", {"job_ids": ["11111111-1111-4111-8111-111111111111"]}),
    ("/free", {"unload_models": True}),
    ("/settings", {"Comfy.TutorialCompleted": True}),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(BODIES), st.integers(0, 10**9))
def test_wrong_types_anywhere_harm_nobody(talker, route, seed):
    path, body = route
    reply = talker.http.post(path, content=json.dumps(spoiled({"body": body}, seed)["body"]))
    asked = (path, seed)
    assert reply.status_code in (200, 400, 500), asked
    assert reply.status_code < 500 or reply.text.startswith("500 Internal Server Error: "), asked
    for listing in ("/queue", "/history", "/api/jobs", "/settings", "/api/prompt"):
        assert talker.http.get(listing).status_code == 200, asked


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/prompt", {**BODY, "number": 10**400}),
        ("/prompt", {**BODY, "number": float("nan")}),
        ("/prompt", {**BODY, "partial_execution_targets": 9}),
        ("/queue", {"delete": 5}),
        ("/history", {"delete": {"a": 1}}),
    ],
)
def test_what_makes_no_sense_is_refused_as_the_original_does(talker, path, body):
    assert talker.http.post(path, content=json.dumps(body)).status_code == 500


# The token


@pytest.fixture(scope="module")
def guarded() -> Iterator[EmbeddedServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMFY_NB_TOKEN", TOKEN)
        with EmbeddedServer.start(step_time=0, options=["--token"]) as running:
            yield running


def bearer(token: str) -> bytes:
    return f"Bearer {token}".encode()


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        (b"", 401),
        (b"Bearer", 401),
        (bearer("wrong"), 401),
        (bearer(TOKEN[:-2]), 401),
        (b"Basic " + base64.b64encode(TOKEN.encode()), 401),
        (basic("any", "wrong").encode(), 401),
        (b"Basic \xff", 401),
        (b"Basic " + base64.b64encode(b"any:\xff"), 401),
        (TOKEN.encode(), 401),
        (basic("any", TOKEN).encode(), 200),
        (basic("", TOKEN).encode(), 200),
    ],
)
def test_with_a_token_only_those_who_have_it_are_answered(guarded, header, status):
    headers = {} if header is None else {"authorization": header}
    with httpx2.Client(base_url=guarded.url, trust_env=False) as http:
        for path in ("/queue", "/api/history", "/view?filename=x", "/"):
            reply = http.get(path, headers=headers)
            assert (reply.status_code == 401) == (status == 401), path
            assert ("www-authenticate" in reply.headers) == (status == 401)
        posted = http.post("/prompt", headers=headers, json={"prompt": {}})
        assert posted.status_code == (401 if status == 401 else 400)
    address = f"{guarded.url.replace('http', 'ws')}/ws"
    if status == 401:
        with pytest.raises(InvalidStatus, match="401"):
            connect(address, proxy=None)
    else:
        with connect(address, proxy=None, additional_headers={"Authorization": header.decode()}) as ws:
            assert json.loads(ws.recv(5))["type"] == "status"


def test_a_token_lets_no_page_from_elsewhere_in(guarded):
    headers = {"authorization": basic("any", TOKEN), "origin": "https://example.com"}
    assert httpx2.get(f"{guarded.url}/queue", headers=headers, trust_env=False).status_code == 403


def test_a_token_is_made_up_and_printed_if_none_is_given():
    environment = {name: value for name, value in os.environ.items() if name != "COMFY_NB_TOKEN"}
    program = [sys.executable, "-m", "comfy_nb.server", "--token"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        told = json.loads(process.stdout.readline())
        with connect_http(told["url"], told["token"]) as http:
            assert http.get("/queue").status_code == 200
        with connect_http(told["url"], "another") as http:
            assert http.get("/queue").status_code == 401
        process.stdin.close()
        assert process.wait(10) == 0
    assert len(told["token"]) >= 32


def connect_http(url: str, token: str) -> httpx2.Client:
    return httpx2.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, trust_env=False)
