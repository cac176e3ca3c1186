"""Workflows out of the files that ComfyUI and its savers write."""

from __future__ import annotations

import io
import json
import struct
import sys
import wave
import zlib
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from comfy_nb.errors import NotAWorkflow
from comfy_nb.workflow import Workflow
from tests.unit.conversion import read

API = {"3": {"class_type": "KSampler", "inputs": {"seed": 7}, "_meta": {"title": "Sampler"}}}
UI = {
    "nodes": [{"id": 3, "type": "KSampler", "widgets_values": [7], "title": "é"}],
    "links": [],
    "version": 0.4,
}
PROMPT, GRAPH = json.dumps(API), json.dumps(UI)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 4))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + b"".join(chunks) + chunk(b"IEND", b"")


def pillow_png(compressed: bool = False) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", PROMPT, zip=compressed)
    info.add_text("workflow", GRAPH, zip=compressed)
    out = io.BytesIO()
    Image.new("RGB", (2, 2)).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def exif() -> Image.Exif:
    tags = Image.Exif()
    tags[0x0110] = f"prompt:{PROMPT}"
    tags[0x010F] = f"workflow:{GRAPH}"
    return tags


def picture(kind: str, **options) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (2, 2)).save(out, kind, **options)
    return out.getvalue()


def comment(text: str, code: bytes, encoding: str) -> Image.Exif:
    tags = Image.Exif()
    tags.get_ifd(0x8769)[0x9286] = code + text.encode(encoding)
    return tags


def glb() -> bytes:
    document = json.dumps(
        {"asset": {"version": "2.0", "extras": {"prompt": PROMPT, "workflow": UI}}}
    ).encode()
    document += b" " * (-len(document) % 4)
    body = struct.pack("<I4s", len(document), b"JSON") + document
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


def latent() -> bytes:
    header = json.dumps({"__metadata__": {"prompt": PROMPT, "workflow": GRAPH}}).encode()
    return struct.pack("<Q", len(header)) + header


def media(kind: str, codec: str) -> bytes:
    av = pytest.importorskip("av", reason="the extra media is not installed")
    out = io.BytesIO()
    options = {"movflags": "use_metadata_tags"} if kind in ("mp4", "mov") else {}
    with av.open(out, "w", format=kind, options=options) as container:
        container.metadata["prompt"] = PROMPT
        container.metadata["workflow"] = GRAPH
        if kind in ("mp4", "webm"):
            stream = container.add_stream(codec, rate=Fraction(8))
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        else:
            stream = container.add_stream(codec, rate=44100, layout="mono")
            layout = "fltp" if codec in ("libmp3lame", "libvorbis") else "s16"
            samples = np.zeros((1, 1152), np.float32 if layout == "fltp" else np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format=layout, layout="mono")
            frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


FILES = {
    "png": pillow_png,
    "png, compressed": lambda: pillow_png(compressed=True),
    "apng": lambda: png(
        chunk(b"comf", f"prompt\0{PROMPT}".encode()), chunk(b"comf", f"workflow\0{GRAPH}".encode())
    ),
    "png, text after the picture": lambda: png(
        chunk(b"tEXt", f"prompt\0{PROMPT}".encode()), chunk(b"iTXt", f"workflow\0\0\0\0\0{GRAPH}".encode())
    ),
    "webp": lambda: picture("WEBP", exif=exif()),
    "jpeg": lambda: picture("JPEG", exif=exif()),
    "jpeg, user comment": lambda: picture(
        "JPEG", exif=comment(json.dumps({"prompt": API, "workflow": UI}), b"ASCII\0\0\0", "ascii")
    ),
    "webp, user comment": lambda: picture(
        "WEBP", exif=comment(json.dumps({"prompt": API, "workflow": UI}), b"UNICODE\0", "utf-16-le")
    ),
    "glb": glb,
    "latent": latent,
    "mp4": lambda: media("mp4", "mpeg4"),
    "webm": lambda: media("webm", "libvpx"),
    "flac": lambda: media("flac", "flac"),
    "mp3": lambda: media("mp3", "libmp3lame"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_gives_its_prompt_and_graph(kind, tmp_path):
    data = FILES[kind]()
    file = tmp_path / "a file"
    file.write_bytes(data)
    for source in (data, file):
        wf = Workflow.load(source)
        assert wf.to_api() == API
        assert wf.ui == UI


@pytest.mark.parametrize("kind", ["png", "webp", "jpeg"])
def test_a_pil_image_gives_them_too(kind):
    with Image.open(io.BytesIO(FILES[kind]())) as image:
        wf = Workflow.from_image(image)
    assert (wf.to_api(), wf.ui) == (API, UI)


def test_a_graph_alone_is_converted():
    data = png(chunk(b"tEXt", b"workflow\0" + GRAPH.encode()))
    wf = Workflow.load(data, object_info=read("object_info"))
    assert wf["é"].seed == 7
    assert wf.ui == UI


def test_a_broken_prompt_is_no_harm_beside_a_good_graph():
    data = png(chunk(b"tEXt", b"prompt\0{"), chunk(b"tEXt", b"workflow\0" + GRAPH.encode()))
    assert Workflow.load(data, object_info=read("object_info"))["é"].seed == 7


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (png(), "holds no workflow"),
        (png(chunk(b"tEXt", b"prompt\0{")), "The prompt in the data is not JSON"),
        (png(chunk(b"zTXt", b"prompt\0\0garbage")), "is damaged or cut off"),
        (b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 100, b"tEXt"), "is damaged or cut off"),
        (b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 2**32 - 1, b"tEXt"), "is longer than 64 MB"),
        (b"RIFF\0\0\0\0WEBPEXIF\xff\0\0\0", "is damaged or cut off"),
        (b"RIFF\0\0\0\0WEBPEXIF\4\0\0\0abcd", "is damaged or cut off"),
        (b"\xff\xd8\xff\xe1\xff\xff", "is damaged or cut off"),
        (b"glTF\2\0\0\0\0\0\0\0", "is damaged or cut off"),
        (struct.pack("<Q", 5) + b"{]]]]", "is damaged or cut off"),
        (b"\0\0\0\x18ftypisom" + b"\0" * 30, "is damaged or cut off"),
        (b"GIF89a", "is a GIF picture, in which"),
    ],
    ids=range(12),
)
def test_a_bad_file_is_one_sentence(data, sentence):
    with pytest.raises(NotAWorkflow) as caught:
        Workflow.load(data)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_text_that_unpacks_to_too_much_is_refused_in_bounded_memory():
    bomb = png(chunk(b"zTXt", b"prompt\0\0" + zlib.compress(b"[" * (65 * 1024**2), 9)))
    assert len(bomb) < 100_000
    with pytest.raises(NotAWorkflow, match="unpacks to more than 64 MB"):
        Workflow.load(bomb)


def test_a_picture_of_four_billion_pixels_is_not_decoded():
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 6, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"tEXt", b"prompt\0" + PROMPT.encode()) + chunk(b"IEND", b"")
    assert Workflow.load(data).to_api() == API


def test_without_pyav_the_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(NotAWorkflow, match=r"reading its tags takes PyAV: pip install 'comfy-nb\[media\]'"):
        Workflow.load(b"fLaC" + b"\0" * 40)


def test_a_wave_file_is_no_workflow():
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(b"\0\0")
    with pytest.raises(NotAWorkflow, match="a WAVE sound, in which ComfyUI saves no workflow"):
        Workflow.load(out.getvalue())
