"""What the package does to the process that uses it: nothing that one would notice."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil

import comfy_nb as cn
from comfy_nb.testing import Frames, ScriptedServer
from tests.client.conftest import tasks, threads
from tests.client.helpers import LIMIT, connected, graph

ROOT = Path(__file__).parents[2]


def run(code: str, *arguments: str) -> str:
    """What a fresh interpreter prints; it must print nothing to stderr and end by itself."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=50, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_import_brings_none_of_these():
    code = """
        import sys
        import comfy_nb
        unwanted = ["IPython", "ipykernel", "ipywidgets", "anywidget", "nest_asyncio", "nest_asyncio2"]
        unwanted += ["numpy", "starlette", "uvicorn", "jupyterlab", "comfy_nb.testing", "comfy_nb.server"]
        print([name for name in unwanted if name in sys.modules])
    """
    assert run(code) == "[]\n"


def test_a_process_that_ran_a_job_ends_by_itself_and_printed_nothing_of_ours():
    code = """
        import sys
        import comfy_nb as cn
        comfy = cn.connect(sys.argv[1])
        job = comfy.submit(sys.argv[2])
        print(job.result(20).image.size)
    """
    with ScriptedServer(Frames(count=3, rate=0)) as server:
        assert run(code, server.url, json.dumps(graph())) == "(256, 256)\n"


def test_what_is_closed_before_it_began_does_not_complain():
    code = """
        import gc, sys
        import comfy_nb as cn
        from comfy_nb.client.address import Address
        from comfy_nb.client.client import Client
        from comfy_nb.loop import get_loop

        async def close_at_once(client):
            await client.open()
            client._start(client.reconcile(), "look")
            await client.close()

        loop = get_loop()
        loop.run(close_at_once(Client(Address.parse(sys.argv[1]), loop))).result(20)
        gc.collect()
    """
    with ScriptedServer(Frames(count=3, rate=0)) as server:
        assert run(code, server.url) == ""


def test_a_process_may_end_while_a_job_runs_and_the_job_goes_on():
    code = """
        import sys
        import comfy_nb as cn
        job = cn.connect(sys.argv[1]).submit(sys.argv[2])
        next(event for event in job.events() if isinstance(event, cn.events.Preview))
    """
    with ScriptedServer(Frames(count=100_000, rate=100)) as server:
        assert run(code, server.url, json.dumps(graph())) == ""
        assert not any("cancel" in entry.what for entry in server.log)


def test_asyncio_is_the_same_after_a_job():
    code = """
        import asyncio, sys
        asyncio.get_event_loop_policy()  # asyncio makes it at the first use
        parts = [asyncio, asyncio.events, asyncio.tasks, asyncio.BaseEventLoop, asyncio.SelectorEventLoop]
        before = [dict(vars(part)) for part in parts]
        import comfy_nb as cn
        async def main():
            return len(await cn.connect(sys.argv[1]).submit(sys.argv[2]))
        print(asyncio.run(main()))
        print([part for part, old in zip(parts, before) if any(vars(part).get(k) is not old.get(k) for k in
               vars(part).keys() | old.keys() if k != "__warningregistry__")])
    """
    with ScriptedServer(Frames(count=3, rate=0)) as server:
        assert run(code, server.url, json.dumps(graph())) == "1\n[]\n"


def test_one_thread_serves_all_connections_and_closed_ones_leave_nothing():
    with connected(Frames(count=2, rate=0)) as (server, comfy):
        comfy.submit(graph()).result(LIMIT)
        before, files = threads(), psutil.Process().num_fds()
        for _ in range(5):
            with cn.connect(server.url) as other:
                other.submit(graph()).result(LIMIT)
        assert threads() == before
        assert len([name for name in tasks() if name == "comfy_nb socket"]) == 1
        assert (
            psutil.Process().num_fds() <= files + 2
        )  # the server's side of the last one may be closing still
