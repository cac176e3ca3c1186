"""A recorded scenario through the real core: bytes → wire.parse → Router → Delivery.hear → run.fold → snapshot.

A `Replay` does what the client would do at each line of a trace, with the trace's own clock, and without the
client's input and output: it takes the recorded replies for what the server says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from comfy_nb import events as ev
from comfy_nb.client.collect import is_output_frame
from comfy_nb.client.delivery import Delivery
from comfy_nb.client.routing import Router
from comfy_nb.failures import left_out, rejection, verdict
from comfy_nb.record import Record, Request
from comfy_nb.run import Run
from comfy_nb.snapshot import Snapshot
from comfy_nb.wire import messages as m
from comfy_nb.wire.records import PromptRejected, parse_history, parse_prompt_reply, parse_queue
from comfy_nb.workflow.plan import make_plan
from tests.traces.reader import Http, Trace, TraceLine, WsClosed, WsIn, WsOpen

JOB_OUTCOMES: dict[str, ev.Outcome] = {
    "completed": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
}


@dataclass(frozen=True, slots=True)
class Told:
    """An event that was let through, and how things stood then. `line` is the line of the trace it came from."""

    line: TraceLine
    prompt: Delivery
    event: ev.Event
    run: Run
    snapshot: Snapshot


@dataclass
class Replay:
    """The prompts of a trace in the order of their POSTs, and everything their viewers were told."""

    trace: Trace
    prompts: dict[str, Delivery] = field(default_factory=dict[str, Delivery])
    told: list[Told] = field(default_factory=list[Told])
    output_frames: list[bytes] = field(default_factory=list[bytes])  # results that came as frames
    now: float = 0.0
    _routers: dict[str, Router] = field(default_factory=dict[str, Router])  # by socket
    _clients: dict[str, dict[str, Delivery]] = field(default_factory=dict[str, dict[str, Delivery]])
    _line: TraceLine | None = None
    _gone: set[str] = field(default_factory=set[str])  # the last queue reply did not have these
    _stopped: set[str] = field(default_factory=set[str])  # somebody asked to stop these

    @property
    def runs(self) -> list[Run]:
        """How each prompt stands."""
        return [prompt.run for prompt in self.prompts.values()]

    def play(self, lines: Iterable[TraceLine] | None = None) -> Replay:
        """Go through the lines of the trace, or through others in their stead."""
        if not self.prompts:
            self._register()
        for line in self.trace if lines is None else lines:
            self._line, self.now = line, max(self.now, line.t)
            match line:
                case WsOpen():
                    self._opened(line)
                case WsClosed():
                    self._closed(line)
                case WsIn():
                    self._heard(line)
                case Http():
                    self._answered(line)
                case _:
                    pass
        return self

    # -- who is who --------------------------------------------------------------------------------------

    def _register(self) -> None:
        """Every prompt is known before its POST, as the client does it: messages may come before the reply."""
        for index, line in enumerate(posts(self.trace)):
            prompt_id = (line.response or {}).get("prompt_id", f"rejected-{index}")
            api = (line.request or {}).get("prompt", {})
            record = Record(Request(make_plan(api, prompt_id), api), clock=lambda: self.now)
            prompt = Delivery(record)
            record.listen(lambda event, prompt=prompt: self._tell(prompt, event))
            self.prompts[prompt_id] = prompt
            client_id = (line.request or {}).get("client_id") or self._first_client()
            self._clients.setdefault(client_id, {})[prompt_id] = prompt

    def _first_client(self) -> str:
        """A prompt without a client id is broadcast: let the socket that hears it be its own."""
        opened = self.trace.of(WsOpen)
        return opened[0].client_id if opened else ""

    def _tell(self, prompt: Delivery, event: ev.Event) -> None:
        assert self._line is not None
        self.told.append(Told(self._line, prompt, event, prompt.run, prompt.record.snapshot()))

    # -- the socket --------------------------------------------------------------------------------------

    def _opened(self, line: WsOpen) -> None:
        ours = self._clients.setdefault(line.client_id, {})
        self._routers[line.who] = Router(ours, lambda p, node: ours[p].run.display_id(node) is not None)
        for prompt in ours.values():
            prompt.feed(ev.LinkChanged("connected"))

    def _closed(self, line: WsClosed) -> None:
        client_id = next(o.client_id for o in self.trace.of(WsOpen) if o.who == line.who)
        self._routers[line.who].forget()
        for prompt in self._clients[client_id].values():
            prompt.feed(ev.LinkChanged("reconnecting"))

    def _heard(self, line: WsIn) -> None:
        message = m.parse(line.raw)
        owner = self._routers[line.who].owner(message)
        if owner is None:
            return
        prompt = self.prompts[owner]
        if isinstance(message, m.PreviewImage | m.PreviewWithMetadata) and is_output_frame(prompt, message):
            self.output_frames.append(message.image)
        else:
            prompt.hear(message)

    # -- the replies -------------------------------------------------------------------------------------

    def _answered(self, line: Http) -> None:
        match line.route.split(" "), line.path.strip("/").split("/"):
            case ["POST", "/prompt"], _:
                self._posted(line)
            case ["GET", "/queue"], _:
                self._queue(line.response)
            case ["GET", "/history"], [_, prompt_id]:
                self._history(line.response, prompt_id)
            case ["POST", "/queue"], _:
                self._stopped.update(line.request.get("delete", ()))
            case ["POST", "/api"], ["api", "jobs", prompt_id, "cancel"] if line.status == 200:
                self._stopped.add(prompt_id)
            case ["GET", "/api"], ["api", "jobs"] if line.status == 200:
                self._jobs({job["id"]: job["status"] for job in line.response["jobs"]})
            case _:
                pass

    def _posted(self, line: Http) -> None:
        index = next(index for index, post in enumerate(posts(self.trace)) if post is line)
        prompt = list(self.prompts.values())[index]
        reply = parse_prompt_reply(line.status, line.response)
        if isinstance(reply, PromptRejected):
            prompt.feed(ev.Rejected(rejection(reply, prompt.record.plan)))
            return
        for warning in left_out(reply.node_errors, prompt.record.plan):
            prompt.feed(ev.Warned(warning))
        prompt.feed(ev.Submitted(reply.number))

    def _queue(self, response: Any) -> None:
        queue = parse_queue(response)
        for prompt in self.prompts.values():
            position = queue.position(prompt.id)
            if position is not None:
                prompt.feed(ev.Positioned(position))
            elif prompt.run.status != "new":
                self._gone.add(prompt.id)

    def _history(self, response: Any, prompt_id: str) -> None:
        prompt = self.prompts.get(prompt_id)
        if prompt is None:
            return  # somebody asked for one that never was
        entry = parse_history(response, prompt_id)
        if entry is not None:
            prompt.feed(verdict(entry, prompt.record.plan))
            prompt.feed(ev.Ended())
        elif prompt_id in self._gone and prompt.run.started_at is None:
            self._vanish(prompt)

    def _jobs(self, statuses: dict[str, str]) -> None:
        """The newer servers' own list says what became of a prompt whose history nobody asked for."""
        for prompt in self.prompts.values():
            outcome = JOB_OUTCOMES.get(statuses.get(prompt.id, ""))
            if outcome is not None:
                prompt.feed(ev.Settled(outcome))
                prompt.feed(ev.Ended())
            elif prompt.id not in statuses and prompt.id in self._stopped:
                self._vanish(prompt)

    def _vanish(self, prompt: Delivery) -> None:
        removed = prompt.id in self._stopped
        prompt.feed(ev.Vanished("removed from the queue" if removed else "unknown", cancelled=removed))


def posts(trace: Trace) -> Iterator[Http]:
    """The requests that handed over a prompt, or tried to."""
    return (line for line in trace.of(Http) if line.route == "POST /prompt")


def replay(trace: Trace) -> Replay:
    """The whole trace as it was recorded."""
    return Replay(trace).play()
