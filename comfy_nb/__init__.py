"""comfy_nb: ComfyUI, live in a notebook.

```python
import comfy_nb as cn

comfy = cn.demo()                       # or cn.connect("http://127.0.0.1:8188")
wf = cn.example()                       # or cn.Workflow.load("workflow.json")
job = comfy.submit(wf, {"KSampler.seed": 7})
job                                     # a live view; job.image is a PIL image
```
"""

from collections.abc import Mapping as _Mapping

from comfy_nb import events
from comfy_nb.board import JobBoard
from comfy_nb.comfy import Comfy, connect, demo
from comfy_nb.errors import (
    AmbiguousName,
    BlockingCallError,
    ComfyError,
    ConnectionFailed,
    ExecutionFailed,
    JobCancelled,
    JobError,
    JobLost,
    JobNotSent,
    JobNotStarted,
    NestingError,
    NotAllSaved,
    NotARecording,
    NotAWorkflow,
    NotOneImage,
    OutputError,
    Problem,
    ServerError,
    UnknownInput,
    UnknownJob,
    UnknownNode,
    UnknownStep,
    UnknownWorkflow,
    UnsupportedKernelError,
    WorkflowError,
    WorkflowInvalid,
    WorkflowProblems,
)
from comfy_nb.examples import example, imagine
from comfy_nb.job import Job
from comfy_nb.kernel.completing import Matches as _Matches
from comfy_nb.kernel.completing import add_matcher as _add_matcher
from comfy_nb.kernel.hints import give_hints as _give_hints
from comfy_nb.kernel.nesting import allow_nested_asyncio
from comfy_nb.outputs import Output, Outputs
from comfy_nb.player import replay
from comfy_nb.snapshot import Snapshot
from comfy_nb.steps import Step, Steps
from comfy_nb.store import configure
from comfy_nb.waiting import as_completed, wait
from comfy_nb.workflow.graph import Workflow
from comfy_nb.workflow.values import RANDOM

__version__ = "0.1.0"

__all__ = [
    "RANDOM",
    "AmbiguousName",
    "BlockingCallError",
    "Comfy",
    "ComfyError",
    "ConnectionFailed",
    "ExecutionFailed",
    "Job",
    "JobBoard",
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
    "Output",
    "OutputError",
    "Outputs",
    "Problem",
    "ServerError",
    "Snapshot",
    "Step",
    "Steps",
    "UnknownInput",
    "UnknownJob",
    "UnknownNode",
    "UnknownStep",
    "UnknownWorkflow",
    "UnsupportedKernelError",
    "Workflow",
    "WorkflowError",
    "WorkflowInvalid",
    "WorkflowProblems",
    "allow_nested_asyncio",
    "as_completed",
    "configure",
    "connect",
    "demo",
    "events",
    "example",
    "imagine",
    "replay",
    "wait",
]


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def _complete(line: str, names: _Mapping[str, object]) -> _Matches | None:
    from comfy_nb.completion import complete  # noqa: PLC0415 - when Tab is first pressed

    return complete(line, names)


_add_matcher(_complete)
_give_hints()
