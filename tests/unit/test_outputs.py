"""Outputs: found by the node that made them, decoded from their own bytes, and never trusted."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from comfy_nb.errors import NotOneImage, OutputError
from comfy_nb.events import Result
from comfy_nb.outputs import Output, Outputs
from comfy_nb.store import Store
from comfy_nb.wire.records import FileRef
from comfy_nb.workflow.plan import make_plan
from tests.unit.plans import API, PROMPT_ID, node

STORE = Store()
PLAN = make_plan(API | {"10": node("PreviewImage", "Look", images=["8", 0])}, PROMPT_ID)


def picture(colour: tuple[int, int, int] = (200, 30, 30), form: str = "PNG", **save: Any) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(stream, form, **save)
    return stream.getvalue()


RED, BLUE = picture(), picture((30, 30, 200))


def file(
    name: str, data: bytes | None = RED, *, node_id: str = "9", saved: bool = True, problem: str = ""
) -> Result:
    ref = FileRef(name, "", "output" if saved else "temp", None)
    blob = None if data is None else STORE.put(data, "outputs")
    return Result(0, node_id, node_id, name, ref.media_type, ref.kind, saved, blob=blob, problem=problem)


def text(words: str, node_id: str = "6") -> Result:
    return Result(0, node_id, node_id, "", "text/plain", "text", False, text=words)


def outputs(*results: Result) -> Outputs:
    return Outputs.of(results, PLAN)


def colour(image: Image.Image) -> tuple[int, ...]:
    value = image.convert("RGB").getpixel((0, 0))
    assert isinstance(value, tuple)
    return tuple(map(int, value))


SEVERAL = outputs(
    file("look.png", BLUE, node_id="10", saved=False),
    file("a.png"),
    file("b.png"),
    text("hello"),
    file("v.mp4", b"film"),
    file("s.flac", b"sound"),
    file("notes.txt", "Grüße".encode()),
)


# --- By node ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["Save Image", "SaveImage", "9"])
def test_by_title_class_and_id(key: str) -> None:
    assert [output.name for output in SEVERAL[key]] == ["a.png", "b.png", "v.mp4", "s.flac", "notes.txt"]
    assert key in SEVERAL


def test_as_a_sequence() -> None:
    assert len(SEVERAL) == 7
    assert SEVERAL[0].name == "look.png"
    assert SEVERAL[-1].name == "notes.txt"
    assert isinstance(SEVERAL[1:3], Outputs)
    assert [output.name for output in SEVERAL[1:3]] == ["a.png", "b.png"]
    assert [output.label for output in SEVERAL] == [
        "Look",
        "Save Image",
        "Save Image",
        "Positive",
        *["Save Image"] * 3,
    ]
    assert SEVERAL.keys() == ["Look", "Save Image", "Positive"] == SEVERAL._ipython_key_completions_()
    assert SEVERAL[1] in SEVERAL
    assert "Nope" not in SEVERAL
    with pytest.raises(IndexError):
        _ = SEVERAL[7]


def test_what_is_not_there() -> None:
    with pytest.raises(OutputError) as caught:
        _ = SEVERAL["Nope"]
    assert str(caught.value) == (
        "'Nope' has put out nothing, and no node has that name. There are outputs of: 'Look', 'Save Image', 'Positive'."
    )
    with pytest.raises(OutputError, match=r"^'KSampler' has put out nothing\. There are outputs of"):
        _ = SEVERAL["KSampler"]
    with pytest.raises(OutputError, match=r"There are no outputs\.$"):
        _ = outputs()["KSampler"]
    with pytest.raises(LookupError):
        _ = outputs()["KSampler"]


def test_an_unplanned_node_goes_by_its_id() -> None:
    odd = outputs(file("x.png", node_id="77"))
    assert odd[0].label == "77"
    assert len(odd["77"]) == 1


# --- Images -------------------------------------------------------------------------------------------------


def test_the_only_saved_image() -> None:
    one = outputs(file("look.png", BLUE, node_id="10", saved=False), file("a.png", RED))
    assert colour(one.image) == (200, 30, 30)
    assert colour(outputs(file("look.png", BLUE, saved=False)).image) == (30, 30, 200)


@pytest.mark.parametrize(
    ("results", "sentence"),
    [
        ([], "There is no image here, where .image wants exactly one. There are no outputs."),
        (
            [text("x")],
            "There is no image here, where .image wants exactly one. There are outputs of: 'Positive'.",
        ),
        ([file("a.png"), file("b.png")], "There is 2 images here"),
    ],
)
def test_none_or_several(results: list[Result], sentence: str) -> None:
    with pytest.raises(NotOneImage) as caught:
        _ = outputs(*results).image
    assert str(caught.value).startswith(sentence.replace("is 2", "are 2"))


def test_several_images_point_to_all() -> None:
    with pytest.raises(NotOneImage, match=r"There are 2 images here.*\.images has them all\.$"):
        _ = SEVERAL.image
    assert [colour(image) for image in SEVERAL.images] == [(200, 30, 30), (200, 30, 30), (30, 30, 200)]


def test_drawings_and_light_maps_are_files_and_leave_the_images_alone() -> None:
    mixed = outputs(file("a.png"), file("drawing.svg", b"<svg/>"), file("light.exr", b"v/1\x01"))
    assert [colour(image) for image in mixed.images] == [(200, 30, 30)] == [colour(mixed.image)]
    assert [(output.name, output.kind) for output in mixed.files[1:]] == [
        ("drawing.svg", "file"),
        ("light.exr", "file"),
    ]
    assert mixed[1].data == b"<svg/>"


def test_an_image_carries_what_made_it() -> None:
    info = PngInfo()
    info.add_text("prompt", '{"3": {}}')
    image = outputs(file("a.png", picture(pnginfo=info))).image
    assert image.size == (8, 6)
    assert image.info["prompt"] == '{"3": {}}'
    assert (image.info["prompt_id"], image.info["node"], image.info["filename"]) == (
        PROMPT_ID,
        "Save Image",
        "a.png",
    )
    assert image.info["parameters"]["KSampler.steps"] == 20
    image.info["parameters"]["KSampler.steps"] = 1
    assert PLAN.parameters["KSampler.steps"] == 20


def test_each_image_is_a_new_one() -> None:
    output = outputs(file("a.png"))[0]
    output.image.paste((0, 0, 0), (0, 0, 8, 6))
    assert colour(output.image) == (200, 30, 30)


def png(width: int, height: int, last: bytes = b"IEND") -> bytes:
    """A PNG of that size whose pixels are not all there, with `last` as its last chunk."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = (
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data, last)
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.png", b"", r"'a\.png' of 'Save Image' cannot be read as an image: "),
        ("a.png", b"<html>no</html>", r"cannot be read as an image: It is of none of the formats.*AVIF\.$"),
        ("a.png", RED[:45], r"cannot be read as an image: "),
        ("a.svg", b"<svg/>", r"^a\.svg of 'Save Image' is no image but image/svg\+xml\.$"),
        (
            "a.png",
            png(60_000, 60_000),
            r"cannot be read as an image: 3,600,000,000 pixels are too large .*bombs",
        ),
        ("a.png", png(10_000, 10_000), r"cannot be read as an image: 100,000,000 pixels are too large"),
        ("a.png", png(64, 64, b"\1\2\3\4"), r"cannot be read as an image: broken PNG file"),
        ("v.mp4", b"film", r"v\.mp4 of 'Save Image' is no image but video/mp4\."),
    ],
)
def test_what_is_no_image(name: str, data: bytes, sentence: str) -> None:
    with pytest.raises(OutputError, match=sentence):
        _ = outputs(file(name, data))[0].image


