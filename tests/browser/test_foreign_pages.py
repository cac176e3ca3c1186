"""Pages from elsewhere, in a real browser, can neither queue nor read anything on the embedded server."""

import contextlib
import http.server
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, Page

from comfy_nb.server.process import EmbeddedServer
from tests.browser.chromium import FLAGS, find_chromium
from tests.server.talk import talking, text_to_image

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

# All that a page can try without its user's help; each answer is what the page learns, or None.
TRIES = """async ([server, prompt]) => {
    const tell = async (call) => { try { return await call() } catch { return null } }
    const read = (path, options) => tell(async () => {
        const reply = await fetch(server + path, options)
        return reply.ok ? `${reply.status} ${(await reply.text()).slice(0, 60)}` : null
    })
    const blind = (path, body) => tell(() => fetch(server + path, { method: 'POST', mode: 'no-cors', body }))
    const element = (tag, property, path) => new Promise((resolve) => {
        const made = document.createElement(tag)
        made.onload = () => resolve('loaded')
        made.onerror = () => resolve(null)
        made[property] = server + path
        document.body.append(made)
    })
    const socket = () => new Promise((resolve) => {
        const made = new WebSocket(server.replace('http', 'ws') + '/ws?clientId=thief')
        made.onmessage = (event) => resolve(event.data)
        made.onerror = () => resolve(null)
    })
    const form = () => {
        const made = Object.assign(document.createElement('form'),
            { method: 'post', action: server + '/interrupt', target: 'hidden', enctype: 'text/plain' })
        document.body.insertAdjacentHTML('beforeend', '<iframe name="hidden"></iframe>')
        document.body.append(made)
        return new Promise((resolve) => {
            document.querySelector('iframe').onload = () => resolve(null)
            made.submit()
        })
    }
    const upload = new FormData()
    upload.append('image', new Blob(['x']), 'stolen.png')
    await blind('/prompt', JSON.stringify({ prompt }))
    await blind('/api/queue', JSON.stringify({ clear: true }))
    await blind('/history', JSON.stringify({ clear: true }))
    await blind('/userdata/stolen.txt', 'x')
    await form()
    return {
        prompt: await read('/prompt', { method: 'POST', body: JSON.stringify({ prompt }) }),
        asJson: await read('/prompt', {
            method: 'POST', body: JSON.stringify({ prompt }), headers: { 'content-type': 'application/json' },
        }),
        upload: await read('/upload/image', { method: 'POST', body: upload }),
        history: await read('/history'),
        queue: await read('/api/queue'),
        info: await read('/object_info/KSampler'),
        picture: await element('img', 'src', '/view?filename=mine.png&type=input'),
        script: await element('script', 'src', '/history'),
        socket: await socket(),
    }
}"""
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


class Elsewhere(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title><body></body>")

    def log_message(self, *arguments: Any) -> None:
        """Tests are quiet."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[int]:
    """The port of a server of pages that are not ours."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as pages:
        thread = threading.Thread(target=pages.serve_forever, name="elsewhere")
        thread.start()
        yield pages.server_port
        pages.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer.start(step_time=0) as running:
        files = {"image": ("mine.png", PICTURE, "image/png")}
        httpx2.post(f"{running.url}/upload/image", files=files, trust_env=False)
        yield running


@pytest.fixture(scope="module")
def rebound(browser: Browser) -> Iterator[Browser]:
    """A browser for which a name on the internet points to this machine."""
    rules = "--host-resolver-rules=MAP evil.example 127.0.0.1"
    other = browser.browser_type.launch(executable_path=find_chromium(), args=[*FLAGS, rules])
    yield other
    other.close()


@contextlib.contextmanager
def opened(browser: Browser, url: str) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(url)
    yield page
    page.close()


def attempts(page: Page, target: str) -> dict[str, str | None]:
    return page.evaluate(TRIES, [target, text_to_image(steps=1)])


def kept(server: EmbeddedServer) -> tuple[Any, Any, Any]:
    """What pages could have changed: the history, the queue, the files."""
    with httpx2.Client(base_url=server.url, trust_env=False) as http:
        listed = http.get("/v2/userdata").json()
        return http.get("/history").json(), http.get("/queue").json(), listed


@pytest.mark.parametrize(
    ("page_host", "server_host"),
    [
        ("127.0.0.1", "127.0.0.1"),  # another port: the same site
        ("localhost", "127.0.0.1"),  # another site
        ("evil.example", "127.0.0.1"),
        ("evil.example", "evil.example"),  # a name that was made to point here, on another port
    ],
)
def test_a_page_from_elsewhere_gets_nothing_and_does_nothing(
    rebound, server, elsewhere, page_host, server_host
):
    with talking(server.url) as owner:
        owner.run(text_to_image(steps=1))
    before = kept(server)
    port = urlsplit(server.url).port
    with opened(rebound, f"http://{page_host}:{elsewhere}/") as page:
        learnt = attempts(page, f"http://{server_host}:{port}")
    assert {name for name, answer in learnt.items() if answer is not None} == set()
    assert kept(server) == before


def test_a_name_that_points_here_is_no_way_in(rebound, server):
    """Rebinding at its end: to the browser, page and server are of one origin, so it hides nothing."""
    with talking(server.url) as owner:
        owner.run(text_to_image(steps=1))
    before = kept(server)
    address = f"http://evil.example:{urlsplit(server.url).port}"
    with opened(rebound, f"{address}/history") as page:
        assert "not a loopback address" in page.content()
        learnt = attempts(page, address)
    assert {name for name, answer in learnt.items() if answer is not None} == set()
    assert kept(server) == before


def test_the_servers_own_pages_are_answered(browser, server):
    """That the attempts above are real: from a page of the server's own, each of them works."""
    with opened(browser, f"{server.url}/queue") as page:
        learnt = attempts(page, server.url)
    assert {name for name, answer in learnt.items() if answer is None} == set()


def test_a_link_leads_here(browser, server, elsewhere):
    with opened(browser, f"http://127.0.0.1:{elsewhere}/") as page:
        page.evaluate("url => { location.href = url }", f"{server.url}/queue")
        page.wait_for_url(f"{server.url}/queue")
        assert "queue_running" in page.content()


def test_no_page_frames_this_one(browser, server, elsewhere):
    with opened(browser, f"http://127.0.0.1:{elsewhere}/") as page:
        page.evaluate(
            "url => new Promise(done => { const frame = document.createElement('iframe'); frame.onload = done;"
            " frame.src = url; document.body.append(frame) })",
            f"{server.url}/queue",
        )
        assert "another port" in page.frames[-1].content()
