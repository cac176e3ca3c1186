"""What the tests of faults share: a small graph, shorter delays, and a server whose diary says what it did."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comfy_nb as cn
from comfy_nb.client.timing import Timing
from comfy_nb.testing import FaultyLink
from tests.client.helpers import until
from tests.faults.host import HostProcess, digest

# The delays of a client, shorter, in the same order; not so short that a busy machine looks like a fault.
SHORT = Timing(
    first_retry=0.02,
    last_retry=0.15,
    open=2.0,
    close=0.2,
    ping=3.0,
    answer=3.0,
    ready=4.0,
    watch=0.5,
    doubt=0.1,
    again=0.2,
    queue=0.02,
    settle=(0.0, 0.02, 0.05, 0.1, 0.2),
    quiet=(2.0, 4.0, 8.0),
    stop=0.3,
    fetch=8.0,
)
GRAPH = json.loads((Path(__file__).parents[1] / "data" / "workflows" / "default.json").read_text())
SEEDS = itertools.count(1_000_000)


def graph(steps: int, seed: int | None = None, size: int = 64) -> dict[str, Any]:
    """A run of so many steps that no server has done before, unless its seed is given."""
    made = copy.deepcopy(GRAPH)
    made["5"]["inputs"] |= {"width": size, "height": size}
    made["3"]["inputs"] |= {"seed": next(SEEDS) if seed is None else seed, "steps": steps}
    return made


class Stand:
    """One embedded server behind a bad link."""

    def __init__(self, host: HostProcess, link: FaultyLink) -> None:
        self.host, self.link = host, link
        self.lines: list[list[Any]] = []
        self.frames: dict[str, list[str]] = {}

    def restart(self) -> None:
        """End the server, and start it again with nothing in it."""
        self.link.target = self.host.urls[0] = self.host.ask("restart", 0)

    def read(self) -> None:
        """Read what the server wrote down since the last time."""
        diary = self.host.ask("diary", 0)
        self.lines += diary["lines"]
        for prompt_id, frames in diary["frames"].items():
            self.frames.setdefault(prompt_id, []).extend(frames)

    def story(self, job: cn.Job) -> list[str]:
        """What the server did with a job, such as "put", "took", "ended"."""
        self.read()
        return [event for event, prompt_id, _ in self.lines if prompt_id == job.id]

    def files(self, job: cn.Job) -> list[str]:
        """The pictures that the server made for a job."""
        self.read()
        return next(more["files"] for event, name, more in self.lines if (event, name) == ("ended", job.id))


def fetched(job: cn.Job) -> list[str]:
    """The pictures that a job has."""
    return [digest(result.blob.data) for result in job.record.results if result.blob is not None]


def shown(job: cn.Job) -> list[str]:
    """The previews that a job let through, in order."""
    return [digest(step.data) for step in job.steps]


def until_step(job: cn.Job, step: int) -> None:
    """Wait until a job has shown so many steps."""
    until(lambda: job.snapshot().step >= step, f"step {step} of {job!r}")


def links(job: cn.Job) -> Iterator[tuple[str, str]]:
    """Each state of the connection that a job is told of, with its words, until the job has ended."""
    stream = job.events()  # from now on
    return ((event.link, event.note) for event in stream if isinstance(event, cn.events.LinkChanged))