def test_a_text_is_no_image() -> None:
    with pytest.raises(OutputError, match=r"A text of 'Positive' is no image but text/plain\."):
        _ = outputs(text("x"))[0].image


FORMS = [
    RED,
    picture(form="JPEG"),
    picture(form="WEBP"),
    picture(form="GIF"),
    picture(form="BMP"),
    picture(form="TIFF"),
]


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own remarks on broken files
@given(st.sampled_from(FORMS), st.data())
@example(RED, None)
def test_damaged_images_are_images_or_one_sentence(whole: bytes, data: Any) -> None:
    damaged = bytearray(whole)
    if data is not None:
        cut = data.draw(st.integers(0, len(whole)))
        damaged = damaged[:cut] if data.draw(st.booleans()) else damaged
        for _ in range(data.draw(st.integers(0, 4))):
            if damaged:
                damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = outputs(file("a.png", bytes(damaged)))[0].image
    except OutputError:
        return
    assert isinstance(image, Image.Image)


# --- Bytes, texts and files ---------------------------------------------------------------------------------


def test_bytes_that_could_not_be_fetched_say_why() -> None:
    missing = outputs(file("a.png", None, problem="HTTP 404"))
    assert missing.files[0].name == "a.png"
    for use in (lambda: missing[0].data, lambda: missing.image, lambda: missing[0].save("x")):
        with pytest.raises(OutputError, match=r"'a\.png' of 'Save Image' is not here: HTTP 404"):
            use()


