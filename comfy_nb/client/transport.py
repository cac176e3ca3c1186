"""Requests to one server: bounded in time and size, their faults told apart by whether anything was sent.

aiohttp, which ComfyUI itself stands on, takes a quarter of the processor time per request of the clients on httpcore.
It takes a tenth of a second to import, so this module is imported when a connection is made (`Http`).
"""

from __future__ import annotations

import asyncio
import io
import os
import ssl
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from comfy_nb.client.address import Address, can_be_asked
from comfy_nb.client.exchange import MAX_JSON, Answer, NoAnswer, TooMuch, Upload
from comfy_nb.client.timing import TIMING, Timing
from comfy_nb.errors import ConnectionFailed

__all__ = ["Transport"]

MB = 1 << 20
CONNECT_TIMEOUT = 5.0  # seconds
IDLE = 4.0  # seconds that a connection is kept without a request; servers on uvicorn end it after 5
CONNECTIONS = 16
SLOWEST = 50_000  # bytes per second in which a request's body leaves at least
DRIP = 1_000  # bytes per second in which an answer comes at least, or else it counts as none

# What was not sent when these are raised. All other faults leave open whether the request arrived.
_NOT_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)


class Transport:
    """Sends requests to one server, by the environment's proxy unless it is this machine.

    Make it on any thread; all methods run on one loop.
    """

    def __init__(self, address: Address, tls: ssl.SSLContext | None, timing: Timing = TIMING) -> None:
        """Raises `ConnectionFailed` if the environment's proxy cannot be used."""
        self._address, self._timing = address, timing
        self._tls = tls if tls is not None else True
        self._proxy = _usable(address)
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def close(self) -> None:
        """Close all connections. Requests after that raise `ConnectionFailed`."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def ask(
        self,
        method: str,
        route: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | Upload | None = None,
        limit: int = MAX_JSON,
        plain: bool = False,
    ) -> Answer:
        """Send one request and read its answer, of at most `limit` bytes. Bytes are sent as JSON.

        Raises `NoAnswer` if the request may have arrived, `ConnectionFailed` if it did not, and `TooMuch` for an
        answer that is too large. Where `plain`, it is asked for as it is, as files gain nothing by being packed; one
        that is packed all the same may unpack to what JSON may have.
        """
        address = self._address
        try:
            async with await self._request(method, address.http(route, query), body, plain) as response:
                if plain and response.headers.get("Content-Encoding", "identity").lower() != "identity":
                    limit = min(limit, MAX_JSON)
                address.headers.keep(response.headers.getall("Set-Cookie", ()))
                return Answer(response.status, response.headers, await self._read(response, limit))
        except _NOT_SENT as error:
            raise ConnectionFailed(_not_there(address, error)) from None
        except (aiohttp.ClientError, OSError) as error:  # of which TimeoutError is one
            what, why = f"{method} {route.removeprefix('/api')}", address.hide(_why(error))
            raise NoAnswer(f"{address.display} did not answer {what} ({why}).") from None

    async def _request(
        self, method: str, url: str, body: bytes | Upload | None, plain: bool
    ) -> aiohttp.ClientResponse:
        headers = dict(self._address.headers)
        if plain:
            headers["Accept-Encoding"] = "identity"
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/json"
        size = len(body.data if isinstance(body, Upload) else body or b"")
        # The session's own limits begin when the body has left.
        async with asyncio.timeout(CONNECT_TIMEOUT + self._timing.answer + size / SLOWEST):
            return await self._opened().request(
                method,
                URL(url, encoded=True),
                data=_form(body) if isinstance(body, Upload) else _in_pieces(body),
                headers=headers,
                allow_redirects=False,
                proxy=self._proxy,
                ssl=self._tls,
            )

    def _opened(self) -> aiohttp.ClientSession:
        if self._closed:
            raise ConnectionFailed(f"The connection to {self._address.display} was closed here.")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=IDLE),
                cookie_jar=aiohttp.DummyCookieJar(),  # cookies are kept with the other credentials
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    sock_connect=min(CONNECT_TIMEOUT, self._timing.answer),
                    sock_read=self._timing.answer,
                ),
            )
        return self._session

    async def _read(self, response: aiohttp.ClientResponse, limit: int) -> bytes:
        chunks: list[bytes] = []
        size = 0
        pace = _Pace(self._timing.answer)
        async for chunk in response.content.iter_any():  # unpacked already
            size += len(chunk)
            if size > limit:
                raise TooMuch(
                    f"{self._address.display} sent more than {limit // MB} MB in one answer: refused."
                )
            chunks.append(chunk)
            pace.came(len(chunk))
        return b"".join(chunks)


class _Drips(aiohttp.ClientError):
    """The answer comes too slowly to wait for its end."""


class _Pace:
    """Notices an answer that never falls silent, and never ends."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since, self._size = time.monotonic(), 0

    def came(self, size: int) -> None:
        """Raises `_Drips` if too little came in that time."""
        self._size += size
        spell = time.monotonic() - self._since
        if spell < self._seconds:
            return
        if self._size < DRIP * spell:
            raise _Drips(f"it sent {self._size} bytes in {spell:.0f} s")
        self._since, self._size = time.monotonic(), 0


