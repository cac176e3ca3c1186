"""From a job's outputs to what a page shows: the bytes as they are when they are small, else a smaller picture.

Slow (files, decoding, encoding): for the workers.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image

from comfy_nb.errors import OutputError
from comfy_nb.pictures import UNREADABLE, open_picture, smaller, turn
from comfy_nb.widgets.source import ShownOutput

__all__ = ["message_of", "poster", "thumbnail"]

SHOWN_FORMATS = {"PNG", "JPEG", "WEBP", "GIF"}  # what every browser shows
MAX_BYTES = 1_500_000  # of a file that goes to the page as it is
MAX_PIXELS = 40_000_000  # of a picture that goes to the page as it is: browsers hold four bytes for each
MAX_SIDE = 1536  # of a smaller copy, in pixels
POSTER_SIDE = 384  # pixels
JPEG_SIDES = (1024, 768, 512, 384, 256, 128, 64)  # pixels
MAX_TEXT = 100_000  # characters of a text that is shown
KINDS = {"image", "text", "video", "audio"}
SIDEWAYS = {
    Image.Transpose.TRANSPOSE,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture for the page. `width` and `height` are the file's own; `reduced` says that `data` is a smaller copy."""

    data: bytes
    media_type: str
    width: int
    height: int
    reduced: bool


def message_of(output: ShownOutput) -> tuple[dict[str, Any], list[bytes]]:
    """The message that shows `output`, and its buffers. What cannot be read is shown as a file with its problem."""
    content: dict[str, Any] = {
        "k": "output",
        "i": output.index,
        "node": output.node_id,
        "label": output.label,
        "kind": output.kind if output.kind in KINDS else "file",
        "name": output.name,
        "media_type": output.media_type,
        "saved": output.saved,
    }
    try:
        if output.kind == "text":
            text = output.text or ""
            return content | {"text": _clipped(text), "size": len(text)}, []
        data = output.data
    except OutputError as error:
        return content | {"kind": "file", "problem": str(error)}, []
    content["size"] = len(data)
    shown = _shown(data) if output.kind == "image" else None
    if shown is None:
        return content, []
    sizes = {"width": shown.width, "height": shown.height, "reduced": shown.reduced}
    return content | sizes | {"media_type": shown.media_type}, [shown.data]


def poster(output: ShownOutput) -> bytes:
    """A thumbnail of an image in WebP, up to 384 pixels wide and high; empty if it cannot be read."""
    try:
        picture = open_picture(output.data)
        return _webp(picture, POSTER_SIDE)
    except (OutputError, *UNREADABLE):
        return b""


def thumbnail(data: bytes, side: int, limit: int) -> bytes:
    """A thumbnail in WebP, up to `side` pixels wide and high and `limit` bytes long; empty if it cannot be read."""
    try:
        picture = open_picture(data)
        for share, quality in ((1, 82), (1, 60), (0.75, 50), (0.5, 40)):
            made = _webp(picture, int(side * share), quality)
            if len(made) <= limit:
                return made
    except UNREADABLE:
        return b""
    return b""


def jpeg(data: bytes, limit: int) -> bytes:
    """A picture as JPEG of at most `limit` bytes, as large as that allows; empty if it cannot be done."""
    try:
        picture = open_picture(data)
        picture = _on_white(smaller(picture, JPEG_SIDES[0], _mode(picture)))
        for side in JPEG_SIDES:
            picture.thumbnail((side, side), Image.Resampling.LANCZOS)
            out = io.BytesIO()
            picture.save(out, "JPEG", quality=85, optimize=True)
            if out.tell() <= limit:
                return out.getvalue()
    except UNREADABLE:
        return b""
    return b""


def _mode(picture: Image.Image) -> str:
    return "RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB"


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    paper = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(paper, picture).convert("RGB")


def _clipped(text: str) -> str:
    rest = len(text) - MAX_TEXT
    return text if rest <= 0 else f"{text[:MAX_TEXT]}\n… and {rest:,} characters more: see job.outputs"


def _shown(data: bytes) -> Shown | None:
    try:
        picture = open_picture(data)
        turned = turn(picture)
        width, height = picture.size if turned not in SIDEWAYS else picture.size[::-1]
        small = len(data) <= MAX_BYTES and width * height <= MAX_PIXELS
        # All browsers set a JPEG upright by themselves; what they do with other formats differs.
        if small and picture.format in SHOWN_FORMATS and (turned is None or picture.format == "JPEG"):
            return Shown(data, Image.MIME[picture.format], width, height, reduced=False)
        return Shown(_webp(picture, MAX_SIDE), "image/webp", width, height, max(width, height) > MAX_SIDE)
    except UNREADABLE:
        return None


def _webp(picture: Image.Image, side: int, quality: int = 85) -> bytes:
    out = io.BytesIO()
    smaller(picture, side, _mode(picture)).save(out, "WEBP", quality=quality, method=2)
    return out.getvalue()
