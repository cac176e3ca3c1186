"""JobBoard: many jobs, of one or several servers, at a glance and in hand."""

from __future__ import annotations

import itertools
import re
import threading
import uuid
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from comfy_nb.backend import Backend
from comfy_nb.comfy import Comfy
from comfy_nb.errors import ComfyError, NotAllSaved, OutputError, UnknownJob
from comfy_nb.job import Job
from comfy_nb.kernel.display import WIDGET, publish, replace
from comfy_nb.loop import get_loop
from comfy_nb.others import OtherJob, Others
from comfy_nb.run import FINAL
from comfy_nb.saving import safe_name, write_new
from comfy_nb.tracebacks import brief
from comfy_nb.widgets.details import describe
from comfy_nb.widgets.rows import sort_rank
from comfy_nb.widgets.sheets import contact_sheet, sheet_bundle
from comfy_nb.widgets.titles import Titles

if TYPE_CHECKING:
    from comfy_nb.widgets.board_view import BoardView

__all__ = ["JobBoard"]

KEPT_JOBS = 1000  # finished ones on a board
UNDO_SECONDS = 15.0  # for which dismissed jobs can be had back
SHEET_PICTURES = 24
BESIDE = "cnb-saved"  # the style sheet hides it behind a live board

Change = dict[str, Any]
Observer = Callable[[Change], object]


