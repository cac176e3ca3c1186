"""What a connection never shows: its own secrets, bounded, and no other connection's words."""

from __future__ import annotations

import gc
import json
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfy_nb.client.address import Address
from comfy_nb.client.veil import COOKIE, LONGEST, MOST_SET, SHORTEST, Veil
from comfy_nb.wire.files import FileRef
from comfy_nb.wire.messages import ExecutionError, NodeProgress, ProgressState

SECRET = 's3cret-of-"mine"\\'  # noqa: S105 - for these tests alone


def veil(*secrets: str) -> Veil:
    made = Veil()
    made.add(secrets)
    return made


def test_the_longest_goes_first_and_short_ones_stay() -> None:
    made = veil("s3cret-key", "s3cret-key-and-more", "short")
    assert (
        made.text("no credit for s3cret-key-and-more, s3cret-key, in short") == "no credit for …, …, in short"
    )
    assert len("short") < SHORTEST


@pytest.mark.parametrize("size", [SHORTEST, len(SECRET) - 1])
def test_the_beginning_of_a_secret_that_was_cut_is_hidden_too(size: int) -> None:
    assert veil(SECRET).text(f"got {SECRET[:size]}… there") == "got … there"


def test_a_secret_that_is_quoted_is_hidden_too() -> None:
    assert veil(SECRET).text(json.dumps({"x": SECRET})) == '{"x": "…"}'


def test_every_text_of_a_record_is_looked_at() -> None:
    error = ExecutionError(
        "id", *[f"a {SECRET}"] * 4, (SECRET,), (SECRET,), None, {SECRET: [{"a": SECRET}]}, ()
    )
    told = repr(veil(SECRET).record(error)) + repr(veil(SECRET).record({"t": [error, {"u": (error,)}]}))
    assert "s3cret" not in told
    assert told.count("a …") == 12


def test_what_has_nothing_to_hide_is_itself() -> None:
    state = ProgressState("id", (NodeProgress("3", 1, 20, "running", "3", None, "3"),))
    assert veil("another-secret").record(state) == state
    assert veil().record(state) is state


def test_words_of_the_protocol_and_names_of_files_stay_what_they_are() -> None:
    """Somebody's password may be one of them."""
    made = veil("finished", "filename", "landscape")
    state = ProgressState("id", (NodeProgress("3", 1, 20, "finished", "3", None, "3"),))
    assert made.record(state) == state
    file = FileRef("landscape_1.png", "landscape", "output", None)
    output = {"images": [{"filename": "landscape_1.png", "subfolder": "", "type": "output"}]}
    assert made.record((file, output)) == (file, output)
    assert made.text(file.filename) == "…_1.png"


def test_one_servers_cookie_is_nothing_to_another() -> None:
    ours, theirs = Address.parse("http://a"), Address.parse("http://b")
    theirs.headers.keep(["x=CUDA-out-of-memory-there; Path=/"])
    assert ours.veil.text("CUDA-out-of-memory-there") == "CUDA-out-of-memory-there"
    assert theirs.veil.text("CUDA-out-of-memory-there") == "…"


@pytest.mark.parametrize("value", ["CUDA out of memory", "shortest", "a" * (COOKIE - 1)])
def test_what_no_session_looks_like_is_no_secret(value: str) -> None:
    address = Address.parse("http://a")
    address.headers.keep([f"x={value}"])
    assert address.veil.text(f"it says {value}") == f"it says {value}"


def test_a_server_sets_any_number_of_cookies_and_only_the_newest_are_remembered() -> None:
    address = Address.parse("http://a", {"X-Api-Key": "mine-for-ever"})
    for number in range(20 * MOST_SET):
        address.headers.keep([f"x=session-number-{number:06}{'y' * 100}"])
    assert len(address.veil) <= MOST_SET + 1
    assert address.veil.text("mine-for-ever") == "…"
    newest = address.headers["Cookie"].removeprefix("x=")
    assert address.veil.text(newest) == "…"


def test_a_cookie_of_megabytes_takes_no_megabytes() -> None:
    made = Veil()
    made.add_set("x" * (50 * LONGEST))
    assert max(map(len, made._sought)) <= LONGEST


def test_it_goes_with_its_connection() -> None:
    address = Address.parse("http://a", {"X-Api-Key": "mine-for-ever"})
    gone = weakref.ref(address.veil)
    del address
    gc.collect()
    assert gone() is None


secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=SHORTEST, max_size=40)


@given(st.lists(secrets, min_size=1, max_size=5), st.text(max_size=20))
def test_no_secret_is_left_in_any_text(said: list[str], between: str) -> None:
    told = veil(*said).text(between.join(said))
    assert all(secret not in told for secret in said)
