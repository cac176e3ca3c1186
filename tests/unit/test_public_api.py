"""Every public callable is called twice: after the first call each name still means what it meant."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys
import types
from collections.abc import Iterator

import pytest

import comfy_nb as cn
from comfy_nb.testing import Frames, ScriptedServer

GRAPH = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 2}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x", "images": ["3", 0]}},
}
LIMIT = 15.0


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(Frames(count=2, rate=0)) as running:
        yield running


@pytest.fixture
def comfy(server: ScriptedServer) -> Iterator[cn.Comfy]:
    with cn.connect(server.url) as connection:
        yield connection


def test_every_name_is_there_and_documented():
    for name in cn.__all__:
        value = getattr(cn, name)
        assert isinstance(value, types.ModuleType) or inspect.getdoc(value), name
    assert set(cn.__all__) <= set(dir(cn))


def test_no_module_has_the_name_of_a_public_callable():
    modules = {module.name for module in pkgutil.iter_modules(cn.__path__)}
    assert {"comfy", "job", "examples"} <= modules
    assert not modules & {name for name in cn.__all__ if callable(getattr(cn, name))}


def test_example_and_imagine_twice():
    with cn.demo(step_time=0) as comfy:
        for _ in range(2):
            assert isinstance(cn.example(), cn.Workflow)
            job = cn.imagine("a castle", comfy, seed=1, changes={"KSampler.steps": 1})
            assert isinstance(job, cn.Job)
            job.result(LIMIT)


def test_connect_twice(server: ScriptedServer):
    for _ in range(2):
        with cn.connect(server.url) as comfy:
            assert isinstance(comfy, cn.Comfy)
            assert comfy.version == "0.33.0"


def test_demo_twice_is_one_server():
    first, second = cn.demo(step_time=0), cn.demo()
    assert first is second
    assert "127.0.0.1" in first.url
    first.close()


def test_submit_start_and_results_twice(comfy: cn.Comfy):
    for _ in range(2):
        job = comfy.submit(GRAPH, {"KSampler.seed": 7})
        for _ in range(2):
            assert isinstance(job.result(LIMIT), cn.Outputs)
            assert isinstance(job.outputs[0], cn.Output)
            assert job.exception(LIMIT) is None
            assert job.image.size == job.images[0].size == (256, 256)
            assert isinstance(job.snapshot(), cn.Snapshot)
            assert isinstance(job.start(), type(job.view))
            assert [type(item) for item in job.events()] == [cn.Snapshot]
            assert (job.interrupt(), job.cancel()) == (False, False)


def test_wait_and_as_completed_twice(comfy: cn.Comfy):
    jobs = [cn.Job(GRAPH, comfy).submit() for _ in range(2)]
    for _ in range(2):
        assert cn.wait(jobs, LIMIT).done == set(jobs)
        assert set(cn.as_completed(jobs, LIMIT)) == set(jobs)


def test_boards_twice(comfy: cn.Comfy):
    job = comfy.submit(GRAPH, title="mine")
    job.result(LIMIT)
    for _ in range(2):
        board = cn.JobBoard(comfy)
        assert board.jobs == (job,)
        assert board["mine"] is job
        assert board.view is board.view
        assert repr(board) == "<JobBoard: 1 succeeded>"
        board.close()


def test_steps_twice(comfy: cn.Comfy):
    job = comfy.submit(GRAPH)
    job.result(LIMIT)
    for _ in range(2):
        assert isinstance(job.steps, cn.Steps)
        assert isinstance(job.steps[0], cn.Step)
        assert [step.step for step in job.steps] == [1, 2]
        assert job.steps.at(2).image.size == job.steps.latest.image.size


def test_every_public_callable_is_called_here():
    source = inspect.getsource(sys.modules[__name__])
    kinds = {name for name in cn.__all__ if isinstance(getattr(cn, name), type)}
    errors = {
        name for name in kinds if issubclass(getattr(cn, name), BaseException)
    }  # tests/unit/test_errors.py
    called = {name for name in cn.__all__ if callable(getattr(cn, name)) and name not in errors}
    assert {name for name in called if f"cn.{name}" not in source} == set()


def test_replay_twice(comfy: cn.Comfy, tmp_path):
    job = comfy.submit(GRAPH)
    path = job.save(tmp_path / "run")
    for _ in range(2):
        assert cn.replay(path).image.size == job.image.size


def test_problems_twice():
    for _ in range(2):
        assert str(cn.Problem("too big", "3", "KSampler", "cfg")) == "KSampler (node 3), input 'cfg': too big"


def test_load_twice():
    for _ in range(2):
        assert isinstance(cn.Workflow.load(GRAPH), cn.Workflow)
        assert isinstance(cn.Workflow.load(cn.Workflow.load(GRAPH).to_api()), cn.Workflow)


def test_allow_nested_asyncio_twice():
    # In a process of its own: it patches asyncio, which is what it is there for.
    code = (
        "import comfy_nb as cn; cn.allow_nested_asyncio(); cn.allow_nested_asyncio(); cn.allow_nested_asyncio"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, b"")


def test_configure_twice():
    for _ in range(2):
        cn.configure(steps=64 << 20, outputs=128 << 20, spill=4096 << 20)


def test_errors_can_be_made_and_caught_as_what_they_are():
    for name in cn.__all__:
        value = getattr(cn, name)
        if isinstance(value, type) and issubclass(value, Exception):
            assert issubclass(value, cn.ComfyError)
            assert str(value("one clear sentence.")) == "one clear sentence."
