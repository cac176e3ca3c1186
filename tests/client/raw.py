"""A server made of bare sockets, that answers each request in whatever way a test wants."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator

from tests.client.helpers import LIMIT

__all__ = ["STATS", "page", "raw_server"]

STATS = b'{"system": {"comfyui_version": "0.3.64"}, "devices": []}'

Handler = Callable[[str, socket.socket], None]


def page(content: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    """A whole answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n{headers}\r\n".encode() + content


def _requests(connection: socket.socket) -> Iterator[str]:
    """The heads of the requests; their bodies are read and dropped."""
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            data = connection.recv(65536)
            if not data:
                return
            received += data
        head, _, received = received.partition(b"\r\n\r\n")
        text = head.decode("latin-1")
        found = re.search(r"content-length: *(\d+)", text, re.IGNORECASE)
        size = int(found[1]) if found else 0
        while len(received) < size:
            data = connection.recv(65536)
            if not data:
                return
            received += data
        received = received[size:]
        yield text


@contextlib.contextmanager
def raw_server(handler: Handler) -> Iterator[str]:
    """The address of a server on which `handler` gets the head of each request and its connection."""
    held: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                held.append(connection)
                threads.append(threading.Thread(target=answer, args=(connection,), name="raw answer"))
                threads[-1].start()

    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            for head in _requests(connection):
                handler(head, connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads.append(threading.Thread(target=serve, args=(listener,), name="raw server"))
        threads[0].start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for connection in held:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(LIMIT)
