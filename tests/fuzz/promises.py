"""What the parsers of `comfy_nb.wire` promise for any input at all: typed values that a browser can be sent, or one
sentence.

The tests in CI and `fuzz_wire.py` hold them to the same promises.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Callable
from typing import Any

from comfy_nb.wire import fields, messages, records
from comfy_nb.wire.fields import Json

MAX_SENTENCE = 400  # characters that a parser may say of what it cannot read


def _history(data: Json) -> tuple[records.HistoryEntry, ...]:
    page = records.parse_history_page(data)
    for entry in page:
        assert records.parse_history(data, entry.prompt_id) == entry
    return page


READERS: dict[str, tuple[Callable[[Json], Any], Any]] = {
    "GET /queue": (records.parse_queue, records.Queue),
    "GET /history": (_history, tuple[records.HistoryEntry, ...]),
    "GET /system_stats": (records.parse_system_stats, records.SystemStats),
    "POST /prompt 200": (
        functools.partial(records.parse_prompt_reply, 200),
        records.PromptAccepted | records.PromptRejected,
    ),
    "POST /prompt 400": (
        functools.partial(records.parse_prompt_reply, 400),
        records.PromptAccepted | records.PromptRejected,
    ),
    "output": (functools.partial(records.parse_output, "9", "9"), records.NodeOutput),
}


def check_frame(raw: str | bytes, *, text_has_prompt_id: bool = False) -> messages.Message:
    """Parse one websocket frame, and look at all of what comes out. Raises AssertionError for a broken promise."""
    message = messages.parse(raw, text_has_prompt_id=text_has_prompt_id)
    assert conforms(message, messages.Message), message
    if isinstance(message, messages.Unknown):
        assert len(message.kind) <= 200
        assert len(message.reason) <= 200
    return message


def check_reply(route: str, raw: str | bytes) -> Any:
    """Read one HTTP answer as that of a route (a key of `READERS`); None if it was refused with one sentence."""
    parse, declared = READERS[route]
    try:
        value = parse(fields.loads(raw))
    except ValueError as error:
        sentence = str(error)
        assert 0 < len(sentence) <= MAX_SENTENCE, sentence
        assert "\n" not in sentence
        return None
    assert conforms(value, declared), value
    return value


def conforms(value: Any, declared: Any) -> bool:
    """Whether a value is of its declared type, all the way down, and could be sent to a browser."""
    check, arguments = _checker(declared)
    return check(value, *arguments)


@functools.cache
def _checker(declared: Any) -> tuple[Callable[..., bool], tuple[Any, ...]]:
    origin, args = typing.get_origin(declared), typing.get_args(declared)
    if origin in (typing.Union, types.UnionType):
        by_type = {each: each for each in args if dataclasses.is_dataclass(each)}
        return _is_one_of, (by_type, tuple(each for each in args if each not in by_type))
    if origin is tuple:
        return _is_tuple_of, (args[0],)
    if origin is typing.Literal:
        return (lambda value: value in args), ()
    if origin in (list, dict):
        return _is_json, (origin,)
    if declared is float:
        return (lambda value: type(value) in (int, float) and math.isfinite(value)), ()
    if declared is str:
        return _is_text, ()
    if dataclasses.is_dataclass(declared):
        return _is_record, (declared, tuple(typing.get_type_hints(declared).items()))
    return (lambda value: type(value) is declared), ()


def _is_one_of(value: Any, records_: dict[Any, Any], others: tuple[Any, ...]) -> bool:
    if type(value) in records_:
        return conforms(value, type(value))
    return any(conforms(value, each) for each in others)


def _is_tuple_of(value: Any, item: Any) -> bool:
    return type(value) is tuple and all(conforms(each, item) for each in value)


def _is_json(value: Any, kind: type) -> bool:
    # Raises, and so fails the test, for NaN, half a surrogate pair and what is no JSON at all.
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    return type(value) is kind


def _is_text(value: Any) -> bool:
    return type(value) is str and value.encode() is not None


def _is_record(value: Any, declared: type, hints: tuple[tuple[str, Any], ...]) -> bool:
    if isinstance(value, records.FileRef):
        assert value.kind in typing.get_args(records.Kind)
        assert _is_text(value.media_type)
    return type(value) is declared and all(conforms(getattr(value, name), hint) for name, hint in hints)
