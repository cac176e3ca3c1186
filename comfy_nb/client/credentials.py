"""What a server or the proxy before it wants to see of us: made into headers and trust, and kept out of sight.

Everything goes with each request and with the websocket's handshake, as proxies ask for it on both.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from email.utils import mktime_tz, parsedate_tz
from pathlib import Path

from comfy_nb.client.veil import HIDDEN, Veil
from comfy_nb.errors import ConnectionFailed

__all__ = ["Headers", "Verify", "basic", "hide", "make_headers", "make_trust", "queue_tells_accounts"]

Verify = bool | str | os.PathLike[str] | ssl.SSLContext

SHORTEST = 4  # characters of a value that is worth hiding; shorter ones stand in any text by chance
NO_SECRETS = ("accept", "accept-encoding", "accept-language", "comfy-user", "referer", "user-agent")
MOST_COOKIES = 100  # that a server may have us keep

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_VALUE = re.compile(
    r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?|"
)  # RFC 9110, 5.5, without its obsolete bytes
_COOKIE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")  # RFC 6265, 4.1.1
_KEPT = re.compile(r"[\x20-\x3a\x3c-\x7e]{0,4096}")  # what servers set in fact, and want back as it was
_USER_INFO = re.compile(r"//\S*@")


class Headers(Mapping[str, str]):
    """The headers of every request. Their cookies are the newest that the server, or a gateway before it, has set.

    A gateway that renews its session with an answer wants the new one with the next request, and at the websocket
    too. All cookies go to the one server that we talk to, whatever domain or path they name.
    """

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        given = dict(headers or {})
        said = [given.pop(name) for name in list(given) if name.lower() == "cookie"]
        self._fixed = given
        self.veil = Veil()
        self._cookies = dict(_pair(cookie) for value in said for cookie in value.split(";") if cookie.strip())
        for name, value in self.items():
            if name.lower() not in NO_SECRETS:
                self.veil.add(_secrets(value))

    def __getitem__(self, name: str) -> str:
        if name != "Cookie":
            return self._fixed[name]
        if not self._cookies:
            raise KeyError(name)
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def __iter__(self) -> Iterator[str]:
        yield from self._fixed
        if self._cookies:
            yield "Cookie"

    def __len__(self) -> int:
        return len(self._fixed) + bool(self._cookies)

    def keep(self, set_cookies: Iterable[str]) -> None:
        """Take note of the Set-Cookie headers of an answer."""
        for line in set_cookies:
            cookie, _, attributes = line.partition(";")
            name, value = _pair(cookie)
            if not _NAME.fullmatch(name) or not _KEPT.fullmatch(value):
                continue  # nothing that could be sent back
            kept = {key: old for key, old in self._cookies.items() if key != name}
            if not _is_over(attributes) and len(kept) < MOST_COOKIES:
                kept[name] = value
                self.veil.add_set(value)
            self._cookies = kept  # a new one: another thread may be reading


def _pair(cookie: str) -> tuple[str, str]:
    name, _, value = cookie.partition("=")
    return name.strip(), value.strip()


def _is_over(attributes: str) -> bool:
    """Whether a cookie with these attributes is taken back (RFC 6265, 5.2: an age goes before a date)."""
    pairs = (_pair(attribute) for attribute in attributes.split(";"))
    told = {name.lower(): value for name, value in pairs}
    if re.fullmatch(r"-?\d{1,18}", told.get("max-age", "")):
        return int(told["max-age"]) <= 0
    until = parsedate_tz(told.get("expires", ""))
    try:
        return until is not None and mktime_tz(until) < time.time()
    except (ValueError, OverflowError):  # a year that no calendar has
        return False


def make_headers(
    headers: Mapping[str, str] | None = None,
    *,
    token: str | None = None,
    auth: tuple[str, str] | None = None,
    cookies: Mapping[str, str] | None = None,
    user: str | None = None,
) -> dict[str, str]:
    """The headers of every request: the given ones, and those that the other arguments stand for.

    Raises `ConnectionFailed` for what cannot be sent, or is said twice; its text quotes no value.
    """
    made = dict(headers or {})
    if token is not None and auth is not None:
        raise ConnectionFailed("Pass either token= or auth=, not both: each is the Authorization header.")
    if token is not None:
        _add(made, "Authorization", f"Bearer {token}", "token")
    if auth is not None:
        _add(made, "Authorization", basic(*auth), "auth")
    if cookies:
        _add(made, "Cookie", "; ".join(_cookies(cookies)), "cookies")
    if user is not None:
        _add(made, "Comfy-User", user, "user")
    for name, value in made.items():
        _refuse_unsendable(name, value)
    return made


def basic(user: str, password: str) -> str:
    """The Authorization header of HTTP basic authentication (RFC 7617), in UTF-8."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def make_trust(verify: Verify) -> ssl.SSLContext:
    """Whom to trust on https: the system's authorities, only those in a file or folder, or (False) anybody.

    Reads files. Raises `ConnectionFailed` if there are no certificates.
    """
    if isinstance(verify, ssl.SSLContext):
        return verify
    if isinstance(verify, bool):
        context = ssl.create_default_context()
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
    path = Path(verify)
    try:
        if path.is_dir():
            return ssl.create_default_context(capath=str(path))
        return ssl.create_default_context(cafile=str(path))
    except (OSError, ValueError) as error:  # of which ssl.SSLError is one
        there = not isinstance(error, FileNotFoundError | PermissionError)
        why = "it holds no certificates in PEM" if there else error.strerror
        raise ConnectionFailed(
            f"verify={str(path)!r} cannot be used: {why}. It must be your authority's certificate, or a folder that "
            "openssl rehash has seen."
        ) from None


