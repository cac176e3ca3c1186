"""What people catch, when it comes, and what it says.

Every error of this package is a `ComfyError`; its text is one clear sentence that says what was wrong, where, and
what to do next (of a workflow with several faults, a line for each). Under each name stands such a sentence, with …
for what differs; `comfy-nb doctor --errors` prints this table, and a test raises each of them.

    ComfyError                                 any of these
    ├── ConnectionFailed                       no server there, a wrong address, refused, or no ComfyUI
    │       No ComfyUI answers at … (connection refused). Start it there, give its address to connect(), or try
    │       comfy_nb.demo(), which needs none.
    ├── ServerError                            the server answered something it should not, such as an HTTP 500
    │       … answered GET /queue with HTTP 500.
    ├── UnsupportedKernelError                 this notebook kernel cannot carry live widgets
    │       ipykernel 7.0.1 loses what background threads send to widgets: install another version with `pip install
    │       "ipykernel!=7.0.*"` and restart the kernel.
    ├── NestingError                           allow_nested_asyncio() cannot help here
    │       Neither nest_asyncio2 nor nest_asyncio is installed: install the first with `pip install nest-asyncio2`.
    ├── BlockingCallError (RuntimeError)       a blocking call of ours was made on our own loop thread
    │       job.result() waits, and was called on comfy_nb's own loop thread, where it would wait for itself: call it
    │       from a callback or from your own code.
    ├── WorkflowError (ValueError)             something about a workflow, before anything was sent
    │   │       'KSampler' (node 3), input 'cfg' cannot hold a value of type object; allowed are text, numbers, true or
    │   │       false, lists and dicts of these, and links; a picture or file is uploaded first, and its name set.
    │   ├── NotAWorkflow                       the file, text or picture holds no workflow that can be read
    │   │       There is no file missing.json.
    │   ├── WorkflowProblems                   a workflow that cannot be converted as it is; `.problems` by node
    │   │       … cannot be converted (strict=False leaves out what cannot): - NoSuchClass (node 1): the server has no
    │   │       class 'NoSuchClass'; it was left out
    │   ├── UnknownNode (KeyError)             no node of that name; lists those that there are, the nearest first
    │   │       There is no node 'KSamplr'; the nodes are 'KSampler' (node 3), …
    │   ├── UnknownInput (KeyError, AttributeError)   no input of that name; lists those that there are
    │   │       'KSampler' (node 3) has no input 'cgf'; its inputs are 'cfg', …
    │   └── AmbiguousName                      one name, several readings; shows them
    │           'CLIPTextEncode' can mean 'CLIP Text Encode (Positive)' (node 6, CLIPTextEncode), 'CLIP Text Encode
    │           (Negative)' (node 7, CLIPTextEncode); use the id, such as '6'.
    ├── JobError                               any end of a started job but success; carries `.job_id`
    │   ├── JobNotSent (ConnectionFailed)      the server could not be had, so nothing was sent
    │   │       The connection to … was closed here before the job was sent.
    │   ├── WorkflowInvalid                    the server rejected it, or would; `.problems` has each node and input
    │   │       The server rejected 'beautiful scenery nature glass bottle landscape…'; nothing ran. - KSampler (node
    │   │       3), input 'cfg': 900.0 is too big (allowed: 0.0 to 100.0)
    │   ├── ExecutionFailed                    a node failed while it ran; `.node_id`, `.label`, `.traceback`
    │   │       Empty Latent Image failed: A picture of 16384x16384 pixels is too large for the embedded server: …
    │   ├── JobCancelled (concurrent.futures.CancelledError)   it was stopped on request, before or while it ran
    │   │       'a lighthouse' was cancelled: interrupted at step … of ….
    │   └── JobLost                            neither in the queue nor in the history; `.cause` is the likely reason
    │           There is no job '11111111-1111-4111-8111-111111111111': it is neither in the queue nor in the history
    │           of …
    ├── JobNotStarted (RuntimeError)           result(), await or events() on a job that was never started
    │       This job was never started, so result() has nothing to wait for: call job.start() first.
    ├── OutputError (LookupError)              no such output, or its bytes are not kept any more
    │   │       'Nope' has put out nothing, and no node has that name. There are outputs of: 'Save Image'.
    │   ├── NotOneImage                        job.image of a job that made none, or several
    │   │       There are 2 images here, where .image wants exactly one: .images has them all.
    │   └── NotAllSaved                        board.save() could not write some; the others are saved, `.saved`
    │           1 of 2 files could not be saved; the others are, and .saved has their paths. - …
    ├── NotARecording (ValueError)             the file is no recorded run that can be read
    │       There is no file missing.cnrun.
    ├── UnknownStep (LookupError)              no step of that number or node was kept, or several samplers ran
    │       No step 99 was kept. There are steps 1 to ….
    ├── UnknownJob (LookupError)               no job of that name on a board, or several
    │       No job is called 'nope'. The newest on this board: 'a lighthouse'.
    └── UnknownWorkflow (KeyError)             no workflow of that name is saved on the server; lists those that are
            No workflow 'potrait' is saved on the server. There are: 'portrait.json', 'old/sea.json'.

Besides these, `TimeoutError` and `KeyboardInterrupt` end a wait and not its job, and `TypeError` and `ValueError` come
for arguments that make no sense.
"""

