"""ComfyUI's own front end, served from the folder of its PyPI package; nothing of it is ours."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

__all__ = ["FrontEnd"]


class FrontEnd(StaticFiles):
    """The package's files at /. What is not there is 404, as without a front end."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, html=True)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file, which a browser keeps if its name says that it never changes."""
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405)
        response = await super().get_response(path, scope)
        lasting = Request(scope).url.path.startswith("/assets/")
        response.headers["cache-control"] = "max-age=31536000, immutable" if lasting else "no-cache"
        return response
