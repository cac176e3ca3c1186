"""The recorded traffic of real ComfyUI servers (tests/data/traces), line by line as typed values.

Each file is one scenario, recorded with one version of ComfyUI; its README says what the lines mean. An
`Http` line stands where its *reply* was complete, so messages that came before the reply stand above it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

FOLDER = Path(__file__).parents[1] / "data" / "traces"
VERSIONS = ("v0.3.64", "v0.33.0")


@dataclass(frozen=True, slots=True)
class Http:
    """One request and its reply: `response` if that was JSON, else None and its bytes in `body`."""

    t: float
    method: str
    path: str
    params: dict[str, Any] | None
    request: Any
    status: int
    content_type: str | None
    response: Any
    body: bytes

    @property
    def route(self) -> str:
        """The method and the path's first part: "GET /history"."""
        return f"{self.method} /{self.path.split('/')[1]}"


@dataclass(frozen=True, slots=True)
class WsOpen:
    """A socket was opened; `feature_flags` says whether the flags were sent as its first message."""

    t: float
    who: str
    client_id: str
    feature_flags: bool


@dataclass(frozen=True, slots=True)
class WsOut:
    """A message to the server."""

    t: float
    who: str
    raw: str


@dataclass(frozen=True, slots=True)
class WsIn:
    """A message from the server."""

    t: float
    who: str
    raw: str | bytes


@dataclass(frozen=True, slots=True)
class WsClosed:
    """A socket was closed by its client."""

    t: float
    who: str


@dataclass(frozen=True, slots=True)
class Note:
    """What the recorder did or saw."""

    t: float
    text: str


TraceLine = Http | WsOpen | WsOut | WsIn | WsClosed | Note
Line = TypeVar("Line", Http, WsOpen, WsOut, WsIn, WsClosed, Note)


@dataclass(frozen=True, slots=True)
class Trace:
    """One recorded scenario. `str()` of it, such as "v0.33.0/two_queued", names tests."""

    version: str
    name: str
    lines: tuple[TraceLine, ...]

    def __str__(self) -> str:
        return f"{self.version}/{self.name}"

    def __iter__(self) -> Iterator[TraceLine]:
        return iter(self.lines)

    def of(self, kind: type[Line]) -> list[Line]:
        """The lines of one kind, in order."""
        return [line for line in self.lines if isinstance(line, kind)]

    def replies(self, route: str) -> list[Http]:
        """The requests to one route ("GET /history", any id) that were answered with JSON, in order."""
        return [line for line in self.of(Http) if line.route == route and line.response is not None]

    def sockets(self) -> list[str]:
        """Who was connected, in the order they came."""
        return list(dict.fromkeys(line.who for line in self.of(WsOpen)))


@cache
def read(version: str, name: str) -> Trace:
    """One scenario by version ("v0.33.0") and name ("two_queued")."""
    lines = (FOLDER / version / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    header, *rest = (json.loads(line) for line in lines)
    assert header["trace"] == name
    return Trace(version, name, tuple(_line(entry) for entry in rest))


def all_traces() -> list[Trace]:
    """Every recorded scenario of every version."""
    return [read(path.parent.name, path.stem) for path in sorted(FOLDER.glob("v*/*.jsonl"))]


def _line(entry: dict[str, Any]) -> TraceLine:
    t, kind = entry["t"], entry["kind"]
    match kind:
        case "http":
            return _http(entry)
        case "ws-open":
            return WsOpen(t, entry["who"], entry["client_id"], entry["feature_flags"])
        case "ws-out":
            return WsOut(t, entry["who"], entry["text"])
        case "ws-in":
            return WsIn(t, entry["who"], _raw(entry))
        case "ws-closed":
            return WsClosed(t, entry["who"])
        case "note":
            return Note(t, entry["text"])
    raise ValueError(f"A trace has no lines of kind {kind!r}.")


def _raw(entry: dict[str, Any]) -> str | bytes:
    return entry["text"] if "text" in entry else base64.b64decode(entry["binary_b64"])


def _http(entry: dict[str, Any]) -> Http:
    return Http(
        t=entry["t"],
        method=entry["method"],
        path=entry["path"],
        params=entry["params"],
        request=entry["request"],
        status=entry["status"],
        content_type=entry["content_type"],
        response=entry.get("response"),
        body=entry.get("response_text", "").encode() or base64.b64decode(entry.get("response_b64", "")),
    )
