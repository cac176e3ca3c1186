"""Embedded servers in a process of their own, any of which can be restarted with empty state in a moment.

It writes down what each server did itself, as its queue and its hub did it: what clients believe never enters.
``python -m tests.faults.host 4 0.02`` serves four, whose steps take 0.02 seconds at least; commands are JSON lines on
standard input, each with one answer.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import logging
import shutil
import socket
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any

import uvicorn

from comfy_nb.server.app import create_app
from comfy_nb.server.files import Folders
from comfy_nb.server.hub import Hub
from comfy_nb.server.queue import PromptQueue, QueuedPrompt
from comfy_nb.server.state import ServerState
from comfy_nb.wire import messages as wire

FLOOD = b"\x00\x00\x00\x63" + bytes(64 << 10)  # a binary message of a kind that nobody knows


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]


class Diary:
    """What one server did: lines (event, prompt id, more), and the pictures that it sent for each prompt."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, Any]] = []
        self.frames: dict[str, list[str]] = {}
        self.sent = 0  # bytes for websockets
        self.peak = 0  # the most that waited at any moment to be taken by a client
        self.flooding = False
        self.lock = threading.Lock()  # the worker writes, the loop hands over
        self.queue: PromptQueue | None = None
        self.bare = True  # whether the history was empty when these lines begin

    def hand_over(self) -> dict[str, Any]:
        """All of it, and begin a new one."""
        bare = self.queue is None or not self.queue.history()
        with self.lock:
            told = {"lines": self.lines, "frames": self.frames, "bare": self.bare}
            self.lines, self.frames, self.bare = [], {}, bare
        return told

    def watch(self, state: ServerState, folder: Path) -> None:
        """Write down what this server does from now on."""
        self.queue = queue = state.queue
        send = state.hub.send
        put, take, finish, delete = queue.put, queue.take, queue.finish, queue.delete
        forget, forget_all, close = queue.forget, queue.forget_all, queue.close
        running: list[QueuedPrompt] = []
        alive = [True]

        def note(event: str, prompt_id: str, more: Any = None) -> None:
            with self.lock:
                if alive[0]:
                    self.lines.append((event, prompt_id, more))

        def on_put(item: QueuedPrompt) -> bool:
            note("put", item.prompt_id)
            return put(item)

        def on_take() -> QueuedPrompt | None:
            item = take()
            if item is not None:
                note("took", item.prompt_id)
                running[:] = [item]
            return item

        def on_finish(entry: dict[str, Any]) -> None:
            files = [
                digest((folder / image["type"] / image["subfolder"] / image["filename"]).read_bytes())
                for output in entry["outputs"].values()
                for image in output.get("images", [])
            ]
            told = entry["status"]["messages"]
            note("ended", running[0].prompt_id, {"how": told[-1][0] if told else "?", "files": files})
            finish(entry)

        def on_delete(prompt_ids: Collection[str]) -> bool:
            waiting = [item.prompt_id for item in queue.snapshot()[1]]
            found = delete(prompt_ids)
            for prompt_id in set(waiting) & set(prompt_ids) if found else ():
                note("removed", prompt_id)
            return found

        def on_forget(prompt_id: str) -> None:
            note("forgot", prompt_id)
            forget(prompt_id)

        def on_forget_all() -> None:
            note("forgot", "all")
            forget_all()

        def on_close() -> None:
            note("restarted", "all")
            alive[0] = False
            close()

        def on_send(message: str | bytes, sid: str | None = None) -> None:
            self.sent += len(message)
            if isinstance(message, bytes):
                parsed = None if message is FLOOD else wire.parse(message)
                if isinstance(parsed, wire.PreviewImage | wire.PreviewWithMetadata):  # the worker sends them
                    with self.lock:
                        self.frames.setdefault(running[0].prompt_id, []).append(digest(parsed.image))
            send(message, sid)

        for name, function in {
            "put": on_put,
            "take": on_take,
            "finish": on_finish,
            "delete": on_delete,
            "forget": on_forget,
            "forget_all": on_forget_all,
            "close": on_close,
        }.items():
            setattr(queue, name, function)
        state.hub.send = on_send


