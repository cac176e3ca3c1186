"""A few schedules of the soak, always the same ones. ``make soak N=10000`` runs as many as you like."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.soak import FAULTS, NOTHING, Report, soak, verdict

SEEDS = range(60)


@pytest.mark.timeout(120)
def test_no_schedule_of_faults_and_submits_ends_wrong() -> None:
    report = Report()
    asyncio.run(soak(len(SEEDS), SEEDS[0], 4, report))
    assert (report.wrong, report.hangs, report.foreign) == ([], [], [])
    assert (report.schedules, report.left) == (len(SEEDS), NOTHING)
    assert set(report.faults) == set(FAULTS)
    assert report.frames > report.jobs


PUT, TOOK, FORGOT = ["put", "a", None], ["took", "a", None], ["forgot", "a", None]
RESTARTED, REMOVED = ["restarted", "all", None], ["removed", "a", None]
DONE = ["ended", "a", {"how": "execution_success", "files": ["x"]}]
STOPPED = ["ended", "a", {"how": "execution_interrupted", "files": []}]


@pytest.mark.parametrize(
    ("story", "stop_asked", "unanswered", "allowed"),
    [
        ([], False, True, {"failed"}),
        ([RESTARTED], False, False, {"failed", "lost"}),
        ([PUT, TOOK, DONE], False, False, {"succeeded"}),
        ([PUT, TOOK, DONE], True, True, {"succeeded"}),
        ([PUT, TOOK, STOPPED], True, False, {"cancelled"}),
        ([PUT, REMOVED], True, False, {"cancelled"}),
        ([PUT, REMOVED], False, False, {"lost"}),
        ([PUT, TOOK, RESTARTED], False, False, {"lost"}),
        ([PUT, TOOK, RESTARTED], False, True, {"lost", "failed"}),
        ([RESTARTED, PUT, TOOK, DONE], False, False, {"succeeded"}),
        ([PUT, TOOK, DONE, FORGOT], False, False, {"succeeded", "lost"}),
        ([PUT, PUT, TOOK, DONE], False, False, set()),
    ],
)
def test_the_verdict_allows_no_more_than_the_story_does(
    story: list[list[object]], stop_asked: bool, unanswered: bool, allowed: set[str]
) -> None:
    assert verdict(story, stop_asked, unanswered)[0] == allowed


def test_where_nobody_can_tell_lost_will_do() -> None:
    assert verdict([], False, True, bare=True)[0] == {"failed", "lost"}
