"""What the detail view of a board says beside the job's own view: its parameters, and the call that repeats it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_nb.workflow.plan import Parameter, Plan

__all__ = ["as_python", "describe"]

MAX_PARAMETERS = 200
MAX_VALUE = 2_000  # characters of one value that is shown


def describe(plan: Plan) -> dict[str, Any]:
    """Names and values as texts, and the Python that submits them again. Secrets are not among a plan's parameters."""
    shown = list(plan.parameters.items())[:MAX_PARAMETERS]
    return {
        "title": plan.title,
        "parameters": [[name, _text(value)] for name, value in shown],
        "code": as_python(dict(shown)),
    }


def as_python(parameters: Mapping[str, Parameter]) -> str:
    """The call that submits `wf`, the workflow that the job was made of, with these parameters."""
    lines = [f"    {name!r}: {value!r}," for name, value in parameters.items()]
    return "\n".join(["job = comfy.submit(wf, {", *lines, "})"])


def _text(value: Parameter) -> str:
    text = str(value)
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "…"
