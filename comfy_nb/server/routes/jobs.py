"""The queue and the history as one list of jobs, and cancelling by id. Only under /api, as on the original."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comfy_nb.server.queue import PromptQueue, QueuedPrompt
from comfy_nb.server.routes.answers import json_answer, read_object
from comfy_nb.server.shapes import is_list, is_object
from comfy_nb.server.state import state_of

__all__ = ["ROUTES"]

Json = dict[str, Any]

STATUSES = ("pending", "in_progress", "completed", "failed", "cancelled")
SORT_KEYS = ("created_at", "execution_duration")
TEXT_PREVIEW = 1024
_ENDS = {"execution_success": "completed", "execution_error": "failed", "execution_interrupted": "cancelled"}


def _open_job(item: QueuedPrompt, status: str) -> Json:
    return {**_common(item.prompt_id, status, item.number, item.extra_data), **_output_summary({})}


def _common(prompt_id: str, status: str, number: float, extra_data: Json) -> Json:
    workflow = extra_data.get("extra_pnginfo", {}).get("workflow")
    job: Json = {
        "id": prompt_id,
        "status": status,
        "priority": number,
        "create_time": extra_data.get("create_time"),
        "workflow_id": workflow.get("id") if is_object(workflow) else None,
    }
    return {name: value for name, value in job.items() if value is not None}


def _ended_job(entry: Json) -> Json:
    number, prompt_id, _, extra_data, _ = entry["prompt"]
    times: dict[str, Json] = {message[0]: message[1] for message in entry["status"]["messages"]}
    end = next((name for name in _ENDS if name in times), None)
    job = _common(prompt_id, _ENDS.get(end or "", "failed"), number, extra_data)
    if "execution_start" in times:
        job["execution_start_time"] = times["execution_start"]["timestamp"]
    if end is not None:
        job["execution_end_time"] = times[end]["timestamp"]
    if end == "execution_error":
        job["execution_error"] = times[end]
    return {**job, **_output_summary(entry["outputs"])}


def _output_summary(outputs: Mapping[str, Mapping[str, list[Any]]]) -> Json:
    """How many files, and which one to show: rather saved than temporary, rather a file than a text."""
    shown = [
        (kind, {**value, "nodeId": node_id, "mediaType": kind} if kind != "text" else _text(value, node_id))
        for node_id, kinds in outputs.items()
        for kind, values in kinds.items()
        for value in values
    ]
    files = [value for kind, value in shown if kind != "text"]
    summary: Json = {"outputs_count": len(files), "previewable_outputs_count": len(files)}
    if shown:
        saved = [value for value in files if value.get("type") == "output"]
        summary["preview_output"] = (saved or files or [value for _, value in shown])[0]
    return summary


def _text(value: Any, node_id: str) -> Json:
    text = str(value)
    cut = {"truncated": True} if len(text) > TEXT_PREVIEW else {}
    return {"content": text[:TEXT_PREVIEW], **cut, "nodeId": node_id, "mediaType": "text"}


def _all_jobs(queue: PromptQueue) -> list[Json]:
    running, waiting, history = queue.snapshot_with_history()
    jobs = [_open_job(item, "pending") for item in waiting]
    jobs += [_open_job(item, "in_progress") for item in running]
    return jobs + [_ended_job(entry) for entry in history.values()]


def _wrong(text: str) -> Response:
    return json_answer({"error": text}, 400)


def _sort_value(job: Json, sort_by: str) -> float:
    if sort_by == "created_at":
        return job.get("create_time", 0)
    return job.get("execution_end_time", 0) - job.get("execution_start_time", 0)


async def list_jobs(request: Request) -> Response:
    """Jobs by status, sorted, a page at a time."""
    params = request.query_params
    statuses = [status for status in params.get("status", "").split(",") if status]
    sort_by, sort_order = params.get("sort_by", "created_at"), params.get("sort_order", "desc")
    if unknown := [status for status in statuses if status not in STATUSES]:
        return _wrong(f"Invalid status value(s): {', '.join(unknown)}. Valid values: {', '.join(STATUSES)}")
    if sort_by not in SORT_KEYS:
        return _wrong(f"sort_by must be one of: {', '.join(SORT_KEYS)}")
    if sort_order not in ("asc", "desc"):
        return _wrong("sort_order must be asc or desc")
    try:
        limit = int(params["limit"]) if "limit" in params else None
        offset = max(int(params.get("offset", 0)), 0)
    except ValueError:
        return _wrong("limit and offset must be whole numbers")
    if limit is not None and limit < 1:
        return _wrong("limit must be at least 1")
    jobs = [job for job in _all_jobs(state_of(request).queue) if not statuses or job["status"] in statuses]
    if "workflow_id" in params:
        jobs = [job for job in jobs if job.get("workflow_id") == params["workflow_id"]]
    jobs.sort(key=lambda job: _sort_value(job, sort_by), reverse=sort_order == "desc")
    page = jobs[offset:] if limit is None else jobs[offset : offset + limit]
    more = offset + len(page) < len(jobs)
    return json_answer(
        {"jobs": page, "pagination": {"offset": offset, "limit": limit, "total": len(jobs), "has_more": more}}
    )


async def get_job(request: Request) -> Response:
    """One job with its outputs; HTTP 404 if it neither waits, runs nor is in the history."""
    prompt_id = request.path_params["prompt_id"]
    running, waiting, history = state_of(request).queue.snapshot_with_history()
    for items, status in ((running, "in_progress"), (waiting, "pending")):
        for item in items:
            if item.prompt_id == prompt_id:
                return json_answer(_open_job(item, status))
    entry = history.get(prompt_id)
    if entry is None:
        return json_answer({"error": "Job not found"}, 404)
    workflow = {"prompt": entry["prompt"][2], "extra_data": entry["prompt"][3]}
    detail = {"outputs": entry["outputs"], "execution_status": entry["status"], "workflow": workflow}
    return json_answer({**_ended_job(entry), **detail})


async def cancel_job(request: Request) -> Response:
    """Stop or remove one job; says whether there was one to stop."""
    return json_answer({"cancelled": state_of(request).queue.cancel([request.path_params["prompt_id"]])})


async def cancel_jobs(request: Request) -> Response:
    """Stop or remove several; says whether there was at least one."""
    names = (await read_object(request)).get("job_ids")
    if not is_list(names):
        return _wrong("job_ids must be a list")
    if invalid := [name for name in names if not _is_uuid(name)]:
        return json_answer({"error": "job_ids must be UUIDs", "invalid_ids": invalid}, 400)
    return json_answer({"cancelled": state_of(request).queue.cancel(names)})


def _is_uuid(name: Any) -> bool:
    try:
        return isinstance(name, str) and str(uuid.UUID(name)) == name
    except ValueError:
        return False


ROUTES = [
    Route("/api/jobs", list_jobs),
    Route("/api/jobs/cancel", cancel_jobs, methods=["POST"]),
    Route("/api/jobs/{prompt_id}", get_job),
    Route("/api/jobs/{prompt_id}/cancel", cancel_job, methods=["POST"]),
]
