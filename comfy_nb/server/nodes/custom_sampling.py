"""The parts of a sampler as nodes of their own: noise, sigmas, solver, guider."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from comfy_nb.server.diffusion import schedules
from comfy_nb.server.diffusion.guidance import Guider, basic_guider, cfg_guider, dual_cfg_guider
from comfy_nb.server.diffusion.noise import Noise, NoNoise, RandomNoise
from comfy_nb.server.diffusion.samplers import SAMPLER_FUNCTIONS, Sampler, sampler
from comfy_nb.server.diffusion.sampling import SCHEDULERS, sample
from comfy_nb.server.diffusion.schedules import Sigmas
from comfy_nb.server.nodes.base import Context, NodeClass, NodeResult, Run, gives, gives_all
from comfy_nb.server.nodes.conditioning import Side, settle
from comfy_nb.server.nodes.fields import Field, combo, integer, number, seed, sigma, switch
from comfy_nb.server.nodes.sampling import CFG, latent_arguments, show_steps
from comfy_nb.server.nodes.values import Latent
from comfy_nb.server.worlds.base import World

__all__ = ["NODES"]


def _sample(
    context: Context, guider: Guider, noise: Noise, inputs: dict[str, Any], latent: Latent
) -> NodeResult:
    done = sample(
        guider,
        noise,
        inputs["sampler"],
        inputs["sigmas"],
        **latent_arguments(latent),
        callback=show_steps(context, guider.world),
    )
    return NodeResult(({**latent, "samples": done.samples}, {**latent, "samples": done.denoised}))


def _sample_custom(context: Context, inputs: dict[str, Any]) -> NodeResult:
    latent: Latent = inputs["latent_image"]
    positive, negative = (settle(inputs[name], latent["samples"]) for name in ("positive", "negative"))
    guider = cfg_guider(inputs["model"], positive, negative, inputs["cfg"])
    noise = RandomNoise(inputs["noise_seed"]) if inputs["add_noise"] else NoNoise(inputs["noise_seed"])
    return _sample(context, guider, noise, inputs, latent)


def _sample_advanced(context: Context, inputs: dict[str, Any]) -> NodeResult:
    latent: Latent = inputs["latent_image"]
    guider: Guider = inputs["guider"]
    sides = tuple((settle(side, latent["samples"]), weight) for side, weight in guider.sides)
    settled = Guider(guider.world, sides)
    return _sample(context, settled, inputs["noise"], inputs, latent)


def _sigmas(model: World, scheduler: str, steps: int, denoise: float) -> Sigmas:
    del model  # every world has the same noise levels
    return schedules.sigmas_for(scheduler, steps, denoise)


def _turbo_sigmas(model: World, steps: int, denoise: float) -> Sigmas:
    del model
    return schedules.sd_turbo(steps, denoise)


def _beta_sigmas(model: World, steps: int, alpha: float, beta: float) -> Sigmas:
    del model
    return schedules.beta(steps, alpha, beta)


def _solver(name: str, noise_device: str = "cpu", **options: Any) -> Sampler:
    del noise_device  # there is only one
    return sampler(name, **options)


def _solver_of(sampler_name: str) -> Sampler:
    return sampler(sampler_name)


def _noise_of(noise_seed: int) -> Noise:
    return RandomNoise(noise_seed)


def _guide(model: World, positive: Side, negative: Side, cfg: float) -> Guider:
    return cfg_guider(model, positive, negative, cfg)


def _guide_plainly(model: World, conditioning: Side) -> Guider:
    return basic_guider(model, conditioning)


def _guide_twice(
    *,
    model: World,
    cond1: Side,
    cond2: Side,
    negative: Side,
    cfg_conds: float,
    cfg_cond2_negative: float,
    style: str,
) -> Guider:
    del style  # the list has one
    return dual_cfg_guider(model, cond1, cond2, negative, cfg_conds, cfg_cond2_negative)


def _node(
    name: str, kind: tuple[str, str], run: Run, inputs: Mapping[str, Field], description: str
) -> NodeClass:
    """A node with one output; `kind` is its folder and its output's type."""
    folder, output = kind
    return NodeClass(
        name=name,
        category=f"model/sampling/{folder}",
        description=description,
        run=run,
        required=inputs,
        outputs=(output,),
        python_module="comfy_extras.nodes_custom_sampler",
    )


