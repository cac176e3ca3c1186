"""Scripted servers in a process of their own: `python -m tests.benchmarks.servers COUNT FRAMES RATE REST`.

Prints their addresses as JSON. At the end of its input it prints when each server sent each frame, in milliseconds
since the epoch: {number: when} for each of them.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from comfy_nb.testing import Frames, ScriptedServer
from tests.benchmarks.stamps import picture

ROOT = Path(__file__).parents[2]


@dataclass
class Stamped(Frames):
    """Frames whose number stands at the beginning of their bytes."""

    sent: dict[int, float] = field(default_factory=dict)

    def picture(self, number: int) -> bytes:
        self.sent.setdefault(number, time.time_ns() / 1e6)
        return picture(number)


def main(count: int, frames: int, rate: float, rest: float) -> None:
    for number in range(frames):
        picture(number)  # made beforehand
    scripts = [Stamped(count=frames, rate=rate, rest=rest) for _ in range(count)]
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(ScriptedServer(script)) for script in scripts]
        print(json.dumps([server.url for server in servers]), flush=True)
        sys.stdin.read()
        print(json.dumps([script.sent for script in scripts]), flush=True)


class Servers:
    """The process, seen from outside."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.urls: list[str] = json.loads(self._line())

    def end(self) -> list[dict[int, float]]:
        """Stop them; when each sent each frame, in ms since the epoch."""
        self._process.stdin.close()
        return [{int(number): at for number, at in sent.items()} for sent in json.loads(self._line())]

    def _line(self) -> str:
        return self._process.stdout.readline()


@contextlib.contextmanager
def servers(count: int, frames: int, rate: float, rest: float = 0.0) -> Iterator[Servers]:
    """So many servers, each with one run of `frames` at `rate` per second for each prompt; 0 is all at once.

    Each run ends `rest` seconds after its last frame.
    """
    numbers = [str(number) for number in (count, frames, rate, rest)]
    command = [sys.executable, "-m", "tests.benchmarks.servers", *numbers]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Servers(process)
        finally:
            process.stdin.close()
            process.stdout.read()  # what nobody asked for: it cannot end while the pipe is full
            process.wait(20)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:]))
