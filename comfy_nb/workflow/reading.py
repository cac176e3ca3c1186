"""From what people have (a path, text, bytes, a dict) to a clean prompt, or one sentence on why not."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from comfy_nb.errors import NotAWorkflow, WorkflowError
from comfy_nb.workflow.names import clip
from comfy_nb.workflow.values import ApiNode, Json, Prompt, as_json, is_mapping

MAX_BYTES = 64 * 1024 * 1024
"""The largest file or text that is read, in bytes."""

MAX_PATH = 4096
"""A text longer than this is JSON, not a path."""

Source = str | os.PathLike[str] | bytes | Mapping[str, object]


def read(source: Source) -> tuple[Prompt, str]:
    """The prompt, and the file's stem ("" if it is not from a file). Raises `NotAWorkflow`."""
    if is_mapping(source):
        return clean(source, "the dict"), ""
    if isinstance(source, bytes):
        return clean(_parse(source, "the data"), "the data"), ""
    if isinstance(source, str) and _is_json_text(source):
        data = source.removeprefix("\ufeff").encode(errors="surrogatepass")
        return clean(_parse(data, "the text"), "the text"), ""
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return clean(_parse(_read_file(path), str(path)), str(path)), path.stem
    kind = type(source).__name__
    raise NotAWorkflow(f"a workflow is a path, JSON text, bytes or a dict in API format, not of type {kind}")


def _is_json_text(source: str) -> bool:
    start = source.lstrip("\ufeff \t\r\n")[:1]
    return start in ("", "{", "[") or "\n" in source or len(source) > MAX_PATH


def _read_file(path: Path) -> bytes:
    try:
        # Opening a pipe or a device could wait for ever; so look first.
        is_file = stat.S_ISREG(path.stat().st_mode)
        data = b"" if not is_file else _read_at_most(path, MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotAWorkflow(f"there is no file {clip(str(path), 300)}") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise NotAWorkflow(f"{clip(str(path), 300)} cannot be read: {reason}") from error
    if not is_file:
        raise NotAWorkflow(f"{clip(str(path), 300)} is not a file")
    return data


def _read_at_most(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        return file.read(limit)


def _parse(data: bytes, what: str) -> object:
    if len(data) > MAX_BYTES:
        raise NotAWorkflow(f"{what} is larger than {MAX_BYTES // 1024**2} MB, too large for a workflow")
    if not data.strip():
        raise NotAWorkflow(f"{what} is empty")
    if data.startswith((b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8")):
        raise NotAWorkflow(
            f"{what} is a picture, and workflows are not read out of pictures yet; "
            "in ComfyUI open it and use Workflow > Export (API)"
        )
    try:
        # NaN may stand in places that nobody reads ("is_changed"); in an input it is refused below.
        return json.loads(data.decode(json.detect_encoding(data)))
    except json.JSONDecodeError as error:
        raise NotAWorkflow(
            f"{what} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except UnicodeDecodeError as error:
        raise NotAWorkflow(f"{what} is not JSON: byte {error.start} is not {error.encoding} text") from None
    except RecursionError:
        raise NotAWorkflow(f"{what} is nested too deeply for a workflow") from None
    except ValueError:
        raise NotAWorkflow(f"{what} holds a whole number of more digits than can be read") from None


def clean(data: object, what: str) -> Prompt:
    """A checked copy of an API-format prompt, or of a POST body around one; every node has a title.

    Only `class_type`, `inputs` and the title are kept. Raises `NotAWorkflow`, naming the node at fault.
    """
    if is_mapping(data) and is_mapping(inner := data.get("prompt")) and "class_type" not in inner:
        data, what = inner, f'the "prompt" of {what}'
    if not is_mapping(data):
        kind = "a list" if isinstance(data, list) else "a single value"
        raise NotAWorkflow(
            f"{what} holds {kind}; an API-format workflow is an object with one entry per node"
        )
    if isinstance(data.get("nodes"), list):
        raise NotAWorkflow(
            f"{what} is in ComfyUI's UI format; in ComfyUI use Workflow > Export (API) and load that file"
        )
    if not data:
        raise NotAWorkflow(f"{what} holds no nodes")
    prompt: Prompt = {}
    for key, node in data.items():
        node_id = str(key)
        where = f"{what}: node {clip(node_id)!r}"
        if node_id in prompt:
            raise NotAWorkflow(f"{where} is there twice")
        prompt[node_id] = _clean_node(node, where)
    return prompt


def _clean_node(node: object, where: str) -> ApiNode:
    if not is_mapping(node):
        raise NotAWorkflow(
            f'{where} is not an object with "class_type" and "inputs", so this is not API format'
        )
    class_type, inputs, meta = node.get("class_type"), node.get("inputs"), node.get("_meta")
    if not isinstance(class_type, str) or not class_type:
        raise NotAWorkflow(f'{where} has no "class_type", so this is not API format')
    if not is_mapping(inputs):
        raise NotAWorkflow(f'{where} ({clip(class_type)}) has no "inputs" object, so this is not API format')
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
        return as_json(value, where)
    except WorkflowError as error:
        raise NotAWorkflow(str(error)) from None
