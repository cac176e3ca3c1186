"""The workflows that come with us, a picture in one line, and the tour that is copied and never copied over."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import comfy_nb as cn
from comfy_nb.examples import FIRST, _take_known_checkpoint, copy_tour
from comfy_nb.server.process import EmbeddedServer
from comfy_nb.workflow.classes import Classes

LIMIT = 20.0
OWN = "v1-5-pruned-emaonly-fp16.safetensors"  # of the workflow


@pytest.fixture(scope="module")
def comfy() -> Iterator[cn.Comfy]:
    with contextlib.closing(EmbeddedServer.start(step_time=0)) as server, cn.connect(server.url) as comfy:
        yield comfy


def test_every_example_loads_twice(comfy: cn.Comfy):
    del comfy  # one of them is converted by its classes
    for _ in range(2):
        assert cn.example().name == "text_to_image"
        for name in ("text_to_image", "image_to_image", "sub_graph", "stopped_early", "undecided"):
            assert cn.example(name)["KSampler"].id


def test_an_unknown_example_lists_those_that_there_are():
    with pytest.raises(
        ValueError, match=r"There is no example 'x'; there are 'image_to_image', .*'undecided'\."
    ):
        cn.example("x")
    with pytest.raises(ValueError, match=r"There is no example .*undecided"):
        cn.example("../workflows/undecided")


def test_imagine_sends_the_default_workflow_and_returns_the_started_job(comfy: cn.Comfy):
    for _ in range(2):
        job = cn.imagine("a castle at sunset", comfy, seed=7, changes={"KSampler.steps": 2})
        assert job.plan.parameters["Positive.text"] == "a castle at sunset"
        assert job.plan.parameters["KSampler.seed"] == 7
        assert job.plan.parameters["KSampler.steps"] == 2
        job.result(LIMIT)
        assert job.image.size == (512, 512)


def test_imagine_without_a_seed_draws_one(comfy: cn.Comfy):
    jobs = [cn.imagine("a castle", comfy, changes={"KSampler.steps": 1}) for _ in range(2)]
    first, second = (job.plan.parameters["KSampler.seed"] for job in jobs)
    assert first != second
    cn.wait(jobs, LIMIT)


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (["flux.safetensors", "sdxl.safetensors"], "flux.safetensors"),
        (["flux.safetensors", OWN], OWN),
        ([], OWN),  # nothing would do, which the check before sending says better
    ],
)
def test_imagine_takes_a_checkpoint_that_the_server_has(there: list[str], taken: str):
    workflow = cn.example()
    inputs = {"required": {"ckpt_name": [there]}}
    workflow.classes = Classes(
        {"CheckpointLoaderSimple": {"input": inputs, "output": ["MODEL", "CLIP", "VAE"]}}
    )
    _take_known_checkpoint(workflow)
    assert workflow.get("Load Checkpoint.ckpt_name") == taken


def test_the_tour_is_copied_once_and_never_over_what_is_there(tmp_path: Path):
    target = tmp_path / "tour"
    written = copy_tour(target)
    assert target / FIRST in written
    assert target / "workflows" / "sub_graph.json" in written
    (target / FIRST).write_text("mine")
    (target / "workflows" / "sub_graph.json").unlink()
    assert copy_tour(target) == [target / "workflows" / "sub_graph.json"]
    assert (target / FIRST).read_text() == "mine"
