"""Files out and in: /view, /upload/image and /upload/mask."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from comfy_nb.server.files import FOLDER_TYPES, Folders, OutsideFolder
from comfy_nb.server.multipart import Part, parse_multipart
from comfy_nb.server.pictures import convert, with_alpha
from comfy_nb.server.routes.answers import empty, json_answer, read_body
from comfy_nb.server.shapes import is_object
from comfy_nb.server.state import state_of

__all__ = ["ROUTES"]

# What a browser would run; sent as a download only.
ACTIVE = {".htm", ".html", ".js", ".css", ".svg", ".xml", ".xhtml"}


async def view(request: Request) -> Response:
    """A file, or with `preview` or `channel` what they make of it."""
    params = request.query_params
    path = _wanted(state_of(request).folders, params)
    preview, channel = params.get("preview"), params.get("channel", "")
    if preview is None and channel not in ("rgb", "a"):
        active = path.suffix.lower() in ACTIVE
        media_type = "application/octet-stream" if active else None
        answer = FileResponse(path, headers={"x-content-type-options": "nosniff"}, media_type=media_type)
        return _named(answer, path.name, attachment=active)
    try:
        async with state_of(request).decoding:
            image = await run_in_threadpool(convert, path, preview, channel)
    except (OSError, ValueError) as error:
        raise HTTPException(500, "500 Internal Server Error: not an image.") from error
    return _named(Response(image.data, media_type=image.image_type), path.name)


def _named(answer: Response, name: str, *, attachment: bool = False) -> Response:
    """The answer, with the file's name in its head: as UTF-8, as on the original, and as RFC 8187 has it.

    Set as bytes, because starlette writes headers in Latin-1, which most names do not fit into.
    """
    plain = "".join("_" if letter == '"' or not letter.isprintable() else letter for letter in name)
    value = f'filename="{plain}"'
    if not plain.isascii():
        value += f"; filename*=UTF-8''{quote(plain.encode(errors='replace'), safe='')}"
    if attachment:
        value = f"attachment; {value}"
    answer.raw_headers.append((b"content-disposition", value.encode(errors="replace")))
    return answer


def _wanted(folders: Folders, params: Mapping[str, str]) -> Path:
    """The file that /view was asked for; HTTP 400, 403 or 404 if it cannot be had."""
    filename = params.get("filename")
    if not filename:
        raise HTTPException(404)
    kind = params.get("type", "output")
    if filename.startswith("/") or ".." in filename or kind not in FOLDER_TYPES:
        raise HTTPException(400)
    try:
        # The folder in the name is dropped, as on the original: `subfolder` says it.
        path = folders.find(filename.rpartition("/")[2], kind, params.get("subfolder", ""))
    except OutsideFolder as error:
        raise HTTPException(403) from error
    except OSError as error:  # a name that the file system cannot have
        raise HTTPException(404) from error
    if path is None:
        raise HTTPException(404)
    return path


async def upload_image(request: Request) -> Response:
    """Store a file in the input folder (or `type`), under a new name if another file has it."""
    fields = await _fields(request)
    return _stored(request, fields, _file(fields).data)


async def upload_mask(request: Request) -> Response:
    """Store the picture that `original_ref` names with the alpha channel of the one that is sent."""
    fields = await _fields(request)
    reference = _reference(fields)
    try:
        original = _wanted(state_of(request).folders, reference)
    except HTTPException as error:
        raise HTTPException(400 if error.status_code == 404 else error.status_code) from error
    try:
        async with state_of(request).decoding:
            data = await run_in_threadpool(with_alpha, original, _file(fields).data)
    except (OSError, ValueError) as error:
        raise HTTPException(500, f"500 Internal Server Error: {error}.") from error
    return _stored(request, fields, data)


async def _fields(request: Request) -> dict[str, Part]:
    body = await read_body(request)
    return await run_in_threadpool(parse_multipart, request.headers.get("content-type", ""), body)


def _file(fields: Mapping[str, Part]) -> Part:
    part = fields.get("image")
    if part is None or part.filename is None:
        raise HTTPException(500, "500 Internal Server Error: no file in the field image.")
    if not part.filename:
        raise HTTPException(400)
    return part


def _reference(fields: Mapping[str, Part]) -> dict[str, str]:
    """The file that a mask is for: what /view would be asked; HTTP 500 if that cannot be read."""
    try:
        reference: Any = json.loads(_text(fields, "original_ref"))
    except (ValueError, RecursionError):
        reference = None
    if not is_object(reference) or not all(isinstance(value, str) for value in reference.values()):
        raise HTTPException(500, "500 Internal Server Error: original_ref is not a reference to a file.")
    return reference


def _stored(request: Request, fields: Mapping[str, Part], data: bytes) -> Response:
    kind = _text(fields, "type") or "input"
    if kind not in FOLDER_TYPES:
        raise HTTPException(500, "500 Internal Server Error: unknown type.")
    name, subfolder = _file(fields).filename or "", _text(fields, "subfolder")
    overwrite = _text(fields, "overwrite") in ("true", "1")
    try:
        place = state_of(request).folders.store(data, name, kind, subfolder, overwrite=overwrite)
    except (OutsideFolder, OSError):
        return empty(400)
    return json_answer({"name": place.filename, "subfolder": place.subfolder, "type": place.type})


def _text(fields: Mapping[str, Part], name: str) -> str:
    part = fields.get(name)
    return "" if part is None else part.data.decode("utf-8", "replace")


ROUTES = [
    Route("/view", view),
    Route("/upload/image", upload_image, methods=["POST"]),
    Route("/upload/mask", upload_mask, methods=["POST"]),
]
