"""Files out and in: /view and /upload/image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from comfy_nb.server.files import FOLDER_TYPES, Folders, OutsideFolder
from comfy_nb.server.multipart import Part, parse_multipart
from comfy_nb.server.pictures import convert
from comfy_nb.server.routes.answers import empty, json_answer, read_body
from comfy_nb.server.state import state_of

__all__ = ["ROUTES"]

# What a browser would run; sent as a download only.
ACTIVE = {".htm", ".html", ".js", ".css", ".svg", ".xml", ".xhtml"}


async def view(request: Request) -> Response:
    """A file, or with `preview` or `channel` what they make of it."""
    params = request.query_params
    path = _wanted(state_of(request).folders, params)
    headers = {"content-disposition": 'filename="{}"'.format(path.name.replace('"', "_"))}
    preview, channel = params.get("preview"), params.get("channel", "")
    if preview is None and channel not in ("rgb", "a"):
        media_type = None
        if path.suffix.lower() in ACTIVE:
            media_type = "application/octet-stream"
            headers = {"content-disposition": f"attachment; {headers['content-disposition']}"}
        headers["x-content-type-options"] = "nosniff"
        return FileResponse(path, headers=headers, media_type=media_type)
    try:
        image = await run_in_threadpool(convert, path, preview, channel)
    except (OSError, ValueError) as error:
        raise HTTPException(500, "500 Internal Server Error: not an image.") from error
    return Response(image.data, headers=headers, media_type=image.image_type)


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
    folders = state_of(request).folders
    fields = parse_multipart(request.headers.get("content-type", ""), await read_body(request))
    part = fields.get("image")
    if part is None or part.filename is None:
        raise HTTPException(500, "500 Internal Server Error: no file in the field image.")
    kind = _text(fields, "type") or "input"
    if kind not in FOLDER_TYPES:
        raise HTTPException(500, "500 Internal Server Error: unknown type.")
    if not part.filename:
        return empty(400)
    overwrite = _text(fields, "overwrite") in ("true", "1")
    try:
        place = folders.store(part.data, part.filename, kind, _text(fields, "subfolder"), overwrite=overwrite)
    except (OutsideFolder, OSError):
        return empty(400)
    return json_answer({"name": place.filename, "subfolder": place.subfolder, "type": place.type})


def _text(fields: Mapping[str, Part], name: str) -> str:
    part = fields.get(name)
    return "" if part is None else part.data.decode("utf-8", "replace")


ROUTES = [
    Route("/view", view),
    Route("/upload/image", upload_image, methods=["POST"]),
]
