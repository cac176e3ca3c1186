"""What a viewer is told about a run: one JSON-able picture, used by every view, the board, `events()` and `repr`.

Nobody who draws decides anything: the sentences, the states of the nodes and the time left are all made here.
Durations are seconds; ages are sent instead of clock times, as the clocks of page and kernel may differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from comfy_nb.errors import Problem
from comfy_nb.events import Link
from comfy_nb.run import FINAL, NodeRun, Run, Status, fraction_of
from comfy_nb.workflow.plan import Plan, PlanNode

__all__ = ["VERSION", "ErrorView", "NodeView", "Snapshot", "duration", "made", "ordinal", "plan_view", "take"]

VERSION = 1
WORDS: dict[Status, str] = {"new": "not started"}  # where they differ from the status itself
NOUNS = {"audio": "sound"}  # where they differ from the kind of output itself
MARGIN = 1.15  # how much is added to both ends of the time left: rates are observed, not promised


@dataclass(frozen=True, slots=True)
class NodeView:
    """One planned node: its state, its bar (`of` is 0 when it has none) and how long it took.

    The state is that of its `NodeRun`, or "stopped" if it ran when the job ended.
    """

    id: str
    label: str
    activity: str
    state: str
    step: int
    of: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class ErrorView:
    """What went wrong, for people: one line, the places, the server's traceback."""

    title: str
    problems: tuple[Problem, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a job at one moment.

    `note` is a sentence for people. `progress` is overall, 0 to 1. `node`, `label` and `activity` are of the node that
    runs; `step` of `of` is its bar, 0 of 0 without one. `speed` is in steps per second, `elapsed` in seconds, `left` a
    range of seconds; each is None while there is nothing to tell. `position` is the place in the queue, 1 is next.
    `silent` is how many seconds ago the server last spoke of it. `outputs` counts what has arrived; `previews` says
    whether they are wanted.
    """

    id: str
    title: str
    status: Status
    note: str
    progress: float
    node: str | None
    label: str
    activity: str
    step: int
    of: int
    speed: float | None
    elapsed: float | None
    left: tuple[float, float] | None
    position: int | None
    nodes: tuple[NodeView, ...]
    stopping: bool
    link: Link
    silent: float | None
    error: ErrorView | None
    warnings: tuple[str, ...]
    outputs: int
    previews: bool
    version: int = VERSION

    @property
    def word(self) -> str:
        """The status, for people."""
        return WORDS.get(self.status, self.status)

    def state(self, kinds: Iterable[str] = ()) -> dict[str, Any]:
        """The part that changes, as JSON, for a page that has `plan_view` already. `kinds` are those of the outputs."""
        return {
            "v": self.version,
            "status": self.status,
            "word": _capital(self.word),
            "line": _line(self, kinds),
            "said": _said(self),
            "empty": _empty(self),
            "guess": "last guess" if self.status in FINAL else "current guess",
            "progress": round(self.progress, 4),
            "node": self.node,
            "step": self.step,
            "of": self.of,
            "speed": _rounded(self.speed),
            "elapsed": _rounded(self.elapsed),
            "left": [round(bound, 1) for bound in self.left] if self.left else None,
            "ran": any(node.state != "waiting" for node in self.nodes),
            "nodes": [[node.state, _rounded(node.seconds)] for node in self.nodes],
            "stopping": self.stopping,
            "link": self.link,
            "silent": _rounded(self.silent),
            "error": _error_json(self.error),
            "warnings": list(self.warnings),
            "outputs": self.outputs,
            "previews": self.previews,
        }

    def __str__(self) -> str:
        """One honest line, such as ``running 58% KSampler 12/20``."""
        parts: list[str] = [self.status]
        if self.status == "running":
            parts.append(f"{self.progress:.0%}")
            parts.append(f"{self.label} {self.step}/{self.of}" if self.of else self.label)
        if self.error:
            parts.append(f"({self.error.title})")
        elif self.note:
            parts.append(f"({self.note})")
        return " ".join(part for part in parts if part)


def plan_view(plan: Plan, server: str) -> dict[str, Any]:
    """The part that never changes, as JSON: title, server and the labels of the nodes in order."""
    nodes = [{"id": node.id, "label": node.label, "activity": node.activity} for node in plan.nodes]
    return {"v": VERSION, "id": plan.prompt_id, "title": plan.title, "server": server, "nodes": nodes}


def take(run: Run, at: float, *, heard_at: float | None = None) -> Snapshot:
    """The snapshot of `run` at `at`. `heard_at` is when the server last spoke of it; both in monotonic seconds."""
    planned = _current(run)
    bar = run.bar
    return Snapshot(
        id=run.plan.prompt_id,
        title=run.plan.title,
        status=run.status,
        note=_note(run),
        progress=run.progress,
        node=planned.id if planned else None,
        label=planned.label if planned else "",
        activity=_activity(run, planned),
        step=round(bar.value) if bar else 0,
        of=round(bar.max) if bar else 0,
        speed=None if run.ended else run.pace.speed,
        elapsed=_elapsed(run, at),
        left=_left(run),
        position=run.position,
        nodes=tuple(_node_view(run, node) for node in run.plan.nodes),
        stopping=run.stopping and not run.ended,
        link=run.link,
        silent=max(0.0, at - heard_at) if heard_at is not None else None,
        error=_error(run),
        warnings=run.warnings,
        outputs=run.outputs,
        previews=run.previewing,
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _line(snapshot: Snapshot, kinds: Iterable[str]) -> str:
    """What is going on, or what became of it."""
    if snapshot.status == "new":
        return "Nothing has been sent yet."
    if snapshot.status == "succeeded":
        return " · ".join(part for part in (made(kinds), snapshot.note) if part)
    return _capital(snapshot.note) or snapshot.activity


def _said(snapshot: Snapshot) -> str:
    """What a screen reader says when the state changes, and only then."""
    word = "Interrupting" if snapshot.stopping else _capital(snapshot.word)
    why = snapshot.error.title if snapshot.error else "" if snapshot.status == "running" else snapshot.note
    return f"{word}: {why}" if why else word


def _empty(snapshot: Snapshot) -> str:
    """What stands where the picture will be."""
    if snapshot.status == "new":
        return "start() sends it to the server"
    if not snapshot.previews:
        return "previews are off for this job"
    if snapshot.status not in FINAL:
        return "the picture forms here"
    return "no steps to preview" if snapshot.status == "succeeded" else "no picture"


def made(kinds: Iterable[str]) -> str:
    """What a job has made, by the kinds of its outputs: "4 images, 1 text"."""
    counts = Counter(kinds)
    return ", ".join(f"{n} {NOUNS.get(kind, kind)}{'' if n == 1 else 's'}" for kind, n in counts.items())


def duration(seconds: float) -> str:
    """How long something took: "< 0.1 s", "0.4 s", "42 s", "2 min 05 s", "1 h 04 min". A zero would be a lie."""
    if seconds < 0.05:
        return "< 0.1 s"
    whole, minutes = round(seconds), round(seconds / 60)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60:02} s" if whole < 3600 else f"{minutes // 60} h {minutes % 60:02} min"
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)


def _error_json(error: ErrorView | None) -> dict[str, Any] | None:
    if error is None:
        return None
    problems = [
        {"label": p.label, "node": p.node_id, "input": p.input, "message": p.message} for p in error.problems
    ]
    return {"title": error.title, "problems": problems, "detail": error.detail}


def _current(run: Run) -> PlanNode | None:
    shown = run.display_id(run.current) if run.current else None
    return run.plan.node(shown) if shown else None


def _activity(run: Run, planned: PlanNode | None) -> str:
    if run.status != "running":
        return ""
    if run.outcome is not None or run.finishing:
        return "Fetching results…"
    return run.text or (planned.activity if planned else "Starting…")


def _note(run: Run) -> str:
    if run.status in ("cancelled", "lost"):
        return run.cause
    if run.status == "succeeded":
        return "cached: nothing had to be computed" if run.all_cached else ""
    if run.status == "queued" and run.position:
        return "next in the queue" if run.position == 1 else f"{ordinal(run.position)} in the queue"
    if not run.ended:
        return run.link_note or ("" if run.link == "connected" else run.link)
    return ""


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th …"""
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _error(run: Run) -> ErrorView | None:
    if run.failure is None:
        return None
    return ErrorView(run.failure.title, run.failure.problems, run.failure.detail)


def _elapsed(run: Run, at: float) -> float | None:
    if run.started_at is None:
        return None
    return max(0.0, (run.ended_at if run.ended_at is not None else at) - run.started_at)


def _left(run: Run) -> tuple[float, float] | None:
    """Seconds left, low and high: the steps of the moving bar at the fastest and slowest observed rate.

    The high end adds the nodes that are still waiting, as if a weight cost what it cost in the moving bar.
    """
    bar, spread = run.bar, run.pace.spread
    if (
        run.status != "running"
        or run.finishing
        or bar is None
        or spread is None
        or run.pace.node_id != run.current
    ):
        return None
    steps = max(0.0, bar.max - bar.value)
    planned = _current(run)
    weight = planned.weight if planned else 0.0
    waiting = sum(n.weight * (1 - fraction_of(run, n)) for n in run.plan.nodes if n is not planned)
    slowest, fastest = spread
    extra = waiting * bar.max / weight if weight > 0 else 0.0
    return steps / (fastest * MARGIN), (steps + extra) * MARGIN / slowest


def _node_view(run: Run, planned: PlanNode) -> NodeView:
    own = run.nodes.get(planned.id, NodeRun())
    bar = own if own.has_bar else None
    seconds = None
    if own.started_at is not None and own.ended_at is not None:
        seconds = max(0.0, own.ended_at - own.started_at)
    return NodeView(
        id=planned.id,
        label=planned.label,
        activity=planned.activity,
        state="stopped" if run.ended and own.state == "running" else own.state,
        step=round(bar.value) if bar else 0,
        of=round(bar.max) if bar else 0,
        seconds=seconds,
    )