def _in_pieces(body: bytes | None) -> bytes | io.BytesIO | None:
    """A large body leaves in pieces, between which other things happen; a small one faster at once."""
    return io.BytesIO(body) if body is not None and len(body) > MB else body


def _form(upload: Upload) -> aiohttp.FormData:
    form = aiohttp.FormData(quote_fields=False)  # ComfyUI takes the name as it stands
    data = io.BytesIO(upload.data)
    form.add_field(upload.field, data, filename=upload.name, content_type="application/octet-stream")
    return form


def _usable(address: Address) -> str | None:
    proxy = address.proxy
    parts = urlsplit(proxy or "")
    if proxy and not (parts.scheme in ("http", "https") and parts.hostname and can_be_asked(parts.hostname)):
        raise ConnectionFailed(
            f"The proxy that the environment names for {address.display} cannot be used ({address.hide(proxy)} is no "
            "http:// or https:// address). Correct it, or set NO_PROXY for this host."
        )
    return proxy


def _not_there(address: Address, error: Exception) -> str:
    why = address.hide(_why(error))
    if "CERTIFICATE_VERIFY_FAILED" in why:
        reason = why.partition("certificate verify failed: ")[2].partition(" (_ssl")[0] or why
        return (
            f'The certificate of {address.display} is not trusted ({reason}). Pass verify="ca.pem", your authority\'s '
            "certificate, to connect(); verify=False would trust anybody."
        )
    if "WRONG_VERSION_NUMBER" in why:
        return f"{address.display} does not speak TLS: try http:// in place of https://."
    return (
        f"No ComfyUI answers at {address.display} ({why}). Start it there, give its address to "
        "connect(), or try comfy_nb.demo(), which needs none."
    )


def _why(error: Exception) -> str:
    """The reason in a few words, without the address that aiohttp repeats."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return str(error.certificate_error)
        case aiohttp.ClientConnectorError(os_error=OSError() as cause):
            return _words(cause)
        case aiohttp.ConnectionTimeoutError():
            return f"no connection within {CONNECT_TIMEOUT:g} s"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy answered HTTP {error.status}"
        case aiohttp.ClientResponseError():
            return "what it sent is no HTTP"
        case aiohttp.ClientPayloadError():
            return "the answer broke off"
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection"
        case TimeoutError():
            return "it fell silent"
        case OSError():
            return _words(error)
        case _:
            return str(error) or type(error).__name__


def _words(error: OSError) -> str:
    """What an operating system calls it; asyncio's own text for it tells an address once more."""
    if isinstance(error, ssl.SSLError) or error.errno is None or error.errno <= 0:
        return error.strerror or str(error)
    return os.strerror(error.errno).lower()
