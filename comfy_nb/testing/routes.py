"""ComfyUI's HTTP routes over a stage: the ones that a client of ours uses, and the errors it gives for the rest."""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import Scope

from comfy_nb.testing.faults import Page
from comfy_nb.testing.stage import Posted, Script, Stage
from comfy_nb.wire.fields import mapping, sequence, text

__all__ = ["features", "serve_http"]

NOTHING = Page(404, "application/octet-stream", b"")  # an unknown GET
NOT_ALLOWED = Page.text("405: Method Not Allowed", 405)  # an unknown POST
FAILED = Page.text("500 Internal Server Error", 500)  # a body that it cannot read


async def serve_http(stage: Stage, script: Script, scope: Scope, body: Any) -> Response:
    """Answer one request."""
    faults = stage.faults
    if faults.silent:
        await asyncio.Event().wait()
    page = faults.page or await _answer(stage, script, scope, body)
    return Response(page.body, page.status, media_type=page.media_type)


def features(version: str) -> dict[str, Any] | None:
    """The feature flags of a ComfyUI of that version; None before there were any."""
    return (
        {"supports_preview_metadata": True, "max_upload_size": 104857600}
        if since(version, "0.3.45")
        else None
    )


def since(version: str, release: str) -> bool:
    """Whether `version` is `release` or newer."""
    return _numbers(version) >= _numbers(release)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


async def _answer(stage: Stage, script: Script, scope: Scope, body: Any) -> Page:
    parts: list[str] = scope["path"].strip("/").split("/")
    under_api = parts[0] == "api"
    if under_api:
        if not stage.faults.api:
            return NOTHING if scope["method"] == "GET" else NOT_ALLOWED
        parts = parts[1:]
    match scope["method"], *parts:
        case "GET", "system_stats":
            return Page.json({"system": {"comfyui_version": stage.version}, "devices": []})
        case "GET", "features" if (flags := features(stage.version)) is not None:
            return Page.json(flags)
        case "GET", "prompt":
            return Page.json({"exec_info": {"queue_remaining": stage.remaining}})
        case "POST", "prompt":
            return await _post_prompt(stage, script, body)
        case "GET", "queue":
            return _queue(stage)
        case "POST", "queue":
            return _change_queue(stage, body)
        case "GET", "history", prompt_id:
            found = stage.find(prompt_id)
            return Page.json({prompt_id: found.history} if found and found.history else {})
        case "GET", "history":
            return _last_history(stage, scope)
        case "POST", "interrupt":
            target = text(mapping(body).get("prompt_id"))
            stage.stop_running(target or None if since(stage.version, "0.3.57") else None)
            return Page(200, "application/octet-stream", b"")
        case "POST", "jobs", prompt_id, "cancel" if under_api and since(stage.version, "0.26.0"):
            stopped = stage.remove_waiting(prompt_id) or stage.stop_running(prompt_id)
            if stopped:
                await stage.tell_queue()
            return Page.json({"cancelled": stopped})
        case "GET", "view":
            return _view(script, scope)
        case "GET", *_:
            return NOTHING
        case _:
            return NOT_ALLOWED


def _last_history(stage: Stage, scope: Scope) -> Page:
    """Those that are over, oldest first: all, or the last `max_items`."""
    query = parse_qs(scope["query_string"].decode())
    over = {prompt.id: prompt.history for prompt in stage.prompts if prompt.history is not None}
    count = int(query.get("max_items", [str(len(over))])[0])
    return Page.json(dict(list(over.items())[max(0, len(over) - count) :]))


async def _post_prompt(stage: Stage, script: Script, body: Any) -> Page:
    if stage.faults.post is not None and not stage.faults.post_runs:
        return stage.faults.post
    fields = mapping(body)
    if not isinstance(fields.get("prompt"), dict):
        return FAILED
    obeys = since(stage.version, "0.3.45") and not stage.faults.own_ids
    chosen = text(fields.get("prompt_id")) if obeys else ""
    prompt = Posted(chosen or str(uuid.uuid4()), len(stage.prompts), fields)
    stage.prompts.append(prompt)
    page = await script.reply(stage, prompt)
    await asyncio.sleep(stage.faults.post_after)
    return stage.faults.post or page


def _queue(stage: Stage) -> Page:
    running = [prompt.item() for prompt in stage.prompts if prompt.state == "running"]
    waiting = [prompt.item() for prompt in stage.prompts if prompt.state == "waiting"]
    return Page.json({"queue_running": running, "queue_pending": waiting})


def _change_queue(stage: Stage, body: Any) -> Page:
    for prompt_id in sequence(mapping(body).get("delete")):
        stage.remove_waiting(text(prompt_id))
    return Page(200, "application/octet-stream", b"")


def _view(script: Script, scope: Scope) -> Page:
    query = parse_qs(scope["query_string"].decode())
    name = query.get("filename", [""])[0]
    data = script.file(name)
    return Page(404, "application/octet-stream", b"") if data is None else Page(200, _media_type(name), data)


def _media_type(name: str) -> str:
    kinds = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp", "mp4": "video/mp4"}
    return kinds.get(name.rpartition(".")[2], "application/octet-stream")
