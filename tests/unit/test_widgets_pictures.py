"""What of an output goes to the page."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass

import pytest
from PIL import Image

from comfy_nb.errors import OutputError
from comfy_nb.widgets import pictures


@dataclass
class Made:
    """An output by hand."""

    bytes_: bytes = b""
    kind: str = "image"
    name: str = "ComfyUI_00001_.png"
    media_type: str = "image/png"
    text: str | None = None
    index: int = 3
    node_id: str = "9"
    label: str = "Save Image"
    saved: bool = True
    missing: bool = False

    @property
    def data(self) -> bytes:
        if self.missing:
            raise OutputError("'x.png' of 'Save Image' is not here: the server answered 404")
        return self.bytes_


def encoded(size: tuple[int, int], form: str = "PNG", mode: str = "RGB", *, noisy: bool = False) -> bytes:
    picture = Image.new(mode, size, 120)
    if noisy:
        noise = random.Random(1).randbytes(size[0] * size[1] * len(picture.getbands()))
        picture = Image.frombytes(mode, size, noise)
    out = io.BytesIO()
    picture.save(out, form)
    return out.getvalue()


@pytest.mark.parametrize(
    ("form", "media_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")]
)
def test_small_pictures_go_as_they_are(form, media_type):
    data = encoded((64, 48), form)
    content, buffers = pictures.message_of(Made(data))
    assert buffers == [data]
    assert (content["width"], content["height"], content["reduced"]) == (64, 48, False)
    assert (content["media_type"], content["size"], content["i"]) == (media_type, len(data), 3)


def test_a_heavy_picture_becomes_a_smaller_webp_and_says_so():
    data = encoded((2000, 1000), noisy=True)
    assert len(data) > pictures.MAX_BYTES
    content, [shown] = pictures.message_of(Made(data))
    assert Image.open(io.BytesIO(shown)).size == (1536, 768)
    assert (content["width"], content["height"], content["reduced"]) == (2000, 1000, True)
    assert (content["media_type"], content["size"]) == ("image/webp", len(data))


def test_a_format_that_browsers_do_not_show_is_converted_in_full():
    content, [shown] = pictures.message_of(Made(encoded((40, 30), "TIFF"), media_type="image/tiff"))
    assert Image.open(io.BytesIO(shown)).size == (40, 30)
    assert (content["media_type"], content["reduced"]) == ("image/webp", False)


def test_transparency_survives():
    data = encoded((2000, 1000), mode="RGBA", noisy=True)
    _, [shown] = pictures.message_of(Made(data))
    assert Image.open(io.BytesIO(shown)).mode == "RGBA"


def test_what_is_no_picture_is_shown_as_a_file():
    content, buffers = pictures.message_of(
        Made(b"<svg onload=alert(1)>", name="x.svg", media_type="image/svg+xml")
    )
    assert (buffers, content["size"]) == ([], 21)


@pytest.mark.filterwarnings("default")  # as in a kernel: a warning alone stops nothing
def test_a_bomb_is_not_decoded(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for size in ((40, 40), (400, 400)):  # a warning, and an error
        content, buffers = pictures.message_of(Made(encoded(size)))
        assert buffers == []
        assert content["kind"] == "image"
        assert pictures.poster(Made(encoded(size))) == b""


def test_texts_are_text_and_bounded():
    content, buffers = pictures.message_of(Made(kind="text", text="<b>bold</b>", name=""))
    assert (content["text"], buffers) == ("<b>bold</b>", [])
    content, _ = pictures.message_of(Made(kind="text", text="x" * 250_000, name=""))
    assert content["text"].endswith("… and 150,000 characters more: see job.outputs")
    assert content["size"] == 250_000


def test_other_files_go_by_name_and_size_only():
    content, buffers = pictures.message_of(
        Made(b"12345", kind="3d", name="a.glb", media_type="model/gltf-binary")
    )
    assert (content["kind"], content["name"], content["size"], buffers) == ("file", "a.glb", 5, [])


def test_bytes_that_could_not_be_had_are_a_file_with_a_problem():
    content, buffers = pictures.message_of(Made(missing=True))
    assert (content["kind"], buffers) == ("file", [])
    assert "404" in content["problem"]
    assert pictures.poster(Made(missing=True)) == b""


def test_the_poster_is_small():
    poster = pictures.poster(Made(encoded((1000, 500), noisy=True)))
    assert Image.open(io.BytesIO(poster)).size == (384, 192)
    assert len(poster) < 60_000
