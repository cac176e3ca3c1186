"""A cell is run again and again, without `with`: what it left is let go of, in real kernels, with Out[n] as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from comfy_nb.testing import Frames, ScriptedServer
from tests.client.helpers import graph
from tests.kernel.conftest import LiveKernel

CELL = """
import comfy_nb as cn
from IPython.display import display
comfy = cn.connect({url!r})
job = comfy.submit({graph})
display(job)
board = cn.JobBoard(comfy)
unseen = cn.JobBoard(comfy)
job.result(10)
job.start()
board
"""
COUNT = """
import asyncio, gc, json, os, threading, time
import ipywidgets
from comfy_nb.board import JobBoard
from comfy_nb.comfy import Comfy
from comfy_nb.loop import get_loop
from comfy_nb.record import Record
from comfy_nb.widgets.hub import hub_of
from comfy_nb.widgets.view import View

def counted():
    gc.collect()
    loop = get_loop()
    things = [each for each in gc.get_objects() if isinstance(each, Comfy | Record | JobBoard)]
    hub = hub_of(loop)
    return {
        "sockets": sum(os.readlink(f"/proc/self/fd/{n}").startswith("socket:") for n in os.listdir("/proc/self/fd")
                       if os.path.exists(f"/proc/self/fd/{n}")),
        "tasks": loop.do(lambda: len(asyncio.all_tasks(loop.asyncio))),
        "threads": sum(thread.name.startswith("comfy_nb") for thread in threading.enumerate()),
        "connections": sum(isinstance(each, Comfy) and not each.closed for each in things),
        "listeners": sum(len(each._listeners) for each in things if isinstance(each, Record)),
        "views": sum(isinstance(each, View) for each in ipywidgets.widgets.widget._instances.values()),
        "credits": len(hub.schedule.credits),
        "waiting": len(hub.schedule._waiting),
    }

def settled():
    "Counted until it stands still, as closing a connection takes its time."
    before = counted()
    for _ in range(40):
        time.sleep(0.1)
        now = counted()
        if now == before:
            return now
        before = now
    return now

print(json.dumps(settled()))
"""


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(Frames(count=4, rate=0)) as running:
        yield running


def run(kernel: LiveKernel, code: str, cell: str) -> str:
    """Run a cell that has an id, as front ends do; what it printed."""
    content = {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
    }
    message = kernel.client.session.msg("execute_request", content, metadata={"cellId": cell})
    kernel.client.shell_channel.send(message)
    outcome = kernel.finish(message["header"]["msg_id"], 30)
    assert not outcome.error, (outcome, kernel.seen[-5:])
    return outcome.text


def counted(kernel: LiveKernel) -> dict[str, Any]:
    return json.loads(run(kernel, COUNT, "count").splitlines()[-1])


@pytest.mark.timeout(120)
def test_a_cell_that_is_run_twenty_times_leaves_what_it_left_the_second_time(
    kernel: LiveKernel, server: ScriptedServer
) -> None:
    code = CELL.format(url=server.url, graph=graph())
    before = counted(kernel)  # other tests share the kernel
    for _ in range(2):
        run(kernel, code, "one")
    second = counted(kernel)
    for _ in range(18):
        run(kernel, code, "one")
    assert counted(kernel) == second
    assert second["connections"] - before["connections"] <= 2
    assert second["listeners"] - before["listeners"] <= 4

    run(kernel, "time.sleep(2.5)", "quiet")  # a board that is at rest keeps its contact sheet, once
    kernel.seen.clear()
    run(kernel, "time.sleep(1)", "quiet")
    assert [m["content"].get("data") for m in kernel.seen if m["msg_type"].startswith("comm")] == []

    run(kernel, "del comfy, job, board, unseen", "gone")
    run(kernel, "pass", "one")  # the cell that displayed them shows nothing any more
    left = counted(kernel)
    assert all(left[kind] == before[kind] for kind in ("connections", "views", "listeners")), (before, left)


def test_what_stands_in_two_cells_goes_on_when_one_of_them_runs_again(
    kernel: LiveKernel, server: ScriptedServer
) -> None:
    code = CELL.format(url=server.url, graph=graph())
    run(kernel, code, "one")
    run(kernel, "display(job)", "two")
    run(kernel, "pass", "one")
    assert run(kernel, "print(job.view.closed, board.view.closed)", "ask") == "False False\n"
    run(kernel, "shown = job._view", "ask")
    run(kernel, "pass", "two")
    assert run(kernel, "print(shown.closed, job.view is shown)", "ask") == "True False\n"
    run(kernel, "board.close(); comfy.close(); del comfy, job, board, unseen, shown", "ask")
