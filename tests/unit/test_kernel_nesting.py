"""Which package is used, and when none will do. What the packages do in real kernels is tested in tests/kernel."""

import asyncio
import subprocess
import sys
from types import SimpleNamespace

import pytest

from comfy_nb.errors import NestingError
from comfy_nb.kernel.nesting import allow_nested_asyncio


@pytest.fixture
def packages(monkeypatch):
    """Stand-ins for the two packages, which only mark asyncio; and a place where no kernel is."""
    applied = []

    def package(name):
        def apply():
            applied.append(name)
            monkeypatch.setattr(asyncio, "_nest_patched", True, raising=False)

        return SimpleNamespace(__name__=name, apply=apply)

    monkeypatch.delattr(asyncio, "_nest_patched", raising=False)
    monkeypatch.delattr(asyncio, "_nest_asyncio2", raising=False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    for name in ("nest_asyncio", "nest_asyncio2"):
        monkeypatch.setitem(sys.modules, name, package(name))
    return applied


def without(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)  # makes its import fail


def test_the_successor_is_preferred(packages):
    assert "nest_asyncio2 has patched asyncio" in allow_nested_asyncio()
    assert packages == ["nest_asyncio2"]


def test_the_first_is_used_where_the_successor_is_missing(packages, monkeypatch):
    without(monkeypatch, "nest_asyncio2")
    assert "nest_asyncio has patched asyncio" in allow_nested_asyncio()
    assert packages == ["nest_asyncio"]


def test_a_second_call_changes_nothing_and_says_so(packages):
    allow_nested_asyncio()
    assert "already allowed" in allow_nested_asyncio()
    assert packages == ["nest_asyncio2"]


@pytest.mark.parametrize("version", ["7.0.1", "7.4.0", "8.0.0"])
def test_the_first_is_refused_in_ipykernel_7(packages, monkeypatch, version):
    without(monkeypatch, "nest_asyncio2")
    monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace(__version__=version))
    with pytest.raises(NestingError, match=rf"queued cells .* {version}: .* `pip install nest-asyncio2`\.$"):
        allow_nested_asyncio()
    assert not packages


def test_the_first_is_allowed_in_ipykernel_6(packages, monkeypatch):
    without(monkeypatch, "nest_asyncio2")
    monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace(__version__="6.31.0"))
    allow_nested_asyncio()
    assert packages == ["nest_asyncio"]


def test_the_first_is_refused_on_python_3_14(packages, monkeypatch):
    without(monkeypatch, "nest_asyncio2")
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    with pytest.raises(NestingError, match=r"Python 3\.14 .* `pip install nest-asyncio2`"):
        allow_nested_asyncio()
    assert not packages


def test_neither_installed_is_one_sentence(packages, monkeypatch):
    without(monkeypatch, "nest_asyncio2")
    without(monkeypatch, "nest_asyncio")
    with pytest.raises(NestingError, match=r"^Neither .* `pip install nest-asyncio2`\.$"):
        allow_nested_asyncio()


def test_a_loop_that_cannot_be_patched_is_refused_before_anything_is(packages, monkeypatch):
    class Loop:
        __module__ = "uvloop"

    monkeypatch.setattr(asyncio, "get_running_loop", Loop)
    with pytest.raises(NestingError, match=r"^The running event loop, a uvloop one, cannot be nested\.$"):
        allow_nested_asyncio()
    assert not packages


IMPORT = """
import asyncio, sys
before = asyncio.run, asyncio.Task, asyncio.Future, asyncio.get_event_loop
import comfy_nb, comfy_nb.kernel.display, comfy_nb.kernel.nesting, comfy_nb.kernel.pump
assert before == (asyncio.run, asyncio.Task, asyncio.Future, asyncio.get_event_loop)
assert not {"nest_asyncio", "nest_asyncio2", "zmq", "ipykernel.kernelbase"} & set(sys.modules), sys.modules
"""


def test_importing_patches_nothing_and_loads_neither_package():
    subprocess.run([sys.executable, "-W", "ignore", "-c", IMPORT], check=True)
