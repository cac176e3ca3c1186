"""What the client costs: a trivial job beside a bare websocket loop, the import, and a thousand jobs in memory."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path

import aiohttp
import psutil
import pytest
import websockets
from PIL import Image
from websockets.sync.client import ClientConnection, connect

import comfy_nb as cn
from tests.benchmarks.budgets import budget
from tests.benchmarks.rivals import WORKFLOW
from tests.benchmarks.servers import servers

pytestmark = pytest.mark.timeout(900)

RATIO = 1.3
IMPORT = 120  # ms
GROWTH = 250e6  # bytes: the store may keep 192 MB of frames and outputs


class Bare:
    """A client in twenty lines: no errors, no reconnecting, one job at a time."""

    def __init__(self, url: str) -> None:
        self._url, self._id = url, uuid.uuid4().hex
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        self.connection = connect(f"ws{url.removeprefix('http')}/ws?clientId={self._id}", proxy=None)

    def _get(self, path: str) -> bytes:
        return self._open(self._url + path).read()

    def run(self, socket: ClientConnection) -> Image.Image:
        body = json.dumps({"prompt": WORKFLOW, "client_id": self._id}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._url}/prompt", body, headers)  # noqa: S310 - our own server
        prompt_id = json.load(self._open(request))["prompt_id"]
        for message in socket:
            if isinstance(message, str):
                heard = json.loads(message)
                if heard["type"] == "executing" and heard["data"]["node"] is None:
                    break
        [reference] = json.loads(self._get(f"/history/{prompt_id}"))[prompt_id]["outputs"]["9"]["images"]
        query = "&".join(f"{key}={value}" for key, value in reference.items())
        return Image.open(io.BytesIO(self._get(f"/view?{query}")))


class OnOurLibraries:
    """The same on aiohttp and asyncio, which is what those two cost."""

    def __init__(self, url: str) -> None:
        self._url, self._id = url, uuid.uuid4().hex
        self._runner = asyncio.Runner()
        self._http, self._socket = self._runner.run(self._connected())

    async def _connected(self) -> tuple[aiohttp.ClientSession, websockets.ClientConnection]:
        address = f"ws{self._url.removeprefix('http')}/ws?clientId={self._id}"
        return aiohttp.ClientSession(self._url), await websockets.connect(address, proxy=None)

    def run(self) -> Image.Image:
        return self._runner.run(self._job())

    async def _job(self) -> Image.Image:
        async with self._http.post("/prompt", json={"prompt": WORKFLOW, "client_id": self._id}) as posted:
            prompt_id = (await posted.json())["prompt_id"]
        async for message in self._socket:
            if isinstance(message, str):
                heard = json.loads(message)
                if heard["type"] == "executing" and heard["data"]["node"] is None:
                    break
        async with self._http.get(f"/history/{prompt_id}") as told:
            [reference] = (await told.json())[prompt_id]["outputs"]["9"]["images"]
        async with self._http.get("/view", params=reference) as file:
            return Image.open(io.BytesIO(await file.read()))

    def close(self) -> None:
        async def end() -> None:
            await self._socket.close()
            await self._http.close()

        self._runner.run(end())
        self._runner.close()


def timed(run: Callable[[], Image.Image]) -> float:
    started = time.perf_counter()
    run().load()
    return time.perf_counter() - started


def test_a_trivial_job_beside_a_bare_loop():
    with servers(1, 1, 0) as source, cn.connect(source.urls[0]) as comfy:
        bare, same = Bare(source.urls[0]), OnOurLibraries(source.urls[0])
        with bare.connection as socket, contextlib.closing(same):
            runs = [
                lambda: bare.run(socket),
                same.run,
                lambda: comfy.submit(WORKFLOW).result(20).image,
            ]
            rounds = [[timed(run) for run in runs] for _ in range(220)][20:]
    base, library, mine = (1000 * statistics.median(times) for times in zip(*rounds, strict=True))
    print(
        f"\ntrivial job, submit -> PIL: bare loop {base:.1f} ms, the same on aiohttp and asyncio {library:.1f} ms, "
        f"ours {mine:.1f} ms: {mine / base:.2f} and {mine / library:.2f} x"
    )
    budget("a trivial job", mine / base, RATIO, "x the bare loop")


def import_time(modules: str, cache: Path) -> float:
    """Seconds for an import in a fresh interpreter, with the bytecode of all modules in `cache`."""
    code = f"import time; t = time.perf_counter(); import {modules}; print(time.perf_counter() - t)"
    own = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    own["PYTHONPYCACHEPREFIX"] = str(cache)
    return float(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=own).stdout
    )


def test_import(tmp_path: Path):
    names = ("anywidget", "comfy_nb", "comfy_nb, comfy_nb.widgets.job_view")
    rounds = [[import_time(name, tmp_path) for name in names] for _ in range(13)]
    # Without the first rounds, which compile.
    base, mine, with_widgets = (statistics.median(times) for times in zip(*rounds[2:], strict=True))
    print(
        f"\nimport anywidget {1000 * base:.0f} ms, comfy_nb {1000 * mine:.0f} ms, "
        f"with its widgets {1000 * with_widgets:.0f} ms: {1000 * (with_widgets - base):+.0f} ms"
    )
    budget("import comfy_nb", 1000 * (mine - base), IMPORT)


def test_a_thousand_jobs():
    process = psutil.Process()
    with servers(1, 20, 0) as source, cn.connect(source.urls[0]) as comfy:
        figures = {}
        for number in range(1, 1001):
            comfy.submit(WORKFLOW).result(20)
            if number in (10, 100, 500, 1000):
                gc.collect()
                figures[number] = process.memory_info().rss
                print(
                    f"\nafter {number} jobs: {figures[number] / 1e6:.0f} MB, "
                    f"{process.num_threads()} threads, {process.num_fds()} file descriptors",
                    end="",
                )
    print()
    assert figures[1000] - figures[10] <= GROWTH
