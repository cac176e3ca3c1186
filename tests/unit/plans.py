"""The plan that the core's tests run: ComfyUI's default text-to-image workflow, of seven nodes."""

from __future__ import annotations

from typing import Any

from comfy_nb.events import Result
from comfy_nb.workflow.plan import Plan, make_plan

PROMPT_ID = "0447b7af-958e-4c14-8d75-8144f041cd8b"


def node(class_type: str, title: str | None = None, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs, "_meta": {"title": title or class_type}}


API: dict[str, Any] = {
    "4": node("CheckpointLoaderSimple", "Load Checkpoint", ckpt_name="tiny.safetensors"),
    "5": node("EmptyLatentImage", width=512, height=512, batch_size=1),
    "6": node("CLIPTextEncode", "Positive", text="a lighthouse at dusk", clip=["4", 1]),
    "7": node("CLIPTextEncode", "Negative", text="fog", clip=["4", 1]),
    "3": node(
        "KSampler",
        seed=7,
        steps=20,
        cfg=8.0,
        model=["4", 0],
        positive=["6", 0],
        negative=["7", 0],
        latent_image=["5", 0],
    ),
    "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
    "9": node("SaveImage", "Save Image", filename_prefix="pic", images=["8", 0]),
}
SAMPLER, DECODER, SAVER = "3", "8", "9"


def plan() -> Plan:
    return make_plan(API, PROMPT_ID)


def result(index: int, node_id: str = SAVER) -> Result:
    return Result(index, node_id, node_id, f"pic_{index}.png", "image/png", "image", saved=True)
