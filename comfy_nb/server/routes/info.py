"""What the server is and has: /system_stats, /features, /object_info, /models, and the empty lists."""

from __future__ import annotations

import os
import platform
import sys

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comfy_nb.server.nodes import NODE_CLASSES
from comfy_nb.server.nodes.models import LOADABLE
from comfy_nb.server.routes.answers import empty, json_answer
from comfy_nb.server.state import state_of

__all__ = ["ROUTES"]

# The release whose protocol is spoken; clients choose what they use by it.
PROTOCOL_VERSION = "0.33.0"

MODELS: dict[str, list[str]] = {
    **{kind: list(names) for kind, names in LOADABLE.items()},
    **{kind: [] for kind in ("loras", "embeddings", "controlnet", "upscale_models", "style_models")},
}


def _memory() -> tuple[int, int]:
    """(all, free) bytes of the machine's memory; zeros where the system does not say."""
    names = ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES")
    if not all(name in os.sysconf_names for name in names):
        return 0, 0
    page = os.sysconf("SC_PAGE_SIZE")
    return page * os.sysconf(names[0]), page * os.sysconf(names[1])


async def system_stats(_request: Request) -> Response:
    """The machine and the server; says openly that this is the embedded one."""
    total, free = _memory()
    system: dict[str, object] = {
        "os": sys.platform,
        "ram_total": total,
        "ram_free": free,
        "comfyui_version": PROTOCOL_VERSION,
        "required_frontend_version": "",
        "installed_templates_version": None,
        "required_templates_version": None,
        "comfy_package_versions": [],
        "python_version": f"{platform.python_version()} ({platform.python_implementation()})",
        "pytorch_version": "none: comfy_nb's embedded server samples exactly, with numpy",
        "embedded_python": False,
        "deploy_environment": "comfy_nb-embedded",
        "argv": [],
    }
    device = {
        "name": "cpu",
        "type": "cpu",
        "index": None,
        "vram_total": total,
        "vram_free": free,
        "torch_vram_total": 0,
        "torch_vram_free": 0,
    }
    return json_answer({"system": system, "devices": [device]})


async def features(request: Request) -> Response:
    """The same flags that a socket is told."""
    return json_answer(state_of(request).features)


async def object_info(request: Request) -> Response:
    """The definition of every node class."""
    folders = state_of(request).folders
    return await run_in_threadpool(
        lambda: json_answer({name: node.definition(folders) for name, node in NODE_CLASSES.items()})
    )


async def object_info_class(request: Request) -> Response:
    """The definition of one node class; an empty object if there is none."""
    node = NODE_CLASSES.get(request.path_params["name"])
    return json_answer({} if node is None else {node.name: node.definition(state_of(request).folders)})


async def models(_request: Request) -> Response:
    """The kinds of model."""
    return json_answer(list(MODELS))


async def models_of(request: Request) -> Response:
    """The models of one kind; HTTP 404 if there is no such kind."""
    names = MODELS.get(request.path_params["folder"])
    return empty(404) if names is None else json_answer(names)


async def experiment_models(_request: Request) -> Response:
    """The kinds of model once more, in the form that a front end's model library reads."""
    extensions = [".safetensors", ".ckpt"]
    return json_answer([{"name": name, "folders": [name], "extensions": extensions} for name in MODELS])


async def experiment_models_of(request: Request) -> Response:
    """The models of one kind in that form. They are no files: no size, no times."""
    names = MODELS.get(request.path_params["folder"])
    if names is None:
        return empty(404)
    return json_answer(
        [{"name": name, "pathIndex": 0, "modified": 0, "created": 0, "size": 0} for name in names]
    )


async def nothing_listed(_request: Request) -> Response:
    """An empty list: there is none of this here."""
    return json_answer([])


async def nothing_named(_request: Request) -> Response:
    """An empty object: there is none of this here."""
    return json_answer({})


ROUTES = [
    Route("/system_stats", system_stats),
    Route("/features", features),
    Route("/object_info", object_info),
    # A class may be called "KSampler //Inspire", and "%2F" comes decoded.
    Route("/object_info/{name:path}", object_info_class),
    Route("/models", models),
    Route("/models/{folder}", models_of),
    Route("/experiment/models", experiment_models),
    Route("/experiment/models/{folder}", experiment_models_of),
    *(Route(path, nothing_listed) for path in ("/embeddings", "/extensions")),
    *(
        Route(path, nothing_named)
        for path in ("/i18n", "/workflow_templates", "/global_subgraphs", "/node_replacements")
    ),
]
