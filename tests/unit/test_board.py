"""JobBoard over scripted servers and a comm that records: what is on it, what can be done with it, what it sends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import comm
import pytest
from PIL import Image

import comfy_nb as cn
from comfy_nb.store import get_store
from comfy_nb.testing import Frames, ScriptedServer
from comfy_nb.widgets import hub
from tests.client.helpers import graph, until
from tests.unit.test_widgets_job_view import RecordingComm, settle

LIMIT = 15.0


class Page:
    """The front end's half of one widget: hears everything, says what a page says."""

    def __init__(self, line: RecordingComm) -> None:
        self.line = line

    def says(self, **content: Any) -> None:
        self.line.says(content)
        settle()

    @property
    def rows(self) -> dict[int, dict[str, Any]]:
        """The rows as a page would have them now."""
        rows: dict[int, dict[str, Any]] = {}
        for _, method, data, _ in list(self.line.sent):
            content = data.get("content", {}) if method == "custom" else {}
            if content.get("k") == "all":
                rows = {row["i"]: row for row in content["rows"]}
            if content.get("k") == "rows":
                rows |= {row["i"]: row for row in content["rows"]}
                rows = {key: row for key, row in rows.items() if key not in content["gone"]}
        return rows

    def statuses(self) -> list[str]:
        return [row["s"] for row in self.rows.values()]

    def last(self, kind: str) -> dict[str, Any]:
        return self.line.messages(kind)[-1]


@pytest.fixture
def comms(monkeypatch) -> list[RecordingComm]:
    made: list[RecordingComm] = []

    def create(**opening: Any) -> RecordingComm:
        made.append(
            RecordingComm(
                comm_id=f"c{len(made)}", sent=[(threading.current_thread().name, "open", opening["data"], [])]
            )
        )
        return made[-1]

    monkeypatch.setattr(comm, "create_comm", create)
    monkeypatch.setattr(hub, "_hub", None)  # what one test has sent is not to hold up the next one
    return made


@pytest.fixture
def servers() -> Iterator[list[ScriptedServer]]:
    with ScriptedServer(Frames(count=4, rate=0)) as one, ScriptedServer(Frames(count=4, rate=0)) as two:
        yield [one, two]


@pytest.fixture
def comfys(servers) -> Iterator[list[cn.Comfy]]:
    with cn.connect(servers[0].url) as one, cn.connect(servers[1].url) as two:
        yield [one, two]


@pytest.fixture
def make(comms) -> Iterator[Callable[..., Any]]:
    """Makes boards, closed at the end; gives the board and its page, which has said hello."""
    made: list[cn.JobBoard] = []

    def board(*connections: cn.Comfy, **options: Any) -> SimpleNamespace:
        made.append(cn.JobBoard(*connections, **options))
        _ = made[-1].view  # as a page that is going to show it does
        settle()
        page = Page(next(line for line in reversed(comms) if "counts" in line.sent[0][2]["state"]))
        page.says(k="hello", page="p1")
        return SimpleNamespace(board=made[-1], page=page)

    yield board
    for one in made:
        one.close()
    settle()


def submit(comfy: cn.Comfy, seed: int = 1, **options: Any) -> cn.Job:
    return comfy.submit(graph(), {"Sampler.seed": seed}, **options)


def ended(*jobs: cn.Job) -> None:
    cn.wait(jobs, timeout=LIMIT)
    assert all(job.done() for job in jobs)


def test_jobs_of_two_servers_appear_by_themselves_and_end(make, comfys):
    before = submit(comfys[0])
    rig = make(*comfys)
    after = [submit(comfys[1], seed) for seed in (7, 8)]
    assert rig.board.jobs == (before, *after)
    ended(before, *after)
    until(lambda: rig.page.statuses() == ["succeeded"] * 3)
    assert [rig.board.title(job) for job in rig.board] == ["seed 1", "seed 7", "seed 8"]
    assert [row["t"] for row in rig.page.rows.values()] == ["seed 1", "seed 7", "seed 8"]
    assert [row.get("f", 0) for row in rig.page.rows.values()] == [0, 1, 1]
    assert repr(rig.board) == "<JobBoard: 3 succeeded>"
    assert after[0] in rig.board
    assert len(rig.board) == 3


def test_only_these_jobs(make, comfys):
    mine, _ = submit(comfys[0], 1), submit(comfys[0], 2)
    rig = make(jobs=[mine])
    submit(comfys[0], 3)
    ended(mine)
    until(lambda: rig.page.statuses() == ["succeeded"])
    assert rig.board.jobs == (mine,)


def test_a_board_of_something_else_says_so():
    with pytest.raises(TypeError, match="takes connections"):
        cn.JobBoard("http://127.0.0.1:8188")
    with pytest.raises(TypeError, match="takes jobs"):
        cn.JobBoard(jobs=["x"])


