"""How requests are read and answered, the way ComfyUI's own server does it."""

from __future__ import annotations

import itertools
import json
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from comfy_nb.server.shapes import is_list, is_object
from comfy_nb.server.state import MAX_UPLOAD

__all__ = ["empty", "json_answer", "parse_json", "read_body", "read_json", "read_object"]

MAX_DEPTH = 100
LONG = 64 * 1024


def json_answer(content: Any, status_code: int = 200) -> Response:
    """JSON, with NaN as Python writes it, as on the original."""
    # Set in the headers, because starlette would leave the charset out.
    headers = {"content-type": "application/json; charset=utf-8"}
    return Response(json.dumps(content), status_code, headers)


def empty(status_code: int = 200) -> Response:
    """No body."""
    return Response(status_code=status_code)


async def read_body(request: Request) -> bytes:
    """The request's body; HTTP 413 if it is larger than the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_UPLOAD:
            raise HTTPException(413)
    return bytes(body)


async def read_json(request: Request) -> Any:
    """The body as JSON, whatever its content type; HTTP 500 if it is none, as on the original, or too deep."""
    return await parse_json(await read_body(request))


async def parse_json(text: bytes) -> Any:
    """The text as JSON, read in a thread if it is long; HTTP 500 as above."""
    return await run_in_threadpool(_parsed, text) if len(text) > LONG else _parsed(text)


def _parsed(text: bytes) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HTTPException(500, "500 Internal Server Error: the body is not JSON.") from error
    if _is_deep(found):
        raise HTTPException(500, "500 Internal Server Error: the body is nested too deeply.")
    return found


def _is_deep(value: Any) -> bool:
    """Whether it is so deep that it could be read but, inside a history, not be written again."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        inside = (
            each.values() if is_object(each) else each for each in level if is_object(each) or is_list(each)
        )
        level = [*itertools.chain.from_iterable(inside)]
        if not level:
            return False
    return True


async def read_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object; HTTP 500 if it is none."""
    body = await read_json(request)
    if not is_object(body):
        raise HTTPException(500, "500 Internal Server Error: the body is not a JSON object.")
    return body
