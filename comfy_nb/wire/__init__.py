"""What ComfyUI says, typed: websocket frames (`messages`, `packing`) and HTTP replies (`records`). Pure."""
