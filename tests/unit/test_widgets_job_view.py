"""JobView over a comm that records: what goes out, when, and from which thread."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import comm
import pytest
from PIL import Image

from comfy_nb import events as ev
from comfy_nb.errors import Problem
from comfy_nb.loop import get_loop
from comfy_nb.outputs import Outputs
from comfy_nb.record import Record, Request
from comfy_nb.steps import Steps
from comfy_nb.store import get_store
from comfy_nb.widgets import hub
from comfy_nb.widgets.job_view import JobView
from comfy_nb.workflow.plan import make_plan

WORKFLOW = {
    "3": {
        "class_type": "KSampler",
        "inputs": {"steps": 20, "latent_image": ["5", 0]},
        "_meta": {"title": "KSampler"},
    },
    "5": {"class_type": "EmptyLatentImage", "inputs": {}, "_meta": {"title": "<b>Latent</b>"}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}, "_meta": {"title": "Save Image"}},
}


@dataclass
class RecordingComm:
    """Keeps what a widget sends, and with which thread."""

    sent: list[tuple[str, str, dict[str, Any], list[bytes]]] = field(default_factory=list)
    comm_id: str = "c0"
    kernel: bool = True
    on_message: Callable[[dict[str, Any]], None] | None = None
    closed: int = 0

    def on_msg(self, callback: Callable[[dict[str, Any]], None]) -> None:
        self.on_message = callback

    def on_close(self, callback: object) -> None:
        pass

    def send(self, data: dict[str, Any], buffers: list[bytes] | None = None, **_: object) -> None:
        self.sent.append((threading.current_thread().name, data["method"], data, list(buffers or [])))

    def close(self, *_: object, **__: object) -> None:
        self.closed += 1

    def says(self, content: dict[str, Any], method: str = "custom") -> None:
        assert self.on_message is not None
        key = "content" if method == "custom" else "state"
        data = {"method": method, key: content, "buffer_paths": []}
        self.on_message({"content": {"data": data}, "buffers": []})

    def messages(self, kind: str) -> list[dict[str, Any]]:
        return [
            data["content"]
            for _, method, data, _ in self.sent
            if method == "custom" and data["content"]["k"] == kind
        ]

    def states(self) -> list[dict[str, Any]]:
        return [data["state"]["state"] for _, _, data, _ in self.sent if "state" in data.get("state", {})]


class Job:
    """A source over a real prompt: the real plan, the real fold, the real snapshot."""

    server = "127.0.0.1:8188"

    def __init__(self) -> None:
        title = "<i>A bottle</i>"
        plan = make_plan(WORKFLOW, "00000000-0000-4000-8000-000000000001", title=title)
        self.record = Record(Request(plan, WORKFLOW))
        self.plan = lambda: self.record.plan
        self.snapshot, self.subscribe = self.record.snapshot, self.record.listen
        self.last_frame, self.display_id = self.record.last_frame, self.record.run.display_id
        self.interrupted: list[str] = []

    def outputs(self) -> Outputs:
        return Outputs.of(self.record.results, self.record.plan)

    def steps(self) -> Steps:
        return Steps(self.record)

    def interrupt(self) -> bool:
        self.interrupted.append(threading.current_thread().name)
        return not self.record.run.ended

    def feed(self, *events: ev.Event) -> None:
        for event in events:
            get_loop().call(self.record.feed, event)
        settle()

    def add(self, index: int, data: bytes, media_type: str = "image/png", kind: str = "image") -> None:
        blob = get_store().put(data, "outputs")
        result = ev.Result(index, "9", "9", f"x_{index}.png", media_type, kind, saved=True, blob=blob)
        self.feed(ev.OutputArrived(result))


def settle() -> None:
    """Until the loop has done what was posted before."""
    done = threading.Event()
    get_loop().call(done.set)
    assert done.wait(10)


def until(true: Callable[[], object]) -> None:
    limit = time.monotonic() + 10
    while not true():
        assert time.monotonic() < limit, "it never came true"
        settle()


def png(colour: int = 90) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 16), (colour, 0, 0)).save(out, "PNG")
    return out.getvalue()


def sampling(step: int) -> tuple[ev.Event, ...]:
    return ev.Progressed("3", step, 20), ev.Preview("3", "image/jpeg", b"jpeg%d" % step)


@pytest.fixture
def comms(monkeypatch) -> list[RecordingComm]:
    made: list[RecordingComm] = []

    def create(**opening: Any) -> RecordingComm:
        made.append(RecordingComm(sent=[(threading.current_thread().name, "open", opening["data"], [])]))
        return made[-1]

    monkeypatch.setattr(comm, "create_comm", create)
    monkeypatch.setattr(hub, "_hub", None)  # what one test has sent is not to hold up the next one
    return made


@pytest.fixture
def rig(comms) -> Iterator[SimpleNamespace]:
    job = Job()
    view = JobView(job)
    view._repr_mimebundle_()
    settle()
    line = next(c for c in comms if "_esm" in c.sent[0][2]["state"])
    yield SimpleNamespace(job=job, view=view, comm=line)
    view.close()
    settle()


def test_it_opens_with_the_plan_and_the_state(rig):
    opening = rig.comm.sent[0][2]["state"]
    assert opening["plan"]["title"] == "<i>A bottle</i>"
    assert [node["label"] for node in opening["plan"]["nodes"]] == ["<b>Latent</b>", "KSampler", "Save Image"]
    assert opening["state"]["status"] == "new"
    assert "export" in opening["_esm"]
    assert ".cnb" in opening["_css"]


def test_states_of_a_whole_run_arrive_and_the_final_one_is_last(rig):
    rig.job.feed(ev.Submitted(), ev.Positioned(2), ev.Started(), ev.NodeStarted("3"), *sampling(5))
    rig.job.feed(ev.Finishing(), ev.Settled("succeeded"), ev.Ended())
    statuses = [state["status"] for state in rig.comm.states()]
    assert list(dict.fromkeys(statuses)) == ["new", "queued", "running", "succeeded"]
    assert rig.comm.states()[-1]["progress"] == 1.0


def test_a_frame_carries_its_step_its_node_and_its_bytes_untouched(rig):
    rig.job.feed(ev.Submitted(), ev.Started(), ev.NodeStarted("3"), *sampling(7))
    until(lambda: rig.comm.messages("frame"))
    [frame] = rig.comm.messages("frame")
    assert (frame["n"], frame["node"], frame["step"], frame["of"]) == (1, "3", 7, 20)
    assert 0 < frame["progress"] < 1
    assert [b"jpeg7"] in [buffers for *_, buffers in rig.comm.sent]


def test_a_flood_is_thinned_and_the_last_frame_precedes_the_final_state(rig):
    rig.job.feed(ev.Submitted(), ev.Started(), ev.NodeStarted("3"))
    before = len(rig.comm.sent)
    rig.job.feed(*[event for step in range(1, 401) for event in sampling(step % 20 + 1)])
    rig.job.feed(ev.Settled("succeeded"), ev.Ended())
    after = rig.comm.sent[before:]
    assert len(after) < 100
    kinds = [data["content"]["k"] if method == "custom" else "state" for _, method, data, _ in after]
    last = max(i for i, kind in enumerate(kinds) if kind == "frame")
    assert after[last][3] == [b"jpeg1"]
    assert last < len(kinds) - 1 - kinds[::-1].index("state")


def test_only_the_loop_thread_writes_after_the_constructor(rig):
    rig.job.feed(ev.Submitted(), ev.Started(), ev.NodeStarted("3"), *sampling(1))
    rig.job.add(0, png())
    rig.comm.says({"k": "hello", "page": "a"})
    rig.job.feed(ev.Settled("succeeded"), ev.Ended())
    until(lambda: rig.view.poster)
    names = {name for name, *_ in rig.comm.sent[1:]}
    assert len(names) == 1
    assert threading.current_thread().name not in names


def test_hello_is_answered_once_with_the_last_frame_and_all_outputs(rig):
    rig.job.feed(ev.Submitted(), ev.Started(), ev.NodeStarted("3"), *sampling(4))
    rig.job.add(0, png(1))
    rig.job.add(1, png(2))
    until(lambda: len(rig.comm.messages("output")) == 2 and rig.comm.messages("frame"))
    rig.comm.sent.clear()
    rig.comm.says({"k": "hello", "page": "a"})
    until(lambda: len(rig.comm.messages("output")) == 2 and rig.comm.messages("frame"))
    kinds = [data["content"]["k"] for _, _, data, _ in rig.comm.sent if "content" in data]
    assert kinds[0] == "hi"
    assert sorted(kinds) == ["frame", "hi", "output", "output"]


def test_a_view_that_is_made_late_begins_with_the_latest_frame(comms):
    job = Job()
    job.feed(ev.Submitted(), ev.Started(), ev.NodeStarted("3"), *sampling(9))
    view = JobView(job)
    settle()
    line = next(c for c in comms if "_esm" in c.sent[0][2]["state"])
    assert line.sent[0][2]["state"]["state"]["step"] == 9
    view._repr_mimebundle_()
    until(lambda: line.messages("frame"))
    assert [frame["step"] for frame in line.messages("frame")] == [9]
    view.close()
    settle()


def test_interrupt_is_asked_for_on_the_loop_thread(rig):
    rig.comm.says({"k": "interrupt"})
    settle()
    assert len(rig.job.interrupted) == 1
    assert rig.job.interrupted[0] != threading.current_thread().name


def test_pages_cannot_write_traits(rig):
    before = dict(rig.view.state)
    rig.comm.says({"state": {"status": "succeeded"}, "_esm": "alert(1)"}, method="update")
    settle()
    assert dict(rig.view.state) == before
    assert "alert(1)" not in rig.view._esm


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"k": "nonsense"},
        {"k": "seen", "at": {"x": [1]}},
        {"k": "looks", "page": "a", "at": 3},
        {"k": "hello"},
        "text",
        None,
        [1],
        {"k": {"k": "hello"}},
    ],
)
def test_nonsense_from_a_page_changes_nothing(rig, content):
    sent = len(rig.comm.sent)
    rig.comm.says(content)
    settle()
    assert len(rig.comm.sent) == sent
    assert rig.job.interrupted == []


def test_a_hidden_page_gets_no_frames_until_it_looks_again(rig):
    rig.job.feed(ev.Submitted(), ev.Started(), ev.NodeStarted("3"))
    rig.comm.says({"k": "looks", "page": "a", "at": False})
    rig.job.feed(*sampling(1), *sampling(2))
    assert rig.comm.messages("frame") == []
    rig.comm.says({"k": "looks", "page": "a", "at": True})
    until(lambda: rig.comm.messages("frame"))
    assert [frame["step"] for frame in rig.comm.messages("frame")] == [2]


def test_what_a_page_has_painted_reaches_the_stream(rig):
    rig.job.feed(ev.Submitted(), ev.Started(), ev.NodeStarted("3"), *sampling(1))
    until(lambda: rig.comm.messages("frame"))
    credit = rig.view._bridge.stream().credit
    assert credit.in_flight(time.monotonic()) <= 1
    rig.comm.says({"k": "seen", "at": {rig.comm.messages("frame")[0]["s"]: [1, 0]}})
    settle()
    assert credit.in_flight(time.monotonic()) == 0
    assert not credit.is_overdue(time.monotonic() + 60)


def test_no_frame_goes_before_the_view_is_displayed(comms):
    job = Job()
    view = JobView(job)
    settle()
    line = next(c for c in comms if "_esm" in c.sent[0][2]["state"])
    job.feed(ev.Submitted(), ev.Started(), ev.NodeStarted("3"), *sampling(1), *sampling(2))
    assert line.messages("frame") == []
    view._repr_mimebundle_()
    until(lambda: line.messages("frame"))
    assert [frame["step"] for frame in line.messages("frame")] == [2]
    view.close()
    settle()


def test_an_error_names_node_and_input_as_text(rig):
    problem = Problem("250 is above the maximum of 100", "3", "KSampler", "cfg")
    rig.job.feed(ev.Submitted(), ev.Rejected(ev.Failure("rejected", "The server refused it", (problem,))))
    error = rig.comm.states()[-1]["error"]
    assert error["problems"] == [
        {"label": "KSampler", "node": "3", "input": "cfg", "message": "250 is above the maximum of 100"}
    ]


def test_the_poster_comes_once_and_only_after_success(rig):
    rig.job.feed(ev.Submitted(), ev.Started())
    rig.job.add(0, png())
    assert rig.view.poster == b""
    rig.job.feed(ev.Settled("succeeded"), ev.Ended())
    until(lambda: rig.view.poster)
    assert Image.open(io.BytesIO(rig.view.poster)).size == (32, 16)
    assert len([1 for _, _, data, _ in rig.comm.sent[1:] if "poster" in str(data.get("buffer_paths"))]) == 1


def test_a_job_that_was_stopped_gets_no_poster(rig):
    rig.job.feed(ev.Submitted(), ev.Started())
    rig.job.add(0, png())
    rig.job.feed(ev.Settled("cancelled"), ev.Ended())
    rig.comm.says(
        {"k": "hello", "page": "a"}
    )  # its answer goes through the workers after the poster would have
    until(lambda: len(rig.comm.messages("output")) == 2)
    assert rig.view.poster == b""


def test_a_page_gets_the_copy_of_an_ended_job_when_it_asks(rig):
    assert len(rig.comm.sent[0][2]["state"]["plan"]["model"]) == 32  # by which it finds the place
    rig.job.feed(ev.Submitted(), ev.Started())
    rig.job.add(0, png())
    rig.comm.says({"k": "copy"})
    settle()
    rig.job.feed(ev.Settled("succeeded"), ev.Ended())
    until(lambda: rig.view.poster)
    assert rig.comm.messages("copy") == []  # it ran still, and Python fills it in by itself
    rig.comm.says({"k": "copy"})
    until(lambda: rig.comm.messages("copy"))
    kept = rig.comm.messages("copy")[0]["data"]
    assert kept["text/plain"].startswith("<i>A bottle</i>: succeeded")
    assert kept["text/plain"].endswith("1 image")
    assert 'class="cnb-saved"' in kept["text/html"]
    assert kept["image/jpeg"]


def test_closing_stops_it_following_and_twice_is_harmless(rig):
    rig.view.close()
    rig.view.close()
    settle()
    sent = len(rig.comm.sent)
    rig.job.feed(ev.Submitted(), ev.Started(), ev.NodeStarted("3"), *sampling(1))
    assert (rig.comm.closed, len(rig.comm.sent)) == (1, sent)
    assert rig.job.record._listeners == []


def test_it_says_what_it_is(rig):
    rig.job.feed(ev.Submitted())
    assert repr(rig.view) == "<JobView '<i>A bottle</i>' queued>"
    data, _ = rig.view._repr_mimebundle_()
    assert data["text/plain"] == repr(rig.view)
    assert "application/vnd.jupyter.widget-view+json" in data
