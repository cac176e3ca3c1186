"""Who may talk to the server: programs on this machine, and pages that it served itself.

A page from elsewhere that runs in a browser on this machine could reach a loopback port, too. It is told from
a program by the headers that browsers add, and by the Host header if it came by a name that only points here.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["LoopbackOnly", "refusal"]


def refusal(headers: Headers) -> str | None:
    """Why a request with these headers is refused; None if it is not."""
    host = headers.get("host", "")
    if not _is_loopback(host):
        return f"Host {host!r} is not a loopback address: this server is for programs on its own machine."
    if headers.get("sec-fetch-site") == "cross-site":
        return "Requests of pages from another site are refused."
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return f"Origin {origin!r} is not {host!r}: requests of pages from elsewhere are refused."
    return None


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class LoopbackOnly:
    """Answers 403 to what `refusal` names; for websockets before the handshake is accepted."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        reason = refusal(Headers(scope=scope)) if scope["type"] in ("http", "websocket") else None
        if reason is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse(reason, 403)(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
