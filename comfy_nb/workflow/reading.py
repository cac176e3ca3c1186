"""From what people have (a path, text, bytes, a picture, a dict) to what a workflow is made of.

That is an API-format prompt, or a UI-format graph, or both: files that ComfyUI saved carry both, and then the
prompt counts, since it is what ran; the graph is kept to be saved again.
"""

from __future__ import annotations

import io
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast, runtime_checkable

from comfy_nb.errors import NotAWorkflow, WorkflowError
from comfy_nb.workflow.metadata import WANTED, read_exif, read_texts
from comfy_nb.workflow.names import clip, listing, opening
from comfy_nb.workflow.packed import unpacked, unzipped
from comfy_nb.workflow.ui import is_ui
from comfy_nb.workflow.values import ApiNode, Json, Prompt, as_json, is_mapping, read_link

__all__ = ["MAX_BYTES", "Loaded", "Source", "clean", "read"]

MAX_BYTES = 64 * 1024 * 1024
"""The largest JSON file or text that is read, in bytes."""

MAX_VALUES = 2_000_000
"""The most values in one JSON text: small ones take fifty times their text in memory, and seconds to make."""

MAX_PACKED = 2
"""How deep archives may stand in each other."""

MAX_PATH = 4096
"""A text longer than this is JSON, not a path."""

_FILE_NAME = re.compile(r"\.\w{1,11}$|^~|[/\\]")


@runtime_checkable
class Picture(Protocol):
    """What is needed of a PIL image."""

    info: dict[Any, Any]

    def getexif(self) -> object:
        """Its EXIF data, which tells a picture from other things with an `info`."""
        ...


Source = str | os.PathLike[str] | bytes | Mapping[str, object] | Picture
"""A path, JSON text, a file's bytes, a dict, or a PIL image."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was found: `prompt`, or else `ui` to be converted; `what` names the source in errors."""

    prompt: Prompt | None
    ui: dict[str, object] | None
    name: str
    what: str


def read(source: Source) -> Loaded:
    """What a source holds. Raises `NotAWorkflow` with one sentence that says what is wrong, and where."""
    if is_mapping(source):
        return _from_data(source, "", "the dict")
    if isinstance(source, bytes):
        return _from_file(io.BytesIO(source), "", "the data")
    if isinstance(source, str) and _is_prompt(source):
        raise NotAWorkflow(
            f"There is no file {clip(source)!r}; that looks like a prompt: "
            'comfy.submit(cn.example(), {"Positive.text": …}), or cn.imagine(…).'
        )
    if isinstance(source, str) and _is_json_text(source):
        data = source.removeprefix("\ufeff").encode(errors="surrogatepass")
        return _from_data(_parse(data, "the text"), "", "the text")
    if isinstance(source, str | os.PathLike):
        return _from_path(Path(source))
    if isinstance(source, Picture):
        return _from_texts(_image_texts(source.info), "", "the picture")
    kind = type(cast("object", source)).__name__
    raise NotAWorkflow(f"A workflow is a path, JSON text, bytes, a PIL image or a dict, not of type {kind}.")


def _is_prompt(source: str) -> bool:
    """Whether it is neither JSON nor the name of a file, but words, as one says to a model."""
    text = source.strip("\ufeff \t\r\n")
    if (
        not text
        or text[0] in '{["<'
        or "\0" in text
        or len(text) > MAX_PATH
        or not any(map(str.isalpha, text))
    ):
        return False
    if "\n" not in text and _FILE_NAME.search(text):
        return False
    try:
        return "\n" in text or not Path(text).exists()
    except OSError:  # longer than a file's name can be
        return True


def _is_json_text(source: str) -> bool:
    start = source.lstrip("\ufeff \t\r\n")[:1]
    return start in ("", "{", "[", '"') or "\n" in source or len(source) > MAX_PATH