def queue_tells_accounts(version: str) -> bool:
    """Whether a ComfyUI of that version shows everybody the Comfy accounts of those who wait: before 0.3.68."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    return found is not None and tuple(map(int, found.groups())) < (0, 3, 68)


def hide(text: str, headers: Mapping[str, str]) -> str:
    """`text` without any secret of `headers`, and without what stands before the @ of an address.

    For the words of others (libraries, servers, the environment's proxies) that may quote what we sent.
    """
    for secret in sorted({s for value in headers.values() for s in _secrets(value)}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _USER_INFO.sub(f"//{HIDDEN}@", text)


def _add(headers: dict[str, str], name: str, value: str, argument: str) -> None:
    if any(given.lower() == name.lower() for given in headers):
        raise ConnectionFailed(f"The header {name} is in headers= and comes of {argument}= too: say it once.")
    headers[name] = value


def _cookies(cookies: Mapping[str, str]) -> Iterator[str]:
    for name, value in cookies.items():
        if not _NAME.fullmatch(name) or not _COOKIE.fullmatch(value):
            raise ConnectionFailed(
                f"The cookie {name!r} cannot be sent: its name or value has characters that cookies must not have "
                "(spaces, quotes, commas, semicolons, backslashes, line ends, or beyond ASCII)."
            )
        yield f"{name}={value}"


def _refuse_unsendable(name: str, value: object) -> None:
    if not _NAME.fullmatch(name):
        raise ConnectionFailed("A header cannot be sent: its name has characters that names must not have.")
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise ConnectionFailed(
            f"The header {name} cannot be sent: its value must be ASCII text in one line, without spaces around it."
        )


def _secrets(value: str) -> Iterator[str]:
    """The value, its words (a token after Bearer, one cookie), and the password inside a basic authorization."""
    words = re.split(r"[;\s]+", value)
    # What follows the scheme counts as a whole too: a token may hold a semicolon, which parts cookies.
    parts = [value, value.partition(" ")[2], *words, *(word.partition("=")[2] for word in words)]
    if words[0].lower() == "basic" and len(words) > 1:
        try:
            pair = base64.b64decode(words[1], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):  # not ours: the user's own header
            pair = ""
        parts += [pair, pair.partition(":")[2]]
    yield from (part for part in parts if len(part) >= SHORTEST and part.lower() not in {"bearer", "basic"})
