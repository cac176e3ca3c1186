"""What happens to one prompt, as typed events: the only thing that `run.fold` takes and `job.events()` gives.

A *message* is what came over the wire; an *event* is what it means for one prompt. Most events come from
messages (`from_message`); the rest (submitted, rejected, settled, vanished, link) are what the client learns
by HTTP or about its own connection. Node ids are execution ids, such as "3", "12:3" or "5.0.0.1".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from comfy_nb.errors import Problem
from comfy_nb.wire import messages as wire
from comfy_nb.wire.fields import clip
from comfy_nb.wire.records import NodeOutput, parse_output

__all__ = [
    "Ended",
    "Event",
    "Failure",
    "Finishing",
    "LinkChanged",
    "NodeExecuted",
    "NodeFinished",
    "NodeStarted",
    "NodeText",
    "NodesCached",
    "OutputArrived",
    "Positioned",
    "Preview",
    "Progressed",
    "Rejected",
    "Settled",
    "Started",
    "Stopping",
    "Submitted",
    "Vanished",
    "Warned",
    "from_message",
]

MAX_TEXT = 300  # characters of a server's own words that are shown in one line

Outcome = Literal["succeeded", "failed", "cancelled"]
Link = Literal["connected", "connecting", "reconnecting", "closed"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed: `title` in one line, the places in `problems`, the server's traceback in `detail`.

    `kind` is "rejected" or "unreachable" (nothing ran), or "execution" (a node failed while it ran).
    """

    kind: Literal["rejected", "unreachable", "execution"]
    title: str
    problems: tuple[Problem, ...] = ()
    detail: str = ""
    exception_type: str = ""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The server took the prompt; `number` orders the queue, lower runs first."""

    number: float | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The server refused the prompt, or could not be reached to take it. Final."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Positioned:
    """Place in the queue: 0 is running, 1 is next."""

    position: int


@dataclass(frozen=True, slots=True)
class Started:
    """The server's worker took the prompt."""


@dataclass(frozen=True, slots=True)
class NodesCached:
    """These nodes need not run: the server has their results."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodeStarted:
    """A node began to run."""

    node_id: str


@dataclass(frozen=True, slots=True)
class Progressed:
    """One node's bar moved to `value` of `max`."""

    node_id: str
    value: float
    max: float


@dataclass(frozen=True, slots=True)
class NodeFinished:
    """A node is done."""

    node_id: str


@dataclass(frozen=True, slots=True)
class Preview:
    """The model's current guess of the final picture (not the noisy image), as the server encoded it.

    `node_id` is empty when the frame came without one. `step` of `of` is what the node's bar said when it came;
    `of` is 0 when nothing was known.
    """

    node_id: str
    media_type: str
    image: bytes = field(repr=False)
    step: int = 0
    of: int = 0


@dataclass(frozen=True, slots=True)
class NodeExecuted:
    """A node finished, or was served from the cache, and has something to show."""

    node_id: str
    output: NodeOutput


@dataclass(frozen=True, slots=True)
class OutputArrived:
    """The bytes of an output are here: `job.outputs` has it under `index`."""

    index: int
    node_id: str


@dataclass(frozen=True, slots=True)
class NodeText:
    """A node says in words what it is doing."""

    node_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the person should know that does not end the job."""

    text: str


@dataclass(frozen=True, slots=True)
class Stopping:
    """An interrupt was asked for; what became of it is not known yet."""


@dataclass(frozen=True, slots=True)
class Finishing:
    """The socket says that the run is over; the history is asked next."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The history says how the run went; its outputs are being fetched."""

    outcome: Outcome
    failure: Failure | None = None
    cached: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """All there is to fetch is here: the outcome becomes the final state. Final."""


@dataclass(frozen=True, slots=True)
class Vanished:
    """In neither queue nor history. `cancelled` if we took it out of the queue ourselves. Final."""

    cause: str
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The connection to the server changed; `note` is a few words for people."""

    link: Link
    note: str = ""


Event = (
    Submitted
    | Rejected
    | Positioned
    | Started
    | NodesCached
    | NodeStarted
    | Progressed
    | NodeFinished
    | Preview
    | NodeExecuted
    | OutputArrived
    | NodeText
    | Warned
    | Stopping
    | Finishing
    | Settled
    | Ended
    | Vanished
    | LinkChanged
)


def from_message(message: wire.Message) -> Event | None:
    """What a message means for the prompt that it belongs to; None for messages that mean nothing to one prompt.

    Whose message it is must have been decided before. The terminal messages only say `Finishing`: the history is
    the truth, and it is written a moment later. A `ProgressState` is a full picture: `run.differences` says what
    is new in it.
    """
    match message:
        case wire.ExecutionStart():
            return Started()
        case wire.ExecutionCached(nodes=nodes):
            return NodesCached(nodes)
        case wire.Executing(node=None):
            return Finishing()
        case wire.Executing(node=str(node)):
            return NodeStarted(node)
        case wire.Progress(node=str(node), value=value, max=most):
            return Progressed(node, value, most)
        case wire.PreviewWithMetadata(node_id=node, media_type=media_type, image=image):
            return Preview(node, media_type, image)
        case wire.PreviewImage(media_type=media_type, image=image):
            return Preview("", media_type, image)
        case wire.Executed(node=node, display_node=display, output=output):
            return NodeExecuted(node, parse_output(node, display, output))
        case wire.ProgressText(node=node, text=text):
            return NodeText(node, _line(text))
        case wire.ExecutionError() if message.blocked:
            return Warned(_line(message.exception_message) or "Execution was blocked.")
        case wire.ExecutionSuccess() | wire.ExecutionError() | wire.ExecutionInterrupted():
            return Finishing()
        case _:
            return None


def _line(text: str) -> str:
    """A server's words in one line of readable length."""
    return clip(" ".join(text[: 4 * MAX_TEXT].split()), MAX_TEXT)