def test_jobs_by_title_id_and_place(make, comfys):
    rig = make(comfys[0])
    one, two = submit(comfys[0], 1), submit(comfys[0], 2, title="mine")
    assert rig.board["seed 1"] is one
    assert rig.board["mine"] is two
    assert rig.board[two.id[:8]] is two
    assert rig.board[-1] is two
    with pytest.raises(
        LookupError, match=r"No job is called 'other'\. The newest on this board: 'seed 1', 'mine'"
    ):
        rig.board["other"]
    three = submit(comfys[0], 3, title="mine")
    with pytest.raises(LookupError, match="2 jobs are called 'mine'"):
        rig.board["mine"]
    ended(one, two, three)


def test_a_new_title_is_shown(make, comfys):
    rig = make(comfys[0])
    job = submit(comfys[0])
    job.title = "<b>mine</b>"
    assert job.title == "<b>mine</b>"
    ended(job)
    until(lambda: [row["t"] for row in rig.page.rows.values()] == ["<b>mine</b>"])
    assert rig.board["<b>mine</b>"] is job


def test_selection_goes_both_ways_and_gives_pictures(make, comfys, tmp_path):
    rig = make(comfys[0])
    jobs = [submit(comfys[0], seed) for seed in range(3)]
    ended(*jobs)
    until(lambda: rig.page.statuses() == ["succeeded"] * 3)
    assert len(rig.board.images) == 3
    changes: list[dict[str, Any]] = []
    rig.board.observe(changes.append)
    keys = list(rig.page.rows)
    rig.page.says(k="select", ids=[keys[2], keys[0], 999, "x", None])
    assert rig.board.selected == (jobs[2], jobs[0])
    assert [image.size for image in rig.board.images] == [(256, 256)] * 2
    assert isinstance(rig.board.images[0], Image.Image)
    rig.board.select(jobs[1])
    settle()
    assert rig.page.last("selected")["ids"] == [keys[1]]
    until(lambda: len(changes) == 2)
    assert changes[0]["new"] == (jobs[2], jobs[0])
    assert changes[1]["old"] == (jobs[2], jobs[0])
    assert changes[1]["owner"] is rig.board
    rig.board.unobserve(changes.append)
    rig.board.select()
    settle()
    assert rig.board.selected == ()
    with pytest.raises(LookupError, match="not on this board"):
        rig.board.select(cn.Job(graph(), comfys[0]))
    with pytest.raises(ValueError, match='changes of "selected"'):
        rig.board.observe(print, names="jobs")


def test_saved_files_are_named_by_title_and_never_overwritten(make, comfys, tmp_path: Path):
    rig = make(comfys[0])
    ended(*(submit(comfys[0], seed) for seed in (1, 2)))
    first = rig.board.save(tmp_path / "new")
    again = rig.board.save(tmp_path / "new")
    assert [path.name for path in first] == ["seed-1-frames_00000_.jpg", "seed-2-frames_00001_.jpg"]
    assert [path.name for path in again] == ["seed-1-frames_00000_-1.jpg", "seed-2-frames_00001_-1.jpg"]
    with Image.open(first[0]) as picture:
        assert picture.size == (256, 256)


def test_one_file_that_cannot_be_saved_does_not_stop_the_others_and_is_told(make, comfys, tmp_path: Path):
    rig = make(comfys[0])
    jobs = [submit(comfys[0], seed, title=title) for seed, title in enumerate(("a", "猫" * 120, "c", "d"))]
    ended(*jobs)
    jobs[2].outputs[0]._result.blob.free()
    (tmp_path / "d-frames_00003_.jpg").mkdir()
    with pytest.raises(cn.NotAllSaved, match=r"^1 of 4 files.*\n- frames_.* of c: .*let go of") as caught:
        rig.board.save(tmp_path)
    assert [path.name[:6] for path in caught.value.saved] == ["a-fram", "猫" * 6, "d-fram"]
    assert all(path.is_file() and len(path.name.encode()) <= 255 for path in caught.value.saved)
    assert len(caught.value.problems) == 1


def test_a_title_writes_nowhere_else(make, comfys, tmp_path: Path):
    rig = make(comfys[0])
    ended(submit(comfys[0], title="../../up/\x00<b>"))
    [path] = rig.board.save(tmp_path)
    assert path.parent == tmp_path


def test_interrupt_stops_the_selected_else_all_of_ours(make, comfys, servers):
    servers[0].pause()
    rig = make(comfys[0])
    jobs = [submit(comfys[0], seed) for seed in range(4)]
    until(lambda: rig.page.statuses() == ["queued"] * 4 or "running" in rig.page.statuses())
    rig.board.select(jobs[1])
    assert rig.board.interrupt() == 1
    ended(jobs[1])
    assert jobs[1].status == "cancelled"
    keys = list(rig.page.rows)
    rig.page.says(k="interrupt", ids=[keys[2]])
    ended(jobs[2])
    rig.board.select()
    assert rig.board.interrupt() == 2
    ended(*jobs)
    assert [job.status for job in jobs] == ["cancelled"] * 4
    servers[0].resume()


