"""Real kernels, driven as a front end drives them: what works in a cell that waits, and what it leaves."""

import statistics
import time

import pytest

WAIT = """
w = Waiter()
say("waiting")
print("set" if w.wait(8) else "timeout")
"""
AWAIT = """
done = asyncio.get_running_loop().create_future()
say("waiting")
await wait_async(done)
print("set")
"""
END = {WAIT: "w.set()", AWAIT: "done.set_result(None)"}
both = pytest.mark.parametrize("cell", [WAIT, AWAIT], ids=["wait", "await"])


def begin(kernel, code):
    """Start a cell and see it wait."""
    cell = kernel.start(code)
    kernel.says("waiting")
    return cell


@both
def test_a_click_reaches_a_cell_that_waits(kernel, cell):
    running = begin(kernel, cell)
    kernel.heard(kernel.click("print('clicked')"))
    assert not kernel.ended(running)
    kernel.click(END[cell])
    assert kernel.finish(running).text == "waiting\nclicked\nset\n"


@both
def test_the_page_is_told_when_a_click_is_done(kernel, cell):
    running = begin(kernel, cell)
    sent = kernel.ask("comm_msg", comm_id="test", data={"click": "x", "code": "", "sent": time.time()})
    kernel.idle(sent, limit=2)
    assert not kernel.ended(running)
    kernel.click(END[cell])
    kernel.finish(running)


@both
def test_a_page_that_is_reloaded_gets_its_answers_at_once(kernel, cell):
    running = begin(kernel, cell)
    asked = kernel.ask("kernel_info_request")
    assert kernel.reply(asked, limit=2)["msg_type"] == "kernel_info_reply"
    assert not kernel.ended(running)
    kernel.click(END[cell])
    kernel.finish(running)


@both
def test_clicks_take_milliseconds(kernel, cell):
    running = begin(kernel, cell)
    taken = [kernel.heard(kernel.click()) for _ in range(21)]
    kernel.click(END[cell])
    kernel.finish(running)
    print(
        f"click to callback: median {statistics.median(taken) * 1e3:.1f} ms, most {max(taken) * 1e3:.1f} ms"
    )
    # A wait that looked every 20 ms would find each of these clicks, sent right after the last, 20 ms late.
    assert statistics.median(taken) < 0.01


def test_a_wait_sleeps_while_nothing_happens(kernel):
    kernel.run("""
        def switches():
            return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        before = switches()
        Waiter().wait(1)
        woken = switches() - before
    """)
    assert kernel.value("woken") < 15  # looking every 20 ms: 50


@both
def test_cells_queued_behind_run_afterwards_in_order(kernel, cell):
    kernel.run("ran = []")
    running = begin(kernel, cell)
    queued = [kernel.start(f"ran.append({number})") for number in range(4)]
    kernel.heard(kernel.click("ran.append('click')"))
    queued += [kernel.start(f"ran.append({number})") for number in range(4, 6)]
    kernel.heard(kernel.click())
    assert not any(kernel.ended(cell) for cell in queued)
    kernel.click(f"ran.append('end'); {END[cell]}")
    kernel.finish(running)
    for request in queued:
        kernel.finish(request)
    assert kernel.value("ran") == ["click", "end", 0, 1, 2, 3, 4, 5]


@both
def test_cells_that_were_queued_before_the_wait_began_run_in_order_too(kernel, cell):
    kernel.run("ran = []")
    # While the first cell awaits, ipykernel 6 takes the others into a queue of its own.
    before = "say('dozing')\nawait asyncio.sleep(0.3)\n"
    running = kernel.start(before + cell)
    kernel.says("dozing")
    queued = [kernel.start(f"ran.append({number})") for number in range(3)]
    kernel.says("waiting")
    queued.append(kernel.start("ran.append(3)"))
    kernel.heard(kernel.click())
    kernel.click(END[cell])
    for request in [running, *queued]:
        kernel.finish(request)
    assert kernel.value("ran") == [0, 1, 2, 3]


@both
def test_a_click_that_came_before_the_wait_is_heard_in_it(kernel, cell):
    running = kernel.start("say('dozing')\nawait asyncio.sleep(0.3)\n" + cell)
    kernel.says("dozing")
    kernel.heard(kernel.click(), limit=3)
    kernel.says("waiting")  # 7.4 hears clicks in an await by itself: the next one is for the wait
    assert not kernel.ended(running)
    kernel.click(END[cell])
    kernel.finish(running)


@both
def test_clicks_that_came_before_a_cell_that_was_queued_are_heard_in_it_once_and_in_order(kernel, cell):
    kernel.run("heard = []")
    busy = kernel.start("say('busy')\ntime.sleep(0.5)")
    kernel.says("busy")
    running = kernel.start(cell)
    behind = kernel.start("heard.append('behind')")
    clicks = [kernel.click(f"heard.append({number})") for number in range(12)]
    for click in clicks:
        kernel.heard(click, limit=4)
    assert not kernel.ended(running)
    kernel.heard(kernel.click("heard.append('later')"))
    kernel.click(END[cell])
    for request in (busy, running, behind):
        kernel.finish(request)
    assert kernel.value("heard") == [*range(12), "later", "behind"]


