"""Nested asyncio, for people who bring code that calls `asyncio.run()` into a notebook.

Nothing of ours needs it, and nothing here happens on import: this is the only module that touches nest-asyncio.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from types import ModuleType

from comfy_nb.errors import NestingError

__all__ = ["allow_nested_asyncio"]


def allow_nested_asyncio() -> str:
    """Let `asyncio.run()` work in a cell, for this whole process and until it ends; say what was done.

    Uses nest_asyncio2 if it is installed, else nest_asyncio. Calling it again changes nothing.

    Raises NestingError if neither is installed, if only nest_asyncio is and it would do harm (with ipykernel 7 it
    silently drops queued cells and clicks, from Python 3.14 on it breaks asyncio itself), or if the running loop
    is one that cannot be patched, as uvloop's.
    """
    if hasattr(asyncio, "_nest_patched"):
        return f"Nested asyncio was already allowed, by {_patched_by()}; nothing was changed."
    package = _package()
    _check_loop()
    package.apply()
    return f"Nested asyncio is allowed now: {package.__name__} has patched asyncio in this process."


def _patched_by() -> str:
    return "nest_asyncio2" if hasattr(asyncio, "_nest_asyncio2") else "nest_asyncio"


def _check_loop() -> None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return  # the one that will be made then is asyncio's own
    if not isinstance(loop, asyncio.BaseEventLoop):
        raise NestingError(f"The running event loop, a {type(loop).__module__} one, cannot be nested.")


def _package() -> ModuleType:
    try:
        return importlib.import_module("nest_asyncio2")
    except ImportError:
        harm = _harm_of_the_first()
    if harm:
        raise NestingError(f"nest_asyncio {harm}: install its successor with `pip install nest-asyncio2`.")
    try:
        return importlib.import_module("nest_asyncio")
    except ImportError as error:
        raise NestingError(
            "Neither nest_asyncio2 nor nest_asyncio is installed: install the first with"
            " `pip install nest-asyncio2`."
        ) from error


def _harm_of_the_first() -> str:
    """What nest_asyncio, whose development has ended, does wrong here; empty if nothing."""
    if sys.version_info >= (3, 14):
        return "breaks asyncio on Python 3.14 and later"
    ipykernel = sys.modules.get("ipykernel")
    if ipykernel is not None and int(str(ipykernel.__version__).split(".", 1)[0]) >= 7:
        return f"silently drops queued cells and clicks with ipykernel {ipykernel.__version__}"
    return ""
