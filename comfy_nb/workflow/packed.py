"""Workflows in files that only carry others: SVG, AVIF, gzip and zip, and kinds of files that carry none."""

from __future__ import annotations

import gzip
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from html import unescape
from typing import BinaryIO

from comfy_nb.errors import NotAWorkflow
from comfy_nb.workflow.names import listing, opening
from comfy_nb.workflow.values import is_mapping

__all__ = ["is_svg", "no_workflow_in", "read_avif", "read_svg", "unpacked", "unzipped"]

MAX_BYTES = 64 * 1024 * 1024
MAX_MEMBERS = 1000
"""Files of an archive that are looked at."""

_KINDS = (
    (0, b"GIF8", "a GIF picture"),
    (0, b"BM", "a BMP picture"),
    (0, b"II*\0", "a TIFF picture"),
    (0, b"MM\0*", "a TIFF picture"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x80\x02", "a pickle, such as an old model file"),
    (0, b"7z\xbc\xaf", "a 7z archive"),
    (0, b"Rar!", "a RAR archive"),
    (8, b"AVI ", "an AVI video"),
    (8, b"WAVE", "a WAVE sound"),
)


def no_workflow_in(head: bytes, what: str) -> NotAWorkflow | None:
    """The error for a file of a kind that never carries a workflow."""
    found = next((kind for at, magic, kind in _KINDS if head[at:].startswith(magic)), None)
    return NotAWorkflow(f"{opening(what)} is {found}, in which ComfyUI saves no workflow.") if found else None


def unpacked(file: BinaryIO, what: str) -> bytes:
    """What a gzip file holds. Raises `NotAWorkflow`."""
    try:
        with gzip.open(file) as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        raise NotAWorkflow(
            f"{opening(what)} is a damaged gzip file, so no workflow can be read from it."
        ) from None
    if len(data) > MAX_BYTES:
        raise NotAWorkflow(f"{opening(what)} unpacks to more than {MAX_BYTES // 1024**2} MB.")
    return data


def unzipped(file: BinaryIO, what: str) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the files in an archive that may hold a workflow, JSON first. Raises `NotAWorkflow`."""
    try:
        with zipfile.ZipFile(file) as archive:
            found = [
                item for item in archive.infolist() if not item.is_dir() and "__MACOSX" not in item.filename
            ]
            if len(found) > MAX_MEMBERS:
                raise NotAWorkflow(
                    f"{opening(what)} is a zip archive of {len(found):,} files, too many for a workflow."
                )
            wanted = [item for item in found if _SUFFIX.search(item.filename.lower())]
            if not wanted:
                names = listing(item.filename for item in found) or "nothing"
                raise NotAWorkflow(f"{opening(what)} is a zip archive without a workflow: it holds {names}.")
            left = MAX_BYTES
            for item in sorted(wanted, key=lambda item: not item.filename.lower().endswith(".json")):
                with archive.open(item) as stream:
                    data = stream.read(left + 1)
                left -= len(data)
                if left < 0:
                    raise NotAWorkflow(f"{opening(what)} unpacks to more than {MAX_BYTES // 1024**2} MB.")
                yield item.filename, data
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, RuntimeError, NotImplementedError):
        raise NotAWorkflow(
            f"{opening(what)} is a damaged or locked zip archive, so nothing can be read from it."
        ) from None


_SUFFIX = re.compile(r"\.(json|png|webp|jpe?g|svg|avif|glb|latent|flac|mp4|webm|mp3|gz)$")


def is_svg(head: bytes) -> bool:
    """Whether a file begins as an SVG picture does."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!")) and b"<svg" in head)


_METADATA = re.compile(r"<metadata[^>]*>(.*?)</metadata>", re.DOTALL)


def read_svg(file: BinaryIO, what: str) -> Iterator[tuple[str, str]]:
    """The texts in the metadata of an SVG picture: JSON, as it is or in CDATA."""
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise NotAWorkflow(
            f"{opening(what)} is larger than {MAX_BYTES // 1024**2} MB, too large for a workflow."
        )
    text = data.decode("utf-8", errors="replace")
    start = text.find("<metadata")
    found = _METADATA.match(text, start) if start >= 0 and "</metadata>" in text else None
    body = found.group(1).strip() if found else ""
    body = (
        body.removeprefix("<![CDATA[").removesuffix("]]>") if body.startswith("<![CDATA[") else unescape(body)
    )
    if not body.strip().startswith("{"):
        return
    document = json.loads(body)
    for name, value in document.items() if is_mapping(document) else ():
        if isinstance(name, str):
            yield name.lower(), value if isinstance(value, str) else json.dumps(value)


def read_avif(file: BinaryIO, what: str) -> bytes | None:
    """The EXIF data of an AVIF picture, from its TIFF header on; None if there is none."""
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise NotAWorkflow(f"{opening(what)} is larger than {MAX_BYTES // 1024**2} MB, too large to look at.")
    # The box "Exif" points into the media data; there the header stands, and nothing else begins like it.
    for header in (b"Exif\0\0MM\0*", b"Exif\0\0II*\0", b"MM\0*\0\0\0\x08", b"II*\0\x08\0\0\0"):
        at = data.find(header)
        if at >= 0:
            return data[at:] if header.startswith(b"Exif") else b"Exif\0\0" + data[at:]
    return None
