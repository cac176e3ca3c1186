"""The shelf: thumbnails of jobs, wanted by several pages at once, whatever is dismissed meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from comfy_nb.loop import get_loop
from comfy_nb.widgets import shelf as module
from comfy_nb.widgets.shelf import Shelf, Thumb


class Rig:
    """A shelf on the real loop, over jobs whose thumbnails are made as slowly as a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there = set(range(100))
        self.gate = threading.Event()
        self.sent: list[list[int]] = []
        self.made: list[int] = []
        monkeypatch.setattr(module, "make_thumb", self._make)
        self.shelf = get_loop().do(lambda: Shelf(get_loop(), self._outputs, self._send, lambda: None))

    def _outputs(self, key: int) -> Sequence[Any] | None:
        return [SimpleNamespace(key=key)] if key in self.there else None

    def _make(self, outputs: Sequence[Any]) -> Thumb:
        self.gate.wait(10)
        self.made.append(outputs[0].key)
        return Thumb(text=str(outputs[0].key))

    def _send(self, content: dict[str, Any], _: list[bytes]) -> None:
        self.sent.append([thumb["i"] for thumb in content["thumbs"]])

    def want(self, page: str, *keys: int) -> None:
        get_loop().do(self.shelf.want, page, keys)

    def until_sent(self, *keys: int) -> None:
        limit = time.monotonic() + 10
        while not set(keys) <= {key for keys in self.sent for key in keys}:
            assert time.monotonic() < limit, f"only {self.sent} came"
            time.sleep(0.01)


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(monkeypatch)


def test_what_is_dismissed_while_both_workers_are_at_it_stops_nobody(rig: Rig) -> None:
    rig.want("a", 1, 2, 3, 4)
    rig.there -= {1, 2}
    rig.gate.set()
    rig.until_sent(3, 4)


def test_the_wants_of_one_page_leave_those_of_another(rig: Rig) -> None:
    rig.want("a", 1, 2, 3)
    rig.want("b", 4, 5)
    rig.gate.set()
    rig.until_sent(1, 2, 3, 4, 5)


def test_a_page_that_scrolls_on_wants_what_it_shows_now(rig: Rig) -> None:
    rig.want("a", *range(40))
    rig.want("a", 50, 51)
    rig.gate.set()
    rig.until_sent(50, 51)
    assert len(rig.made) <= 4  # and the two that were begun


def test_a_job_that_is_not_there_is_passed_over(rig: Rig) -> None:
    rig.gate.set()
    rig.want("a", 200, 201, 202, 7)
    rig.until_sent(7)
