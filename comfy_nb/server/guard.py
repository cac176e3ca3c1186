"""Who may talk to the server: programs on this machine, and pages that it served itself.

A page from elsewhere that runs in a browser on this machine could reach a loopback port, too. It is told from
a program by the headers that browsers add, and by the Host header if it came by a name that only points here.
On a machine with other users, a token keeps their programs out.
"""

from __future__ import annotations

import base64
import ipaddress
import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Guard", "holds_token", "refusal"]


def refusal(headers: Headers) -> str | None:
    """Why a request with these headers is refused; None if it is not."""
    host = headers.get("host", "")
    if not _is_loopback(host):
        return f"Host {host!r} is not a loopback address: this server is for programs on its own machine."
    site = headers.get("sec-fetch-site")
    if site == "cross-site":
        return "Requests of pages from another site are refused."
    # Another port of this host is the same site to a browser. Its pages may link here, but not use what is here:
    # not as a picture or script, which come without an Origin, and not in a frame.
    if site == "same-site" and headers.get("sec-fetch-dest") != "document":
        return "Requests of pages from another port are refused."
    origin = headers.get("origin")
    if origin is not None and _place(origin) != host.lower():
        return f"Origin {origin!r} is not {host!r}: requests of pages from elsewhere are refused."
    return None


def _place(origin: str) -> str | None:
    """Host and port of an origin; None if it is no URL, such as `http://[`."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def holds_token(headers: Headers, token: str) -> bool:
    """Whether the Authorization header has the token, as Bearer or as the password of Basic with any name.

    Basic is what a browser can do by itself: it asks its user once, and tells no other port.
    """
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[2]
        except ValueError:  # not base64, or not text
            return False
    elif scheme.lower() != "bearer":
        return False
    return secrets.compare_digest(given.encode(), token.encode())


class Guard:
    """Answers 403 to what `refusal` names and 401 to who lacks the token, if there is one; also websockets."""

    def __init__(self, app: ASGIApp, token: str | None = None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        answer = self._refusal(Headers(scope=scope)) if scope["type"] in ("http", "websocket") else None
        await (self._app if answer is None else answer)(scope, receive, send)

    def _refusal(self, headers: Headers) -> PlainTextResponse | None:
        reason = refusal(headers)
        if reason is not None:
            return PlainTextResponse(reason, 403)
        if self._token is None or holds_token(headers, self._token):
            return None
        ask = {"www-authenticate": 'Basic realm="comfy_nb: any name, the token as password", charset="UTF-8"'}
        return PlainTextResponse("This server asks for its token.", 401, ask)