@both
def test_a_click_may_wait_itself(kernel, cell):
    running = begin(kernel, cell)
    outer = kernel.click("inner = Waiter()\nsay('inner')\nassert inner.wait(5)")
    kernel.says("inner")
    behind = kernel.start("print('behind')")
    kernel.heard(kernel.click("inner.set()"))
    kernel.heard(outer)
    assert not kernel.ended(running)
    kernel.heard(kernel.click())
    kernel.click(END[cell])
    assert kernel.finish(running).text.endswith("set\n")
    assert kernel.finish(behind).text == "behind\n"


def test_a_click_is_not_lost_when_the_wait_of_another_ends(kernel):
    running = begin(kernel, WAIT)
    kernel.click("inner = Waiter(); inner.set(); say('slow'); time.sleep(0.2); inner.wait()")
    kernel.says("slow")
    kernel.heard(kernel.click())
    assert not kernel.ended(running)
    kernel.click("w.set()")
    kernel.finish(running)


@both
def test_a_click_that_is_not_signed_with_our_key_does_nothing(kernel, cell):
    kernel.run("forged = []")
    running = begin(kernel, cell)
    kernel.forge_click("forged.append(1)")
    kernel.heard(kernel.click())
    kernel.click(END[cell])
    kernel.finish(running)
    assert kernel.value("forged") == []


@both
@pytest.mark.parametrize("kernel", ["7.2.0", "7.4.0"], indirect=True)
def test_a_click_by_way_of_a_subshell_reaches_a_cell_that_waits(kernel, cell):
    subshell = kernel.make_subshell()
    kernel.heard(kernel.click())
    running = begin(kernel, cell)
    kernel.heard(kernel.click(subshell=subshell))
    assert not kernel.ended(running)
    kernel.click(END[cell], subshell=None)
    assert kernel.finish(running).text == "waiting\nset\n"


@both
def test_a_click_that_fails_does_not_end_the_wait(kernel, cell):
    running = begin(kernel, cell)
    kernel.click("1 / 0")
    kernel.ask("comm_msg", nothing="in it")
    kernel.heard(kernel.click())
    assert not kernel.ended(running)
    kernel.click(END[cell])
    assert kernel.finish(running).text.endswith("set\n")


@pytest.mark.parametrize(
    ("cell", "error"),
    [
        (WAIT, "KeyboardInterrupt"),
        (AWAIT, "CancelledError"),  # what ipykernel makes of an interrupt in a cell that uses `await`
        ("await asyncio.sleep(0)\n" + WAIT, "CancelledError"),
    ],
    ids=["wait", "await", "wait in a cell that awaits"],
)
def test_an_interrupt_ends_the_wait_and_loses_nothing(kernel, cell, error):
    kernel.run("ran = []")
    running = kernel.start(cell, stop_on_error=False)
    kernel.says("waiting")
    queued = [kernel.start(f"ran.append({number})") for number in range(3)]
    kernel.heard(kernel.click())
    began = time.monotonic()
    kernel.interrupt()
    assert kernel.finish(running, limit=3).error == error
    assert time.monotonic() - began < 1
    for request in queued:
        kernel.finish(request)
    assert kernel.value("ran") == [0, 1, 2]


SLOW = "say('clicked'); time.sleep(8)"


@pytest.mark.parametrize(
    "click", [SLOW, f"try: {SLOW}\nexcept KeyboardInterrupt: pass"], ids=["slow", "kept"]
)
@pytest.mark.parametrize(
    ("cell", "error"), [(WAIT, "KeyboardInterrupt"), (AWAIT, "CancelledError")], ids=["wait", "await"]
)
def test_an_interrupt_of_a_click_ends_the_click_and_the_cell(kernel, cell, error, click):
    running = begin(kernel, cell)
    kernel.click(click)
    kernel.says("clicked")
    kernel.interrupt()
    assert kernel.finish(running, limit=3).error == error


def test_an_interrupt_of_a_click_in_an_idle_kernel_is_only_the_clicks(kernel):
    kernel.run("""
        forever = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(wait_async(forever))
    """)
    kernel.run("await asyncio.sleep(0)")
    kernel.click(SLOW)
    kernel.until(lambda m: m["msg_type"] == "stream" and "clicked" in m["content"]["text"])
    kernel.interrupt()
    kernel.heard(kernel.click("forever.set_result(None)"))
    kernel.run("await task")


def test_an_interrupt_of_nested_waits_ends_both(kernel):
    running = begin(kernel, WAIT)
    kernel.click("say('inner'); Waiter().wait(8)")
    kernel.says("inner")
    kernel.interrupt()
    assert kernel.finish(running, limit=3).error == "KeyboardInterrupt"


