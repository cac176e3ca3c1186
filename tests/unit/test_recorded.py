"""Recorded runs: what was told comes back, plays at any pace, and what a stranger made is one sentence."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import comfy_nb as cn
from comfy_nb import events as ev
from comfy_nb import recorded
from comfy_nb.testing import Faults, Frames, Page
from tests.client.helpers import LIMIT, connected, graph, until

DATA = Path(__file__).parents[1] / "data"


def told(job: cn.Job) -> list[str]:
    return [type(event).__name__ for event in job.events()]


@pytest.fixture
def saved(tmp_path: Path) -> tuple[cn.Job, Path]:
    with connected(Frames(count=5, rate=0)) as (_, comfy):
        prompt = graph()
        prompt["3"]["inputs"]["api_key"] = "hush-hush"
        job = comfy.submit(prompt, title="Harbour", check=False)
        job.result(LIMIT)
        return job, job.save(tmp_path / "harbour")


def test_steps_outputs_and_state_come_back_without_a_server(saved: tuple[cn.Job, Path]) -> None:
    job, path = saved
    assert path.name == "harbour.cnrun"
    again = cn.replay(path)
    assert (again.status, again.title, again.id, again.server) == (
        "succeeded",
        "Harbour",
        job.id,
        "recorded run",
    )
    assert [(s.step, s.of, s.label, s.data) for s in again.steps] == [
        (s.step, s.of, s.label, s.data) for s in job.steps
    ]
    assert [round(s.seconds, 2) for s in again.steps] == [round(s.seconds, 2) for s in job.steps]
    assert [output.data for output in again.result(1)] == [output.data for output in job.outputs]
    assert again.image.tobytes() == job.image.tobytes()
    assert str(again.snapshot()) == str(job.snapshot())
    assert again.interrupt() is False


def test_at_a_pace_the_same_is_told_in_the_same_order_and_an_interrupt_goes_to_the_end(
    saved: tuple[cn.Job, Path],
) -> None:
    _, path = saved
    slow = cn.replay(path, speed=0.01)
    reader = slow.events()
    assert slow.status != "succeeded"
    slow.interrupt()
    assert slow.result(LIMIT)
    names = [type(event).__name__ for event in reader]
    fast = cn.replay(path, speed=1000)
    assert fast.result(LIMIT)
    assert names[-1] == "Ended"
    assert names.count("StepKept") == names.count("Preview") == len(fast.steps) == 5


def test_a_recorded_run_stands_on_a_board_and_can_be_saved_again(
    saved: tuple[cn.Job, Path], tmp_path: Path
) -> None:
    job, path = saved
    again = cn.replay(path)
    board = cn.JobBoard(jobs=[again])
    assert board["Harbour"] is again
    board.close()
    third = cn.replay(again.save(tmp_path / "copy.cnrun"))
    assert [step.data for step in third.steps] == [step.data for step in job.steps]


def test_secrets_are_blanked_and_nothing_else_is_in_the_file(saved: tuple[cn.Job, Path]) -> None:
    _, path = saved
    with zipfile.ZipFile(path) as file:
        assert all(name == "run.json" or name.startswith("blobs/") for name in file.namelist())
        assert all(b"hush-hush" not in file.read(name) for name in file.namelist())
        assert json.loads(file.read("run.json"))["prompt"]["3"]["inputs"]["api_key"] == ""


def test_a_job_that_failed_is_recorded_too(tmp_path: Path) -> None:
    refused = Page.json({"error": {"type": "no_prompt", "message": "No."}}, 400)
    with connected(Frames(), Faults(post=refused)) as (_, comfy):
        job = comfy.submit(graph())
        again = cn.replay(job.save(tmp_path / "failed"))
    with pytest.raises(cn.WorkflowInvalid):
        again.result(1)
    assert again.status == "failed"


def test_previews_that_were_let_go_of_are_left_out(tmp_path: Path) -> None:
    with connected(Frames(count=4, rate=0)) as (_, comfy):
        job = comfy.submit(graph())
        job.result(LIMIT)
        job.steps[1].blob.free()
        again = cn.replay(job.save(tmp_path / "some"))
    assert [step.step for step in again.steps] == [1, 3, 4]


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Write the file anew with another run.json."""
    with zipfile.ZipFile(path) as file:
        said = json.loads(file.read("run.json"))
        blobs = {name: file.read(name) for name in file.namelist() if name != "run.json"}
    edit(said)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("run.json", json.dumps(said))
        for name, data in blobs.items():
            file.writestr(name, data)


def swap(said: dict[str, Any], old: str, new: object) -> None:
    for _, form in said["events"]:
        for value in form.values():
            if isinstance(value, dict) and old in value:
                value[old] = new


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda said: said.update(version=99), "it is of version 99, and this comfy_nb reads version 1"),
        (lambda said: said.update(format="x"), "its run.json says nothing of one"),
        (lambda said: said.update(events={}), "its prompt or its events are missing"),
        (lambda said: said.update(prompt_id=3), "make no sense"),
        (lambda said: said.update(events=[[0, {}]] * 100_001), "make no sense"),
        (lambda said: said.update(events=[7]), "an event is no pair of a time and a form"),
        (lambda said: said.update(events=[[0, {"v": 1, "k": "Nope"}]]), "'Nope' is no kind of event"),
        (lambda said: swap(said, "sha256", "../../etc/passwd".ljust(64, "x")), "is missing, or larger"),
        (lambda said: swap(said, "size", 3), "are not those that its events refer to"),
    ],
)
def test_what_a_stranger_made_is_one_sentence(
    saved: tuple[cn.Job, Path], edit: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    _, path = saved
    change(path, edit)
    with pytest.raises(cn.NotARecording, match=sentence) as caught:
        cn.replay(path)
    assert "\n" not in str(caught.value)


def test_bombs_and_other_files_are_refused(
    saved: tuple[cn.Job, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, path = saved
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("blobs/bomb", bytes(4 << 20))
    monkeypatch.setattr(recorded, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr(recorded, "MAX_JSON", 1 << 20)
    with pytest.raises(cn.NotARecording, match="it unpacks to more than 1 MB"):
        cn.replay(path)
    path.write_bytes(b"no zip at all")
    with pytest.raises(cn.NotARecording, match="is no recorded run"):
        cn.replay(path)
    for speed in (0, -1, 1e9):
        with pytest.raises(ValueError, match="must be above 0"):
            cn.replay(path, speed=speed)


def test_a_file_of_this_version_stays_readable() -> None:
    again = cn.replay(DATA / "recorded" / "version_1.cnrun")
    assert (again.status, [step.step for step in again.steps]) == ("succeeded", [1, 2, 3])
    assert again.image.size == (64, 64)
    until(again.done)
    assert isinstance(next(iter(again.events())), cn.Snapshot)
    assert ev.VERSION == 1
