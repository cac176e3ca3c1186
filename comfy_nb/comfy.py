"""A connection to one ComfyUI: `connect()`, `demo()`, and the `Comfy` that they return."""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from collections.abc import Callable, Collection, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Self

from comfy_nb.client.address import Address
from comfy_nb.client.client import Client
from comfy_nb.client.credentials import Verify, make_headers, queue_tells_accounts
from comfy_nb.client.socket import MAX_MESSAGE
from comfy_nb.errors import ConnectionFailed, ServerError
from comfy_nb.job import Job
from comfy_nb.jobs import Jobs, request_of, signature
from comfy_nb.kernel.pump import check_kernel
from comfy_nb.loop import Loop, get_loop
from comfy_nb.record import Record
from comfy_nb.tracebacks import brief
from comfy_nb.workflow.check import Problems
from comfy_nb.workflow.classes import Classes
from comfy_nb.workflow.graph import Workflow
from comfy_nb.workflow.reading import Source
from comfy_nb.workflow.saved import SavedWorkflows
from comfy_nb.workflow.sources import offer, withdraw

if TYPE_CHECKING:
    from comfy_nb.server.process import EmbeddedServer

__all__ = ["Comfy", "connect", "demo"]

DEFAULT_URL = "http://127.0.0.1:8188"
PREVIEWS = ("default", "auto", "latent2rgb", "taesd", "none")
OPEN_TIMEOUT = 30.0
LOOKUP_TIMEOUT = (
    60.0  # seconds in which a server tells its classes: with many custom nodes that takes a while
)


