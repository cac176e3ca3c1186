"""A script of previews: so many, so fast, each with a stamp that says which it is and when it was sent."""

from __future__ import annotations

import asyncio
import io
import struct
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from PIL import Image

from comfy_nb.testing.faults import Page
from comfy_nb.testing.stage import Posted, Stage
from comfy_nb.wire import messages as wire

__all__ = ["Frames", "Stamp", "read_stamp"]

MAGIC = b"comfy_nb stamp"
STAMP = struct.Struct(">QQ")  # number, nanoseconds since the epoch
PICTURES = 64  # different ones: six bits, shown as six columns


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a frame says of itself: its number from 0, and when it was sent, in nanoseconds since the epoch."""

    number: int
    sent_at: int


@dataclass
class Frames:
    """Plays `count` previews for each prompt, `rate` per second, or as fast as they go if `rate` is 0.

    A frame is a JPEG of `size` pixels square and about `weight` bytes; `read_stamp` reads its stamp. Its six columns
    are dark or light by the lowest six bits of its number, the highest at the left, so that a page can read it from
    painted pixels. Any graph will do: its sampler, else its first node, is the one that runs, and its SaveImage,
    else its last node, saves the last frame. Each run fits the protocol: progress before and after each preview,
    an end, a history; an interrupt stops it between two frames.
    """

    count: int = 20
    rate: float = 30.0
    size: int = 256
    weight: int = 12_000
    rest: float = 0.0  # seconds from the last frame to the end, as decoding takes
    version: str = "0.33.0"
    _files: dict[str, bytes] = field(default_factory=dict[str, bytes], repr=False)

    async def reply(self, stage: Stage, prompt: Posted) -> Page:
        """Take any prompt."""
        stage.enqueue(prompt)
        await stage.tell_queue()
        return Page.json({"prompt_id": prompt.id, "number": prompt.number, "node_errors": {}})

    async def work(self, stage: Stage) -> None:
        """Play one prompt after another."""
        while True:
            await self._play(stage, await stage.next_waiting())

    def file(self, name: str) -> bytes | None:
        """The last frame of a prompt."""
        return self._files.get(name)

    def picture(self, number: int) -> bytes:
        """Frame `number` of a run, made at the moment it is sent. Another picture is another script's."""
        return stamped(number, self.size, self.weight)

    async def _play(self, stage: Stage, prompt: Posted) -> None:
        sampler, saver = _sampler(prompt.nodes), _saver(prompt.nodes)
        await stage.tell_queue()
        await stage.send(prompt, wire.ExecutionStart(prompt.id, _now()))
        await stage.send(prompt, wire.ExecutionCached(prompt.id, nodes=(), timestamp=_now()))
        await stage.send(prompt, _state(prompt.id, sampler, 0.0, 1.0))
        await stage.send(prompt, wire.Executing(sampler, display_node=sampler, prompt_id=prompt.id))
        shown = await self._previews(stage, prompt, sampler)
        await stage.beat()
        if shown < self.count:
            end: wire.Message = wire.ExecutionInterrupted(
                prompt.id, sampler, _class(prompt, sampler), executed=(), timestamp=_now()
            )
            outputs: dict[str, Any] = {}
        else:
            outputs = {saver: {"images": [self._saved(prompt)]}}
            await stage.send(
                prompt, _state(prompt.id, sampler, float(self.count), float(self.count), "finished")
            )
            await stage.send(prompt, wire.Executing(saver, display_node=saver, prompt_id=prompt.id))
            await stage.send(prompt, wire.Executed(saver, saver, outputs[saver], prompt.id))
            end = wire.ExecutionSuccess(prompt.id, _now())
        await stage.send(prompt, end)
        stage.finish(prompt, _entry(prompt, outputs, end))
        await stage.tell_queue()
        await stage.send(prompt, wire.Executing(None, display_node=None, prompt_id=prompt.id))

    async def _previews(self, stage: Stage, prompt: Posted, node: str) -> int:
        """Play the frames; how many were shown before the end or a stop."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        for number in range(self.count):
            due = start + number / self.rate if self.rate else loop.time()
            await asyncio.sleep(max(0.0, due - loop.time()))
            await stage.beat()
            if prompt.stop_asked:
                return number
            step, of = number + 1, self.count
            await stage.send(prompt, _state(prompt.id, node, float(step), float(of)))
            picture = self.picture(number)
            await stage.send(
                prompt, wire.PreviewWithMetadata(prompt.id, node, node, None, node, "image/jpeg", picture)
            )
            await stage.send(prompt, wire.Progress(float(step), float(of), node, prompt.id))
        await asyncio.sleep(self.rest)
        return self.count

    def _saved(self, prompt: Posted) -> dict[str, Any]:
        name = f"frames_{prompt.number:05}_.jpg"
        self._files[name] = self.picture(self.count - 1)
        return {"filename": name, "subfolder": "", "type": "output"}


def stamped(number: int, size: int, weight: int) -> bytes:
    """A JPEG of about `weight` bytes with a stamp of this moment."""
    picture = _picture(number % PICTURES, size)
    stamp = MAGIC + STAMP.pack(number, time.time_ns())
    filling = min(65_533, max(len(stamp), weight - len(picture) - 4))  # the most that one comment may hold
    comment = stamp.ljust(filling, b"\0")
    return picture[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + picture[2:]


def read_stamp(image: bytes) -> Stamp:
    """The stamp of a frame. Raises ValueError if it has none."""
    at = image.find(MAGIC, 0, 64)
    if at < 0:
        raise ValueError("This picture has no stamp: it is no frame of a Frames script.")
    return Stamp(*STAMP.unpack_from(image, at + len(MAGIC)))


@cache
def _picture(bits: int, size: int) -> bytes:
    columns = Image.new("L", (6, 1))
    columns.putdata([225 if bits >> place & 1 else 30 for place in range(5, -1, -1)])
    file = io.BytesIO()
    columns.resize((size, size), Image.Resampling.NEAREST).save(file, "JPEG", quality=90)
    return file.getvalue()


def _sampler(nodes: dict[str, Any]) -> str:
    return next((key for key, node in nodes.items() if "Sampler" in node["class_type"]), next(iter(nodes)))


def _saver(nodes: dict[str, Any]) -> str:
    return next((key for key, node in nodes.items() if node["class_type"] == "SaveImage"), [*nodes][-1])


def _class(prompt: Posted, node: str) -> str:
    return prompt.nodes[node]["class_type"]


def _state(prompt_id: str, node: str, value: float, of: float, state: str = "running") -> wire.ProgressState:
    return wire.ProgressState(prompt_id, (wire.NodeProgress(node, value, of, state, node, None, node),))


def _now() -> int:
    return time.time_ns() // 1_000_000


def _entry(prompt: Posted, outputs: dict[str, Any], end: wire.Message) -> dict[str, Any]:
    told: dict[str, Any] = {"prompt_id": prompt.id, "timestamp": _now()}
    name = "execution_success"
    if isinstance(end, wire.ExecutionInterrupted):
        name = "execution_interrupted"
        told |= {"node_id": end.node_id, "node_type": end.node_type, "executed": []}
    done = name == "execution_success"
    messages: list[Any] = [
        ["execution_start", {"prompt_id": prompt.id, "timestamp": _now()}],
        ["execution_cached", {"nodes": [], "prompt_id": prompt.id, "timestamp": _now()}],
        [name, told],
    ]
    status: dict[str, Any] = {
        "status_str": "success" if done else "error",
        "completed": done,
        "messages": messages,
    }
    return {"prompt": prompt.item(), "outputs": outputs, "status": status, "meta": {}}
