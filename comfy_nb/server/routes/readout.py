"""What was undecided at each step of a prompt: a route that ComfyUI does not have."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comfy_nb.server.routes.answers import json_answer
from comfy_nb.server.state import state_of

__all__ = ["ROUTES"]


async def get_undecided(request: Request) -> Response:
    """The steps of each node that read them out: {node: [{"step", "sigma", "factors": [...]}]}; 404 before the end."""
    prompt_id: str = request.path_params["prompt_id"]
    entry = state_of(request).queue.history(prompt_id).get(prompt_id)
    if entry is None:
        return json_answer({"error": "No prompt of this id has ended."}, 404)
    outputs: dict[str, dict[str, Any]] = entry["outputs"]
    return json_answer({node: shown["undecided"] for node, shown in outputs.items() if "undecided" in shown})


ROUTES = [Route("/undecided/{prompt_id}", get_undecided)]