class Server(uvicorn.Server):
    """Dies at once, like a process that is killed."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up, self.over = asyncio.Event(), asyncio.Event()

    async def main_loop(self) -> None:
        self.up.set()
        await self.over.wait()

    def watch(self, diary: Diary, hub: Hub) -> None:
        """Look at the send queues a hundred times a second: of our hub, of the transport, and of the system."""
        if diary.flooding:
            hub.send(FLOOD)
        queued = sum(peer._backlog for peer in hub._peers.values())
        for connection in self.server_state.connections:
            transport = connection.transport
            if not transport.is_closing():
                unsent = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
                queued += transport.get_write_buffer_size() + int.from_bytes(unsent, sys.byteorder)
        diary.peak = max(diary.peak, queued)
        if not self.over.is_set():
            asyncio.get_running_loop().call_later(0.01, self.watch, diary, hub)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for _ in range(10):  # also those that have just been accepted
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            await asyncio.sleep(0)
        await self.lifespan.shutdown()


class Host:
    """The servers, by number."""

    def __init__(self, step_time: float) -> None:
        self.step_time = step_time
        self.root = Path(tempfile.mkdtemp(prefix="comfy_nb-host-"))
        self.diaries: list[Diary] = []
        self.servers: list[tuple[Server, asyncio.Task[None]]] = []
        self.count = 0

    async def start(self) -> str:
        """One more server; returns its address."""
        self.diaries.append(Diary())
        self.servers.append(await self._serve(self.diaries[-1]))
        return self.url

    async def restart(self, index: int) -> str:
        """End a server, and start another with nothing in it; its diary goes on."""
        server, task = self.servers[index]
        server.over.set()
        await task
        self.servers[index] = await self._serve(self.diaries[index])
        return self.url

    async def _serve(self, diary: Diary) -> tuple[Server, asyncio.Task[None]]:
        self.count += 1
        folder = self.root / str(self.count)
        app = create_app(Folders(folder), step_time=self.step_time)
        diary.watch(app.state.server, folder)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            http="h11",
            ws="websockets-sansio",
            lifespan="on",
            ws_ping_interval=None,
            ws_per_message_deflate=False,
        )
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = Server(config)
        task = asyncio.create_task(server.serve([listener]))
        await server.up.wait()
        server.watch(diary, app.state.server.hub)
        return server, task

    async def obey(self, command: dict[str, Any]) -> Any:
        """Do what a line of standard input says."""
        match command:
            case {"do": "restart", "server": int(index)}:
                return await self.restart(index)
            case {"do": "diary", "server": int(index)}:
                return self.diaries[index].hand_over()
            case {"do": "flood" | "calm" as what, "server": int(index)}:
                self.diaries[index].flooding = what == "flood"
                return None
            case {"do": "queues", "server": int(index)}:
                seen = {"sent": self.diaries[index].sent, "peak": self.diaries[index].peak}
                self.diaries[index].sent = self.diaries[index].peak = 0
                return seen
            case _:
                raise ValueError(f"unknown command {command}")


async def serve(count: int, step_time: float) -> None:
    host = Host(step_time)
    try:
        print(json.dumps([await host.start() for _ in range(count)]), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await host.obey(json.loads(line))), flush=True)
    finally:
        shutil.rmtree(host.root, ignore_errors=True)


class HostProcess:
    """The host, from the side that starts it. `ask` may be called by one thread at a time."""

    def __init__(self, count: int, step_time: float = 0.0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.host", str(count), str(step_time)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.urls: list[str] = json.loads(self._line())

    def ask(self, do: str, server: int) -> Any:
        """Have the host do something; returns its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, "server": server}) + "\n")
        self.process.stdin.flush()
        return json.loads(self._line())

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("The host of the servers has ended.")
        return line


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
