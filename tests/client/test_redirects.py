"""What we were given for one server goes to no other, by HTTP and by websocket alike."""

from __future__ import annotations

import socket

import pytest

import comfy_nb as cn
from comfy_nb.testing import ScriptedServer
from tests.client.raw import STATS, page, raw_server

ALL = [300, 301, 302, 303, 307, 308]


@pytest.mark.parametrize("status", ALL)
@pytest.mark.parametrize("same_origin", [False, True])
def test_the_websocket_follows_no_redirect(status: int, same_origin: bool) -> None:
    asked: list[str] = []

    def handler(head: str, connection: socket.socket) -> None:
        asked.append(head.split()[1])
        if "/ws" in asked[-1]:
            place = "/elsewhere" if same_origin else other.url.replace("http", "ws") + "/ws?clientId=x"
            connection.sendall(page(b"", f"{status} Look there", f"Location: {place}\r\n"))
        else:
            connection.sendall(page(STATS))

    with ScriptedServer() as other, raw_server(handler) as url:
        with pytest.raises(cn.ConnectionFailed, match=rf"does not open \(HTTP {status} sends us elsewhere\)"):
            cn.connect(url, headers={"X-Api-Key": "s3cret-value"})
        assert other.log == ()
        assert "/elsewhere" not in asked


@pytest.mark.parametrize("status", ALL)
def test_http_follows_none_either(status: int) -> None:
    def handler(head: str, connection: socket.socket) -> None:
        del head
        connection.sendall(page(b"", f"{status} Look there", f"Location: {other.url}/api/system_stats\r\n"))

    with ScriptedServer() as other, raw_server(handler) as url:
        with pytest.raises(cn.ConnectionFailed, match=f"HTTP {status} sends us elsewhere"):
            cn.connect(url, headers={"X-Api-Key": "s3cret-value"})
        assert other.log == ()
