"""The node classes that the embedded server has, by the names ComfyUI gives them."""

from __future__ import annotations

from comfy_nb.server.nodes import images, models, sampling
from comfy_nb.server.nodes.base import NodeClass

__all__ = ["NODE_CLASSES"]

NODE_CLASSES: dict[str, NodeClass] = {
    node.name: node for module in (models, sampling, images) for node in module.NODES
}