class JobBoard:
    """A grid of jobs: live previews, progress, final pictures; what is selected on it is at hand in Python.

    ``JobBoard(comfy)`` shows the jobs of a connection, ``JobBoard(comfy_a, comfy_b)`` those of several; new ones
    appear by themselves. ``JobBoard(jobs=[…])`` shows just these. It displays itself, and keeps the last 1,000 finished
    jobs. With ``everyone=True`` it also shows what other people do on these servers: without previews, and out of
    reach of `interrupt()` unless that is told ``others=True``.

    A board that is displayed nowhere listens to nothing: it looks when it is asked. When the cell that displayed it
    runs again, it holds its connections no more, though it goes on as long as they do.
    """

    def __init__(self, *connections: Backend[Job], jobs: Iterable[Job] = (), everyone: bool = False) -> None:
        """A board of `connections` and `jobs`. Raises `TypeError` for anything else."""
        given = list(jobs)
        _check(connections, given, everyone=everyone)
        self._loop = get_loop()
        self._lock = threading.RLock()
        self._keys = itertools.count(1)
        self._jobs: dict[int, Job] = {}
        self._key_of: dict[Job, int] = {}
        self._dropped: weakref.WeakSet[Job] = weakref.WeakSet()
        self._titles = Titles()
        self._given: weakref.WeakKeyDictionary[Job, str | None] = weakref.WeakKeyDictionary()
        self._selected: tuple[int, ...] = ()
        self._dismissed: dict[int, Job] = {}
        self._observers: list[Observer] = []
        self._held: tuple[Backend[Job], ...] = connections
        self._known = [weakref.ref(backend) for backend in connections]
        self._everyone = everyone
        self._stops: list[Callable[[], None]] = []
        self._others: list[Others] = []
        self._closed = self._displayed = False
        name = uuid.uuid4().hex
        self._live_id, self._beside_id = f"comfy_nb-{name}-live", f"comfy_nb-{name}-saved"
        self._view: BoardView | None = None
        for job in (*(job for comfy in connections for job in comfy.jobs), *given):
            self._take_in(job)

    # -- what is on it ---------------------------------------------------------------------------------------------

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Our jobs on the board, oldest first."""
        self._look()
        return tuple(job for _, job in self._keyed())

    @property
    def others(self) -> tuple[OtherJob, ...]:
        """With ``everyone=True``: what others have in the queues, and among the last 100 that ended."""
        if self._everyone:
            self._open()
        return tuple(job for others in self._others for job in others.jobs)

    @property
    def selected(self) -> tuple[Job, ...]:
        """The jobs that are selected, here or on the page."""
        with self._lock:
            return tuple(self._jobs[key] for key in self._selected if key in self._jobs)

    @property
    def images(self) -> list[Image.Image]:
        """The pictures of the selected jobs, else of all that have finished; never waits."""
        return [image for job in self._in_hand() for image in job.outputs.images]

    def __getitem__(self, name: str | int) -> Job:
        """A job by its title on the board, its own title, its id or the first 8 letters of it, or its place.

        Raises `LookupError` when there is none, or several.
        """
        jobs = self.jobs
        if isinstance(name, int):
            return jobs[name]
        found = [job for key, job in self._keyed() if name in (self._titles.title(key), job.title, job.id)]
        found = found or [job for job in jobs if len(name) >= 8 and job.id.startswith(name)]
        if len(found) == 1:
            return found[0]
        there = ", ".join(repr(self._titles.title(key)) for key, _ in self._keyed()[-12:]) or "none"
        what = f"{len(found)} jobs are called {name!r}" if found else f"No job is called {name!r}"
        raise UnknownJob(f"{what}. The newest on this board: {there}.")

    def title(self, job: Job) -> str:
        """What the board calls a job: its own title if somebody gave it one, else what differs from its neighbours."""
        with self._lock:
            return self._titles.title(self._key_of.get(job, 0)) or job.title

    def __iter__(self) -> Iterator[Job]:
        return iter(self.jobs)

    def __len__(self) -> int:
        return len(self.jobs)

    def __contains__(self, job: object) -> bool:
        return job in self.jobs

    def _ipython_key_completions_(self) -> list[str]:
        return [self._titles.title(key) for key, _ in self._keyed()]

    # -- what can be done with it ----------------------------------------------------------------------------------

    def select(self, *jobs: Job) -> None:
        """Select these jobs, here and on the page; none: nothing. Raises `LookupError` for one that is not here."""
        self._look()
        if missing := [job for job in jobs if job not in self._key_of]:
            raise UnknownJob(f"{missing[0]!r} is not on this board.")
        self._choose([self._key_of[job] for job in jobs])

    def observe(self, handler: Observer, names: str = "selected") -> None:
        """Have `handler` called with each change of the selection, on the callbacks thread.

        It gets a dict, as from traitlets: "name" is "selected", "old" and "new" are tuples of jobs, "owner" is the
        board.
        """
        if names != "selected":
            raise brief(ValueError(f'A board tells changes of "selected", not of {names!r}.'))
        self._observers.append(handler)

    def unobserve(self, handler: Observer, names: str = "selected") -> None:
        """Call `handler` no more."""
        if names == "selected" and handler in self._observers:
            self._observers.remove(handler)

    def interrupt(self, *, others: bool = False) -> int:
        """Ask the servers to stop the selected jobs, else all of ours; returns how many were asked.

        With ``others=True`` and nothing selected, also those of other people (``everyone=True`` shows them). One that
        cannot be asked does not keep the others from it: that is a warning.
        """
        chosen = self.selected
        asked = sum(_asked(job) for job in chosen or self.jobs if job.status != "new")
        if others and not chosen:
            asked += sum(neighbours.interrupt() for neighbours in self._others)
        return asked

    def dismiss(self, *jobs: Job) -> None:
        """Take finished jobs off the board, as Delete does on the page. The page offers to undo that for a while."""
        self._dismiss([self._key_of[job] for job in jobs if job in self._key_of])

    def clear_finished(self) -> None:
        """Take all jobs off the board that have ended. The page offers to undo that for a while."""
        self._look()
        self._dismiss([key for key, _ in self._keyed()])

    def save(self, folder: str | Path) -> list[Path]:
        """Write the files of the selected jobs, else of all that have finished, as they are; returns their paths.

        The names begin with the job's title, and are safe on every system. The folder is made if it is not there; no
        file is overwritten. Raises `NotAllSaved` when all others are written, if some could not be.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        saved: list[Path] = []
        problems: list[str] = []
        for job in self._in_hand():
            title = re.sub(r"[^\w.-]+", "-", self.title(job)).strip("-.")[:60]
            for output in job.outputs:
                try:
                    own = re.sub(r"[^\w.-]+", "-", output.file_name).strip("-.")
                    saved.append(write_new(target, safe_name(f"{title}-{own}"), output.data))
                except (OutputError, OSError) as error:
                    problems.append(f"{output.name or 'a text'} of {title}: {error}")
        if problems:
            what = f"{len(problems)} of {len(saved) + len(problems)} files could not be saved; the others are, and "
            raise NotAllSaved(f"{what}.saved has their paths.", saved=saved, problems=problems)
        return saved

    def close(self) -> None:
        """Take the board off every page and let go of its jobs; they themselves go on. Twice is harmless."""
        with self._lock:
            self._closed = True
            self._jobs.clear()
            self._key_of.clear()
            self._selected, self._dismissed = (), {}
            self._titles = Titles()
            self._observers.clear()
        self._rest_listening()
        if self._view is not None:
            self._view.close()

    @property
    def view(self) -> BoardView:
        """The widget; the same one as long as it is open."""
        return self._open()

    def _ipython_display_(self) -> None:
        """The live board, and beside it what a saved notebook shows, filled in whenever the board is at rest."""
        if self._closed:
            publish(self._live_id, self._still())
            return
        live: Any = self._open()._repr_mimebundle_()  # pyright: ignore[reportPrivateUsage] - IPython's protocol
        self._look()
        publish(self._live_id, {WIDGET: live[0][WIDGET], "text/plain": "<JobBoard>"})
        publish(self._beside_id, sheet_bundle("", (), b"", mark=BESIDE))
        self._displayed = True
        self._loop.call(self._rest)

    def __repr__(self) -> str:
        counts: dict[str, int] = {}
        for job in sorted(self.jobs, key=lambda job: sort_rank(job.status)):
            counts[job.status] = counts.get(job.status, 0) + 1
        told = ", ".join(f"{count} {status}" for status, count in counts.items()) or "no jobs yet"
        return f"<JobBoard: {told}>"

    # -- inside ----------------------------------------------------------------------------------------------------

    def _open(self) -> BoardView:
        """The view, made when somebody wants to see it; from then on the board listens."""
        if self._view is None or (self._view.closed and not self._closed):
            from comfy_nb.widgets.board_view import BoardView, Wishes  # noqa: PLC0415 - widgets load when one is wanted

            view = self._view = BoardView(
                Wishes(
                    self._choose,
                    self._dismiss,
                    self._undo,
                    self._describe,
                    self._rest,
                    self._renamed,
                    self._rest_listening,
                )
            )
            self._held = backends = self._backends()
            self._stops = [backend.watch(self._take_in) for backend in backends]
            self._others = [
                Others(backend, view, self._keys)
                for backend in backends
                if self._everyone and isinstance(backend, Comfy)
            ]
            self._loop.call(self._show, {key: self._titles.title(key) for key, _ in self._keyed()})
            self._loop.call(view.select, self._selected)
        return self._view

    def _backends(self) -> tuple[Backend[Job], ...]:
        """The connections that there still are."""
        return self._held or tuple(backend for known in self._known if (backend := known()) is not None)

    def _rest_listening(self) -> None:
        """No cell shows the board any more: listen to nothing, and keep no connection open."""
        for stop in (*self._stops, *(others.close for others in self._others)):
            stop()
        self._stops, self._others, self._held = [], [], ()
        self._displayed = False

    def _tell_view(self, call: Callable[[BoardView], object]) -> None:
        """Have the view hear of something on the loop thread, if there is one."""
        view = self._view
        if view is not None and not view.closed:
            self._loop.call(call, view)

    def _renamed(self, key: int) -> None:
        if (job := self._jobs.get(key)) is not None:
            self._take_in(job)

    def _still(self) -> dict[str, str]:
        """What the board shows now, standing still. For the workers."""
        newest = self._keyed()[::-1]
        keys = [key for key, _ in newest]
        sheet = contact_sheet(self._view.newest_thumbs(keys, SHEET_PICTURES) if self._view else [])
        self._tell_view(lambda view: view.keep_sheet(sheet))
        rows = [(self._titles.title(key), str(job.snapshot())) for key, job in newest]
        return sheet_bundle(repr(self)[1:-1], rows, sheet, mark=BESIDE)

    def _rest(self) -> None:
        """Nothing runs or waits, or a while has passed: renew what a saved notebook shows."""
        if self._displayed and not self._closed:
            self._loop.run(self._renew())

    async def _renew(self) -> None:
        replace(self._beside_id, await self._loop.work(self._still))

    def _keyed(self) -> list[tuple[int, Job]]:
        with self._lock:
            return sorted(self._jobs.items())  # what was dismissed and came back keeps its place

    def _in_hand(self) -> Sequence[Job]:
        return self.selected or [job for job in self.jobs if job.status in FINAL]

    def _look(self) -> None:
        """Take in what the connections have got since the loop told us last."""
        for backend in self._backends():
            for job in backend.jobs:
                if job not in self._key_of and job not in self._dropped:
                    self._take_in(job)
        for _, job in self._keyed():
            if self._given.get(job) != (job.title if job.record.titled else None):
                self._take_in(job)

    def _take_in(self, job: Job, key: int | None = None) -> None:
        """A job is new, or was changed by its holder. `key` is the one that it had before."""
        with self._lock:
            if self._closed or job in self._dropped:
                return
            key = self._key_of.get(job) or key or next(self._keys)
            self._jobs[key], self._key_of[job] = job, key
            given = self._given[job] = job.title if job.record.titled else None
            changed = {
                other: self._titles.title(other) for other in self._titles.add(key, job.plan, given=given)
            }
        self._loop.call(self._show, changed)

    def _show(self, titles: dict[int, str]) -> None:
        for key, title in titles.items():
            if (job := self._jobs.get(key)) is not None and self._view is not None:
                self._view.show(key, job.source, title)
        if len(self._jobs) > KEPT_JOBS:
            ended = [key for key, job in self._keyed() if job.status in FINAL]
            self._drop(ended[: max(0, len(ended) - KEPT_JOBS)])

    def _drop(self, keys: Sequence[int]) -> dict[int, Job]:
        """Forget jobs; the view hears it on the loop thread."""
        with self._lock:
            jobs = {key: self._jobs.pop(key) for key in keys if key in self._jobs}
            for key, job in jobs.items():
                del self._key_of[job]
                self._dropped.add(job)
                self._titles.remove(key)
            left = [key for key in self._selected if key in self._jobs]
        if jobs:
            self._tell_view(lambda view: view.drop(list(keys)))
        if len(left) != len(self._selected):
            self._choose(left)
        return jobs

    def _dismiss(self, keys: Sequence[int]) -> None:
        with self._lock:
            ended = [key for key in keys if key in self._jobs and self._jobs[key].status in FINAL]
        if not ended:
            return
        self._dismissed = jobs = self._drop(ended)
        self._tell_view(lambda view: view.offer_undo(len(jobs)))
        self._loop.call(lambda: self._loop.call_later(UNDO_SECONDS, partial(self._forget, jobs)))

    def _forget(self, jobs: dict[int, Job]) -> None:
        if self._dismissed is jobs:
            self._dismissed = {}
            self._tell_view(lambda view: view.offer_undo(0))

    def _undo(self) -> None:
        jobs, self._dismissed = self._dismissed, {}
        self._tell_view(lambda view: view.offer_undo(0))
        for key, job in jobs.items():
            self._dropped.discard(job)
            self._take_in(job, key)

    def _describe(self, key: int) -> dict[str, Any]:
        job = self._jobs.get(key)
        return {} if job is None else describe(job.plan)

    def _choose(self, keys: Sequence[int]) -> None:
        with self._lock:
            old = self.selected
            self._selected = tuple(dict.fromkeys(key for key in keys if key in self._jobs))
            new = self.selected
            observers = tuple(self._observers)
        self._tell_view(lambda view: view.select(self._selected))
        if new != old:
            for observer in observers:
                change = {"name": "selected", "old": old, "new": new, "owner": self, "type": "change"}
                self._loop.callback(observer, change)


def _asked(job: Job) -> bool:
    try:
        return job.interrupt()
    except ComfyError as error:
        warnings.warn(
            f"{job.title!r} could not be interrupted: {error}", stacklevel=4
        )  # where interrupt() was called
        return False


def _check(connections: Sequence[object], jobs: Sequence[object], *, everyone: bool) -> None:
    for given in connections:
        if not isinstance(given, Backend):
            raise brief(
                TypeError(
                    f"JobBoard() takes connections, from connect() or demo(), and jobs=[…]; {given!r} is neither."
                )
            )
        if everyone and not isinstance(given, Comfy):
            raise TypeError(
                f"everyone=True takes connections to one server each, from connect(); {given!r} is none."
            )
    for given in jobs:
        if not isinstance(given, Job):
            raise brief(TypeError(f"JobBoard(jobs=…) takes jobs; {given!r} is none."))
