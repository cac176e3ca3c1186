"""Bad input gets one clear sentence and a typed exception, and leaves nothing running."""

from __future__ import annotations

import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import comfy_nb as cn
from comfy_nb import comfy as comfy_module
from comfy_nb.errors import AmbiguousName
from comfy_nb.testing import Faults, Frames, Page, ScriptedServer
from tests.client.helpers import LIMIT, connected, graph, recording, until
from tests.client.raw import STATS, page, raw_server

DATA = Path(__file__).parents[1] / "data" / "workflows"


def sentence(error: BaseException) -> str:
    """The text of an error, which must be one readable sentence or two, and no repr of something."""
    text = str(error)
    assert text
    assert text[-1] in ".?)"
    assert "\n" not in text
    assert len(text) < 400
    assert not re.search(r"Traceback|object at 0x|Error\(|errno", text, re.IGNORECASE)
    return text


def refused(url: str, **options: Any) -> str:
    with pytest.raises(cn.ConnectionFailed) as caught:
        cn.connect(url, **options)
    return sentence(caught.value)


# -- the server ------------------------------------------------------------------------------------------------


def test_no_server_there():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    text = refused(f"http://127.0.0.1:{port}")
    assert text.startswith(
        f"No ComfyUI answers at http://127.0.0.1:{port} (connection refused). Start it there"
    )
    assert "comfy_nb.demo()" in text


def test_no_server_at_the_default_address_either(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("COMFY_NB_URL", f"127.0.0.1:{port}")
    with pytest.raises(cn.ConnectionFailed, match=f"No ComfyUI answers at http://127.0.0.1:{port} "):
        cn.connect()


def test_a_host_that_does_not_exist():
    assert "No ComfyUI answers at http://no-such-host.invalid:8188" in refused(
        "http://no-such-host.invalid:8188"
    )


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host",
        "http://",
        "http://host:port",
        "http://host:99999",
        "https://[::1",
        "   ",
        "file:///x",
        "http://gpu..example:8188",
    ],
)
def test_what_is_no_address(url: str):
    assert "is not an address" in refused(url)


def test_a_password_in_an_address_is_not_repeated():
    assert "secret" not in refused("ftp://me:secret@host")


PAGES = {
    "HTML": (Page(), "it is not a ComfyUI"),
    "not found": (Page(404, "text/html", b"<h1>Not Found</h1>"), "it is not a ComfyUI"),
    "other JSON": (Page.json({"hello": "world"}), "it is not a ComfyUI"),
    "a list": (Page.json([1, 2]), "it is not a ComfyUI"),
    "broken": (Page.text("Internal Server Error", 500), "it is not a ComfyUI"),
    "elsewhere": (Page(302, "text/html", b""), "it is not a ComfyUI"),
    "401": (Page.text("Unauthorized", 401), "refuses us (HTTP 401): pass what it wants"),
    "403": (Page.text("Forbidden", 403), "refuses us (HTTP 403): pass what it wants"),
}


@pytest.mark.parametrize("name", PAGES)
def test_something_else_answers_there(name: str):
    page, expected = PAGES[name]
    with ScriptedServer(faults=Faults(page=page)) as server:
        text = refused(server.url)
        assert expected in text
        assert server.url in text
        assert server.open_sockets == 0


def test_a_wrong_path():
    with ScriptedServer() as server:
        assert "it is not a ComfyUI" in refused(f"{server.url}/comfy")


def test_something_that_speaks_no_http():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            other, _ = listener.accept()
            other.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")
            other.close()

        greeter = threading.Thread(target=hang_up)
        greeter.start()
        port = listener.getsockname()[1]
        assert f"http://127.0.0.1:{port} did not answer" in refused(f"http://127.0.0.1:{port}")
        greeter.join()


def test_a_server_that_never_answers(monkeypatch):
    monkeypatch.setattr(comfy_module, "OPEN_TIMEOUT", 0.3)
    with ScriptedServer(faults=Faults(silent=True)) as server:
        assert "takes connections, but did not answer within 0.3 s" in refused(server.url)


