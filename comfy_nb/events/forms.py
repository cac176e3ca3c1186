"""The one form in which events leave the process: dicts of JSON, with bytes by reference.

An event is ``{"v": 1, "k": "Progressed", "node_id": "3", …}``: its type's name and its fields, but for those that have
their default. Bytes are not in it: they are ``{"sha256": …, "size": …}``, and whoever carries the form carries them
beside it, each once (`blobs_of`). What comes back is checked as what comes from a server is: a stranger may have
written it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from comfy_nb.events.types import Event
from comfy_nb.store import Blob
from comfy_nb.wire.fields import Malformed

__all__ = ["VERSION", "BytesOf", "blobs_of", "from_dict", "to_dict"]

VERSION = 1
MAX_TEXT = 1_000_000  # characters of one text
MAX_ENTRIES = 100_000  # of one list
MAX_WHOLE = 2**53  # whole numbers beyond are not exact in every reader of JSON
DIGEST = 64  # characters of a SHA-256 in hexadecimal

BytesOf = Callable[[str, int], Blob]
"""Gives the bytes of a reference: SHA-256 in hexadecimal, and size. May raise `OutputError` if it has none."""

_KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}


def to_dict(event: Event) -> dict[str, Any]:
    """The event in its wire form. Hashes bytes that were not hashed yet, which may read a file: for the workers."""
    return {"v": VERSION, "k": type(event).__name__, **_fields_of(event)}


def blobs_of(event: Event) -> dict[str, bytes | Blob]:
    """The bytes that the form of an event refers to, by SHA-256."""
    found: dict[str, bytes | Blob] = {}
    _gather(event, found)
    return found


def from_dict(form: Mapping[str, Any], bytes_of: BytesOf) -> Event:
    """The event of a form; fields that this version does not know are passed over.

    Raises `Malformed`, a ValueError, for what is no event of this version.
    """
    version, name = form.get("v"), form.get("k")
    if version != VERSION:
        raise Malformed(f"an event of version {_brief(version)} cannot be read, only version {VERSION}")
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise Malformed(f"{_brief(name)} is no kind of event")
    return cast(Event, _read(kind, form, bytes_of, name or ""))


# -- out -----------------------------------------------------------------------------------------------------------


def _fields_of(value: Any) -> dict[str, Any]:
    told = {field.name: (field, getattr(value, field.name)) for field in dataclasses.fields(value)}
    return {name: _written(one) for name, (field, one) in told.items() if one != field.default}


def _written(value: Any) -> Any:
    if isinstance(value, bytes | Blob):
        return {"sha256": _digest(value), "size": value.size if isinstance(value, Blob) else len(value)}
    if isinstance(value, tuple):
        return [_written(entry) for entry in cast("tuple[Any, ...]", value)]
    return _fields_of(value) if dataclasses.is_dataclass(value) else value


def _gather(value: Any, found: dict[str, bytes | Blob]) -> None:
    if isinstance(value, bytes | Blob):
        found[_digest(value)] = value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            _gather(getattr(value, field.name), found)


def _digest(value: bytes | Blob) -> str:
    return value.digest if isinstance(value, Blob) else hashlib.sha256(value).hexdigest()


# -- in ------------------------------------------------------------------------------------------------------------


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(kind: type[Any], form: Any, bytes_of: BytesOf, where: str) -> Any:
    if not isinstance(form, Mapping):
        raise Malformed(f"{where} must be a mapping, not {_brief(form)}")
    known = cast("Mapping[str, Any]", form)
    given: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        place = f"{where}.{field.name}"
        if field.name in known:
            given[field.name] = _value(_hints(kind)[field.name], known[field.name], bytes_of, place)
        elif field.default is dataclasses.MISSING:
            raise Malformed(f"{place} is missing")
    return kind(**given)


def _value(hint: Any, value: Any, bytes_of: BytesOf, where: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        wanted = next(one for one in get_args(hint) if one is not type(None))
        return None if value is None else _value(wanted, value, bytes_of, where)
    if origin is Literal:
        if value in get_args(hint) and isinstance(value, str):
            return value
        raise Malformed(f"{where} is {_brief(value)}, but must be one of {', '.join(get_args(hint))}")
    if origin is tuple:
        if not isinstance(value, list) or len(cast("list[Any]", value)) > MAX_ENTRIES:
            raise Malformed(f"{where} must be a list of at most {MAX_ENTRIES:,} entries")
        return tuple(
            _value(get_args(hint)[0], one, bytes_of, f"{where}[{place}]")
            for place, one in enumerate(cast("list[Any]", value))
        )
    if hint in (bytes, Blob):
        blob = _referred(value, bytes_of, where)
        return blob.data if hint is bytes else blob
    if dataclasses.is_dataclass(hint):
        return _read(cast("type[Any]", hint), value, bytes_of, where)
    return _plain(hint, value, where)


def _plain(hint: Any, value: Any, where: str) -> Any:
    if hint is bool and isinstance(value, bool):
        return value
    if hint is str and isinstance(value, str) and len(value) <= MAX_TEXT:
        return value
    if hint is int and type(value) is int and abs(value) <= MAX_WHOLE:
        return value
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if hint is float and abs(number) <= MAX_WHOLE:
        return number
    raise Malformed(f"{where} is {_brief(value)}, which is no {hint.__name__} within bounds")


def _referred(value: Any, bytes_of: BytesOf, where: str) -> Blob:
    match value:
        case {"sha256": str(digest), "size": int(size)} if len(digest) == DIGEST and 0 <= size <= MAX_WHOLE:
            return bytes_of(digest, size)
        case _:
            raise Malformed(f"{where} must refer to bytes by sha256 and size")


def _brief(value: object) -> str:
    text = repr(value)[:60] if isinstance(value, str | int | float | None) else type(value).__name__
    return text if len(text) < 60 else f"{text}…"
