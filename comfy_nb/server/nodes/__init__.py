"""The node classes that the embedded server has, by the names ComfyUI gives them."""

from __future__ import annotations

from comfy_nb.server.nodes import (
    conditioning,
    custom_sampling,
    flow,
    images,
    latents,
    masks,
    models,
    sampling,
)
from comfy_nb.server.nodes.base import NodeClass

__all__ = ["NODE_CLASSES"]

_MODULES = (models, conditioning, latents, sampling, custom_sampling, masks, images, flow)

NODE_CLASSES: dict[str, NodeClass] = {node.name: node for module in _MODULES for node in module.NODES}
