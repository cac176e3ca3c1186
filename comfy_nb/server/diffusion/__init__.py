"""Diffusion sampling as ComfyUI does it: starting noise, sigma schedules, samplers, and what KSampler makes of them."""
