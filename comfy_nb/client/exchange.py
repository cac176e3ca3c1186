"""What is sent to a server, what comes back, and what may go wrong: whether it arrived, and whether to ask again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from comfy_nb.errors import ConnectionFailed, ServerError

__all__ = ["MAX_JSON", "SMALL", "Answer", "NoAnswer", "Refused", "TooMuch", "Unavailable", "Upload"]

MAX_JSON = 24 << 20  # bytes, unpacked; what is parsed of them is bounded by the memory that it takes
SMALL = 1 << 20  # bytes, unpacked, of answers that say little


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to send as a form."""

    field: str
    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswer(ConnectionFailed):
    """The request may have arrived, but no answer came."""


class Unavailable(ServerError):
    """The server, or a proxy before it, cannot answer now: 429 or 5xx."""


class Refused(ServerError):
    """The server, or a proxy before it, did not take the request, and will not: 401, 403 or 413."""


class TooMuch(ServerError):
    """The answer is larger than anything of that kind is, or would take too much memory."""
