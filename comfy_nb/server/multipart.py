"""multipart/form-data, as browsers and HTTP libraries send files (RFC 7578), taken apart by python-multipart."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

__all__ = ["Part", "parse_multipart"]

MAX_PARTS = 100
"""How many fields a form may have; ours have five."""

# RFC 7578 forbids this form, the parser passes it over, and aiohttp sends it: there the plain one is quoted twice.
_EXTENDED = re.compile(r";\s*filename\*=([\w-]*)'[^']*'([^;\s\"]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """One field; `filename` is None if it is no file."""

    data: bytes
    filename: str | None


@dataclass
class _Reader:
    """What the parser calls, and the fields that it has found."""

    fields: dict[str, Part] = field(default_factory=dict[str, Part])
    count: int = 0
    _name: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _disposition: bytes = b""
    _data: bytearray = field(default_factory=bytearray)

    def begin(self) -> None:
        self.count += 1
        if self.count > MAX_PARTS:
            raise FormParserError(f"There are more than {MAX_PARTS} parts.")
        self._disposition = b""
        self._data = bytearray()

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if bytes(self._name).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._name, self._value = bytearray(), bytearray()

    def data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def end(self) -> None:
        _, options = parse_options_header(self._disposition)
        if name := options.get(b"name"):
            part = Part(bytes(self._data), _filename(self._disposition, options.get(b"filename")))
            self.fields[name.decode("utf-8", "replace")] = part


def parse_multipart(content_type: str, body: bytes) -> dict[str, Part]:
    """The fields by name; parts without a name are left out.

    What is no multipart/form-data, or is broken, has a header of more than 4 KB or more than 100 parts, has none.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        return {}
    reader = _Reader()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": reader.begin,
                "on_header_field": reader.header_field,
                "on_header_value": reader.header_value,
                "on_header_end": reader.header_end,
                "on_part_data": reader.data,
                "on_part_end": reader.end,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError:
        return {}
    return reader.fields


def _filename(disposition: bytes, plain: bytes | None) -> str | None:
    if extended := _EXTENDED.search(disposition.decode("latin-1")):
        charset, quoted = extended.groups()
        try:
            return unquote_to_bytes(quoted).decode(charset or "utf-8", "replace")
        except LookupError:  # a charset that nobody knows
            pass
    return None if plain is None else plain.decode("utf-8", "replace")