def test_a_users_own_handler_of_interrupts_is_left_alone(kernel):
    running = begin(kernel, "kept = signal.signal(signal.SIGINT, lambda *_: say('mine'))\n" + WAIT)
    kernel.interrupt()
    kernel.says("mine")
    kernel.heard(kernel.click())
    kernel.click("w.set()")
    assert kernel.finish(running).text.endswith("set\n")


def test_a_timeout_ends_the_wait(kernel):
    assert kernel.run("print(Waiter().wait(0.05), Waiter().wait(0))") == "False False\n"


def test_a_wait_is_ended_by_another_thread_within_milliseconds(kernel):
    kernel.run("""
        def late():
            w, called = Waiter(), []
            timer = threading.Timer(0.02, lambda: (called.append(time.monotonic()), w.set()))
            timer.start()
            assert w.wait(5)
            return time.monotonic() - called[0]
        taken = sorted(late() for _ in range(11))[5]
    """)
    assert kernel.value("taken") < 0.01


def test_in_another_thread_with_a_loop_of_its_own_there_is_no_inbox(kernel):
    text = kernel.run("""
        async def look():
            return Inbox.here()
        thread = threading.Thread(target=lambda: print(asyncio.run(look())))
        thread.start()
        thread.join(2)
    """)
    assert text == "None\n"


def test_in_another_thread_a_wait_just_waits(kernel):
    text = kernel.run("""
        w, got = Waiter(), []
        thread = threading.Thread(target=lambda: got.append((Inbox.here(), w.wait(5))))
        thread.start()
        w.set()
        thread.join(2)
        print(got)
    """)
    assert text == "[(None, True)]\n"


def test_with_unknown_internals_a_wait_just_waits(kernel):
    running = begin(kernel, "Inbox.here, kept = lambda: None, Inbox.here\n" + WAIT.replace("8", "0.5"))
    click = kernel.click()
    assert kernel.finish(running).text.endswith("timeout\n")
    kernel.heard(click)
    kernel.run("Inbox.here = kept")


@pytest.mark.parametrize("gone", ["_recv_callback", "_run_callback", "flush"])
def test_missing_internals_are_noticed(kernel, gone):
    kernel.run(f"""
        class Less:
            def __init__(self, stream): self._stream_ = stream
            def __getattr__(self, name):
                if name == {gone!r}: raise AttributeError(name)
                return getattr(self._stream_, name)
        class Kernel:
            def __getattr__(self, name): return getattr(get_ipython().kernel, name)
            shell_channel_thread = None
            shell_stream = Less(Inbox.here()._stream)
        assert Inbox._of(Kernel()) is None
        Kernel.shell_stream = Inbox.here()._stream
        assert Inbox._of(Kernel()) is not None
    """)


def test_cancelling_an_await_leaves_the_kernel_as_it_was(kernel):
    kernel.run("""
        try:
            await asyncio.wait_for(wait_async(asyncio.get_running_loop().create_future()), 0.1)
        except TimeoutError:
            pass
    """)
    kernel.run("assert Inbox.here()._lanes == 0")
    kernel.heard(kernel.click())


def test_awaits_side_by_side_share_one_lane(kernel):
    running = kernel.start("""
        one, two = (asyncio.get_running_loop().create_future() for _ in "12")
        say("waiting")
        await asyncio.gather(wait_async(one), wait_async(two))
        print("set")
    """)
    kernel.says("waiting")
    kernel.heard(kernel.click("one.set_result(None)"))
    kernel.heard(kernel.click())
    kernel.click("two.set_result(None)")
    assert kernel.finish(running).text == "waiting\nset\n"


def test_a_task_that_awaits_in_the_background_does_not_hold_up_other_cells(kernel):
    kernel.run("""
        forever = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(wait_async(forever))
    """)
    assert kernel.run("print('next')") == "next\n"
    kernel.heard(kernel.click())
    kernel.heard(kernel.click("forever.set_result(None)"))
    kernel.run("await task")


def test_a_ping_comes_back_at_once_unless_the_kernel_is_busy(kernel):
    ping = "asked = time.monotonic(); came = Waiter(); assert ping_main(lambda: (came.set(), say('pong')))"
    kernel.run(ping + "\nawait asyncio.sleep(0)")
    kernel.says("pong")
    kernel.seen.clear()
    running = begin(kernel, WAIT)  # busy, but hears clicks
    kernel.heard(kernel.click(f"threading.Thread(target=lambda: exec({ping!r}, globals())).start()"))
    kernel.says("pong")
    assert not kernel.ended(running)
    kernel.click("w.set()")
    kernel.finish(running)
    kernel.run(ping + "\ntime.sleep(0.2)\nassert not came.is_set()")  # busy, and deaf
    kernel.run("assert came.is_set()")
