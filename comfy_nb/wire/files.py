"""The files and texts a node put out, as `executed` messages and the history tell them.

ComfyUI's own nodes and custom ones use many keys for the same thing (`images` may hold an MP4, `gifs` too),
so what a file is gets judged by its name, and only then by the `format` some nodes add.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from comfy_nb.wire.fields import Json, mapping, sequence, text, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FileRef", "Kind", "NodeOutput", "parse_output"]

Kind = Literal["image", "video", "audio", "text", "3d", "file"]

MAX_NAME = 4_096  # characters of a file name or folder, as in most file systems' paths

_MEDIA_TYPES = {
    "avif": "image/avif",
    "bmp": "image/bmp",
    "exr": "image/x-exr",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "svg": "image/svg+xml",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "webp": "image/webp",
    "avi": "video/x-msvideo",
    "m4v": "video/mp4",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "wav": "audio/wav",
    "csv": "text/csv",
    "json": "application/json",
    "md": "text/markdown",
    "srt": "application/x-subrip",
    "txt": "text/plain",
    "vtt": "text/vtt",
    "yaml": "application/yaml",
    "fbx": "model/fbx",
    "glb": "model/gltf-binary",
    "gltf": "model/gltf+json",
    "obj": "model/obj",
    "ply": "model/ply",
    "splat": "model/x-splat",
    "stl": "model/stl",
    "usdz": "model/vnd.usdz+zip",
}
# Of the image types, those that are pixels which Pillow reads: SVG is drawn by the page, EXR by nobody here.
_PICTURES = {
    "image/avif",
    "image/bmp",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/tiff",
    "image/webp",
}
_KINDS: dict[str, Kind] = {
    "video": "video",
    "audio": "audio",
    "text": "text",
    "model": "3d",
}
_TEXT_APPLICATIONS = {"application/json", "application/x-subrip", "application/yaml"}
_MEDIA_TYPE = re.compile(r"[a-z0-9]+/[A-Za-z0-9.+-]{1,80}")
_FOLDER_NOTE = re.compile(r" \[(?:output|input|temp)\]$")  # a file name may end in its folder's name


@dataclass(frozen=True, slots=True)
class FileRef:
    """One file on the server, in the words that `GET /view` takes.

    `type` is the folder it lies in: "output" (kept), "temp" (wiped when the server starts) or "input".
    `subfolder` is passed back verbatim; Windows servers put backslashes into it.
    """

    filename: str
    subfolder: str
    type: str
    format: str | None

    @property
    def media_type(self) -> str:
        """The media type by extension, else by `format`, else "application/octet-stream"."""
        extension = _FOLDER_NOTE.sub("", self.filename).rpartition(".")[2].lower()
        known = _MEDIA_TYPES.get(extension)
        if known is None and self.format is not None:
            known = _MEDIA_TYPES.get(self.format.lower())
            if known is None and _MEDIA_TYPE.fullmatch(self.format):
                known = self.format
        return known or "application/octet-stream"

    @property
    def kind(self) -> Kind:
        """What people would call it; "file" for anything that cannot be shown."""
        media_type = self.media_type
        if media_type in _TEXT_APPLICATIONS:
            return "text"
        if media_type in _PICTURES:
            return "image"
        return _KINDS.get(media_type.partition("/")[0], "file")


@dataclass(frozen=True, slots=True)
class NodeOutput:
    """What one node put out; `display_node` is the node to show it at (another one for expanded nodes)."""

    node_id: str
    display_node: str
    files: tuple[FileRef, ...]
    texts: tuple[str, ...]


def parse_output(node_id: str, display_node: str, output: Json) -> NodeOutput:
    """The files and texts in one node's output; whatever else is in it is left out. Never raises.

    Any object with a string `filename` counts as a file, under whatever key; a file named twice is given
    once. Strings under `text` are texts.
    """
    data = mapping(output)
    files = dict.fromkeys(ref for key, value in data.items() for ref in _files(key, value))
    return NodeOutput(node_id, display_node, tuple(files), _joined(texts(data.get("text"))))


def _files(key: str, value: Json) -> Iterator[FileRef]:
    entries = value if isinstance(value, list) else [value]
    for entry in entries:
        if isinstance(entry, dict) and (ref := _file(entry)) is not None:
            yield ref
    if key == "result" and (model := _model(sequence(value))) is not None:
        yield model


def _file(entry: dict[str, Json]) -> FileRef | None:
    filename, subfolder = text(entry.get("filename")), text(entry.get("subfolder"))
    if not filename or len(filename) > MAX_NAME or len(subfolder) > MAX_NAME:
        return None
    form = text(entry.get("format"))
    return FileRef(filename, subfolder, text(entry.get("type")) or "output", form or None)


def _model(result: list[Json]) -> FileRef | None:
    # The 3D viewers name their model by a bare string that comes first: a path in the output folder.
    path = text(result[0]) if result else ""
    subfolder, _, filename = path.rpartition("/")
    ref = FileRef(filename, subfolder, "output", None)
    return ref if len(path) <= MAX_NAME and ref.kind == "3d" else None


def _joined(lines: tuple[str, ...]) -> tuple[str, ...]:
    # A node that returns a bare string has it split into characters by the server. A list of single digits is
    # more likely to be a list of numbers.
    split = len(lines) > 1 and all(len(line) == 1 for line in lines) and not all(map(str.isdigit, lines))
    return ("".join(lines),) if split else lines
