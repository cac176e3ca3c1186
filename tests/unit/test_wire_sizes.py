"""How large a preview is, by its first bytes, and which are refused."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from comfy_nb.wire.sizes import MAX_BYTES, MAX_PIXELS, refusal, size_of


def encoded(form: str, size: tuple[int, int] = (70, 30), mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, 90).save(out, form, **options)
    return out.getvalue()


EXIF = Image.Exif()
EXIF[0x0110] = "a model"


@pytest.mark.parametrize(
    "image",
    [
        encoded("JPEG"),
        encoded("JPEG", progressive=True, optimize=True),
        encoded("JPEG", mode="L", exif=EXIF.tobytes(), comment=b"x" * 60_000, icc_profile=bytes(200_000)),
        encoded("PNG"),
        encoded("PNG", mode="P"),
        encoded("GIF", mode="P"),
        encoded("WEBP"),
        encoded("WEBP", lossless=True),
        encoded("WEBP", mode="RGBA", exif=EXIF.tobytes()),
    ],
)
def test_the_size_is_read_from_the_first_bytes(image: bytes) -> None:
    assert size_of(image) == (70, 30)
    assert refusal(image) == ""


def jpeg(width: int, height: int, before: bytes = b"") -> bytes:
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return b"\xff\xd8" + before + b"\xff\xc0\0\x11\x08" + size + b"\3" + bytes(12) + b"\xff\xd9"


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes(9)


def webp(width: int, height: int) -> bytes:
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + sizes


@pytest.mark.parametrize("make", [jpeg, png, webp])
def test_what_is_too_large_for_a_page_is_refused_and_what_is_just_not_is_not(make) -> None:
    assert refusal(make(4096, 4096)) == ""
    assert refusal(make(4096, 4097)) == "of 4,096 x 4,097 pixels, where 16,777,216 pixels are allowed"
    assert refusal(make(30_000, 30_000)).startswith("of 30,000 x 30,000 pixels")
    assert MAX_PIXELS == 4096 * 4096


def test_what_is_too_heavy_is_refused() -> None:
    assert refusal(jpeg(64, 64) + bytes(MAX_BYTES - len(jpeg(64, 64)))) == ""
    assert refusal(jpeg(64, 64) + bytes(MAX_BYTES + 1 - len(jpeg(64, 64)))) == "of 8 MB, where 8 are allowed"
    assert refusal(jpeg(64, 64) + bytes(30 << 20)) == "of 30 MB, where 8 are allowed"


@pytest.mark.parametrize(
    "before",
    [
        b"\xff\xff\xff",
        b"junk",
        b"\xff\x01",
        b"\xff\0",
        b"\xff\xfe\0\x04\xff\xc0",
        b"\xff\xc4\0\x03\0",
        b"\xff\xe0\0\0",
    ],
)
def test_a_jpeg_cannot_hide_its_size_from_us_and_show_it_to_a_browser(before: bytes) -> None:
    assert size_of(jpeg(30_000, 20_000, before)) == (30_000, 20_000)


def test_a_jpeg_of_very_many_segments_is_refused_in_little_time() -> None:
    assert refusal(jpeg(64, 64, b"\xff\xfe\0\2" * 1_000_000)) == "that hides its size"


@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8L", b"GIF89a"]),
    st.binary(max_size=60),
)
def test_whatever_comes_has_a_size_or_none(magic: bytes, rest: bytes) -> None:
    size = size_of(magic + rest)
    assert size is None or min(size) >= 0
