"""The types of events, and what a message means as one. See the package's docstring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from comfy_nb.errors import Problem
from comfy_nb.store import Blob
from comfy_nb.wire import messages as wire
from comfy_nb.wire.fields import clip
from comfy_nb.wire.records import NodeOutput, parse_output

__all__ = [
    "Ended",
    "Entitled",
    "Event",
    "Failure",
    "Finishing",
    "LinkChanged",
    "NodeExecuted",
    "NodeFinished",
    "NodeShown",
    "NodeStarted",
    "NodeText",
    "NodesCached",
    "OutputArrived",
    "Placed",
    "Positioned",
    "Preview",
    "PreviewsOff",
    "Progressed",
    "Rejected",
    "Result",
    "Settled",
    "Started",
    "StepKept",
    "Stopping",
    "Submitted",
    "Vanished",
    "Warned",
    "from_message",
    "shown_by",
]

MAX_TEXT = 300  # characters of a server's own words that are shown in one line

Outcome = Literal["succeeded", "failed", "cancelled"]
Link = Literal["connected", "connecting", "reconnecting", "closed"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed: `title` in one line, the places in `problems`, the server's traceback in `detail`.

    `kind` is "rejected" (by the server), "refused" (by us, before it was sent) or "unreachable": nothing ran. Or it is
    "execution": a node failed while it ran.
    """

    kind: Literal["rejected", "refused", "unreachable", "execution"]
    title: str
    problems: tuple[Problem, ...] = ()
    detail: str = ""
    exception_type: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One file or text that a node put out, with its bytes. `problem` says why there are none.

    `index` is the order of arrival, from 0; `node_id` is an execution id, `display_id` a planned one.
    """

    index: int
    node_id: str
    display_id: str
    name: str
    media_type: str
    kind: str
    saved: bool
    text: str | None = None
    blob: Blob | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The server took the prompt; `number` orders the queue, lower runs first.

    `prompt_id` is there if the server chose another id than it was given, as those before 0.3.45 do.
    """

    number: float | None = None
    prompt_id: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """Which server runs it, for people, where that is decided after it was made; it may change."""

    server: str


@dataclass(frozen=True, slots=True)
class Entitled:
    """Its holder gave it another title. This may happen after the end, too."""

    title: str


@dataclass(frozen=True, slots=True)
class PreviewsOff:
    """Its holder wants no previews any more, and those that were kept are let go. May come after the end, too."""


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
class NodeShown:
    """What happens at a node that came into being while the prompt ran is shown at the planned node `display_id`."""

    node_id: str
    display_id: str


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
class StepKept:
    """A preview was kept for the step history: the `number`-th that was let through, from 1, and its bytes."""

    number: int
    node_id: str
    step: int
    of: int
    media_type: str
    blob: Blob


@dataclass(frozen=True, slots=True)
class NodeExecuted:
    """A node finished, or was served from the cache, and has something to show."""

    node_id: str
    output: NodeOutput


@dataclass(frozen=True, slots=True)
class OutputArrived:
    """An output is here, with its bytes or with the reason why there are none."""

    result: Result


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
    """All there is to fetch is here: the outcome becomes the final state. Final.

    `order` has the indexes of the results in the history's order.
    """

    order: tuple[int, ...] = ()


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
    | Placed
    | Entitled
    | PreviewsOff
    | Rejected
    | Positioned
    | Started
    | NodesCached
    | NodeShown
    | NodeStarted
    | Progressed
    | NodeFinished
    | Preview
    | StepKept
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


def shown_by(message: wire.Message) -> Iterator[NodeShown]:
    """Where nodes are shown, as far as a message says so."""
    match message:
        case wire.ProgressState(nodes=nodes):
            pairs = [(report.node_id, report.display_node_id) for report in nodes]
        case (
            wire.Executing(node=str(node), display_node=str(display))
            | wire.Executed(node=node, display_node=display)
        ):
            pairs = [(node, display)]
        case wire.PreviewWithMetadata(node_id=node, display_node_id=display):
            pairs = [(node, display)]
        case _:
            pairs = []
    yield from (NodeShown(node, display) for node, display in pairs if node != display)


def _line(text: str) -> str:
    """A server's words in one line of readable length."""
    return clip(" ".join(text[: 4 * MAX_TEXT].split()), MAX_TEXT)
