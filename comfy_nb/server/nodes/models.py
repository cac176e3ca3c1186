"""Checkpoints and prompts: a world stands where a model, its text encoder and its VAE would."""

from __future__ import annotations

import logging
from typing import Any

from comfy_nb.server.nodes.base import Context, NodeClass, NodeResult
from comfy_nb.server.worlds import load_world
from comfy_nb.server.worlds.base import Conditioning, World

__all__ = ["CHECKPOINTS", "NODES"]

logger = logging.getLogger(__name__)

# The names under which ComfyUI's own templates ask for a checkpoint are aliases, so that they run unmodified.
CHECKPOINTS = {
    "demo-landscapes.safetensors": "landscapes",
    "v1-5-pruned-emaonly-fp16.safetensors": "landscapes",
    "v1-5-pruned-emaonly.safetensors": "landscapes",
    "v1-5-pruned-emaonly.ckpt": "landscapes",
    "sd_xl_base_1.0.safetensors": "landscapes",
    "dreamshaper_8.safetensors": "landscapes",
}

_ABOUT = (
    "Nothing is loaded: this is comfy_nb's embedded server, which samples a known world of pictures exactly, "
    "without weights. Every name here is that world; those of well-known checkpoints are only there so that "
    "workflows run."
)


def _load_checkpoint(_context: Context, inputs: dict[str, Any]) -> NodeResult:
    world = load_world(CHECKPOINTS[inputs["ckpt_name"]])
    return NodeResult((world, world, world))


def _encode_text(context: Context, inputs: dict[str, Any]) -> NodeResult:
    world: World = inputs["clip"]
    conditioning: Conditioning = world.encode_prompt(inputs["text"])
    if conditioning.unknown:
        words = ", ".join(conditioning.unknown)
        logger.warning("Node %s: the world %r does not know: %s", context.node_id, world.name, words)
    return NodeResult((conditioning,))


NODES = [
    NodeClass(
        name="CheckpointLoaderSimple",
        display_name="Load Checkpoint",
        category="model/loaders",
        description=_ABOUT,
        run=_load_checkpoint,
        required={"ckpt_name": [list(CHECKPOINTS), {"tooltip": _ABOUT}]},
        outputs=("MODEL", "CLIP", "VAE"),
        output_tooltips=(
            "The exact denoiser of a known world.",
            "Reads prompts: which words it knows and which it does not.",
            "Draws the sampled scene, and looks pictures up.",
        ),
    ),
    NodeClass(
        name="CLIPTextEncode",
        display_name="CLIP Text Encode (Prompt)",
        category="model/conditioning",
        description="Reads a prompt. Words that are not known are ignored, and named in the server's log.",
        run=_encode_text,
        required={
            "text": [
                "STRING",
                {
                    "multiline": True,
                    "dynamicPrompts": True,
                    "tooltip": "What the picture should hold, in words.",
                },
            ],
            "clip": ["CLIP", {"tooltip": "The world whose words are understood."}],
        },
        outputs=("CONDITIONING",),
        output_tooltips=("The words that were understood.",),
    ),
]
