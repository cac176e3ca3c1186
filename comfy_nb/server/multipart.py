"""multipart/form-data, as browsers and HTTP libraries send files (RFC 7578)."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message

__all__ = ["Part", "parse_multipart"]

MAX_HEAD = 16 * 1024
"""The longest header of a part, in bytes: the time to read one grows with its square."""


@dataclass(frozen=True)
class Part:
    """One field; `filename` is None if it is no file."""

    data: bytes
    filename: str | None


def parse_multipart(content_type: str, body: bytes) -> dict[str, Part]:
    """The fields by name. What is not multipart/form-data has none; parts without a name are left out.

    So are parts whose header is longer than 16 KB.
    """
    boundary = _parameter(content_type, "boundary", "content-type")
    if not content_type.lower().startswith("multipart/form-data") or not boundary:
        return {}
    fields: dict[str, Part] = {}
    # The body begins with the boundary; prefixed so that every boundary follows a line end.
    for chunk in (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:]:
        head, separator, data = chunk.partition(b"\r\n\r\n")
        if not separator or len(head) > MAX_HEAD:
            continue
        disposition = _disposition(head.decode("utf-8", "replace"))
        if name := _parameter(disposition, "name", "content-disposition"):
            fields[name] = Part(data, _parameter(disposition, "filename", "content-disposition"))
    return fields


def _disposition(head: str) -> str:
    for line in head.splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            return value.strip()
    return ""


def _parameter(value: str, name: str, header: str) -> str | None:
    """A parameter of a header's value, in either of the forms that file names come in (RFC 2231, plain)."""
    message = Message()
    message[header] = value
    found = message.get_param(name, header=header)
    if isinstance(found, tuple):
        charset, _, text = found
        return text.encode("latin-1", "replace").decode(charset or "utf-8", "replace")
    return found