def test_texts() -> None:
    assert SEVERAL.texts == ["hello", "Grüße"]
    assert SEVERAL.text == "hello\n\nGrüße"
    assert (SEVERAL[3].text, SEVERAL[3].data, SEVERAL[3].name) == ("hello", b"hello", "")
    assert outputs(file("x.txt", b"\xff")).texts == ["\ufffd"]
    assert SEVERAL[1].text is None
    assert outputs().text == ""


def test_other_kinds() -> None:
    assert [output.data for output in SEVERAL.video] == [b"film"]
    assert [output.data for output in SEVERAL.audio] == [b"sound"]
    assert [output.name for output in SEVERAL.files] == [
        "look.png",
        "a.png",
        "b.png",
        "v.mp4",
        "s.flac",
        "notes.txt",
    ]
    assert (SEVERAL[0].saved, SEVERAL[1].saved) == (False, True)
    assert (SEVERAL[4].media_type, SEVERAL[4].kind) == ("video/mp4", "video")


def test_repr_is_one_short_line() -> None:
    assert repr(outputs()) == "<Outputs: none>"
    assert repr(outputs(file("a.png"))) == "<Outputs: <Output image a.png of 'Save Image'>>"
    assert repr(outputs(text("x" * 1000))[0]) == f"<Output text {'x' * 60!r} of 'Positive'>"
    assert "\n" not in repr(outputs(text("a\nb")))


# --- Saving -------------------------------------------------------------------------------------------------


def test_save_to_a_path_or_into_a_folder(tmp_path: Path) -> None:
    output = SEVERAL[1]
    assert output.save(tmp_path / "mine.png").read_bytes() == RED
    assert output.save(tmp_path) == tmp_path / "a.png"
    assert (tmp_path / "a.png").read_bytes() == RED
    assert SEVERAL[3].save(str(tmp_path)) == tmp_path / "6.txt"
    assert (tmp_path / "6.txt").read_text() == "hello"


@pytest.mark.parametrize(
    ("name", "node_id", "saved_as"),
    [
        ("../../evil.png", "9", "evil.png"),
        ("/etc/evil.png", "9", "evil.png"),
        ("sub\\evil.png", "9", "evil.png"),
        ("..", "9", "output"),  # nothing is left of it
        ("a\0.png", "9", "a.png"),
        ("", "../../evil", "evil.txt"),
    ],
)
def test_nothing_is_written_outside_the_folder(
    tmp_path: Path, name: str, node_id: str, saved_as: str
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    result = file(name, RED, node_id=node_id) if name else text("x", node_id)
    Output(result, PLAN).save(inner)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [saved_as]
    assert (inner / saved_as).exists()


def test_in_a_folder_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("mine")
    saved = [Output(file(name), PLAN).save(tmp_path) for name in ("numpy.py", "a.png", "a.png", "x/a.png")]
    assert [path.name for path in saved] == ["numpy-1.py", "a.png", "a-1.png", "a-2.png"]
    assert (tmp_path / "numpy.py").read_text() == "mine"
    named = tmp_path / "named.png"
    assert (
        Output(file("a.png", RED), PLAN).save(named) == Output(file("a.png", BLUE), PLAN).save(named) == named
    )
    assert named.read_bytes() == BLUE, "which was asked for"


def test_a_saved_name_has_nothing_that_a_terminal_obeys(tmp_path: Path) -> None:
    saved = Output(file("a\x1b]0;x\x07\r\n\u202eb.png"), PLAN).save(tmp_path)
    assert saved.name == "a]0;xb.png"
    long = Output(file("猫" * 300 + ".png"), PLAN).save(tmp_path)
    assert (len(long.name.encode()) <= 255, long.suffix) == (True, ".png")
