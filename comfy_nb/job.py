"""Job: one prompt that people hold, as a Future."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import uuid
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from PIL import Image

from comfy_nb import events as ev
from comfy_nb.client.prompt import Prompt
from comfy_nb.errors import (
    ConnectionFailed,
    ExecutionFailed,
    JobCancelled,
    JobError,
    JobLost,
    JobNotStarted,
    WorkflowInvalid,
    listing,
)
from comfy_nb.kernel.display import bundle
from comfy_nb.kernel.pump import Waiter, wait_async
from comfy_nb.outputs import Outputs
from comfy_nb.run import Run, Status
from comfy_nb.snapshot import Snapshot
from comfy_nb.stream import EventStream
from comfy_nb.wire.fields import plain
from comfy_nb.workflow.graph import Workflow
from comfy_nb.workflow.plan import Plan, make_plan
from comfy_nb.workflow.reading import Source

if TYPE_CHECKING:
    from comfy_nb.comfy import Comfy
    from comfy_nb.widgets.job_view import JobView

__all__ = ["Job", "JobSource"]


class Job(concurrent.futures.Future[Outputs]):
    """One run of a workflow, from before it is sent until its outputs are here.

    It is a `concurrent.futures.Future` with these differences. `cancel()` asks the server to stop the job, queued
    or running, and returns False only when it has ended; `cancelled()` is true once the server's history says so,
    and the job may still succeed. A cancelled job raises `JobCancelled`, also from ``await job``, which is shielded:
    cancelling the await does not cancel the job (`asyncio.wrap_future` is not shielded). `result()` keeps the buttons
    of widgets alive while it waits; `concurrent.futures.wait` does not, `comfy_nb.wait` does. Callbacks run one
    after another on a thread of their own.
    """

    def __init__(
        self,
        workflow: Workflow | Source,
        comfy: Comfy,
        *,
        preview: str | None = None,
        title: str | None = None,
        check: bool = True,
    ) -> None:
        """A new job: nothing is sent before `start()`. The workflow is copied now.

        `preview` overrides the connection's setting for this job, `title` the first words of the prompt. What the
        server would refuse ends the job as "failed" before it is sent; `check=False` sends it all the same. Raises
        `NotAWorkflow` if `workflow` is a file or text that is none. A workflow in UI format waits for the server's
        classes here.
        """
        super().__init__()
        loaded = workflow if isinstance(workflow, Workflow) else comfy.converted(workflow)
        api = loaded.to_api()
        plan = make_plan(api, str(uuid.uuid4()), title=title, name=loaded.name)
        prompt = Prompt(
            plan,
            api,
            preview=comfy.preview_setting(preview),
            titled=title is not None,
            graph=loaded.ui_for(api),
            uploads=loaded.uploads,
            checked=check,
        )
        self._hold(comfy, prompt)

    @classmethod
    def taken_up(cls, comfy: Comfy, prompt: Prompt) -> Job:
        """The job of a prompt that is at the server already."""
        job = cls.__new__(cls)
        super().__init__(job)
        job._hold(comfy, prompt)  # noqa: SLF001 - its own class
        job._started = True  # noqa: SLF001 - the same
        return job

    def _hold(self, comfy: Comfy, prompt: Prompt) -> None:
        self._comfy, self._prompt = comfy, prompt
        self._title: str | None = None
        self._start_lock = threading.Lock()
        self._started = False
        self._claimed = False  # whether the Future has left its PENDING state
        self._waiter = Waiter()
        self._view: JobView | None = None
        self._prompt.listen(self._on_event)

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The prompt id, a UUID that this job chose itself."""
        return self._prompt.id

    @property
    def title(self) -> str:
        """What people call it. It can be set, also while the job runs; views that are open keep the old one."""
        return self._prompt.plan.title if self._title is None else self._title

    @title.setter
    def title(self, title: str) -> None:
        self._title = title
        self._comfy.loop.call(self._prompt.entitle, title)
        self._comfy.announce(self)

    @property
    def status(self) -> Status:
        """One of "new", "queued" and "running"; at the end "succeeded", "failed", "cancelled" or "lost"."""
        return self._prompt.run.status

    @property
    def progress(self) -> float:
        """Overall, 0 to 1; it never falls, and is 1 only when the outputs are here."""
        return self._prompt.run.progress

    @property
    def plan(self) -> Plan:
        """The nodes that will run, and the parameters, as they were when the job was made."""
        return self._prompt.plan

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the server, or fetching from it, had to say without failing the job."""
        return self._prompt.run.warnings

    def snapshot(self) -> Snapshot:
        """What a viewer is told at this moment, as plain data."""
        return self._prompt.snapshot()

    # -- start and stop ------------------------------------------------------------------------------------------

    def start(self) -> JobView:
        """Send it, and return its view. Never waits; starting again changes nothing."""
        self.submit()
        return self.view

    def submit(self) -> Job:
        """Send it without making a view, and return the job."""
        with self._start_lock:
            if not self._started and not self._prompt.run.ended:
                self._comfy.send(self, self._prompt)
                self._started = True
        return self

    def interrupt(self) -> bool:
        """Ask the server to stop this job and no other, queued or running. False only if it has ended.

        Whether it was in time is known when the job ends; asking twice is harmless. Raises `ConnectionFailed` if the
        connection was closed here.
        """
        if self._prompt.run.ended:
            return False
        if self._started:
            self._comfy.interrupt(self._prompt)
        else:
            self._comfy.drop(self._prompt)
        return True

    def cancel(self) -> bool:
        """`interrupt()`, by its name in Future."""
        return self.interrupt()

    # -- waiting -------------------------------------------------------------------------------------------------

    def result(self, timeout: float | None = None) -> Outputs:
        """Wait until the job has ended, with live buttons, and return its outputs.

        Raises what became of it (`WorkflowInvalid`, `ExecutionFailed`, `JobCancelled`, `JobLost`), `JobNotStarted`,
        or `TimeoutError` after `timeout` seconds. A timeout or an interrupt of the kernel ends the waiting, not the
        job.
        """
        self._wait(timeout)
        if self._view is not None:
            self._view.settle()
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait like `result()`, and return the error that it would raise, or None."""
        self._wait(timeout)
        return super().exception(0)

    def __await__(self) -> Generator[Any, None, Outputs]:
        return self._result_async().__await__()

    def cancelled(self) -> bool:
        """Whether the job was stopped on request, as the server's history says."""
        return self.status == "cancelled"

    def running(self) -> bool:
        """Whether the server works on it now."""
        return self.status == "running"

    def add_done_callback(self, fn: Callable[[concurrent.futures.Future[Outputs]], object]) -> None:
        """Call `fn(job)` when the job has ended, or soon if it has, on the callbacks thread."""
        super().add_done_callback(lambda job: self._comfy.loop.callback(fn, job))

    def when_ended(self, call: Callable[[], object]) -> Callable[[], None]:
        """Have `call` called once the job has ended, on the loop thread, so it must be short; returns how to stop it.

        For code that waits; `add_done_callback` is for everything else.
        """

        def listener(_: ev.Event) -> None:
            if self.done():
                call()

        stop = self._prompt.listen(listener)
        if self.done():
            call()
        return stop

    def events(self) -> EventStream:
        """Everything that happens to it: ``for event in job.events()``, or ``async for``.

        The first is a `Snapshot`, the last the one that ends the job. Raises `JobNotStarted`.
        """
        self._refuse_new("events()")
        return EventStream(self._prompt, self._comfy.loop)

    # -- results -------------------------------------------------------------------------------------------------

    @property
    def outputs(self) -> Outputs:
        """What has arrived so far: it does not wait."""
        return Outputs.of(self._prompt.results, self._prompt.plan)

    @property
    def image(self) -> Image.Image:
        """The only saved image; waits like `result()`. Raises `NotOneImage` for none or several."""
        return self.result().image

    @property
    def images(self) -> list[Image.Image]:
        """All images, saved ones first; waits like `result()`."""
        return self.result().images

    # -- views ---------------------------------------------------------------------------------------------------

    @property
    def view(self) -> JobView:
        """The live widget; always the same one."""
        if self._view is None:
            from comfy_nb.widgets.job_view import JobView  # noqa: PLC0415 - widgets load when one is wanted

            self._view = JobView(self.source)
        return self._view

    @property
    def source(self) -> JobSource:
        """What widgets are told about it."""
        return JobSource(self._prompt, self._comfy.address.short, self.interrupt)

    def stop_previews(self) -> None:
        """Take no previews any more, and let go of those that are here; the job itself goes on."""
        self._comfy.loop.call(self._prompt.stop_previews)
        self._comfy.announce(self)

    def freeze(self, max_bytes: int | None = None) -> None:
        """Leave the final picture and a one-line summary where the live view is displayed, and close the view.

        Waits like `exception()`: whatever became of the job, its output needs no kernel and no widgets from then on.
        `max_bytes` bounds it, by default as `configure(saved=…)` says.
        """
        self.exception()
        self.view.freeze(max_bytes)

    def _ipython_display_(self) -> None:
        self.view.show()

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return bundle(self.view, text=repr(self))

    def __repr__(self) -> str:
        return plain(f"<Job {self.id[:8]} {self.title!r} {self.snapshot()}>", 1_000)

    # -- inside --------------------------------------------------------------------------------------------------

    def _refuse_new(self, what: str) -> None:
        if self.status == "new" and not self._started:
            raise JobNotStarted(
                f"This job was never started, so {what} has nothing to wait for: call job.start() first."
            )

    def _wait(self, timeout: float | None) -> None:
        self._refuse_new("result()")
        self._comfy.loop.refuse_blocking("job.result()")
        try:
            done = self._waiter.wait(timeout)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._goes_on("The waiting was interrupted")) from None
        if not done:
            raise TimeoutError(self._goes_on(f"Not finished after {timeout:g} s"))

    async def _result_async(self) -> Outputs:
        self._refuse_new("await job")
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def wake(_: object) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(ended.set)

        super().add_done_callback(wake)
        try:
            await wait_async(ended.wait())
        except asyncio.CancelledError:
            raise asyncio.CancelledError(self._goes_on("The waiting was cancelled")) from None
        return super().result(0)

    def _goes_on(self, what: str) -> str:
        goes_on = f"the job itself goes on ({self.snapshot()})"
        return f"{what}; {goes_on}. job.interrupt() stops it, job.result() waits again."

    def _on_event(self, event: ev.Event) -> None:
        """Bring the Future into the state of the run: the one place that does."""
        del event
        run = self._prompt.run
        if run.status == "new" or self.done():
            return
        if not self._claimed:
            self._claimed = self.set_running_or_notify_cancel()
        if not run.ended:
            return
        error = self._error(run)
        if error is None:
            self.set_result(self.outputs)
        else:
            self.set_exception(error)
        self._waiter.set()

    def _error(self, run: Run) -> Exception | None:
        match run.status:
            case "cancelled":
                return JobCancelled(f"{self.title!r} was cancelled: {run.cause}.", job_id=self.id)
            case "lost":
                return JobLost(f"{self.title!r} was lost: {run.cause}.", job_id=self.id, cause=run.cause)
            case "failed":
                return self._failure(run)
            case _:
                return None

    def _failure(self, run: Run) -> Exception:
        failure = run.failure
        if failure is None:
            return JobError(f"{self.title!r} failed.", job_id=self.id)
        if failure.kind == "unreachable":
            return ConnectionFailed(failure.title)
        if failure.kind == "rejected":
            rejected = "rejected" if self._prompt.sent else "would reject"
            text = listing(f"The server {rejected} {self.title!r}; nothing ran.", failure.problems)
            return WorkflowInvalid(text, job_id=self.id, problems=failure.problems)
        where = failure.problems[0]
        error = ExecutionFailed(
            failure.title,
            job_id=self.id,
            node_id=where.node_id,
            label=where.label,
            exception_type=failure.exception_type,
            traceback=tuple(failure.detail.splitlines()),
        )
        if failure.detail:
            error.add_note(f"The server's own traceback:\n{failure.detail.rstrip()}")
        return error


class JobSource:
    """What a view needs of a job, and nothing more."""

    def __init__(self, prompt: Prompt, server: str, interrupt: Callable[[], object]) -> None:
        self._prompt, self.server, self._interrupt = prompt, server, interrupt

    @property
    def titled(self) -> bool:
        """Whether somebody gave the job its title."""
        return self._prompt.titled

    def plan(self) -> Plan:
        return self._prompt.plan

    def snapshot(self) -> Snapshot:
        return self._prompt.snapshot()

    def subscribe(self, listener: Callable[[ev.Event], None]) -> Callable[[], None]:
        return self._prompt.listen(listener)

    def outputs(self) -> Outputs:
        return Outputs.of(self._prompt.results, self._prompt.plan)

    def last_frame(self) -> ev.Preview | None:
        return self._prompt.latest

    def interrupt(self) -> None:
        self._interrupt()