from __future__ import annotations

import concurrent.futures
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from comfy_nb.tracebacks import render

__all__ = [
    "AmbiguousName",
    "BlockingCallError",
    "ComfyError",
    "ConnectionFailed",
    "ExecutionFailed",
    "JobCancelled",
    "JobError",
    "JobLost",
    "JobNotSent",
    "JobNotStarted",
    "NestingError",
    "NotARecording",
    "NotAWorkflow",
    "NotAllSaved",
    "NotOneImage",
    "OutputError",
    "Problem",
    "ServerError",
    "UnknownInput",
    "UnknownJob",
    "UnknownNode",
    "UnknownStep",
    "UnknownWorkflow",
    "UnsupportedKernelError",
    "WorkflowError",
    "WorkflowInvalid",
    "WorkflowProblems",
    "explain",
    "explained",
    "listing",
]

MOST_PROBLEMS = 100  # that the text of an error lists; all of them are in its `.problems`

_ROW = re.compile(r"    ([ │├└─]*)([A-Z]\w+)(?: \(([\w., ]+)\))? {2,}(\S.*)")


def listing(headline: str, problems: Sequence[object]) -> str:
    """A headline and a line for each problem; of very many the first, and how many more there are."""
    lines = [f"- {problem}" for problem in problems[:MOST_PROBLEMS]]
    more = len(problems) - MOST_PROBLEMS
    return "\n".join([headline, *lines, *([f"- … and {more:,} more, in .problems"] if more > 0 else ())])


class ComfyError(Exception):
    """Base of everything this package raises on purpose."""

    def __str__(self) -> str:
        # KeyError would show its repr; our sentences are for people.
        return str(self.args[0]) if self.args else type(self).__name__

    def _render_traceback_(self) -> list[str]:
        return render(self)


class ConnectionFailed(ComfyError):
    """No ComfyUI could be reached at the address; the text offers the next step."""


class ServerError(ComfyError):
    """The server answered outside its own protocol, such as with an HTTP 500."""


class UnsupportedKernelError(ComfyError):
    """The kernel cannot carry widgets that are updated in the background (ipykernel 7.0.*)."""


class NestingError(ComfyError):
    """`allow_nested_asyncio()` cannot help in this kernel, or finds no package to do it with."""


class BlockingCallError(ComfyError, RuntimeError):
    """A call that waits was made on the loop thread, where it would wait for itself."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong at one place, ready to be shown.

    `node_id` and `input` may be empty when the fault is the whole workflow's; `label` is what people call the node.
    """

    message: str
    node_id: str = ""
    label: str = ""
    input: str = ""

    def __str__(self) -> str:
        where = f"{self.label or 'node'} (node {self.node_id})" if self.node_id else self.label
        at = ", ".join(part for part in (where, f"input {self.input!r}" if self.input else "") if part)
        return f"{at}: {self.message}" if at else self.message


class WorkflowError(ComfyError, ValueError):
    """Something is wrong with a workflow, found before anything was sent."""


class NotAWorkflow(WorkflowError):
    """The file, text or object is not a workflow in a form that can be read."""


class WorkflowProblems(WorkflowError):
    """Parts of a workflow cannot be converted, or would be refused; `problems` names each node and input."""

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(listing(f"{message}:", problems) if problems else message)
        self.problems = problems


