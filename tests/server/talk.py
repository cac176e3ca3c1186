"""A plain client for the tests of the embedded server: it knows the wire, and nothing of comfy_nb."""

from __future__ import annotations

import contextlib
import json
import struct
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
from websockets.sync.client import ClientConnection, connect

LIMIT = 20.0
FLAGS = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"

Json = dict[str, Any]


def text_to_image(
    *, size: int = 64, steps: int = 6, text: str = "a fox", batch: int = 1, **sampler: Any
) -> Json:
    """The graph of the recorded scenarios; keyword arguments are inputs of its KSampler."""
    links = {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}
    settings = {
        "seed": fresh_seed(),
        "steps": steps,
        "cfg": 4.0,
        "sampler_name": "euler",
        "scheduler": "normal",
    }
    latent = {"width": size, "height": size, "batch_size": batch}
    return {
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": CHECKPOINT}},
        "5": {"class_type": "EmptyLatentImage", "inputs": latent},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": text, "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
        "3": {"class_type": "KSampler", "inputs": {**settings, "denoise": 1.0, **sampler, **links}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "tiny", "images": ["8", 0]}},
    }


def fresh_seed() -> int:
    """A seed that no run had before, so that nothing is served from the cache."""
    return uuid.uuid4().int >> 80


class Talker:
    """One client: a websocket and HTTP calls."""

    def __init__(self, url: str, http: httpx2.Client, socket: ClientConnection, client_id: str) -> None:
        self.url = url
        self.http = http
        self.socket = socket
        self.client_id = client_id
        self.frames: list[str | bytes] = []

    def post(self, prompt: Json, **fields: Any) -> str:
        """Queue a prompt with our client id; returns its id."""
        reply = self.http.post("/prompt", json={"prompt": prompt, "client_id": self.client_id, **fields})
        assert reply.status_code == 200, reply.text
        return reply.json()["prompt_id"]

    def receive(self) -> str | bytes:
        """The next frame."""
        frame = self.socket.recv(LIMIT)
        self.frames.append(frame)
        return frame

    def until(self, wanted: Callable[[Json | None], bool]) -> list[str | bytes]:
        """All frames up to the first for which `wanted` (the message, or None if binary) is true."""
        start = len(self.frames)
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            if wanted(message(self.receive())):
                return self.frames[start:]
        raise AssertionError("The message did not come.")

    def until_end(self, prompt_id: str) -> list[str | bytes]:
        """All frames up to the `executing` with node null of this prompt."""
        return self.until(lambda m: is_end(m, prompt_id))

    def run(self, prompt: Json, **fields: Any) -> tuple[str, list[str | bytes]]:
        """Queue a prompt and wait for its end: (its id, the frames)."""
        prompt_id = self.post(prompt, **fields)
        return prompt_id, self.until_end(prompt_id)

    def history(self, prompt_id: str) -> Json:
        """The history entry of a prompt."""
        return self.http.get(f"/history/{prompt_id}").json()[prompt_id]


def message(frame: str | bytes) -> Json | None:
    """A text frame as JSON; None for a binary one."""
    return json.loads(frame) if isinstance(frame, str) else None


def is_end(m: Json | None, prompt_id: str) -> bool:
    """Whether this says that the prompt has ended."""
    return m is not None and m["type"] == "executing" and m["data"] == {"node": None, "prompt_id": prompt_id}


def is_progress(m: Json | None, value: int) -> bool:
    """Whether this says that a bar has reached `value`."""
    return m is not None and m["type"] == "progress" and m["data"]["value"] == value


def binary(frames: list[str | bytes]) -> list[bytes]:
    """The binary frames."""
    return [frame for frame in frames if isinstance(frame, bytes)]


def unpack_preview(frame: bytes) -> tuple[Json | int, bytes]:
    """(metadata of type 4, or format number of type 1; image bytes)."""
    kind, number = struct.unpack(">II", frame[:8])
    if kind == 4:
        return json.loads(frame[8 : 8 + number]), frame[8 + number :]
    assert kind == 1
    return number, frame[8:]


@contextlib.contextmanager
def talking(url: str, *, flags: bool = True, client_id: str | None = None) -> Iterator[Talker]:
    """A client whose socket is open, greeted and, with `flags`, has said its feature flags."""
    client_id = client_id or uuid.uuid4().hex
    address = f"{url.replace('http', 'ws')}/ws?clientId={client_id}"
    with (
        httpx2.Client(base_url=url, timeout=LIMIT, trust_env=False) as http,
        connect(address, compression=None, max_size=None, max_queue=None, proxy=None) as socket,
    ):
        talker = Talker(url, http, socket, client_id)
        if flags:
            socket.send(json.dumps(FLAGS))
            talker.until(lambda m: m is not None and m["type"] == "feature_flags")
        else:
            talker.receive()
        yield talker
