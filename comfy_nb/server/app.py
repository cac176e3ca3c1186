"""The embedded server as one ASGI application, with its worker thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from comfy_nb.server.executor import run_worker
from comfy_nb.server.files import Folders
from comfy_nb.server.frontend import FrontEnd
from comfy_nb.server.guard import Guard
from comfy_nb.server.routes import files, info, jobs, prompts, readout, socket, users
from comfy_nb.server.state import ServerState
from comfy_nb.server.worlds import load_world

__all__ = ["create_app"]

WELCOME = """This is comfy_nb's embedded server: ComfyUI's protocol over exact diffusion, for notebooks and programs.

In a notebook:   import comfy_nb as cn; comfy = cn.connect("{url}")
ComfyUI's page:  pip install comfyui-frontend-package, then comfy-nb serve --frontend
"""
ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def create_app(
    folders: Folders,
    *,
    step_time: float,
    previews: bool = True,
    frontend: Path | None = None,
    token: str | None = None,
) -> Starlette:
    """The server over its folders.

    `step_time`: how many seconds each sampling step takes at least. `previews`: whether prompts that do not say get
    them. `frontend`: the folder of pages to serve at /. `token`: what every request has to show, if anything.
    """
    state = ServerState.create(folders, step_time=step_time, previews=previews)
    core = [*prompts.ROUTES, *info.ROUTES, *files.ROUTES, *users.ROUTES, *readout.ROUTES]
    sockets = [WebSocketRoute(path, socket.serve) for path in ("/ws", "/api/ws")]
    unknown = Route("/{path:path}", _unknown, methods=ALL_METHODS)
    page = Route("/", _say_what_it_is)
    rest: list[BaseRoute] = [page, unknown] if frontend is None else [Mount("/", FrontEnd(frontend))]
    app = Starlette(
        routes=[*sockets, *core, *map(_under_api, core), *jobs.ROUTES, *rest],
        middleware=[Middleware(Guard, token=token)],
        exception_handlers={HTTPException: _http_error},
        lifespan=_worker,
    )
    app.state.server = state
    return app


def _under_api(route: Route) -> Route:
    """The same route once more, where proxies and newer clients look for it."""
    return Route(f"/api{route.path}", route.endpoint, methods=list(route.methods or ()))


@contextlib.asynccontextmanager
async def _worker(app: Starlette) -> AsyncGenerator[None]:
    """The worker thread lives as long as the application serves."""
    state: ServerState = app.state.server
    state.hub.attach(asyncio.get_running_loop())
    arguments = (state.queue, state.executor, state.hub, _warm_up)
    worker = threading.Thread(target=run_worker, args=arguments, name="comfy_nb-worker", daemon=True)
    worker.start()
    try:
        yield
    finally:
        state.queue.close()


def _warm_up() -> None:
    """Build the world and its tables for the usual canvas, while the first client is still connecting."""
    world = load_world()
    world.mixture(world.empty(512, 512, 1).shape, ())


async def _say_what_it_is(request: Request) -> Response:
    """For somebody who opens the address in a browser, where ComfyUI has its page."""
    return PlainTextResponse(WELCOME.format(url=str(request.base_url).rstrip("/")))


async def _unknown(request: Request) -> Response:
    """As on the original: nothing to get here is 404, nothing to post to is 405."""
    return Response(status_code=404 if request.method in ("GET", "HEAD") else 405)


async def _http_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    # Only the texts of a 500 say more than the number does.
    return PlainTextResponse(error.detail if error.status_code == 500 else "", error.status_code)
