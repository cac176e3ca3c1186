"""FaultyLink: a bad network between a client and a server, HTTP and websocket, whose faults come when a test says so.

Each HTTP connection carries one request, so a fault hits exactly the call that it is meant for. Of a websocket, whole
frames are passed on, so single messages can be dropped or doubled.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
import re
import struct
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

from comfy_nb.errors import ComfyError
from comfy_nb.testing.plumbing import abort, one_request, say, split_frames

__all__ = ["Answer", "Cut", "FaultyLink"]

PIECE = 16 << 20  # bytes that are passed on at once at most: more than comes in the time of any `lump`
LIMIT = 10.0  # seconds that starting, ending and any command may take

Cut = Literal["clean", "reset", "half-open"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the link itself answers to `count` calls whose first line begins with `call`, such as "GET /api/queue".

    With `passed_on` the server gets the call all the same, and only its answer is lost. `status` 0 answers nothing
    and cuts the connection.
    """

    call: str
    status: int = 503
    count: int = 1
    passed_on: bool = False


@dataclass(eq=False)
class _Pair:
    """One connection of the client and its counterpart at the server."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    websocket: bool
    dead: bool = False  # half-open: both sides believe that it is there
    mute: bool = False  # open, and the server says nothing more on it
    over: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[None]] = field(default_factory=list["asyncio.Task[None]"])


class FaultyLink:
    """Serves on a free port of 127.0.0.1, from `with` to the end of its block, and passes everything on to a server.

    Hand `url` to the client. `target` is the server's address and may be changed, for a server that was restarted
    elsewhere. `delay` holds every piece back for so many seconds, one after another, as a slow line does; `chop` cuts
    pieces to so many bytes (0: leaves them), and `lump` makes one piece of all that comes within so many seconds.
    `copies` says of each message of a websocket how often the client gets it, and is called on the link's own thread.
    All may be set at any time; `counts` tells what was done. Requests with a body must say its length. Raises
    `ComfyError` if starting, ending or a command takes over 10 seconds.

    ```python
    with FaultyLink(server.url) as link, cn.connect(link.url) as comfy:
        job = comfy.submit(workflow)
        link.cut("half-open")
        job.result(60)
    ```
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.delay = 0.0
        self.chop = 0
        self.lump = 0.0
        self.copies: Callable[[bytes], int] | None = None
        self.counts: Counter[str] = Counter()
        self.url = ""
        self._listener: asyncio.Server | None = None
        self._answers: Counter[Answer] = Counter()  # and how often each is still to be given
        self._pairs: set[_Pair] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._ready: concurrent.futures.Future[asyncio.AbstractEventLoop] = concurrent.futures.Future()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._main, name="comfy_nb-link", daemon=True)

    # -- from tests --------------------------------------------------------------------------------------------

    def cut(self, how: Cut = "clean") -> None:
        """Lose every connection that is open: with a good-bye, with a reset, or without anybody noticing.

        Of half-open ones each side learns nothing about the other, also not that it has closed, until `notice()`.
        """
        self._do(lambda: self._cut(how))

    def notice(self) -> None:
        """Let client and server find out which connections are half-open."""
        self._do(lambda: [self._drop(pair) for pair in list(self._pairs) if pair.dead])

    def mute(self) -> None:
        """Let every websocket that is open stay open, and pass nothing on from the server but answers to pings."""
        self._do(self._mute)

    def stall(self) -> None:
        """Hold everything back, until `resume()`."""
        self._do(self._flowing.clear)

    def resume(self) -> None:
        """Let go of what was held back."""
        self._do(self._flowing.set)

    def refuse(self) -> None:
        """Refuse new connections, as if no server ran there, until `accept()`."""
        self._do(self._refuse)

    def accept(self) -> None:
        """Take connections again, at the same address."""
        self._do(self._listen)

    def answer(self, answer: Answer) -> None:
        """Answer some calls in the server's place."""
        self._do(lambda: self._answers.update({answer: answer.count}))

    def forgive(self) -> None:
        """Answer no more calls in the server's place."""
        self._do(self._answers.clear)

    @property
    def open(self) -> int:
        """How many connections pass through, half-open ones included."""
        return len(self._pairs)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.result(LIMIT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._end.set)
        self._thread.join(LIMIT)
        if self._thread.is_alive():
            raise ComfyError(f"The link did not end within {LIMIT:g} seconds.")

    def _do(self, work: Callable[[], object]) -> None:
        async def obey() -> None:
            result = work()
            if inspect.isawaitable(result):
                await result

        if not self._thread.is_alive():
            raise ComfyError("The link is not there: it passes things on inside its `with` block only.")
        try:
            asyncio.run_coroutine_threadsafe(obey(), self._ready.result(LIMIT)).result(LIMIT)
        except TimeoutError:
            raise ComfyError(f"The link did not obey within {LIMIT:g} seconds.") from None

    # -- on its own thread -------------------------------------------------------------------------------------

    def _main(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._flowing.set()
        await self._listen()
        self._ready.set_result(asyncio.get_running_loop())
        await self._end.wait()
        await self._refuse()
        self._cut("reset")
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await _settle()  # what was closed has gone

    async def _listen(self) -> None:
        if self._listener is None:
            port = urlsplit(self.url).port or 0
            self._listener = await asyncio.start_server(self._take, "127.0.0.1", port)
            self.url = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    async def _refuse(self) -> None:
        listener, self._listener = self._listener, None
        if listener is None:
            return
        self.counts["refused"] += 1
        # asyncio leaks what it is about to accept when its server is closed (Server._attach fails): take no more first.
        for sock in listener.sockets:
            asyncio.get_running_loop().remove_reader(sock.fileno())
        await _settle()  # what was just accepted is here now
        listener.close()

    def _cut(self, how: Cut) -> None:
        for pair in list(self._pairs):
            self.counts[how] += 1
            if how == "half-open":
                pair.dead = True
            elif how == "clean" and pair.websocket:
                pair.client.write(b"\x88\x02" + struct.pack(">H", 1001))  # "going away"
                self._drop(pair)
            else:
                abort(pair.client)
                self._drop(pair)

    def _mute(self) -> None:
        for pair in self._pairs:
            if pair.websocket:
                pair.mute = True
                self.counts["mute"] += 1

    def _drop(self, pair: _Pair) -> None:
        self._pairs.discard(pair)
        pair.over.set()
        for task in pair.tasks:
            task.cancel()
        for writer in (pair.client, pair.server):
            writer.close()

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve_one(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        task.add_done_callback(lambda _: writer.close())  # also if it never began

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # One side goes away: that is what this is about.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await self._serve(await reader.readuntil(b"\r\n\r\n"), reader, writer)

    async def _serve(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        answer = self._answer_to(head)
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        if answer is not None and not answer.passed_on:
            await say(writer, answer.status)
            return
        address = urlsplit(self.target)
        from_server, to_server = await asyncio.open_connection(address.hostname, address.port, limit=PIECE)
        websocket = b"upgrade: websocket" in head.lower()
        pair = _Pair(writer, to_server, websocket)
        self._pairs.add(pair)
        try:
            # One request each: the next call comes on a connection of its own.
            to_server.write((head if websocket else one_request(head)) + body)
            if answer is not None:
                await from_server.readuntil(b"\r\n\r\n")
                await say(writer, answer.status)
                return
            pair.tasks = [
                asyncio.create_task(self._up(pair, reader)),
                asyncio.create_task(self._down(pair, from_server)),
            ]
            await asyncio.wait(pair.tasks, return_when=asyncio.FIRST_COMPLETED)
            if pair.dead:
                await pair.over.wait()
        finally:
            self._drop(pair)
            await asyncio.gather(*pair.tasks, return_exceptions=True)

    def _answer_to(self, head: bytes) -> Answer | None:
        call = head.decode("latin-1")
        answer = next((a for a in +self._answers if call.startswith(a.call)), None)
        if answer is not None:
            self._answers[answer] -= 1
            self.counts[f"answered {answer.status}"] += 1
        return answer

    async def _up(self, pair: _Pair, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(PIECE):
            await self._pass(pair, pair.server, data)

    async def _down(self, pair: _Pair, reader: asyncio.StreamReader) -> None:
        rest = b""
        if pair.websocket:
            await self._pass(pair, pair.client, await reader.readuntil(b"\r\n\r\n"))
        while True:
            await asyncio.sleep(self.lump)
            if not (data := await reader.read(PIECE)):
                return
            if pair.websocket:
                frames, rest = split_frames(rest + data)
                data = b"".join(frame * self._copies_of(pair, frame) for frame in frames)
            await self._pass(pair, pair.client, data)

    def _copies_of(self, pair: _Pair, frame: bytes) -> int:
        is_message = frame[0] & 0x0F in (1, 2)
        if not is_message:
            return 1
        if pair.mute:
            return 0
        copies = self.copies(frame) if self.copies is not None else 1
        if copies != 1:
            self.counts["dropped" if copies == 0 else "doubled"] += 1
        return copies

    async def _pass(self, pair: _Pair, writer: asyncio.StreamWriter, data: bytes) -> None:
        size = self.chop or len(data) or 1
        for start in range(0, len(data), size):
            if self.delay:
                await asyncio.sleep(self.delay)
            await self._flowing.wait()
            if pair.dead:
                continue
            writer.write(data[start : start + size])
            await writer.drain()


async def _settle() -> None:
    """Let asyncio do what it has put off, a few steps deep."""
    for _ in range(10):
        await asyncio.sleep(0)
