"""The HTTP and websocket routes of ComfyUI that the embedded server answers."""
