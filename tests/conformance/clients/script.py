"""comfy-script: node classes made from /object_info, a workflow in Python, and its picture."""

import sys

from comfy_script.runtime import Workflow, load

load(sys.argv[1])

from comfy_script.runtime import nodes  # noqa: E402 - its names come from the server, after load()

with Workflow(wait=True):
    model, clip, vae = nodes.CheckpointLoaderSimple("v1-5-pruned-emaonly-fp16.safetensors")
    latent = nodes.EmptyLatentImage(256, 256, 1)
    positive, negative = nodes.CLIPTextEncode("a fox", clip), nodes.CLIPTextEncode("", clip)
    latent = nodes.KSampler(model, 5, 4, 4.0, "euler", "normal", positive, negative, latent, 1)
    saved = nodes.SaveImage(nodes.VAEDecode(latent, vae), "script")
image = saved.wait()[0].wait() if hasattr(saved.wait()[0], "wait") else saved.wait()[0]
assert image.size == (256, 256), image
