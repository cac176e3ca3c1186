"""Job: one prompt that people hold, as a Future."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from comfy_nb import events as ev
from comfy_nb.backend import Backend
from comfy_nb.errors import (
    ExecutionFailed,
    JobCancelled,
    JobError,
    JobLost,
    JobNotSent,
    JobNotStarted,
    WorkflowInvalid,
    listing,
)
from comfy_nb.kernel.display import bundle
from comfy_nb.kernel.pump import Waiter, wait_async
from comfy_nb.loop import get_loop
from comfy_nb.outputs import Outputs
from comfy_nb.record import Record
from comfy_nb.recorded import Log, write
from comfy_nb.run import Run
from comfy_nb.snapshot import Snapshot
from comfy_nb.steps import Recorder, Steps
from comfy_nb.stream import EventStream
from comfy_nb.tracebacks import brief
from comfy_nb.wire.fields import plain
from comfy_nb.workflow.graph import Workflow
from comfy_nb.workflow.plan import Plan
from comfy_nb.workflow.reading import Source

if TYPE_CHECKING:
    from comfy_nb.run import (
        Status,
    )  # not at runtime: jedi evaluates what a property returns, and Literal ends it
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
        backend: Backend[Job],
        *,
        preview: str | None = None,
        title: str | None = None,
        check: bool = True,
    ) -> None:
        """A new job, for a connection: nothing is sent before `start()`. The workflow is copied now.

        `preview` overrides the connection's setting for this job, `title` the first words of the prompt. What the
        server would refuse ends the job as "failed" before it is sent; `check=False` sends it all the same. Raises
        `NotAWorkflow` if `workflow` is a file or text that is none. A workflow in UI format waits for the server's
        classes here.
        """
        super().__init__()
        self._hold(backend, backend.prepare(workflow, preview=preview, title=title, check=check))

    @classmethod
    def taken_up(cls, backend: Backend[Job], record: Record, *, keep: bool = True) -> Job:
        """The job of a prompt that is at the server already. `keep` its previews: those of a recorded run are kept."""
        job = cls.__new__(cls)
        super().__init__(job)
        job._hold(backend, record, keep=keep)  # noqa: SLF001 - its own class
        job._started = True  # noqa: SLF001 - the same
        return job

    def _hold(self, backend: Backend[Job], record: Record, *, keep: bool = True) -> None:
        # Until it has ended: notebooks keep jobs in Out[n] for ever, and none of them is to keep a connection open.
        self._backend: Backend[Job] | None = backend
        self._record = record
        self._loop = get_loop()
        self._start_lock = threading.Lock()
        self._started = False
        self._claimed = False  # whether the Future has left its PENDING state
        self._waiter = Waiter()
        self._view: JobView | None = None
        self._log = Log(record)
        if keep:
            Recorder(record)  # before us: the last step is kept when the end is told
        self._stop_listening = record.listen(self._on_event)

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The prompt id, a UUID that this job chose itself."""
        return self._record.id

    @property
    def title(self) -> str:
        """What people call it. It can be set, also while the job runs; views that are open keep the old one."""
        return self._record.plan.title

    @title.setter
    def title(self, title: str) -> None:
        self._loop.do(self._record.feed, ev.Entitled(title))

    @property
    def status(self) -> Status:
        """One of "new", "queued" and "running"; at the end "succeeded", "failed", "cancelled" or "lost"."""
        return self._record.run.status

    @property
    def progress(self) -> float:
        """Overall, 0 to 1; it never falls, and is 1 only when the outputs are here."""
        return self._record.run.progress

    @property
    def server(self) -> str:
        """Where it runs, without credentials; empty while that is not decided. It may change on a pool."""
        return self._record.run.server

    @property
    def record(self) -> Record:
        """What is known of it, for backends and widgets."""
        return self._record

    @property
    def plan(self) -> Plan:
        """The nodes that will run, and the parameters, as they were when the job was made."""
        return self._record.plan

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the server, or fetching from it, had to say without failing the job."""
        return self._record.run.warnings

    def snapshot(self) -> Snapshot:
        """What a viewer is told at this moment, as plain data."""
        return self._record.snapshot()

    # -- start and stop ------------------------------------------------------------------------------------------

    def start(self) -> JobView:
        """Send it, and return its view. Never waits; starting again changes nothing."""
        self.submit()
        return self.view

    def submit(self) -> Job:
        """Send it without making a view, and return the job. Raises `ConnectionFailed` if the connection was closed."""
        with self._start_lock:
            if not self._started and self._backend is not None:
                self._backend.send(self)
                self._started = True
        return self

    def interrupt(self) -> bool:
        """Ask the server to stop this job and no other, queued or running. False only if it has ended.

        Whether it was in time is known when the job ends; asking twice is harmless.
        """
        backend = self._backend
        if backend is None or self._record.run.ended:
            return False
        if self._started:
            backend.stop(self._record)
        else:
            self._loop.call(self._record.feed, ev.Vanished("cancelled before it was started", cancelled=True))
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
        super().add_done_callback(lambda job: self._loop.callback(fn, job))

    def when_ended(self, call: Callable[[], object]) -> Callable[[], None]:
        """Have `call` called once the job has ended, on the loop thread, so it must be short; returns how to stop it.

        For code that waits; `add_done_callback` is for everything else. Raises `JobNotStarted`.
        """
        self._refuse_new("waiting")

        def listener(_: ev.Event) -> None:
            if self.done():
                call()

        stop = self._record.listen(listener)
        if self.done():
            call()
        return stop

    def events(self) -> EventStream:
        """Everything that happens to it: ``for event in job.events()``, or ``async for``.

        The first is a `Snapshot`, the last the one that ends the job. Raises `JobNotStarted`.
        """
        self._refuse_new("events()")
        return EventStream(self._record, self._loop)

    # -- results -------------------------------------------------------------------------------------------------

    @property
    def outputs(self) -> Outputs:
        """What has arrived so far: it does not wait."""
        return Outputs.of(self._record.results, self._record.plan)

    @property
    def steps(self) -> Steps:
        """The previews of all its steps that have come so far: the model's guesses of the final picture."""
        return Steps(self._record)

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
        """The live widget; the same one as long as it is open."""
        if self._view is None or self._view.closed:
            from comfy_nb.widgets.job_view import JobView  # noqa: PLC0415 - widgets load when one is wanted

            self._view = JobView(self.source)
        return self._view

    @property
    def source(self) -> JobSource:
        """What widgets are told about it."""
        return JobSource(self._record, self.interrupt)

    def let_go(self) -> None:
        """Close its view, unless a page shows it: the connection does not keep this job any more."""
        if self._view is not None and not self._view.is_displayed:
            self._view.close()

    def stop_previews(self) -> None:
        """Take no previews any more, and let go of those that are here; the job itself goes on."""
        self._loop.call(self._record.feed, ev.PreviewsOff())

    def save(self, path: str | Path) -> Path:
        """Write the run to a file (by custom `….cnrun`) that `comfy_nb.replay` plays again with no server.

        It holds what the job's viewers were told: events, previews, outputs, and the prompt with the values of secret
        inputs blanked. Waits like `exception()`. Steps that the store has dropped are not in it. Returns the path;
        raises OSError if it cannot be written.
        """
        self.exception()
        target = Path(path)
        return write(target if target.suffix else target.with_suffix(".cnrun"), self._record, self._log)

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
        self._loop.refuse_blocking("job.result()")
        try:
            done = self._waiter.wait(timeout)
        except KeyboardInterrupt:
            raise brief(KeyboardInterrupt(self._goes_on("The waiting was interrupted"))) from None
        if not done:
            raise brief(TimeoutError(self._goes_on(f"Not finished after {timeout:g} s")))

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
        run = self._record.run
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
        self._backend = None
        self._stop_listening()
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
            return JobNotSent(failure.title, job_id=self.id)
        if failure.kind in ("rejected", "refused"):
            rejected = "rejected" if failure.kind == "rejected" else "would reject"
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

    def __init__(self, record: Record, interrupt: Callable[[], bool]) -> None:
        self._record, self._interrupt = record, interrupt

    @property
    def server(self) -> str:
        return self._record.run.server

    @property
    def titled(self) -> bool:
        """Whether somebody gave the job its title."""
        return self._record.titled

    def plan(self) -> Plan:
        return self._record.plan

    def display_id(self, node_id: str) -> str | None:
        return self._record.run.display_id(node_id)

    def snapshot(self) -> Snapshot:
        return self._record.snapshot()

    def subscribe(self, listener: Callable[[ev.Event], None]) -> Callable[[], None]:
        return self._record.listen(listener)

    def outputs(self) -> Outputs:
        return Outputs.of(self._record.results, self._record.plan)

    def steps(self) -> Steps:
        return Steps(self._record)

    def last_frame(self) -> ev.Preview | None:
        return self._record.last_frame()

    def interrupt(self) -> bool:
        return self._interrupt()
