"""FaultyLink does what it says, seen with plain sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from comfy_nb.errors import ComfyError
from comfy_nb.testing import Answer, FaultyLink
from comfy_nb.testing.plumbing import split_frames
from tests.client.helpers import until
from tests.faults.stand import Stand

HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PIECES, PAUSE = 40, 0.005


class Trickle:
    """Answers each connection with many small pieces, some time apart."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, name="trickle")
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    connection.recv(4096)
                    connection.sendall(HEAD)
                    for number in range(PIECES):
                        connection.sendall(b"%09d\n" % number)
                        time.sleep(PAUSE)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def trickle() -> Iterator[FaultyLink]:
    source = Trickle()
    with FaultyLink(source.url) as link:
        yield link
    source.close()


@pytest.fixture
def link(stand: Stand) -> FaultyLink:
    return stand.link


def dial(link: FaultyLink) -> socket.socket:
    port = int(link.url.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def pieces(link: FaultyLink) -> list[bytes]:
    """What a request is answered, as it comes in."""
    with dial(link) as connection:
        connection.sendall(REQUEST)
        received = []
        while data := connection.recv(4096):
            received.append(data)
    assert b"".join(received) == HEAD + b"".join(b"%09d\n" % number for number in range(PIECES))
    return received


@contextlib.contextmanager
def listener(link: FaultyLink) -> Iterator[ClientConnection]:
    """A websocket that has been greeted."""
    address = link.url.replace("http", "ws")
    with connect(f"{address}/ws?clientId=me", proxy=None, close_timeout=0.1) as connection:
        assert '"status"' in connection.recv(10)
        yield connection


def get(link: FaultyLink, path: str = "/api/queue") -> int:
    with httpx2.Client(trust_env=False) as http:
        return http.get(link.url + path).status_code


def test_without_a_fault_everything_passes_through_as_it_comes(trickle: FaultyLink) -> None:
    assert len(pieces(trickle)) > PIECES // 4
    assert trickle.counts == {}


def test_lump_makes_few_pieces_of_many(trickle: FaultyLink) -> None:
    trickle.lump = 0.5
    assert len(pieces(trickle)) <= 3


def test_chop_makes_many_pieces_of_few(trickle: FaultyLink) -> None:
    trickle.chop, trickle.delay = 4, 0.001  # with a pause after each, none is joined to the next
    assert len(pieces(trickle)) > 2 * PIECES


def test_delay_is_one_for_each_piece(trickle: FaultyLink) -> None:
    started = time.monotonic()
    trickle.delay, trickle.chop = 0.02, 11
    pieces(trickle)
    assert time.monotonic() - started > 0.02 * (PIECES * 10 + len(HEAD)) / 11


def test_a_stall_ends_with_resume(link: FaultyLink) -> None:
    link.stall()
    with dial(link) as connection:
        connection.sendall(b"GET /api/queue HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(10)
        link.resume()
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_a_clean_cut_says_good_bye(link: FaultyLink) -> None:
    with listener(link) as connection:
        link.cut("clean")
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
    until(lambda: link.open == 0)


def test_a_reset_does_not(link: FaultyLink) -> None:
    with listener(link) as connection:
        link.cut("reset")
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(10)
        assert closed.value.rcvd is None
    until(lambda: link.open == 0)


def test_of_a_half_open_connection_the_server_learns_late(link: FaultyLink) -> None:
    with listener(link) as connection:
        link.cut("half-open")
        get(link, "/api/prompt")
        with pytest.raises(TimeoutError):
            connection.recv(0.1)
    assert link.open == 1  # the client has closed it, and the server holds it
    link.notice()
    until(lambda: link.open == 0)
    with listener(link):  # others are none the worse
        assert link.counts == {"half-open": 1}


def test_a_muted_websocket_answers_pings_and_says_nothing(link: FaultyLink) -> None:
    with listener(link) as connection, listener(link) as second:
        link.mute()
        assert connection.ping().wait(10)
        assert second.ping().wait(10)
        connection.send('{"type": "feature_flags", "data": {}}')  # the server replies, but we do not hear it
        with pytest.raises(TimeoutError):
            connection.recv(0.2)
        with listener(link) as third:
            third.send('{"type": "feature_flags", "data": {}}')
            assert "feature_flags" in third.recv(10)


def test_messages_can_be_dropped_and_doubled(link: FaultyLink) -> None:
    link.copies = lambda frame: 2 if b"feature_flags" in frame else 1
    with listener(link) as connection:
        connection.send('{"type": "feature_flags", "data": {}}')
        assert connection.recv(10) == connection.recv(10)
    link.copies = lambda frame: 0 if b"feature_flags" in frame else 1
    with listener(link) as connection:
        connection.send('{"type": "feature_flags", "data": {}}')
        with pytest.raises(TimeoutError):
            connection.recv(0.2)
    assert link.counts == {"doubled": 1, "dropped": 1}


def test_chosen_calls_get_another_answer_so_many_times(link: FaultyLink) -> None:
    link.answer(Answer("GET /api/queue", 503, count=2))
    link.answer(Answer("GET /api/history", 429, count=9))
    assert [get(link) for _ in range(3)] == [503, 503, 200]
    assert get(link, "/api/history") == 429
    link.forgive()
    assert get(link, "/api/history") == 200
    assert link.counts == {"answered 503": 2, "answered 429": 1}


@pytest.mark.parametrize("passed_on", [True, False])
def test_an_answer_may_be_lost_although_the_call_was_heard(stand: Stand, passed_on: bool) -> None:
    stand.link.answer(Answer("POST /api/history", 0, passed_on=passed_on))
    with httpx2.Client(trust_env=False) as http, pytest.raises(httpx2.TransportError):
        http.post(f"{stand.link.url}/api/history", json={"clear": True})
    stand.read()
    assert [event for event, _, _ in stand.lines] == (["forgot"] if passed_on else [])


def test_refused_connections_come_again_at_the_same_address(link: FaultyLink) -> None:
    with listener(link) as connection:
        link.refuse()
        link.refuse()
        with pytest.raises(ConnectionRefusedError):
            dial(link)
        assert connection.ping().wait(10)  # what is open stays
        link.accept()
        link.accept()
        assert get(link) == 200


def test_a_command_to_a_link_that_has_ended_is_an_error() -> None:
    with FaultyLink("http://127.0.0.1:9") as link:
        assert link.url
    with pytest.raises(ComfyError, match="inside its `with` block only"):
        link.stall()


frames = st.lists(
    st.tuples(st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.PING]), st.integers(0, 70_000)), max_size=5
)


@given(frames, st.integers(0, 400_000))
def test_frames_are_found_wherever_a_piece_ends(sizes: list[tuple[Opcode, int]], cut: int) -> None:
    whole = [
        Frame(kind, bytes(size)).serialize(mask=False)
        for kind, size in sizes
        if kind is not Opcode.PING or size < 126
    ]
    data = b"".join(whole)
    first, rest = split_frames(data[:cut])
    second, left = split_frames(rest + data[cut:])
    assert (first + second, left) == (whole, b"")
