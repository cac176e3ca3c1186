"""What people catch.

Every error of this package is a `ComfyError`; its text is one clear sentence that says what was wrong,
where, and what to do next.

    ComfyError
    ├── ConnectionFailed            no server there, wrong URL, refused, or not a ComfyUI
    ├── ServerError                 the server answered something it should not (an HTTP 500, say)
    ├── UnsupportedKernelError      this notebook kernel cannot carry live widgets
    ├── NestingError                allow_nested_asyncio() cannot help here
    ├── BlockingCallError           a blocking call of ours was made on our own loop thread
    ├── WorkflowError (ValueError)  the workflow, before anything was sent
    │   ├── NotAWorkflow            the file, text or picture holds no workflow that can be read
    │   ├── WorkflowProblems        what the server would refuse, or nobody can convert; `.problems` by node
    │   ├── UnknownNode (KeyError)  no node of that name; lists what there is
    │   ├── UnknownInput (KeyError, AttributeError)   no input of that name; lists what there is
    │   └── AmbiguousName           one name, several readings; shows them
    ├── JobError                    what became of a started job; carries `.job_id`
    │   ├── WorkflowInvalid         the server rejected the prompt; `.problems` names each node and input
    │   ├── ExecutionFailed         a node failed while running; `.node_id`, `.label`, `.traceback`
    │   ├── JobCancelled (concurrent.futures.CancelledError)   stopped on request
    │   └── JobLost                 neither in the queue nor in the history; `.cause` is the likely reason
    ├── JobNotStarted               result(), await or events() on a job that was never started
    └── OutputError                 no such output, several where one was asked for, or not kept any more
        └── NotOneImage             job.image of a job that made none, or several
"""

from __future__ import annotations

import concurrent.futures
from dataclasses import dataclass

__all__ = [
    "AmbiguousName",
    "BlockingCallError",
    "ComfyError",
    "ConnectionFailed",
    "ExecutionFailed",
    "JobCancelled",
    "JobError",
    "JobLost",
    "JobNotStarted",
    "NestingError",
    "NotAWorkflow",
    "NotOneImage",
    "OutputError",
    "Problem",
    "ServerError",
    "UnknownInput",
    "UnknownNode",
    "UnsupportedKernelError",
    "WorkflowError",
    "WorkflowInvalid",
    "WorkflowProblems",
]


class ComfyError(Exception):
    """Base of everything this package raises on purpose."""

    def __str__(self) -> str:
        # KeyError would show its repr; our sentences are for people.
        return str(self.args[0]) if self.args else type(self).__name__


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
        lines = [f"- {problem}" for problem in problems]
        super().__init__("\n".join([f"{message}:", *lines]) if lines else message)
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
