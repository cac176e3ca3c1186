"""Every test of the client ends with nothing left running, nothing printed, and no blocking call on the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import psutil
import pytest
from blockbuster import blockbuster_ctx

from comfy_nb.loop import get_loop
from tests.client.helpers import until

OURS = {
    "comfy_nb-loop",
    "comfy_nb-callback-0",
    "comfy_nb-worker-0",
    "comfy_nb-worker-1",
    "comfy_nb-store",
}


async def _tasks() -> set[str]:
    mine = asyncio.current_task()
    return {task.get_name() for task in asyncio.all_tasks() if task is not mine}


def tasks() -> set[str]:
    """The names of what runs on the loop thread."""
    return get_loop().run(_tasks()).result(5)


def threads() -> set[str]:
    """The names of threads beyond the main one and those that a process of ours has for good.

    Threads named asyncio_… are a loop's own, for looking up names of hosts.
    """
    names = {t.name for t in threading.enumerate() if t is not threading.main_thread()} - OURS
    return {name for name in names if not name.startswith("asyncio_")}


def connections() -> list[str]:
    """The network connections of this process that are up."""
    links = psutil.Process().net_connections("inet")
    return [f"{link.laddr}-{link.raddr}" for link in links if link.status in ("ESTABLISHED", "LISTEN")]


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """After a test no task, thread or socket is left that was not there before."""
    before = threads(), set(connections())
    yield
    until(lambda: not tasks(), "no task is left on the loop")
    until(lambda: threads() <= before[0], "no thread is left")
    until(lambda: set(connections()) <= before[1], "no connection is left")


@pytest.fixture(autouse=True)
def nothing_printed(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Threads never print, whatever happens."""
    yield
    assert capfd.readouterr() == ("", "")


@pytest.fixture(autouse=True)
def nothing_blocks() -> Iterator[None]:
    """A blocking call of the client on its loop thread is an error there, and so fails the test."""
    with blockbuster_ctx("comfy_nb.client"):
        yield
