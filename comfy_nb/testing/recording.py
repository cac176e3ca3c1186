"""A script that plays recorded traffic of a real ComfyUI."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from PIL import Image

from comfy_nb.testing.faults import Page
from comfy_nb.testing.stage import Posted, Stage
from comfy_nb.wire import messages as wire
from comfy_nb.wire.fields import mapping, text

__all__ = ["Recording"]

Line = dict[str, Any]
END_NAMES = {
    wire.ExecutionSuccess: "execution_success",
    wire.ExecutionError: "execution_error",
    wire.ExecutionInterrupted: "execution_interrupted",
}


@dataclass(frozen=True, slots=True)
class Take:
    """One POST /prompt of the recording: what was sent, and what came of it."""

    id: str  # as it was then; empty if the prompt was rejected
    request: dict[str, Any]
    status: int
    reply: dict[str, Any]


class Recording:
    """Plays a file of recorded traffic: the replies and messages of then, in the order of then, as fast as they go.

    The prompts that a client POSTs stand for the recorded ones, in order, under their own ids; `prompts` are the
    recorded graphs. Where the recording was stopped, by an interrupt or out of the queue, the play waits until its
    client stops the same prompt, in whatever way. The history is the recorded one, else it is made from the
    messages, as ComfyUI makes it. Output files that were not recorded are stand-ins: small pictures of one colour.
    """

    def __init__(self, lines: list[Line]) -> None:
        """`lines` are those of the file, its header first."""
        header, *self._lines = lines
        self.version: str = header["server"]["comfyui_version"]
        posts = [line for line in self._lines if _route(line) == "POST /prompt"]
        self._takes = [_take(line) for line in posts]
        owners = {take.request.get("client_id") for take in self._takes}
        opened = [line for line in self._lines if line["kind"] == "ws-open"]
        self._who: list[str] = [line["who"] for line in opened if line["client_id"] in owners]
        self._released = [asyncio.Event() for _ in self._takes]
        self._posted: list[Posted] = []

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file of recorded traffic: one JSON object per line."""
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        return cls([json.loads(line) for line in lines])

    @property
    def prompts(self) -> list[dict[str, Any]]:
        """The graphs that were POSTed, in order."""
        return [take.request.get("prompt", {}) for take in self._takes]

    async def reply(self, stage: Stage, prompt: Posted) -> Page:
        """The recorded reply, when the play has come to it."""
        place = len(self._posted)
        if place >= len(self._takes):
            return Page.text("The recording has no further prompt.")
        self._posted.append(prompt)
        take = self._takes[place]
        if take.status == 200:
            stage.enqueue(prompt)
        stage.touch()
        await self._released[place].wait()
        known = {"prompt_id": prompt.id} if take.id else {}
        return Page.json({**take.reply, **known}, take.status)

    async def work(self, stage: Stage) -> None:
        """Play it from its first line to its last."""
        released = 0
        for line in self._lines:
            await stage.beat()
            route = _route(line)
            if route == "POST /prompt":
                released += 1
                await self._until_posted(stage, released)
                self._released[released - 1].set()
            elif route == "GET /history":
                self._end_unseen(stage, line)
            elif route:
                await self._until_stopped(stage, line)
            elif line.get("who") in self._who:
                await self._on_socket(stage, line, released)

    def file(self, name: str) -> bytes | None:
        """A recorded file, else a stand-in."""
        for line in self._lines:
            if _route(line) == "GET /view" and line["status"] == 200:
                query: dict[str, str] = line["params"]
                if query["filename"] == name and "preview" not in query:
                    return base64.b64decode(line["response_b64"])
        return _stand_in(name)

    # -- inside ------------------------------------------------------------------------------------------------

    async def _until_posted(self, stage: Stage, count: int) -> None:
        await stage.until(lambda: len(self._posted) >= count)

    async def _until_stopped(self, stage: Stage, line: Line) -> None:
        """Wait at a recorded stop that worked until the client has asked for the same."""
        if line["method"] != "POST" or line["status"] != 200:
            return
        named = line["path"] + json.dumps(line["request"])
        nobody = {"/interrupt{}": "running", '/queue{"clear": true}': "waiting"}.get(named)
        for take, prompt in zip(self._takes, self._posted, strict=False):
            if take.id in named or prompt.state == nobody:
                await stage.until(lambda prompt=prompt: prompt.stop_asked)

    def _end_unseen(self, stage: Stage, line: Line) -> None:
        """End the prompts whose end nobody heard, as the client of then was away."""
        for take, prompt in zip(self._takes, self._posted, strict=False):
            if take.id in mapping(line.get("response")) and prompt.state != "over":
                stage.finish(prompt, self._history(prompt))

    async def _on_socket(self, stage: Stage, line: Line, released: int) -> None:
        """Play a message; where the client of then closed its socket and came again, have this one do so."""
        if line["kind"] == "ws-in":
            await self._play(stage, line, released)
        elif line["kind"] == "ws-closed" and line["who"] != self._who[-1]:
            await stage.drop()
        elif line["kind"] == "ws-open" and line["who"] != self._who[0]:
            await stage.until(lambda: self._posted[-1].client_id in stage.sockets)

    async def _play(self, stage: Stage, line: Line, released: int) -> None:
        message = wire.parse(_raw(line))
        if isinstance(message, wire.FeatureFlags) or (isinstance(message, wire.Status) and message.sid):
            return  # the server greets by itself
        prompt_id = getattr(message, "prompt_id", None)
        place = next((i for i, take in enumerate(self._takes) if take.id and take.id == prompt_id), None)
        await self._until_posted(stage, max(released, 1 if place is None else place + 1))
        if place is None:
            await stage.broadcast(_raw(line))
            return
        prompt = self._posted[place]
        if prompt.state != "removed":
            await self._tell(stage, prompt, message, _renamed(_raw(line), self._takes[place].id, prompt.id))

    async def _tell(self, stage: Stage, prompt: Posted, message: wire.Message, raw: str | bytes) -> None:
        if isinstance(message, wire.ExecutionStart):
            stage.set_state(prompt, "running")
        await stage.send(prompt, raw)
        if type(message) in END_NAMES and not (isinstance(message, wire.ExecutionError) and message.blocked):
            stage.finish(prompt, self._history(prompt))

    def _history(self, prompt: Posted) -> dict[str, Any]:
        take = self._takes[self._posted.index(prompt)]
        for line in self._lines:
            if _route(line) == "GET /history" and take.id in (line.get("response") or {}):
                entry = json.loads(_renamed(json.dumps(line["response"][take.id]), take.id, prompt.id))
                return {**entry, "prompt": prompt.item()}
        return self._made_history(take, prompt)

    def _made_history(self, take: Take, prompt: Posted) -> dict[str, Any]:
        outputs: dict[str, Any] = {}
        told: list[tuple[str, dict[str, Any]]] = []
        for line in self._lines:
            if line["kind"] != "ws-in" or "text" not in line or line["who"] not in self._who:
                continue
            body = json.loads(line["text"])
            kind, data = body["type"], body["data"]
            if data.get("prompt_id") != take.id:
                continue
            if kind == "executed" and data["output"] is not None:
                outputs[data["node"]] = data["output"]
            elif kind.startswith("execution_") and data.get("exception_type") != "ExecutionBlocked":
                told.append((kind, {**data, "prompt_id": prompt.id}))
        done = told[-1][0] == "execution_success"
        status = {"status_str": "success" if done else "error", "completed": done, "messages": told}
        return {"prompt": prompt.item(), "outputs": outputs, "status": status, "meta": {}}


def _route(line: Line) -> str:
    """Such as "GET /history"; empty if the line is no HTTP call."""
    return f"{line['method']} /{line['path'].split('/')[1]}" if line["kind"] == "http" else ""


def _take(line: Line) -> Take:
    reply = mapping(line.get("response"))
    return Take(text(reply.get("prompt_id")), mapping(line["request"]), line["status"], reply)


def _raw(line: Line) -> str | bytes:
    return line["text"] if "text" in line else base64.b64decode(line["binary_b64"])


def _renamed(raw: Any, old: str, new: str) -> Any:
    """With one id in place of the other. Both are UUIDs, so the counted lengths in binary messages stay true."""
    return raw.replace(old, new) if isinstance(raw, str) else raw.replace(old.encode(), new.encode())


def _stand_in(name: str) -> bytes:
    image_format = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP"}.get(name.rpartition(".")[2])
    if image_format is None:
        return f"a stand-in for {name}".encode()
    file = io.BytesIO()
    Image.new("RGB", (16, 16), tuple(name.encode()[-3:])).save(file, image_format)
    return file.getvalue()
