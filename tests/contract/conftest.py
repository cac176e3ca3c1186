"""The same expectations against any live ComfyUI: ``pytest tests/contract --comfy-url http://127.0.0.1:8188``.

Without the option, the embedded server is started and tested. A real server needs the stock Stable Diffusion 1.5
checkpoint of ComfyUI's default workflow, or a tiny Stable Diffusion 3 one named `tiny.safetensors`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

import comfy_nb as cn
from comfy_nb.server.process import EmbeddedServer
from tests.contract.two import Two

WORKFLOWS = Path(__file__).parents[1] / "data" / "workflows"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--comfy-url", help="a live ComfyUI to test against; default: the embedded server")


@dataclass(frozen=True)
class Target:
    """A server, and the workflow that it can run."""

    url: str
    other: str  # a second server of the same kind; a live one stands for both
    workflow: cn.Workflow
    broken: dict[str, Any]  # passes validation, and fails in a node
    broken_label: str

    def graph(self, *, steps: int = 6) -> cn.Workflow:
        """A run that this server has never done before."""
        return self.workflow.copy().set({"KSampler.steps": steps, "KSampler.seed": random.randrange(1 << 48)})

    def ask(self, route: str) -> Any:
        """The server's own word, by another way than the client's."""
        return self._json(self.url, route)

    def url_of(self, job: cn.Job) -> str:
        """Where a job ran."""
        return next(url for url in (self.url, self.other) if url.endswith(job.server))

    def outcome(self, job: cn.Job) -> str | None:
        """What its history says of a job: the last message, None if there is none."""
        entry = self._json(self.url_of(job), f"history/{job.id}").get(job.id)
        return entry["status"]["messages"][-1][0] if entry else None

    @staticmethod
    def _json(url: str, route: str) -> Any:
        return httpx2.get(f"{url}/api/{route}", timeout=30, trust_env=False).json()


@pytest.fixture(scope="session")
def urls(pytestconfig: pytest.Config) -> Iterator[tuple[str, str]]:
    given = pytestconfig.getoption("--comfy-url", default=None)
    if given:
        yield given.rstrip("/"), given.rstrip("/")
        return
    with EmbeddedServer.start(step_time=0.02) as one, EmbeddedServer.start(step_time=0.02) as two:
        yield one.url, two.url


@pytest.fixture(scope="session")
def target(urls: tuple[str, str]) -> Target:
    url, other = urls
    info = httpx2.get(f"{url}/api/object_info/CheckpointLoaderSimple", timeout=30, trust_env=False).json()
    checkpoints = info["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0]
    if "tiny.safetensors" in checkpoints:
        graph = json.loads((WORKFLOWS / "tiny_sd3.json").read_text())
        return Target(
            url, other, cn.Workflow.load(graph), _adding_unlike_latents(graph), "Add unlike latents"
        )
    graph = json.loads((WORKFLOWS / "default.json").read_text())
    assert graph["4"]["inputs"]["ckpt_name"] in checkpoints, (
        f"{url} has none of the checkpoints that are known here"
    )
    graph["5"]["inputs"] |= {"width": 256, "height": 256}
    return Target(url, other, cn.Workflow.load(graph), _too_large(graph), "Empty Latent Image")


def _adding_unlike_latents(graph: dict[str, Any]) -> dict[str, Any]:
    """Fails with core nodes alone: latents of 16 and of 4 channels cannot be added."""
    latent = {"width": 128, "height": 128, "batch_size": 1}
    return {
        **graph,
        "8": {**graph["8"], "inputs": {**graph["8"]["inputs"], "samples": ["11", 0]}},
        "10": {"class_type": "EmptyLatentImage", "inputs": latent},
        "11": {
            "class_type": "LatentAdd",
            "inputs": {"samples1": ["3", 0], "samples2": ["10", 0]},
            "_meta": {"title": "Add unlike latents"},
        },
    }


def _too_large(graph: dict[str, Any]) -> dict[str, Any]:
    """Passes validation, and is more than the embedded server, or a graphics card, can hold."""
    size = {"width": 16384, "height": 16384, "batch_size": 64}
    return {**graph, "5": {**graph["5"], "inputs": size}}


@pytest.fixture(params=["one server", "two servers"])
def comfy(request: pytest.FixtureRequest, target: Target) -> Iterator[cn.Comfy | Two]:
    """Whoever runs the jobs: the same is expected of both."""
    with cn.connect(target.url) as connection:
        if request.param == "one server":
            yield connection
            return
        with cn.connect(target.other) as second:
            yield Two(connection, second)
