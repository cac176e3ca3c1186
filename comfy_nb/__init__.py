"""comfy_nb: ComfyUI, live in a notebook."""
