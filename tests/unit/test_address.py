"""Addresses: what people may type, and what is never shown."""

from __future__ import annotations

import base64
import ssl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from comfy_nb.client.address import Address
from comfy_nb.errors import ConnectionFailed


@pytest.mark.parametrize(
    ("url", "display"),
    [
        ("127.0.0.1:8188", "http://127.0.0.1:8188"),
        ("localhost", "http://localhost"),
        ("  http://gpu:8188/  ", "http://gpu:8188"),
        ("HTTP://GPU.Example:8188", "http://gpu.example:8188"),
        ("https://gpu.example/comfy/", "https://gpu.example/comfy"),
        (
            "https://hub.example/user/ann@example.org/proxy/8188",
            "https://hub.example/user/ann@example.org/proxy/8188",
        ),
        ("http://[::1]:8188", "http://[::1]:8188"),
        ("[fe80::1]:8188/x", "http://[fe80::1]:8188/x"),
        ("http://gpu:8188/?token=abc#top", "http://gpu:8188"),
        ("https://ann:pass@gpu.example", "https://gpu.example"),
        ("ann:pass@gpu:8188", "http://gpu:8188"),
        ("http://bücher.example", "http://bücher.example"),
    ],
)
def test_what_people_type(url: str, display: str) -> None:
    address = Address.parse(url)
    assert address.display == display
    assert address.short == display.partition("://")[2]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "http:///path",
        "ftp://gpu",
        "ws://gpu:8188",
        "file:///etc/passwd",
        "http://not a url",
        "what is this?",
        "http://gpu:port",
        "http://gpu:99999",
        "http://[::1",
        "<html>",
        "http://gpu\x00",
        "http://gpu..example:8188",
        "http://.gpu",
        f"http://{'g' * 64}.example",
        "http://bü..cher",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        Address.parse(url)
    text = str(caught.value)
    assert "is not an address" in text
    assert "http://" in text.replace(repr(url), "")  # says how one looks
    assert text.count(".") < 8
    assert "\n" not in text


def test_credentials_become_a_header_and_are_never_shown() -> None:
    address = Address.parse("https://ann:p%40ss@gpu.example:8443/comfy")
    assert address.headers["Authorization"] == "Basic " + base64.b64encode(b"ann:p@ss").decode()
    for shown in (repr(address), str(address), address.display, address.short, address.http("/queue")):
        assert "ann" not in shown
        assert "p%40ss" not in shown
        assert "p@ss" not in shown
        assert base64.b64encode(b"ann:p@ss").decode() not in shown
    assert address.websocket("id", "") == "wss://gpu.example:8443/comfy/ws?clientId=id"


def test_a_users_own_header_wins() -> None:
    address = Address.parse("https://ann:pass@gpu.example", {"authorization": "Bearer t0ken"})
    assert address.headers == {"authorization": "Bearer t0ken"}
    assert "t0ken" not in repr(address)


def test_the_headers_are_a_copy() -> None:
    headers = {"X-API-Key": "k"}
    address = Address.parse("http://gpu", headers)
    headers["X-API-Key"] = "other"
    assert address.headers == {"X-API-Key": "k"}


passwords = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1, max_size=12)


@given(passwords)
@example("sec/ret")
@example("sec?ret")
@example("sec#ret")
@example("se]cret")
@example("1234/x")
@example("a@b")
@example("?token=abc")
def test_a_password_is_never_quoted_in_an_error(password: str) -> None:
    """Whatever is in it: those with / ? # in them make no address, and the sentence must not quote it."""
    told = outcome(f"http://ann:Zx{password}Zx@gpu.example:8188")
    assert "Zx" not in told


@given(passwords)
@example("12/34")
@example("/34")
@example("12?34")
@example("12#34")
@example("34@x/56")
@example("1\\2/3")
def test_a_password_never_moves_the_host(password: str) -> None:
    """Of a password like 12/34, half looks like a port: the address is the right one, or none."""
    for url in (f"http://ann:{password}@gpu.example:8188/x", f"ann:{password}@gpu.example:8188/x"):
        told = outcome(url)
        assert told.startswith("http://gpu.example:8188/x") or " is not an address" in told
        assert "ann" not in told


@pytest.mark.parametrize(
    "url", ["hub.example:8000/user/ann@example.org", "http://ann:pw@hub.example/user/ann@example.org"]
)
def test_an_at_sign_that_may_belong_to_a_password_is_not_guessed_at(url: str) -> None:
    with pytest.raises(ConnectionFailed, match=r"in a path the @ as %40"):
        Address.parse(url)
    assert Address.parse(url.replace("ann@e", "ann%40e")).display.endswith("/user/ann%40example.org")


def test_a_token_at_the_end_of_the_address_becomes_a_header() -> None:
    address = Address.parse("http://gpu:8188/?token=t0ken&x=1")
    assert address.headers == {"Authorization": "Bearer t0ken"}
    assert "t0ken" not in repr(address) + address.display + address.websocket("id", "/api")
    assert Address.parse("http://gpu/?token=a", {"authorization": "b"}).headers == {"authorization": "b"}
    for odd in ("http://gpu:port/?token=t0ken", "ftp://gpu?token=t0ken", "http://gpu/?token=t0ken%0d%0aX:y"):
        with pytest.raises(ConnectionFailed) as caught:
            Address.parse(odd)
        assert "t0ken" not in str(caught.value)


@given(st.text(max_size=40) | st.text("htps:/[]@.#?%0189 ", max_size=20))
def test_anything_is_an_address_or_one_sentence(text: str) -> None:
    assert outcome(text).startswith(("http://", "https://")) or outcome(text).endswith((".", "path."))


def outcome(url: str) -> str:
    """All that is ever said of an address: where it leads, or why it is none."""
    try:
        address = Address.parse(url)
    except ConnectionFailed as error:
        return str(error)
    return address.display + repr(address)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("127.0.0.1:8188", True),
        ("127.8.8.8", True),
        ("localhost:8188", True),
        ("http://[::1]:8188", True),
        ("gpu.example", False),
        ("10.0.0.7:8188", False),
        ("http://localhost.example", False),
    ],
)
def test_which_addresses_are_this_machine(url: str, loopback: bool) -> None:
    assert Address.parse(url).is_loopback == loopback


def test_urls_of_routes() -> None:
    address = Address.parse("https://gpu.example/comfy")
    assert address.http("/api/queue") == "https://gpu.example/comfy/api/queue"
    assert (
        address.http("/view", {"filename": "a b&c.png"})
        == "https://gpu.example/comfy/view?filename=a+b%26c.png"
    )
    assert address.websocket("a b/c", "/api").endswith("/comfy/api/ws?clientId=a%20b/c")
    assert isinstance(address.ssl_context(), ssl.SSLContext)
    assert Address.parse("http://gpu").websocket("x", "/api") == "ws://gpu/api/ws?clientId=x"
    assert Address.parse("http://gpu").ssl_context() is None
