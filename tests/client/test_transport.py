"""One request at a time, against a peer that does whatever a test wants of it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from comfy_nb.client import transport as transport_module
from comfy_nb.client.address import Address
from comfy_nb.client.exchange import NoAnswer, Upload
from comfy_nb.client.timing import Timing
from comfy_nb.client.transport import Transport
from comfy_nb.errors import ConnectionFailed, ServerError

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

HASTY = Timing(answer=0.3)


@contextlib.asynccontextmanager
async def connected(peer: Peer) -> AsyncIterator[Transport]:
    """A transport to a server on which `peer` serves each connection."""
    held: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await peer(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = Transport(Address.parse(f"http://127.0.0.1:{port}"), None, HASTY)
    try:
        yield transport
    finally:
        await transport.close()
        for writer in held:
            writer.transport.abort()
        server.close()
        await server.wait_closed()


async def head(reader: asyncio.StreamReader) -> str:
    return (await reader.readuntil(b"\r\n\r\n")).decode()


def answers(content: bytes, headers: str = "") -> Peer:
    """Answers every request with this."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await head(reader)
            writer.write(
                f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n{headers}\r\n".encode() + content
            )

    return peer


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads nothing and says nothing."""
    del writer
    await reader.readuntil(b"\r\n")
    await asyncio.sleep(30)


async def test_what_comes_back() -> None:
    async with connected(answers(b"hello", "Set-Cookie: session=1; Path=/\r\nX-Y: z\r\n")) as transport:
        for _ in range(3):
            answer = await transport.ask("GET", "/api/queue", query={"a": "b c&d"})
            assert (answer.status, answer.body, answer.headers["x-y"]) == (200, b"hello", "z")
        assert transport._address.headers["Cookie"] == "session=1"


async def test_silence_has_an_end() -> None:
    async with connected(silent) as transport:
        with pytest.raises(NoAnswer, match=r"did not answer GET /queue \(it fell silent\)"):
            await transport.ask("GET", "/api/queue")


async def test_a_body_that_nobody_reads_has_an_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "CONNECT_TIMEOUT", 0.1)
    monkeypatch.setattr(transport_module, "SLOWEST", 1e9)
    async with connected(silent) as transport:
        with pytest.raises(NoAnswer, match=r"did not answer POST /prompt \(it fell silent\)"):
            await transport.ask("POST", "/api/prompt", body=bytes(50_000_000))


async def test_an_answer_that_breaks_off() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        writer.close()

    async with connected(peer) as transport:
        with pytest.raises(NoAnswer, match="the answer broke off"):
            await transport.ask("GET", "/api/view")


async def test_a_post_on_a_connection_that_was_given_up_is_never_sent_twice() -> None:
    asked: list[str] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        asked.append(await head(reader))  # the second request of this connection has no answer
        writer.close()

    async with connected(peer) as transport:
        await transport.ask("GET", "/api/queue")
        with pytest.raises(NoAnswer, match="it closed the connection"):
            await transport.ask("POST", "/api/prompt", body=b"{}")
    assert [request.split()[0] for request in asked] == ["POST"]


@pytest.mark.parametrize("packed", [False, True])
async def test_an_answer_is_bounded_also_as_it_unpacks(packed: bool) -> None:
    content = gzip.compress(bytes(3_000_000)) if packed else bytes(3_000_000)
    async with connected(answers(content, "Content-Encoding: gzip\r\n" if packed else "")) as transport:
        assert len((await transport.ask("GET", "/api/queue")).body) == 3_000_000
        with pytest.raises(ServerError, match="sent more than 2 MB in one answer: refused"):
            await transport.ask("GET", "/api/queue", limit=2 << 20)
        assert len((await transport.ask("GET", "/api/queue")).body) == 3_000_000


@pytest.mark.parametrize("name", ["a b.png", "fjord ü 雪.png", "100%.png", "%41.png", 'so "called".png'])
async def test_a_file_goes_by_its_own_name(name: str) -> None:
    bodies: list[bytes] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = re.search(r"Content-Length: (\d+)", await head(reader))
        assert size is not None
        bodies.append(await reader.readexactly(int(size[1])))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with connected(peer) as transport:
        await transport.ask("POST", "/api/upload/image", body=Upload("image", name, b"\x89PNG"))
    quoted = name.replace('"', '\\"')
    assert f'name="image"; filename="{quoted}"' in bodies[0].decode(errors="replace")
    assert b"\r\n\r\n\x89PNG\r\n" in bodies[0]


async def test_closing_is_for_good() -> None:
    async with connected(answers(b"")) as transport:
        await transport.ask("GET", "/api/queue")
        await transport.close()
        with pytest.raises(ConnectionFailed, match="was closed here"):
            await transport.ask("GET", "/api/queue")


@pytest.mark.parametrize(
    "proxy", ["socks5://ann:pr0xy-pass@127.0.0.1:1", "http://", "ftp://127.0.0.1", "http://proxy..example"]
)
def test_a_proxy_that_cannot_be_used(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(ConnectionFailed, match=r"is no http:// or https:// address\)\. Correct it") as caught:
        Transport(Address.parse("http://gpu.example"), None)
    assert "pr0xy" not in str(caught.value)


@pytest.mark.parametrize("named", ["proxy.example:3128", "http://proxy.example:3128"])
def test_a_proxy_for_everything(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("all_proxy", named)
    assert Address.parse("https://gpu.example").proxy == "http://proxy.example:3128"
    assert Address.parse("https://127.0.0.1").proxy is None
    monkeypatch.setenv("no_proxy", "gpu.example")
    assert Address.parse("https://gpu.example").proxy is None


async def test_an_answer_that_drips_has_an_end() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with asyncio.timeout(10), connected(peer) as transport:
        with pytest.raises(NoAnswer, match=r"did not answer GET /view \(it sent \d+ bytes in 0 s\)"):
            await transport.ask("GET", "/api/view")


async def test_an_answer_that_drips_after_a_flood_has_one_too() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + bytes(5_000_000))
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with asyncio.timeout(10), connected(peer) as transport:
        with pytest.raises(NoAnswer, match=r"it sent \d+ bytes in 0 s"):
            await transport.ask("GET", "/api/view")


async def test_a_slow_answer_that_goes_on_is_read() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n")
        for _ in range(40):
            writer.write(bytes(1000))
            await writer.drain()
            await asyncio.sleep(0.02)

    async with connected(peer) as transport:
        assert len((await transport.ask("GET", "/api/view")).body) == 40_000
