"""Whose message is it? The kinds that do not say so themselves, on servers that several people use."""

from __future__ import annotations

import pytest

from comfy_nb.client.routing import Router
from comfy_nb.wire import messages as m

MINE, MINE_TOO, FOREIGN = "mine", "mine-too", "foreign"
FRAME = m.PreviewImage("image/jpeg", b"\xff\xd8\xff")
TEXT = m.ProgressText("3", "half way", None)
REJOIN = m.Executing("3", None, None)
NAMELESS = (FRAME, TEXT, REJOIN)


def has_node(prompt_id: str, node_id: str) -> bool:
    return node_id == "3" and prompt_id in (MINE, MINE_TOO)


@pytest.fixture
def router() -> Router:
    return Router({MINE, MINE_TOO}, has_node)


def error(prompt_id: str, exception_type: str = "ValueError") -> m.ExecutionError:
    return m.ExecutionError(prompt_id, "3", "KSampler", exception_type, "boom", (), (), None, {})


def named(prompt_id: str) -> list[m.Message]:
    return [
        m.ExecutionStart(prompt_id, None),
        m.ExecutionCached(prompt_id, (), None),
        m.Executing("3", "3", prompt_id),
        m.Progress(1, 20, "3", prompt_id),
        m.ProgressState(prompt_id, ()),
        m.PreviewWithMetadata(prompt_id, "3", "3", None, "3", "image/png", b"x"),
        m.ProgressText("99", "x", prompt_id),
        m.Executed("9", "9", {}, prompt_id),
        error(prompt_id, "ExecutionBlocked"),
        m.ExecutionSuccess(prompt_id, None),
        error(prompt_id),
        m.ExecutionInterrupted(prompt_id, "3", "KSampler", (), None),
        m.Executing(None, None, prompt_id),
    ]


@pytest.mark.parametrize("message", named(MINE), ids=lambda message: type(message).__name__)
def test_a_message_that_names_a_prompt_of_ours_is_its(router: Router, message: m.Message) -> None:
    assert router.owner(message) == MINE


@pytest.mark.parametrize("message", named(FOREIGN), ids=lambda message: type(message).__name__)
def test_a_message_that_names_a_foreign_prompt_is_nobodys(router: Router, message: m.Message) -> None:
    assert router.owner(message) is None


@pytest.mark.parametrize(
    "message",
    [m.Status(1, None), m.FeatureFlags({}), m.Unknown("x", ""), m.Progress(1, 2, "3", None), *NAMELESS],
)
def test_what_names_nobody_is_nobodys_before_anything_started(router: Router, message: m.Message) -> None:
    assert router.owner(message) is None


@pytest.mark.parametrize("sign", named(MINE)[:5], ids=lambda message: type(message).__name__)
def test_nameless_messages_belong_to_the_prompt_that_runs(router: Router, sign: m.Message) -> None:
    router.owner(sign)
    assert [router.owner(message) for message in NAMELESS] == [MINE] * 3


@pytest.mark.parametrize("sign", named(FOREIGN)[:5], ids=lambda message: type(message).__name__)
def test_nameless_messages_of_a_foreign_prompt_are_nobodys(router: Router, sign: m.Message) -> None:
    """A prompt without a client id is broadcast: progress with its id, frames without any."""
    router.owner(m.ExecutionStart(MINE, None))
    router.owner(sign)
    assert [router.owner(message) for message in NAMELESS] == [None] * 3


@pytest.mark.parametrize("end", named(MINE)[-4:], ids=lambda message: f"{type(message).__name__}")
def test_nameless_messages_after_the_end_are_nobodys(router: Router, end: m.Message) -> None:
    router.owner(m.ExecutionStart(MINE, None))
    router.owner(end)
    assert [router.owner(message) for message in NAMELESS] == [None] * 3


def test_a_blocked_branch_is_not_the_end(router: Router) -> None:
    router.owner(m.ExecutionStart(MINE, None))
    router.owner(error(MINE, "ExecutionBlocked"))
    assert router.owner(FRAME) == MINE


def test_a_late_end_of_another_prompt_ends_nothing(router: Router) -> None:
    router.owner(m.ExecutionStart(MINE_TOO, None))
    router.owner(m.Executing(None, None, MINE))
    assert router.owner(FRAME) == MINE_TOO


def test_text_and_greeting_only_for_nodes_of_the_prompt(router: Router) -> None:
    router.owner(m.ExecutionStart(MINE, None))
    assert router.owner(m.ProgressText("77", "x", None)) is None
    assert router.owner(m.Executing("77", None, None)) is None


def test_an_end_without_a_prompt_is_nobodys(router: Router) -> None:
    router.owner(m.ExecutionStart(MINE, None))
    assert router.owner(m.Executing(None, None, None)) is None
    assert router.owner(FRAME) == MINE


def test_a_lost_connection_forgets_who_runs(router: Router) -> None:
    router.owner(m.ExecutionStart(MINE, None))
    router.forget()
    assert [router.owner(message) for message in NAMELESS] == [None] * 3
    router.owner(m.Progress(3, 20, "3", MINE))  # old servers say no more than this
    assert router.owner(FRAME) == MINE


def test_a_prompt_that_is_no_longer_ours_gets_nothing() -> None:
    ours = {MINE}
    router = Router(ours, has_node)
    router.owner(m.ExecutionStart(MINE, None))
    ours.clear()
    assert [router.owner(message) for message in NAMELESS] == [None] * 3