class Comfy:
    """A connected ComfyUI: the `Backend` of one server. Make one with `connect()` or `demo()`.

    A connection that nobody holds any more closes itself when its last open job has ended.
    """

    def __init__(
        self,
        address: Address,
        *,
        preview: str = "auto",
        name: str = "",
        comfy_key: str = "",
        max_message: int = MAX_MESSAGE,
    ) -> None:
        self.address = address
        self.name = name
        self._comfy_key = comfy_key
        self._preview = _known_preview(preview)
        self.loop: Loop = get_loop()
        self._lock = threading.Lock()
        self._jobs = Jobs(self.loop)
        self._closed = False
        if comfy_key:
            address.veil.add([comfy_key])
        self._client = Client(address, self.loop, max_message=max_message)
        try:
            self.loop.wait(self._client.open(), "connect()", OPEN_TIMEOUT)
        except TimeoutError:
            raise ConnectionFailed(
                f"{address.display} takes connections, but did not answer within {OPEN_TIMEOUT:g} s: "
                "it may be very busy, or no ComfyUI."
            ) from None
        if comfy_key:
            self._warn_of_the_queue()
        offer(self._classes)
        self._unheld = weakref.finalize(self, _close_unheld, self.loop, self._client)
        self._unheld.atexit = False

    @property
    def url(self) -> str:
        """The server's address, without credentials."""
        return self.address.display

    @property
    def preview(self) -> str:
        """What jobs ask for by default. It can be set; "none" also frees the previews of the jobs there are."""
        return self._preview

    @preview.setter
    def preview(self, preview: str) -> None:
        self._preview = _known_preview(preview)
        if preview == "none":
            for job in self.jobs:
                job.stop_previews()

    @property
    def version(self) -> str:
        """The server's ComfyUI version, or an empty text if it does not say."""
        return self._client.version

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Open jobs and the last 1,000 finished ones, oldest first."""
        return self._jobs.all

    def submit(
        self,
        workflow: Workflow | Source,
        changes: Mapping[str, object] | None = None,
        *,
        preview: str | None = None,
        title: str | None = None,
        check: bool = True,
    ) -> Job:
        """Send a workflow, with inputs set by path for this job only; returns the job at once.

        ``comfy.submit(wf, {"KSampler.cfg": 5})``. Raises `WorkflowError` for a path that the workflow does not have.
        What the server would refuse is found before it is sent; `check=False` sends it all the same.
        """
        loaded = workflow if isinstance(workflow, Workflow) else self.converted(workflow)
        changed = loaded.copy().set(changes) if changes else loaded
        return Job(changed, self, preview=preview, title=title, check=check).submit()

    def attach(self, prompt_id: str) -> Job:
        """Take up a job again by its id, such as after a restart of the kernel; returns the job, ended or not.

        Its queue position, its end and its outputs come as always. Its steps and previews cannot be seen: the server
        sends them to the session that started it alone, and keeps none. Raises `JobLost` if the server does not know
        it (any more).
        """
        self._refuse_closed()
        known = next((job for job in self.jobs if job.id == prompt_id), None)
        if known is not None:
            return known
        request = self.loop.wait(self._client.look_up(prompt_id), "comfy.attach()", LOOKUP_TIMEOUT)
        job = Job.taken_up(self, Record(request, server=self.address.short))
        self._jobs.add(job)
        self.loop.wait(self._client.take_up(job.record), "comfy.attach()", LOOKUP_TIMEOUT)
        return job

    def load(self, source: Source, *, strict: bool = True) -> Workflow:
        """`Workflow.load` by this server's classes, which the workflow then shows the allowed values of.

        Waits for the server. Raises `NotAWorkflow`, and `WorkflowProblems` for what cannot be converted;
        `strict=False` leaves that out.
        """
        loaded = self.converted(source, strict=strict)
        loaded.classes = self._classes({node.class_type for node in loaded}) or {}
        return loaded

    def check(self, workflow: Workflow | Source) -> Problems:
        """What the server would refuse about a workflow, by node; empty if it is in order. Runs nothing.

        Waits for the server. Raises `ServerError` if it does not tell its classes.
        """
        loaded = workflow if isinstance(workflow, Workflow) else self.converted(workflow)
        checking = self._client.catalog.check(loaded.to_api())
        problems = self.loop.wait(checking, "comfy.check()", LOOKUP_TIMEOUT)
        if problems is None:
            raise ServerError(f"{self.url} does not tell its node classes, so nothing can be checked before.")
        return problems

    def workflows(self) -> SavedWorkflows:
        """The workflows that people saved on the server, by name: ``comfy.workflows()["portrait.json"]``."""
        names = self.loop.wait(self._client.saved_workflows(), "comfy.workflows()", LOOKUP_TIMEOUT)
        return SavedWorkflows(names, self._saved_workflow)

    def forget(self, job: Job) -> None:
        """Let a finished job go. Jobs that are still open are kept: interrupt them first."""
        self._jobs.forget(job)

    def close(self) -> None:
        """Stop listening. Jobs at the server go on there; here those that are open end, as "lost" or not sent.

        Closing twice is harmless.
        """
        self.loop.refuse_blocking(
            "comfy.close()"
        )  # before anything changes: closing can then be done elsewhere
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._unheld.detach()
        withdraw(self._classes)
        self.loop.wait(self._client.close(), "comfy.close()", OPEN_TIMEOUT)

    @property
    def closed(self) -> bool:
        """Whether `close()` was called."""
        return self._closed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else self._client.link
        version = f" {self.version}" if self.version else ""
        return f"<Comfy{version} at {self.url}, {state}, {self._jobs.count_open} open jobs>"

    @property
    def client(self) -> Client:
        """The connection itself, for what is shown beside our own jobs. Its coroutines run on `loop`."""
        return self._client

    # -- workflows -----------------------------------------------------------------------------------------------

    def converted(self, source: Source, *, strict: bool = True) -> Workflow:
        """`Workflow.load` by this server's classes; asks the server only if they are needed."""
        return Workflow.load_with(source, self._classes, strict=strict)

    def _classes(self, names: Collection[str]) -> Classes | None:
        looking = self._client.catalog.classes(names)
        return self.loop.wait(looking, "loading a workflow", LOOKUP_TIMEOUT)

    def _saved_workflow(self, name: str) -> Workflow:
        data = self.loop.wait(self._client.saved_workflow(name), "comfy.workflows()", LOOKUP_TIMEOUT)
        loaded = self.load(data)
        loaded.name = PurePosixPath(name).stem
        return loaded

    # -- for Job and boards: see Backend -----------------------------------------------------------------------------

    def prepare(
        self, workflow: Workflow | Source, *, preview: str | None, title: str | None, check: bool
    ) -> Record:
        """The record of a new job; nothing is sent."""
        loaded = workflow if isinstance(workflow, Workflow) else self.converted(workflow)
        wanted = self._preview if preview is None else _known_preview(preview)
        return Record(request_of(loaded, preview=wanted, title=title, check=check), server=self.address.short)

    def watch(self, watcher: Callable[[Job], None]) -> Callable[[], None]:
        """Have `watcher` called with each new job, on the loop thread, so it must be short; returns how to stop it.

        A method is called as long as somebody holds its object, and no longer.
        """
        return self._jobs.watch(watcher)

    def send(self, job: Job) -> None:
        """Hand a job's record to the server, and keep the job in `jobs`."""
        self._refuse_closed()
        self._jobs.add(job)
        extra = signature(self.name, job.record) | self._account()
        self.loop.call(self._client.submit, job.record, extra)

    def stop(self, record: Record) -> None:
        """Ask the server to stop a prompt."""
        self.loop.call(self._client.interrupt, record)

    def _account(self) -> dict[str, Any]:
        """What partner nodes are paid by. The server takes it out of what it shows, since 0.3.68."""
        return {"api_key_comfy_org": self._comfy_key} if self._comfy_key else {}

    def _warn_of_the_queue(self) -> None:
        if queue_tells_accounts(self.version):
            warnings.warn(
                f"ComfyUI {self.version} at {self.url} shows everybody who asks for its queue the key of your Comfy "
                "account (comfy_key=), for as long as a job of yours waits or runs. Versions from 0.3.68 on do not.",
                stacklevel=4,  # where connect() was called
            )

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ConnectionFailed(f"The connection to {self.url} was closed here: connect() again.")


