"""Pictures from outside: what is opened, how large it may be, and which side is up."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from PIL import EpsImagePlugin, Image, UnidentifiedImageError

from comfy_nb import pictures
from comfy_nb.errors import NotAWorkflow, OutputError
from comfy_nb.events import Result
from comfy_nb.outputs import Output
from comfy_nb.pictures import FORMATS, UNREADABLE, open_picture
from comfy_nb.store import Store
from comfy_nb.widgets import pictures as shown
from comfy_nb.widgets.saved import saved_copy
from comfy_nb.widgets.sheets import contact_sheet
from comfy_nb.widgets.shelf import make_thumb
from comfy_nb.workflow import Workflow
from comfy_nb.workflow.plan import make_plan
from tests.unit.plans import API, PROMPT_ID

STORE = Store()
PLAN = make_plan(API, PROMPT_ID)
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(x) (w) file closefile\nshowpage\n%%EOF\n"


def output(data: bytes, name: str = "a.png") -> Output:
    blob = STORE.put(data, "outputs")
    return Output(Result(0, "9", "9", name, "image/png", "image", True, blob=blob), PLAN)


def encoded(picture: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


class Source:
    """A job that has one output."""

    def __init__(self, *outputs: Output) -> None:
        self._outputs = outputs

    def outputs(self) -> tuple[Output, ...]:
        return self._outputs

    def last_frame(self) -> None:
        return None

    def snapshot(self) -> object:
        class Snap:
            title, status, elapsed, error, note = "a", "succeeded", 1.0, None, ""

        return Snap()


def image(data: bytes) -> object:
    with pytest.raises(OutputError, match="cannot be read as an image"):
        _ = output(data).image
    return None


USES = {
    "image": image,
    "message": lambda data: shown.message_of(output(data))[1],
    "poster": lambda data: shown.poster(output(data)),
    "thumbnail": lambda data: make_thumb([output(data)]).image,
    "saved copy": lambda data: "image/jpeg" in saved_copy(Source(output(data))),
}


@pytest.mark.parametrize("use", USES)
def test_no_picture_starts_a_program(use: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nexit 1\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    Image.init()
    assert not USES[use](EPS)
    assert not (tmp_path / "started").exists()


def test_a_sheet_of_many_opens_no_other_formats_either() -> None:
    with pytest.raises(UnidentifiedImageError):
        contact_sheet([EPS])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # some formats leave Pillow soon
def test_only_the_formats_that_decode_in_this_process_are_opened() -> None:
    Image.init()
    opened: set[str] = set()
    for form in Image.SAVE:
        for mode in ("RGB", "L", "1", "F"):
            try:
                data = encoded(Image.new(mode, (16, 16)), form)
                with Image.open(io.BytesIO(data)) as picture:
                    kind = picture.format
            except (OSError, ValueError, KeyError, NotImplementedError, EOFError, TypeError, SyntaxError):
                continue  # Pillow cannot write this one, or not so, or not read it
            if kind in FORMATS or (kind == "MPO" and form in FORMATS):
                assert open_picture(data).format == kind
                opened.add(form)
            else:
                with pytest.raises(
                    UnidentifiedImageError, match="none of the formats that are opened here: PNG"
                ):
                    open_picture(data)
    assert opened >= set(FORMATS)
    assert set(Image.OPEN) - set(FORMATS) >= {"EPS", "WMF", "FITS", "PSD", "ICNS"}


def test_a_sound_is_read_as_one_and_not_as_what_opens_sockets() -> None:
    tag = b"ID3\4\0\0\0\0\0\x0a" + bytes(10)  # which FFmpeg skips, to guess what follows
    session = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n"
    with pytest.raises(NotAWorkflow, match="damaged or cut off"):
        Workflow.load(tag + session)


# -- which side is up -------------------------------------------------------------------------------------------------


def turned(orientation: int, form: str, size: tuple[int, int] = (60, 30)) -> bytes:
    """A picture whose file is sideways: upright, its upper left corner is red."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = Image.new("RGB", size, "white")
    upright.paste((255, 0, 0), (0, 0, size[0] // 2, size[1] // 2))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    return encoded(stored, form, exif=exif.tobytes())


def is_upright(data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as opened:
        picture = opened.convert("RGB")
        width, height = picture.size
        red, green, _ = picture.getpixel((width // 8, height // 8))
        other = picture.getpixel((width * 7 // 8, height * 7 // 8))
        return width > height and red > 180 and green < 90 and min(other) > 180


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_thumbnails_posters_and_copies_are_upright(orientation: int, form: str) -> None:
    data = turned(orientation, form)
    assert is_upright(shown.poster(output(data)))
    assert is_upright(shown.thumbnail(data, 32, 20_000))
    assert is_upright(shown.jpeg(data, 20_000))
    content, [sent] = shown.message_of(output(data))
    assert (content["width"], content["height"]) == (60, 30)
    assert sent == data if form == "JPEG" else is_upright(sent)  # browsers turn a JPEG themselves


@pytest.mark.parametrize(
    "exif",
    [b"", b"II", b"II*\0\x08\0\0\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff\x01\x12\0\x03"],
)
def test_damaged_exif_data_costs_the_turn_alone_and_says_nothing(exif: bytes) -> None:
    data = encoded(Image.new("RGB", (40, 20)), "PNG", exif=exif)
    with Image.open(io.BytesIO(shown.thumbnail(data, 32, 20_000))) as made:
        assert made.size == (32, 16)


# -- how large it may be ----------------------------------------------------------------------------------------------


def test_what_nobody_asked_for_is_bounded_also_where_pillow_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    monkeypatch.setattr(pictures, "MAX_DECODED", 4 * 100 * 100)
    fits = encoded(Image.new("RGB", (100, 100)), "PNG")
    large = encoded(Image.new("RGB", (100, 101)), "PNG")
    grey = encoded(Image.new("L", (400, 100)), "PNG")
    for data, fit in ((fits, True), (large, False), (grey, True)):
        assert bool(shown.thumbnail(data, 32, 20_000)) is fit
        assert bool(shown.jpeg(data, 20_000)) is fit
        assert bool(shown.poster(output(data))) is fit
    assert output(large).image.size == (100, 101), "which somebody asked for, and may"
    with pytest.raises(UNREADABLE, match="100 x 101 pixels take 0 MB"):
        pictures.smaller(open_picture(large), 10, "RGB")


def peak(code: str) -> int:
    """Megabytes of memory that a program took at most, above what it began with."""
    program = f"""
        import io, resource
        from PIL import Image
        from comfy_nb.widgets import pictures
        Image.init(); Image.new("RGB", (9, 9)).save(io.BytesIO(), "WEBP")
        def most(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        def png(mode, side):
            out = io.BytesIO(); band = Image.new(mode, (side, side)); band.save(out, "PNG", compress_level=1)
            return out.getvalue()
        {code}
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    return int(result.stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no module resource")
@pytest.mark.parametrize("mode", ["I;16", "RGB", "L", "RGBA"])
def test_a_thumbnail_takes_little_more_than_the_picture_itself(mode: str) -> None:
    side = 5000
    made = f"""
        data = png({mode!r}, {side}); del png
        before = most()
        assert pictures.thumbnail(data, 256, 20_000)
        print(most() - before)
    """
    own = side * side * (1 if mode == "L" else 4) / (1 << 20)
    assert peak(made) <= 1.3 * own * (2 if mode == "RGBA" else 1) + 10
