"""Run: what is known about one prompt, and `fold`, the only place that decides its status.

Theory. A prompt goes new → queued → running → one of succeeded, failed, cancelled, lost, and never back. Messages
on the socket are hints: any of them may be lost, late, doubled or out of order, so each event is folded on its own
merit and none is required. Only three things end a run: a rejection (`Rejected`), the history's word followed by
its outputs (`Settled`, then `Ended`), and certain absence (`Vanished`). After that every event is ignored.

`fold` returns the very same object when an event changes nothing, so `fold(run, e, at) is run` means "drop it":
that is how a preview that comes after its node finished, or after the end, is kept from the viewer.

Overall progress: each planned node has a weight (sampler steps weigh more than bookkeeping), cached nodes count as
done, a running node counts by its bar. The result never falls, and stays below 1 until the outputs are here.
Times are monotonic seconds given by the caller; nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from comfy_nb import events as ev
from comfy_nb.wire.messages import NodeProgress
from comfy_nb.workflow.plan import Plan, PlanNode

__all__ = ["FINAL", "NodeRun", "Pace", "Run", "Status", "differences", "fold"]

Status = Literal["new", "queued", "running", "succeeded", "failed", "cancelled", "lost"]
NodeState = Literal["waiting", "cached", "running", "done", "failed"]

OVER = ("done", "cached")
FINAL: frozenset[Status] = frozenset({"succeeded", "failed", "cancelled", "lost"})
ALMOST = 0.99  # overall progress stops here until the outputs have been fetched
PACE_WINDOW = 8  # observations from which speed is taken; enough to smooth, few enough to follow a change
MIN_PACE_STEPS = 3  # no speed and no time left before this many steps have been seen
LONGEST_BAR = 2.0**53  # steps; whole numbers beyond are not exact, in Python's floats or in a page
MIN_RATE = 1e-9  # steps per second; slower, or faster than its inverse, is nonsense from a server
MAX_SHOWN = 2_000  # nodes of one run that a server may say come into being and are shown at others
MAX_WARNINGS = 50  # what a server may make us say; more would not be read


@dataclass(frozen=True, slots=True)
class NodeRun:
    """One node's state and bar. Times are monotonic seconds."""

    state: NodeState = "waiting"
    value: float = 0.0
    max: float = 1.0
    started_at: float | None = None
    ended_at: float | None = None

    @property
    def has_bar(self) -> bool:
        """Whether the node reports steps; every node has a trivial 0 of 1."""
        return self.max > 1

    @property
    def fraction(self) -> float:
        """How much of the node is done, 0 to 1."""
        if self.state in ("cached", "done"):
            return 1.0
        return min(1.0, self.value / self.max) if self.state == "running" and self.max > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Pace:
    """The latest observations (time, step) of the bar that is moving."""

    node_id: str = ""
    seen: tuple[tuple[float, float], ...] = ()

    def observe(self, node_id: str, value: float, at: float) -> Pace:
        """Add an observation; another node, or a bar that started over, begins anew."""
        if node_id != self.node_id or (self.seen and value < self.seen[-1][1]):
            return Pace(node_id, ((at, value),))
        if self.seen and value == self.seen[-1][1]:
            return self
        return Pace(node_id, (*self.seen[1 - PACE_WINDOW :], (at, value)))

    @property
    def speed(self) -> float | None:
        """Steps per second over the window; None before there is enough to say."""
        if len(self.seen) < MIN_PACE_STEPS:
            return None
        return _rate(self.seen[0], self.seen[-1])

    @property
    def spread(self) -> tuple[float, float] | None:
        """The slowest and fastest steps per second between neighbours in the window."""
        pairs = zip(self.seen, self.seen[1:], strict=False)
        rates = [rate for before, after in pairs if (rate := _rate(before, after)) is not None]
        return (min(rates), max(rates)) if self.speed is not None and rates else None


