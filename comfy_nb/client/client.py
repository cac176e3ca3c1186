"""Client: one ComfyUI server, as a source of events about our prompts.

The websocket gives hints as they come; the queue and the history are the truth, asked after each (re)connect, when
the socket says that a run is over, and on a slow watchdog. `sending` hands prompts over, `line` hears of them,
`reconcile` compares them with the truth, `stopping` stops them. Everything here runs on the loop thread.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import uuid
from collections.abc import Coroutine
from typing import Any

from comfy_nb import events as ev
from comfy_nb.client import timing
from comfy_nb.client.address import Address
from comfy_nb.client.catalog import Catalog
from comfy_nb.client.collect import collect, collect_frame, is_output_frame
from comfy_nb.client.delivery import Delivery
from comfy_nb.client.http import Http
from comfy_nb.client.line import Line, new_id
from comfy_nb.client.reconcile import Reconciler
from comfy_nb.client.sending import Sender
from comfy_nb.client.socket import MAX_MESSAGE
from comfy_nb.client.stopping import Stopper
from comfy_nb.client.timing import Timing
from comfy_nb.errors import ComfyError, ConnectionFailed, JobLost
from comfy_nb.failures import unreachable
from comfy_nb.loop import Loop
from comfy_nb.record import Record, Request
from comfy_nb.wire import messages as wire
from comfy_nb.wire.fields import is_prompt_id, mapping, text
from comfy_nb.wire.records import HistoryEntry, Queue
from comfy_nb.wire.sizes import refusal
from comfy_nb.workflow.plan import make_plan

__all__ = ["Client"]

log = logging.getLogger("comfy_nb")

MAX_LINES = 4  # client ids at once; beyond, new prompts share the newest, however its connection was lost
REFUSED = "A preview"
TAKEN_UP = (
    "taken up again: its steps and previews go to the session that started it and cannot be seen here; "
    "how it ends and what it puts out can"
)


class Client:
    """A connection to one server, for any number of prompts. Make it on any thread, and `open()` it on the loop's."""

    def __init__(
        self, address: Address, loop: Loop, *, max_message: int = MAX_MESSAGE, patience: Timing | None = None
    ) -> None:
        self.address = address
        self._loop = loop
        self._timing = timing.TIMING if patience is None else patience
        self._max_message = max_message
        self._tls: ssl.SSLContext | None = address.ssl_context()  # reads files, so not on the loop
        self._http = Http(address, loop, self._tls, self._timing)
        self.catalog = Catalog(self._http, loop)
        # Each open prompt is either on the line that hears of it or, not sent yet or taken up, among these.
        self._lineless: dict[str, Delivery] = {}
        self._line = self._new_line()  # for new prompts
        self._lines = [self._line]  # and those of prompts that were sent before
        self._truth = Reconciler(self._http, self._timing, self._finish)
        self._stopper = Stopper(self._http, self._truth, self._timing, self._finish)
        self._sender = Sender(
            self._http,
            self.catalog,
            self._timing,
            line=lambda: self._line,
            finish=self._finish,
            place=self._place,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._queue_task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._looked_at = 0.0  # when queue and history were last asked, in the loop's seconds
        self.queue_moves = 0  # how often the server said that its queue moved, for whoever shows all of it

    @property
    def version(self) -> str:
        """The server's own version, or an empty text."""
        return self._http.can.version

    @property
    def link(self) -> ev.Link:
        """The state of the connection that new prompts take."""
        return self._line.link

    @property
    def client_id(self) -> str:
        """The id that new prompts are sent with."""
        return self._line.client_id

    async def open(self) -> None:
        """Find out what is there, and open the websocket. Raises `ConnectionFailed`; leaves nothing running then."""
        try:
            can = await self._http.probe()
            await self._line.socket.start(can.api)
        except BaseException:
            await self._http.close()
            raise
        self._start(self._watch(), "watchdog")

    async def close(self) -> None:
        """Stop listening. Prompts go on at the server; for us all that are open end here."""
        for line in self._lines:
            self._on_link(line, "closed", "the connection was closed here")
        for delivery in self._open():
            for event in _closed(delivery, self.address.display):
                self._finish(delivery, event)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(line.socket.close() for line in self._lines))
        await self._http.close()

    # -- submit and stop ---------------------------------------------------------------------------------------

    def submit(self, record: Record, extra_data: dict[str, Any] | None = None) -> None:
        """Hand a prompt to the server, in time; what becomes of it comes as events."""
        delivery = self._lineless[record.id] = Delivery(record, extra_data or {})
        self._start(self._submit(delivery), "submit")

    async def _submit(self, delivery: Delivery) -> None:
        await self._sender.send(delivery)
        self._wake.set()
        if delivery.doubt is not None:
            await self.reconcile()
        await self._stopper.stop(delivery)  # if asked for meanwhile

    def interrupt(self, record: Record) -> None:
        """Ask the server to stop exactly this prompt; what becomes of it comes as events. Twice is harmless."""
        delivery = next((known for known in self._open() if known.record is record), None)
        if delivery is None:  # it has ended
            return
        delivery.feed(ev.Stopping())
        if not delivery.sent:
            self._finish(delivery, ev.Vanished("cancelled before it was sent", cancelled=True))
        else:
            self._start(self._stopper.stop(delivery), "interrupt")
        self._wake.set()

    async def look_up(self, prompt_id: str) -> Request:
        """A prompt that is at the server, whoever sent it. Raises `JobLost` if the server does not know it."""
        if not is_prompt_id(prompt_id):
            raise JobLost(
                f"{prompt_id!r} is no id of a job: it looks like {str(uuid.uuid4())!r}.", job_id=prompt_id
            )
        queue = await self._http.whole_queue()
        found = next((item for item in (*queue.running, *queue.pending) if item.prompt_id == prompt_id), None)
        outputs = found.outputs_to_execute if found else ()
        entry = found or await self._http.history(prompt_id)
        if entry is None:
            cause = "it is neither in the queue nor in the history of " + self.address.display
            raise JobLost(f"There is no job {prompt_id!r}: {cause}.", job_id=prompt_id, cause=cause)
        title = text(mapping(entry.extra_data.get("comfy_nb")).get("title"))[:200]
        plan = await self._loop.work(
            make_plan, entry.prompt, prompt_id, title=title or None, outputs=outputs or None
        )
        return Request(plan, entry.prompt, preview="none")  # its frames go to whoever sent it

    async def take_up(self, record: Record) -> None:
        """Follow a prompt that is at the server, by queue and history. One that has ended is over when this returns."""
        delivery = self._lineless[record.id] = Delivery(record, sent=True, unwatched=True)
        delivery.feed(ev.Submitted())
        delivery.feed(ev.Warned(TAKEN_UP))
        await self.reconcile()
        self._wake.set()

    async def everybody(self, ended: int) -> tuple[Queue, tuple[HistoryEntry, ...]]:
        """The queue and the last `ended` prompts that ended, whoever sent them."""
        return await self._http.whole_queue(), await self._http.last_history(ended)

    async def stop_foreign(self, prompt_id: str) -> None:
        """Ask the server to stop a prompt that is not ours, and no other. Raises `ServerError` if it cannot."""
        await self._stopper.stop_at_server(prompt_id, ours=False)

    def _open(self) -> list[Delivery]:
        return [
            *self._lineless.values(),
            *(each for line in self._lines for each in line.deliveries.values()),
        ]

    def _place(self, delivery: Delivery, line: Line | None, known_as: str) -> None:
        """Put an open prompt on a line, or among those without one, by the id that it has now."""
        for register in (self._lineless, *(each.deliveries for each in self._lines)):
            register.pop(known_as, None)
        (self._lineless if line is None else line.deliveries)[delivery.id] = delivery

    def _finish(self, delivery: Delivery, event: ev.Event) -> None:
        self._lineless.pop(delivery.id, None)
        for line in list(self._lines):
            if line.deliveries.pop(delivery.id, None) and not line.deliveries and line is not self._line:
                self._lines.remove(line)
                self._start(line.socket.close(), "close")
        delivery.feed(event)

    # -- workflows ---------------------------------------------------------------------------------------------

    async def saved_workflows(self) -> list[str]:
        """The names of the workflows saved on the server. Raises `ComfyError`."""
        return await self._http.saved_workflows()

    async def saved_workflow(self, name: str) -> bytes:
        """One of them, as it was saved. Raises `ComfyError`."""
        return await self._http.saved_workflow(name)

    # -- what the server says ----------------------------------------------------------------------------------

    def _new_line(self) -> Line:
        return Line(
            self.address,
            self._loop,
            self._timing,
            on_message=self._on_message,
            on_link=self._on_link,
            on_loss=self._on_loss,
            tls=self._tls,
            max_message=self._max_message,
        )

    def _on_loss(self, line: Line, clean: bool) -> None:
        """After a loss without good-bye the server may cut off whoever comes back with the same id."""
        if clean or line is not self._line or len(self._lines) >= MAX_LINES:
            return
        if not line.deliveries:
            line.socket.client_id = new_id()
            return
        self._line = self._new_line()
        self._lines.append(self._line)
        self._line.link = "reconnecting"
        self._line.socket.follow(line.socket)

    def _on_link(self, line: Line, link: ev.Link, note: str) -> None:
        line.tell(link, note)
        if line is self._line:
            for delivery in list(self._lineless.values()):
                delivery.feed(ev.LinkChanged(link, note))
        self._wake.set()
        if link == "connected":  # also when nobody was told that it had been away
            self._queue_moved()

    def _on_message(self, line: Line, message: wire.Message) -> None:
        if isinstance(message, wire.Status):
            self._queue_moved()
        if isinstance(message, wire.Unknown) and message.unread:
            self._unread(line, message.reason)
        owner = line.router.owner(message)
        delivery = line.deliveries.get(owner) if owner is not None else None
        if delivery is None:
            return
        picture = isinstance(message, wire.PreviewImage | wire.PreviewWithMetadata)
        if picture and is_output_frame(delivery, message):
            self._start(collect_frame(delivery, message), "frame")
            return
        if picture and delivery.run.previewing and (why := refusal(message.image)):
            if not any(
                told.startswith(REFUSED) for told in delivery.run.warnings
            ):  # each may have a size of its own
                delivery.feed(ev.Warned(f"{REFUSED} {why}, is not shown."))
            return
        for event in delivery.hear(message):
            if isinstance(event, ev.NodeExecuted):
                self._start(collect(delivery, event.output, self._http), "fetch")
            elif isinstance(event, ev.Finishing):
                self._start(self._truth.settle(delivery, self._timing.settle), "settle")
                self._wake.set()

    def _unread(self, line: Line, what: str) -> None:
        """A message was dropped for its size. Whose it was is not known; the history has what counts."""
        for delivery in tuple(line.deliveries.values()):
            delivery.feed(ev.Warned(f"The server sent a message {what}: what it said is not shown."))

    def _queue_moved(self) -> None:
        self.queue_moves += 1
        if self._open() and (self._queue_task is None or self._queue_task.done()):
            self._queue_task = self._start(self._look_soon(), "queue")

    async def _look_soon(self) -> None:
        await asyncio.sleep(self._timing.queue)
        await self.reconcile()

    # -- the truth ---------------------------------------------------------------------------------------------

    async def reconcile(self) -> None:
        """Ask queue and history about every open prompt, fold in what they say, and send again what was lost."""
        self._looked_at = self._loop.asyncio.time()
        deliveries = [each for each in self._open() if each.sent and not each.posting]
        if not deliveries:
            return
        try:
            queue = await self._truth.compare(deliveries)
        except ComfyError as error:
            log.info("comfy_nb: queue and history of %s: %s", self.address.display, error)
            return
        for delivery in deliveries:
            if self._stopper.due(delivery):
                self._start(self._stopper.stop(delivery), "interrupt")
        runs = {item.prompt_id for item in queue.running}
        for line in self._lines:
            if line.note_deafness():
                log.info(
                    "comfy_nb: jobs are taken, and nothing is heard by the websocket of %s",
                    self.address.display,
                )
                self._start(line.socket.renew(), "renew")
            running = next((each for each in line.deliveries.values() if each.id in runs), None)
            if running is not None and line.note_silence(running):
                log.info("comfy_nb: %s runs, and nothing is heard of it", running.id)
                self._start(line.socket.renew(), "renew")

    def _pace(self) -> float:
        """Seconds between two looks."""
        sent = [each for each in self._open() if each.sent]
        if any(each.missing_since is not None or each.doubt for each in sent):
            return self._timing.again
        away = any(not line.socket.is_open for line in self._lines)
        unclear = away or any(each.stop_asked or each.run.finishing for each in sent)
        if unclear:
            return self._timing.doubt
        dues = [line.look_due(self._looked_at) - self._looked_at for line in self._lines if line.deliveries]
        return min([self._timing.watch, *dues])

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout_at(max(self._looked_at, 0.0) + self._pace()):
                    await self._wake.wait()
                    self._wake.clear()
            except TimeoutError:
                try:
                    await self.reconcile()
                except Exception:  # a fault of ours in one look must not be the end of all looking
                    log.exception("comfy_nb: the watchdog failed")

    # -- tasks -------------------------------------------------------------------------------------------------

    def _start(self, work: Coroutine[Any, Any, object], name: str) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await work
            except ComfyError as error:
                log.info("comfy_nb: %s: %s", name, error)
            except Exception:  # nobody awaits this task: a fault is told here or nowhere
                log.exception("comfy_nb: %s failed", name)

        task = asyncio.get_running_loop().create_task(guarded(), name=f"comfy_nb {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # cancelled before it began, it would complain
        return task


def _closed(delivery: Delivery, server: str) -> tuple[ev.Event, ...]:
    """How a prompt ends that is open as the connection is closed."""
    if delivery.run.outcome is not None:
        return ev.Warned("The connection was closed here before all results were fetched."), ev.Ended()
    if delivery.sent:
        known_by = f"comfy.attach({delivery.id!r}) on a new connection takes it up again"
        cause = f"the connection to {server} was closed here; it may go on at the server, and {known_by}"
        return (ev.Vanished(cause),)
    why = f"The connection to {server} was closed here before the job was sent."
    return (ev.Rejected(unreachable(ConnectionFailed(why))),)