def test_a_websocket_that_is_refused():
    with ScriptedServer(faults=Faults(socket="refused")) as server:
        text = refused(server.url)
        assert text.endswith("answers by HTTP, but its websocket does not open (HTTP 403).")


def test_a_websocket_that_says_nothing(monkeypatch):
    from comfy_nb.client import timing

    monkeypatch.setattr(timing, "TIMING", timing.Timing(open=1.0))
    with ScriptedServer(faults=Faults(socket="mute")) as server:
        assert "its websocket says nothing: a proxy in between may not let websockets through" in refused(
            server.url
        )


@pytest.fixture
def hanging() -> Iterator[tuple[str, threading.Event]]:
    """A server whose websocket never finishes its handshake; its address, and whether the handshake began."""
    began = threading.Event()

    def handler(head: str, connection: socket.socket) -> None:
        if "/ws" in head:
            began.set()
        else:
            connection.sendall(page(STATS))

    with raw_server(handler) as url:
        yield url, began


# That nothing is left after these is for the fixture of all tests here to see.


def test_ctrl_c_while_the_websocket_opens_leaves_nothing(hanging: tuple[str, threading.Event]):
    url, began = hanging

    def press() -> None:
        assert began.wait(LIMIT)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    presser = threading.Thread(target=press, name="presser")
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        cn.connect(url)
    presser.join(LIMIT)


def test_a_time_out_while_the_websocket_opens_leaves_nothing(
    hanging: tuple[str, threading.Event], monkeypatch
):
    monkeypatch.setattr(comfy_module, "OPEN_TIMEOUT", 1.0)
    assert "did not answer within 1 s" in refused(hanging[0])


def test_a_server_without_api_in_its_paths_will_do():
    with connected(Frames(count=3, rate=0, version="0.0.1"), Faults(api=False)) as (server, comfy):
        assert len(comfy.submit(graph()).result(LIMIT)) == 1
        assert "POST /prompt" in [entry.what for entry in server.log]


# -- the workflow ----------------------------------------------------------------------------------------------


BAD_FILES = (
    "UI format",
    "missing file",
    "a folder",
    "broken JSON",
    "empty file",
    "not text",
    "a list",
    "an empty object",
    "no class",
    "no inputs",
    "text",
)


def bad_files(folder: Path) -> dict[str, tuple[object, str]]:
    """What is given to `comfy.submit`, and what the sentence must say."""
    broken, empty, listed = folder / "broken.json", folder / "empty.json", folder / "list.json"
    broken.write_text('{"3": {"class_type": "KSampler", ')
    empty.write_text("")
    listed.write_text("[1, 2, 3]")
    picture = folder / "picture.bin"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    return {
        "UI format": (
            DATA / "ui_format.json",
            "is in ComfyUI's UI format; in ComfyUI use Workflow > Export (API)",
        ),
        "missing file": (folder / "nowhere.json", "nowhere.json"),
        "a folder": (folder, folder.name),
        "broken JSON": (broken, "is not JSON"),
        "empty file": (empty, "empty.json"),
        "not text": (picture, "picture.bin"),
        "a list": (listed, "holds a list; an API-format workflow is an object with one entry per node"),
        "an empty object": ({}, "holds no nodes"),
        "no class": ({"3": {"inputs": {}}}, 'has no "class_type", so this is not API format'),
        "no inputs": ({"3": {"class_type": "X"}}, 'has no "inputs" object'),
        "text": ("{nonsense", "The text is not JSON"),
    }


@pytest.mark.parametrize("name", BAD_FILES)
def test_what_is_no_workflow(name: str, tmp_path: Path):
    source, expected = bad_files(tmp_path)[name]
    with connected() as (server, comfy):
        for use in (lambda: comfy.submit(source), lambda: cn.Job(source, comfy)):
            with pytest.raises(cn.NotAWorkflow) as caught:
                use()
            assert expected in str(caught.value)
            assert "\n" not in str(caught.value)
        assert (comfy.jobs, server.calls("POST /prompt")) == ((), [])