def _rate(before: tuple[float, float], after: tuple[float, float]) -> float | None:
    """Steps per second between two observations; None where no such number is worth telling."""
    seconds, steps = after[0] - before[0], after[1] - before[1]
    rate = steps / seconds if seconds > 0 else 0.0
    return rate if MIN_RATE < rate < 1 / MIN_RATE else None  # bars of custom nodes may say anything


def _no_nodes() -> Mapping[str, NodeRun]:
    return MappingProxyType({})


def _shown_nowhere() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Run:
    """Everything known about one prompt. Change it only with `fold`."""

    plan: Plan
    status: Status = "new"
    server: str = ""  # where it runs, for people; empty while that is not decided
    previewing: bool = True  # whether previews are wanted
    nodes: Mapping[str, NodeRun] = field(default_factory=_no_nodes)  # by execution id
    shown: Mapping[str, str] = field(default_factory=_shown_nowhere)  # execution id -> planned id, where told
    current: str | None = None  # execution id of the node that spoke last
    position: int | None = None  # place in the queue, 1 is next
    progress: float = 0.0  # overall, 0 to 1, never falls
    pace: Pace = Pace()
    stopping: bool = False
    finishing: bool = False
    outcome: ev.Outcome | None = None  # the history's word; becomes the status when the outputs are here
    failure: ev.Failure | None = None
    cause: str = ""  # why it was lost, or how it was cancelled
    warnings: tuple[str, ...] = ()
    text: str = ""  # what the current node says of itself
    outputs: int = 0  # how many have arrived
    executed: int = 0  # how many nodes have said what they put out
    previews: int = 0  # how many were let through
    kept: int = 0  # the number of the last one that was kept for the step history
    link: ev.Link = "connected"
    link_note: str = ""
    queued_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None

    @property
    def ended(self) -> bool:
        """Whether the status is final."""
        return self.status in FINAL

    def display_id(self, node_id: str) -> str | None:
        """The planned node at which what happens at an execution id is shown; None if there is none."""
        return self.plan.display_id(node_id) or self.shown.get(node_id)

    @property
    def bar(self) -> NodeRun | None:
        """The bar of the current node, if it has one worth showing."""
        node = self.nodes.get(self.current) if self.current else None
        return node if node and node.has_bar else None

    @property
    def all_cached(self) -> bool:
        """Whether the server computed nothing because it had every result."""
        return bool(self.plan.nodes) and all(
            (node := self.nodes.get(planned.id)) is not None and node.state == "cached"
            for planned in self.plan.nodes
        )


def differences(run: Run, reported: Iterable[NodeProgress]) -> Iterator[ev.Event]:
    """What is new to `run` in a server's full picture of the nodes started so far, as events to fold.

    A picture heals whatever was missed before it, and repeats what is known: that gives no event.
    """
    for report in reported:
        known = run.nodes.get(report.node_id, NodeRun())
        if report.state == "finished" and known.state not in OVER:
            yield ev.NodeFinished(report.node_id)
        if report.state != "running" or known.state == "done":
            continue  # a node runs once: this picture is older than what is known
        if known.state != "running":
            yield ev.NodeStarted(report.node_id)
        value, most = clamped(report.value, report.max)
        if (known.value, known.max) != (value, most) and (value, most) != (0.0, 1.0):
            yield ev.Progressed(report.node_id, value, most)


def clamped(value: float, most: float) -> tuple[float, float]:
    """A bar that makes sense: at least one step, and 0 to all of them done."""
    most = min(max(most, 1.0), LONGEST_BAR)
    return min(max(value, 0.0), most), most


