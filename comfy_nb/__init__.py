"""comfy_nb: ComfyUI, live in a notebook.

```python
import comfy_nb as cn

comfy = cn.demo()                       # or cn.connect("http://127.0.0.1:8188")
wf = cn.Workflow.load("workflow.json")
job = comfy.submit(wf, {"KSampler.seed": 7})
job                                     # a live view; job.image is a PIL image
```
"""

from comfy_nb import events
from comfy_nb.board import JobBoard
from comfy_nb.comfy import Comfy, connect, demo
from comfy_nb.errors import (
    ComfyError,
    ConnectionFailed,
    ExecutionFailed,
    JobCancelled,
    JobError,
    JobLost,
    JobNotStarted,
    NotAllSaved,
    NotAWorkflow,
    NotOneImage,
    OutputError,
    UnknownInput,
    UnknownNode,
    WorkflowError,
    WorkflowInvalid,
    WorkflowProblems,
)
from comfy_nb.job import Job
from comfy_nb.kernel.nesting import allow_nested_asyncio
from comfy_nb.outputs import Output, Outputs
from comfy_nb.snapshot import Snapshot
from comfy_nb.store import configure
from comfy_nb.waiting import as_completed, wait
from comfy_nb.workflow.graph import Workflow
from comfy_nb.workflow.values import RANDOM

__version__ = "0.1.0"

__all__ = [
    "RANDOM",
    "Comfy",
    "ComfyError",
    "ConnectionFailed",
    "ExecutionFailed",
    "Job",
    "JobBoard",
    "JobCancelled",
    "JobError",
    "JobLost",
    "JobNotStarted",
    "NotAWorkflow",
    "NotAllSaved",
    "NotOneImage",
    "Output",
    "OutputError",
    "Outputs",
    "Snapshot",
    "UnknownInput",
    "UnknownNode",
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
    "wait",
]
