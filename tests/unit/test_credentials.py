"""Headers and trust made of what people pass, and nothing of it in any text."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from comfy_nb.client.address import Address
from comfy_nb.client.credentials import (
    MOST_COOKIES,
    Headers,
    hide,
    make_headers,
    make_trust,
    queue_tells_accounts,
)
from comfy_nb.errors import ConnectionFailed


@pytest.mark.parametrize(
    ("said", "headers"),
    [
        ({}, {}),
        ({"headers": {"X-API-Key": "k"}}, {"X-API-Key": "k"}),
        ({"token": "t0ken"}, {"Authorization": "Bearer t0ken"}),
        (
            {"auth": ("ann", "p:ß")},
            {"Authorization": "Basic " + base64.b64encode("ann:p:ß".encode()).decode()},
        ),
        ({"cookies": {"a": "1", "b": "2"}}, {"Cookie": "a=1; b=2"}),
        ({"user": "ann_1"}, {"Comfy-User": "ann_1"}),
    ],
)
def test_what_is_said_becomes_headers(said: dict[str, Any], headers: dict[str, str]) -> None:
    assert make_headers(**said) == headers


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"token": "s3cret", "auth": ("ann", "s3cret")}, r"either token= or auth=, not both"),
        (
            {"token": "s3cret", "headers": {"authorization": "s3cret"}},
            r"Authorization .* token= too: say it once",
        ),
        ({"cookies": {"a": "s3cret"}, "headers": {"Cookie": "s3cret"}}, r"Cookie .* cookies= too"),
        ({"token": "s3cret\r\nX: y"}, r"^The header Authorization cannot be sent"),
        ({"token": "s3cretß"}, r"must be ASCII text in one line"),
        ({"headers": {"X": " s3cret"}}, r"^The header X cannot be sent: .* without spaces around it\.$"),
        ({"headers": {"X": b"s3cret"}}, r"^The header X cannot be sent"),
        ({"headers": {"s3cret: x\n": "y"}}, r"^A header cannot be sent: its name"),
        ({"cookies": {"a": "s3cret; b=c"}}, r"^The cookie 'a' cannot be sent"),
    ],
)
def test_what_cannot_be_sent_is_refused_without_being_quoted(said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConnectionFailed, match=sentence) as caught:
        make_headers(**said)
    assert "s3cret" not in str(caught.value)


secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4, max_size=24)


@given(secrets, st.sampled_from(["token", "auth", "headers"]))
@example("000;", "token")
@example("a;b=c;d", "token")
@example("a;b:c;d", "auth")
def test_no_secret_is_in_any_text(secret: str, way: str) -> None:
    said: dict[str, Any] = {
        "token": {"token": secret},
        "auth": {"auth": ("ann", secret)},
        "headers": {"headers": {"X-API-Key": secret}},
    }[way]
    address = Address.parse("https://gpu.example/comfy", make_headers(**said))
    innocent = "https://gpu.example/comfy Address(scheme='https', netloc='gpu.example', prefix='/comfy') basic bearer"
    if secret.lower() not in innocent.lower():
        assert secret not in repr(address) + str(address) + address.display
        assert secret not in address.hide(f"<< {' | '.join(address.headers.values())} | {secret} >>")


def test_hiding_leaves_the_rest() -> None:
    headers = make_headers({"X-Id": "abc"}, auth=("ann", "pass"))
    assert hide("refused: ann:pass, pass, abc", headers) == "refused: …, …, abc"
    assert hide("http://ann:p@x:3128 failed", {}) == "http://…@x:3128 failed"
    assert hide("Basic authentication failed", headers) == "Basic authentication failed"


# -- cookies that a server sets --------------------------------------------------------------------------------


def after(headers: Headers, *set_cookies: str) -> dict[str, str]:
    """What is sent once a server has answered with these."""
    headers.keep(set_cookies)
    return dict(headers)


@pytest.mark.parametrize(
    ("given", "set_cookies", "sent"),
    [
        ({}, [], {}),
        ({"cookie": "a=1; b=2", "X": "y"}, [], {"X": "y", "Cookie": "a=1; b=2"}),
        ({"Cookie": "a=1"}, ["a=2; Path=/; HttpOnly"], {"Cookie": "a=2"}),
        ({"Cookie": "a=1"}, ["b=x=y==; Secure", "c="], {"Cookie": "a=1; b=x=y==; c="}),
        ({"Cookie": "a=1"}, ["a=gone; Max-Age=0"], {}),
        ({"Cookie": "a=1; b=2"}, ["a=; Expires=Thu, 01-Jan-1970 00:00:00 GMT"], {"Cookie": "b=2"}),
        ({"Cookie": "a=1"}, ["a=2; max-age=60; expires=Thu, 01 Jan 1970 00:00:00 GMT"], {"Cookie": "a=2"}),
        ({"Cookie": "a=1"}, ["a=2; Expires=Thu, 01 Jan 99999999 00:00:00 GMT"], {"Cookie": "a=2"}),
        ({"Cookie": "a=1"}, ["a=\xff", "a b=2"], {"Cookie": "a=1"}),
        ({"Cookie": "a=1"}, ["b = 3 ; Domain=elsewhere.example; Path=/x"], {"Cookie": "a=1; b=3"}),
        ({}, ["no name", "=x", "a b=1", "a=\xff", f"a={'x' * 5000}", ""], {}),
    ],
)
def test_the_newest_cookies_are_sent(
    given: dict[str, str], set_cookies: list[str], sent: dict[str, str]
) -> None:
    assert after(Headers(given), *set_cookies) == sent


def test_a_server_cannot_have_us_keep_any_number_of_cookies() -> None:
    headers = Headers({"Cookie": "mine=1"})
    after(headers, *(f"c{number}=x" for number in range(1000)))
    assert headers["Cookie"].count("=") == MOST_COOKIES
    assert headers["Cookie"].startswith("mine=1; ")


@given(st.lists(st.text(st.characters(codec="latin-1"), max_size=30), max_size=4))
def test_whatever_is_set_can_be_sent(lines: list[str]) -> None:
    headers = Headers()
    headers.keep(lines)
    for value in headers.values():
        assert "\n" not in value
        assert make_headers(headers)


def test_a_cookie_that_was_set_is_hidden_too() -> None:
    address = Address.parse("http://gpu")
    after(address.headers, "session=s3cret-one; Path=/")
    assert address.headers["Cookie"] == "session=s3cret-one"
    assert address.hide("it said s3cret-one") == "it said …"
    assert "s3cret" not in repr(address) + repr(address.headers)


def test_trust() -> None:
    assert make_trust(verify=True).verify_mode is ssl.CERT_REQUIRED
    anybody = make_trust(verify=False)
    assert (anybody.verify_mode, anybody.check_hostname) == (ssl.CERT_NONE, False)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert make_trust(own) is own
    assert Address.parse("https://gpu", verify=own).ssl_context() is own
    assert Address.parse("http://gpu", verify="missing.pem").ssl_context() is None


def test_trust_in_no_certificates(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    with pytest.raises(ConnectionFailed, match=r"ca\.pem' cannot be used: No such file"):
        make_trust(empty)
    for content in ("", "no certificate"):
        empty.write_text(content)
        with pytest.raises(
            ConnectionFailed, match=r"ca\.pem' cannot be used: it holds no certificates in PEM\."
        ):
            make_trust(str(empty))


@pytest.mark.parametrize(
    ("version", "tells"),
    [("0.3.67", True), ("v0.2.0", True), ("0.3.68", False), ("0.10.0", False), ("", False), ("fork", False)],
)
def test_which_queues_tell_accounts(version: str, tells: bool) -> None:
    assert queue_tells_accounts(version) == tells