def fold(run: Run, event: ev.Event, at: float) -> Run:
    """The run after `event`, which came at `at` (monotonic seconds). The same object if nothing changed.

    Total: any event in any state is allowed; what makes no sense is ignored.
    """
    match event:
        case ev.Entitled(title=title):  # what its holder says counts after the end as well
            return run if title == run.plan.title else replace(run, plan=replace(run.plan, title=title))
        case ev.PreviewsOff():
            return replace(run, previewing=False) if run.previewing else run
        case _ if run.ended:
            return run
        case ev.LinkChanged(link=link, note=note):
            return (
                run if (link, note) == (run.link, run.link_note) else replace(run, link=link, link_note=note)
            )
        case ev.Submitted(prompt_id=prompt_id):
            return _submitted(run, prompt_id, at)
        case ev.Placed(server=server):
            return run if server == run.server else replace(run, server=server)
        case ev.Positioned(position=position):
            return _positioned(run, position, at)
        case ev.Settled():
            return _settled(run, event, at)
        case ev.Ended():
            return _ended(run, at)
        case ev.Rejected() | ev.Vanished() if run.outcome is not None:
            return run  # the history has spoken
        case ev.Rejected(failure=failure):
            return replace(run, status="failed", failure=failure, ended_at=at)
        case ev.Vanished(cause=cause, cancelled=cancelled):
            return replace(run, status="cancelled" if cancelled else "lost", cause=cause, ended_at=at)
        case ev.Stopping():
            return run if run.stopping else replace(run, stopping=True)
        case ev.OutputArrived(result=result):
            return run if result.index != run.outputs else replace(run, outputs=run.outputs + 1)
        case ev.StepKept(number=number):
            return replace(run, kept=number) if run.kept < number <= run.previews and run.previewing else run
        case ev.Warned(text=text):
            told = text in run.warnings or len(run.warnings) >= MAX_WARNINGS
            return run if told else replace(run, warnings=(*run.warnings, text))
        case _:
            return run if run.outcome is not None else _heard(run, event, at)


def _submitted(run: Run, prompt_id: str, at: float) -> Run:
    if prompt_id and prompt_id != run.plan.prompt_id:
        run = replace(run, plan=replace(run.plan, prompt_id=prompt_id))
    return replace(run, status="queued", queued_at=at) if run.status == "new" else run


def _positioned(run: Run, position: int, at: float) -> Run:
    if position == 0:
        return _running(run, at)
    if run.status != "queued" or run.position == position:
        return run
    return replace(run, position=position)


def _running(run: Run, at: float) -> Run:
    if run.status == "running":
        return run
    queued_at = at if run.queued_at is None else run.queued_at
    return replace(run, status="running", position=None, queued_at=queued_at, started_at=at)


def _settled(run: Run, event: ev.Settled, at: float) -> Run:
    if run.outcome is not None:
        return run
    run = _running(run, at)
    nodes = dict(run.nodes)
    for node_id in event.cached:
        if node_id not in nodes:
            nodes[node_id] = NodeRun("cached")
    if event.failure is not None:
        for node_id in {problem.node_id for problem in event.failure.problems} - {""}:
            nodes[node_id] = replace(nodes.get(node_id, NodeRun()), state="failed", ended_at=at)
    run = replace(
        run,
        outcome=event.outcome,
        failure=event.failure,
        finishing=True,
        cause=_stopped_where(run) if event.outcome == "cancelled" else "",
        nodes=MappingProxyType(nodes),
    )
    return _with_progress(run)


def _stopped_where(run: Run) -> str:
    bar = run.bar
    if bar is None:
        return "interrupted"
    return f"interrupted at step {bar.value:.0f} of {bar.max:.0f}"


def _ended(run: Run, at: float) -> Run:
    if run.outcome is None:
        return run
    done = run.outcome == "succeeded"
    nodes = {key: _closed(node, at) for key, node in run.nodes.items()} if done else run.nodes
    progress = 1.0 if done else run.progress
    return replace(
        run, status=run.outcome, progress=progress, nodes=MappingProxyType(dict(nodes)), ended_at=at
    )


def _closed(node: NodeRun, at: float) -> NodeRun:
    return replace(node, state="done", ended_at=at) if node.state == "running" else node


