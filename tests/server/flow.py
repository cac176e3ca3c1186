"""Prompts that a real ComfyUI ran (tests/data/flow), run again on the embedded server."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterator
from pathlib import Path

from tests.server.talk import CHECKPOINT, Json, is_progress, talking
from tests.server.test_conformance import token

FOLDER = Path(__file__).parents[1] / "data" / "flow"
Runs = list[list[str]]


def recorded(name: str) -> list[tuple[Json, list[str | bytes], Json]]:
    """Of each prompt of a recording: the request, the frames that came, the history entry."""
    runs: list[tuple[Json, list[str | bytes], Json]] = []
    for record in map(json.loads, (FOLDER / f"{name}.jsonl").read_text().splitlines()):
        if record.get("method") == "POST":
            request: Json = record["request"]
            frames: list[str | bytes] = []
        elif record.get("kind") == "ws-in":
            frames.append(record["text"] if "text" in record else base64.b64decode(record["binary_b64"]))
        elif record.get("method") == "GET":
            runs.append((request, frames, next(iter(record["response"].values()))))
    return runs


def replay(url: str, name: str, *, interrupt_at: int | None = None, flags: bool = True) -> tuple[Runs, Runs]:
    """(what ours said, what ComfyUI said) to each prompt of a recording, as tokens.

    Before the first one, exactly what was cached for ComfyUI is cached for ours. ComfyUI takes outputs in the order
    of a Python set, ours in the order of the prompt: they are posted in the order it took. With `interrupt_at` each is
    interrupted at that step; what came between the step and the interrupt is left out.
    """
    runs = recorded(name)
    with talking(url, flags=flags) as talker:
        messages = [json.loads(frame) for frame in runs[0][1] if isinstance(frame, str)]
        known = next(m["data"]["nodes"] for m in messages if m["type"] == "execution_cached")
        talker.run(_only(_ours(*runs[0]), known))
        said: Runs = []
        for request, frames, entry in runs:
            start = len(talker.frames)
            pace = {"step_time": 0.02} if interrupt_at else {}
            prompt_id = talker.post(
                _ours(request, frames, entry), extra_data={**request["extra_data"], **pace}
            )
            if interrupt_at is not None:
                talker.until(lambda m: is_progress(m, interrupt_at))
                talker.http.post("/interrupt", json={"prompt_id": prompt_id})
            talker.until_end(prompt_id)
            said.append([*map(_token, talker.frames[start:])])
    heard = [[*map(_token, frames)] for _, frames, _ in runs]
    if interrupt_at is None:
        return said, heard
    return [[*_cut(run, interrupt_at)] for run in said], [[*_cut(run, interrupt_at)] for run in heard]


def _token(frame: str | bytes) -> str:
    """As in the other comparisons, but the cached nodes in any order: it is that of the prompt."""
    if isinstance(frame, str) and (m := json.loads(frame))["type"] == "execution_cached":
        return f"cached {sorted(m['data']['nodes'])}"
    return token(frame)


def _ours(request: Json, _: object, entry: Json) -> Json:
    prompt = copy.deepcopy(request["prompt"])
    prompt = {**{output: prompt[output] for output in entry["prompt"][4]}, **prompt}
    for node in prompt.values():
        if "ckpt_name" in node["inputs"]:
            node["inputs"]["ckpt_name"] = CHECKPOINT
    return prompt


def _only(prompt: Json, known: list[str]) -> Json:
    """A prompt that runs these nodes, and what they need."""
    shown = {f"shown {each}": {"class_type": "PreviewAny", "inputs": {"source": [each, 0]}} for each in known}
    nothing = {"nothing": {"class_type": "PreviewAny", "inputs": {"source": ""}}}
    return {**{each: prompt[each] for each in known}, **shown, **nothing}


def _cut(tokens: list[str], step: int) -> Iterator[str]:
    late = False
    for each in tokens:
        late = late and not each.startswith("interrupted")
        if not late:
            yield each
        late = late or (each.startswith("progress") and f" {step}/" in each)
