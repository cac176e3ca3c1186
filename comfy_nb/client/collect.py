"""Fetching what nodes put out: at once when a node finishes, and what is still missing when the run is over.

ComfyUI re-uses file names and wipes its temporary folder, so the bytes are fetched now or never.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import replace

from comfy_nb import events as ev
from comfy_nb.client.exchange import Unavailable
from comfy_nb.client.http import Http
from comfy_nb.client.loop import Loop
from comfy_nb.client.prompt import Prompt, Result, keys_of
from comfy_nb.client.veil import Veil
from comfy_nb.errors import ComfyError, ConnectionFailed
from comfy_nb.store import Blob, get_store
from comfy_nb.wire.messages import PreviewImage, PreviewWithMetadata
from comfy_nb.wire.records import FileRef, NodeOutput

__all__ = ["collect", "collect_frame", "is_output_frame"]

FIRST_PAUSE, LAST_PAUSE = 0.3, 5.0  # seconds before a file is asked for again, doubling
SOCKET_SAVER = "SaveImageWebsocket"  # sends its results as frames and leaves nothing in the history


async def collect(
    prompt: Prompt, output: NodeOutput, http: Http, loop: Loop, patience: float | None = None
) -> None:
    """Fetch all files of `output` that are not here yet, one after another, and keep its texts.

    While the server is away it is asked again for `patience` seconds; then the result says why it has no bytes. If
    `patience` is None, what cannot be fetched now is left for the end of the run.
    """
    async with prompt.collecting:
        for key in keys_of(output):
            if prompt.has(key):
                continue
            _, file, place = key
            if file is None:
                prompt.add(key, _text(prompt, output, place))
                continue
            try:
                data = await _fetch(file, http, patience or 0.0)
                blob, problem = await _stored(data, loop), ""
            except (ComfyError, OSError) as error:  # OSError: the disk that the store spills to
                if patience is None:
                    continue
                blob, problem = None, str(error)
                prompt.feed(
                    ev.Warned(f"The result {http.veil.text(file.filename)!r} could not be fetched: {problem}")
                )
            result = _file(prompt, output, file, http.veil)
            prompt.add(key, replace(result, blob=blob, problem=problem))


def is_output_frame(prompt: Prompt, message: PreviewImage | PreviewWithMetadata) -> bool:
    """Whether a frame is a full-size result, not a preview."""
    node_id = message.node_id if isinstance(message, PreviewWithMetadata) else prompt.run.current or ""
    return message.media_type == "image/png" and prompt.class_of(prompt.shown(node_id)) == SOCKET_SAVER


async def collect_frame(prompt: Prompt, message: PreviewImage | PreviewWithMetadata, loop: Loop) -> None:
    """Keep a result that came as a frame of the socket."""
    node_id = message.node_id if isinstance(message, PreviewWithMetadata) else prompt.run.current or ""
    async with prompt.collecting:
        name = hashlib.sha256(message.image).hexdigest()[:16] + ".png"
        key = (node_id, FileRef(name, "", "websocket", None), len(prompt.results))
        blob = await _stored(message.image, loop)
        result = Result(
            len(prompt.results), node_id, prompt.shown(node_id), name, "image/png", "image", False, blob=blob
        )
        prompt.add(key, result)


async def _stored(data: bytes, loop: Loop) -> Blob:
    store = get_store()
    return store.put_in_memory(data, "outputs") or await loop.work(store.put, data, "outputs")


def _text(prompt: Prompt, output: NodeOutput, place: int) -> Result:
    display = prompt.shown(output.display_node)
    text = output.texts[place]
    return Result(len(prompt.results), output.node_id, display, "", "text/plain", "text", False, text=text)


def _file(prompt: Prompt, output: NodeOutput, file: FileRef, veil: Veil) -> Result:
    return Result(
        index=len(prompt.results),
        node_id=output.node_id,
        display_id=prompt.shown(output.display_node),
        name=veil.text(file.filename),
        media_type=veil.text(file.media_type),
        kind=file.kind,
        saved=file.type == "output",
    )


async def _fetch(file: FileRef, http: Http, patience: float) -> bytes:
    deadline = time.monotonic() + patience
    pause = FIRST_PAUSE
    while True:
        try:
            return await http.view(file)
        except (ConnectionFailed, Unavailable):
            if time.monotonic() + pause > deadline:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, LAST_PAUSE)
