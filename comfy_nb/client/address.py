"""Where a server is, and how to say so without telling secrets."""

from __future__ import annotations

import base64
import ipaddress
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlencode, urlsplit

from comfy_nb.errors import ConnectionFailed

__all__ = ["Address"]

_NO_HOST = re.compile(r"[\s\x00-\x1f\x7f\"'<>\\^`{|}]")


@dataclass(frozen=True, slots=True)
class Address:
    """A server's base address. `display` is safe to show; headers and credentials never are."""

    scheme: str
    netloc: str
    prefix: str  # path of a proxy in front, such as "/comfy", or ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @classmethod
    def parse(cls, url: str, headers: Mapping[str, str] | None = None) -> Address:
        """Read ``host:port``, ``http://…`` or ``https://user:password@host/prefix``.

        Credentials in the URL become an Authorization header. Raises `ConnectionFailed` for what is no address.
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
        if parts.scheme not in ("http", "https") or not host or _NO_HOST.search(host):
            raise ConnectionFailed(
                f"{_safe(url)!r} is not an address of a server: it must look like http://host:8188 or https://host/path."
            )
        name = f"[{host}]" if ":" in host else host
        secrets = dict(headers or {})
        if parts.username is not None and not any(key.lower() == "authorization" for key in secrets):
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            secrets["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        netloc = f"{name}:{port}" if port is not None else name
        return cls(parts.scheme, netloc, parts.path.rstrip("/"), secrets)

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

    def http(self, route: str, query: Mapping[str, str] | None = None) -> str:
        """The URL of a route such as ``/api/queue``."""
        tail = f"?{urlencode(query)}" if query else ""
        return f"{self.display}{route}{tail}"

    def websocket(self, client_id: str, api: str) -> str:
        """The URL of the websocket under the route prefix `api` ("/api" or "")."""
        scheme = "wss" if self.scheme == "https" else "ws"
        return f"{scheme}://{self.netloc}{self.prefix}{api}/ws?clientId={quote(client_id)}"

    def ssl_context(self) -> ssl.SSLContext | None:
        """The system's trust for https, nothing for http."""
        return ssl.create_default_context() if self.scheme == "https" else None


def _safe(url: str) -> str:
    """`url` cut to a readable length and without anything before an @."""
    return url.rpartition("@")[2][:200]
