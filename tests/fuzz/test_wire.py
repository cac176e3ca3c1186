"""The parsers of `comfy_nb.wire` on spoiled recordings and on noise; `fuzz_wire.py` does the same a million times."""

from __future__ import annotations

import math
import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfy_nb.wire import messages as m
from comfy_nb.wire.records import Queue, QueueItem
from tests.fuzz.mutations import frames, replies, spoiled
from tests.fuzz.promises import READERS, check_frame, check_reply, conforms

dice = st.randoms(use_true_random=False)
short = settings(max_examples=300)


@short
@given(st.sampled_from(frames()), dice, st.booleans())
def test_any_spoiled_frame_is_a_message(raw: str | bytes, dice: random.Random, flag: bool) -> None:
    check_frame(spoiled(raw, dice), text_has_prompt_id=flag)


@short
@given(st.sampled_from(replies()), dice)
def test_any_spoiled_answer_is_read_or_refused(reply: tuple[str, str], dice: random.Random) -> None:
    check_reply(reply[0], spoiled(reply[1], dice))


@short
@given(st.text() | st.binary(), st.sampled_from(sorted(READERS)), st.booleans())
def test_noise(raw: str | bytes, route: str, flag: bool) -> None:
    check_frame(raw, text_has_prompt_id=flag)
    check_reply(route, raw)


def test_what_was_recorded_keeps_every_promise() -> None:
    assert not any(isinstance(check_frame(raw), m.Unknown) for raw in frames())
    assert all(check_reply(route, raw) is not None for route, raw in replies())
    assert {route for route, _ in replies()} == set(READERS)


@pytest.mark.parametrize("seed", range(4))
def test_a_thousand_spoiled_frames_in_bounded_time(seed: int) -> None:
    dice = random.Random(seed)
    slowest = 0.0
    for _ in range(1000):
        raw = spoiled(frames()[dice.randrange(len(frames()))], dice)
        began = time.thread_time()
        m.parse(raw)
        slowest = max(slowest, time.thread_time() - began)
    assert slowest < 0.5, "at most 64 kB: a few ms, and the rest is a busy machine's"


@pytest.mark.parametrize(
    ("value", "declared"),
    [
        (m.Executing(3, None, None), m.Message),
        (m.ExecutionCached("p", (3,), None), m.Message),
        (m.ExecutionCached("p", ["3"], None), m.Message),
        (m.Progress(math.nan, 1, None, None), m.Message),
        (m.FeatureFlags([]), m.Message),
        ("text", m.Message),
        (Queue((QueueItem(1, "p", {}, {}, ("9", None)),), ()), Queue),
    ],
)  # fmt: skip
def test_the_promises_can_be_broken(value: Any, declared: Any) -> None:
    assert not conforms(value, declared)


@pytest.mark.parametrize("value", [{"a": math.nan}, {"a": "\ud800"}, {"a": {1, 2}}])
def test_what_a_browser_cannot_be_sent_is_noticed(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        conforms(m.FeatureFlags(value), m.Message)


def test_the_recordings_are_really_spoiled() -> None:
    dice = random.Random(1)
    inputs = [(raw, spoiled(raw, dice)) for raw in frames()]
    assert sum(before != after for before, after in inputs) > 0.95 * len(inputs)
    heard = [type(check_frame(after)) for _, after in inputs]
    assert 0.1 < heard.count(m.Unknown) / len(heard) < 0.9, "neither all nonsense nor all as recorded"
