"""What a server may have us hold: answers and messages are bounded by the memory that they would take."""

from __future__ import annotations

import contextlib
import gzip
import json
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import comfy_nb as cn
from comfy_nb.client.address import Address
from comfy_nb.client.catalog import ALL_AT_ONCE, Catalog
from comfy_nb.client.exchange import TooMuch
from comfy_nb.client.http import Http
from comfy_nb.errors import ServerError
from comfy_nb.failures import _failed
from comfy_nb.loop import get_loop
from comfy_nb.testing import Faults, Frames, Page
from comfy_nb.wire import messages as wire
from comfy_nb.wire.fields import MAX_MEMORY, TooLarge, loads, weigh
from comfy_nb.wire.packing import pack
from tests.client.helpers import LIMIT, connected, graph, until

MB = 1 << 20
SHAPES = {
    "lists": b"[" + b"[]," * 100_000 + b"[]]",
    "objects": b"[" + b"{}," * 100_000 + b"{}]",
    "objects of one": b"[" + b'{"a":1},' * 100_000 + b"{}]",
    "one large object": b"{" + b",".join(b'"k%d":0' % index for index in range(100_000)) + b"}",
    "keys of all kinds": b"[" + b",".join(b'{"k%d":[]}' % index for index in range(50_000)) + b"]",
    "texts": b"[" + b",".join(b'"k%d"' % index for index in range(100_000)) + b"]",
    "numbers": b"[" + b",".join(b"%d" % (index + 1000) for index in range(100_000)) + b"]",
    "large numbers": b"[" + b"9999999999999999999," * 50_000 + b"0]",
    "wide characters": ("[" + '"😀",' * 50_000 + "0]").encode(),
    "one wide character": ('["😀", "' + "x" * 1_000_000 + '"]').encode(),
    "escapes": b"[" + b'"\\u732b",' * 50_000 + b"0]",
    "one long text": b'"' + b"x" * 2_000_000 + b'"',
}


# -- parsing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("decoded", [False, True])
def test_what_json_takes_is_known_before_it_is_made(shape: str, decoded: bool) -> None:
    raw = SHAPES[shape]
    text = raw.decode() if decoded else raw
    tracemalloc.start()
    try:
        value = json.loads(raw.decode())
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    del value
    assert 0.75 * taken <= weigh(text)
    loads(text, weigh(text))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match=r"^Not parsed: it would take more than \d+ MB of memory\.$"):
            loads(text, weigh(text) - 1)
        assert tracemalloc.get_traced_memory()[1] <= 100_000
    finally:
        tracemalloc.stop()


def test_honest_answers_weigh_little_more_than_they_take() -> None:
    node = {
        "class_type": "KSampler",
        "inputs": {"seed": 1, "cfg": 4.5, "model": ["4", 0]},
        "_meta": {"title": "A"},
    }
    raw = json.dumps({str(index): node for index in range(2_000)}).encode()
    tracemalloc.start()
    try:
        value = json.loads(raw.decode())
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert weigh(raw) <= 2.5 * taken
    assert loads(raw) == value
    assert MAX_MEMORY == 64 * MB


