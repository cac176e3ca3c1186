"""A million hostile inputs for the parsers of `comfy_nb.wire`, by hand: atheris, guided by what they reach.

In an environment of its own, from the repository's root:

    python -m venv fuzz && fuzz/bin/pip install atheris -e .
    fuzz/bin/python -m tests.fuzz.fuzz_wire 1000000

Three of four inputs are recorded frames and answers that were spoiled, the others noise. Each must keep the promises
of `tests.fuzz.promises` within `LIMIT` seconds; the first that does not ends the run with its traceback, and its bytes
are left in a file `crash-…`, which can be given in place of the number. At the end it prints what was read, and which
lines of the parsers were run by the inputs that the fuzzer kept.
"""

from __future__ import annotations

import argparse
import atexit
import dis
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests.fuzz.mutations import frames, replies, spoiled

LIMIT = 1.0  # seconds of processor time for one input, of at most 64 kB
LONGEST = 1024  # bytes that the fuzzer gives; they choose a recording and how it is spoiled, or are the noise
PARSERS = ("binary", "fields", "files", "messages", "records", "replies")


class Bytes:
    """A `Dice` that is thrown by the fuzzer's bytes, and when they run out by a generator seeded with them."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)
        self._more = random.Random(data)

    def randrange(self, stop: int, /) -> int:
        """A number from 0 to below `stop`."""
        try:
            low = next(self._data)
            return (low if stop <= 256 else low << 8 | next(self._data)) % stop
        except StopIteration:
            return self._more.randrange(stop)


class Tally:
    """What became of the inputs so far."""

    def __init__(self) -> None:
        self.inputs = self.spoiled = self.passed = 0
        self.read: Counter[str] = Counter()
        frames(), replies()  # read now, so that the first input does not wait for them
        self.slowest = 0.0
        self.began = time.monotonic()

    def take(self, data: bytes) -> None:
        """One input. Raises AssertionError, or whatever a parser raises."""
        kind = data[0] if data else 0
        check = _spoiled(Bytes(data[1:])) if kind % 4 else _noise(data[1:])
        self.inputs += 1
        self.spoiled += bool(kind % 4)
        began = time.thread_time()
        outcome = check()
        seconds = time.thread_time() - began
        self.read[outcome] += 1
        self.slowest = max(self.slowest, seconds)
        assert seconds < LIMIT, f"one input took {seconds:.2f} s"
        self.passed += 1

    def report(self) -> None:
        """Print it."""
        seconds = time.monotonic() - self.began
        print(
            f"{self.inputs:,} inputs in {seconds:,.0f} s, of which {self.spoiled:,} were spoiled recordings"
        )
        print(
            f"{self.inputs - self.passed} exceptions or broken promises; {self.inputs / seconds:,.0f} inputs/s;",
            end=" ",
        )
        print(f"the slowest took {self.slowest * 1000:.1f} ms of processor time")
        for what, count in self.read.most_common():
            print(f"  {count:>9,}  {what}", flush=True)


def _spoiled(dice: Bytes) -> Callable[[], str]:
    """A recording, spoiled, and what reads it."""
    if dice.randrange(3):
        raw = spoiled(frames()[dice.randrange(len(frames()))], dice)
        return partial(_frame, raw, bool(dice.randrange(2)))
    route, text = replies()[dice.randrange(len(replies()))]
    return partial(_reply, route, spoiled(text if dice.randrange(2) else text.encode(), dice))


def _noise(data: bytes) -> Callable[[], str]:
    """Whatever the fuzzer thought of, as any of what can be read."""
    kind, raw = data[0] if data else 0, data[1:]
    match kind % 3:
        case 0:
            return partial(_frame, raw, kind > 127)
        case 1:
            return partial(_frame, raw.decode("utf-8", "surrogateescape"), False)
        case _:
            routes = list(dict.fromkeys(route for route, _ in replies()))
            return partial(_reply, routes[kind % len(routes)], raw)


def _frame(raw: str | bytes, flag: bool) -> str:
    from tests.fuzz.promises import check_frame  # once the parsers are instrumented

    return type(check_frame(raw, text_has_prompt_id=flag)).__name__


def _reply(route: str, raw: str | bytes) -> str:
    from tests.fuzz.promises import check_reply  # as above

    value = check_reply(route, raw)
    return f"{route}, {'refused' if value is None else type(value).__name__}"


def fuzz(runs: int, corpus: Path) -> None:
    """Let atheris loose, and print the tally; does not return."""
    import atheris  # nobody but this script needs it

    with atheris.instrument_imports(include=["comfy_nb.wire"]):
        import tests.fuzz.promises  # noqa: F401 - imported here to be instrumented

    tally = Tally()
    atexit.register(tally.report)  # which only comes after a failure

    def take(data: bytes) -> None:
        tally.take(data)
        if tally.inputs == runs:
            tally.report()

    options = [f"-runs={runs}", f"-max_len={LONGEST}", "-timeout=20", "-print_final_stats=0", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], take)
    atheris.Fuzz()


def cover(corpus: Path) -> None:
    """Run what the fuzzer kept once more, and print which lines of the parsers' functions it reached."""
    import tests.fuzz.promises  # noqa: F401 - imported before lines are counted

    sources = {str(Path(sys.modules[f"comfy_nb.wire.{name}"].__file__ or "")): name for name in PARSERS}
    reached: dict[str, set[int]] = {path: set() for path in sources}

    def trace(frame: FrameType, event: str, _: object) -> Any:
        lines = reached.get(frame.f_code.co_filename)
        if lines is None:
            return None
        if event == "line":
            lines.add(frame.f_lineno)
        return trace

    tally = Tally()
    sys.settrace(trace)
    for path in sorted(corpus.iterdir()):
        tally.take(path.read_bytes())
    sys.settrace(None)
    print(
        f"{tally.inputs:,} inputs kept for what they reached; lines of the parsers' functions that they run:"
    )
    for path, name in sources.items():
        _print_lines(name, Path(path), reached[path])