def test_one_job_that_cannot_be_asked_keeps_nobody_else_from_it(make, comfys, servers, monkeypatch):
    for server in servers:
        server.pause()
    rig = make(*comfys)
    jobs = [submit(comfys[0]), submit(comfys[1]), submit(comfys[0], 2)]
    until(lambda: len(rig.page.rows) == 3 and "new" not in rig.page.statuses())

    def refuse(_: object) -> None:
        raise cn.ConnectionFailed("nobody there")

    monkeypatch.setattr(comfys[0], "stop", refuse)
    with pytest.warns(UserWarning, match="could not be interrupted: nobody there"):
        assert rig.board.interrupt() == 1
    ended(jobs[1])
    keys = list(rig.page.rows)
    rig.page.says(k="interrupt", ids=keys)
    refused = rig.page.last("refused")
    assert (refused["ids"], refused["why"]) == ([keys[0], keys[2]], "nobody there")
    monkeypatch.undo()
    rig.board.interrupt()
    ended(*jobs)
    for server in servers:
        server.resume()


def test_a_click_on_what_has_ended_is_answered_with_its_row(make, comfys):
    rig = make(comfys[0])
    ended(submit(comfys[0]))
    until(lambda: rig.page.statuses() == ["succeeded"])
    said = len(rig.page.line.messages("rows"))
    rig.page.says(k="interrupt", ids=list(rig.page.rows))
    until(lambda: len(rig.page.line.messages("rows")) == said + 1)


def test_a_board_that_is_not_displayed_listens_to_nothing_and_still_knows_its_jobs(comfys, comms):
    board = cn.JobBoard(comfys[0])
    before = len(comms)
    job = submit(comfys[0], title="mine")
    ended(job)
    assert board.jobs == (job,)
    assert board["mine"] is job
    job.title = "ours"
    assert board["ours"] is job
    assert (len(comms), job.record._listeners, comfys[0]._jobs._watchers) == (before, [], [])


def test_dismissed_jobs_come_back_and_open_ones_stay(make, comfys, servers):
    rig = make(comfys[0])
    done = [submit(comfys[0], seed) for seed in range(2)]
    ended(*done)
    servers[0].pause()
    still = submit(comfys[0], 9)
    until(lambda: len(rig.page.rows) == 3)
    rig.page.says(k="dismiss", ids=list(rig.page.rows))
    until(lambda: len(rig.page.rows) == 1)
    assert rig.board.jobs == (still,)
    assert rig.page.last("undo")["count"] == 2
    rig.page.says(k="undo")
    until(lambda: len(rig.page.rows) == 3)
    assert rig.board.jobs == (*done, still)
    assert rig.page.last("undo")["count"] == 0
    rig.board.clear_finished()
    assert rig.board.jobs == (still,)
    servers[0].resume()
    ended(still)


def test_thumbnails_come_when_wanted_and_are_small(make, comfys):
    rig = make(comfys[0])
    ended(submit(comfys[0]))
    until(lambda: rig.page.statuses() == ["succeeded"])
    rig.page.says(k="want", page="p1", ids=list(rig.page.rows))
    until(lambda: rig.page.line.messages("thumbs"))
    [thumb] = rig.page.last("thumbs")["thumbs"]
    assert thumb["i"] == next(iter(rig.page.rows))
    assert thumb["n"] == 1
    assert 0 < thumb["bytes"] <= 20_000
    data = next(
        buffers[0]
        for _, _, data, buffers in rig.page.line.sent
        if data.get("content", {}).get("k") == "thumbs"
    )
    assert data[8:12] == b"WEBP"


def test_frames_go_for_the_cards_in_sight_only(make):
    with ScriptedServer(Frames(count=2000, rate=20)) as slow, cn.connect(slow.url) as comfy:
        slow.pause()
        rig = make(comfy)
        jobs = submit(comfy), submit(comfy, 2)
        until(lambda: len(rig.page.rows) == 2)
        seen, unseen = list(rig.page.rows)
        rig.page.says(k="looks", page="p1", at=[str(unseen)])
        slow.resume()
        until(lambda: rig.page.rows[seen].get("a", 0) >= 5)
        assert rig.page.line.messages("frame") == []
        rig.page.says(k="looks", page="p1", at=[str(seen)])
        until(lambda: rig.page.line.messages("frame"))
        assert {frame["i"] for frame in rig.page.line.messages("frame")} == {seen}
        for job in jobs:
            job.interrupt()
        ended(*jobs)


