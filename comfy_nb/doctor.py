"""`comfy-nb doctor`: what is between us and a server, one finding a line, each that matters with its remedy."""

from __future__ import annotations

import asyncio
import importlib.metadata
import textwrap
import time
import uuid
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Literal
from urllib.request import getproxies

from comfy_nb.client import timing
from comfy_nb.client.address import Address
from comfy_nb.client.credentials import queue_tells_accounts
from comfy_nb.client.exchange import SMALL
from comfy_nb.client.http import Http
from comfy_nb.client.line import is_greeting, new_id
from comfy_nb.client.socket import Socket
from comfy_nb.client.transport import Transport
from comfy_nb.errors import ComfyError
from comfy_nb.loop import Loop, get_loop
from comfy_nb.wire.fields import loads, plain
from comfy_nb.wire.messages import Message
from comfy_nb.wire.records import PromptAccepted, parse_system_stats

__all__ = ["Finding", "examine"]

MAX_TEXT = 1_000  # characters of a finding
LIMIT = 60.0  # seconds for all of it
SKEW = 5.0  # seconds between the clocks that are worth a word
SLOW = 0.3  # seconds for one answer that are worth a word
UPGRADE = (
    "a proxy must pass websockets on (in nginx: proxy_http_version 1.1, and the headers Upgrade and Connection), and "
    "take the same credentials there"
)
DEAF = (
    "another client that stopped reading may hold up all that ComfyUI sends: close idle pages and kernels, or restart "
    "it; until then jobs run, and are told by the queue every 2 s"
)
TRIAL = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 0}},
    "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
}
MANAGER = "unless ComfyUI-Manager, which has a setting of its own, overrides that"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found out: whether it is in order, what it is, and what to do about it."""

    mark: Literal["ok", "note", "bad"]
    text: str
    remedy: str = ""

    def show(self, width: int) -> str:
        """It for a screen of `width` characters."""
        lines = _wrapped(self.text, f"{self.mark:<5}", width)
        return "\n".join(lines + (_wrapped(self.remedy, "     → ", width) if self.remedy else []))


def _wrapped(text: str, head: str, width: int) -> list[str]:
    indent = " " * len(head)
    return textwrap.wrap(text, width, initial_indent=head, subsequent_indent=indent, break_on_hyphens=False)


def examine(address: Address) -> list[Finding]:
    """Look at a server from here; waits for it. Raises `ConnectionFailed` for certificates that cannot be used."""
    loop = get_loop()
    found = [*_kernel(), *_way(address), *_secrecy(address)]
    found += loop.wait(_examine(address, loop), "doctor", LIMIT)
    return [Finding(one.mark, plain(address.hide(one.text), MAX_TEXT), one.remedy) for one in found]


async def _examine(address: Address, loop: Loop) -> list[Finding]:
    tls = await loop.work(address.ssl_context)
    found: list[Finding] = []
    http = Http(address, loop, tls)
    try:
        can = await http.probe()
        answer = await _ask(address, loop, f"{can.api}/system_stats")
        found.append(_speed(address, can.version, answer))
        found += _age(can.version)
        found.append(_previews(can.version, answer.argv))
        queue = await http.queue()
        found.append(Finding("ok", f"its queue: {len(queue.running)} running, {len(queue.pending)} waiting"))
        found += await _socket(address, loop, http)
        found.append(_clock(answer))
    except ComfyError as error:
        found.append(Finding("bad", str(error)))
    finally:
        await http.close()
    return found


# -- here ------------------------------------------------------------------------------------------------------


def _kernel() -> list[Finding]:
    """What of this Python's packages keeps widgets from being live."""
    try:
        version = importlib.metadata.version("ipykernel")
    except importlib.metadata.PackageNotFoundError:
        return []  # notebooks may well run in another environment
    if version.startswith("7.0."):
        text = f"ipykernel {version} loses what background threads send to widgets"
        return [Finding("bad", text, 'pip install "ipykernel!=7.0.*", then restart the kernel')]
    text = f"ipykernel {version}: views stay live while a cell runs"
    busy = "unless C code holds Python's lock, or a debugger stops all threads; they catch up afterwards"
    return [Finding("ok", f"{text}, {busy}")]


def _way(address: Address) -> list[Finding]:
    """Which of the environment's proxies is used."""
    if address.proxy is not None:
        return [
            Finding("ok", f"goes by the proxy {address.hide(address.proxy)}, which the environment names")
        ]
    named = getproxies()
    if named.get(address.scheme) or named.get("all"):
        return [Finding("ok", "goes there directly, not by the proxy that the environment names")]
    return []


def _secrecy(address: Address) -> list[Finding]:
    found: list[Finding] = []
    if address.headers and address.scheme == "http" and not address.is_loopback:
        found.append(Finding("note", "credentials go over http, where others can read them", "use https://"))
    if address.verify is False:
        found.append(Finding("note", "any certificate is trusted", "pass your authority's: --ca FILE"))
    return found


# -- there -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Answer:
    """One answer: how long it took, its date, and how the server was started."""

    seconds: float
    date: str
    argv: tuple[str, ...]


