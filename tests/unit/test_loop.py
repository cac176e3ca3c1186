"""The background threads: order, errors, refusals, forks; and that nothing is printed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import time
import traceback

import pytest

from comfy_nb.errors import BlockingCallError, ConnectionFailed
from comfy_nb.loop import WORKERS, Loop, get_loop


@pytest.fixture
def loop() -> Loop:
    return get_loop()


def settle(loop: Loop) -> None:
    """Wait until the loop and the callbacks thread have done what was asked of them."""
    for hand_over in (loop.call, loop.callback):
        done = threading.Event()
        hand_over(done.set)
        assert done.wait(10)


def test_there_is_one_loop_per_process(loop: Loop) -> None:
    assert get_loop() is loop
    assert loop.usable
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("comfy_nb")]
    assert len(names) == len(set(names))
    assert sum(name != "comfy_nb-store" for name in names) == 2 + WORKERS
    assert all(t.daemon for t in threading.enumerate() if t.name.startswith("comfy_nb"))


# --- Blocking on the loop -----------------------------------------------------------------------------------


async def nothing() -> str:
    return "done"


def test_wait_gives_the_result(loop: Loop) -> None:
    assert loop.wait(nothing(), "this") == "done"
    assert not loop.is_current()


def test_a_blocking_call_on_the_loop_is_refused(loop: Loop) -> None:
    async def on_the_loop() -> None:
        assert loop.is_current()
        loop.wait(nothing(), "comfy.thing()")  # the coroutine is closed too, else a warning fails this test

    with pytest.raises(BlockingCallError, match=r"comfy\.thing\(\) waits.*own loop thread"):
        loop.run(on_the_loop()).result(10)


def test_a_blocking_call_in_a_callback_is_fine(loop: Loop) -> None:
    got: list[str] = []
    loop.callback(lambda: got.append(loop.wait(nothing(), "this", 10)))
    settle(loop)
    assert got == ["done"]


def test_a_timeout_ends_the_request_too(loop: Loop) -> None:
    ended = threading.Event()

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        loop.wait(endless(), "this", 0.01)
    assert ended.wait(10)


def test_an_error_of_ours_comes_without_the_loops_own_frames(loop: Loop) -> None:
    async def deep_inside() -> None:
        raise ConnectionFailed("nobody there") from OSError("refused")

    with pytest.raises(ConnectionFailed, match="nobody there") as caught:
        loop.wait(deep_inside(), "this")
    assert [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)][1:] == ["wait"]
    assert isinstance(caught.value.__cause__, OSError)


# --- Order and errors ---------------------------------------------------------------------------------------


def test_calls_run_in_order_on_the_loop(loop: Loop) -> None:
    seen: list[tuple[int, bool]] = []
    for index in range(100):
        loop.call(lambda index=index: seen.append((index, loop.is_current())))
    settle(loop)
    assert seen == [(index, True) for index in range(100)]


def test_callbacks_run_in_order_on_one_thread_of_their_own(loop: Loop) -> None:
    seen: list[tuple[int, str]] = []
    for index in range(100):
        loop.callback(lambda index: seen.append((index, threading.current_thread().name)), index)
    settle(loop)
    assert seen == [(index, "comfy_nb-callback-0") for index in range(100)]


def test_a_slow_callback_does_not_stop_the_loop(loop: Loop) -> None:
    gate = threading.Event()
    loop.callback(gate.wait, 10)
    assert loop.wait(nothing(), "this", 10) == "done"
    gate.set()
    settle(loop)


@pytest.mark.parametrize("where", ["call", "callback"])
def test_what_raises_is_logged_and_stops_nothing(
    loop: Loop, where: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise ValueError("a user's fault")

    getattr(loop, where)(broken)
    settle(loop)
    assert [record.name for record in caplog.records] == ["comfy_nb"]
    assert "broken" in caplog.text
    assert "a user's fault" in caplog.text
    assert capfd.readouterr() == ("", "")


def test_work_runs_in_the_workers_two_at_a_time(loop: Loop) -> None:
    meet = threading.Barrier(WORKERS, timeout=10)

    def work(what: str) -> tuple[str, str]:
        meet.wait()
        return what, threading.current_thread().name

    async def both() -> list[tuple[str, str]]:
        return await asyncio.gather(loop.work(work, "a"), loop.work(work, what="b"))

    (a, first), (b, second) = loop.wait(both(), "this", 10)
    assert (a, b) == ("a", "b")
    assert {first, second} == {"comfy_nb-worker-0", "comfy_nb-worker-1"}


def test_an_error_of_the_work_is_the_callers(loop: Loop) -> None:
    async def failing() -> None:
        await loop.work(int, "x")

    with pytest.raises(ValueError, match="invalid literal"):
        loop.wait(failing(), "this", 10)


def test_call_later(loop: Loop) -> None:
    rang: list[float] = []
    heard = threading.Event()

    async def set_two() -> float:
        loop.call_later(0.01, lambda: (rang.append(time.monotonic()), heard.set()))
        loop.call_later(0.0, lambda: rang.append(0.0)).cancel()
        return time.monotonic()

    asked = loop.wait(set_two(), "this")
    assert heard.wait(10)
    assert len(rang) == 1
    assert rang[0] - asked >= 0.009


# --- Whole processes ----------------------------------------------------------------------------------------


def run(code: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(code)]
    return subprocess.run(program, capture_output=True, text=True, timeout=30, check=False)


def test_after_a_fork_the_child_has_a_loop_of_its_own() -> None:
    done = run("""
        import os
        from comfy_nb.loop import get_loop
        async def nothing(): return "ok"
        parents = get_loop()
        assert parents.wait(nothing(), "x", 10) == "ok"
        child = os.fork()
        if child == 0:
            good = not parents.usable and get_loop() is not parents and get_loop().wait(nothing(), "x", 10) == "ok"
            os._exit(0 if good else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert get_loop() is parents and parents.wait(nothing(), "x", 10) == "ok"
        print("ok")
    """)
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_busy_threads_do_not_keep_a_process_alive() -> None:
    done = run("""
        import threading
        from comfy_nb.loop import get_loop
        started = threading.Semaphore(0)
        def stuck():
            started.release()
            threading.Event().wait()
        async def work(): await get_loop().work(stuck)
        get_loop().callback(stuck)
        get_loop().run(work())
        started.acquire(timeout=10); started.acquire(timeout=10)
        print("leaving")
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "leaving\n", "")


def test_nothing_is_printed_by_a_program_that_sets_up_no_logging() -> None:
    done = run("""
        import asyncio, gc, threading
        from comfy_nb.loop import get_loop
        loop = get_loop()
        def broken(): raise ValueError("loud")
        async def forgotten():
            async def fails(): raise ValueError("loud")
            task = asyncio.get_running_loop().create_task(fails())
            await asyncio.sleep(0); await asyncio.sleep(0)
            del task
            gc.collect()
        loop.call(broken)
        loop.callback(broken)
        loop.wait(forgotten(), "x", 10)
        done = threading.Event()
        loop.callback(done.set)
        done.wait(10)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_faults_of_the_loop_are_logged_for_those_who_look() -> None:
    done = run("""
        import logging, sys
        logging.basicConfig(stream=sys.stdout, level=logging.ERROR, format="%(name)s %(message)s")
        from comfy_nb.loop import get_loop
        async def fault():
            get_loop().asyncio.call_exception_handler({"message": "odd", "exception": ValueError("why")})
        get_loop().wait(fault(), "x", 10)
    """)
    assert done.stdout.startswith("comfy_nb comfy_nb: on the loop thread: odd\n")
    assert "ValueError: why" in done.stdout
