"""What the tests of the client share: a graph, recordings, a connected pair, and waiting with a limit."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import comfy_nb as cn
from comfy_nb.testing import Faults, Recording, Script, ScriptedServer
from tests.traces.reader import FOLDER

LIMIT = 15.0  # seconds that anything here may take


def graph(steps: int = 20, title: str = "Sampler") -> dict[str, Any]:
    """A small text-to-image graph, fresh each time."""
    return {
        "3": {
            "class_type": "KSampler",
            "inputs": {"seed": 1, "steps": steps, "cfg": 4.0, "latent_image": ["5", 0]},
            "_meta": {"title": title},
        },
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x", "images": ["3", 0]}},
    }


def recording(version: str, name: str) -> Recording:
    """A recorded scenario, to be played."""
    return Recording.load(FOLDER / version / f"{name}.jsonl")


@contextlib.contextmanager
def connected(
    script: Script | None = None, faults: Faults | None = None, **options: Any
) -> Iterator[tuple[ScriptedServer, cn.Comfy]]:
    """A scripted server and a connection to it."""
    with ScriptedServer(script, faults) as server, cn.connect(server.url, **options) as comfy:
        yield server, comfy


def until(condition: Callable[[], object], what: str = "", limit: float = LIMIT) -> None:
    """Wait until something is true; fail if it is not in time."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"This did not become true within {limit:g} s: {what or condition}")
        time.sleep(0.002)
