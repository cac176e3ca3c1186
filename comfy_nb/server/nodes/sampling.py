"""KSampler and KSamplerAdvanced, and the one that shows what is still undecided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from comfy_nb.server.diffusion.sampling import SAMPLERS, SCHEDULERS, ksampler
from comfy_nb.server.nodes.base import Context, NodeClass, NodeResult
from comfy_nb.server.nodes.conditioning import settle
from comfy_nb.server.nodes.fields import Field, choice, integer, number, seed
from comfy_nb.server.nodes.values import Latent
from comfy_nb.server.pictures import preview_jpeg
from comfy_nb.server.worlds.base import Array, Factor, World
from comfy_nb.wire.messages import ProgressText

__all__ = ["CFG", "NODES", "latent_arguments", "show_steps"]

SURE = 0.9
"""How likely an option must be to be called decided."""


def show_steps(context: Context, world: World) -> Callable[[int, int, Array], None]:
    """What a sampler calls after each step: moves the bar, shows a preview if anybody looks, and waits."""

    def on_step(step: int, steps: int, x0: Array) -> None:
        seen = context.previews and context.progress.listened()
        context.step(step, steps, preview_jpeg(world.preview(x0[0])) if seen else None)
        context.pace()

    return on_step


def latent_arguments(latent: Latent) -> dict[str, Any]:
    """What samplers take of a latent."""
    return {
        "samples": latent["samples"],
        "mask": latent.get("noise_mask"),
        "batch_index": latent.get("batch_index"),
    }


def _run(context: Context, inputs: Mapping[str, Any], **more: Any) -> Latent:
    world: World = inputs["model"]
    latent: Latent = inputs["latent_image"]
    samples = ksampler(
        world,
        steps=inputs["steps"],
        cfg=inputs["cfg"],
        sampler_name=inputs["sampler_name"],
        scheduler=inputs["scheduler"],
        positive=settle(inputs["positive"], latent["samples"]),
        negative=settle(inputs["negative"], latent["samples"]),
        **latent_arguments(latent),
        **more,
        callback=show_steps(context, world),
    )
    return {**latent, "samples": samples}


def _sample(context: Context, inputs: dict[str, Any]) -> NodeResult:
    return NodeResult((_run(context, inputs, seed=inputs["seed"], denoise=inputs["denoise"]),))


def _sample_part(context: Context, inputs: dict[str, Any]) -> NodeResult:
    latent = _run(
        context,
        inputs,
        seed=inputs["noise_seed"],
        add_noise=inputs["add_noise"] == "enable",
        start_at_step=inputs["start_at_step"],
        end_at_step=inputs["end_at_step"],
        return_with_leftover_noise=inputs["return_with_leftover_noise"] == "enable",
    )
    return NodeResult((latent,))


def _sample_watched(context: Context, inputs: dict[str, Any]) -> NodeResult:
    """Also lists, per step, each factor's bits and best candidates.

    As a line that the node shows while it runs, as a table in text, and as data of the node's output.
    """
    seen: list[dict[str, Any]] = []

    def watch(step: int, sigma: float, factors: tuple[Factor, ...]) -> None:
        listed = [
            {"name": each.name, "bits": each.bits, "candidates": [list(pair) for pair in each.candidates]}
            for each in factors
        ]
        seen.append({"step": step, "sigma": sigma, "factors": listed})
        context.progress.tell(ProgressText(context.node_id, _status(factors), prompt_id=None))

    latent = _run(context, inputs, seed=inputs["seed"], denoise=inputs["denoise"], watch=watch)
    table = _table(seen)
    return NodeResult((latent, table), {"text": [table], "undecided": seen})


def _status(factors: Sequence[Factor]) -> str:
    """Say in one short line how much is open, and where most of it is."""
    most, total = max(factors, key=lambda each: each.bits), sum(factor.bits for factor in factors)
    if total < 0.05:
        return "All is decided"
    return f"{total:.1f} bits undecided, {most.bits:.1f} of them in the {most.name}"


def _table(seen: Sequence[Mapping[str, Any]]) -> str:
    """Lay the read-out out in columns: step, sigma, the bits of each factor, and what was decided at this step."""
    names = [factor["name"] for factor in seen[0]["factors"]] if seen else []
    lines = [f"{'step':>4} {'sigma':>7} " + "".join(f"{name:>9}" for name in names) + "  decided"]
    decided: dict[str, str] = {}
    for step in seen:
        sure = {
            factor["name"]: name
            for factor in step["factors"]
            for name, probability in factor["candidates"][:1]
            if probability >= SURE
        }
        news = ", ".join(name for factor, name in sure.items() if decided.get(factor) != name)
        bits = "".join(f"{factor['bits']:9.2f}" for factor in step["factors"])
        lines.append(f"{step['step']:4} {step['sigma']:7.3f} {bits}  {news}".rstrip())
        decided = sure
    return "\n".join(lines)


CFG = number(
    8.0, 0.0, 100.0, 0.1, round=0.01, tooltip="How strongly the prompts pull (classifier-free guidance)."
)
_MODEL: Field = ["MODEL", {"tooltip": "Whose denoiser is used."}]
_STEPS = integer(20, 1, 10000, tooltip="How many denoising steps.")
_SOLVER = {
    "sampler_name": choice(SAMPLERS, tooltip="The solver: those of ComfyUI's that are built."),
    "scheduler": choice(SCHEDULERS, tooltip="How the noise levels are spaced."),
    "positive": ["CONDITIONING", {"tooltip": "What to include."}],
    "negative": ["CONDITIONING", {"tooltip": "What to exclude."}],
    "latent_image": ["LATENT", {"tooltip": "The latent to denoise."}],
}
_KSAMPLER: dict[str, Field] = {
    "model": _MODEL,
    "seed": seed("The seed of the starting noise: the same noise as ComfyUI's."),
    "steps": _STEPS,
    "cfg": CFG,
    **_SOLVER,
    "denoise": number(
        1.0, 0.0, 1.0, 0.01, tooltip="1 starts from noise alone; less keeps part of the latent's picture."
    ),
}

NODES = [
    NodeClass(
        name="KSampler",
        display_name="KSampler",
        category="model/sampling",
        description="Removes noise from a latent, step by step, towards what the prompts ask for.",
        run=_sample,
        required=_KSAMPLER,
        outputs=("LATENT",),
        output_tooltips=("The denoised latent.",),
    ),
    NodeClass(
        name="KSamplerAdvanced",
        display_name="KSampler (Advanced)",
        category="model/sampling",
        description="A part of the steps of a KSampler; two of them in a row equal one.",
        run=_sample_part,
        required={
            "model": _MODEL,
            "add_noise": choice(["enable", "disable"], advanced=True),
            "noise_seed": seed("The seed of the starting noise."),
            "steps": _STEPS,
            "cfg": CFG,
            **_SOLVER,
            "start_at_step": integer(0, 0, 10000, advanced=True),
            "end_at_step": integer(10000, 0, 10000, advanced=True),
            "return_with_leftover_noise": choice(["disable", "enable"], advanced=True),
        },
        outputs=("LATENT",),
    ),
    NodeClass(
        name="KSamplerUndecided",
        display_name="KSampler (What Is Undecided)",
        category="comfy_nb",
        description="A KSampler that also says, at each step, what of the picture is still undecided: "
        "bits of each factor and the likeliest candidates.",
        run=_sample_watched,
        required=_KSAMPLER,
        outputs=("LATENT", "STRING"),
        output_names=("LATENT", "undecided"),
        python_module="custom_nodes.comfy_nb",
    ),
]
