"""Tab, in a real kernel: every public object completes, public names first, and workflows know what may be set."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.kernel.conftest import LiveKernel

PREPARE = """
import comfy_nb as cn
from comfy_nb.server.process import EmbeddedServer

server = EmbeddedServer.start(step_time=0)  # it ends with the kernel
comfy = cn.connect(server.url)
wf = cn.example()
subgraph = comfy.load(cn.example("sub_graph").ui)
job = comfy.submit(wf, {"KSampler.steps": 2})
outputs = job.result(20)
output = outputs[0]
snapshot, plan, view, stream = job.snapshot(), job.plan, job.view, job.events()
board = cn.JobBoard(comfy)
node, link = wf["KSampler"], wf["KSampler"].model
problems, difference, saved = comfy.check(wf), wf.diff(wf), comfy.workflows()
preview = cn.events.Preview("3", b"", "image/jpeg")
done = cn.wait([job], 1)
error = cn.JobCancelled("stopped", job_id="1")
image = job.image
"""
CLASSES = ["Workflow", "Job", "JobBoard", "Comfy", "Output", "Outputs", "Snapshot", "JobCancelled"]
OBJECTS = [
    *(
        "comfy",
        "wf",
        "subgraph",
        "job",
        "outputs",
        "output",
        "snapshot",
        "plan",
        "view",
        "stream",
        "board",
        "node",
    ),
    *(
        "link",
        "problems",
        "difference",
        "saved",
        "preview",
        "done",
        "error",
        *(f"cn.{name}" for name in CLASSES),
    ),
]


class Offer(NamedTuple):
    """What a front end is told to show, and what it replaces."""

    matches: list[str]
    replaces: str


@pytest.fixture(scope="module")
def kernel(kernels) -> LiveKernel:
    kernel = kernels("7.4.0")
    kernel.run(PREPARE, limit=30)
    return kernel


@pytest.fixture
def tab(kernel: LiveKernel) -> Callable[[str], Offer]:
    """Press Tab at the end of a line."""

    def press(line: str) -> Offer:
        reply = kernel.reply(kernel.client.complete(line, len(line)), limit=30)["content"]
        return Offer(reply["matches"], line[reply["cursor_start"] : reply["cursor_end"]])

    return press


@pytest.mark.parametrize("name", OBJECTS)
def test_every_public_object_completes(kernel: LiveKernel, tab, name: str):
    public = kernel.value(f"[name for name in dir({name}) if not name.startswith('_')]")
    assert public
    offered = tab(f"{name}.").matches
    # A metaclass's own names are those of a class to dir() alone.
    assert set(public) - set(offered) <= ({"mro"} if name.startswith("cn.") else set())


def test_the_package_shows_its_public_names_alone_and_errors_last(kernel: LiveKernel, tab):
    offered = tab("cn.").matches
    assert set(offered) == set(kernel.value("cn.__all__"))
    assert offered.index("connect") < offered.index("Job") < offered.index("ComfyError")
    assert set(kernel.value("dir(cn)")) == {*offered, "__version__"}
    assert tab("x = cn.Job").matches == [
        "Job",
        "JobBoard",
        "JobCancelled",
        "JobError",
        "JobLost",
        "JobNotSent",
        "JobNotStarted",
    ]
    assert "Preview" in tab("cn.events.").matches
    assert "annotations" not in tab("cn.events.").matches


def test_a_node_shows_its_inputs_first(tab):
    own = ["id", "title", "class_type", "inputs", "add_input", "mute", "bypass", "restore"]
    for node in ('wf["KSampler"]', "wf['3']", "wf[3]", "node"):
        offered = tab(f"x = ({node}.").matches
        assert offered[:2] == ["seed", "steps"]
        assert offered[-len(own) :] == own
    assert tab('wf["KSampler"].s') == (["seed", "steps", "sampler_name", "scheduler"], "s")
    assert tab('wf["KSampler"]["s').matches == ["seed", "steps", "sampler_name", "scheduler"]
    assert tab('wf["Positive"].').matches[:1] == ["text"]


def test_an_input_shows_the_values_that_the_server_allows(tab):
    for target in (
        'wf["KSampler"].sampler_name',
        "node['sampler_name']",
        'subgraph["KSampler"].sampler_name',
    ):
        offered = tab(f'{target} = "')
        assert offered.matches[:2] == ["euler", "euler_ancestral"]
        assert offered.replaces == ""
    assert tab("node.sampler_name='dpmpp_3m_sde_") == (["dpmpp_3m_sde_gpu"], "dpmpp_3m_sde_")
    assert tab('wf["Load Checkpoint"].ckpt_name = "demo-t').matches == ["demo-textures.safetensors"]


def test_what_is_not_ours_is_left_to_others(kernel: LiveKernel, tab):
    kernel.run("text = 'some text'; plain = {'a key': 1}")
    assert "upper" in tab("text.").matches
    assert tab('plain["').matches == ["a key"]
    assert tab('wf["Pos').matches == ["Positive"]