def _schedule(name: str, run: Run, **inputs: Field) -> NodeClass:
    return _node(name, ("schedulers", "SIGMAS"), run, inputs, "Noise levels from high to low.")


def _solver_node(name: str, solver: str, **inputs: Field) -> NodeClass:
    text = f"The solver {solver} with its settings."
    return _node(name, ("samplers", "SAMPLER"), gives(partial(_solver, solver)), inputs, text)


_STEPS = integer(20, 1, 10000)
_DENOISE = number(1.0, 0.0, 1.0, 0.01)
_MAX = sigma(14.614642)
_MIN = sigma(0.0291675)
_ETA = sigma(1.0, 100.0)
_DEVICE = combo(["gpu", "cpu"], advanced=True)
_MODEL: Field = ["MODEL", {}]
_SIDE: Field = ["CONDITIONING", {}]
_SIGMAS: Field = ["SIGMAS", {}]
_PLAIN = {"default": 1.0, "min": 0.0, "max": 100.0, "step": 0.01, "round": False}

_SCHEDULES = [
    _schedule(
        "BasicScheduler",
        gives(_sigmas),
        model=_MODEL,
        scheduler=combo(SCHEDULERS),
        steps=_STEPS,
        denoise=_DENOISE,
    ),
    _schedule(
        "KarrasScheduler",
        gives(schedules.karras),
        steps=_STEPS,
        sigma_max=_MAX,
        sigma_min=_MIN,
        rho=sigma(7.0, 100.0),
    ),
    _schedule(
        "ExponentialScheduler", gives(schedules.exponential), steps=_STEPS, sigma_max=_MAX, sigma_min=_MIN
    ),
    _schedule(
        "PolyexponentialScheduler",
        gives(schedules.polyexponential),
        steps=_STEPS,
        sigma_max=_MAX,
        sigma_min=_MIN,
        rho=sigma(1.0, 100.0),
    ),
    _schedule(
        "VPScheduler",
        gives(schedules.vp),
        steps=_STEPS,
        beta_d=sigma(19.9),
        beta_min=sigma(0.1),
        eps_s=number(0.001, 0.0, 1.0, 0.0001, round=False, advanced=True),
    ),
    _schedule(
        "BetaSamplingScheduler",
        gives(_beta_sigmas),
        model=_MODEL,
        steps=_STEPS,
        alpha=sigma(0.6, 50.0),
        beta=sigma(0.6, 50.0),
    ),
    _schedule(
        "SDTurboScheduler",
        gives(_turbo_sigmas),
        model=_MODEL,
        steps=integer(1, 1, 10),
        denoise=number(1.0, 0, 1.0, 0.01),
    ),
]

_SOLVERS = [
    _node(
        "KSamplerSelect",
        ("samplers", "SAMPLER"),
        gives(_solver_of),
        {"sampler_name": combo(list(SAMPLER_FUNCTIONS))},
        "A solver by its name: those of ComfyUI's that are built.",
    ),
    _solver_node("SamplerEulerAncestral", "euler_ancestral", eta=_ETA, s_noise=_ETA),
    _solver_node(
        "SamplerDPMPP_2S_Ancestral", "dpmpp_2s_ancestral", eta=["FLOAT", _PLAIN], s_noise=["FLOAT", _PLAIN]
    ),
    _solver_node(
        "SamplerDPMPP_SDE",
        "dpmpp_sde",
        eta=_ETA,
        s_noise=_ETA,
        r=sigma(0.5, 100.0),
        noise_device=_DEVICE,
    ),
    _solver_node(
        "SamplerDPMPP_2M_SDE",
        "dpmpp_2m_sde",
        solver_type=combo(["midpoint", "heun"]),
        eta=_ETA,
        s_noise=_ETA,
        noise_device=_DEVICE,
    ),
    _solver_node("SamplerDPMPP_3M_SDE", "dpmpp_3m_sde", eta=_ETA, s_noise=_ETA, noise_device=_DEVICE),
    _solver_node("SamplerLMS", "lms", order=integer(4, 1, 100, advanced=True)),
]

