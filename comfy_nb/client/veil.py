"""What one server is told in confidence, and how it is kept out of everything that this server says.

All words of a server enter by way of its connection's `Veil`: messages of the socket, answers in JSON, and the names
of files as they are shown. What is behind it (events, errors, views, notebooks, logs) so never holds a secret that
was echoed. A veil belongs to one connection: another server's words are none of its business, and it goes with it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import TypeVar, cast

from comfy_nb.wire.files import FileRef

__all__ = ["COOKIE", "HIDDEN", "SHORTEST", "Veil"]

T = TypeVar("T")

SHORTEST = (
    8  # characters of a secret that is looked for in a server's words; shorter ones stand there by chance
)
COOKIE = 12  # the same for what the server itself calls one: no session has less
LONGEST = 4096  # characters of one that is looked for as a whole; of a longer one, its beginning
MOST_SET = 200  # of a server's own that are remembered: its newest
DEEPEST = 100  # levels of a structure beyond which nobody looks
HIDDEN = "…"

# What says how a record is to be read, and not what it tells. A file is asked for by its name as it is.
_STRUCTURE = frozenset({"prompt_id", "state", "outcome", "type"})
_KEYS = frozenset(
    {"inputs", "class_type", "_meta", "title", "images", "gifs", "audio", "video", "text", "animated"}
)


class Veil:
    """The secrets of one connection. Read and changed from any thread."""

    def __init__(self) -> None:
        self._given: frozenset[str] = frozenset()
        self._set: tuple[str, ...] = ()
        self._found: (
            tuple[str, ...] | None
        ) = ()  # all of them, the longest first; None if that is to be found out

    def __repr__(self) -> str:
        return f"<Veil over {len(self._sought)}>"

    def __len__(self) -> int:
        return len(self._sought)

    def add(self, secrets: Iterable[str]) -> None:
        """Conceal what the user gave us."""
        self._given |= {secret[:LONGEST] for secret in secrets if len(secret) >= SHORTEST}
        self._found = None

    def add_set(self, value: str) -> None:
        """Conceal a cookie that the server has set, unless it is short, or words."""
        value = value[:LONGEST]
        if len(value) >= COOKIE and not any(map(str.isspace, value)) and value not in self._set:
            self._set = (*self._set, value)[-MOST_SET:]
            self._found = None

    @property
    def _sought(self) -> tuple[str, ...]:
        if self._found is not None:
            return self._found
        plain = self._given | set(self._set)
        written = {json.dumps(secret)[1:-1] for secret in plain}  # as it stands in a value that is quoted
        self._found = found = tuple(sorted(plain | written, key=len, reverse=True))
        return found

    def text(self, text: str) -> str:
        """`text` with none of the secrets in it."""
        for secret in self._sought:
            if secret[:SHORTEST] in text:
                text = text.replace(secret, HIDDEN)
                if HIDDEN in text:
                    text = _without_beginning(text, secret)
        return text

    def record(self, record: T) -> T:
        """A message or a record with none of the secrets in any of its texts; itself if there are none."""
        return cast("T", self._veiled(record, 0)) if self._sought else record

    def _veiled(self, value: object, depth: int) -> object:
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, int | float | bytes | FileRef):
            return value
        if depth > DEEPEST:
            return HIDDEN
        if isinstance(value, dict):
            return self._tree(cast("dict[str, object]", value), depth)
        if isinstance(value, list | tuple):
            items = [self._veiled(item, depth + 1) for item in cast("list[object]", value)]
            return items if isinstance(value, list) else tuple(items)
        if not dataclasses.is_dataclass(value) or isinstance(value, type):
            return value
        changed: dict[str, object] = {}
        for name in (field.name for field in dataclasses.fields(value) if field.name not in _STRUCTURE):
            before: object = getattr(value, name)
            after = self._veiled(before, depth + 1)
            if after != before:
                changed[name] = after
        return dataclasses.replace(value, **changed) if changed else value

    def _tree(self, value: dict[str, object], depth: int) -> dict[str, object]:
        if "filename" in value:  # a file
            return value
        return {
            key if key in _KEYS else self.text(key): self._veiled(item, depth + 1)
            for key, item in value.items()
        }


def _without_beginning(text: str, secret: str) -> str:
    """`text` without a secret's beginning where it was cut to a readable length."""
    for size in range(len(secret) - 1, SHORTEST - 1, -1):
        cut = secret[:size] + HIDDEN
        if cut in text:
            return text.replace(cut, HIDDEN)
    return text
