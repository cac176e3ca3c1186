"""The frame holds: what an import does, what modules may be called, what the locks may say."""

import json
import pkgutil
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest

import comfy_nb

ROOT = Path(__file__).parents[2]


def run(code: str) -> str:
    """Run `code` in a fresh interpreter and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=50
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_import_leaves_asyncio_untouched():
    code = """
import asyncio, asyncio.events, asyncio.futures, asyncio.tasks, asyncio.base_events, asyncio.runners
parts = [asyncio, asyncio.events, asyncio.futures, asyncio.tasks, asyncio.base_events, asyncio.runners,
         asyncio.BaseEventLoop, asyncio.AbstractEventLoop, asyncio.Task, asyncio.Future, asyncio.Runner,
         asyncio.SelectorEventLoop]
before = [dict(vars(part)) for part in parts]
policy = asyncio.events._event_loop_policy
import comfy_nb
for name in comfy_nb.__all__:
    getattr(comfy_nb, name)
after = [dict(vars(part)) for part in parts]
changed = [(part, key) for part, old, new in zip(parts, before, after)
           for key in old.keys() | new.keys() if old.get(key) is not new.get(key)]
print(changed, policy is asyncio.events._event_loop_policy)
"""
    assert run(code).split("\n")[-2] == "[] True"


def test_import_starts_nothing_and_brings_no_patch_and_no_server():
    code = """
import sys, threading
import comfy_nb
unwanted = {"nest_asyncio", "nest_asyncio2", "numpy", "starlette", "uvicorn", "jupyterlab", "dask"}
print(threading.active_count(), sorted(unwanted & set(sys.modules)))
"""
    assert run(code) == "1 []\n"


def test_no_module_has_the_name_of_something_public():
    modules = {module.name for module in pkgutil.iter_modules(comfy_nb.__path__)}
    assert modules
    # A module may be public itself: then both are the same object.
    public = {name for name in comfy_nb.__all__ if not isinstance(getattr(comfy_nb, name), types.ModuleType)}
    assert not public & modules


def test_public_names_stay_what_they_are_when_every_module_is_imported():
    # Importing a submodule binds its name in the package, over whatever had that name before.
    code = """
import importlib, pkgutil
import comfy_nb
names = comfy_nb.__all__
before = {name: getattr(comfy_nb, name) for name in names}
for module in pkgutil.walk_packages(comfy_nb.__path__, "comfy_nb."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print([name for name in names if getattr(comfy_nb, name) is not before[name]])
"""
    assert run(code) == "[]\n"


@pytest.mark.parametrize("lock", sorted((ROOT / ".locks").glob("*.txt")), ids=lambda lock: lock.stem)
def test_a_python_lock_holds_pins_and_nothing_else(lock: Path):
    lines = lock.read_text().splitlines()
    assert lines
    for line in lines:
        requirement = line.partition(";")[0].strip()
        assert requirement.count("==") == 1, f"{lock.name} does not pin: {line}"
        assert not set("/:@ ") & set(requirement), f"{lock.name} names more than a version: {line}"


def test_the_javascript_lock_holds_no_address():
    text = (ROOT / "js/package-lock.json").read_text()
    assert "://" not in text, "run `make locks`"
    packages = json.loads(text)["packages"]
    assert all("integrity" in entry for path, entry in packages.items() if path)


def test_the_demo_runs_what_the_tests_ran():
    """The demo's pins are those of the tests, and every core dependency is among them."""
    tested = set((ROOT / ".locks/dev.txt").read_text().splitlines())
    demo = (ROOT / ".locks/demo.txt").read_text().splitlines()
    # A marker may be wider in the one than in the other; the version is what counts.
    assert {line.partition(" ;")[0] for line in demo} <= {line.partition(" ;")[0] for line in tested}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {line.partition("==")[0] for line in demo}
    assert {name.partition(">=")[0] for name in project["dependencies"]} <= pinned
