"""comfy-api-simplified: text to image, image to image with an upload, and a prompt that is refused."""

import sys
from pathlib import Path

from comfy_api_simplified import ComfyApiWrapper, ComfyWorkflowWrapper
from comfy_api_simplified.exceptions import ComfyApiError

url, workflow = sys.argv[1:3]
api = ComfyApiWrapper(url)
prompt = ComfyWorkflowWrapper(workflow)
prompt.set_node_param("CLIP Text Encode (Positive)", "text", "a fox")
prompt.set_node_param("KSampler", "steps", 4)

images = api.queue_and_wait_images(prompt, "Save Image")
assert list(images) == ["ComfyUI_00001_.png"], list(images)
picture = next(iter(images.values()))
assert picture.startswith(b"\x89PNG"), picture[:8]
assert api.get_queue() == {"queue_running": [], "queue_pending": []}

Path("mine.png").write_bytes(picture)
stored = api.upload_image("mine.png")
assert stored["name"] == "mine.png", stored

prompt.set_node_param("KSampler", "sampler_name", "nope")
try:
    api.queue_prompt(prompt)
    refusal = ""
except ComfyApiError as error:
    refusal = str(error)
assert "400" in refusal, refusal
