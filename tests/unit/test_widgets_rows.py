"""Rows of a board: short whatever a server says, and their titles."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfy_nb import events as ev
from comfy_nb.errors import Problem
from comfy_nb.others import OtherJob, row_of_other
from comfy_nb.record import Record, Request
from comfy_nb.snapshot import ErrorView, Snapshot
from comfy_nb.widgets.rows import JOINERS, MAX_ROW, clip, row_of
from comfy_nb.workflow.plan import make_plan

GRAPH = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 20}, "_meta": {"title": "KSampler"}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}, "_meta": {"title": "Save Image"}},
}


def record() -> Record:
    made = Record(Request(make_plan(GRAPH, "00000000-0000-4000-8000-000000000001", title="A bottle"), GRAPH))
    made.feed(ev.LinkChanged("connected", ""))
    return made


def snapshot(**changes: object) -> Snapshot:
    return replace(record().snapshot(), **changes)


def size(row: dict[str, object]) -> int:
    return len(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogateescape"))


def test_running_says_where_it_stands():
    made = record()
    for event in (ev.Submitted(1), ev.Started(), ev.NodeStarted("3"), ev.Progressed("3", 6, 20)):
        made.feed(event)
    row = row_of(7, made.snapshot(), "seed 7")
    assert (row["i"], row["t"], row["s"], row["n"], row["a"], row["b"]) == (
        7,
        "seed 7",
        "running",
        "KSampler",
        6,
        20,
    )
    assert 0 < row["p"] < 1
    assert "m" not in row
    assert "v" not in row
    assert "l" in row_of(7, replace(made.snapshot(), left=(1.0, 2.0)), "seed 7")
    assert "l" not in row_of(7, replace(made.snapshot(), left=(1.0, 2.0), link="reconnecting"), "seed 7")


def test_queued_says_its_place():
    row = row_of(1, snapshot(status="queued", position=3), "x")
    assert (row["s"], row["q"], row["m"], row["d"]) == ("queued", 3, "waiting", "3rd in line")


def test_what_is_off_or_empty_is_left_out():
    assert row_of(1, snapshot(status="new", position=None), "") == {
        "i": 1,
        "t": "",
        "s": "new",
        "d": "not sent yet",
    }


def test_previews_that_are_off_are_said():
    assert row_of(1, snapshot(status="queued", previews=False), "")["v"] is True


def test_a_failure_says_the_node_and_the_first_line():
    problem = Problem("out of memory\nand much more", "3", "KSampler")
    error = ErrorView("KSampler failed", (problem,), "")
    row = row_of(1, snapshot(status="failed", error=error), "x")
    assert (row["n"], row["m"], row["d"]) == (problem.label, "failed at once", "out of memory")


@pytest.mark.parametrize(
    ("facts", "line", "empty"),
    [
        ({"status": "queued", "stopping": True}, "cancelling…", "in line"),
        ({"status": "queued", "link": "reconnecting", "position": 1}, "reconnecting", "1st in line"),
        ({"status": "running", "of": 20}, None, "the picture forms here"),
        ({"status": "running", "previews": False, "stopping": True}, "interrupting…", "previews are off"),
        ({"status": "running", "link": "reconnecting"}, "reconnecting", "the picture forms here"),
        ({"status": "succeeded", "elapsed": 2.1, "outputs": 1}, "done · 2.1 s", None),
        ({"status": "succeeded", "elapsed": 0.1, "note": "cached: …"}, "cached", "no output"),
        ({"status": "failed", "elapsed": 3.0}, "failed · 3.0 s", None),
        ({"status": "cancelled", "note": "interrupted at step 9"}, "interrupted at step 9", "Cancelled"),
        ({"status": "lost"}, "lost", "Lost"),
    ],
)
def test_its_words(facts: dict[str, object], line: str | None, empty: str | None):
    row = row_of(1, snapshot(**facts), "x")
    assert (row.get("m"), row.get("d")) == (line, empty)


@pytest.mark.parametrize(
    ("facts", "line", "empty"),
    [
        ({"status": "running"}, "running", "running"),
        ({"status": "queued", "position": 2}, "waiting", "2nd in line"),
        ({"status": "succeeded", "seconds": 4.0, "outputs": 2}, "done · 4.0 s", "2 outputs"),
        ({"status": "failed", "message": "out of memory"}, "failed at once", "out of memory"),
        ({"status": "cancelled"}, "cancelled", "Cancelled"),
    ],
)
def test_the_words_of_somebody_elses_row(facts: dict[str, object], line: str, empty: str):
    row = row_of_other(1, OtherJob("id", "Ada", "a castle", **facts), 0)
    assert (row["w"], row["m"], row["d"]) == ("Ada", line, empty)


ABUSE = {
    "html": "<script>alert(1)</script>" * 400,
    "quotes": "\\\"'" * 3000,
    "emoji": "👩‍👩‍👧‍👦" * 1000,
    "right to left": "\u202e\u05e9\u05dc\u05d5\u05dd" * 2000,
    "surrogates": "\ud800" * 10_000,
    "control": "\x00\x1b[31m\n" * 2000,
}
NASTY = st.text(st.characters(), max_size=300) | st.sampled_from(sorted(ABUSE))


@given(
    NASTY, NASTY, NASTY, st.sampled_from(["queued", "running", "succeeded", "failed", "cancelled", "lost"])
)
def test_a_row_is_short_whatever_is_in_it(title: str, label: str, message: str, status: str):
    title, label, message = (ABUSE.get(text, text) for text in (title, label, message))
    error = ErrorView(message, (Problem(message, "3", label),), message)
    given_row = snapshot(
        status=status,
        label=label,
        note=message,
        error=error if status == "failed" else None,
        progress=0.123456,
        step=12_345,
        of=99_999,
        elapsed=123_456.78,
        left=(1234.5, 9876.5),
        position=9_999,
        outputs=999,
        stopping=True,
        previews=False,
        link="reconnecting",
    )
    row = row_of(123_456, given_row, title, 15)
    assert size(row) <= MAX_ROW
    texts = "".join(value for value in row.values() if isinstance(value, str))
    assert texts.translate(dict.fromkeys(map(ord, JOINERS))).isprintable()


@pytest.mark.parametrize(
    ("text", "limit", "short"),
    [
        ("as it is", 20, "as it is"),
        ("one\n two\t\tthree", 30, "one two three"),
        ("abcdefghij", 8, "abcde…"),
        ("👩‍🎨", 30, "👩‍🎨"),
    ],
)
def test_clip(text: str, limit: int, short: str):
    assert clip(text, limit) == short