def _heard(run: Run, event: ev.Event, at: float) -> Run:
    """Events that only a prompt which has left the queue can cause."""
    if isinstance(event, ev.Preview) and not _wanted(run, event):
        return run
    if isinstance(event, ev.Finishing) and run.finishing:
        return run
    run = _running(run, at)
    match event:
        case ev.Finishing():
            return replace(run, finishing=True)
        case ev.NodesCached(nodes=nodes):
            cached = {node: NodeRun("cached") for node in nodes if node not in run.nodes}
            return _with_nodes(run, cached)
        case ev.NodeShown(node_id=node, display_id=display):
            return _shown(run, node, display)
        case ev.NodeStarted(node_id=node):
            return _node_started(run, node, at)
        case ev.Progressed(node_id=node, value=value, max=most):
            return _moved(run, node, value, most, at)
        case ev.NodeFinished(node_id=node):
            return _node_over(run, node, at)
        case ev.Preview():
            return replace(run, previews=run.previews + 1)
        case ev.NodeExecuted(node_id=node):
            return replace(_node_over(run, node, at), executed=run.executed + 1)
        case ev.NodeText(text=text):
            return run if text == run.text else replace(run, text=text)
        case _:
            return run


def _shown(run: Run, node_id: str, display_id: str) -> Run:
    known = run.display_id(node_id) is not None or run.plan.node(display_id) is None
    if known or len(run.shown) >= MAX_SHOWN:
        return run
    return _with_progress(replace(run, shown=MappingProxyType({**run.shown, node_id: display_id})))


def _wanted(run: Run, preview: ev.Preview) -> bool:
    if run.finishing or not run.previewing:
        return False
    node = run.nodes.get(preview.node_id)
    return node is None or node.state in ("running", "waiting")


def _node_started(run: Run, node_id: str, at: float) -> Run:
    known = run.nodes.get(node_id, NodeRun())
    if known.state == "done":
        return run  # a doubled or late word: a node runs once
    if known.state != "running":
        run = _with_nodes(run, {node_id: NodeRun("running", started_at=at)})
    return _turned_to(run, node_id)


def _turned_to(run: Run, node_id: str) -> Run:
    return run if run.current == node_id else replace(run, current=node_id, text="")


def _node_over(run: Run, node_id: str, at: float) -> Run:
    known = run.nodes.get(node_id, NodeRun())
    return (
        run if known.state in OVER else _with_nodes(run, {node_id: replace(known, state="done", ended_at=at)})
    )


def _moved(run: Run, node_id: str, value: float, most: float, at: float) -> Run:
    known = run.nodes.get(node_id, NodeRun(started_at=at))
    if known.state in OVER:
        return run  # a doubled or late report
    value, most = clamped(value, most)
    if known.state == "running" and (known.value, known.max) == (value, most):
        return _turned_to(run, node_id)
    bar = replace(known, state="running", value=value, max=most)
    pace = run.pace.observe(node_id, bar.value, at) if bar.has_bar else run.pace
    return replace(_turned_to(_with_nodes(run, {node_id: bar}), node_id), pace=pace)


def _with_nodes(run: Run, changed: Mapping[str, NodeRun]) -> Run:
    if not changed:
        return run
    return _with_progress(replace(run, nodes=MappingProxyType({**run.nodes, **changed})))


def _with_progress(run: Run) -> Run:
    total = sum(node.weight for node in run.plan.nodes)
    if total <= 0:
        return run
    done = sum(node.weight * fraction_of(run, node) for node in run.plan.nodes)
    return replace(run, progress=max(run.progress, min(ALMOST, done / total)))


def fraction_of(run: Run, planned: PlanNode) -> float:
    """How much of a planned node is done, 0 to 1; a node that expanded counts by its finished children."""
    own = run.nodes.get(planned.id)
    if own is None:
        if not run.shown:
            return 0.0
        own = NodeRun("running")  # as far as is known, only what it expanded into has been heard of
    if own.state != "running" or own.has_bar:
        return own.fraction
    children = [n for key, n in run.nodes.items() if key != planned.id and run.display_id(key) == planned.id]
    return sum(child.fraction for child in children) / (len(children) + 1) if children else own.fraction