# -- answers ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def bombs(unpacked: bytes) -> Iterator[str]:
    """A server that answers everything with this, packed."""
    packed = gzip.compress(unpacked, 9)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(packed)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(packed)

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Clients that go away in the middle are what is tested."""

    with Quiet(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


PROGRAM = """
    import asyncio, resource, sys
    from comfy_nb.client.address import Address
    from comfy_nb.client.http import Http
    from comfy_nb.loop import get_loop
    from comfy_nb.errors import ComfyError
    from comfy_nb.wire.records import FileRef
    ASK = {
        "/system_stats": lambda http: http.probe(),
        "/prompt": lambda http: http.post_prompt({}),
        "/queue": lambda http: http.queue(),
        "/history/id": lambda http: http.history("id"),
        "/history": lambda http: http.last_history(10),
        "/object_info": lambda http: http.object_info(),
        "/object_info/A": lambda http: http.object_info("A"),
        "/upload": lambda http: http.upload("a", b"a"),
        "/userdata": lambda http: http.saved_workflows(),
        "/userdata/a": lambda http: http.saved_workflow("a"),
        "/view": lambda http: http.view(FileRef("a.png", "", "output", None)),
        "/cancel": lambda http: http.cancel("id"),
        "/interrupt": lambda http: http.interrupt("id"),
    }
    loop = get_loop()
    def most():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    http = Http(Address.parse(sys.argv[1]), loop, None)
    try:
        loop.run(http.interrupt("")).result(10)
    except ValueError:
        pass
    before = most()
    for route, ask in ASK.items():
        try:
            loop.run(ask(http)).result(40)
            print(route, "taken")
        except ComfyError as error:
            print(route, type(error).__name__)
    print(most() - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no module resource")
@pytest.mark.parametrize(
    ("unpacked", "most"),
    [(b"[" + b"[]," * (8 * MB) + b"[]]", 130), (b"[" + b"{}," * MB + b"{}]", 40), (bytes(400 * MB), 130)],
    ids=["lists", "objects", "zeros"],
)
def test_an_answer_that_unpacks_takes_no_more_than_a_bound_on_any_route(unpacked: bytes, most: int) -> None:
    with bombs(unpacked) as url:
        program = [sys.executable, "-c", textwrap.dedent(PROGRAM), url]
        result = subprocess.run(program, capture_output=True, text=True, timeout=50, check=True)
        *routes, taken = result.stdout.splitlines()
        told = dict(route.split() for route in routes)
        assert len(told) == 13
        del told["/userdata/a"], told["/view"]  # the bytes of a file, which nobody parses here
        assert set(told.values()) <= {"TooMuch", "ConnectionFailed", "ServerError"}
        assert int(taken) <= most


def test_connection_and_jobs_outlive_an_answer_that_is_too_much() -> None:
    with connected(Frames(count=40, rate=40)) as (server, comfy):
        job = comfy.submit(graph())
        until(lambda: job.snapshot().step > 0)
        honest, server.faults = (
            server.faults,
            Faults(page=Page(200, "application/json", SHAPES["objects"] * 10)),
        )
        with pytest.raises(ServerError):
            comfy.attach("0447b7af-958e-4c14-8d75-8144f041cd8b")
        server.faults = honest
        assert len(job.result(LIMIT)) == 1


async def _names(catalog: Catalog, names: list[str]) -> list[str]:
    classes = await catalog.classes(names)
    return [name for name in names if classes is not None and classes.get(name) is not None]


def test_a_server_with_too_many_classes_is_asked_for_those_that_are_wanted() -> None:
    wanted = [f"Class{index}" for index in range(ALL_AT_ONCE)]
    asked: list[str] = []

    class Large(Http):
        async def object_info(self, name: str | None = None):
            asked.append(name or "all")
            if name is None:
                raise TooMuch("More than memory should hold.")
            return {name: {"input": {}, "output": [], "name": name}}

    http = Large(Address.parse("http://127.0.0.1:9"), get_loop(), None)
    assert get_loop().run(_too_much_then_each(http, wanted, asked)).result(LIMIT)


async def _too_much_then_each(http: Http, wanted: list[str], asked: list[str]) -> bool:
    catalog = Catalog(http, get_loop())
    found = await _names(catalog, wanted)
    await catalog.names()
    return found == wanted and asked == ["all", *wanted]


# -- messages ---------------------------------------------------------------------------------------------------------


def test_a_text_frame_over_8_mb_is_not_read() -> None:
    text = '{"type": "status", "data": {"x": "%s"}}'
    fits = text % ("x" * (8 * MB - len(text) + 2))
    assert len(fits) == wire.MAX_TEXT
    for parse in (wire.parse, lambda raw: wire.parse_frame(raw.encode())):
        assert parse(fits) == wire.Status(None, None)
        longer = fits + " "
        tracemalloc.start()
        try:
            found = wire.parse(longer)
            assert tracemalloc.get_traced_memory()[1] <= 100_000
        finally:
            tracemalloc.stop()
        assert found == wire.Unknown("text", "of 8 MB, more than 8 MB, and dropped unread", unread=True)
    many = wire.parse('{"type": "status", "data": [' + "{}," * MB + "0]}")
    assert many == wire.Unknown("text", "that would take more than 64 MB, and dropped unread", unread=True)


def test_frames_of_both_kinds_are_told_apart_by_their_first_byte() -> None:
    assert wire.parse_frame(b'{"type": "status", "data": {}}') == wire.Status(None, None)
    assert wire.parse_frame(b"\0\0\0\1\0\0\0\1\xff\xd8\xff") == wire.PreviewImage(
        "image/jpeg", b"\xff\xd8\xff"
    )
    assert [wire.parse_frame(raw) == wire.parse(raw) for raw in (b"", b"\0", b"\0\0\0\7xxxxxxx")] == [
        True
    ] * 3
    assert wire.parse_frame(b"\xff{}").kind == "text"


def test_a_large_text_frame_is_dropped_with_a_sentence_and_everything_goes_on() -> None:
    with connected(Frames(count=60, rate=60)) as (server, comfy):
        job = comfy.submit(graph())
        until(lambda: job.snapshot().step > 0)
        for large in ("[" + "[]," * (4 * MB) + "[]]", '{"type":"status","data":[' + "{}," * MB + "0]}"):
            server.say(large)
        assert len(job.result(LIMIT)) == 1
        assert [entry.what for entry in server.log].count("greeting") == 1, "the socket stayed open"
        assert any("of 12 MB, more than 8 MB, and dropped unread" in warning for warning in job.warnings)
        assert any("more than 64 MB, and dropped unread" in warning for warning in job.warnings)
        assert len(comfy.submit(graph()).result(LIMIT)) == 1


# -- ids --------------------------------------------------------------------------------------------------------------

NO_IDS = [
    "../../../other/tenant",
    "..",
    "a/b",
    "a b",
    "a?b",
    "a#b",
    "%2e%2e",
    "",
    "a" * 201,
    "a\n",
    "ä",
    "a;b",
]


@pytest.mark.parametrize("prompt_id", NO_IDS)
def test_what_is_no_id_of_a_prompt_stands_in_no_request(prompt_id: str) -> None:
    with connected(Frames(count=1, rate=0)) as (server, comfy):
        http = comfy._client._http
        for ask in (http.cancel, http.history):
            with pytest.raises(ServerError, match=r"is no id of a job, so nothing is asked"):
                comfy.loop.run(ask(prompt_id)).result(LIMIT)
        http.can.cancel = False
        stop = comfy._client._stopper.stop_at_server
        with pytest.raises(ServerError, match="is no id of a job"):
            comfy.loop.run(stop(prompt_id, ours=False)).result(LIMIT)
        with pytest.raises(cn.JobLost, match="is no id of a job"):
            comfy.attach(prompt_id)
        about = ("history", "jobs", "interrupt", "POST /queue")
        assert not [entry for entry in server.log if any(route in entry.what for route in about)]


def test_a_job_is_not_followed_under_what_is_no_id() -> None:
    faults = Faults(
        post=Page.json({"prompt_id": "../../../other/tenant", "number": 1, "node_errors": {}}, 200)
    )
    with connected(Frames(count=1, rate=0), faults) as (server, comfy):
        job = comfy.submit(graph())
        cn.wait([job], LIMIT)
        job.interrupt()
        assert job.status == "failed"
        assert "'../../../other/tenant', which is no id of a prompt" in str(job.exception())
        assert not [entry for entry in server.log if "tenant" in str(entry)]


# -- previews ---------------------------------------------------------------------------------------------------------


def test_a_preview_that_would_block_the_page_is_refused_with_a_note_and_the_others_are_shown() -> None:
    with connected(Frames(count=60, rate=60)) as (server, comfy):
        job = comfy.submit(graph())
        until(lambda: job.snapshot().step > 0)
        size = (30_000).to_bytes(4, "big")
        wide = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + size * 2 + bytes(9)
        for image in (wide, b"\xff\xd8\xff\xd9" + bytes(30 * MB)):
            server.say(pack(wire.PreviewWithMetadata(job.id, "3", "3", None, "3", "image/png", image)))
        assert len(job.result(LIMIT)) == 1
        refused = [warning for warning in job.warnings if warning.startswith("A preview")]
        assert len(refused) == 1
        assert refused[0].startswith(
            "A preview of 30,000 x 30,000 pixels, where 16,777,216 pixels are allowed"
        )
        assert refused[0].endswith("is not shown.")
        assert len(job.steps) > 0
        assert all(step.blob.size < MB for step in job.steps)


def test_what_a_failed_node_says_is_text_in_error_and_repr() -> None:
    with connected(Frames(count=3, rate=0)) as (_, comfy):
        job = comfy.submit(graph())
        job.result(LIMIT)
        error = wire.ExecutionError(
            job.id, "3", "K\x1b[31m", "E\x07\n", "bad\x1b]0;x\x07", ("a\x1b[0m\n", "b"), (), None, {}
        )
        failure = _failed(error, job.plan, job.plan.display_id)
        for text in (failure.title, failure.detail, failure.exception_type, str(failure.problems[0])):
            assert not set(text) & {"\x1b", "\x07"}
        assert failure.title == "Sampler failed: E␇: bad␛]0;x␇"
        assert failure.detail == "a␛[0m\nb"
        job.title = "t\x1b[31m"
        assert "\x1b" not in repr(job)
