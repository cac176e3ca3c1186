"""The server's process: how it starts, what it survives, and that nothing of it is left behind."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import psutil
import pytest

import comfy_nb as cn
from comfy_nb.errors import ConnectionFailed
from comfy_nb.server import process as process_module
from comfy_nb.server.__main__ import main
from comfy_nb.server.process import EmbeddedServer
from tests.server.talk import talking, text_to_image

ROOT = Path(__file__).parents[2]
PARENT = """
import sys
from comfy_nb.server.process import EmbeddedServer
server = EmbeddedServer.start(step_time=0)
try:
    print(server.url, server.pid, server._folder, flush=True)
    sys.stdin.read()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.stdin.read()
"""


def eventually(condition: Callable[[], bool], limit: float = 10) -> bool:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)  # between two looks at a process that is not ours to wait for
    return False


def serves(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/queue", trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False


@pytest.fixture
def parent():
    """Another Python that has started a server: (its process, the server's address, pid and folder)."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    url, pid, folder = process.stdout.readline().split()
    yield process, url, int(pid), Path(folder)
    process.kill()
    process.communicate()


def test_it_serves_until_it_is_closed():
    with EmbeddedServer.start() as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert serves(server.url)
        assert server.running
        folder = server._folder
        assert folder.is_dir()
        started = time.monotonic()
    assert time.monotonic() - started < 3
    assert not server.running
    assert not psutil.pid_exists(server.pid)
    assert not folder.exists()
    server.close()


def test_it_closes_in_the_middle_of_a_run():
    with EmbeddedServer.start(step_time=2) as server, talking(server.url) as talker:
        prompt_id = talker.post(text_to_image())
        talker.until(lambda m: m is not None and m["type"] == "executing")
        assert talker.http.get("/queue").json()["queue_running"][0][1] == prompt_id
        started = time.monotonic()
        server.close()
        assert time.monotonic() - started < 3
    assert not psutil.pid_exists(server.pid)


def test_it_ends_when_it_is_forgotten():
    server = EmbeddedServer.start()
    pid = server.pid
    del server
    gc.collect()
    assert not psutil.pid_exists(pid)


def test_a_session_of_its_own_survives_the_interrupt_of_its_parent(parent):
    process, url, pid, _ = parent
    os.killpg(process.pid, signal.SIGINT)
    assert process.stdout.readline() == "interrupted\n"
    assert serves(url)
    assert psutil.pid_exists(pid)
    assert os.getsid(pid) == pid


def test_a_killed_parent_leaves_no_process_and_no_files(parent):
    process, _, pid, folder = parent
    assert folder.is_dir()
    process.kill()
    process.wait()
    assert eventually(lambda: not _alive(pid))
    assert not folder.exists()


def test_a_killed_parent_leaves_nothing_in_the_middle_of_a_run(parent):
    process, url, pid, folder = parent
    with talking(url) as talker:
        talker.post(text_to_image(), extra_data={"step_time": 2})
        talker.until(lambda m: m is not None and m["type"] == "executing")
        process.kill()
        process.wait()
        assert eventually(lambda: not _alive(pid))
    assert not folder.exists()


def _alive(pid: int) -> bool:
    # A zombie has ended; whoever inherits it here may not collect it.
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(process_module, "NEEDED", ("numpy", "no_such_package"))
    with pytest.raises(ConnectionFailed, match=r"needs no_such_package: pip install 'comfy-nb\[demo\]'"):
        EmbeddedServer.start()


def test_a_child_that_fails_is_reported_with_its_last_words():
    with EmbeddedServer.start() as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(ConnectionFailed, match=rf"exit code 1.*Cannot listen on 127.0.0.1:{port}"):
            EmbeddedServer.start(port=port)


def test_a_child_that_does_not_serve_in_time_is_ended():
    before = set(psutil.Process().children())
    with pytest.raises(ConnectionFailed, match="within 0 seconds"):
        EmbeddedServer.start(timeout=0)
    assert set(psutil.Process().children()) == before


def test_the_program_says_where_it_serves_in_one_line_and_ends_on_interrupt():
    process = subprocess.Popen(
        [sys.executable, "-m", "comfy_nb.server", "--step-time", "0.5"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    said = json.loads(process.stdout.readline())
    assert said == {"url": said["url"], "pid": process.pid}
    assert serves(said["url"])
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=10)
    assert (process.returncode, rest, errors) == (0, b"", b"")


@pytest.mark.parametrize("value", ["-1", "3", "nan", "soon"])
def test_a_step_time_out_of_range_is_refused(value, capsys):
    with pytest.raises(SystemExit):
        main(["--step-time", value])
    assert "--step-time" in capsys.readouterr().err


def test_it_listens_on_loopback_only():
    with EmbeddedServer.start() as server:
        addresses = {c.laddr.ip for c in psutil.Process(server.pid).net_connections() if c.status == "LISTEN"}
    assert addresses == {"127.0.0.1"}


FORKING = """
import os, sys, time
from comfy_nb.server.process import EmbeddedServer
server = EmbeddedServer.start(step_time=0)
child = os.fork()
if child == 0:
    time.sleep(60)  # holds every pipe of its parent open
    os._exit(0)
print(server.pid, server._folder, child, flush=True)
if sys.stdin.readline() == "close\\n":
    server.close()
    print("closed", server._process.returncode, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def forking():
    """A Python that has started a server and then forked: (its process, the server's pid and folder)."""
    process = subprocess.Popen(
        [sys.executable, "-c", FORKING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    pid, folder, child = process.stdout.readline().split()
    yield process, int(pid), Path(folder)
    process.kill()
    os.kill(int(child), signal.SIGKILL)
    process.communicate()


def test_a_forked_child_of_a_killed_parent_does_not_keep_it_alive(forking):
    process, pid, folder = forking
    process.kill()
    process.wait()
    assert eventually(lambda: not _alive(pid))
    assert not folder.exists()


def test_it_closes_by_itself_although_a_forked_child_holds_its_pipe(forking):
    process, pid, folder = forking
    ended = psutil.Process(pid)
    print("close", file=process.stdin, flush=True)
    assert process.stdout.readline() == "closed 0\n"  # not killed
    assert not ended.is_running()
    assert not folder.exists()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # newer Pythons warn where threads run
def test_the_end_of_a_forked_child_is_not_the_servers():
    with EmbeddedServer.start() as server:
        child = os.fork()
        if child == 0:
            try:
                server.close()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert server.running
        assert serves(server.url)
        assert server._folder.is_dir()


def test_a_child_leaves_interrupts_to_its_parent():
    with EmbeddedServer.start() as server:
        for _ in range(3):
            os.kill(server.pid, signal.SIGINT)
        assert serves(server.url)
        assert server.running
        os.kill(server.pid, signal.SIGTERM)
        assert eventually(lambda: not server.running)


def test_another_step_time_holds_from_then_on():
    with EmbeddedServer.start(step_time=2) as server, talking(server.url) as talker:
        server.set_step_time(0)
        talker.run(text_to_image(steps=20))  # would take 40 seconds: longer than the talker waits
        with pytest.raises(ValueError, match="step_time=3 is not a number of seconds from 0 to 2"):
            server.set_step_time(3)
    with pytest.raises(ConnectionFailed, match="does not take step_time=1"):
        server.set_step_time(1)


def test_a_demo_that_is_asked_for_another_step_time_takes_it():
    first = cn.demo(step_time=2)
    try:
        assert cn.demo(step_time=0) is first
        assert cn.demo() is first
        with talking(first.url) as talker:
            talker.run(text_to_image(steps=20))  # would take 40 seconds
    finally:
        first.close()


def test_a_text_as_long_as_a_book_makes_no_book_of_the_log():
    words = " ".join(
        f"nonsense{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}" for n in range(9000)
    )
    with EmbeddedServer.start(step_time=0) as server, talking(server.url) as talker:
        talker.run(text_to_image(steps=1, text=words))
        assert (server._folder / "server.log").stat().st_size < 10_000
        assert "characters left out" in server.log()


def test_a_log_that_has_grown_long_begins_anew():
    with EmbeddedServer.start(step_time=0) as server, talking(server.url) as talker:
        log = server._folder / "server.log"
        with log.open("ab") as file:
            file.write(b"x" * 2_000_000)
        talker.run(text_to_image(steps=1, text="qwertyuiop"))
        assert log.stat().st_size < 10_000
        assert "qwertyuiop" in server.log()