def _close_unheld(loop: Loop, client: Client) -> None:
    """Nobody holds the connection. A finalizer, so on any thread, and in the midst of anything."""
    if loop.usable:
        loop.call(loop.run, client.close())


def _known_preview(preview: str) -> str:
    if preview not in PREVIEWS:
        raise brief(ValueError(f"preview={preview!r} is none of {', '.join(map(repr, PREVIEWS))}."))
    return preview


def connect(
    url: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    token: str | None = None,
    auth: tuple[str, str] | None = None,
    cookies: Mapping[str, str] | None = None,
    verify: Verify = True,
    user: str | None = None,
    comfy_key: str = "",
    preview: str = "auto",
    name: str = "",
    max_message: int = MAX_MESSAGE,
) -> Comfy:
    """Connect to a ComfyUI: `url`, else $COMFY_NB_URL, else 127.0.0.1:8188.

    What proxies and gateways ask for goes with every request and is never shown: `headers`, a bearer `token`, `auth`
    (user and password), `cookies`. `verify` is whom to trust on https: the system's authorities, the file or folder
    of your own, an `ssl.SSLContext`, or False for anybody. `user` is your id on a server with --multi-user.
    `comfy_key` is your Comfy account's API key, which goes with each job for nodes of partners. The environment's
    proxies (http and https ones) are used, except for this machine. `preview` is what jobs ask for by default: "auto",
    "latent2rgb", "taesd", "none", or "default" for the server's own setting. `name` goes with each job, beside its
    title, so that people who share a server find their own: everybody on that server can read both.
    `max_message` bounds one message of the websocket, in bytes. Raises `ConnectionFailed` with one sentence if no
    ComfyUI answers there.
    """
    check_kernel()
    wanted = make_headers(headers, token=token, auth=auth, cookies=cookies, user=user)
    address = Address.parse(url or os.environ.get("COMFY_NB_URL") or DEFAULT_URL, wanted, verify=verify)
    return Comfy(address, preview=preview, name=name, comfy_key=comfy_key, max_message=max_message)


_demo_lock = threading.Lock()
_demos: dict[
    str, tuple[EmbeddedServer, Comfy]
] = {}  # by world, so that running the cell again starts no more


def demo(*, world: str = "landscapes", step_time: float | None = None) -> Comfy:
    """Start the embedded server and connect to it: real diffusion, exact, without weights or GPU.

    `world` is what a workflow's checkpoint stands for: "landscapes", ten million pictures that it composes;
    "textures", which grow from small patches; "memorise", some landscapes that it knows by heart. Each server also has
    all of them, as checkpoints whose names begin with demo-. `step_time` is how many seconds each sampler step takes at
    least, so that people can watch: 0 to 2, by default $COMFY_NB_STEP_TIME or 0.12. There is one server per world and
    process: called again, this gives the same connection as long as it is open, and another `step_time`
    holds from the next node that runs. The servers end with this process. Raises ValueError for an unknown world, and
    `ConnectionFailed` if it does not start.
    """
    check_kernel()
    from comfy_nb.server.names import WORLDS  # noqa: PLC0415 - the demo extra loads when it is wanted
    from comfy_nb.server.process import EmbeddedServer  # noqa: PLC0415

    if world not in WORLDS:
        raise brief(ValueError(f"world={world!r} is none of {', '.join(map(repr, WORLDS))}."))
    with _demo_lock:
        if world in _demos:
            server, comfy = _demos[world]
            if not comfy.closed and server.running:
                if step_time is not None:
                    server.set_step_time(step_time)
                return comfy
            comfy.close()
            server.close()
            del _demos[world]
        seconds = _default_step_time() if step_time is None else step_time
        server = EmbeddedServer.start(step_time=seconds, options=["--world", world])
        try:
            comfy = connect(server.url)
        except BaseException:
            server.close()
            raise
        _demos[world] = (server, comfy)
        return comfy


def _default_step_time() -> float:
    text = os.environ.get("COMFY_NB_STEP_TIME", "0.12")
    try:
        return float(text)
    except ValueError:
        wrong = f"$COMFY_NB_STEP_TIME is {text!r}, but must be a number of seconds, 0 to 2."
        raise brief(ValueError(wrong)) from None
