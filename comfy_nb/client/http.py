"""ComfyUI's HTTP routes, one method each, with limits on time and size and one clear error.

`probe` finds out once which dialect the server speaks; the other methods degrade by it.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote

from comfy_nb.client.address import Address
from comfy_nb.client.exchange import MAX_JSON, SMALL, Refused, TooMuch, Unavailable, Upload
from comfy_nb.client.timing import TIMING, Timing
from comfy_nb.errors import ConnectionFailed, ServerError
from comfy_nb.loop import Loop
from comfy_nb.wire import records
from comfy_nb.wire.fields import MAX_MEMORY, Json, TooLarge, clip, is_prompt_id, loads

__all__ = ["LONG_QUEUE", "Capabilities", "Http"]

P = ParamSpec("P")
T = TypeVar("T")

MAX_FILE = 1024 << 20  # bytes; they are held in memory, twice for a moment
QUEUE_MEMORY = 128 << 20  # bytes; a queue tells everybody's whole workflows
BIG_JSON = 256 << 10  # bytes from which JSON is handled in a worker, off the loop thread
LONG_QUEUE = 1000  # prompts from which a queue is handled in a worker
OK = 200
NOT_SUPPORTED = (404, 405)
NOT_NOW = (429, *range(500, 600))


@dataclass(slots=True)
class Capabilities:
    """What this server can do; found once by `probe`, `cancel` at the first use."""

    version: str = ""
    api: str = "/api"  # "" on servers older than June 2024
    features: bool = False  # 0.3.45 and newer: flags, previews with ids, prompt ids chosen by the client
    targeted: bool = False  # 0.3.57 and newer: an interrupt by id hits that prompt alone
    cancel: bool | None = None  # POST /api/jobs/{id}/cancel, 0.26.0 and newer


class Http:
    """The HTTP half of a client. All methods run on the loop thread."""

    def __init__(
        self, address: Address, loop: Loop, tls: ssl.SSLContext | None, timing: Timing = TIMING
    ) -> None:
        """From any thread. Raises `ConnectionFailed` if the environment's proxy cannot be used."""
        from comfy_nb.client.transport import Transport  # noqa: PLC0415 - takes a tenth of a second to import

        self.address, self.veil = address, address.veil
        self.can = Capabilities()
        self._loop = loop
        self._transport = Transport(address, tls, timing)

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def probe(self) -> Capabilities:
        """Find out what answers there. Raises `ConnectionFailed` unless it is a ComfyUI."""
        for api in ("/api", ""):
            status, data = await self._probe_json(f"{api}/system_stats")
            if status not in NOT_SUPPORTED:
                break
        else:
            raise self._not_comfy(f"GET /system_stats gave {status}")
        self._refuse_other(status, data)
        try:
            stats = self.veil.record(records.parse_system_stats(data))
        except ValueError as error:
            raise self._not_comfy(self.veil.text(str(error))) from None
        features, _ = await self._probe_json(f"{api}/features")
        self.can = Capabilities(version=stats.comfyui_version, api=api, features=features == OK)
        self.can.targeted = _numbers(stats.comfyui_version) >= (0, 3, 57)
        return self.can

    async def post_prompt(self, body: dict[str, Any]) -> records.PromptAccepted | records.PromptRejected:
        """Queue a prompt. Raises `Unavailable` for 429 and 5xx: it may be queued all the same."""
        content = await self._dumps(body)
        status, raw = await self._send("POST", "/prompt", body=content)
        if status in NOT_NOW or status in (401, 403, 413):
            kind = Unavailable if status in NOT_NOW else Refused
            raise kind(f"{self.address.display} answered POST /prompt with HTTP {status}: see its log.")
        return self._parsed(records.parse_prompt_reply, status, await self._loads(raw))

    async def queue(self) -> records.Queue:
        """What runs and what waits, in run order."""
        found = await self._get("/queue", memory=QUEUE_MEMORY)
        try:  # asked for often, and its ids alone are read: `whole_queue` is for showing
            return (
                await self._loop.work(records.parse_queue, found)
                if _is_long(found)
                else records.parse_queue(found)
            )
        except ValueError as error:
            raise ServerError(f"{self.address.display}: {error}") from None

    async def work(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what may take long in a worker, off the loop thread."""
        return await self._loop.work(function, *args, **kwargs)

    async def whole_queue(self) -> records.Queue:
        """What runs and what waits, to be shown."""
        return await self._loop.work(self.veil.record, await self.queue())

    async def history(self, prompt_id: str) -> records.HistoryEntry | None:
        """The outcome of a prompt; None while it has none."""
        return self._parsed(
            records.parse_history, await self._get(f"/history/{quoted(prompt_id)}"), prompt_id
        )

    async def last_history(self, count: int) -> tuple[records.HistoryEntry, ...]:
        """The last prompts that ended, of everybody, oldest first."""
        data = await self._get("/history", {"max_items": str(count)})
        return await self._loop.work(self._parsed, records.parse_history_page, data)

    async def view(self, file: records.FileRef) -> bytes:
        """The bytes of an output file. Raises `ServerError` when the server does not have it."""
        query = {"filename": file.filename, "subfolder": file.subfolder, "type": file.type}
        status, raw = await self._send("GET", "/view", query=query, limit=MAX_FILE, plain=True)
        if status in NOT_NOW:
            raise Unavailable(f"{self.address.display} answered GET /view with HTTP {status}.")
        if status != OK:
            raise ServerError(
                f"The server does not have {self.veil.text(file.filename)!r} any more (HTTP {status})."
            )
        return raw

    async def cancel(self, prompt_id: str) -> bool:
        """Cancel by the jobs API. False if the server is too old to have it. Raises `ServerError` for what is no id."""
        path = f"/jobs/{quoted(prompt_id)}/cancel"  # first of all, as the older ways take the id too
        if self.can.cancel is False:
            return False
        status, _ = await self._send("POST", path, api="/api", limit=SMALL)
        if status not in NOT_NOW:
            self.can.cancel = status not in NOT_SUPPORTED
        return status == OK

    async def delete_pending(self, prompt_id: str) -> None:
        """Take a waiting prompt out of the queue; says nothing about whether it was there."""
        await self._command("/queue", {"delete": [prompt_id]})

    async def interrupt(self, prompt_id: str) -> None:
        """Interrupt exactly this prompt. The caller has just seen it running: old servers ignore the id."""
        if not prompt_id:
            raise ValueError("an interrupt without a prompt id would hit whatever runs")
        await self._command("/interrupt", {"prompt_id": prompt_id})

    async def object_info(self, name: str | None = None) -> dict[str, Json] | None:
        """The definition of one class ({} if there is none), or of all; None if the server has no such route."""
        route = "/object_info" if name is None else f"/object_info/{quote(name, safe='')}"
        status, raw = await self._send("GET", route)
        if status in NOT_SUPPORTED:
            return None
        found = await self._loads(raw) if status == OK else None
        if not isinstance(found, dict):
            raise ServerError(f"{self.address.display} answered GET {route} with HTTP {status}.")
        return found

    async def upload(self, name: str, data: bytes) -> str:
        """Put a file into the server's input folder; returns what the server calls it, with its folder."""
        status, raw = await self._send("POST", "/upload/image", body=Upload("image", name, data), limit=SMALL)
        found = await self._loads(raw) if status == OK else None
        if not isinstance(found, dict) or not isinstance(stored := found.get("name"), str):
            too_large = " (it is too large for the server)" if status == 413 else ""
            raise ServerError(
                f"{self.address.display} did not take the file {name}: HTTP {status}{too_large}."
            )
        folder = found.get("subfolder")
        return f"{folder}/{stored}" if isinstance(folder, str) and folder else stored

    async def saved_workflows(self) -> list[str]:
        """The names of the workflows that people saved on the server, with folders; empty if it keeps none."""
        query = {"dir": "workflows", "recurse": "true"}
        status, raw = await self._send("GET", "/userdata", query=query)
        found = await self._loads(raw) if status == OK else []
        return (
            sorted(self.veil.text(name) for name in found if isinstance(name, str))
            if isinstance(found, list)
            else []
        )

    async def saved_workflow(self, name: str) -> bytes:
        """The file of one of them."""
        status, raw = await self._send("GET", f"/userdata/{quote(f'workflows/{name}', safe='')}")
        if status != OK:
            raise ServerError(f"{self.address.display} has no saved workflow {name!r} (HTTP {status}).")
        return raw

    async def _command(self, route: str, body: dict[str, Any]) -> None:
        status, _ = await self._send("POST", route, body=await self._dumps(body), limit=SMALL)
        if status != OK:
            raise ServerError(f"{self.address.display} answered POST {route} with HTTP {status}.")

    def _parsed(self, parse: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return self.veil.record(parse(*args, **kwargs))
        except ValueError as error:
            raise ServerError(f"{self.address.display}: {self.veil.text(str(error))}") from None

    async def _get(self, route: str, query: dict[str, str] | None = None, memory: int = MAX_MEMORY) -> Json:
        status, raw = await self._send("GET", route, query=query)
        if status != OK:
            kind = Unavailable if status in NOT_NOW else ServerError
            away = ", which sends us elsewhere" if 300 <= status < 400 else ""
            raise kind(f"{self.address.display} answered GET {route} with HTTP {status}{away}.")
        return await self._loads(raw, memory)

    async def _probe_json(self, route: str) -> tuple[int, Json]:
        status, raw = await self._send("GET", route, api="", limit=SMALL)
        try:
            return status, await self._loads(raw)
        except ServerError:
            return status, None

    def _refuse_other(self, status: int, data: Json) -> None:
        if status in (401, 403):
            raise ConnectionFailed(
                f"{self.address.display} refuses us (HTTP {status}): pass what it wants, such as "
                'connect(url, token="…"), auth=("user", "password"), cookies={…} or headers={…}.'
            )
        if 300 <= status < 400:
            raise self._not_comfy(
                f"HTTP {status} sends us elsewhere; if that is to log in, pass token=, auth=, cookies= or headers="
            )
        if status != OK or not isinstance(data, dict):
            raise self._not_comfy(f"GET /system_stats gave HTTP {status}")

    def _not_comfy(self, why: str) -> ConnectionFailed:
        return ConnectionFailed(
            f"Something answers at {self.address.display}, but it is not a ComfyUI ({why}): check host, port and path."
        )

    async def _send(
        self,
        method: str,
        route: str,
        *,
        api: str | None = None,
        query: dict[str, str] | None = None,
        body: bytes | Upload | None = None,
        limit: int = MAX_JSON,
        plain: bool = False,
    ) -> tuple[int, bytes]:
        way = (self.can.api if api is None else api) + route
        answer = await self._transport.ask(method, way, query=query, body=body, limit=limit, plain=plain)
        return answer.status, answer.body

    async def _loads(self, raw: bytes, memory: int = MAX_MEMORY) -> Json:
        try:
            return await self._loop.work(loads, raw, memory) if len(raw) > BIG_JSON else loads(raw, memory)
        except TooLarge as error:
            raise TooMuch(f"{self.address.display} sent JSON of {len(raw) / 1e6:,.0f} MB. {error}") from None
        except ValueError:
            raise ServerError(
                f"{self.address.display} sent something that is not JSON{self._start(raw)}."
            ) from None

    def _start(self, raw: bytes) -> str:
        """What somebody who looks for the cause wants to see of it."""
        words = " ".join(self.veil.text(raw[:2000].decode(errors="replace")).split())
        shown = "".join(c for c in words if c.isprintable())[:60]
        return f" (it begins with {shown!r})" if shown else " (it is empty)"

    async def _dumps(self, body: dict[str, Any]) -> bytes:
        return (await self._loop.work(json.dumps, body, allow_nan=False)).encode()


def _is_long(queue: Json) -> bool:
    """Whether a queue is handled in a worker."""
    pending = queue.get("queue_pending") if isinstance(queue, dict) else None
    return isinstance(pending, list) and len(pending) > LONG_QUEUE


def quoted(prompt_id: str) -> str:
    """A prompt's id for a path. Raises `ServerError` for what is none, as others' jobs may have."""
    if not is_prompt_id(prompt_id):
        raise ServerError(
            f"{clip(repr(prompt_id), 80)} is no id of a job, so nothing is asked of the server about it."
        )
    return quote(prompt_id, safe="")


def _numbers(version: str) -> tuple[int, ...]:
    """A version as numbers; nothing, which is older than everything, if it is none."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else ()
