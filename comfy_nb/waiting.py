"""`wait` and `as_completed` for jobs: like those of `concurrent.futures`, with live buttons while they wait."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from comfy_nb.job import Job
from comfy_nb.kernel.pump import Waiter

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

    A cancelled job counts as ended, not as failed, as in `concurrent.futures`.
    """
    waiting = set(jobs)
    done: set[Job] = set()
    for job in _ended_first(waiting, timeout):
        done.add(job)
        failed = job.status in ("failed", "lost")
        if return_when == "FIRST_COMPLETED" or (return_when == "FIRST_EXCEPTION" and failed):
            break
    return DoneAndNotDone(
        done | {job for job in waiting if job.done()}, {job for job in waiting if not job.done()}
    )


def as_completed(jobs: Iterable[Job], timeout: float | None = None) -> Iterator[Job]:
    """The jobs in the order in which they end. Raises `TimeoutError` if some have not after `timeout` seconds."""
    waiting = set(jobs)
    ended = 0
    for job in _ended_first(waiting, timeout):
        ended += 1
        yield job
    if ended < len(waiting):
        raise TimeoutError(
            f"{len(waiting) - ended} of {len(waiting)} jobs have not ended after {timeout:g} s; they go on."
        )


def _ended_first(jobs: set[Job], timeout: float | None) -> Iterator[Job]:
    """Each job once it has ended; stops silently at the timeout."""
    deadline = None if timeout is None else time.monotonic() + timeout
    news = Waiter()
    stops = [job.when_ended(news.set) for job in jobs]
    open_jobs = set(jobs)
    try:
        while open_jobs:
            news.clear()
            ready = [job for job in open_jobs if job.done()]
            open_jobs.difference_update(ready)
            yield from ready
            if ready or not open_jobs:
                continue
            if not news.wait(None if deadline is None else max(0.0, deadline - time.monotonic())):
                return
    finally:
        for stop in stops:
            stop()
