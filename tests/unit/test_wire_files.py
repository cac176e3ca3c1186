"""What nodes put out: files under any key, judged by name, and texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfy_nb.wire.files import FileRef, parse_output
from tests.unit.test_wire_messages import ODD


def files(output: object) -> list[tuple[str, str, str, str]]:
    return [(ref.filename, ref.subfolder, ref.type, ref.kind) for ref in parse_output("1", "1", output).files]


def texts(output: object) -> tuple[str, ...]:
    return parse_output("1", "1", output).texts


def test_a_saved_picture() -> None:
    output = parse_output("9", "4", {"images": [{"filename": "a.png", "subfolder": "b", "type": "temp"}]})
    assert (output.node_id, output.display_node) == ("9", "4")
    assert output.files == (FileRef("a.png", "b", "temp", None),)
    assert output.files[0].media_type == "image/png"


@pytest.mark.parametrize(
    ("filename", "form", "media_type", "kind"),
    [
        ("v_00001_.mp4", None, "video/mp4", "video"),
        ("v.WEBM", "image/png", "video/webm", "video"),
        ("anim.webp", None, "image/webp", "image"),
        ("s.flac", None, "audio/flac", "audio"),
        ("notes.txt", None, "text/plain", "text"),
        ("data.json", None, "application/json", "text"),
        ("mesh.glb", None, "model/gltf-binary", "3d"),
        ("x.latent", None, "application/octet-stream", "file"),
        ("x.safetensors", None, "application/octet-stream", "file"),
        ("clip", "video/h264-mp4", "video/h264-mp4", "video"),
        ("clip", "MP4", "video/mp4", "video"),
        ("clip", "video/h264\r\nX-Evil: 1", "application/octet-stream", "file"),
        ("no extension", None, "application/octet-stream", "file"),
        (".png", None, "image/png", "image"),
        ("a.png [temp]", None, "image/png", "image"),
        ("drawing.svg", None, "image/svg+xml", "file"),
        ("light.exr", None, "image/x-exr", "file"),
        ("photo", "image/heic", "image/heic", "file"),
        ("clip", "image/gif", "image/gif", "image"),
        ("a.b/c\\d.jpeg", None, "image/jpeg", "image"),
    ],
)
def test_the_kind_goes_by_extension_and_then_by_format(
    filename: str, form: str | None, media_type: str, kind: str
) -> None:
    ref = FileRef(filename, "", "output", form)
    assert (ref.media_type, ref.kind) == (media_type, kind)


def test_files_are_found_under_any_key() -> None:
    assert files(
        {
            "images": [{"filename": "v.mp4", "subfolder": "video", "type": "output"}],
            "animated": [True],
            "gifs": [{"filename": "g.mp4", "format": "video/h264-mp4", "frame_rate": 8, "workflow": "g.png"}],
            "audio": {"filename": "s.mp3"},
            "dims": [[512, 512]],
            "mesh": [
                None,
                3,
                "x.glb",
                {"filename": None},
                {"filename": ""},
                {"filename": "m.glb", "type": 7},
            ],
        }
    ) == [
        ("v.mp4", "video", "output", "video"),
        ("g.mp4", "", "output", "video"),
        ("s.mp3", "", "output", "audio"),
        ("m.glb", "", "output", "3d"),
    ]


def test_a_file_named_twice_is_one() -> None:
    ref = {"filename": "a.png", "subfolder": "", "type": "output"}
    assert len(files({"images": [ref, ref], "a_images": [ref]})) == 1


def test_a_windows_subfolder_stays_as_it_is() -> None:
    assert files({"images": [{"filename": "a.png", "subfolder": "x\\y"}]}) == [
        ("a.png", "x\\y", "output", "image")
    ]


def test_a_name_beyond_any_path_is_left_out() -> None:
    assert files({"images": [{"filename": "x" * 4_097 + ".png"}, {"filename": "a.png"}]})[0][0] == "a.png"


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (["3d/mesh_00001_.glb", {"position": {}}, ""], [("mesh_00001_.glb", "3d", "output", "3d")]),
        (["mesh.obj"], [("mesh.obj", "", "output", "3d")]),
        (["just a text", None], []),
        ([{"position": 1}, "mesh.glb"], []),
        ([], []),
        ("mesh.glb", []),
    ],
)
def test_the_model_of_a_3d_viewer(result: object, found: list[tuple[str, str, str, str]]) -> None:
    assert files({"result": result}) == found


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (["one", "two"], ("one", "two")),
        ("bare", ("bare",)),
        (list("a fox"), ("a fox",)),
        (["1", "2", "3"], ("1", "2", "3")),
        (["x"], ("x",)),
        (["one", 2, None], ("one",)),
        ({"a": "b"}, ()),
        (None, ()),
    ],
)
def test_texts(told: object, shown: tuple[str, ...]) -> None:
    assert texts({"text": told}) == shown


def test_no_output_at_all() -> None:
    for nothing in (None, [], "text", 3):
        assert parse_output("1", "1", nothing) == parse_output("1", "1", {})


@given(st.dictionaries(st.sampled_from(["images", "text", "result", "gifs", "x"]), ODD) | ODD)
def test_any_output_is_read(output: object) -> None:
    for ref in parse_output("1", "1", output).files:
        assert ref.filename
        assert "/" in ref.media_type
