"""The embedded server as a child process, from the side that starts it.

It runs in a session of its own, so that an interrupt meant for a notebook's kernel does not reach it, and it ends
when its standard input closes: on `close()`, when this process exits, and also when this process is killed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from comfy_nb.errors import ConnectionFailed

__all__ = ["EmbeddedServer"]

NEEDED = ("numpy", "starlette", "uvicorn", "python_multipart")
START_LIMIT = 20.0
CLOSE_LIMIT = 3.0
LOG_TAIL = 2000


class EmbeddedServer:
    """A running embedded server; `start()` makes one. A context manager that closes it."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, url: str) -> None:
        self._process = process
        self._folder = folder
        self._url = url
        # Also called when this object is forgotten and when the interpreter exits.
        self._finalizer = weakref.finalize(self, _end, process, folder, os.getpid())

    @classmethod
    def start(
        cls,
        *,
        step_time: float = 0.12,
        port: int = 0,
        options: Sequence[str] = (),
        timeout: float = START_LIMIT,
    ) -> EmbeddedServer:
        """Start a server and wait until it serves.

        `step_time`: how many seconds each sampling step takes at least (0 to 2). `port` 0 takes a free one.
        `options` are those of its command line, such as `--frontend`.
        Raises ConnectionFailed if a package is missing, or if it does not serve within `timeout` seconds.
        """
        missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
        if missing:
            raise ConnectionFailed(
                f"The embedded server needs {', '.join(missing)}: pip install 'comfy-nb[demo]'"
            )
        folder = Path(tempfile.mkdtemp(prefix="comfy_nb-"))
        process = _spawn(folder, ["--port", str(port), "--step-time", str(step_time), *options])
        try:
            line = _first_line(process, timeout)
            url: str = json.loads(line)["url"]
        except (OSError, ValueError, LookupError, TypeError) as error:
            tail = _log_tail(folder)
            _end(process, folder, os.getpid())
            raise ConnectionFailed(
                f"The embedded server did not start. {error} Its last words: {tail}"
            ) from error
        except BaseException:
            _end(process, folder, os.getpid())
            raise
        return cls(process, folder, url)

    @property
    def url(self) -> str:
        """Where it serves, such as http://127.0.0.1:43211."""
        return self._url

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its process is alive."""
        return self._process.poll() is None

    def log(self) -> str:
        """The end of what it has logged, such as words that its world does not know."""
        return _log_tail(self._folder)

    def set_step_time(self, seconds: float) -> None:
        """Let each sampling step take at least so many seconds, from the next node on.

        Raises ValueError if that is not 0 to 2, and ConnectionFailed if the server does not take it.
        """
        if not 0 <= seconds <= 2:
            raise ValueError(f"step_time={seconds!r} is not a number of seconds from 0 to 2.")
        try:
            _tell(self._process, f"step_time {float(seconds)!r}")
            _first_line(self._process, CLOSE_LIMIT)
        except OSError as error:
            raise ConnectionFailed(
                f"The embedded server does not take step_time={seconds!r}. {error}"
            ) from error

    def close(self) -> None:
        """End it and remove its files, within 3 seconds; closing twice is harmless."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<EmbeddedServer {self._url} {'running' if self.running else 'closed'}>"


def _spawn(folder: Path, options: Sequence[str]) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-m", "comfy_nb.server", "--parent", str(os.getpid())]
    command = [*program, "--folder", str(folder), *options]
    # For appending, because the server empties it when it has grown long.
    with (folder / "server.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own program and numbers
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            env=_environment(),
        )


def _environment() -> dict[str, str]:
    """The environment of this process, with this very package first on the child's path."""
    package_root = str(Path(__file__).resolve().parents[2])
    paths = [package_root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _first_line(process: subprocess.Popen[bytes], timeout: float) -> bytes:
    """The line the server prints when it serves; raises OSError if it ends or takes too long."""
    stream: Any = process.stdout
    deadline = time.monotonic() + timeout
    received = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not received.endswith(b"\n"):
            if not selector.select(max(deadline - time.monotonic(), 0)):
                raise TimeoutError(f"It did not answer within {timeout:g} seconds.")
            chunk = os.read(stream.fileno(), 4096)
            if not chunk:
                raise OSError(f"It ended with exit code {process.wait()}.")
            received += chunk
    return received


def _log_tail(folder: Path) -> str:
    try:
        text = (folder / "server.log").read_text(errors="replace")
    except OSError:
        return ""
    return text[-LOG_TAIL:].strip()


def _tell(process: subprocess.Popen[bytes], word: str) -> None:
    if process.stdin is None or process.stdin.closed:
        raise BrokenPipeError("It has been closed.")
    process.stdin.write(f"{word}\n".encode())
    process.stdin.flush()


def _end(process: subprocess.Popen[bytes], folder: Path, owner: int) -> None:
    """Say so, close its standard input, and kill it if that is not enough.

    Said, because a process that was forked from this one may hold the pipe open. In such a process nothing is ended.
    """
    if os.getpid() != owner:
        return
    with contextlib.suppress(OSError):  # it has ended already
        _tell(process, "end")
    if process.stdin:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(CLOSE_LIMIT * 0.8)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
    shutil.rmtree(folder, ignore_errors=True)
