"""Workflows in files that carry others: archives, SVG and AVIF, JSON in JSON; and kinds that carry none."""

from __future__ import annotations

import gzip
import io
import json
import zipfile

import pytest
from PIL import Image, features

from comfy_nb.errors import NotAWorkflow
from comfy_nb.workflow import Workflow
from tests.unit.test_workflow_metadata import chunk, png

PROMPT = {"1": {"class_type": "A", "inputs": {"a": 1}}}
TEXT = json.dumps(PROMPT)
PNG = png(chunk(b"tEXt", b"prompt\0" + TEXT.encode()))


def zipped(**files: bytes | str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return out.getvalue()


def avif() -> bytes:
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x0110] = f"prompt:{TEXT}"
    Image.new("RGB", (16, 16)).save(out, "AVIF", exif=exif)
    return out.getvalue()


def svg(data: str) -> bytes:
    return f'<?xml version="1.0"?>\n<svg xmlns="x"><metadata>{data}</metadata><path d=""/></svg>'.encode()


FILES = {
    "gzip": gzip.compress(TEXT.encode()),
    "gzip of a picture": gzip.compress(PNG),
    "zip": zipped(flow_json=TEXT, readme_txt="hello"),
    "a picture in a zip": zipped(picture_png=PNG),
    "svg": svg(f'<![CDATA[{{"prompt": {TEXT}}}]]>'),
    "svg, escaped": svg(json.dumps({"prompt": TEXT}).replace('"', "&quot;")),
    "JSON in JSON": json.dumps(TEXT).encode(),
    "JSON in the workflow": json.dumps({"workflow": TEXT}).encode(),
    "JSON in the prompt": json.dumps({"prompt": TEXT}).encode(),
}


# Without the time of day: names of tests are made of it.
NESTED = gzip.compress(gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0), mtime=0)


@pytest.mark.parametrize("name", FILES)
def test_it_is_read_from_bytes_and_from_a_file(name, tmp_path):
    assert Workflow.load(FILES[name])["1"].a == 1
    (tmp_path / "x.any").write_bytes(FILES[name])
    assert Workflow.load(tmp_path / "x.any")["1"].a == 1


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF")
def test_avif():
    assert Workflow.load(avif())["1"].a == 1
    out = io.BytesIO()
    Image.new("RGB", (16, 16)).save(out, "AVIF")
    with pytest.raises(NotAWorkflow, match="holds no workflow"):
        Workflow.load(out.getvalue())


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (zipped(a_json=TEXT, b_png=PNG), "holds 2 workflows; take one out of it: 'a.json', 'b.png'"),
        (zipped(a_txt="x"), "a zip archive without a workflow: it holds 'a.txt'"),
        (zipped(a_json="nope"), "a.json in the data is not JSON"),
        (zipped(**{f"n{n}_txt": "" for n in range(1500)}), "1,500 files, too many"),
        (zipped(a_json=b" " * (65 << 20)), "unpacks to more than 64 MB"),
        (gzip.compress(b"[" * (65 << 20)), "unpacks to more than 64 MB"),
        (NESTED, "an archive in archives"),
        (b"PK\x03\x04 and then nothing", "a damaged or locked zip archive"),
        (b"\x1f\x8b and then nothing", "a damaged gzip file"),
        (b"GIF89a and more", "a GIF picture, in which ComfyUI saves no workflow"),
        (b"%PDF-1.7 and more", "a PDF document"),
        (b"<svg></svg>", "holds no workflow"),
        (svg("{broken"), "damaged or cut off"),
    ],
)
def test_what_holds_none_is_one_sentence(data, sentence):
    with pytest.raises(NotAWorkflow) as caught:
        Workflow.load(data)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
