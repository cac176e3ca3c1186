"""A kernel that computes does not stop our reading: measured at the server, whose send queue stays empty.

$BUSY_SECONDS says how long it computes, by default 3 seconds.
"""

from __future__ import annotations

import json
import os
import time

import httpx2
import pytest
from websockets.sync.client import connect

import comfy_nb as cn
from tests.client.helpers import LIMIT, until
from tests.faults.host import HostProcess
from tests.faults.stand import fetched, graph, until_step

SECONDS = float(os.environ.get("BUSY_SECONDS", "3"))
STEPS = round(100 * SECONDS)  # each takes 0.02 s at least
SOME_FRAMES = 256 << 10  # bytes, on their way


def compute(seconds: float) -> int:
    """Pure Python, without a pause."""
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        number = (number * 31 + 7) % 1_000_003
    return number


@pytest.mark.timeout(60 + 4 * SECONDS)
def test_the_servers_send_queue_stays_empty_while_the_kernel_computes(host: HostProcess) -> None:
    with cn.connect(host.urls[0]) as comfy:
        job = comfy.submit(graph(STEPS, size=512))
        until_step(job, 5)
        host.ask("queues", 0)
        before = job.snapshot().step
        compute(SECONDS)
        queues = host.ask("queues", 0)
        read = job.snapshot().step - before
        print(f"{SECONDS:g} s busy: {queues}, {read} steps read")
        assert queues["sent"] > 10 * SOME_FRAMES
        assert queues["peak"] < SOME_FRAMES
        assert read > 10 * SECONDS
        job.interrupt()
        with pytest.raises(cn.JobCancelled):
            job.result(LIMIT)
        assert fetched(job) == []


def test_a_client_that_does_not_read_is_seen_there(host: HostProcess) -> None:
    url = host.urls[0]
    with connect(f"ws{url.removeprefix('http')}/ws?clientId=idle", proxy=None, max_queue=1) as socket:
        socket.send(json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}))
        host.ask("queues", 0)
        with httpx2.Client(base_url=f"{url}/api", trust_env=False) as http:
            body = {"prompt": graph(1000, size=512), "client_id": "idle"}
            prompt_id = http.post("/prompt", json=body).json()["prompt_id"]
            until(lambda: host.ask("queues", 0)["peak"] > SOME_FRAMES, limit=30)
            http.post(f"/jobs/{prompt_id}/cancel")
