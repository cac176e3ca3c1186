"""`comfy-nb doctor`: what is between us and a server, one finding a line, each that matters with its remedy."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

import httpx2

from comfy_nb.client import timing
from comfy_nb.client.address import Address
from comfy_nb.client.http import Http, make_client
from comfy_nb.client.line import new_id
from comfy_nb.client.loop import Loop, get_loop
from comfy_nb.client.socket import Socket
from comfy_nb.errors import ComfyError

__all__ = ["Finding", "examine"]

LIMIT = 60.0  # seconds for all of it
SKEW = 5.0  # seconds between the clocks that are worth a word
UPGRADE = "a proxy must pass websockets on (in nginx: proxy_http_version 1.1, and the headers Upgrade and Connection)"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found out: whether it is in order, what it is, and what to do about it."""

    mark: Literal["ok", "note", "bad"]
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.mark:<5}{self.text}" + (f"\n     → {self.remedy}" if self.remedy else "")


def examine(address: Address) -> list[Finding]:
    """Look at a server from here; waits for it. Raises `ConnectionFailed` for certificates that cannot be used."""
    loop = get_loop()
    return loop.wait(_examine(address, loop), "doctor", LIMIT)


async def _examine(address: Address, loop: Loop) -> list[Finding]:
    tls = await loop.work(address.ssl_context)
    http = Http(address, loop, tls)
    found = _secrecy(address)
    try:
        can = await http.probe()
        found.append(
            Finding("ok", f"ComfyUI {can.version or 'of unknown version'} answers at {address.display}")
        )
        found.append(_previews(can.version, features=can.features))
        queue = await http.queue()
        found.append(Finding("ok", f"its queue: {len(queue.running)} running, {len(queue.pending)} waiting"))
        found.append(await _socket(address, loop, http))
        found.append(await _clock(address, loop, http))
    except ComfyError as error:
        found.append(Finding("bad", str(error)))
    finally:
        await http.close()
    return found


def _secrecy(address: Address) -> list[Finding]:
    found: list[Finding] = []
    if address.headers and address.scheme == "http" and not address.is_loopback:
        found.append(Finding("note", "credentials go over http, where others can read them", "use https://"))
    if address.verify is False:
        found.append(Finding("note", "any certificate is trusted", "pass your authority's: --ca FILE"))
    return found


def _previews(version: str, *, features: bool) -> Finding:
    numbers = [int(part) for part in version.split(".")[:3] if part.isdigit()]
    if features and numbers >= [0, 5, 0]:
        return Finding("ok", "previews: each job asks for its own")
    return Finding(
        "note",
        "previews: as the server was started, not as a job asks",
        "start it with --preview-method auto, or update ComfyUI to 0.5.0 or newer",
    )


async def _socket(address: Address, loop: Loop, http: Http) -> Finding:
    began = time.monotonic()
    socket = Socket(
        address,
        new_id(),
        loop,
        timing.TIMING,
        on_message=lambda _message: None,
        on_link=lambda _link, _note: None,
        on_loss=lambda _clean: None,
        tls=await loop.work(address.ssl_context),
    )
    try:
        await socket.start(http.can.api)
    except ComfyError as error:
        return Finding("bad", str(error), UPGRADE)
    await socket.close()
    return Finding("ok", f"its websocket opens and speaks, within {time.monotonic() - began:.2f} s")


async def _clock(address: Address, loop: Loop, http: Http) -> Finding:
    async with make_client(address, await loop.work(address.ssl_context)) as client:
        try:
            reply = await client.get(address.http(f"{http.can.api}/queue"))
            ahead = parsedate_to_datetime(reply.headers["date"]).timestamp() - time.time()
        except (httpx2.HTTPError, KeyError, ValueError):
            return Finding("note", "the server tells no time, so its clock cannot be compared")
    if abs(ahead) <= SKEW:
        return Finding("ok", "the clocks agree")
    return Finding(
        "note", f"the server's clock is {ahead:+.0f} s off ours", "set both by NTP; durations are right"
    )