class UnknownNode(WorkflowError, KeyError):
    """No node has that title, class or id; the text lists the ones there are."""


class UnknownInput(WorkflowError, KeyError, AttributeError):
    """The node has no input of that name; the text lists the ones there are."""


class AmbiguousName(WorkflowError):
    """A name has several readings; the text shows them."""


class JobError(ComfyError):
    """A started job did not succeed; `job_id` is its prompt id."""

    def __init__(self, message: str, *, job_id: str = "") -> None:
        super().__init__(message)
        self.job_id = job_id


class JobNotSent(JobError, ConnectionFailed):
    """The server could not be reached in time, or the connection was closed: nothing was sent."""


class WorkflowInvalid(JobError):
    """The server rejected the prompt; nothing ran. `problems` names each node and input."""

    def __init__(self, message: str, *, job_id: str = "", problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message, job_id=job_id)
        self.problems = problems


class ExecutionFailed(JobError):
    """A node failed while it ran. `traceback` is the server's own, one string per line."""

    def __init__(
        self,
        message: str,
        *,
        job_id: str = "",
        node_id: str = "",
        label: str = "",
        exception_type: str = "",
        traceback: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, job_id=job_id)
        self.node_id = node_id
        self.label = label
        self.exception_type = exception_type
        self.traceback = traceback


class JobCancelled(JobError, concurrent.futures.CancelledError):
    """The job was stopped on request, before or while it ran."""


class JobLost(JobError):
    """The server knows nothing of the job any more; `cause` is the likely reason."""

    def __init__(self, message: str, *, job_id: str = "", cause: str = "") -> None:
        super().__init__(message, job_id=job_id)
        self.cause = cause


class JobNotStarted(ComfyError, RuntimeError):
    """The job was never started, so there is nothing to wait for: call `job.start()` first."""


class OutputError(ComfyError, LookupError):
    """There is no such output, or its bytes are not kept any more."""


class NotOneImage(OutputError):
    """One image was asked for, but the job made none or several; `.images` has them all."""


class NotAllSaved(OutputError):
    """Some of many files could not be saved. `saved` has the paths of all others, `problems` a sentence for each."""

    def __init__(self, message: str, *, saved: Sequence[Path] = (), problems: Sequence[str] = ()) -> None:
        super().__init__(listing(message, problems))
        self.saved, self.problems = tuple(saved), tuple(problems)


class NotARecording(ComfyError, ValueError):
    """The file is no recorded run, or holds what none may."""


class UnknownStep(ComfyError, LookupError):
    """No step of that number or node was kept, or the name can mean several."""


class UnknownJob(ComfyError, LookupError):
    """No job of that name is on the board, or several are; the text lists some."""


class UnknownWorkflow(ComfyError, KeyError):
    """No workflow of that name is saved on the server; the text lists those that are, the nearest first."""


@dataclass(frozen=True, slots=True)
class Explained:
    """One row of the table at the top: an error, when it comes, and what it says; `also` is what else catches it."""

    name: str
    depth: int
    also: str
    when: str
    says: str


def explained() -> tuple[Explained, ...]:
    """The table in this module's docstring, row by row; nothing if Python was told to leave docstrings out."""
    rows: list[Explained] = []
    table = (__doc__ or "").partition("\n\n    ")[2].partition("\n\n")[0]
    for line in f"    {table}".splitlines():
        if row := _ROW.fullmatch(line):
            tree, name, also, when = row.groups()
            rows.append(Explained(name, len(tree) // 4, also or "", when, ""))
        elif rows:
            rows[-1] = replace(rows[-1], says=f"{rows[-1].says} {line.strip(' │')}".strip())
    return tuple(rows)


def explain(width: int) -> str:
    """That table for a screen of `width` characters."""
    lines: list[str] = []
    for row in explained():
        indent = "  " * row.depth
        also = f" (also {row.also})" if row.also else ""
        lines += _wrapped(f"{indent}{row.name}{also}: {row.when}", f"{indent}  ", width)
        lines += _wrapped(f"{indent}    » {row.says}", f"{indent}      ", width) if row.says else []
    return "\n".join(lines)


def _wrapped(text: str, indent: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False)
