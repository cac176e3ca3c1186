"""Samplers: ways to solve dx/dsigma = (x - D(x; sigma)) / sigma down a falling list of noise levels.

Each is a plain function of one signature (see `base.Sampler`). They know nothing of worlds, prompts or scales.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from comfy_nb.server.diffusion.samplers.base import OnStep, Sampler, StepNoise
from comfy_nb.server.diffusion.samplers.multistep import deis, dpmpp_2m, gradient_estimation, ipndm, lms
from comfy_nb.server.diffusion.samplers.onestep import dpm_2, euler, heun, heunpp2
from comfy_nb.server.diffusion.samplers.stochastic import (
    ddpm,
    dpm_2_ancestral,
    dpmpp_2m_sde,
    dpmpp_2s_ancestral,
    dpmpp_3m_sde,
    dpmpp_sde,
    euler_ancestral,
    lcm,
    res_multistep,
)

__all__ = ["MASK_NOISE_APART", "SAMPLER_FUNCTIONS", "SKIP_LAST", "OnStep", "Sampler", "StepNoise", "sampler"]

_heun_sde = partial(dpmpp_2m_sde, solver_type="heun")

SAMPLER_FUNCTIONS: dict[str, Sampler] = {
    "euler": euler,
    "euler_ancestral": euler_ancestral,
    "heun": heun,
    "heunpp2": heunpp2,
    "dpm_2": dpm_2,
    "dpm_2_ancestral": dpm_2_ancestral,
    "lms": lms,
    "dpmpp_2s_ancestral": dpmpp_2s_ancestral,
    "dpmpp_sde": dpmpp_sde,
    "dpmpp_sde_gpu": dpmpp_sde,
    "dpmpp_2m": dpmpp_2m,
    "dpmpp_2m_sde": dpmpp_2m_sde,
    "dpmpp_2m_sde_gpu": dpmpp_2m_sde,
    "dpmpp_2m_sde_heun": _heun_sde,
    "dpmpp_2m_sde_heun_gpu": _heun_sde,
    "dpmpp_3m_sde": dpmpp_3m_sde,
    "dpmpp_3m_sde_gpu": dpmpp_3m_sde,
    "ddpm": ddpm,
    "lcm": lcm,
    "ipndm": ipndm,
    "deis": deis,
    "res_multistep": res_multistep,
    "res_multistep_ancestral": partial(res_multistep, eta=1.0),
    "gradient_estimation": gradient_estimation,
    "ddim": partial(euler),
}
"""The implemented samplers by ComfyUI's names, in ComfyUI's order. `ddim` differs from `euler` under masks only."""

SKIP_LAST = frozenset({"dpm_2", "dpm_2_ancestral"})
"""Samplers for which KSampler leaves the lowest noise level out, since they look halfway to 0."""

MASK_NOISE_APART = SAMPLER_FUNCTIONS["ddim"]
"""The sampler that noises what a mask keeps with noise of its own."""


def sampler(name: str, **options: Any) -> Sampler:
    """Give a sampler with its options set (`eta`, `s_noise`, `r`, `order`, `solver_type`, `gamma`: where it has them).

    Raises ValueError for an unknown name.
    """
    if name not in SAMPLER_FUNCTIONS:
        raise ValueError(f"no sampler {name!r}; there are {', '.join(SAMPLER_FUNCTIONS)}")
    function = SAMPLER_FUNCTIONS[name]
    return cast("Sampler", partial(function, **options)) if options else function