def _from_path(path: Path) -> Loaded:
    shown = clip(str(path), 300)
    try:
        # Opening a pipe or a device could wait for ever; so look first.
        if not stat.S_ISREG(path.stat().st_mode):
            raise NotAWorkflow(f"{shown} is not a file.")
        with path.open("rb") as file:
            return _from_file(file, path.stem, str(path))
    except FileNotFoundError:
        raise NotAWorkflow(f"There is no file {shown}.") from None
    except OSError as error:
        raise NotAWorkflow(f"{shown} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        if isinstance(error, WorkflowError):
            raise
        raise NotAWorkflow(f"{shown} cannot be read: {str(error).rstrip('.')}.") from error


def _from_file(file: BinaryIO, name: str, what: str, depth: int = 0) -> Loaded:
    head = file.read(4)
    file.seek(0)
    if head.startswith((b"\x1f\x8b", b"PK\x03\x04", b"PK\x05\x06")):
        if depth == MAX_PACKED:
            raise NotAWorkflow(
                f"{opening(what)} is an archive in archives, which nobody saves a workflow in."
            )
        if head.startswith(b"\x1f\x8b"):
            return _from_file(io.BytesIO(unpacked(file, what)), name, what, depth + 1)
        return _from_archive(file, what, depth + 1)
    texts = read_texts(file, what)
    if texts is not None:
        return _from_texts(texts, name, what)
    file.seek(0)
    return _from_data(_parse(file.read(MAX_BYTES + 1), what), name, what)


def _from_archive(file: BinaryIO, what: str, depth: int) -> Loaded:
    """The one workflow in a zip archive."""
    found: dict[str, Loaded] = {}
    faults: list[NotAWorkflow] = []
    for member, data in unzipped(file, what):
        try:
            loaded = _from_file(io.BytesIO(data), Path(member).stem, f"{clip(member)} in {what}", depth)
        except NotAWorkflow as error:
            faults.append(error)
        else:
            found[member] = loaded
    if len(found) > 1:
        raise NotAWorkflow(
            f"{opening(what)} holds {len(found)} workflows; take one out of it: {listing(found)}."
        )
    for loaded in found.values():
        return loaded
    raise faults[0]


def _from_texts(texts: Mapping[str, str], name: str, what: str) -> Loaded:
    """What the texts in a file say; a broken one is forgiven when the other one is good."""
    found: dict[str, object] = {}
    faults: list[NotAWorkflow] = []
    for key in WANTED:
        if key in texts:
            try:
                found[key] = _parse(texts[key].encode(errors="surrogatepass"), f"the {key} in {what}")
            except NotAWorkflow as error:
                faults.append(error)
    ui = _as_ui(found.get("workflow"))
    if "prompt" in found:
        try:
            return Loaded(clean(found["prompt"], f"the prompt in {what}"), ui, name, what)
        except NotAWorkflow as error:
            faults.append(error)
    if ui is not None:
        return Loaded(None, ui, name, what)
    if "workflow" in found:  # some savers write a prompt there
        return Loaded(clean(found["workflow"], f"the workflow in {what}"), None, name, what)
    if faults:
        raise faults[0]
    raise NotAWorkflow(
        f"{opening(what)} holds no workflow: ComfyUI did not make it, or saved it without metadata, "
        "or another program wrote it anew."
    )


def _image_texts(info: Mapping[object, object]) -> dict[str, str]:
    texts = {key: text for key in WANTED if isinstance(text := info.get(key), str)}
    exif = info.get("exif")
    if not texts and isinstance(exif, bytes):
        try:
            texts = {key: text for key, text in read_exif(exif) if key in WANTED}
        except ValueError:
            raise NotAWorkflow("The picture's EXIF data is damaged.") from None
    return texts


def _from_data(data: object, name: str, what: str) -> Loaded:
    if isinstance(data, str) and data.lstrip()[:1] == "{":  # JSON that was written as a text of JSON
        return _from_data(_parse(data.encode(errors="surrogatepass"), f"the text in {what}"), name, what)
    if is_mapping(data):
        if (prompt := data.get("prompt")) is not None and not _is_node(prompt):
            return _from_record(data, prompt, name, what)
        if isinstance(text := data.get("workflow"), str) and text.lstrip()[:1] == "{":
            return _from_data(text, name, f'the "workflow" of {what}')
        if is_mapping(inner := data.get("workflow")) and not _is_node(inner):  # one job of /api/jobs
            return _from_data(cast("object", inner), name, f'the "workflow" of {what}')
        if len(data) == 1 and is_mapping(entry := next(iter(data.values()))) and "prompt" in entry:
            return _from_data(cast("object", entry), name, what)  # /history of one prompt
        if len(data) > 1 and all(is_mapping(entry) and "prompt" in entry for entry in data.values()):
            ids = ", ".join(clip(str(key)) for key in list(data)[:3])
            raise NotAWorkflow(
                f"{opening(what)} is a history of {len(data)} prompts ({ids}, …); pass one of its entries."
            )
        if is_ui(data):
            return Loaded(None, _as_ui(data), name, what)
    return Loaded(clean(data, what), None, name, what)


def _from_record(data: Mapping[object, object], prompt: object, name: str, what: str) -> Loaded:
    """A saved POST body, or an entry of the queue or history, `[number, id, prompt, extra_data, outputs]`."""
    if isinstance(prompt, str) and prompt.lstrip()[:1] == "{":
        prompt = _parse(prompt.encode(errors="surrogatepass"), f'the "prompt" of {what}')
    extra: object = data.get("extra_data")
    if isinstance(prompt, list):
        match cast("list[object]", prompt):
            case [_, _, inner, more, *_]:
                prompt, extra = inner, more
            case _:
                raise NotAWorkflow(f'The "prompt" of {what} is a list, but not one of ComfyUI\'s history.')
    where = f'the "prompt" of {what}'
    if is_ui(prompt):
        return Loaded(None, _as_ui(prompt), name, where)
    info = extra.get("extra_pnginfo") if is_mapping(extra) else None
    ui = _as_ui(info.get("workflow")) if is_mapping(info) else None
    return Loaded(clean(prompt, where), ui, name, what)


def _is_node(data: object) -> bool:
    """Whether it is a node of a prompt that happens to have the id "prompt" or "workflow"."""
    return is_mapping(data) and isinstance(data.get("class_type"), str)


def _as_ui(data: object) -> dict[str, object] | None:
    """A UI-format graph as strict JSON (NaN becomes null), or None if it is none."""
    if not is_ui(data):
        return None
    try:
        return json.loads(json.dumps(data), parse_constant=lambda _: None)
    except (TypeError, ValueError, RecursionError):
        raise NotAWorkflow("The UI-format graph holds something that JSON cannot carry.") from None


def _parse(data: bytes, what: str) -> object:
    if len(data) > MAX_BYTES:
        raise NotAWorkflow(
            f"{opening(what)} is larger than {MAX_BYTES // 1024**2} MB, too large for a workflow."
        )
    if sum(map(data.count, (b",", b"[", b"{"))) > MAX_VALUES:  # an estimate before anything is made of it
        raise NotAWorkflow(f"{opening(what)} holds more than {MAX_VALUES:,} values, too many for a workflow.")
    if not data.strip():
        raise NotAWorkflow(f"{opening(what)} is empty.")
    try:
        # NaN may stand in places that nobody reads ("is_changed"); in an input it is refused below.
        return json.loads(data.decode(json.detect_encoding(data)), object_pairs_hook=_distinct)
    except json.JSONDecodeError as error:
        raise NotAWorkflow(
            f"{opening(what)} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}."
        ) from None
    except UnicodeDecodeError as error:
        raise NotAWorkflow(
            f"{opening(what)} is not JSON: byte {error.start} is not {error.encoding} text."
        ) from None
    except RecursionError:
        raise NotAWorkflow(f"{opening(what)} is nested too deeply for a workflow.") from None
    except _TwiceError as error:
        raise NotAWorkflow(f"{opening(what)}: {clip(error.key)!r} is there twice in one object.") from None
    except ValueError:
        raise NotAWorkflow(f"{opening(what)} holds a whole number of more digits than can be read.") from None


class _TwiceError(ValueError):
    """Raised inside `json` for a key that an object has twice."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        raise _TwiceError(next(key for key, _ in pairs if key in seen or seen.add(key)))
    return found


def clean(data: object, what: str) -> Prompt:
    """A checked copy of an API-format prompt; every node has a title.

    Only `class_type`, `inputs` and the title are kept. Raises `NotAWorkflow`, naming the node at fault.
    """
    if not is_mapping(data):
        kind = "a list" if isinstance(data, list) else "a single value"
        raise NotAWorkflow(
            f"{opening(what)} holds {kind}; an API-format workflow is an object with one entry per node."
        )
    if not data:
        raise NotAWorkflow(f"{opening(what)} holds no nodes.")
    prompt: Prompt = {}
    for key, node in data.items():
        node_id = str(key)
        where = f"{opening(what)}: node {clip(node_id)!r}"
        if node_id in prompt:
            raise NotAWorkflow(f"{where} is there twice.")
        prompt[node_id] = _clean_node(node, where)
    return prompt


def _clean_node(node: object, where: str) -> ApiNode:
    if not is_mapping(node):
        raise NotAWorkflow(
            f'{where} is not an object with "class_type" and "inputs", so this is not API format.'
        )
    class_type, inputs, meta = node.get("class_type"), node.get("inputs"), node.get("_meta")
    if not isinstance(class_type, str) or not class_type:
        raise NotAWorkflow(f'{where} has no "class_type", so this is not API format.')
    if not is_mapping(inputs):
        raise NotAWorkflow(f'{where} ({clip(class_type)}) has no "inputs" object, so this is not API format.')
    title = meta.get("title") if is_mapping(meta) else None
    return {
        "class_type": class_type,
        "inputs": {
            str(name): _clean_value(value, f"{where}, input {clip(str(name))!r}")
            for name, value in inputs.items()
        },
        "_meta": {"title": title if isinstance(title, str) and title.strip() else class_type},
    }


def _clean_value(value: object, where: str) -> Json:
    try:
        found = as_json(value, where)
    except WorkflowError as error:
        raise NotAWorkflow(str(error)) from None
    # A server unwraps lists before it saves a prompt, and takes them for broken links when it gets them back.
    return {"__value__": found} if isinstance(found, list) and read_link(found) is None else found
