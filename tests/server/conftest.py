"""One embedded server, as a real child process, for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from comfy_nb.server.process import EmbeddedServer
from tests.server.talk import Talker, talking


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer.start(step_time=0) as running:
        yield running


@pytest.fixture
def talker(server: EmbeddedServer) -> Iterator[Talker]:
    with talking(server.url) as client:
        yield client
