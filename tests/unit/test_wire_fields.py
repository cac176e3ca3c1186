"""Readers of untrusted JSON."""

from __future__ import annotations

import json
import math
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfy_nb.wire import fields
from comfy_nb.wire.fields import MAX_DEPTH, MAX_ID, Malformed, is_prompt_id, loads, plain

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


def test_numbers_that_json_does_not_have_become_none() -> None:
    assert loads("[NaN, Infinity, -Infinity, 1e999, -1e999, 1.5, 2]") == [None] * 5 + [1.5, 2]


def test_whole_numbers_stay_whole() -> None:
    assert type(fields.number(loads("3"))) is int
    assert type(fields.number(loads("3.0"))) is float


def test_lone_surrogates_are_replaced_and_pairs_are_kept() -> None:
    assert loads(r'{"\ud800k": ["a\udfff", "\ud83d\ude00"]}') == {"\ufffdk": ["a\ufffd", "\U0001f600"]}
    assert loads('["\ud800"]') == ["\ufffd"]


def test_bytes_are_utf8_with_or_without_a_mark() -> None:
    assert loads(b'"\xc3\xa9"') == "é"
    assert loads(b"\xef\xbb\xbf1") == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Not JSON: expecting value at line 1, column 1."),
        ('{"a": 1,\n "b" 2}', "Not JSON: expecting ':' delimiter at line 2, column 6."),
        (b'"\xff"', "Not JSON: byte 1 is not UTF-8."),
        ("[" * 100_000, "Not usable as JSON: nested deeper than 100 levels."),
        ("[" * 101 + "]" * 101, "Not usable as JSON: nested deeper than 100 levels."),
        ('{"a":' * 101 + "1" + "}" * 101, "Not usable as JSON: nested deeper than 100 levels."),
        ("1" * 5_000, "Not usable as JSON: a whole number has thousands of digits."),
    ],
)
def test_what_is_no_json_raises_one_sentence(text: str | bytes, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        loads(text)
    assert str(caught.value) == sentence


def test_the_deepest_nesting_allowed_is_read() -> None:
    deep = loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    for _ in range(MAX_DEPTH - 1):
        assert isinstance(deep, list)
        (deep,) = deep
    assert deep == []


def test_many_shallow_objects_are_not_deep() -> None:
    assert loads("[" + ",".join(["{}"] * 1_000) + "]") == [{}] * 1_000


@given(ANY_JSON)
def test_all_that_is_read_can_be_sent_to_a_browser(value: object) -> None:
    read = loads(json.dumps(value))
    assert loads(json.dumps(read, allow_nan=False, ensure_ascii=False).encode()) == read


@given(st.text() | st.binary())
def test_nothing_but_a_value_error_comes_out(raw: str | bytes) -> None:
    with suppress(ValueError):
        loads(raw)


@pytest.mark.parametrize(
    "source",
    [
        "[" * 2_000_000,
        "[" + "[]," * 500_000 + "[]]",
        '"' + r"\ud800" * 300_000 + '"',
        '"' + "é" * 1_000_000 + '"',
        "1." + "1" * 2_000_000,
        "1e" + "9" * 2_000_000,
        "[" + "1" * 4_000 + ("," + "1" * 4_000) * 250 + "]",
    ],
    ids=["depth", "many", "surrogates", "not ascii", "fraction", "exponent", "large numbers"],
)
def test_two_megabytes_take_no_longer_than_their_length(source: str) -> None:
    began = time.process_time()
    with suppress(ValueError):
        loads(source)
    assert time.process_time() - began < 2


def test_ids_are_short_strings_or_whole_numbers() -> None:
    assert fields.ident({"id": "12:3"}, "id") == "12:3"
    assert fields.ident({"id": 7}, "id") == "7"
    assert fields.ident({"id": "x" * MAX_ID}, "id") == "x" * MAX_ID
    assert fields.idents(["a", 1, None, 2.5, True, ["b"], "c"]) == ("a", "1", "c")
    assert fields.ident_or(["no"], "else") == "else"


@pytest.mark.parametrize("value", [None, True, 1.5, [], {}, "x" * (MAX_ID + 1), 10**18])
def test_what_is_no_id_is_malformed(value: fields.Json) -> None:
    with pytest.raises(Malformed, match=r"^id is missing or no id$"):
        fields.ident({"id": value}, "id")


def test_an_optional_id_may_be_null_but_not_odd() -> None:
    assert fields.optional_ident({}, "id") is None
    assert fields.optional_ident({"id": None}, "id") is None
    with pytest.raises(Malformed):
        fields.optional_ident({"id": []}, "id")


@pytest.mark.parametrize("value", [None, True, "3", [], {}, math.nan, math.inf, 10**400])
def test_what_is_no_number_is_zero_and_no_time(value: fields.Json) -> None:
    assert fields.number(value) == 0.0
    assert fields.millis(value) is None
    assert fields.whole(value) is None


def test_times_are_whole_milliseconds_after_the_epoch() -> None:
    assert fields.millis(1795168777921) == 1795168777921
    assert fields.millis(1795168777921.7) == 1795168777921
    assert fields.millis(-1) is None


def test_wrong_containers_read_as_empty() -> None:
    assert fields.mapping([1]) == {}
    assert fields.sequence({"a": 1}) == []
    assert fields.texts({"a": 1}) == ()
    assert fields.texts("one") == ("one",)
    assert fields.texts(["one", 2, "three"]) == ("one", "three")
    assert fields.text(3, "none") == "none"


def test_clip_marks_what_it_cut() -> None:
    assert fields.clip("x" * 200) == "x" * 200
    assert fields.clip("x" * 201) == "x" * 199 + "…"


def test_a_servers_words_are_shown_as_text_and_bounded() -> None:
    assert plain("0.3.64") == "0.3.64"
    assert plain("\x1b[31mred\x07\r\n\x7f") == "␛[31mred␇␍␊␡"
    assert plain("a\nb\tc\x1b", lines=True) == "a\nb\tc␛"
    assert plain("a\u202eb\u2066c\x9bd\u2028e\ud800") == "a\ufffdb\ufffdc\ufffdd\ufffde\ufffd"
    assert plain("Grüße 猫 👩\u200d🚀") == "Grüße 猫 👩\u200d🚀"
    assert plain("x" * 300, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ("0447b7af-958e-4c14-8d75-8144f041cd8b", True),
        ("a_B-9", True),
        ("a" * 200, True),
        ("a" * 201, False),
        ("", False),
    ]
    + [(bad, False) for bad in ("..", "a/b", "a\n", "ä", "a b", "%2e", "a.b")],
)
def test_what_an_id_of_a_prompt_looks_like(value: str, fits: bool) -> None:
    assert is_prompt_id(value) is fits
