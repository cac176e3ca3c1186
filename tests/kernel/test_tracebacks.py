"""What a user sees of an error, in a real kernel: the line that they wrote, and the sentence."""

from __future__ import annotations

import re

import pytest

from tests.kernel.conftest import LiveKernel

PREPARE = """
import comfy_nb as cn
from comfy_nb.server.process import EmbeddedServer

server, slow_server = (EmbeddedServer.start(step_time=seconds) for seconds in (0, 2))  # they end with the kernel
comfy = cn.connect(server.url)
wf = cn.example()
board = cn.JobBoard(comfy)
failed = comfy.submit(wf, {"Empty Latent Image.width": 16384, "Empty Latent Image.height": 16384})
refused = comfy.submit(wf, {"KSampler.cfg": 1000})
several = comfy.submit(wf, {"Empty Latent Image.batch_size": 2, "KSampler.steps": 1})
new = cn.Job(wf, comfy)
cn.wait([failed, refused, several], 20)
slow = cn.connect(slow_server.url).submit(wf)
"""
ENDS_OF_A_LINE = [
    ('comfy.submit("a castle at sunset")', "that looks like a prompt: comfy.submit(cn.example(), "),
    ('comfy.submit("missing.json")', "NotAWorkflow: There is no file missing.json."),
    ("comfy.submit(7)", "NotAWorkflow: "),
    ('comfy.submit(wf, {"KSamplr.seed": 1})', "UnknownNode: "),
    ('cn.Workflow.load("missing.json")', "NotAWorkflow: "),
    ('cn.example("x")', "ValueError: There is no example 'x'"),
    ('wf["KSamplr"]', "UnknownNode: There is no node 'KSamplr'"),
    ('wf["KSampler"].cgf', "UnknownInput: "),
    ('wf["KSampler"].cfg = object()', "WorkflowError: "),
    ('wf["KSampler"].id = "4"', "AttributeError: 'id' is the node's own"),
    ('wf.set({"KSampler.cgf": 1})', "UnknownInput: "),
    ("failed.result()", "ExecutionFailed: "),
    ("failed.image", "ExecutionFailed: "),
    ("await failed", "ExecutionFailed: "),
    ("refused.result()", "WorkflowInvalid: "),
    ("several.image", "NotOneImage: "),
    ("several.outputs['Nope']", "OutputError: "),
    ("new.result()", "JobNotStarted: "),
    ("slow.result(0.01)", "TimeoutError: Not finished after 0.01 s"),
    ("list(cn.as_completed([slow], 0.01))", "TimeoutError: "),
    ('board["nope"]', "UnknownJob: "),
    ('cn.JobBoard("x")', "TypeError: "),
    ('cn.connect("http://127.0.0.1:1")', "ConnectionFailed: No ComfyUI answers"),
    ('cn.connect(comfy.url, preview="x")', "ValueError: "),
    ('cn.demo(world="x")', "ValueError: "),
    ("cn.configure(steps=-1)", "ValueError: "),
    ('comfy.attach("11111111-1111-4111-8111-111111111111")', "JobLost: "),
]


@pytest.fixture(scope="module")
def kernel(kernels) -> LiveKernel:
    kernel = kernels("7.4.0")
    kernel.run(PREPARE, limit=30)
    return kernel


def traceback(kernel: LiveKernel, code: str) -> str:
    """What a front end shows of the error that a cell ends with."""
    return ending(kernel, kernel.start(code))


def ending(kernel: LiveKernel, cell: str) -> str:
    """The same of a cell that runs."""
    kernel.finish(cell, limit=20)
    shown = [m for m in kernel.seen if m["msg_type"] == "error" and m["parent_header"].get("msg_id") == cell]
    return re.sub(r"\x1b\[[\d;]*m", "", "\n".join(shown[-1]["content"]["traceback"]))


def frames(shown: str) -> list[str]:
    """The head lines of its frames."""
    return re.findall(r"^(?:Cell In|File ).*", shown, re.MULTILINE)


@pytest.mark.parametrize(("line", "sentence"), ENDS_OF_A_LINE)
def test_an_error_is_the_users_line_and_a_sentence(kernel: LiveKernel, line: str, sentence: str):
    shown = traceback(kernel, f"value = 1\n{line}")
    assert sentence in shown
    found = frames(shown)
    assert len(found) == 1, shown
    assert re.fullmatch(r"Cell In *\[\d+\], line 2", found[0]), found
    assert "comfy_nb/" not in shown.partition("The server's own traceback:")[0]
    assert f"2 {line}" in shown


def test_the_users_own_functions_and_earlier_errors_stay(kernel: LiveKernel):
    shown = traceback(kernel, "def ask():\n    return wf['nope']\n\nask()")
    assert len(frames(shown)) == 2
    shown = traceback(kernel, "try:\n    {}['mine']\nexcept KeyError:\n    wf['nope']")
    assert len(frames(shown)) == 2
    assert "KeyError: 'mine'" in shown


def test_an_interrupted_wait_is_the_users_line_too(kernel: LiveKernel):
    cell = kernel.start("say('waiting')\nslow.result()")
    kernel.says("waiting")
    kernel.heard(kernel.click())  # answered by the wait itself, so it has begun
    kernel.interrupt()
    shown = ending(kernel, cell)
    assert len(frames(shown)) == 1, shown
    assert "KeyboardInterrupt: The waiting was interrupted; the job itself goes on" in shown


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            "HBox([new])",
            "A Job is not a widget itself, it has one: put job.view there, as in HBox([job.view]).",
        ),
        (
            "Tab((board,))",
            "A JobBoard is not a widget itself, it has one: put board.view there, as in HBox([board.view]).",
        ),
        ("AppLayout(center=new)", "put job.view there"),
        ("GridspecLayout(1, 1)[0, 0] = new", "put job.view there"),
        ("HBox([1])", ""),
    ],
)
def test_a_layout_that_wants_a_widget_is_told_of_view(kernel: LiveKernel, code: str, sentence: str):
    cell = kernel.start(f"from ipywidgets import *; import comfy_nb as cn; {code}")
    printed = kernel.finish(cell, limit=20)
    assert printed.error in ("TraitError", "AttributeError")
    assert sentence in printed.text
    assert printed.text.count("\n") == bool(sentence)


def test_views_are_taken_in_layouts(kernel: LiveKernel):
    kernel.run("from ipywidgets import HBox; box = HBox([new.view, board.view])")
    assert (
        kernel.value("[child is view for child, view in zip(box.children, (new.view, board.view))]")
        == [True] * 2
    )


def test_the_second_time_is_like_the_first(kernel: LiveKernel):
    first, second = (traceback(kernel, "failed.result()") for _ in range(2))
    assert len(frames(second)) == len(frames(first)) == 1


def test_the_servers_traceback_is_still_there(kernel: LiveKernel):
    assert "The server's own traceback:" in traceback(kernel, "failed.result()")


def test_whoever_wants_all_frames_gets_them(kernel: LiveKernel):
    kernel.run("%xmode Verbose")
    try:
        assert "comfy_nb/" in traceback(kernel, "wf['nope']")
    finally:
        kernel.run("%xmode Context")
    assert kernel.value("sys.last_value.__traceback__.tb_next.tb_next is not None")
