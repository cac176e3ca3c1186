"""Layout of binary frames: big-endian 32-bit numbers, counted texts, and a picture that ends the frame."""

from __future__ import annotations

from comfy_nb.wire.fields import MAX_ID, Json, Malformed, loads, mapping

__all__ = ["counted_id", "media_type_of", "metadata", "pack_counted", "pack_u32", "picture", "u32"]

MAX_METADATA = 1 << 20  # bytes of JSON in front of a preview picture


def u32(raw: bytes, at: int) -> int:
    """The number in the four bytes from `at`."""
    return int.from_bytes(raw[at : at + 4], "big")


def pack_u32(value: int) -> bytes:
    """The four bytes of a number."""
    return value.to_bytes(4, "big")


def pack_counted(value: str) -> bytes:
    """The text in UTF-8 with its length in bytes in front."""
    encoded = value.encode()
    return pack_u32(len(encoded)) + encoded


def counted_id(raw: bytes, at: int) -> tuple[str, int]:
    """The id that stands at `at` with its length in front, and where it ends. Raises Malformed."""
    start = at + 4
    end = start + u32(raw, at)
    if start > len(raw) or end > len(raw) or end - start > MAX_ID:
        raise Malformed("an id is truncated or too long")
    try:
        return raw[start:end].decode(), end
    except UnicodeDecodeError:
        raise Malformed("an id is not UTF-8") from None


def metadata(raw: bytes, at: int) -> tuple[dict[str, Json], int]:
    """The JSON object that stands at `at` with its length in front, and where it ends. Raises Malformed."""
    start = at + 4
    end = start + u32(raw, at)
    if end > len(raw) or end - start > MAX_METADATA:
        raise Malformed("the metadata is truncated or too long")
    try:
        return mapping(loads(raw[start:end])), end
    except ValueError as error:
        raise Malformed(f"the metadata is unreadable: {error}") from None


def picture(raw: bytes, at: int) -> tuple[str, bytes]:
    """The media type and the bytes of the picture that begins at `at`. Raises Malformed if there is none."""
    media_type = media_type_of(raw, at)
    if media_type is None:
        raise Malformed("the payload is no JPEG, PNG, WebP or GIF")
    return media_type, raw[at:]


def media_type_of(raw: bytes, at: int = 0) -> str | None:
    """The media type of the picture that begins at `at`, judged by its first bytes; None if it is none.

    The format that a frame announces is not used: custom nodes send payloads of their own under it.
    """
    head = raw[at : at + 12]
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"RIFF") and head.endswith(b"WEBP"):
        return "image/webp"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return None
