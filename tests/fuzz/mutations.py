"""Recorded traffic, and ways to spoil it.

Everything random comes from a `Dice`, so that a property test and a fuzzer can throw it: the same numbers give the
same input.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Protocol

from tests.traces.reader import Http, WsIn, all_traces

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**53, 2**53 + 1, -(2**63), 10**30, 0.5, -0.0, 1e308, float("nan"), float("inf"),
    "", "0", "null", "\x00", "\ud800", "\U0001f600", "é" * 40, "a" * 1001, "../../etc/passwd", "<script>",
    "ExecutionBlocked",
    "execution_success", "execution_error", "3.0.0.1", "12:3", [], [[]], [None], ["", ""], ["COMBO", {"options": 3}],
    {}, {"": {}}, {"node": None}, {"filename": 3}, ["3d/a.glb", None],
    {"filename": "x", "format": "mp4"}, {"filename": "x", "format": "video/x"}, {"filename": "a", "subfolder": None},
    {"filename": "a.json"}, {"result": ["3d/a.glb", None]}, [0, "p", None, None, None],
)  # fmt: skip
BYTES = (b"", b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b'"', b"\\ud800", b"[", b"]", b"{", b"}", b",", b"NaN",
         b"1e999", b"-", b"\xef\xbb\xbf", b"RIFF\0\0\0\0WEBP", b"\x89PNG\r\n\x1a\n", b"GIF89a",
         b"[" * 3000, b"7" * 5000, b"\x00\x00\x00\x04", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff")  # fmt: skip
DEEP = 200  # levels, well beyond what is read; four times that many can still be written
ROUTES = ("GET /queue", "GET /history", "GET /system_stats", "POST /prompt 200", "POST /prompt 400")
MOST = 1 << 16  # bytes of one input


class Dice(Protocol):
    """Where random numbers come from, such as a `random.Random`."""

    def randrange(self, stop: int, /) -> int:
        """A number from 0 to below `stop`."""
        ...


@cache
def frames() -> tuple[str | bytes, ...]:
    """Every websocket frame that was recorded, each once."""
    found = {line.raw for trace in all_traces() for line in trace.of(WsIn)}
    return (
        *sorted(raw for raw in found if isinstance(raw, str)),
        *sorted(raw for raw in found if isinstance(raw, bytes)),
    )


@cache
def replies() -> tuple[tuple[str, str], ...]:
    """Every HTTP answer that was recorded and is read by a parser: how it is read, and its JSON."""
    found: dict[tuple[str, str], None] = {}
    for trace in all_traces():
        for line in trace.of(Http):
            route = f"POST /prompt {line.status}" if line.route == "POST /prompt" else line.route
            if line.response is None or route not in ROUTES:
                continue
            found[route, json.dumps(line.response)] = None
            if route == "GET /history":
                found |= {("output", json.dumps(output)): None for output in _outputs(line.response)}
    return tuple(found)


def _outputs(history: dict[str, Any]) -> list[Any]:
    return [output for entry in history.values() for output in entry["outputs"].values()]


def spoiled(raw: str | bytes, dice: Dice) -> str | bytes:
    """A frame or an answer with one to four things changed; text stays text, and bytes stay bytes."""
    for _ in range(1 + dice.randrange(4)):
        raw = (
            _with_another_value(raw, dice)
            if isinstance(raw, str) and dice.randrange(2)
            else _cut_up(raw, dice)
        )
    return raw[:MOST]


def _cut_up(raw: str | bytes, dice: Dice) -> str | bytes:
    """Some bytes taken out, put in, repeated, or taken from another frame. Half a character stays half."""
    data = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")
    # Most of a preview is a picture that nobody reads: what matters stands in front.
    end = len(data) if dice.randrange(3) else min(len(data), 220)
    start = dice.randrange(end + 1)
    stop = start + dice.randrange(min(16, len(data) - start) + 1)
    match dice.randrange(6):
        case 0:
            middle = b""
        case 1:
            middle = BYTES[dice.randrange(len(BYTES))]
        case 2:
            middle = bytes([dice.randrange(256)])
        case 3:
            middle = data[start:stop] * (2 + dice.randrange(30))
        case 4:
            other = frames()[dice.randrange(len(frames()))]
            source = other if isinstance(other, bytes) else other.encode()
            begin = dice.randrange(len(source))
            middle = source[begin : begin + dice.randrange(200)]
        case _:
            middle, stop = b"", len(data)
    cut = data[:start] + middle + data[stop:]
    return (
        cut
        if isinstance(raw, bytes)
        else cut.decode("utf-8", "surrogateescape" if dice.randrange(2) else "replace")
    )


def _with_another_value(raw: str | bytes, dice: Dice) -> str | bytes:
    """JSON with one value replaced, left out, given twice or wrapped; what is no JSON (any more) is cut up."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return _cut_up(raw, dice)
    return json.dumps(_changed(value, dice), ensure_ascii=bool(dice.randrange(2)))


def _changed(value: Any, dice: Dice) -> Any:
    keys = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    if not keys or not dice.randrange(5):
        return _another(value, dice)
    key = keys[dice.randrange(len(keys))]
    copy: Any = value.copy()
    match dice.randrange(8):
        case 0:
            del copy[key]
        case 1 if isinstance(copy, dict):
            copy[str(ODD[dice.randrange(len(ODD))])] = copy.pop(key)
        case 2 if isinstance(copy, list):
            copy.insert(dice.randrange(len(copy) + 1), copy[key])
        case _:
            copy[key] = _changed(copy[key], dice)
    return copy


def _another(value: Any, dice: Dice) -> Any:
    match dice.randrange(8):
        case 0:
            return [value]
        case 1:
            return {"data": value}
        case 2:
            return [value] * dice.randrange(50)
        case 3:
            deep: Any = value
            for _ in range(dice.randrange(DEEP)):
                deep = [deep]
            return deep
        case _:
            return ODD[dice.randrange(len(ODD))]
