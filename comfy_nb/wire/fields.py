"""Readers of untrusted JSON: what a server sends becomes a value of the type asked for, or `Malformed`.

ComfyUI writes JSON with Python's defaults, so `NaN` and `Infinity` occur (in the inputs quoted by an error,
say), and custom nodes put anything anywhere. Nothing that leaves this module holds NaN, infinities, lone
surrogates or nesting deeper than `MAX_DEPTH`, so that all of it can be sent on to a browser.
"""

from __future__ import annotations

import json
import math
import re
import sys
from operator import mul
from typing import TypeAlias

__all__ = [
    "MAX_DEPTH",
    "MAX_ID",
    "MAX_MEMORY",
    "Json",
    "Malformed",
    "TooLarge",
    "clip",
    "ident",
    "ident_or",
    "idents",
    "is_prompt_id",
    "loads",
    "mapping",
    "millis",
    "number",
    "optional_ident",
    "plain",
    "sequence",
    "text",
    "texts",
    "weigh",
    "whole",
]

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

MAX_DEPTH = 100  # levels of lists and objects; far above any workflow, far below Python's recursion limit
MAX_ID = 1_000  # characters of a node id or prompt id
MAX_MEMORY = 64 << 20  # bytes that parsing one text may take

_WEIGHTS = (
    88,
    184,
    56,
    28,
)  # bytes of a list, an object, an entry with a number, and half a text; measured on 3.11
_PROMPT_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
# Beside DEL, C1, ends of lines and halves of pairs: marks of direction.
_DIRECTIONS = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_OBEYED = re.compile(f"[\0-\x1f{_DIRECTIONS}]")
_OBEYED_IN_LINES = re.compile(f"[\0-\x08\x0b-\x1f{_DIRECTIONS}]")
_FOUR_BYTES = re.compile(b"[\xf0-\xf7]")  # characters that make all of a text take four bytes for each

_TOO_DEEP = f"Not usable as JSON: nested deeper than {MAX_DEPTH} levels."
_LARGEST_ID = 10**18
_LARGEST_EXACT = 2**53
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Malformed(ValueError):
    """A field lacks or has a wrong value, so the whole of what it belongs to cannot be used."""


class TooLarge(ValueError):
    """JSON that would take too much memory; it was not parsed."""


def weigh(text: str | bytes) -> int:
    """About how many bytes of memory it takes to parse this JSON, itself included; rather too many than too few.

    Counted before anything is made of it: small values take fifty times their text. Punctuation inside of texts
    counts as well.
    """
    if isinstance(text, bytes):
        width = (
            1 if text.isascii() else 4 if _FOUR_BYTES.search(text) else 2
        )  # of a character, once it is decoded
        marks = (b"[", b"{", b",", b'"')
        return len(text) * (1 + 2 * width) + sum(map(mul, _WEIGHTS, map(text.count, marks)))
    return 2 * sys.getsizeof(text) + sum(map(mul, _WEIGHTS, map(text.count, '[{,"')))


def loads(text: str | bytes, memory: int = MAX_MEMORY) -> Json:
    """Parse JSON as ComfyUI writes it: NaN, infinities and numbers beyond a float become None.

    Raises ValueError, and nothing else, with one sentence that says where the text stops being JSON; `TooLarge`,
    which is one, for what would take more than `memory` bytes.
    """
    if 200 * len(text) > memory and weigh(text) > memory:  # no text weighs more than that
        raise TooLarge(f"Not parsed: it would take more than {memory >> 20} MB of memory.")
    source = text if isinstance(text, str) else _decoded(text)
    value = _parsed(source)
    if source.count("[") + source.count("{") > MAX_DEPTH and _depth_exceeds(value, MAX_DEPTH):
        raise ValueError(_TOO_DEEP)
    return _without_surrogates(value) if _may_hold_surrogates(source) else value


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"Not JSON: byte {error.start} is not UTF-8.") from None


def _parsed(source: str) -> Json:
    try:
        return json.loads(source, parse_constant=_no_number, parse_float=_finite)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"Not JSON: {error.msg[:1].lower()}{error.msg[1:]} at {where}.") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except ValueError:  # Python's own guard against quadratic time
        raise ValueError("Not usable as JSON: a whole number has thousands of digits.") from None


