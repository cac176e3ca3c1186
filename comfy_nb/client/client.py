"""Client: one ComfyUI server, as a source of events about our prompts.

The websocket gives hints as they come; the queue and the history are the truth, asked after each (re)connect, when
the socket says that a run is over, and on a slow watchdog. Queue first, then history: a prompt only ever moves that
way, so nothing can be missed between the two. Everything here runs on the loop thread.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Coroutine
from typing import Any

from comfy_nb import events as ev
from comfy_nb.client.address import Address
from comfy_nb.client.catalog import Catalog
from comfy_nb.client.collect import collect, collect_frame, is_output_frame
from comfy_nb.client.http import Http, NoAnswer
from comfy_nb.client.loop import Loop
from comfy_nb.client.prompt import Frame, Prompt
from comfy_nb.client.routing import Router
from comfy_nb.client.socket import MAX_MESSAGE, Socket
from comfy_nb.errors import ComfyError, ConnectionFailed, ServerError
from comfy_nb.failures import left_out, refusal, rejection, unreachable, verdict
from comfy_nb.store import get_store
from comfy_nb.wire import messages as wire
from comfy_nb.wire.records import HistoryEntry, PromptRejected, Queue

__all__ = ["Client"]

log = logging.getLogger("comfy_nb")

READY_TIMEOUT = 20.0  # seconds a submit waits for a lost socket to come back
HISTORY_TRIES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)  # the history is written a hair after the socket speaks
WATCH_EVERY = 15.0  # seconds between two looks at queue and history while all seems well
WATCH_LOST = 2.0  # the same while the socket is down
QUEUE_DELAY = 0.25  # seconds in which the server's "the queue moved" is taken as one
GONE = (
    "the server knows nothing of it any more: somebody removed it, the history was cleared, "
    "or the server was restarted"
)


class Client:
    """A connection to one server, for any number of prompts. Make it on any thread, and `open()` it on the loop's."""

    def __init__(self, address: Address, loop: Loop, *, max_message: int = MAX_MESSAGE) -> None:
        self.address = address
        self.client_id = uuid.uuid4().hex
        self.link: ev.Link = "connecting"
        self._loop = loop
        tls = address.ssl_context()  # reads files, so not on the loop
        self._http = Http(address, loop, tls)
        self.catalog = Catalog(self._http, loop)
        self._prompts: dict[str, Prompt] = {}
        self._router = Router(self._prompts, self._has_node)
        self._socket = Socket(
            address,
            self.client_id,
            loop,
            on_message=self._on_message,
            on_link=self._on_link,
            tls=tls,
            max_message=max_message,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._queue_task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self.queue_moves = 0  # how often the server said that its queue moved, for whoever shows all of it

    @property
    def version(self) -> str:
        """The server's own version, or an empty text."""
        return self._http.can.version

    async def open(self) -> None:
        """Find out what is there, and open the websocket. Raises `ConnectionFailed`; leaves nothing running then."""
        try:
            can = await self._http.probe()
            await self._socket.start(can.api)
        except BaseException:
            await self._http.close()
            raise
        self._start(self._watch(), "watchdog")

    async def close(self) -> None:
        """Stop listening. Prompts go on at the server; those still open say that nobody listens any more."""
        self._on_link("closed", "the connection was closed here")
        for prompt in [p for p in self._prompts.values() if not p.sent]:
            why = f"The connection to {self.address.display} was closed here before the job was sent."
            self._refuse(prompt, ConnectionFailed(why))
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._socket.close()
        await self._http.close()

    # -- submit ------------------------------------------------------------------------------------------------

    def submit(self, prompt: Prompt, extra_data: dict[str, Any] | None = None) -> None:
        """Hand a prompt to the server, in time; what becomes of it comes as events."""
        self._prompts[prompt.id] = prompt  # before the POST: messages may come before its reply
        self._start(self._submit(prompt, extra_data or {}), "submit")

    async def _submit(self, prompt: Prompt, extra_data: dict[str, Any]) -> None:
        if self.link != "connected":
            prompt.feed(ev.LinkChanged(self.link, "waiting for the connection"))
        try:
            if not await self._prepared(prompt):
                return
            await self._post(prompt, self._body(prompt, extra_data))
        except (NoAnswer, ServerError) as error:
            log.info("comfy_nb: POST of %s is in doubt: %s", prompt.id, error)
            await self._in_doubt(prompt, error)
        except ConnectionFailed as error:
            self._refuse(prompt, error)
        self._wake.set()
        if prompt.stop_asked and not prompt.stop_sent:  # asked for while the POST was under way
            await self._stop(prompt)

    async def _prepared(self, prompt: Prompt) -> bool:
        """Upload its files, and look for what the server would refuse. False if it is not to be sent."""
        try:
            for name, data in prompt.uploads.items():
                prompt.rename_file(name, await self._http.upload(name, data))
        except (NoAnswer, ServerError) as error:
            raise ConnectionFailed(f"Nothing was sent, as a file could not be uploaded: {error}") from None
        try:
            problems = await self.catalog.check(prompt.api) if prompt.checked else None
        except ComfyError as error:
            log.info("comfy_nb: %s was not checked: %s", prompt.id, error)
            return True
        if problems:
            self._finish(prompt, ev.Rejected(refusal(problems)))
        return not problems

    def _body(self, prompt: Prompt, extra_data: dict[str, Any]) -> dict[str, Any]:
        extra = dict(extra_data)
        if prompt.graph is not None:  # never null: that would break the list of jobs for everybody
            extra["extra_pnginfo"] = {"workflow": prompt.graph}
        if prompt.preview != "default":
            extra["preview_method"] = prompt.preview
        return {
            "prompt": prompt.api,
            "client_id": self.client_id,
            "prompt_id": prompt.id,
            "extra_data": extra,
        }

    async def _post(self, prompt: Prompt, body: dict[str, Any]) -> None:
        if not await self._socket.ready(READY_TIMEOUT):
            raise ConnectionFailed(
                f"{self.address.display} cannot be reached, so nothing was sent: {prompt.run.link_note}."
            )
        if prompt.run.ended:  # cancelled meanwhile
            return
        prompt.sent = True
        reply = await self._http.post_prompt(body)
        if isinstance(reply, PromptRejected):
            self._finish(prompt, ev.Rejected(rejection(reply, prompt.plan)))
            return
        if reply.prompt_id != prompt.id:  # servers before 0.3.45 choose the id
            self._prompts.pop(prompt.id, None)
            prompt.adopt(reply.prompt_id)
            self._prompts[prompt.id] = prompt
        for warning in left_out(reply.node_errors, prompt.plan):
            prompt.feed(ev.Warned(warning))
        prompt.feed(ev.Submitted(reply.number))

    async def _in_doubt(self, prompt: Prompt, error: ComfyError) -> None:
        """The POST failed after it was sent: the server may have queued it all the same, so look before saying."""
        try:
            known = await self._known(prompt)
        except ComfyError:
            prompt.feed(ev.Submitted())  # cannot even look: the watchdog will find out
            return
        if known:
            prompt.feed(ev.Submitted())
        else:
            self._refuse(prompt, error)

    async def _known(self, prompt: Prompt) -> bool:
        queue = await self._http.queue()
        return queue.position(prompt.id) is not None or await self._http.history(prompt.id) is not None

    def _refuse(self, prompt: Prompt, error: Exception) -> None:
        self._finish(prompt, ev.Rejected(unreachable(error)))

    # -- what the server says ----------------------------------------------------------------------------------

    def _has_node(self, prompt_id: str, node_id: str) -> bool:
        return self._prompts[prompt_id].plan.display_id(node_id) is not None

    def _on_message(self, message: wire.Message) -> None:
        if isinstance(message, wire.Status):
            self._queue_moved()
        owner = self._router.owner(message)
        prompt = self._prompts.get(owner) if owner is not None else None
        if prompt is None:
            return
        if isinstance(message, wire.PreviewImage | wire.PreviewWithMetadata):
            self._on_picture(prompt, message)
            return
        for event in prompt.hear(message):
            if isinstance(event, ev.NodeExecuted):
                self._start(collect(prompt, event.output, self._http, self._loop), "fetch")
            elif isinstance(event, ev.Finishing):
                self._start(self._settle(prompt, HISTORY_TRIES), "settle")

    def _on_picture(self, prompt: Prompt, message: wire.PreviewImage | wire.PreviewWithMetadata) -> None:
        if is_output_frame(prompt, message):
            self._start(collect_frame(prompt, message, self._loop), "frame")
            return
        if prompt.wants_previews:
            for event in prompt.hear(message):
                if isinstance(event, ev.Preview):
                    self._start(self._keep(prompt, event), "step")

    async def _keep(self, prompt: Prompt, preview: ev.Preview) -> None:
        """Keep a frame for the step history."""
        async with prompt.keeping:  # one after another: of two workers the second may be done first
            blob = await self._loop.work(get_store().put, preview.image, "steps")
            if prompt.wants_previews:  # not turned off meanwhile
                prompt.frames.append(
                    Frame(preview.node_id, preview.step, preview.of, preview.media_type, blob)
                )

    def _on_link(self, link: ev.Link, note: str) -> None:
        back = link == "connected" and self.link != "connected"
        self.link = link
        if link != "connected":
            self._router.forget()
        for prompt in list(self._prompts.values()):
            prompt.feed(ev.LinkChanged(link, note))
        self._wake.set()
        if back:
            self._queue_moved()

    def _queue_moved(self) -> None:
        self.queue_moves += 1
        if self._prompts and (self._queue_task is None or self._queue_task.done()):
            self._queue_task = self._start(self._look_soon(), "queue")

    async def _look_soon(self) -> None:
        await asyncio.sleep(QUEUE_DELAY)
        await self.reconcile()

    # -- the truth ---------------------------------------------------------------------------------------------

    async def reconcile(self) -> None:
        """Ask queue and history about every open prompt, and fold in what they say."""
        prompts = [p for p in self._prompts.values() if p.sent and p.run.status != "new"]
        if not prompts:
            return
        try:
            queue = await self._http.queue()
            for prompt in prompts:
                await self._compare(prompt, queue)
        except ComfyError as error:
            log.info("comfy_nb: queue and history of %s: %s", self.address.display, error)

    async def _compare(self, prompt: Prompt, queue: Queue) -> None:
        position = queue.position(prompt.id)
        if position is not None:
            prompt.missing = 0
            prompt.feed(ev.Positioned(position))
            return
        if prompt.settling or prompt.run.ended or await self._settle(prompt, (0.0,)):
            return
        prompt.missing += 1
        if prompt.missing > 1:  # twice: a server that was just restarted may not have read its own state yet
            removed = prompt.stop_asked and prompt.run.started_at is None
            cause = "cancelled while it waited in the queue" if removed else GONE
            self._finish(prompt, ev.Vanished(cause, cancelled=removed))
        else:
            self._wake.set()

    async def _settle(self, prompt: Prompt, tries: tuple[float, ...]) -> bool:
        """Ask the history how a run went; then fetch its outputs, and end it. False if it does not know yet."""
        if prompt.settling or prompt.run.ended:
            return True
        prompt.settling = True
        try:
            entry = await self._history(prompt, tries)
            if entry is None:
                return False
            prompt.feed(verdict(entry, prompt.plan))
            for output in entry.outputs:
                await collect(prompt, output, self._http, self._loop)
            async with prompt.collecting, prompt.keeping:  # all that came before is here
                prompt.order_by(entry.outputs)
            self._finish(prompt, ev.Ended())
        finally:
            prompt.settling = False
        return True

    async def _history(self, prompt: Prompt, tries: tuple[float, ...]) -> HistoryEntry | None:
        for delay in tries:
            await asyncio.sleep(delay)
            try:
                entry = await self._http.history(prompt.id)
            except ComfyError as error:
                log.info("comfy_nb: history of %s: %s", prompt.id, error)
                continue
            if entry is not None:
                return entry
        return None

    def _finish(self, prompt: Prompt, event: ev.Event) -> None:
        self._prompts.pop(prompt.id, None)
        prompt.feed(event)

    async def _watch(self) -> None:
        while True:
            doubtful = self.link != "connected" or any(p.missing for p in self._prompts.values())
            try:
                async with asyncio.timeout(WATCH_LOST if doubtful else WATCH_EVERY):
                    await self._wake.wait()
                    self._wake.clear()
            except TimeoutError:
                await self.reconcile()

    # -- workflows ---------------------------------------------------------------------------------------------

    async def saved_workflows(self) -> list[str]:
        """The names of the workflows saved on the server. Raises `ComfyError`."""
        return await self._http.saved_workflows()

    async def saved_workflow(self, name: str) -> bytes:
        """One of them, as it was saved. Raises `ComfyError`."""
        return await self._http.saved_workflow(name)

    # -- interrupt ---------------------------------------------------------------------------------------------

    def interrupt(self, prompt: Prompt) -> None:
        """Ask the server to stop exactly this prompt; what becomes of it comes as events. Twice is harmless."""
        prompt.stop_asked = True
        prompt.feed(ev.Stopping())
        if not prompt.sent:
            self._finish(prompt, ev.Vanished("cancelled before it was sent", cancelled=True))
        elif prompt.run.status != "new":
            self._start(self._stop(prompt), "interrupt")

    async def _stop(self, prompt: Prompt) -> None:
        """The order that never hits another prompt: the jobs API, else dequeue, look, and interrupt by id."""
        if prompt.run.ended or prompt.stop_running:
            return
        prompt.stop_sent = prompt.stop_running = True
        try:
            await self._stop_at_server(prompt.id)
        except ComfyError as error:
            prompt.feed(ev.Warned(f"The interrupt did not get through: {error}"))
            return
        finally:
            prompt.stop_running = False
        if prompt.run.started_at is None:
            await self._removed(prompt)

    async def _removed(self, prompt: Prompt) -> None:
        """After a cancel while waiting: gone from the queue and not in the history means that it worked."""
        try:
            queue = await self._http.queue()
            if queue.position(prompt.id) is None and not await self._settle(prompt, (0.0,)):
                self._finish(prompt, ev.Vanished("cancelled while it waited in the queue", cancelled=True))
        except ComfyError as error:
            log.info("comfy_nb: after the cancel of %s: %s", prompt.id, error)

    # -- everybody's -------------------------------------------------------------------------------------------

    async def everybody(self, ended: int) -> tuple[Queue, tuple[HistoryEntry, ...]]:
        """The queue and the last `ended` prompts that ended, whoever sent them."""
        return await self._http.queue(), await self._http.last_history(ended)

    async def stop_foreign(self, prompt_id: str) -> None:
        """Ask the server to stop a prompt that is not ours, and no other."""
        await self._stop_at_server(prompt_id)

    async def _stop_at_server(self, prompt_id: str) -> None:
        if not await self._http.cancel(prompt_id):
            await self._http.delete_pending(prompt_id)
            queue = await self._http.queue()
            if queue.position(prompt_id) == 0:
                await self._http.interrupt(prompt_id)

    # -- tasks -------------------------------------------------------------------------------------------------

    def _start(self, work: Coroutine[Any, Any, object], name: str) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await work
            except ComfyError as error:
                log.warning("comfy_nb: %s: %s", name, error)
            except Exception:
                log.exception("comfy_nb: %s failed", name)

        task = asyncio.get_running_loop().create_task(guarded(), name=f"comfy_nb {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
