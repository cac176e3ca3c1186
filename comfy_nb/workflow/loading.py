"""From a source to a prompt: what was read, converted where it is a UI-format graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from comfy_nb.errors import NotAWorkflow, Problem, WorkflowProblems
from comfy_nb.workflow.classes import NodeClass
from comfy_nb.workflow.convert import convert
from comfy_nb.workflow.names import opening
from comfy_nb.workflow.places import Place, Places
from comfy_nb.workflow.reading import Source, read
from comfy_nb.workflow.sources import Lookup
from comfy_nb.workflow.ui import read_ui
from comfy_nb.workflow.values import Prompt

__all__ = ["Made", "load"]


@dataclass(frozen=True, slots=True)
class Made:
    """A prompt, the UI-format graph that came with it, the file's stem, and what converting it left to say."""

    prompt: Prompt
    ui: dict[str, object] | None
    name: str
    notes: tuple[Problem, ...] = ()
    places: Places = field(default_factory=dict[tuple[str, str], Place])
    classes: Mapping[str, NodeClass] = field(default_factory=dict[str, NodeClass])


def load(source: Source, lookup: Lookup | None, *, strict: bool) -> Made:
    """Read a source, and convert what it holds if it must be. Raises `NotAWorkflow`, `WorkflowProblems`.

    `lookup` gives the classes that a UI-format graph is converted by; without it there is no conversion.
    """
    found = read(source)
    if found.prompt is not None:
        return Made(found.prompt, found.ui, found.name)
    ui = read_ui(cast("dict[object, object]", found.ui), found.what)
    classes = None if lookup is None else lookup(ui.class_names())
    if classes is None:
        raise NotAWorkflow(
            f"{opening(found.what)} is in ComfyUI's UI format; in ComfyUI use Workflow > Export (API) and load that "
            "file, or convert it here by a server's classes: connect() first, or pass object_info."
        )
    converted = convert(ui, classes)
    if converted.problems and strict:
        raise WorkflowProblems(
            f"{opening(found.what)} cannot be converted (strict=False leaves out what cannot)",
            tuple(converted.problems),
        )
    if not converted.prompt:
        raise NotAWorkflow(f"{opening(found.what)} holds no node that would run.")
    notes = (*converted.problems, *converted.notes)
    return Made(converted.prompt, found.ui, found.name, notes, converted.places, classes)
