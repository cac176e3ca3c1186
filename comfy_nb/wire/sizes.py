"""How wide and high a preview is, read from its first bytes: nobody decodes it here, and pages must not have to."""

from __future__ import annotations

__all__ = ["MAX_BYTES", "MAX_PIXELS", "refusal", "size_of"]

MAX_BYTES = 8 << 20  # of a preview
MAX_PIXELS = 4096 * 4096  # of a preview: browsers hold four bytes for each, and decode it for every step
MAX_SEGMENTS = 1_000  # of a JPEG, before its size is told

_NO_SIZE = {0xC4, 0xC8, 0xCC}  # among the markers C0 to CF, which else begin a frame
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length


def refusal(image: bytes) -> str:
    """Why a preview is not shown, such as "of 30 MB"; empty if nothing is wrong with it."""
    if len(image) > MAX_BYTES:
        return f"of {len(image) / (1 << 20):,.0f} MB, where {MAX_BYTES >> 20} are allowed"
    size = size_of(image)
    if size is None:
        return "that hides its size"
    width, height = size
    if width * height > MAX_PIXELS or max(size) > 65_535:
        return f"of {width:,} x {height:,} pixels, where {MAX_PIXELS:,} pixels are allowed"
    return ""


def size_of(image: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG, PNG, WebP or GIF; (0, 0) if it is cut off before, None if they are hidden."""
    if image.startswith(b"\x89PNG"):
        return _big(image, 16, 4), _big(image, 20, 4)
    if image.startswith(b"GIF8"):
        return _little(image, 6, 2), _little(image, 8, 2)
    if image.startswith(b"RIFF"):
        return _webp(image)
    return _jpeg(image)


def _webp(image: bytes) -> tuple[int, int]:
    match image[12:16]:
        case b"VP8X":
            return _little(image, 24, 3) + 1, _little(image, 27, 3) + 1
        case b"VP8L":
            bits = _little(image, 21, 4)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case _:
            return _little(image, 26, 2) & 0x3FFF, _little(image, 28, 2) & 0x3FFF


def _jpeg(image: bytes) -> tuple[int, int] | None:
    """By its first frame header. What stands between markers is skipped, as decoders do."""
    at = 2
    for _ in range(MAX_SEGMENTS):
        at = image.find(b"\xff", at)
        if at < 0 or at + 1 >= len(image):
            return 0, 0
        marker = image[at + 1]
        if marker in (0x00, 0xFF) or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_SIZE:
            return _big(image, at + 7, 2), _big(image, at + 5, 2)
        else:
            at += 2 + max(_big(image, at + 2, 2), 2)
    return None


def _big(image: bytes, at: int, count: int) -> int:
    return int.from_bytes(image[at : at + count], "big")


def _little(image: bytes, at: int, count: int) -> int:
    return int.from_bytes(image[at : at + count], "little")
