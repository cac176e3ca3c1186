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
from comfy_nb.client.exchange import NoAnswer, Refused
from comfy_nb.client.http import Http
from comfy_nb.client.line import Line
from comfy_nb.client.prompt import Prompt
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
        finish: Callable[[Prompt, ev.Event], None],
        adopt: Callable[[Line, Prompt, str], None],
    ) -> None:
        """`line` gives the line for new prompts, `finish` ends a prompt, `adopt` lets it go by the server's id."""
        self._http, self._catalog, self._timing = http, catalog, timing
        self._line, self._finish, self._adopt = line, finish, adopt
        self._turns = Turns()  # prompts are queued in the order in which they were submitted

    async def send(self, prompt: Prompt, extra_data: dict[str, Any]) -> None:
        """Hand a prompt over; what becomes of it comes as events."""
        deadline = time.monotonic() + self._timing.ready
        try:
            async with self._turns.mine() as turn:
                if await self._prepared(prompt, deadline, turn):
                    await self._post_when_possible(prompt, extra_data, deadline, turn)
        except Refused as error:
            self._refuse(prompt, error)
        except (NoAnswer, ServerError) as error:
            log.info("comfy_nb: POST of %s is in doubt: %s", prompt.id, error)
            prompt.doubt = error if prompt.heard_at is None else None
        except ConnectionFailed as error:
            self._refuse(prompt, error)
        except Exception as error:  # a fault of ours; nobody is to wait for ever because of it
            log.exception("comfy_nb: %s could not be sent", prompt.id)
            prompt.doubt = ComfyError(f"A fault in comfy_nb kept the job from being sent: {error!r}.")
            if not prompt.sent:
                self._refuse(prompt, prompt.doubt)
        finally:
            prompt.posting = False
            if prompt.run.link == "connected":  # whatever kept it waiting is over
                prompt.feed(ev.LinkChanged("connected", ""))

    def _refuse(self, prompt: Prompt, error: Exception) -> None:
        self._finish(prompt, ev.Rejected(unreachable(error)))

    async def _prepared(self, prompt: Prompt, deadline: float, turn: Turn) -> bool:
        """Upload its files, and look for what the server would refuse. False if it is not to be sent."""
        await self._ready(prompt, deadline)
        if prompt.run.ended:  # cancelled meanwhile
            return False
        try:
            for name, data in prompt.uploads.items():
                with turn.at_most(self._timing.turn):
                    prompt.rename_file(name, await self._http.upload(name, data))
        except (NoAnswer, ServerError) as error:
            raise ConnectionFailed(f"Nothing was sent, as a file could not be uploaded: {error}") from None
        try:
            with turn.at_most(self._timing.turn):
                problems = await self._catalog.check(prompt.api) if prompt.checked else None
        except ComfyError as error:
            log.info("comfy_nb: %s was not checked: %s", prompt.id, error)
            return True
        if problems:
            self._finish(prompt, ev.Rejected(refusal(problems)))
        return not problems

    async def _ready(self, prompt: Prompt, deadline: float) -> Line:
        """The line for new prompts, once it is open. Raises `ConnectionFailed` if that takes too long."""
        while not (line := self._line()).socket.is_open:
            if line.link != prompt.run.link:
                prompt.feed(ev.LinkChanged(line.link, line.note or "waiting for the connection"))
            if not await line.socket.ready(deadline - time.monotonic()) and line is self._line():
                raise ConnectionFailed(
                    f"{self._http.address.display} cannot be reached, so nothing was sent: {prompt.run.link_note}."
                )
        return line

    async def _post_when_possible(
        self, prompt: Prompt, extra_data: dict[str, Any], deadline: float, turn: Turn
    ) -> None:
        pause = self._timing.first_retry
        for attempt in itertools.count(2):  # the next one
            line = await self._ready(prompt, deadline)
            if prompt.run.ended:
                return
            try:
                with turn.at_most(self._timing.turn):
                    await self._post(line, prompt, extra_data)
            except ConnectionFailed as error:
                if isinstance(error, NoAnswer) or time.monotonic() + pause > deadline:
                    raise
                # Nothing was sent. The socket will notice in a moment that the server is away, or it is back by then.
                prompt.sent = False
                line.prompts.pop(prompt.id, None)
                note = f"waiting for the server: it takes no connections, {ordinal(attempt)} try"
                prompt.feed(ev.LinkChanged(line.link, note))  # which stands until the end of that try
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._timing.last_retry)

    async def _post(self, line: Line, prompt: Prompt, extra_data: dict[str, Any]) -> None:
        body = {
            "prompt": prompt.api,
            "client_id": line.client_id,
            "prompt_id": prompt.id,
            "extra_data": _extra(prompt, extra_data),
        }
        line.prompts[prompt.id] = prompt  # before the POST: messages may come before its reply
        prompt.sent = prompt.posting = True
        began = time.monotonic()
        reply = await self._http.post_prompt(body)
        if isinstance(reply, PromptRejected):
            self._finish(prompt, ev.Rejected(await self._http.work(rejection, reply, prompt.plan)))
        else:
            line.expect(began)
            self._accepted(line, prompt, reply)

    def _accepted(self, line: Line, prompt: Prompt, reply: PromptAccepted) -> None:
        if reply.prompt_id != prompt.id:  # servers before 0.3.45 choose the id
            self._adopt(line, prompt, reply.prompt_id)
        for warning in left_out(reply.node_errors, prompt.plan):
            prompt.feed(ev.Warned(warning))
        prompt.feed(ev.Submitted(reply.number))


def _extra(prompt: Prompt, given: dict[str, Any]) -> dict[str, Any]:
    extra = dict(given)
    if prompt.graph is not None:  # never null: that would break the list of jobs for everybody
        extra["extra_pnginfo"] = {"workflow": prompt.graph}
    if prompt.preview != "default":
        extra["preview_method"] = prompt.preview
    return extra
