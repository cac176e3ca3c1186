"""Pictures as bytes that nobody vouches for: which formats are opened, and how large one may be.

Pillow knows some fifty formats. It hands some of them to other programs (EPS to Ghostscript, which runs what is in
it) and judges by the bytes alone, whatever a file calls itself. So everything that comes from outside is opened here.
"""

from __future__ import annotations

import io
import struct
from typing import Literal

from PIL import Image, ImageFile, UnidentifiedImageError

__all__ = ["FORMATS", "UNREADABLE", "check_size", "open_picture", "smaller", "turn"]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""Those that decode in this process, by code that browsers trust as well."""

MAX_DECODED = 400_000_000
"""Bytes of the largest picture that is decoded without being asked for: four for a pixel, one if it is of one byte."""

UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError)
"""What comes of opening or decoding what is damaged, too large, or no picture."""

_ORIENTATION = 0x0112
MOST_ENTRIES = 200  # of EXIF data, that are looked at
_ONE_BYTE = ("1", "L", "P")


def open_picture(data: bytes) -> ImageFile.ImageFile:
    """Like `Image.open`, for the formats above and in any thread; its pixels are not decoded yet.

    Raises `DecompressionBombError` for more than `Image.MAX_IMAGE_PIXELS`, where `Image.open` only warns (up to
    twice as many): to make an error of a warning is to change the filters of the whole process. Raises
    `UnidentifiedImageError`, an OSError, for what is of none of these formats.
    """
    for load in (Image.preinit, Image.init):  # the usual plugins, then all
        load()
        picture = _opened(data)
        if picture is not None:
            break
    else:
        raise UnidentifiedImageError(
            f"It is of none of the formats that are opened here: {', '.join(FORMATS)}."
        )
    pixels, limit = picture.width * picture.height, Image.MAX_IMAGE_PIXELS
    if limit is not None and pixels > limit:
        raise Image.DecompressionBombError(
            f"{pixels:,} pixels are too large to decode: PIL.Image.MAX_IMAGE_PIXELS, against decompression bombs, "
            f"is {limit:,}"
        )
    return picture


def _opened(data: bytes) -> ImageFile.ImageFile | None:
    for name in FORMATS:
        make, accepts = Image.OPEN.get(name, (None, None))
        try:
            accepted = accepts is None or accepts(data[:16])
            if (
                make is not None and accepted and not isinstance(accepted, str)
            ):  # a text: Pillow was built without it
                return make(io.BytesIO(data), "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # by which a plugin says "not mine"
            continue
    return None


def check_size(picture: Image.Image) -> None:
    """Raise `DecompressionBombError` for what is too large to be decoded only because somebody looks at it."""
    size = picture.width * picture.height * (1 if picture.mode in _ONE_BYTE else 4)
    if size > MAX_DECODED:
        raise Image.DecompressionBombError(
            f"{picture.width} x {picture.height} pixels take {size // 1_000_000:,} MB, and at most "
            f"{MAX_DECODED // 1_000_000} MB are decoded for a thumbnail"
        )


def smaller(picture: Image.Image, side: int, mode: str) -> Image.Image:
    """A copy of at most `side` pixels wide and high, upright, in `mode` ("RGB", "RGBA").

    It is made smaller before it is converted, so that there is one full-size copy in memory where that can be done.
    """
    check_size(picture)
    turned = turn(picture)
    picture.draft("RGB", (side, side))  # lets JPEG decode at a fraction of its size
    if picture.mode in ("1", "P", "PA"):  # colours by number do not mix
        picture = picture.convert(mode)
    gap = (
        None if picture.mode.startswith("I;16") else 2.0
    )  # of which Pillow cannot take every nth pixel first
    picture.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=gap)
    small = picture.convert(mode)
    return small if turned is None else small.transpose(turned)


def turn(picture: Image.Image) -> Image.Transpose | None:
    """What sets it upright, as its EXIF data says; None if it is. Pillow turns a TIFF itself."""
    exif = picture.info.get("exif")
    if picture.format == "TIFF" or not isinstance(exif, bytes):
        return None
    return _TURNS.get(_orientation(exif.removeprefix(b"Exif\0\0")))


def _orientation(exif: bytes) -> int:
    """The one number of EXIF data that matters here. Pillow's own reader warns of damage, which prints."""
    order: Literal["little", "big"] = "little" if exif[:2] == b"II" else "big"
    entry = int.from_bytes(exif[4:8], order) + 2
    count = int.from_bytes(exif[entry - 2 : entry], order)
    for at in range(entry, min(entry + 12 * min(count, MOST_ENTRIES), len(exif)), 12):
        if int.from_bytes(exif[at : at + 2], order) == _ORIENTATION:
            return int.from_bytes(exif[at + 8 : at + 10], order)
    return 1


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