def _print_lines(name: str, path: Path, reached: set[int]) -> None:
    module = compile(path.read_text(encoding="utf-8"), str(path), "exec")
    there = {line for code in _functions(module) for line in _lines(code)}
    missed = sorted(there - reached)
    share = 100 * (len(there) - len(missed)) / len(there)
    rest = f"; not {', '.join(map(str, missed))}" if missed else ""
    print(f"  {name + '.py':<12} {len(there) - len(missed):>4} of {len(there):>4}  {share:5.1f} %{rest}")


def _functions(code: CodeType) -> Iterator[CodeType]:
    """The code of all functions in it; what a module or a class runs when it is imported does not count."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            # CO_OPTIMIZED: a function's, no class's. The embedded server packs with the same module.
            if inner.co_flags & 0x1 and not inner.co_name.startswith("pack"):
                yield inner
            yield from _functions(inner)


def _lines(code: CodeType) -> set[int]:
    """The lines of a function but its first, which is where it is called and not run."""
    return {line for _, line in dis.findlinestarts(code) if line} - {code.co_firstlineno}


def main() -> int:
    """Fuzz in a process of its own, as it ends that; then look at what was reached."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", help="how many inputs, or the file of one that failed")
    parser.add_argument("--corpus", type=Path, help="a folder of inputs to start with, which grows")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parsed = parser.parse_args()
    if not parsed.runs.isdigit():
        Tally().take(Path(parsed.runs).read_bytes())
        return 0
    if parsed.here:
        fuzz(int(parsed.runs), parsed.corpus)
    with tempfile.TemporaryDirectory() as folder:
        corpus = parsed.corpus or Path(folder)
        corpus.mkdir(exist_ok=True)
        again = [sys.executable, "-m", "tests.fuzz.fuzz_wire", parsed.runs, "--corpus", str(corpus), "--here"]
        code = subprocess.run(again, check=False).returncode
        if code == 0:
            cover(corpus)
        return code


if __name__ == "__main__":
    sys.exit(main())
