"""The workflow inside a picture, video, sound or model, where ComfyUI and its savers write it.

A container is walked from chunk to chunk, and only the texts are read: no picture is ever decoded, so one that
is a bomb costs nothing. What is found are the texts by name, of which "prompt" (API format) and "workflow"
(UI format) matter.
"""

from __future__ import annotations

import json
import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO, cast

from comfy_nb.errors import NotAWorkflow
from comfy_nb.workflow.names import opening
from comfy_nb.workflow.packed import is_svg, no_workflow_in, read_avif, read_svg
from comfy_nb.workflow.values import is_mapping

__all__ = ["read_exif", "read_texts"]

WANTED = ("prompt", "workflow")
MAX_TEXT = 64 * 1024 * 1024
"""The longest text that is read, in bytes, also after decompression."""

MAX_CHUNKS = 100_000
"""The most chunks of one file that are looked at."""

_MEDIA = {
    "MP4 or QuickTime video": (4, b"ftyp"),
    "WebM or Matroska video": (0, b"\x1a\x45\xdf\xa3"),
    "FLAC sound": (0, b"fLaC"),
    "Ogg sound": (0, b"OggS"),
    "MP3 sound": (0, b"ID3"),
}
_DEMUXERS = {
    "MP4 or QuickTime video": "mp4",
    "WebM or Matroska video": "matroska",
    "FLAC sound": "flac",
    "Ogg sound": "ogg",
    "MP3 sound": "mp3",
}
_MAKER, _MODEL, _EXIF_IFD, _COMMENT = 0x010F, 0x0110, 0x8769, 0x9286


def read_texts(file: BinaryIO, what: str) -> dict[str, str] | None:
    """The wanted texts of a file that can seek; None if it is of no kind known here, such as JSON.

    Raises `NotAWorkflow` for a file that is cut off or damaged, and for a video or sound when PyAV is missing.
    """
    start = file.read(1000)
    head = start[:16]
    file.seek(0)
    try:
        if head.startswith(b"\x89PNG\r\n\x1a\n"):
            return _wanted(_png(file))
        if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
            return _wanted(_webp(file))
        if head.startswith(b"\xff\xd8\xff"):
            return _wanted(_jpeg(file))
        if head.startswith(b"glTF"):
            return _wanted(_glb(file))
        if 2 < int.from_bytes(head[:8], "little") < MAX_TEXT and head[8:9] == b"{":
            return _wanted(_safetensors(file))
        if is_svg(start):
            return _wanted(read_svg(file, what))
        if head[4:12] in (b"ftypavif", b"ftypavis", b"ftypheic", b"ftypmif1"):
            exif = read_avif(file, what)
            return {} if exif is None else _wanted(read_exif(exif))
        if (error := no_workflow_in(head, what)) is not None:
            raise error
        for kind, (at, magic) in _MEDIA.items():
            if head[at:].startswith(magic) or (
                kind.startswith("MP3") and head[:2] in (b"\xff\xfb", b"\xff\xf3")
            ):
                return _wanted(_media(file, kind, what))
    except (struct.error, zlib.error, ValueError, RecursionError) as error:
        if isinstance(error, NotAWorkflow):
            raise
        raise NotAWorkflow(
            f"{opening(what)} is damaged or cut off, so no workflow can be read from it."
        ) from None
    return None


