"""Handing prompts to the server, each once.

While the server cannot be reached nothing is sent, and the prompt waits a while for it. A POST that may have arrived
although its answer did not is never repeated: the queue and the history tell whether it did.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable
from typing import Any

from comfy_nb import events as ev
from comfy_nb.client.catalog import Catalog
from comfy_nb.client.delivery import Delivery
from comfy_nb.client.exchange import NoAnswer, Refused
from comfy_nb.client.http import Http
from comfy_nb.client.line import Line
from comfy_nb.client.timing import Timing
from comfy_nb.client.turns import Turn, Turns
from comfy_nb.errors import ComfyError, ConnectionFailed, ServerError
from comfy_nb.failures import left_out, refusal, rejection, unreachable
from comfy_nb.snapshot import ordinal
from comfy_nb.wire.records import PromptAccepted, PromptRejected

__all__ = ["Sender"]

log = logging.getLogger("comfy_nb")


class Sender:
    """Sends prompts on the line that is for new ones. Runs on the loop thread."""

    def __init__(
        self,
        http: Http,
        catalog: Catalog,
        timing: Timing,
        *,
        line: Callable[[], Line],
        finish: Callable[[Delivery, ev.Event], None],
        place: Callable[[Delivery, Line | None, str], None],
    ) -> None:
        """`line` gives the line for new prompts, `finish` ends a prompt.

        `place` puts a prompt, which was known by an id, on a line, or back among those that wait.
        """
        self._http, self._catalog, self._timing = http, catalog, timing
        self._line, self._finish, self._place = line, finish, place
        self._turns = Turns()  # prompts are queued in the order in which they were submitted

    async def send(self, delivery: Delivery) -> None:
        """Hand a prompt over; what becomes of it comes as events."""
        try:
            async with self._turns.mine() as turn:
                deadline = time.monotonic() + self._timing.ready  # patience counts from its turn
                if not delivery.run.ended and (api := await self._prepared(delivery, deadline, turn)):
                    await self._post_when_possible(delivery, api, deadline, turn)
        except Refused as error:
            self._refuse(delivery, error)
        except (NoAnswer, ServerError) as error:
            log.info("comfy_nb: POST of %s is in doubt: %s", delivery.id, error)
            delivery.doubt = error if delivery.record.heard_at is None else None
        except ConnectionFailed as error:
            self._refuse(delivery, error)
        except Exception as error:  # a fault of ours; nobody is to wait for ever because of it
            log.exception("comfy_nb: %s could not be sent", delivery.id)
            delivery.doubt = ComfyError(f"A fault in comfy_nb kept the job from being sent: {error!r}.")
            if not delivery.sent:
                self._refuse(delivery, delivery.doubt)
        finally:
            delivery.posting = False
            if delivery.run.link == "connected":  # whatever kept it waiting is over
                delivery.feed(ev.LinkChanged("connected", ""))

    def _refuse(self, delivery: Delivery, error: Exception) -> None:
        self._finish(delivery, ev.Rejected(unreachable(error)))

    async def _prepared(self, delivery: Delivery, deadline: float, turn: Turn) -> dict[str, Any] | None:
        """Upload its files, and look for what the server would refuse. What is to be sent; None if nothing is."""
        await self._ready(delivery, deadline)
        if delivery.run.ended:  # cancelled meanwhile
            return None
        request = delivery.record.request
        stored: dict[str, str] = {}
        try:
            for name, data in request.uploads.items():
                with turn.at_most(self._timing.turn):
                    stored[name] = await self._http.upload(name, data)
        except (NoAnswer, ServerError) as error:
            raise ConnectionFailed(f"Nothing was sent, as a file could not be uploaded: {error}") from None
        api = _renamed(request.api, stored)
        try:
            with turn.at_most(self._timing.turn):
                problems = await self._catalog.check(api) if request.checked else None
        except ComfyError as error:
            log.info("comfy_nb: %s was not checked: %s", delivery.id, error)
            return api
        if problems is not None and problems.certain:
            self._finish(delivery, ev.Rejected(refusal(problems)))
            return None
        for likely in problems.likely if problems is not None else ():
            delivery.feed(ev.Warned(f"Sent, though the server may refuse it: {likely}"))
        return api

    async def _ready(self, delivery: Delivery, deadline: float) -> Line:
        """The line for new prompts, once it is open. Raises `ConnectionFailed` if that takes too long."""
        while not (line := self._line()).socket.is_open:
            if line.link != delivery.run.link:
                delivery.feed(ev.LinkChanged(line.link, line.note or "waiting for the connection"))
            if not await line.socket.ready(deadline - time.monotonic()) and line is self._line():
                raise ConnectionFailed(
                    f"{self._http.address.display} cannot be reached, so nothing was sent: {delivery.run.link_note}."
                )
        return line

    async def _post_when_possible(
        self, delivery: Delivery, api: dict[str, Any], deadline: float, turn: Turn
    ) -> None:
        pause = self._timing.first_retry
        for attempt in itertools.count(2):  # the next one
            line = await self._ready(delivery, deadline)
            if delivery.run.ended:
                return
            try:
                with turn.at_most(self._timing.turn):
                    await self._post(line, delivery, api)
            except ConnectionFailed as error:
                if isinstance(error, NoAnswer) or time.monotonic() + pause > deadline:
                    raise
                # Nothing was sent. The socket will notice in a moment that the server is away, or it is back by then.
                delivery.sent = False
                self._place(delivery, None, delivery.id)
                note = f"waiting for the server: it takes no connections, {ordinal(attempt)} try"
                delivery.feed(ev.LinkChanged(line.link, note))  # which stands until the end of that try
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._timing.last_retry)

    async def _post(self, line: Line, delivery: Delivery, api: dict[str, Any]) -> None:
        body = {
            "prompt": api,
            "client_id": line.client_id,
            "prompt_id": delivery.id,
            "extra_data": _extra(delivery),
        }
        self._place(delivery, line, delivery.id)  # before the POST: messages may come before its reply
        delivery.sent = delivery.posting = True
        began = time.monotonic()
        reply = await self._http.post_prompt(body)
        if isinstance(reply, PromptRejected):
            plan = delivery.record.plan
            self._finish(delivery, ev.Rejected(await self._http.work(rejection, reply, plan)))
        else:
            line.expect(began)
            self._accepted(line, delivery, reply)

    def _accepted(self, line: Line, delivery: Delivery, reply: PromptAccepted) -> None:
        for warning in left_out(reply.node_errors, delivery.record.plan):
            delivery.feed(ev.Warned(warning))
        known_as = delivery.id
        delivery.feed(ev.Submitted(reply.number, "" if reply.prompt_id == known_as else reply.prompt_id))
        if delivery.id != known_as:  # servers before 0.3.45 choose the id
            self._place(delivery, line, known_as)


def _renamed(api: dict[str, Any], stored: dict[str, str]) -> dict[str, Any]:
    """The prompt by the names that the server gave to uploaded files."""
    renamed = {name: own for name, own in stored.items() if own != name}
    if not renamed:
        return api
    return {
        key: node | {"inputs": {name: _by(renamed, value) for name, value in node["inputs"].items()}}
        for key, node in api.items()
    }


def _by(renamed: dict[str, str], value: Any) -> Any:
    return renamed.get(value, value) if isinstance(value, str) else value


def _extra(delivery: Delivery) -> dict[str, Any]:
    request = delivery.record.request
    extra = dict(delivery.extra_data)
    if request.graph is not None:  # never null: that would break the list of jobs for everybody
        extra["extra_pnginfo"] = {"workflow": request.graph}
    preview = request.preview if delivery.run.previewing else "none"
    if preview != "default":
        extra["preview_method"] = preview
    return extra
