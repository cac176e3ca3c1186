"""What a front end keeps on its server: who it is (always the one user), its settings, its files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from comfy_nb.server.files import OutsideFolder
from comfy_nb.server.routes.answers import empty, json_answer, read_body, read_json, read_object
from comfy_nb.server.state import state_of

__all__ = ["ROUTES"]

Json = dict[str, Any]


async def users(_request: Request) -> Response:
    """One user, whose settings are kept here."""
    return json_answer({"storage": "server", "migrated": True})


async def all_settings(request: Request) -> Response:
    """Every setting that was ever changed."""
    return json_answer(state_of(request).settings)


async def one_setting(request: Request) -> Response:
    """One setting; null if it was never changed."""
    return json_answer(state_of(request).settings.get(request.path_params["name"]))


async def change_settings(request: Request) -> Response:
    """Change some settings."""
    state_of(request).settings.update(await read_object(request))
    return empty()


async def change_setting(request: Request) -> Response:
    """Change one setting."""
    state_of(request).settings[request.path_params["name"]] = await read_json(request)
    return empty()


def _place(request: Request, name: str) -> Path:
    """The file of that name in the user's folder; HTTP 403 if the name leads out of it."""
    base = state_of(request).folders.user
    try:
        path = state_of(request).folders.within(base, name)
    except OutsideFolder as error:
        raise HTTPException(403) from error
    except OSError as error:
        raise HTTPException(404) from error
    return path


def _existing(request: Request, name: str) -> Path:
    """The same, of a file that must be there; HTTP 400 without a name, 404 without the file."""
    if not name:
        raise HTTPException(400)
    path = _place(request, name)
    try:
        found = path.is_file()
    except OSError:
        found = False
    if not found:
        raise HTTPException(404)
    return path


def _flag(request: Request, name: str, default: str = "false") -> bool:
    return request.query_params.get(name, default).lower() == "true"


def _info(path: Path, base: Path) -> Json:
    """A file as lists of files show it; times in milliseconds."""
    stat = path.stat()
    return {
        "path": path.relative_to(base).as_posix(),
        "size": stat.st_size,
        "modified": int(stat.st_mtime * 1000),
        "created": int(stat.st_ctime * 1000),
    }


def _answer(request: Request, path: Path) -> Response:
    base = state_of(request).folders.user
    return json_answer(
        _info(path, base) if _flag(request, "full_info") else path.relative_to(base).as_posix()
    )


async def list_files(request: Request) -> Response:
    """The files of one of the user's folders, as names, as parts of names or with what is known of them."""
    name = request.query_params.get("dir")
    if not name:
        raise HTTPException(400)
    folder = _place(request, name)
    if not folder.is_dir():
        return empty(404)
    pattern = "**/*" if _flag(request, "recurse") else "*"
    files = sorted(path for path in folder.glob(pattern) if path.is_file())
    if _flag(request, "full_info"):
        return json_answer([_info(path, folder) for path in files])
    names = [path.relative_to(folder).as_posix() for path in files]
    return json_answer([[each, *each.split("/")] for each in names] if _flag(request, "split") else names)


async def list_folder(request: Request) -> Response:
    """The files and folders in one folder, the user's own by default."""
    base = state_of(request).folders.user
    folder = _place(request, request.query_params.get("path", ""))
    if not folder.is_dir():
        return empty(404)
    return json_answer([_entry(path, base) for path in sorted(folder.iterdir())])


def _entry(path: Path, base: Path) -> Json:
    entry: Json = {"name": path.name, "path": path.relative_to(base).as_posix()}
    if path.is_dir():
        return {**entry, "type": "directory"}
    stat = path.stat()
    return {**entry, "type": "file", "size": stat.st_size, "modified": int(stat.st_mtime * 1000)}


async def get_file(request: Request) -> Response:
    """One file, as a download: nothing that was stored here runs as a page of this server."""
    path = _existing(request, request.path_params["name"])
    headers = {"content-disposition": "attachment", "x-content-type-options": "nosniff"}
    return FileResponse(path, headers=headers, media_type="application/octet-stream")


async def put_file(request: Request) -> Response:
    """Write one file; HTTP 409 if it is there and may not be overwritten."""
    if not request.path_params["name"]:
        raise HTTPException(400)
    path = _place(request, request.path_params["name"])
    data = await read_body(request)
    if path.exists() and not _flag(request, "overwrite", "true"):
        return empty(409)
    try:
        await run_in_threadpool(_write, path, data)
    except OSError:
        return empty(400)
    return _answer(request, path)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


async def delete_file(request: Request) -> Response:
    """Remove one file."""
    _existing(request, request.path_params["name"]).unlink()
    return empty(204)


async def move_file(request: Request) -> Response:
    """Give one file another name."""
    source = _existing(request, request.path_params["name"])
    target = _place(request, request.path_params["target"])
    if target.exists() and not _flag(request, "overwrite"):
        return empty(409)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)
    except OSError:
        return empty(400)
    return _answer(request, target)


ROUTES = [
    Route("/users", users),
    Route("/settings", all_settings),
    Route("/settings", change_settings, methods=["POST"]),
    Route("/settings/{name}", one_setting),
    Route("/settings/{name}", change_setting, methods=["POST"]),
    Route("/userdata", list_files),
    Route("/v2/userdata", list_folder),
    # Slashes in a name come percent-encoded, and are slashes again by the time a route sees them.
    Route("/userdata/{name:path}/move/{target:path}", move_file, methods=["POST"]),
    Route("/userdata/{name:path}", get_file),
    Route("/userdata/{name:path}", put_file, methods=["POST"]),
    Route("/userdata/{name:path}", delete_file, methods=["DELETE"]),
]