CHANGES: dict[str, tuple[dict[str, object], type[Exception], list[str]]] = {
    "unknown node": (
        {"Smapler.cfg": 5},
        cn.UnknownNode,
        ["'Smapler.cfg'", "'Sampler' (node 3)", "'SaveImage' (node 9)"],
    ),
    "unknown input": ({"Sampler.cgf": 5}, cn.UnknownInput, ["'cgf'", "cfg", "seed", "steps"]),
    "unknown id": ({"77.cfg": 5}, cn.UnknownNode, ["'77.cfg'", "(node 3)"]),
    "no input named": ({"Sampler": 5}, cn.WorkflowError, ["Sampler"]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_unknown_nodes_and_inputs_list_what_there_is(name: str):
    changes, kind, expected = CHANGES[name]
    with connected() as (server, comfy):
        with pytest.raises(kind) as caught:
            comfy.submit(graph(), changes)
        assert isinstance(caught.value, cn.WorkflowError)
        assert all(word in str(caught.value) for word in expected), caught.value
        assert (comfy.jobs, server.calls("POST /prompt")) == ((), [])


def test_a_name_with_two_readings_shows_both():
    two = graph() | {"33": graph()["3"]}
    with connected() as (_, comfy):
        with pytest.raises(AmbiguousName) as caught:
            comfy.submit(two, {"Sampler.cfg": 5})
        assert all(word in str(caught.value) for word in ("'Sampler'", "3", "33"))


# -- what the server makes of it -------------------------------------------------------------------------------


def test_a_rejected_prompt_is_told_by_titles_in_the_view_and_in_the_error():
    script = recording("v0.33.0", "invalid_prompts")
    with connected(script) as (_, comfy):
        job = comfy.submit(script.prompts[0], title="Mine")
        with pytest.raises(cn.WorkflowInvalid) as caught:
            job.result(LIMIT)
        lines = str(caught.value).splitlines()
        assert lines[0] == "The server rejected 'Mine'; nothing ran."
        assert lines[1:] == [f"- {problem}" for problem in caught.value.problems]
        assert job.snapshot().error.problems == caught.value.problems
        assert repr(job).startswith(f"<Job {job.id[:8]} 'Mine' failed (Rejected by the server: ")


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (Page.text("500 Internal Server Error", 500), "with HTTP 500: see its log."),
        (Page.text("Too Large", 413), "with HTTP 413"),
        (Page.text("Unauthorized", 401), "with HTTP 401"),
        (Page(200, "text/html", b"<html>"), "sent something that is not JSON (it begins with"),
        (Page.json({"what": "ever"}), "no prompt id and no error"),
        (Page.json({"error": "a plain text"}, 400), "a plain text"),
    ],
    ids=["500", "413", "401", "HTML", "odd JSON", "odd 400"],
)
def test_a_post_that_is_refused_in_any_way_ends_the_job(page: Page, expected: str):
    with connected(faults=Faults(post=page)) as (_, comfy):
        job = comfy.submit(graph())
        error = job.exception(LIMIT)
        assert isinstance(error, cn.ComfyError)
        assert expected in str(error)
        assert job.status == "failed"


def test_a_server_that_went_away(monkeypatch):
    from comfy_nb.client import timing

    monkeypatch.setattr(timing, "TIMING", timing.Timing(ready=1.0))
    with ScriptedServer() as server:
        comfy = cn.connect(server.url)
    with comfy:
        until(lambda: "reconnecting" in repr(comfy))
        job = comfy.submit(graph())
        with pytest.raises(cn.ConnectionFailed) as caught:
            job.result(LIMIT)
        text = sentence(caught.value)
        assert text.startswith(f"{server.url} cannot be reached, so nothing was sent: reconnecting, ")
        assert job.status == "failed"


def test_an_interrupt_while_waiting_for_a_server_that_went_away():
    with ScriptedServer() as server:
        comfy = cn.connect(server.url)
    with comfy:
        until(lambda: "reconnecting" in repr(comfy))
        job = comfy.submit(graph())
        job.interrupt()
        with pytest.raises(cn.JobCancelled, match="cancelled before it was sent"):
            job.result(LIMIT)
