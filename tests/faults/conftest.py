"""A server behind a bad link for each test, and no patience: the delays of the client are short here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import comfy_nb as cn
from comfy_nb.client import timing
from comfy_nb.testing import FaultyLink
from tests.client.conftest import nothing_blocks, nothing_left, nothing_printed
from tests.faults.host import HostProcess
from tests.faults.stand import SHORT, Stand

__all__ = ["nothing_blocks", "nothing_left", "nothing_printed"]

STEP_TIME = 0.02  # seconds


@pytest.fixture(scope="session")
def host() -> Iterator[HostProcess]:
    host = HostProcess(1, STEP_TIME)
    yield host
    host.close()


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "TIMING", SHORT)


@pytest.fixture
def stand(host: HostProcess) -> Iterator[Stand]:
    host.ask("diary", 0)
    with FaultyLink(host.urls[0]) as link:
        yield Stand(host, link)


@pytest.fixture
def comfy(stand: Stand) -> Iterator[cn.Comfy]:
    with cn.connect(stand.link.url) as comfy:
        yield comfy
