"""What comes with comfy_nb to begin with: workflows at hand, a picture in one line, and the tour of notebooks."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from comfy_nb.comfy import Comfy, demo
from comfy_nb.job import Job
from comfy_nb.tracebacks import brief
from comfy_nb.workflow.graph import Workflow
from comfy_nb.workflow.values import RANDOM

__all__ = ["FIRST", "copy_tour", "example", "imagine"]

DEFAULT = "text_to_image"
FIRST = "01_first_job.ipynb"


def example(name: str = DEFAULT) -> Workflow:
    """A workflow that comes with comfy_nb: "text_to_image", "image_to_image", "sub_graph" and those of the tour.

    "sub_graph" is in ComfyUI's UI format, so it wants a connection, whose classes it is converted by. Raises
    `ValueError` for a name that there is not, with those that there are.
    """
    return Workflow.load(_path(name))


def imagine(
    prompt: str,
    comfy: Comfy | None = None,
    *,
    seed: int | None = None,
    changes: Mapping[str, object] | None = None,
) -> Job:
    """A picture from a text: the default workflow, sent to `comfy`, else to `demo()`; returns the started job.

    Without a `seed` one is drawn. `changes` are more inputs by path: ``cn.imagine("a castle", changes={"KSampler.cfg":
    5})``. Where the server does not have the workflow's checkpoint, its first one is taken.
    """
    server = demo() if comfy is None else comfy
    workflow = server.load(_path(DEFAULT))
    _take_known_checkpoint(workflow)
    wanted = {"Positive.text": prompt, "KSampler.seed": RANDOM if seed is None else seed}
    return server.submit(workflow.set(wanted), changes)


def _take_known_checkpoint(workflow: Workflow) -> None:
    """Have the workflow load a checkpoint that its server has: its own, else the first there is."""
    loader = workflow["Load Checkpoint"]
    known = workflow.classes.get(loader.class_type)
    spec = known.input("ckpt_name") if known else None
    if spec and spec.choices and loader["ckpt_name"] not in spec.choices:
        loader["ckpt_name"] = spec.choices[0]


def copy_tour(target: Path) -> list[Path]:
    """Copy the notebooks and their workflows into a folder, and return what was written: never over what is there."""
    tour = _tour()
    written: list[Path] = []
    for source in sorted([*tour.glob("*.ipynb"), *tour.glob("workflows/*.json")]):
        copy = target / source.relative_to(tour)
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            with source.open("rb") as given, copy.open("xb") as made:
                shutil.copyfileobj(given, made)
        except FileExistsError:
            continue
        written.append(copy)
    return written


def _tour() -> Path:
    """The folder of the notebooks: a wheel has it inside the package, a clone beside it."""
    installed = Path(__file__).with_name("tour")
    return installed if installed.is_dir() else Path(__file__).parents[1] / "notebooks"


def _path(name: str) -> Path:
    there = {path.stem: path for path in sorted(_tour().glob("workflows/*.json"))}
    if name not in there:
        raise brief(ValueError(f"There is no example {name!r}; there are {', '.join(map(repr, there))}."))
    return there[name]
