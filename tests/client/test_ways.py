"""Ways to a server: gateways with a path, TLS, passwords, tokens and cookies, and the environment's proxies.

`Gateway` stands between a real client and a scripted server; everything is on 127.0.0.1, also what is called
gpu.example here, as a proxy looks up the names.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import logging
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import nbformat
import pytest
import trustme
from nbclient import NotebookClient

import comfy_nb as cn
from comfy_nb.cli import main as command_line
from comfy_nb.kernel.display import bundle
from comfy_nb.testing import Faults, Frames, Page, Posted, ScriptedServer, Stage
from tests.client.helpers import LIMIT, graph, until

REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
NOT_FOUND = REFUSED.replace(b"401 Unauthorized", b"404 Not Found")
TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass(frozen=True)
class Head:
    """The first lines of a request."""

    method: str
    target: str
    headers: dict[str, str] = field(repr=False)

    @property
    def upgrade(self) -> bool:
        return "upgrade" in self.headers


class Gateway:
    """A reverse proxy before one server, and a forward proxy that knows but this one; in a thread of its own.

    It serves under `prefix`, takes only requests that have all of the headers `wants` (a CONNECT is no request, but
    opens a way for one), and sets `cookie` with each answer. `seen` is what came.
    """

    def __init__(
        self,
        server: ScriptedServer,
        *,
        prefix: str = "",
        wants: dict[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        cookie: str = "",
    ) -> None:
        host, _, port = server.url.rpartition("/")[2].partition(":")
        self._backend = host, int(port)
        self._prefix, self._wants, self._tls, self._cookie = prefix, wants or {}, tls, cookie
        self.seen: list[Head] = []
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway")

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(LIMIT)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}{self._prefix}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(LIMIT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):  # the other side went
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, lines = await self._head(reader)
        if head.method == "CONNECT":
            writer.write(TUNNEL)
            await self._pass_on(b"", reader, writer)
            return
        path = (
            f"/{head.target.partition('://')[2].partition('/')[2]}" if "://" in head.target else head.target
        )
        if any(head.headers.get(name) != value for name, value in self._wants.items()):
            writer.write(REFUSED)
        elif not path.startswith(f"{self._prefix}/"):
            writer.write(NOT_FOUND)
        else:
            way = [] if head.upgrade else ["Connection: close"]
            kept = [line for line in lines if head.upgrade or not line.lower().startswith("connection:")]
            first = f"{head.method} {path.removeprefix(self._prefix)} HTTP/1.1"
            start = "\r\n".join([first, *kept, *way, "", ""]).encode()
            await self._pass_on(start, reader, writer, self._cookie)

    async def _head(self, reader: asyncio.StreamReader) -> tuple[Head, list[str]]:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip("\r\n").split("\r\n")
        method, target, _ = first.split()
        pairs = (line.partition(":") for line in lines)
        head = Head(method, target, {name.lower(): value.strip() for name, _, value in pairs})
        self.seen.append(head)
        return head, lines

    async def _pass_on(
        self, start: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cookie: str = ""
    ) -> None:
        from_server, to_server = await asyncio.open_connection(*self._backend)
        try:
            to_server.write(start)
            up = asyncio.create_task(pipe(reader, to_server))
            try:
                if cookie:
                    answer = await from_server.readuntil(b"\r\n")
                    writer.write(answer + f"Set-Cookie: {cookie}\r\n".encode())
                await pipe(from_server, writer)
            finally:
                up.cancel()
        finally:
            to_server.close()


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


class Held(Frames):
    """Ends no run while `held`, so that a client has the time to hear all of it and to ask about it."""

    held = False

    async def _previews(self, stage: Stage, prompt: Posted, node: str) -> int:
        shown = await super()._previews(stage, prompt, node)
        await stage.until(lambda: not self.held)
        return shown


def run_one(server: ScriptedServer, url: str, **options: Any) -> None:
    """A whole job, with previews and a look at the queue, over HTTP and websocket."""
    script = server._script
    assert isinstance(script, Held)
    script.held, looks = True, len(server.calls("GET /queue"))
    with cn.connect(url, **options) as comfy:
        job = comfy.submit(graph())
        until(lambda: len(job.steps) == 3, "all previews are here")
        until(lambda: len(server.calls("GET /queue")) > looks, "the queue was asked for")
        script.held = False
        server.resume()
        assert job.result(LIMIT).image.size == (256, 256)
        assert len(job.steps) == 3


def requests(server: ScriptedServer) -> list[dict[str, str]]:
    """The headers of all that came to the server: requests, and the handshake of the websocket."""
    found = [entry.headers for entry in server.log if entry.headers]
    assert len(found) > 5
    assert any("upgrade" in headers for headers in found)
    return found


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(Held(count=3, rate=0)) as running:
        yield running


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


# -- a path, and TLS -------------------------------------------------------------------------------------------


def test_behind_a_path(server: ScriptedServer) -> None:
    with Gateway(server, prefix="/user/ann/comfy") as gateway:
        run_one(server, f"{gateway.url}/")
        assert all(head.target.startswith("/user/ann/comfy/api/") for head in gateway.seen)
        assert any(head.upgrade for head in gateway.seen)
        with pytest.raises(cn.ConnectionFailed, match="it is not a ComfyUI"):
            cn.connect(gateway.url.replace("/ann", "/bob"))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def certified(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def test_an_authority_of_ones_own(server: ScriptedServer, authority: trustme.CA, tmp_path: Path) -> None:
    pem = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(pem))
    own = ssl.create_default_context()
    authority.configure_trust(own)
    with Gateway(server, prefix="/comfy", tls=certified(authority, "127.0.0.1")) as gateway:
        for verify in (pem, str(pem), own, False):
            run_one(server, gateway.url, verify=verify)
        with pytest.raises(
            cn.ConnectionFailed, match=r"is not trusted \(unable to get .*Pass verify=\"ca\.pem\""
        ):
            cn.connect(gateway.url)
        with pytest.raises(cn.ConnectionFailed, match=r"did not answer|not speak|No ComfyUI"):
            cn.connect(gateway.url.replace("https", "http"))


def test_a_certificate_for_another_host_is_refused(
    server: ScriptedServer, authority: trustme.CA, tmp_path: Path
) -> None:
    pem = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(pem))
    with (
        Gateway(server, tls=certified(authority, "gpu.example")) as gateway,
        pytest.raises(cn.ConnectionFailed, match=r"is not trusted \(IP address mismatch"),
    ):
        cn.connect(gateway.url, verify=pem)


def test_https_where_there_is_none(server: ScriptedServer) -> None:
    with pytest.raises(cn.ConnectionFailed, match="does not speak TLS: try http://"):
        cn.connect(server.url.replace("http", "https"))


# -- credentials -----------------------------------------------------------------------------------------------

TOKEN = "t0ken"  # noqa: S105 - nobody's
BASIC = "Basic " + base64.b64encode(b"ann:p@ss").decode()


@pytest.mark.parametrize("way", ["auth=", "the address", "headers="])
def test_basic_authentication(server: ScriptedServer, way: str) -> None:
    with Gateway(server, wants={"authorization": BASIC}) as gateway:
        url = gateway.url.replace("//", "//ann:p%40ss@") if way == "the address" else gateway.url
        said: dict[str, Any] = {
            "auth=": {"auth": ("ann", "p@ss")},
            "headers=": {"headers": {"Authorization": BASIC}},
        }
        run_one(server, url, **said.get(way, {}))
        assert all(headers["authorization"] == BASIC for headers in requests(server))
        with pytest.raises(cn.ConnectionFailed, match=r"refuses us \(HTTP 401\)") as caught:
            cn.connect(gateway.url, auth=("ann", "wrong-p@ss"))
        assert "p@ss" not in str(caught.value)


def test_a_token_and_a_user(server: ScriptedServer) -> None:
    with Gateway(server, wants={"authorization": f"Bearer {TOKEN}", "comfy-user": "ann_1"}) as gateway:
        run_one(server, gateway.url, token=TOKEN, user="ann_1")
        assert {(h["authorization"], h["comfy-user"]) for h in requests(server)} == {
            (f"Bearer {TOKEN}", "ann_1")
        }
        with pytest.raises(cn.ConnectionFailed, match=r"refuses us \(HTTP 401\)"):
            cn.connect(gateway.url, token=TOKEN)


def test_cookies(server: ScriptedServer) -> None:
    with Gateway(server, wants={"cookie": "session=abcd; zone=1"}) as gateway:
        run_one(server, gateway.url, cookies={"session": "abcd", "zone": "1"})
        assert {headers["cookie"] for headers in requests(server)} == {"session=abcd; zone=1"}


def test_the_newest_cookies_are_sent_also_to_the_websocket(server: ScriptedServer) -> None:
    with Gateway(server, cookie="session=renewed; Path=/; HttpOnly") as gateway:
        comfy = cn.connect(gateway.url, cookies={"session": "abcd", "zone": "1"})
        server.drop()
        until(lambda: server.open_sockets == 1 and [e.what for e in server.log].count("greeting") == 2)
        comfy.submit(graph()).result(LIMIT)
        comfy.close()
    first, *later = [entry.headers["cookie"] for entry in server.log if entry.headers]
    assert first == "session=abcd; zone=1"
    assert set(later) == {"zone=1; session=renewed"}


@pytest.mark.parametrize(("version", "warned"), [("0.3.67", True), ("0.3.68", False)])
def test_an_account_that_the_queue_tells_everybody_is_warned_of_once(version: str, warned: bool) -> None:
    with ScriptedServer(Frames(count=1, rate=0, version=version)) as server:
        cn.connect(server.url).close()  # without an account there is nothing to say
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("default")
            for _ in range(2):
                run_with_key(server.url)
    assert len(said) == warned
    for warning in said:
        assert "shows everybody who asks for its queue" in str(warning.message)
        assert "k3y" not in str(warning.message)
        assert warning.filename == __file__


def run_with_key(url: str) -> None:
    with cn.connect(url, comfy_key="k3y-of-an-account") as comfy:
        comfy.submit(graph()).result(LIMIT)


def test_the_key_of_an_account_goes_with_each_job_and_nowhere_else(server: ScriptedServer) -> None:
    with cn.connect(server.url, comfy_key="k3y-of-an-account") as comfy:
        for _ in range(2):
            comfy.submit(graph()).result(LIMIT)
        posted = server.calls("POST /prompt")
        assert [body["extra_data"]["api_key_comfy_org"] for body in posted] == ["k3y-of-an-account"] * 2
        others = [entry for entry in server.log if entry.what != "POST /api/prompt"]
        assert not any("k3y" in repr((entry.body, entry.headers)) for entry in others)


# -- the environment's proxies ---------------------------------------------------------------------------------


def test_a_remote_host_is_reached_by_the_proxy(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gateway(server) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        run_one(server, "http://gpu.example:8188")
        assert {head.target for head in proxy.seen if head.method == "CONNECT"} == {"gpu.example:8188"}
        asked = {head.target.partition("?")[0] for head in proxy.seen if head.method != "CONNECT"}
        assert all(target.startswith("http://gpu.example:8188/api/") for target in asked)
        assert {target.split("/")[4] for target in asked} >= {"prompt", "queue", "history", "view"}


def test_a_remote_host_by_https_and_the_proxy(
    server: ScriptedServer, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(pem))
    with Gateway(server, prefix="/comfy", tls=certified(authority, "gpu.example")) as gateway:
        backend = ScriptedServer.__new__(ScriptedServer)
        backend.url = f"http://127.0.0.1:{gateway.port}"
        with Gateway(backend) as proxy:
            monkeypatch.setenv("https_proxy", proxy.url)
            run_one(server, "https://gpu.example/comfy", verify=pem)
            assert {head.method for head in proxy.seen} == {"CONNECT"}
            assert {head.target for head in proxy.seen} == {"gpu.example:443"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_needs_no_proxy(
    server: ScriptedServer, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gateway(server) as proxy:
        for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        run_one(server, server.url.replace("127.0.0.1", host))
        assert proxy.seen == []


def test_a_host_that_the_environment_excepts_is_not_asked_of_the_proxy(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gateway(server) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "gpu.invalid")
        with pytest.raises(cn.ConnectionFailed, match=r"No ComfyUI answers at http://gpu\.invalid:8188"):
            cn.connect("http://gpu.invalid:8188")
        assert proxy.seen == []


def test_a_proxy_whose_password_is_in_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://ann:pr0xy-pass@127.0.0.1:1")
    with pytest.raises(cn.ConnectionFailed, match=r"No ComfyUI answers at http://gpu\.example") as caught:
        cn.connect("http://gpu.example")
    assert "pr0xy" not in str(caught.value)


# -- and nobody is told ----------------------------------------------------------------------------------------

SECRETS = ("pa55-w0rd", "c00kie-v4lue", "h3ader-v4lue", "k3y-of-an-account", "r3newed-s3ssion")
ANN = base64.b64encode(b"ann:pa55-w0rd").decode()


def quoting(page: Callable[[str, int], Page]) -> Page:
    """An answer of a server that tells what it was sent."""
    return page(f"You sent {ANN}, {', '.join(SECRETS)} and more", 400)


def refusal(text: str, status: int) -> Page:
    error = {"type": text, "message": text, "details": text, "extra_info": {}}
    return Page.json({"error": error, "node_errors": {"3": {"class_type": text, "errors": [error]}}}, status)


def everything_of(job: cn.Job) -> list[object]:
    """All that a job shows and keeps, in a notebook and elsewhere."""
    error = job.exception(LIMIT)
    notes = getattr(error, "__notes__", [])
    shown = [job.view.get_state(), job._repr_mimebundle_(), bundle(job.view, text=repr(job))]
    return [job, vars(job), job.snapshot(), job.plan, list(job.events()), error, repr(error), notes, *shown]


def test_no_secret_is_shown_logged_or_kept(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    wants = {"authorization": f"Basic {ANN}", "x-api-key": "h3ader-v4lue"}
    with Gateway(server, wants=wants, cookie="session=r3newed-s3ssion; Path=/") as gateway:
        url = gateway.url.replace("//", "//ann:pa55-w0rd@")
        credentials: dict[str, Any] = {
            "headers": {"X-API-Key": "h3ader-v4lue"},
            "cookies": {"session": "c00kie-v4lue"},
        }
        comfy = cn.connect(url, comfy_key="k3y-of-an-account", name="ann", **credentials)
        board = cn.JobBoard(comfy)
        said: list[object] = [*everything_of(comfy.submit(graph()))]
        server.faults = Faults(post=quoting(refusal))
        said += everything_of(comfy.submit(graph()))
        server.faults = Faults(page=quoting(Page.text))
        with pytest.raises(cn.ComfyError) as caught:
            comfy.attach("0447b7af-958e-4c14-8d75-8144f041cd8b")
        said += [caught.value, repr(caught.value)]
        server.faults = Faults()
        sockets = server.open_sockets
        server.drop()
        until(lambda: server.open_sockets == sockets)
        said += [comfy, comfy.address, board, board.view.get_state()]
        assert command_line(["doctor", url, "--header", "X-API-Key: h3ader-v4lue"]) == 0
        said += capfd.readouterr()
        board.close()
        comfy.close()
        with pytest.raises(cn.ConnectionFailed) as caught:
            cn.connect(url.replace("ann:", "bob:"), **credentials)
        said += [caught.value, repr(caught.value), caught.value.__cause__]
    said += [caplog.text, *(record.args for record in caplog.records)]
    everything = "\n".join(map(str, said))
    assert "websocket of" in everything, "the logs are there"
    assert "ann" in everything, "what is no secret is shown"
    for secret in (*SECRETS, ANN, "ann:pa55"):
        at = everything.find(secret)
        assert at < 0, everything[max(0, at - 200) : at + 100]


CELLS = (
    """
    import os
    import comfy_nb as cn
    comfy = cn.connect(os.environ["URL"], cookies={"session": os.environ["COOKIE"]}, comfy_key=os.environ["KEY"])
    board = cn.JobBoard(comfy)
    display(comfy, board)
    """,
    """
    job = comfy.submit({"3": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 3}}}, title="a lighthouse")
    display(job, job.view)
    job.freeze()
    job.result()
    """,
    "cn.connect(os.environ['URL'].replace('ann:', 'bob:'))",
)


@pytest.mark.filterwarnings("default")
def test_no_secret_is_in_a_saved_notebook(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    cells = [nbformat.v4.new_code_cell(inspect.cleandoc(source)) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    with Gateway(
        server, wants={"authorization": f"Basic {ANN}"}, cookie="session=r3newed-s3ssion"
    ) as gateway:
        monkeypatch.setenv("URL", gateway.url.replace("//", "//ann:pa55-w0rd@"))
        monkeypatch.setenv("COOKIE", "c00kie-v4lue")
        monkeypatch.setenv("KEY", "k3y-of-an-account")
        NotebookClient(notebook, timeout=40, allow_errors=True).execute()
    saved = nbformat.writes(notebook)
    assert notebook.cells[2].outputs[0].ename == "ConnectionFailed"
    assert "HTTP 401" in saved
    assert "a lighthouse" in saved
    assert "application/vnd.jupyter.widget-state+json" in saved
    assert server.calls("POST /prompt")[0]["extra_data"]["api_key_comfy_org"] == "k3y-of-an-account"
    printed = "".join(capfd.readouterr())  # by the kernel
    for secret in (*SECRETS, ANN, "ann:pa55"):
        assert secret not in saved + printed
