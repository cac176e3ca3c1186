"""The waits where there is no kernel; those in real kernels are in tests/kernel."""

import asyncio
import sys
import threading
from types import SimpleNamespace

import pytest

from comfy_nb.errors import UnsupportedKernelError
from comfy_nb.kernel import pump
from comfy_nb.kernel.inbox import Inbox, running_kernel
from comfy_nb.kernel.pump import Waiter, check_kernel, live_messages, ping_main, wait_async


def test_there_is_no_kernel_here():
    assert running_kernel() is None
    assert Inbox.here() is None


def test_a_waiter_is_set_by_another_thread():
    waiter = Waiter()
    thread = threading.Timer(0.01, waiter.set)
    thread.start()
    assert waiter.wait(5) is True
    assert waiter.is_set()
    thread.join()


def test_a_waiter_that_is_set_does_not_wait_until_it_is_cleared():
    waiter = Waiter()
    waiter.set()
    assert waiter.wait(0) is True
    waiter.clear()
    assert waiter.wait(0) is False
    assert not waiter.is_set()


def test_without_a_kernel_no_socket_is_made():
    waiter = Waiter()
    waiter.set()
    waiter.wait(0)
    assert pump._bell._pairs == {}


async def test_wait_async_gives_the_result_of_what_it_awaited():
    assert await wait_async(asyncio.sleep(0, "slept")) == "slept"


async def test_wait_async_raises_what_was_raised():
    future = asyncio.get_running_loop().create_future()
    future.set_exception(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        await wait_async(future)


def test_live_messages_does_nothing_without_a_kernel():
    with live_messages():
        assert Inbox.here() is None


def test_a_ping_without_a_kernel_is_refused():
    called = []
    assert ping_main(lambda: called.append(1)) is False
    assert not called
    assert not pump._pings


def kernel_of(monkeypatch, version):
    """Pretend that a kernel of this version runs."""
    monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace(__version__=version))
    running = SimpleNamespace(initialized=lambda: True, instance=object)
    monkeypatch.setitem(sys.modules, "ipykernel.kernelbase", SimpleNamespace(Kernel=running))


@pytest.mark.parametrize("version", ["7.0.0", "7.0.1", "7.0.0a1"])
def test_ipykernel_7_0_is_refused_with_the_fix(monkeypatch, version):
    kernel_of(monkeypatch, version)
    with pytest.raises(UnsupportedKernelError) as refused:
        check_kernel()
    assert version in str(refused.value)
    assert 'pip install "ipykernel!=7.0.*"' in str(refused.value)


@pytest.mark.parametrize("version", ["6.29.5", "6.31.0", "7.1.0", "7.4.0", "70.0.1"])
def test_other_kernels_are_not_refused(monkeypatch, version):
    kernel_of(monkeypatch, version)
    check_kernel()


def test_ipykernel_7_0_without_a_running_kernel_is_not_refused(monkeypatch):
    kernel_of(monkeypatch, "7.0.1")
    monkeypatch.delitem(sys.modules, "ipykernel.kernelbase")
    check_kernel()
