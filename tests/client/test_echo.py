"""A server that puts a secret into every field of every message and answer: no surface shows it."""

from __future__ import annotations

import dataclasses
import json
import logging
import types
import typing
from typing import Any

import pytest

import comfy_nb as cn
from comfy_nb.kernel.display import bundle
from comfy_nb.testing import Faults, Frames, Page, Posted, Stage
from comfy_nb.wire import messages as wire
from comfy_nb.wire.packing import pack
from tests.client.helpers import LIMIT, connected, graph

SECRET = "s3cret-of-mine"  # noqa: S105 - for these tests alone
FIXED = {"prompt_id", "state"}  # what must be right, or else nobody listens
KINDS = [kind for kind in typing.get_args(wire.Message) if kind is not wire.Unknown]


def full(hint: Any, prompt_id: str, name: str = "") -> Any:
    """A value of a field's type, with the secret in every text of it."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return filled(hint, prompt_id)
    if origin in (typing.Union, types.UnionType):
        return full(args[0], prompt_id, name)
    if origin is tuple:
        return (full(args[0], prompt_id, name),) * 2
    if origin is dict:
        return {"text": [f"text {SECRET}"], SECRET: SECRET, "images": [file()]}
    if hint is bytes:
        return b"\xff\xd8\xff\xe0 no picture"
    if hint in (int, float):
        return 3
    if name in FIXED:
        return {"prompt_id": prompt_id, "state": "running"}[name]
    return "image/jpeg" if name == "media_type" else f"{name} {SECRET}"


def filled(kind: Any, prompt_id: str) -> Any:
    """A message with every field set."""
    hints = typing.get_type_hints(kind)
    return kind(**{f.name: full(hints[f.name], prompt_id, f.name) for f in dataclasses.fields(kind)})


def file() -> dict[str, str]:
    return {"filename": f"{SECRET}.png", "subfolder": SECRET, "type": "output", "format": f"image/{SECRET}"}


class Echo(Frames):
    """Says everything there is to say, and then fails, in words and names that hold the secret."""

    def __init__(self, outcome: str) -> None:
        super().__init__(count=1, rate=0)
        self.outcome = outcome
        self.asked: list[str] = []

    def file(self, name: str) -> bytes | None:
        self.asked.append(name)
        return super().file(name)

    async def reply(self, stage: Stage, prompt: Posted) -> Page:
        page = await super().reply(stage, prompt)
        errors = {"errors": [error()], "class_type": SECRET, "dependent_outputs": [SECRET]}
        return Page.json(json.loads(page.body) | {"node_errors": {SECRET: errors, "3": errors}})

    async def work(self, stage: Stage) -> None:
        while True:
            prompt = await stage.next_waiting()
            for kind in KINDS:
                if kind not in (wire.ExecutionSuccess, wire.ExecutionError, wire.ExecutionInterrupted):
                    await stage.send(prompt, pack(filled(kind, prompt.id)))
            failed = filled(wire.ExecutionError, prompt.id)
            told = dataclasses.asdict(failed) | {"prompt_id": prompt.id}
            good = self.outcome == "succeeded"
            end = ["execution_success", {"prompt_id": prompt.id}] if good else ["execution_error", told]
            status = {"status_str": "success" if good else "error", "completed": good, "messages": [end]}
            outputs = {"9": {"images": [file()], "text": [f"text {SECRET}"]}, SECRET: {"text": [SECRET]}}
            item = [
                prompt.number,
                prompt.id,
                prompt.nodes,
                {"comfy_nb": {"title": SECRET, "name": SECRET}},
                [],
            ]
            stage.finish(prompt, {"prompt": item, "outputs": outputs, "status": status, "meta": {}})
            await stage.send(prompt, pack(filled(wire.Executing, prompt.id)))
            await stage.send(prompt, pack(wire.Executing(None, None, prompt.id)))


def error() -> dict[str, Any]:
    return {
        "type": f"odd {SECRET}",
        "message": f"message {SECRET}",
        "details": f"details {SECRET}",
        "extra_info": {
            "input_name": f"input {SECRET}",
            "received_value": f"{'x' * 30}{SECRET}",
            "input_config": [[SECRET, f"x{SECRET}"], {SECRET: SECRET}],
        },
    }


def surfaces(job: cn.Job) -> dict[str, object]:
    """All that a job shows, in a notebook and elsewhere. (Only the name by which a file is fetched stays as it is.)"""
    problem = job.exception(LIMIT)
    return {
        "repr": job,
        "snapshot": job.snapshot(),
        "plan": job.plan,
        "events": list(job.events()),
        "outputs": [(one, vars(one) if hasattr(one, "__dict__") else "") for one in job.outputs],
        "texts": job.outputs.text,
        "names": [output.name for output in job.outputs],
        "warnings": job.warnings,
        "error": (
            problem,
            repr(problem),
            getattr(problem, "__notes__", []),
            vars(problem) if problem else "",
        ),
        "widget state": job.view.get_state(),
        "mime bundle": job._repr_mimebundle_(),
        "saved notebook": bundle(job.view, text=repr(job)),
    }


def hidden(**told: object) -> None:
    for surface, content in told.items():
        text = str(content)
        at = text.find(SECRET[:8])
        assert at < 0, f"{surface}: {text[max(0, at - 200) : at + 100]}"


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
def test_no_surface_shows_what_is_echoed(outcome: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="comfy_nb")
    script = Echo(outcome)
    with connected(script, headers={"X-Api-Key": SECRET}, name="me") as (server, comfy):
        board = cn.JobBoard(comfy)
        job = comfy.submit(graph())
        job.exception(LIMIT)
        assert job.status == outcome
        hidden(**surfaces(job))
        assert len(job.warnings) >= 2, "the reply's words are there"
        assert f"{SECRET}.png" in script.asked, "a file is asked for by its own name"
        again = comfy.attach(job.id)
        hidden(**surfaces(again), board=board.view.get_state(), comfy=repr(comfy))
        with cn.connect(server.url, headers={"X-Api-Key": SECRET}) as other:
            hidden(**surfaces(other.attach(job.id)))
        server.faults = Faults(
            post=Page.json({"error": error(), "node_errors": {"3": {"errors": [error()]}}}, 400)
        )
        hidden(**surfaces(comfy.submit(graph())))
        server.faults = Faults(page=Page.text(f"no {SECRET}", 500))
        for ask in (comfy.check, lambda wf: comfy.attach("0447b7af-958e-4c14-8d75-8144f041cd8b")):
            with pytest.raises(cn.ComfyError) as caught:
                ask(graph())
            hidden(error=caught.value, repr=repr(caught.value))
        server.faults = Faults(page=Page(200, "text/html", f"<b>{SECRET}".encode()))
        with pytest.raises(cn.ComfyError) as caught:
            comfy.attach("0447b7af-958e-4c14-8d75-8144f041cd8b")
        hidden(error=caught.value)
        board.close()
    hidden(log=caplog.text)
