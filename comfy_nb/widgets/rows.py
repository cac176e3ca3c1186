"""What a board's page is told about one job: a row of short texts and numbers, at most 300 bytes of JSON.

Pure. Names are one letter because a thousand rows go in one message; `js/src/board/protocol.ts` says what they mean.
What is zero, empty or false is left out.
"""

from __future__ import annotations

import json
from typing import Any

from comfy_nb.run import FINAL
from comfy_nb.snapshot import Snapshot, duration, ordinal

__all__ = [
    "EMPTY",
    "MAX_ROW",
    "NODE",
    "OWNER",
    "TITLE",
    "Row",
    "clip",
    "ended_line",
    "in_line",
    "row_of",
    "sort_rank",
]

Row = dict[str, Any]

MAX_ROW = 300  # bytes of JSON
JOINERS = "\u200c\u200d"  # not printable by themselves; emoji and Persian words fall apart without them
# Bytes of JSON that a text may take.
TITLE, NODE, MESSAGE, EMPTY, OWNER = 80, 32, 72, 52, 32


def row_of(key: int, snapshot: Snapshot, title: str, server: int = 0) -> Row:
    """The row of one of our jobs. `server` is the place of its server in the board's list."""
    row: Row = {"i": key, "t": clip(title, TITLE), "s": snapshot.status, "f": server}
    if snapshot.status == "queued":
        row |= {"q": snapshot.position}
    elif snapshot.status == "running":
        row |= _moving(snapshot)
    elif snapshot.status != "new":
        row |= _ended(snapshot)
    line = clip(_line(snapshot), MESSAGE)
    if line:  # of what is stopping, or out of reach, nobody knows when it ends
        row["l"] = None
    row |= {"m": line, "d": clip(_empty(snapshot), EMPTY)}
    row |= {"x": snapshot.stopping, "v": not snapshot.previews}
    return {name: value for name, value in row.items() if name in ("i", "t", "s") or value}


def _moving(snapshot: Snapshot) -> Row:
    return {
        "p": round(snapshot.progress, 3),
        "n": clip(snapshot.label or snapshot.activity, NODE),
        "a": snapshot.step,
        "b": snapshot.of,
        "e": _tenths(snapshot.elapsed),
        "l": [round(bound, 1) for bound in snapshot.left] if snapshot.left else None,
    }


def _ended(snapshot: Snapshot) -> Row:
    place = snapshot.error.problems[0] if snapshot.error and snapshot.error.problems else None
    return {
        "e": _tenths(snapshot.elapsed),
        "o": snapshot.outputs,
        "n": clip(place.label, NODE) if place else "",
    }


def _line(snapshot: Snapshot) -> str:
    """The first line under the title; empty while a node runs, whose name and step the page shows."""
    if snapshot.stopping:
        return "cancelling…" if snapshot.status == "queued" else "interrupting…"
    trouble = "" if snapshot.link == "connected" else snapshot.link
    match snapshot.status:
        case "queued":
            return trouble or "waiting"
        case "running":
            return trouble
        case "cancelled" | "lost":
            return snapshot.note or snapshot.status
        case status:
            # A success has something to note only when nothing was computed.
            return ended_line(status, snapshot.elapsed, cached=bool(snapshot.note))


def ended_line(status: str, seconds: float | None, *, cached: bool = False) -> str:
    """The line of a job that ended by itself, or "" for any other."""
    took = "" if seconds is None else duration(seconds)
    match status:
        case "succeeded" if cached:
            return "cached"
        case "succeeded":
            return f"done · {took}" if took else "done"
        case "failed":
            return f"failed · {took}" if took else "failed at once"
        case _:
            return ""


def _empty(snapshot: Snapshot) -> str:
    """What stands where there is no picture."""
    match snapshot.status:
        case "new":
            return "not sent yet"
        case "queued":
            return in_line(snapshot.position)
        case "running":
            return "the picture forms here" if snapshot.previews else "previews are off"
        case "succeeded":
            return "" if snapshot.outputs else "no output"
        case "failed":
            return _first_line(_message(snapshot))
        case status:
            return status.capitalize()


def in_line(position: int | None) -> str:
    """The place in the queue: "3rd in line"."""
    return f"{ordinal(position)} in line" if position else "in line"


def _message(snapshot: Snapshot) -> str:
    error = snapshot.error
    if error is None:
        return ""
    place = error.problems[0] if error.problems else None
    if place is None or not place.message:
        return error.title
    return f"{place.input}: {place.message}" if place.input else place.message


def _first_line(text: str) -> str:
    return next((line for line in text[:4000].splitlines() if line.strip()), "")


def _tenths(seconds: float | None) -> float | None:
    return None if seconds is None else max(0.01, round(seconds, 1))


def clip(text: str, limit: int) -> str:
    """The text on one line, as much of it as fits into `limit` bytes of JSON, with "…" where it was cut."""
    seen = (char if char.isprintable() or char in JOINERS else " " for char in text[: 4 * limit])
    line = " ".join("".join(seen).split())
    if _size(line) <= limit and len(text) <= 4 * limit:
        return line
    size, kept = 3, 0  # the "…"
    for char in line:
        size += _size(char)
        if size > limit:
            break
        kept += 1
    return line[:kept].rstrip() + "…"


def _size(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")) - 2


def sort_rank(status: str) -> int:
    """What runs comes first, then what waits, then what has ended."""
    return 0 if status == "running" else 2 if status in FINAL else 1
