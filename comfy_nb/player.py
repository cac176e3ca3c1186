"""`replay()`: a recorded run as a job, with the very same view, steps, outputs and events, and no server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from comfy_nb.job import Job
from comfy_nb.loop import get_loop
from comfy_nb.record import Record
from comfy_nb.recorded import Recording, read
from comfy_nb.workflow.graph import Workflow
from comfy_nb.workflow.reading import Source

__all__ = ["Player", "replay"]


class Player:
    """The `Backend` of one recorded run: tells its events again. Stopping it goes to the end at once."""

    def __init__(self, recording: Recording) -> None:
        """A player that stands at the beginning."""
        self._recording = recording
        self._now = 0.0  # the recording's own time, whatever the pace
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None
        self.record = recording.record(lambda: self._now)

    def play(self, speed: float) -> None:
        """Tell the events at a pace of `speed` times that of the run; on the loop thread."""
        loop = get_loop()
        self._tell(self._now)
        if self._next < len(self._recording.told):
            at = self._recording.told[self._next][0]
            self._timer = loop.call_later((at - self._now) / speed, lambda: self._on(at, speed))

    def finish(self) -> None:
        """Tell all that is left at once; on the loop thread."""
        if self._timer is not None:
            self._timer.cancel()
        self._tell(float("inf"))

    def _on(self, at: float, speed: float) -> None:
        self._now = at
        self.play(speed)

    def _tell(self, until: float) -> None:
        told = self._recording.told
        while self._next < len(told) and told[self._next][0] <= until:
            self._now, event = max(self._now, told[self._next][0]), told[self._next][1]
            self._next += 1
            self.record.feed(event)

    # -- as a Backend ----------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Never: there is nothing to close."""
        return False

    @property
    def jobs(self) -> tuple[Job, ...]:
        """None: whoever replays a run holds its job."""
        return ()

    def watch(self, watcher: Callable[[Job], None]) -> Callable[[], None]:
        """No new job ever comes."""
        del watcher
        return lambda: None

    def prepare(
        self, workflow: Workflow | Source, *, preview: str | None, title: str | None, check: bool
    ) -> Record:
        """The record of the run; a recorded run takes no workflow."""
        del workflow, preview, title, check
        return self.record

    def send(self, job: Job) -> None:
        """It has been sent long ago."""

    def stop(self, record: Record) -> None:
        """Go to the end at once."""
        del record
        get_loop().call(self.finish)


def replay(path: str | Path, *, speed: float | None = None) -> Job:
    """A recorded run (`job.save(path)`) as a job: the same view, steps, outputs and events, with no server.

    With `speed` it runs again at so many times its own pace (1 as it was, 2 twice as fast), and interrupting it goes to
    its end; without, it has ended as this returns. Its card says that it is a recorded run. Raises `NotARecording`
    for a file that is none, and ValueError for a speed that is not above 0.
    """
    if speed is not None and not 0 < speed <= 1000:
        raise ValueError(
            f"speed={speed!r} must be above 0 and at most 1000; left out, the run has ended at once."
        )
    player = Player(read(Path(path)))
    job = Job.taken_up(player, player.record, keep=False)
    if speed is None:
        get_loop().do(player.finish)
    else:
        get_loop().call(player.play, speed)
    return job
