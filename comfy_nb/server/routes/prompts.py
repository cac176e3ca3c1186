"""Prompts come in, are listed, and are stopped: /prompt, /queue, /interrupt, /history."""

from __future__ import annotations

import math
import time
import uuid
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comfy_nb.server.queue import QueuedPrompt, weigh
from comfy_nb.server.routes.answers import (
    empty,
    json_answer,
    parse_json,
    read_body,
    read_json,
    read_object,
)
from comfy_nb.server.shapes import is_list, is_object
from comfy_nb.server.state import ServerState, state_of
from comfy_nb.server.validation import Refusal, problem, validate

__all__ = ["ROUTES"]

# Credentials for partner nodes have no use here and must not be shown by /queue and /history.
SECRETS = ("api_key_comfy_org", "auth_token_comfy_org")
MAX_STEP_TIME = 2.0


async def get_prompt(request: Request) -> Response:
    """How many prompts wait or run."""
    return json_answer({"exec_info": {"queue_remaining": state_of(request).queue.remaining}})


async def post_prompt(request: Request) -> Response:
    """Validate and queue a prompt.

    Beside ComfyUI's own keys, `extra_data.step_time` (0 to 2) sets how many seconds this run waits after each
    sampling step.
    """
    state = state_of(request)
    text = await read_body(request)
    body = await parse_json(text)
    number = next(state.numbers)
    try:
        # In a thread, because a prompt may be so large that everybody else would wait for it.
        item, node_errors = await run_in_threadpool(_accept, state, body, number, weigh(text))
        _put(state, item)
    except Refusal as refusal:
        return await run_in_threadpool(json_answer, refusal.body, 400)
    return json_answer({"prompt_id": item.prompt_id, "number": item.number, "node_errors": node_errors})


def _put(state: ServerState, item: QueuedPrompt) -> None:
    if not state.queue.put(item):
        message = "The prompts that wait take all the memory that there is for them"
        raise Refusal(problem("queue_full", message, "Send this one again when some of them have run."))


def _accept(state: ServerState, body: Any, counter: int, weight: int) -> tuple[QueuedPrompt, dict[str, Any]]:
    """The prompt to queue, and what was wrong with the outputs that are left out of it."""
    if not is_object(body) or "prompt" not in body:
        raise Refusal(problem("no_prompt", "No prompt provided", "No prompt provided"))
    prompt = body["prompt"]
    if not is_object(prompt):
        raise HTTPException(500, "500 Internal Server Error: the prompt is not a JSON object.")
    prompt_id = _prompt_id(body.get("prompt_id"))
    extra_data = _extra_data(body)
    targets: Any = body.get("partial_execution_targets")
    if targets is not None and not is_list(targets):
        raise HTTPException(500, "500 Internal Server Error: partial_execution_targets is not a list.")
    verdict = validate(prompt, state.folders, targets)
    number = _number(body, counter)
    item = QueuedPrompt(number, prompt_id, prompt, extra_data, verdict.outputs, weight)
    return item, verdict.node_errors


def _number(body: dict[str, Any], counter: int) -> float:
    if "number" not in body:
        return -counter if body.get("front") else counter
    try:
        number = float(body["number"])
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isnan(number):
        raise HTTPException(500, "500 Internal Server Error: number is not a number.")
    return number


def _prompt_id(given: Any) -> str:
    if given is None:
        return str(uuid.uuid4())
    try:
        canonical = isinstance(given, str) and str(uuid.UUID(given)) == given
    except ValueError:
        canonical = False
    if canonical:
        return given
    details = (
        "prompt_id must be a UUID string in canonical lowercase hyphenated form; "
        "omit it to let the server generate one"
    )
    raise Refusal(problem("invalid_prompt_id", "prompt_id must be a valid UUID", details))


