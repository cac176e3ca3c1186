"""Where a server is, and how to say so without telling secrets."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from comfy_nb.client.credentials import Headers, Verify, basic, hide, make_headers, make_trust
from comfy_nb.client.veil import Veil
from comfy_nb.errors import ConnectionFailed

__all__ = ["Address", "can_be_asked"]

_NO_HOST = re.compile(r"[\s\x00-\x1f\x7f\"'<>\\^`{|}]")


@dataclass(frozen=True, slots=True)
class Address:
    """A server's base address. `display` is safe to show; headers and credentials never are."""

    scheme: str
    netloc: str
    prefix: str  # path of a proxy in front, such as "/comfy", or ""
    headers: Headers = field(default_factory=Headers, repr=False)
    verify: Verify = field(default=True, repr=False)

    @classmethod
    def parse(cls, url: str, headers: Mapping[str, str] | None = None, *, verify: Verify = True) -> Address:
        """Read ``host:port``, ``http://…`` or ``https://user:password@host/prefix``.

        Credentials in the URL (``user:password@``, or ``?token=`` at its end) become an Authorization header, unless
        `headers` has one. `verify` is whom to trust on https. Raises `ConnectionFailed` for what is no address.
        """
        text = url.strip()
        if "://" not in text:
            text = f"http://{text}"
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError:  # its text may quote a password
            raise ConnectionFailed(
                f"{_safe(url)!r} is not an address: the host or the port makes no sense (a password with one of"
                " / ? # @ in it must be percent-encoded). Try http://127.0.0.1:8188."
            ) from None
        _refuse_ambiguous(parts, url)
        if (
            parts.scheme not in ("http", "https")
            or not host
            or _NO_HOST.search(host)
            or not can_be_asked(host)
        ):
            raise ConnectionFailed(
                f"{_safe(url)!r} is not an address of a server: it must look like http://host:8188 or https://host/path."
            )
        name = f"[{host}]" if ":" in host else host
        netloc = f"{name}:{port}" if port is not None else name
        return cls(parts.scheme, netloc, parts.path.rstrip("/"), _with_own(headers or {}, parts), verify)

    @property
    def display(self) -> str:
        """The address for people: no credentials, no query."""
        return f"{self.scheme}://{self.netloc}{self.prefix}"

    @property
    def short(self) -> str:
        """The address without its scheme, for tight places."""
        return f"{self.netloc}{self.prefix}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine, where environment proxies make no sense."""
        host = urlsplit(self.display).hostname or ""
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    @property
    def proxy(self) -> str | None:
        """The proxy that the environment names for it, None if it is to be reached directly. May hold a password."""
        proxies = getproxies()
        proxy = proxies.get(self.scheme) or proxies.get("all")
        if not proxy or self.is_loopback or proxy_bypass(urlsplit(self.display).hostname or ""):
            return None
        return proxy if "://" in proxy else f"http://{proxy}"

    def http(self, route: str, query: Mapping[str, str] | None = None) -> str:
        """The URL of a route such as ``/api/queue``."""
        tail = f"?{urlencode(query)}" if query else ""
        return f"{self.display}{route}{tail}"

    def websocket(self, client_id: str, api: str) -> str:
        """The URL of the websocket under the route prefix `api` ("/api" or "")."""
        scheme = "wss" if self.scheme == "https" else "ws"
        return f"{scheme}://{self.netloc}{self.prefix}{api}/ws?clientId={quote(client_id)}"

    def ssl_context(self) -> ssl.SSLContext | None:
        """Whom to trust for https, None for http. Raises `ConnectionFailed` if `verify` names no certificates."""
        return make_trust(self.verify) if self.scheme == "https" else None

    def hide(self, text: str) -> str:
        """`text` without any of our secrets in it."""
        return hide(self.headers.veil.text(text), self.headers)

    @property
    def veil(self) -> Veil:
        """What this server is told in confidence: it hides that in all that the server says."""
        return self.headers.veil


def _with_own(headers: Mapping[str, str], parts: SplitResult) -> Headers:
    """`headers`, and an Authorization of what the URL itself says, if they have none."""
    made = dict(headers)
    token = parse_qs(parts.query).get("token", [""])[-1]
    if not any(name.lower() == "authorization" for name in made):
        if parts.username is not None:
            made["Authorization"] = basic(unquote(parts.username), unquote(parts.password or ""))
        elif token:
            made["Authorization"] = f"Bearer {token}"
    return Headers(make_headers(made))


def _refuse_ambiguous(parts: SplitResult, url: str) -> None:
    # In "ann:12/34@host" nobody can tell the password 12/34 from the port 12 of a host ann: do not guess, as the
    # wrong guess sends the one to the wrong host and shows the other.
    if re.search("[:@]", parts.netloc) and "@" in parts.path + parts.query + parts.fragment:
        raise ConnectionFailed(
            f"{_safe(url)!r} is not an address: the @ before it can belong to a password or to a path. In a password "
            "write / ? # @ as %2F %3F %23 %40, in a path the @ as %40. Try http://127.0.0.1:8188."
        )


def can_be_asked(host: str) -> bool:
    """Whether a name service takes it as a name: its parts neither empty nor too long."""
    try:
        return ":" in host or bool(host.encode("idna"))
    except UnicodeError:
        return False


def _safe(url: str) -> str:
    """`url` cut to a readable length, without anything before an @, and without its query."""
    return re.split("[?#]", url.rpartition("@")[2])[0][:200]
