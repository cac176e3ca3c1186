"""What `FaultyLink` does with the bytes of one connection."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct

__all__ = ["abort", "one_request", "say", "split_frames"]


def split_frames(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole frames in `data`, as a server sends them: unmasked (RFC 6455, 5.2); and what is left."""
    frames: list[bytes] = []
    start = 0
    while (end := _end_of_frame(data, start)) <= len(data):
        frames.append(data[start:end])
        start = end
    return frames, data[start:]


def _end_of_frame(data: bytes, start: int) -> int:
    """Where the frame ends that begins at `start`; beyond the end of `data` if that cannot be told yet."""
    if len(data) < start + 2:
        return len(data) + 1
    length, head = data[start + 1] & 0x7F, 2
    if length >= 126:
        head = 4 if length == 126 else 10
        if len(data) < start + head:
            return len(data) + 1
        length = int.from_bytes(data[start + 2 : start + head])
    return start + head + length


def one_request(head: bytes) -> bytes:
    """The first lines of a request, such that its connection ends with the answer."""
    head = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head)
    return head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)


async def say(writer: asyncio.StreamWriter, status: int) -> None:
    """Answer a request with a bare status; 0 cuts the connection."""
    if status == 0:
        abort(writer)
        return
    writer.write(f"HTTP/1.1 {status} Fault\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    with contextlib.suppress(OSError):
        await writer.drain()


def abort(writer: asyncio.StreamWriter) -> None:
    """Close with a reset."""
    transport = writer.transport
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
