"""Nodes that say what runs: one that writes itself out into others, a switch of two branches, and a gate."""

from __future__ import annotations

from typing import Any

from comfy_nb.server.diffusion.sampling import SAMPLERS, SCHEDULERS
from comfy_nb.server.files import Folders
from comfy_nb.server.nodes.base import Blocked, Context, Expansion, Link, NodeClass, NodeResult
from comfy_nb.server.nodes.fields import MATCHED, Field, choice, integer, number, seed, switch

__all__ = ["NODES", "read_cfgs"]

MAX_CFG = 100.0
MAX_VALUES = 16


def read_cfgs(text: str) -> list[float]:
    """The CFGs of a text such as "1, 4, 8". Raises ValueError, with a sentence, for any other text."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not 1 <= len(values) <= MAX_VALUES or not all(0 <= each <= MAX_CFG for each in values):
        raise ValueError(
            f"Expected 1 to {MAX_VALUES} numbers from 0 to {MAX_CFG:g} with commas between them, such as 1, 4, 8; "
            f"got {text!r}."
        )
    return values


def _cfgs_problem(_folders: Folders, value: Any) -> str | None:
    try:
        read_cfgs(str(value))
    except ValueError as error:
        return str(error)
    return None


def _sweep(context: Context, inputs: dict[str, Any]) -> NodeResult:
    """One KSampler and one VAEDecode per CFG, and what lays their pictures together."""
    sampler = {name: value for name, value in inputs.items() if name not in ("cfgs", "vae")}
    written = Expansion(context.node_id)
    batch: Link = []
    for cfg in read_cfgs(str(inputs["cfgs"])):
        latent = written.add("KSampler", cfg=cfg, **sampler)
        picture = written.add("VAEDecode", samples=latent, vae=inputs["vae"])
        # Nodes run from the last input up: so the first CFG is sampled first.
        batch = written.add("ImageBatch", image2=picture, image1=batch) if batch else picture
    return NodeResult((batch,), expand=written)


def _switch(_context: Context, inputs: dict[str, Any]) -> NodeResult:
    return NodeResult((inputs[_chosen(inputs)],))


def _chosen(inputs: dict[str, Any]) -> str:
    return "on_true" if inputs["switch"] else "on_false"


def _gate(_context: Context, inputs: dict[str, Any]) -> NodeResult:
    return NodeResult((inputs["value"] if inputs["open"] else Blocked(inputs["note"].strip()),))


def _raw(kind: str, what: str) -> Field:
    """An input whose link is handed on to the nodes that are written."""
    return [kind, {"rawLink": True, "tooltip": what}]


def _matched(template: str, **options: Any) -> Field:
    """An input of any type: the same as all others of the template."""
    return [MATCHED, {**options, "template": {"template_id": template, "allowed_types": "*"}}]


_BRANCH = _matched("switch", lazy=True)

NODES = [
    NodeClass(
        name="KSamplerSweep",
        display_name="KSampler (CFG Sweep)",
        category="comfy_nb",
        description="The same noise sampled with several CFGs, as one batch of pictures. While it runs, this node "
        "writes itself out into a KSampler and a VAE Decode for each; after a change only the new ones are sampled.",
        run=_sweep,
        required={
            "model": _raw("MODEL", "Whose denoiser is used."),
            "seed": seed("The seed of the starting noise, the same for all."),
            "steps": integer(20, 1, 10000, tooltip="How many denoising steps."),
            "cfgs": [
                "STRING",
                {
                    "default": "1, 4, 8",
                    "multiline": False,
                    "tooltip": f"The CFGs, with commas between them; {MAX_VALUES} at most.",
                },
            ],
            "sampler_name": choice(SAMPLERS, tooltip="The solver."),
            "scheduler": choice(SCHEDULERS, tooltip="How the noise levels are spaced."),
            "positive": _raw("CONDITIONING", "What to include."),
            "negative": _raw("CONDITIONING", "What to exclude."),
            "latent_image": _raw("LATENT", "The latent to denoise."),
            "denoise": number(1.0, 0.0, 1.0, 0.01, tooltip="1 starts from noise alone."),
            "vae": _raw("VAE", "Draws the pictures."),
        },
        outputs=("IMAGE",),
        output_tooltips=("The pictures, in the order of the CFGs.",),
        python_module="custom_nodes.comfy_nb",
        checks={"cfgs": _cfgs_problem},
    ),
    NodeClass(
        name="ComfySwitchNode",
        display_name="If/Else Switch",
        category="utilities/logic",
        description="Gives one of two inputs. Only what the chosen one needs is run.",
        run=_switch,
        needs=lambda inputs: (_chosen(inputs),),
        required={"switch": ["BOOLEAN", {}], "on_false": _BRANCH, "on_true": _BRANCH},
        outputs=(MATCHED,),
        output_names=("output",),
        output_matchtypes=("switch",),
        python_module="comfy_extras.nodes_logic",
    ),
    NodeClass(
        name="Gate",
        display_name="Gate",
        category="comfy_nb",
        description="Passes its value on while it is open. While it is closed nothing that needs the value runs, "
        "such as a Save Image; all else does, and the run succeeds.",
        run=_gate,
        required={
            "value": _matched("gate"),
            "open": switch(True),
            "note": [
                "STRING",
                {
                    "default": "",
                    "multiline": False,
                    "tooltip": "If given, told at each node that is held up.",
                },
            ],
        },
        outputs=(MATCHED,),
        output_names=("value",),
        output_matchtypes=("gate",),
        python_module="custom_nodes.comfy_nb",
    ),
]
