"""Pictures and files given as values: encoded once, named by their content, and uploaded when a job starts.

A name made of the content means that the same picture is never stored twice, and that a server never takes
one for another from its cache.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any, NamedTuple, cast

from comfy_nb.errors import WorkflowError
from comfy_nb.workflow.names import clip

__all__ = ["Upload", "as_upload"]

MAX_BYTES = 100 * 1024 * 1024
"""The largest file that is uploaded, in bytes: ComfyUI's own limit for a request, unless it was raised."""

_SUFFIXES = {
    b"\x89PNG": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"RIFF": ".webp",
    b"GIF8": ".gif",
    b"fLaC": ".flac",
    b"ID3": ".mp3",
    b"OggS": ".ogg",
    b"glTF": ".glb",
    b"\x1a\x45\xdf\xa3": ".webm",
}


class Upload(NamedTuple):
    """A file for the server's input folder."""

    name: str
    data: bytes


def as_upload(value: object, where: str) -> Upload | None:
    """What a value is as a file: a PIL image, a NumPy array, bytes, a path, or an output of a job; None if it is none.

    Arrays are HxW, HxWx3 or HxWx4: uint8, or bool or floats from 0 to 1. A text is no path here: it names a file
    that the server has. Raises `WorkflowError`, starting with `where`.
    """
    if isinstance(value, bytes | bytearray):
        return _named(bytes(value), _suffix(bytes(value[:12])), where)
    if hasattr(value, "media_type") and isinstance(
        name := getattr(value, "name", None), str
    ):  # an output of a job
        data: bytes = cast("Any", value).data
        return _named(data, Path(name).suffix.lower() or _suffix(data[:12]), where)
    if isinstance(value, os.PathLike):
        return _from_path(Path(cast("os.PathLike[str]", value)), where)
    if callable(getattr(value, "save", None)) and hasattr(value, "getexif"):
        return _from_image(value, where)
    if hasattr(value, "__array_interface__") and getattr(value, "shape", ()) != ():
        return _from_array(value, where)
    return None


def _from_path(path: Path, where: str) -> Upload:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise WorkflowError(
            f"{where} cannot be read from {clip(str(path), 300)}: {error.strerror}."
        ) from None
    return _named(data, path.suffix.lower() or _suffix(data[:12]), where)


def _from_image(image: Any, where: str) -> Upload:
    out = io.BytesIO()
    mode = {"1": "L", "P": "RGBA", "CMYK": "RGB", "F": "L", "YCbCr": "RGB", "HSV": "RGB"}.get(image.mode)
    try:
        (image.convert(mode) if mode else image).save(out, "PNG", compress_level=1)
    except (OSError, ValueError) as error:
        raise WorkflowError(f"{where} cannot hold this picture: {str(error).rstrip('.')}.") from None
    return _named(out.getvalue(), ".png", where)


def _from_array(array: Any, where: str) -> Upload:
    from PIL import Image  # noqa: PLC0415 - Pillow takes long to load

    shape = tuple(array.shape)
    if len(shape) not in (2, 3) or 0 in shape or (len(shape) == 3 and shape[2] not in (1, 3, 4)):
        raise WorkflowError(
            f"{where} cannot hold an array of shape {shape}: a picture is HxW, HxWx3 or HxWx4; for a batch of "
            "pictures use one node each."
        )
    kind = array.dtype.kind
    if kind == "f":
        if not bool((array >= 0).all() and (array <= 1).all()):
            raise WorkflowError(
                f"{where} cannot hold floats outside 0 to 1, or NaN: pixels are 0 to 1 or uint8."
            )
        array = (array * 255).round().astype("uint8")
    elif kind == "b":
        array = array.astype("uint8") * 255
    elif str(array.dtype) != "uint8":
        raise WorkflowError(
            f"{where} cannot hold pixels of type {array.dtype}: they are uint8, bool or floats."
        )
    return _from_image(Image.fromarray(array[:, :, 0] if shape[2:] == (1,) else array), where)


def _named(data: bytes, suffix: str, where: str) -> Upload:
    if not data:
        raise WorkflowError(f"{where} cannot hold an empty file.")
    if len(data) > MAX_BYTES:
        raise WorkflowError(f"{where} cannot hold a file of more than {MAX_BYTES // 1024**2} MB.")
    safe = suffix if suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= 12 else ".bin"
    return Upload(f"nb_{hashlib.sha256(data).hexdigest()[:20]}{safe}", data)


def _suffix(head: bytes) -> str:
    if head[4:8] == b"ftyp":
        return ".mp4"
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return ".wav"
    return next((suffix for magic, suffix in _SUFFIXES.items() if head.startswith(magic)), ".bin")
