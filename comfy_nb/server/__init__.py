"""The embedded server behind `comfy_nb.demo()`: ComfyUI's protocol over exact diffusion, without weights.

`diffusion` is the sampler mathematics, `worlds` are the known distributions that are sampled; the rest serves them.
"""