def _may_hold_surrogates(source: str) -> bool:
    if "\\u" in source and _ESCAPED_SURROGATE.search(source):
        return True
    return not source.isascii() and _SURROGATE.search(source) is not None


def _no_number(_: str) -> None:
    return None


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _depth_exceeds(value: Json, limit: int) -> bool:
    # Level by level, since a recursive walk would itself run into the recursion limit.
    level = _containers([value])
    for _ in range(limit):
        level = [child for parent in level for child in _containers(parent)]
        if not level:
            return False
    return True


def _containers(parent: list[Json] | dict[str, Json]) -> list[list[Json] | dict[str, Json]]:
    children = parent.values() if isinstance(parent, dict) else parent
    return [child for child in children if isinstance(child, list | dict)]


def _without_surrogates(value: Json) -> Json:
    # A lone half of a pair is legal in JSON but cannot be encoded, so it would fail far from here.
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_SURROGATE.sub("\ufffd", key): _without_surrogates(item) for key, item in value.items()}
    return value


def is_prompt_id(value: str) -> bool:
    """Whether an id of a prompt could look so. It stands in paths, where dots and slashes mean something."""
    return _PROMPT_ID.fullmatch(value) is not None


def clip(long: str, limit: int = 200) -> str:
    """The text itself if it has at most `limit` characters, else its beginning and an ellipsis."""
    return long if len(long) <= limit else long[: limit - 1] + "…"


def plain(words: str, limit: int = 200, *, lines: bool = False) -> str:
    """A server's words for a terminal or a list: at most `limit` characters, and none that a terminal obeys.

    Control characters become pictures of themselves (␛), marks of direction a question mark. Line ends and tabs stay
    if there may be several `lines`.
    """
    return (_OBEYED_IN_LINES if lines else _OBEYED).sub(_pictured, clip(words, limit))


def _pictured(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"


def mapping(value: Json) -> dict[str, Json]:
    """The object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def sequence(value: Json) -> list[Json]:
    """The list, or an empty one in place of anything else."""
    return value if isinstance(value, list) else []


def text(value: Json, default: str = "") -> str:
    """The string, or `default` in place of anything else."""
    return value if isinstance(value, str) else default


def texts(value: Json) -> tuple[str, ...]:
    """The strings of a list; other entries are left out. A bare string counts as a list of one."""
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in sequence(value) if isinstance(item, str))


def number(value: Json) -> float:
    """The number as it was written (integers stay integers), or 0.0 in place of anything else."""
    if isinstance(value, bool):
        return 0.0
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST_EXACT else 0.0
    return value if isinstance(value, float) and math.isfinite(value) else 0.0


def whole(value: Json) -> int | None:
    """The whole number, or None in place of anything else."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if abs(value) <= _LARGEST_EXACT else None


def millis(value: Json) -> int | None:
    """A time in ms since the epoch, or None in place of anything that cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= _LARGEST_EXACT else None


def _as_ident(value: Json) -> str | None:
    if isinstance(value, str):
        return value if len(value) <= MAX_ID else None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_ID:
        return str(value)
    return None


def ident(data: dict[str, Json], key: str) -> str:
    """The id at `key`: a string of at most `MAX_ID` characters, or a whole number made one.

    Raises Malformed for anything else, so that no message is ever taken for another prompt's or node's.
    """
    found = _as_ident(data.get(key))
    if found is None:
        raise Malformed(f"{key} is missing or no id")
    return found


def optional_ident(data: dict[str, Json], key: str) -> str | None:
    """Like `ident`, but None when the key is absent or null."""
    return None if data.get(key) is None else ident(data, key)


def ident_or(value: Json, default: str) -> str:
    """The id that `value` is, or `default` in place of anything else."""
    found = _as_ident(value)
    return default if found is None else found


def idents(value: Json) -> tuple[str, ...]:
    """The ids of a list; entries that are none are left out."""
    found = (_as_ident(item) for item in sequence(value))
    return tuple(item for item in found if item is not None)