def _extra_data(body: dict[str, Any]) -> dict[str, Any]:
    given = body.get("extra_data", {})
    if not is_object(given):
        raise HTTPException(500, "500 Internal Server Error: extra_data is not a JSON object.")
    extra = {name: value for name, value in given.items() if name not in SECRETS}
    if "client_id" in body:
        extra["client_id"] = body["client_id"]
    if not isinstance(extra.get("client_id"), str | int | float | None):
        raise Refusal(problem("invalid_client_id", "client_id must be a string"))
    if not is_object(extra.get("extra_pnginfo", {})):
        raise Refusal(problem("invalid_extra_pnginfo", "extra_data.extra_pnginfo must be an object"))
    step_time = extra.get("step_time", 0)
    if (
        isinstance(step_time, bool)
        or not isinstance(step_time, int | float)
        or not 0 <= step_time <= MAX_STEP_TIME
    ):
        message = f"extra_data.step_time must be a number of seconds from 0 to {MAX_STEP_TIME:g}"
        raise Refusal(problem("invalid_step_time", message, f"step_time: {step_time!r}"))
    extra["create_time"] = int(time.time() * 1000)
    return extra


async def get_queue(request: Request) -> Response:
    """What runs and what waits; the waiting ones unsorted, as on the original."""
    running, pending = state_of(request).queue.snapshot()
    return json_answer(
        {
            "queue_running": [item.as_list() for item in running],
            "queue_pending": [item.as_list() for item in pending],
        }
    )


async def post_queue(request: Request) -> Response:
    """Remove all waiting prompts, or those named; never says whether there were any."""
    queue, body = state_of(request).queue, await read_object(request)
    if body.get("clear"):
        queue.clear()
    queue.delete(_named(body))
    return empty()


def _named(body: dict[str, Any]) -> list[str]:
    """The prompts that are to be deleted; HTTP 500 if that is no list, and what is no id is none of them."""
    given: Any = body.get("delete") or []
    if not is_list(given):
        raise HTTPException(500, "500 Internal Server Error: delete is not a list.")
    return [each for each in given if isinstance(each, str)]


async def post_interrupt(request: Request) -> Response:
    """Stop the running prompt: the one named, or, if none is named, whatever runs."""
    try:
        body = await read_json(request)
    except HTTPException as error:
        if error.status_code != 500:
            raise
        body = dict[str, Any]()
    if not is_object(body):
        raise HTTPException(500, "500 Internal Server Error: the body is not a JSON object.")
    state_of(request).queue.interrupt_running(body.get("prompt_id") or None)
    return empty()


async def post_free(request: Request) -> Response:
    """Accepted and without effect: there are no models to unload."""
    await read_object(request)
    return empty()


async def get_history(request: Request) -> Response:
    """All ended prompts, oldest first, or the last `max_items`, or `max_items` from `offset`."""
    params = request.query_params
    try:
        max_items = int(params["max_items"]) if "max_items" in params else None
        offset = int(params.get("offset", -1))
    except ValueError as error:
        raise HTTPException(
            500, "500 Internal Server Error: max_items and offset are whole numbers."
        ) from error
    entries = state_of(request).queue.history(max_items=max_items, offset=offset)
    return await run_in_threadpool(json_answer, entries)


async def get_history_entry(request: Request) -> Response:
    """One ended prompt; an empty object if it is unknown or has not ended."""
    return json_answer(state_of(request).queue.history(request.path_params["prompt_id"]))


async def post_history(request: Request) -> Response:
    """Forget all ended prompts, or those named."""
    queue, body = state_of(request).queue, await read_object(request)
    if body.get("clear"):
        queue.forget_all()
    for prompt_id in _named(body):
        queue.forget(prompt_id)
    return empty()


ROUTES = [
    Route("/prompt", get_prompt),
    Route("/prompt", post_prompt, methods=["POST"]),
    Route("/queue", get_queue),
    Route("/queue", post_queue, methods=["POST"]),
    Route("/interrupt", post_interrupt, methods=["POST"]),
    Route("/free", post_free, methods=["POST"]),
    Route("/history", get_history),
    Route("/history", post_history, methods=["POST"]),
    Route("/history/{prompt_id}", get_history_entry),
]