_GUIDERS = [
    _node(
        "CFGGuider",
        ("guiders", "GUIDER"),
        gives(_guide),
        {"model": _MODEL, "positive": _SIDE, "negative": _SIDE, "cfg": CFG},
        "Away from the negative prompt, towards the positive one.",
    ),
    _node(
        "BasicGuider",
        ("guiders", "GUIDER"),
        gives(_guide_plainly),
        {"model": _MODEL, "conditioning": _SIDE},
        "One prompt, without guidance.",
    ),
    _node(
        "DualCFGGuider",
        ("guiders", "GUIDER"),
        gives(_guide_twice),
        {
            "model": _MODEL,
            "cond1": _SIDE,
            "cond2": _SIDE,
            "negative": _SIDE,
            "cfg_conds": CFG,
            "cfg_cond2_negative": CFG,
            "style": combo(["regular"]),
        },
        "From the negative prompt towards the second, from there towards the first.",
    ),
]


def _sampler(name: str, run: Run, description: str, inputs: Mapping[str, Field]) -> NodeClass:
    return NodeClass(
        name=name,
        category="model/sampling/custom",
        description=description,
        run=run,
        required={**inputs, "sampler": ["SAMPLER", {}], "sigmas": _SIGMAS, "latent_image": ["LATENT", {}]},
        outputs=("LATENT", "LATENT"),
        output_names=("output", "denoised_output"),
        python_module="comfy_extras.nodes_custom_sampler",
    )


NODES = [
    _sampler(
        "SamplerCustom",
        _sample_custom,
        "Samples with a solver and noise levels of one's own.",
        {
            "model": _MODEL,
            "add_noise": switch(True, advanced=True),
            "noise_seed": seed("The seed of the starting noise."),
            "cfg": CFG,
            "positive": _SIDE,
            "negative": _SIDE,
        },
    ),
    _sampler(
        "SamplerCustomAdvanced",
        _sample_advanced,
        "Samples with parts that are all nodes of their own.",
        {"noise": ["NOISE", {}], "guider": ["GUIDER", {}]},
    ),
    *_SCHEDULES,
    *_SOLVERS,
    *_GUIDERS,
    _node(
        "RandomNoise",
        ("noise", "NOISE"),
        gives(_noise_of),
        {"noise_seed": seed("The seed of the noise: the same noise as ComfyUI's.")},
        "The noise of a seed.",
    ),
    _node(
        "DisableNoise",
        ("noise", "NOISE"),
        gives(NoNoise),
        {},
        "No noise, for latents that are noisy already.",
    ),
    _node(
        "FlipSigmas",
        ("sigmas", "SIGMAS"),
        gives(schedules.flip),
        {"sigmas": _SIGMAS},
        "Noise levels the other way round.",
    ),
    *(
        NodeClass(
            name=name,
            category="model/sampling/sigmas",
            description="Noise levels in two parts.",
            run=gives_all(function),
            required={"sigmas": _SIGMAS, **inputs},
            outputs=("SIGMAS", "SIGMAS"),
            output_names=("high_sigmas", "low_sigmas"),
            python_module="comfy_extras.nodes_custom_sampler",
        )
        for name, function, inputs in (
            ("SplitSigmas", schedules.split, {"step": integer(0, 0, 10000)}),
            ("SplitSigmasDenoise", schedules.split_denoise, {"denoise": _DENOISE}),
        )
    ),
]