async def _ask(address: Address, loop: Loop, route: str) -> _Answer:
    transport = Transport(address, await loop.work(address.ssl_context))
    try:
        await transport.ask("GET", route, limit=SMALL)  # opens the connection
        began = time.monotonic()
        answer = await transport.ask("GET", route, limit=SMALL)
        seconds = time.monotonic() - began
        argv = (await loop.work(lambda: parse_system_stats(loads(answer.body)))).argv
    except ValueError as error:
        raise ComfyError(f"{address.display} answered once, and then not: {error}") from None
    finally:
        await transport.close()
    return _Answer(seconds, answer.headers.get("Date", ""), argv)


def _speed(address: Address, version: str, answer: _Answer) -> Finding:
    text = f"ComfyUI {version or 'of unknown version'} answers at {address.display}, in {answer.seconds * 1000:.0f} ms"
    if answer.seconds < SLOW:
        return Finding("ok", text)
    return Finding("note", text, "it is far away or busy: views lag by that much")


def _age(version: str) -> list[Finding]:
    """What an old server cannot do, or shows."""
    numbers = _numbers(version)
    found: list[Finding] = []
    if numbers and numbers < [0, 3, 57]:
        text = "it cannot stop a job by its id: one is stopped only while it is seen to run"
        found.append(Finding("note", text, "update ComfyUI to 0.3.57 or newer"))
    if queue_tells_accounts(version):
        text = "its queue shows everybody the keys of Comfy accounts (comfy_key=) that jobs came with"
        found.append(Finding("note", text, "update ComfyUI to 0.3.68 or newer"))
    return found


def _previews(version: str, argv: tuple[str, ...]) -> Finding:
    if _numbers(version) >= [0, 5, 0]:
        return Finding("ok", f"previews: each job asks for its own, {MANAGER}")
    method = _option(argv, "--preview-method") or "none"
    if method != "none":
        return Finding("ok", f"previews: {method} for all jobs, as the server was started, {MANAGER}")
    told = "off, as the server was started" if argv else "as the server was started; it does not tell how"
    remedy = "start it with --preview-method auto, or update ComfyUI to 0.5.0 or newer, where each job asks"
    return Finding("note", f"previews: {told}", remedy)


def _option(argv: tuple[str, ...], name: str) -> str:
    """The value of a command-line option, in either way of writing it; empty if it is not there."""
    for given, following in pairwise((*argv, "")):
        if given == name:
            return following
        if given.startswith(f"{name}="):
            return given.partition("=")[2]
    return ""


def _numbers(version: str) -> list[int]:
    """A version as numbers; none if it is of another kind."""
    parts = version.removeprefix("v").split(".")[:3]
    return [int(part) for part in parts] if all(part.isdigit() for part in parts) else []


async def _socket(address: Address, loop: Loop, http: Http) -> list[Finding]:
    began = time.monotonic()
    heard = asyncio.Event()

    def hear(message: Message) -> None:
        if not is_greeting(message):
            heard.set()

    socket = Socket(
        address,
        new_id(),
        loop,
        timing.TIMING,
        on_message=hear,
        on_link=lambda _link, _note: None,
        on_loss=lambda _clean: None,
        tls=await loop.work(address.ssl_context),
    )
    try:
        await socket.start(http.can.api)
    except ComfyError as error:
        return [Finding("bad", str(error), UPGRADE)]
    opened = Finding("ok", f"its websocket opens and speaks, within {time.monotonic() - began:.2f} s")
    try:
        return [opened, *await _heard(http, socket.client_id, heard)]
    finally:
        await socket.close()


async def _heard(http: Http, client_id: str, heard: asyncio.Event) -> list[Finding]:
    """Whether the websocket tells of a job: one of two small nodes, taken out of the queue again."""
    prompt_id = str(uuid.uuid4())
    body = {"prompt": TRIAL, "client_id": client_id, "prompt_id": prompt_id, "extra_data": {}}
    try:
        heard.clear()
        reply = await http.post_prompt(body)
        if not isinstance(reply, PromptAccepted):
            return []  # it lacks the nodes
        try:
            async with asyncio.timeout(timing.TIMING.word):
                await heard.wait()
        except TimeoutError:
            text = f"it took a job, and its websocket said nothing for {timing.TIMING.word:g} s"
            return [Finding("bad", text, DEAF)]
        finally:
            if not await http.cancel(reply.prompt_id):
                await http.delete_pending(reply.prompt_id)
    except ComfyError as error:
        return [Finding("note", f"whether it tells of a job could not be tried: {error}")]
    return [Finding("ok", "it tells of a job as soon as it has it")]


def _clock(answer: _Answer) -> Finding:
    try:
        ahead = parsedate_to_datetime(answer.date).timestamp() - time.time()
    except ValueError:
        return Finding("note", "the server tells no time, so its clock cannot be compared")
    if abs(ahead) <= SKEW:
        return Finding("ok", "the clocks agree")
    return Finding(
        "note", f"the server's clock is {ahead:+.0f} s off ours", "set both by NTP; durations are right"
    )
