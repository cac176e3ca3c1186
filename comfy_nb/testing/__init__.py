"""Doubles for tests of code that uses comfy_nb: no mocks, but a real server on 127.0.0.1 that follows a script.

```python
import comfy_nb as cn
from comfy_nb.testing import Frames, ScriptedServer

with ScriptedServer(Frames(count=20, rate=50)) as server, cn.connect(server.url) as comfy:
    job = comfy.submit("workflow.json")
    job.result(timeout=10)
    assert len(server.calls("POST /prompt")) == 1
```

`Recording` plays recorded traffic of a real ComfyUI, `Frames` plays any number of stamped previews at a rate, and
`Faults` makes the server misbehave. `FaultyLink` is a bad network to any server, also to a real one. They need what
the embedded server needs: ``pip install 'comfy-nb[demo]'``.
"""

from comfy_nb.testing.faults import Faults, Page
from comfy_nb.testing.faulty_link import Answer, FaultyLink
from comfy_nb.testing.frames import Frames, Stamp, read_stamp
from comfy_nb.testing.recording import Recording
from comfy_nb.testing.scripted import Entry, ScriptedServer
from comfy_nb.testing.stage import Posted, Script, Stage

__all__ = [
    "Answer",
    "Entry",
    "Faults",
    "FaultyLink",
    "Frames",
    "Page",
    "Posted",
    "Recording",
    "Script",
    "ScriptedServer",
    "Stage",
    "Stamp",
    "read_stamp",
]
