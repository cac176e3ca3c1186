"""What a board's page is told about one job: a row of short texts and numbers, at most 300 bytes of JSON.

Pure. Names are one letter because a thousand rows go in one message; `js/src/board/protocol.ts` says what they mean.
What is zero, empty or false is left out.
"""

from __future__ import annotations

import json
from typing import Any

from comfy_nb.run import FINAL
from comfy_nb.snapshot import Snapshot

__all__ = ["MAX_ROW", "MESSAGE", "NODE", "OWNER", "TITLE", "Row", "clip", "row_of", "sort_rank"]

Row = dict[str, Any]

MAX_ROW = 300  # bytes of JSON
JOINERS = "\u200c\u200d"  # not printable by themselves; emoji and Persian words fall apart without them
# Bytes of JSON that a text may take.
TITLE, NODE, MESSAGE, OWNER = 80, 32, 72, 32


def row_of(key: int, snapshot: Snapshot, title: str, server: int = 0) -> Row:
    """The row of one of our jobs. `server` is the place of its server in the board's list."""
    row: Row = {"i": key, "t": clip(title, TITLE), "s": snapshot.status, "f": server}
    if snapshot.status == "queued":
        row |= {"q": snapshot.position, "m": clip(_trouble(snapshot), MESSAGE)}
    elif snapshot.status == "running":
        row |= _moving(snapshot)
    else:
        row |= _ended(snapshot)
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
        "m": clip(_trouble(snapshot), MESSAGE),
    }


def _ended(snapshot: Snapshot) -> Row:
    row: Row = {"e": _tenths(snapshot.elapsed), "o": snapshot.outputs}
    if snapshot.status == "succeeded":
        row["c"] = bool(snapshot.note)  # a success has something to note only when nothing was computed
    elif snapshot.error is not None:
        place = snapshot.error.problems[0] if snapshot.error.problems else None
        row["n"] = clip(place.label, NODE) if place else ""
        row["m"] = clip(_first_line(_message(snapshot)), MESSAGE)
    else:
        row["m"] = clip(snapshot.note, MESSAGE)
    return row


def _message(snapshot: Snapshot) -> str:
    error = snapshot.error
    if error is None:
        return ""
    place = error.problems[0] if error.problems else None
    if place is None or not place.message:
        return error.title
    return f"{place.input}: {place.message}" if place.input else place.message


def _trouble(snapshot: Snapshot) -> str:
    return "" if snapshot.link == "connected" else snapshot.link


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
