"""Requests that never come whole: their connections end, and those of honest clients do not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn

from comfy_nb.server.app import create_app
from comfy_nb.server.files import Folders
from comfy_nb.server.patience import PatientProtocol

LIMIT = 15


class Hasty(PatientProtocol):
    PATIENCE = 0.3


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    app = create_app(Folders(folder), step_time=0)
    config = uvicorn.Config(app, log_config=None, access_log=False, http=Hasty, timeout_keep_alive=60)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


HALVES = {
    "nothing": b"",
    "half a line": b"GET /que",
    "half a head": b"GET /queue HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "half a body": b"POST /prompt HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 500\r\n\r\n{",
    "half a chunk": b"POST /queue HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
    "a second that never comes": b"GET /queue HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /",
}


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("drips", [False, True])
async def test_half_a_request_does_not_stay(tmp_path, half, drips):
    async with serving(tmp_path) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HALVES[half])

        async def drip() -> None:
            while drips:
                await asyncio.sleep(0.1)
                writer.write(b"x")
                await writer.drain()

        dripping = asyncio.create_task(drip())
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), LIMIT)  # until it is closed
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
        writer.close()


async def test_who_is_slow_but_goes_on_is_waited_for(tmp_path):
    body = b'{"clear": true' + b" " * 300_000 + b"}"
    async with serving(tmp_path) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /queue HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode())
        for start in range(0, len(body), 15_000):
            writer.write(body[start : start + 15_000])
            await writer.drain()
            await asyncio.sleep(0.08)
        assert (await asyncio.wait_for(reader.readline(), LIMIT)).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_a_silent_websocket_stays(tmp_path):
    from websockets.asyncio.client import connect

    async with serving(tmp_path) as port, connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as ws:
        await ws.recv()
        await asyncio.sleep(6 * Hasty.PATIENCE)
        await (await ws.ping())