def test_previews_turned_off_are_freed_at_once_also_of_what_runs(make, comfys, servers):
    rig = make(comfys[0])
    first = submit(comfys[0])
    ended(first)
    job = submit(comfys[0], 2)
    ended(job)
    until(lambda: get_store().in_memory["steps"] > 0)
    comfys[0].preview = "none"
    settle()
    until(lambda: len(first.steps) == 0 and len(job.steps) == 0 and job.record.latest is None)
    until(lambda: all(row.get("v") for row in rig.page.rows.values()))
    before = len(rig.page.line.messages("frame"))
    ended(submit(comfys[0], 3))
    assert len(rig.page.line.messages("frame")) == before
    comfys[0].preview = "auto"
    again = submit(comfys[0], 4)
    ended(again)
    assert len(again.steps) > 0
    with pytest.raises(ValueError, match="preview='loud' is none of"):
        comfys[0].preview = "loud"


def test_the_detail_view_is_the_jobs_own_and_is_closed_again(make, comfys, comms):
    rig = make(comfys[0])
    ended(submit(comfys[0], 7))
    until(lambda: rig.page.statuses() == ["succeeded"])
    key = next(iter(rig.page.rows))
    rig.page.says(k="open", page="mine", id=key)
    opened = rig.page.last("opened")
    line = next(line for line in comms if opened["ref"] == f"anywidget:{line.comm_id}")
    assert line.sent[0][2]["state"]["plan"]["id"] == rig.board[0].id
    assert ["Sampler.seed", "7"] in opened["parameters"]
    assert "'Sampler.seed': 7," in opened["code"]
    compile(opened["code"], "code", "exec")
    rig.page.says(k="close", page="mine", id=key)
    until(lambda: line.closed)


def test_everyone_shows_others_and_never_stops_them_by_a_slip(make, servers, monkeypatch):
    monkeypatch.setattr("comfy_nb.others.EVERY", 0.05)
    servers[0].pause()
    with cn.connect(servers[0].url) as mine, cn.connect(servers[0].url, name="Ada <b>") as hers:
        other = submit(hers, 5, title="a castle")
        own = submit(mine, 6)
        rig = make(mine, everyone=True)
        until(lambda: len(rig.page.rows) == 2, "both are shown")
        [job] = rig.board.others
        assert (job.id, job.name, job.title) == (other.id, "Ada <b>", "a castle")
        [row] = [row for row in rig.page.rows.values() if "w" in row]
        assert (row["w"], row["t"]) == ("Ada <b>", "a castle")
        assert rig.board.jobs == (own,)
        rig.page.says(k="interrupt", ids=list(rig.page.rows))
        ended(own)
        assert rig.board.interrupt() == 0
        assert not other.done()
        assert rig.board.interrupt(others=True) == 1
        ended(other)
        assert other.status == "lost"  # as its own connection sees it: somebody took it out of the queue
        servers[0].resume()


def test_a_name_is_said_only_when_it_was_given(comfys, servers):
    with cn.connect(servers[0].url, name="Ada") as named:
        ended(submit(named, title="x"), submit(comfys[0]))
    sent = [body["extra_data"] for body in servers[0].calls("POST /prompt")]
    assert [extra.get("comfy_nb") for extra in sent] == [{"name": "Ada", "title": "x"}, None]


def test_a_closed_board_lets_everything_go_and_hears_no_more(make, comfys):
    rig = make(comfys[0])
    job = submit(comfys[0])
    ended(job)
    until(lambda: rig.page.statuses() == ["succeeded"])
    rig.board.close()
    rig.board.close()
    settle()
    assert rig.page.line.closed == 1
    count = len(rig.page.line.sent)
    ended(submit(comfys[0], 2))
    settle()
    assert len(rig.page.line.sent) == count
    assert rig.board.jobs == ()
    assert job.record._listeners == []


def test_all_is_written_by_the_loop_thread(make, comfys):
    rig = make(comfys[0])
    ended(submit(comfys[0]))
    until(lambda: rig.page.statuses() == ["succeeded"])
    rig.board.select(rig.board[0])
    settle()
    assert {name for name, method, *_ in rig.page.line.sent if method != "open"} == {"comfy_nb-loop"}


def test_nonsense_from_a_page_changes_nothing(make, comfys):
    rig = make(comfys[0])
    ended(submit(comfys[0]))
    until(lambda: rig.page.statuses() == ["succeeded"])
    for content in (
        {"k": "select", "ids": "x"},
        {"k": "open", "page": 1, "id": []},
        {"k": "open", "page": "p", "id": 77},
        {"k": "dismiss"},
        {"k": "want", "ids": [True, 10**30, {}]},
        {},
    ):
        rig.page.line.says(content)
    settle()
    assert rig.page.statuses() == ["succeeded"]
