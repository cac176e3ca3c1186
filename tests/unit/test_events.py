"""From a message of the socket to what it means for one prompt."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfy_nb import events as ev
from comfy_nb.events import from_message
from comfy_nb.events.types import MAX_TEXT
from comfy_nb.wire import messages as m
from comfy_nb.wire.records import FileRef, NodeOutput
from tests.unit.plans import PROMPT_ID as P


def error(exception_type: str, message: str) -> m.ExecutionError:
    return m.ExecutionError(P, "3", "KSampler", exception_type, message, (), (), None, {})


PICTURE = {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}], "text": ["hi"]}
MEANINGS: list[tuple[m.Message, ev.Event | None]] = [
    (m.Status(1, None), None),
    (m.FeatureFlags({}), None),
    (m.Unknown("x", "y"), None),
    (m.ExecutionStart(P, 1), ev.Started()),
    (m.ExecutionCached(P, ("4", "5"), 1), ev.NodesCached(("4", "5"))),
    (m.Executing("3", "3", P), ev.NodeStarted("3")),
    (m.Executing("3", None, None), ev.NodeStarted("3")),  # to a socket that re-joins
    (m.Executing(None, None, P), ev.Finishing()),
    (m.Progress(3, 20, "3", P), ev.Progressed("3", 3, 20)),
    (m.Progress(3, 20, None, P), None),
    (m.ProgressState(P, ()), None),  # `run.differences` says what is new in it
    (
        m.Executed("9", "9", PICTURE, P),
        ev.NodeExecuted("9", NodeOutput("9", "9", (FileRef("a.png", "", "output", None),), ("hi",))),
    ),
    (m.Executed("5.0.0.3", "5", {}, P), ev.NodeExecuted("5.0.0.3", NodeOutput("5.0.0.3", "5", (), ()))),
    (m.ExecutionSuccess(P, 1), ev.Finishing()),
    (error("ValueError", "boom\n"), ev.Finishing()),
    (m.ExecutionInterrupted(P, "3", "KSampler", (), 1), ev.Finishing()),
    (error("ExecutionBlocked", "Execution Blocked: no\nface \n"), ev.Warned("Execution Blocked: no face")),
    (error("ExecutionBlocked", " \n"), ev.Warned("Execution was blocked.")),
    (m.PreviewImage("image/jpeg", b"x"), ev.Preview("", "image/jpeg", b"x")),
    (m.PreviewWithMetadata(P, "3", "3", None, "3", "image/png", b"x"), ev.Preview("3", "image/png", b"x")),
    (m.ProgressText("3", "half\tway\n", P), ev.NodeText("3", "half way")),
]


@pytest.mark.parametrize(("message", "event"), MEANINGS, ids=lambda value: type(value).__name__)
def test_what_a_message_means(message: m.Message, event: ev.Event | None) -> None:
    assert from_message(message) == event


def test_every_kind_of_message_is_here() -> None:
    assert {type(message) for message, _ in MEANINGS} == set(get_args(m.Message))


@pytest.mark.parametrize("length", [MAX_TEXT - 1, MAX_TEXT, MAX_TEXT + 1, 5_000_000])
def test_a_server_cannot_make_us_say_megabytes(length: int) -> None:
    said = from_message(m.ProgressText("3", "x" * length, P))
    warned = from_message(error("ExecutionBlocked", "x" * length))
    assert isinstance(said, ev.NodeText)
    assert isinstance(warned, ev.Warned)
    assert len(said.text) == len(warned.text) == min(length, MAX_TEXT)


@given(st.text())
def test_what_is_said_is_one_line(text: str) -> None:
    said = from_message(m.ProgressText("3", text, P))
    assert isinstance(said, ev.NodeText)
    assert said.text.splitlines() in ([], [said.text])


def test_the_bytes_of_a_picture_stay_out_of_the_repr() -> None:
    assert "secret" not in repr(ev.Preview("3", "image/jpeg", b"secret"))
