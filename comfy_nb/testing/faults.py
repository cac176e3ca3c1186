"""What can be wrong with a server, as switches."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, Self

__all__ = ["Faults", "Page"]


@dataclass(frozen=True, slots=True)
class Page:
    """An HTTP answer: status, media type and body."""

    status: int = 200
    media_type: str = "text/html"
    body: bytes = b"<!doctype html><title>It works!</title>"

    @classmethod
    def json(cls, data: object, status: int = 200) -> Self:
        """An answer in JSON."""
        return cls(status, "application/json", json.dumps(data).encode())

    @classmethod
    def text(cls, text: str, status: int = 500) -> Self:
        """An answer in plain text, such as ComfyUI's own when a request fails."""
        return cls(status, "text/plain", text.encode())


@dataclass(frozen=True, slots=True)
class Faults:
    """How a `ScriptedServer` misbehaves; by default not at all.

    `page` answers every HTTP request; `post` only POST /prompt, which is queued all the same if `post_runs`.
    `silent` takes requests and never answers. `api` False has no routes under /api, like servers before June 2024.
    `own_ids` ignores the prompt id that a client chose, like servers before 0.3.45. `socket` "refused" lets no
    websocket in, "mute" lets it in and says nothing; `greet_after` makes the first message late, `history_after`
    the history of a prompt, `post_after` the answer to POST /prompt; all in seconds.
    """

    page: Page | None = None
    post: Page | None = None
    post_runs: bool = False
    silent: bool = False
    api: bool = True
    own_ids: bool = False
    socket: Literal["open", "refused", "mute"] = "open"
    greet_after: float = 0.0
    history_after: float = 0.0
    post_after: float = 0.0
