"""Fetching what nodes put out: at once when a node finishes, and what is still missing when the run is over.

ComfyUI re-uses file names and wipes its temporary folder, so the bytes are fetched now or never.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import replace

from comfy_nb import events as ev
from comfy_nb.client.delivery import Delivery, keys_of
from comfy_nb.client.exchange import Unavailable
from comfy_nb.client.http import Http
from comfy_nb.client.veil import Veil
from comfy_nb.errors import ComfyError, ConnectionFailed, OutputError
from comfy_nb.store import Blob, get_store
from comfy_nb.wire.messages import PreviewImage, PreviewWithMetadata
from comfy_nb.wire.records import FileRef, NodeOutput

__all__ = ["collect", "collect_frame", "is_output_frame"]

DISK_PATIENCE = 30.0  # seconds that a result waits for a disk that is behind
FIRST_PAUSE, LAST_PAUSE = 0.3, 5.0  # seconds before a file is asked for again, doubling
SOCKET_SAVER = "SaveImageWebsocket"  # sends its results as frames and leaves nothing in the history


async def collect(delivery: Delivery, output: NodeOutput, http: Http, patience: float | None = None) -> None:
    """Fetch all files of `output` that are not here yet, one after another, and keep its texts.

    While the server is away it is asked again for `patience` seconds; then the result says why it has no bytes. If
    `patience` is None, what cannot be fetched now is left for the end of the run.
    """
    async with delivery.collecting:
        for key in keys_of(output):
            if key in delivery.collected:
                continue
            _, file, place = key
            if file is None:
                delivery.add(key, _text(delivery, output, place))
                continue
            try:
                data = await _fetch(file, http, patience or 0.0)
                blob, problem = await _stored(data), ""
            except ComfyError as error:  # OutputError of the store among them
                if patience is None:
                    continue
                blob, problem = None, str(error)
                delivery.feed(
                    ev.Warned(f"The result {http.veil.text(file.filename)!r} could not be fetched: {problem}")
                )
            result = _file(delivery, output, file, http.veil)
            delivery.add(key, replace(result, blob=blob, problem=problem))


def is_output_frame(delivery: Delivery, message: PreviewImage | PreviewWithMetadata) -> bool:
    """Whether a frame is a full-size result, not a preview."""
    node_id = message.node_id if isinstance(message, PreviewWithMetadata) else delivery.run.current or ""
    node = delivery.record.plan.node(_shown(delivery, node_id))
    return message.media_type == "image/png" and node is not None and node.class_type == SOCKET_SAVER


async def collect_frame(delivery: Delivery, message: PreviewImage | PreviewWithMetadata) -> None:
    """Keep a result that came as a frame of the socket."""
    node_id = message.node_id if isinstance(message, PreviewWithMetadata) else delivery.run.current or ""
    async with delivery.collecting:
        name = hashlib.sha256(message.image).hexdigest()[:16] + ".png"
        key = (node_id, FileRef(name, "", "websocket", None), len(delivery.collected))
        try:
            blob, problem = await _stored(message.image), ""
        except ComfyError as error:
            blob, problem = None, str(error)
            delivery.feed(ev.Warned(f"The result {name!r} could not be kept: {problem}"))
        result = ev.Result(
            index=len(delivery.collected),
            node_id=node_id,
            display_id=_shown(delivery, node_id),
            name=name,
            media_type="image/png",
            kind="image",
            saved=False,
            blob=blob,
            problem=problem,
        )
        delivery.add(key, result)


async def _stored(data: bytes) -> Blob:
    """Keep a result; waits while too much of other results waits for the disk. Raises `OutputError`."""
    store = get_store()
    blob = store.put(data, "outputs")
    if store.behind("outputs"):
        try:
            async with asyncio.timeout(DISK_PATIENCE):
                await asyncio.wrap_future(store.settled("outputs"))
        except TimeoutError:
            blob.free()
            raise OutputError(
                f"The disk for temporary files has not taken what waits for it for {DISK_PATIENCE:g} s."
            ) from None
    if problem := blob.problem:
        raise OutputError(problem)
    return blob


def _shown(delivery: Delivery, node_id: str) -> str:
    """The planned node at which an execution id is shown."""
    return delivery.run.display_id(node_id) or node_id


def _text(delivery: Delivery, output: NodeOutput, place: int) -> ev.Result:
    display = _shown(delivery, output.display_node)
    text = output.texts[place]
    return ev.Result(
        len(delivery.collected), output.node_id, display, "", "text/plain", "text", False, text=text
    )


def _file(delivery: Delivery, output: NodeOutput, file: FileRef, veil: Veil) -> ev.Result:
    return ev.Result(
        index=len(delivery.collected),
        node_id=output.node_id,
        display_id=_shown(delivery, output.display_node),
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
