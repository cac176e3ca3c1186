"""`wait` and `as_completed` for jobs: like those of `concurrent.futures`, with live buttons while they wait."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Literal, NamedTuple

from comfy_nb.job import Job
from comfy_nb.kernel.pump import Waiter
from comfy_nb.loop import get_loop
from comfy_nb.tracebacks import brief

__all__ = ["DoneAndNotDone", "as_completed", "wait"]


class DoneAndNotDone(NamedTuple):
    """What `wait` returns, by the names of `concurrent.futures`."""

    done: set[Job]
    not_done: set[Job]


def wait(
    jobs: Iterable[Job],
    timeout: float | None = None,
    return_when: Literal["ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"] = "ALL_COMPLETED",
) -> DoneAndNotDone:
    """Wait until all jobs have ended, the first has, or the first has failed; at most `timeout` seconds.

    A cancelled job counts as ended, not as failed, as in `concurrent.futures`. Raises `JobNotStarted` if one was never
    started.
    """
    get_loop().refuse_blocking("comfy_nb.wait()")
    waiting = list(jobs)
    done: set[Job] = set()
    for job in _as_they_end(waiting, timeout):
        done.add(job)
        failed = job.status in ("failed", "lost")
        if return_when == "FIRST_COMPLETED" or (return_when == "FIRST_EXCEPTION" and failed):
            break
    return DoneAndNotDone(
        done | {job for job in waiting if job.done()}, {job for job in waiting if not job.done()}
    )


def as_completed(jobs: Iterable[Job], timeout: float | None = None) -> Iterator[Job]:
    """The jobs in the order in which they end. Raises `TimeoutError` if some have not after `timeout` seconds.

    Raises `JobNotStarted` if one was never started.
    """
    get_loop().refuse_blocking("comfy_nb.as_completed()")
    waiting = list(dict.fromkeys(jobs))
    ended = 0
    for job in _as_they_end(waiting, timeout):
        ended += 1
        yield job
    if ended < len(waiting):
        left = f"{len(waiting) - ended} of {len(waiting)} jobs"
        raise brief(TimeoutError(f"{left} have not ended after {timeout:g} s; they go on."))


def _as_they_end(jobs: Iterable[Job], timeout: float | None) -> Iterator[Job]:
    """Each job once it has ended, those that have already in the order given; stops silently at the timeout."""
    deadline = None if timeout is None else time.monotonic() + timeout
    news = Waiter()
    ended: deque[Job] = deque()

    def note(job: Job) -> None:
        ended.append(job)
        news.set()

    open_jobs = dict.fromkeys(jobs)
    stops = [job.when_ended(partial(note, job)) for job in open_jobs]
    try:
        while open_jobs:
            news.clear()
            while ended:
                job = ended.popleft()
                if job in open_jobs:  # one that ended while we began to listen is noted twice
                    del open_jobs[job]
                    yield job
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if open_jobs and not news.wait(left):
                return
    finally:
        for stop in stops:
            stop()