def _wanted(pairs: Iterator[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, text in pairs:
        if name in WANTED:
            found.setdefault(name, text)
            if len(found) == len(WANTED):
                break
    return found


# -- PNG, and animated PNG ---------------------------------------------------------------------------------------


def _png(file: BinaryIO) -> Iterator[tuple[str, str]]:
    file.seek(8)
    for _ in range(MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return
        size, kind = struct.unpack(">I4s", head)
        if kind in (b"tEXt", b"zTXt", b"iTXt", b"comf", b"eXIf"):
            data = _take(file, size)
            file.seek(4, os.SEEK_CUR)  # its checksum
            yield from read_exif(data) if kind == b"eXIf" else _png_text(kind, data)
        elif kind == b"IEND":
            return
        else:
            file.seek(size + 4, os.SEEK_CUR)


def _png_text(kind: bytes, data: bytes) -> Iterator[tuple[str, str]]:
    name, _, rest = data.partition(b"\0")
    if name.decode("latin-1") not in WANTED:
        return
    if kind == b"zTXt":
        rest = _inflate(rest[1:])
    elif kind == b"iTXt":
        packed, rest = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
        rest = _inflate(rest) if packed else rest
    yield name.decode("latin-1"), _decode(rest)


def _inflate(data: bytes) -> bytes:
    packer = zlib.decompressobj()
    text = packer.decompress(data, MAX_TEXT)
    if packer.unconsumed_tail:
        raise NotAWorkflow(f"A text in the picture unpacks to more than {MAX_TEXT // 1024**2} MB.")
    return text


def _take(file: BinaryIO, size: int) -> bytes:
    """The next `size` bytes, all of them."""
    if size > MAX_TEXT:
        raise NotAWorkflow(
            f"A text in the file is longer than {MAX_TEXT // 1024**2} MB, too long for a workflow."
        )
    data = file.read(size)
    if len(data) < size:
        raise ValueError("cut off")
    return data


def _decode(data: bytes) -> str:
    """Text in UTF-8, or in the Latin-1 that older PNG writers use."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


# -- EXIF: WebP, JPEG --------------------------------------------------------------------------------------------


def _webp(file: BinaryIO) -> Iterator[tuple[str, str]]:
    file.seek(12)
    for _ in range(MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return
        kind, size = struct.unpack("<4sI", head)
        if kind == b"EXIF":
            yield from read_exif(_take(file, size))
            return
        file.seek(size + size % 2, os.SEEK_CUR)


def _jpeg(file: BinaryIO) -> Iterator[tuple[str, str]]:
    file.seek(2)
    for _ in range(MAX_CHUNKS):
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] == 0xDA:  # 0xDA: the picture itself begins
            return
        size = struct.unpack(">H", head[2:])[0] - 2
        if head[1] == 0xE1:
            data = _take(file, size)
            if data.startswith(b"Exif\0\0"):
                yield from read_exif(data)
        else:
            file.seek(max(size, 0), os.SEEK_CUR)


def read_exif(data: bytes) -> Iterator[tuple[str, str]]:
    """The texts in EXIF data: tags such as `prompt:{…}`, and a user comment that is JSON."""
    from PIL import Image  # noqa: PLC0415 - Pillow takes long to load, and few workflows come in EXIF

    exif = Image.Exif()
    try:
        exif.load(data)
        tags: list[object] = [exif.get(tag) for tag in range(_MODEL, _MODEL - 0x20, -1)]
        comment: object = exif.get_ifd(_EXIF_IFD).get(_COMMENT, exif.get(_COMMENT))
    except Exception as error:  # Pillow raises whatever the damage leads to
        raise ValueError("damaged EXIF") from error
    for value in tags:
        text = _decode(value) if isinstance(value, bytes) else value
        if isinstance(text, str) and (named := re.match(r"\s*(\w{1,40})\s*:(?=\s*[{\[\"])", text)):
            yield named.group(1).lower(), text[named.end() :].rstrip("\0")
    yield from _comment(comment)


def _comment(value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, bytes):
        code, body = value[:8], value[8:]
        if code == b"UNICODE\0":
            text = body.decode("utf-16-le" if body[1:2] == b"\0" else "utf-16-be", errors="replace")
        else:
            text = _decode(body if code in (b"ASCII\0\0\0", b"\0" * 8) else value)
    else:
        text = value if isinstance(value, str) else ""
    text = text.strip("\0 \r\n\t")
    if text.startswith("{"):
        yield from _named(_json(text))


# -- models and 3D -----------------------------------------------------------------------------------------------


def _glb(file: BinaryIO) -> Iterator[tuple[str, str]]:
    file.seek(12)
    size, kind = struct.unpack("<I4s", _take(file, 8))
    if kind == b"JSON":
        document = _json(_take(file, size).decode())
        asset = document.get("asset") if is_mapping(document) else None
        yield from _named(asset.get("extras") if is_mapping(asset) else None)


def _safetensors(file: BinaryIO) -> Iterator[tuple[str, str]]:
    size = int.from_bytes(_take(file, 8), "little")
    document = _json(_take(file, size).decode())
    yield from _named(document.get("__metadata__") if is_mapping(document) else None)


def _json(text: str) -> object:
    return json.loads(text)


def _named(data: object) -> Iterator[tuple[str, str]]:
    """The wanted entries of an object, as text whether they are JSON in a text or plain JSON."""
    for name, value in data.items() if is_mapping(data) else ():
        if isinstance(name, str):
            yield name.lower(), value if isinstance(value, str) else json.dumps(value)


# -- video and sound ---------------------------------------------------------------------------------------------


def _media(file: BinaryIO, kind: str, what: str) -> Iterator[tuple[str, str]]:
    try:
        import av  # noqa: PLC0415 - the extra "media" loads when it is wanted
        import av.error  # noqa: PLC0415
    except ImportError:
        raise NotAWorkflow(
            f"{opening(what)} is a {kind}, and reading its tags takes PyAV: pip install 'comfy-nb[media]'."
        ) from None
    try:
        # By name: left to itself, FFmpeg guesses from what follows, and a description of a session opens sockets.
        with av.open(file, format=_DEMUXERS[kind], metadata_errors="replace") as container:
            tags = [container.metadata, *(stream.metadata for stream in container.streams)]
            pairs = [pair for found in tags for pair in cast("Mapping[str, str]", found).items()]
    except (av.error.FFmpegError, OSError):
        raise ValueError("damaged") from None
    for name, text in pairs:
        yield name.lower(), text
        if name.lower() == "comment" and text.lstrip().startswith("{"):
            yield from _named(_json(text))
