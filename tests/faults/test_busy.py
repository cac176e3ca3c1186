"""A kernel that computes does not stop our reading: measured at the server, whose send queue stays empty.

$BUSY_SECONDS says how long it computes, by default 3 seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from websockets.sync.client import connect

import comfy_nb as cn
from tests.client.helpers import LIMIT, until
from tests.faults.host import HostProcess
from tests.faults.stand import graph, until_step

SECONDS = float(os.environ.get("BUSY_SECONDS", "3"))
SLACK = 2 << 20  # bytes that may be on their way


def compute(seconds: float) -> int:
    """Pure Python, without a pause."""
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        number = (number * 31 + 7) % 1_000_003
    return number


@pytest.fixture
def flood(host: HostProcess) -> Iterator[None]:
    """The server sends 64 kB to everybody, a hundred times a second: more than any buffer takes."""
    host.ask("flood", 0)
    yield
    host.ask("calm", 0)


@pytest.mark.timeout(60 + 4 * SECONDS)
@pytest.mark.usefixtures("flood")
def test_the_servers_send_queue_stays_empty_while_the_kernel_computes(
    host: HostProcess, capfd: pytest.CaptureFixture[str]
) -> None:
    with cn.connect(host.urls[0]) as comfy:
        job = comfy.submit(graph(1000 + round(50 * SECONDS)))
        until_step(job, 5)
        host.ask("queues", 0)
        before = job.snapshot().step
        compute(SECONDS)
        queues = host.ask("queues", 0)
        steps = job.snapshot().step - before
        with capfd.disabled():
            print(f"\nbusy for {SECONDS:g} s: {queues} bytes, {steps} steps heard of")
        assert queues["sent"] > 2 * SLACK
        assert queues["peak"] < SLACK
        assert steps > 5 * SECONDS
        job.interrupt()
        with pytest.raises(cn.JobCancelled):
            job.result(LIMIT)


@pytest.mark.usefixtures("flood")
def test_a_client_that_does_not_read_is_seen_there(host: HostProcess) -> None:
    address = host.urls[0].replace("http", "ws")
    with connect(f"{address}/ws?clientId=idle", proxy=None, max_queue=1, close_timeout=0.1):
        host.ask("queues", 0)
        until(lambda: host.ask("queues", 0)["peak"] > SLACK, limit=30)
