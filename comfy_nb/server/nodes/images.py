"""Pictures in and out: load, save, preview, send; and any value as text."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any

from PIL import Image

from comfy_nb.server.files import Folders, OutsideFolder
from comfy_nb.server.nodes.base import Context, NodeClass, NodeResult, gives
from comfy_nb.server.nodes.fields import choice
from comfy_nb.server.nodes.values import PIXELS, check_canvas
from comfy_nb.server.pictures import FORMATS, png, read_image, read_mask, save_png

__all__ = ["NODES"]

_HIDDEN = {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}


def _save(context: Context, images: PIXELS, kind: str, prefix: str, compress_level: int) -> NodeResult:
    size: Mapping[str, object] = {"width": images.shape[2], "height": images.shape[1]}
    places = context.folders.reserve(kind, prefix, size, len(images))
    metadata: dict[str, Any] = {"prompt": context.prompt, **context.extra_data.get("extra_pnginfo", {})}
    for pixels, place in zip(images, places, strict=True):
        save_png(pixels, place.path, metadata, compress_level)
    return NodeResult((images,), {"images": [place.reference() for place in places]})


def _save_image(context: Context, inputs: dict[str, Any]) -> NodeResult:
    return _save(context, inputs["images"], "output", inputs["filename_prefix"], 4)


def _preview_image(context: Context, inputs: dict[str, Any]) -> NodeResult:
    return _save(context, inputs["images"], "temp", context.folders.temp_prefix(context.node_id), 1)


def _send_image(context: Context, inputs: dict[str, Any]) -> NodeResult:
    images: PIXELS = inputs["images"]
    for index, pixels in enumerate(images):
        context.step(index, len(images), png(pixels) if context.progress.listened() else None)
    return NodeResult()


def _preview_any(_context: Context, inputs: dict[str, Any]) -> NodeResult:
    text = str(inputs["source"])
    return NodeResult((text,), {"text": [text]})


def _load_image(context: Context, inputs: dict[str, Any]) -> NodeResult:
    path = context.folders.find(inputs["image"])
    if path is None:
        raise FileNotFoundError(f"Invalid image file: {inputs['image']}")
    with Image.open(path, formats=FORMATS) as image:
        check_canvas(*image.size, 1)
    return NodeResult(read_image(path))


def _load_mask(context: Context, inputs: dict[str, Any]) -> NodeResult:
    path = context.folders.find(inputs["image"])
    if path is None:
        raise FileNotFoundError(f"Invalid image file: {inputs['image']}")
    with Image.open(path, formats=FORMATS) as image:
        check_canvas(*image.size, 1)
    return NodeResult((read_mask(path, inputs["channel"]),))


def _itself(value: Any) -> Any:
    return value


def _image_problem(folders: Folders, name: Any) -> str | None:
    try:
        found = isinstance(name, str) and folders.find(name) is not None
    except OutsideFolder:
        found = False
    return None if found else f"Invalid image file: {name}"


def _image_digest(folders: Folders, inputs: dict[str, Any]) -> str:
    path = folders.find(inputs["image"])
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else ""


def _always_new(_folders: Folders, _inputs: dict[str, Any]) -> str:
    return uuid.uuid4().hex


_INT = {"min": 1 - 2**63, "max": 2**63 - 1, "control_after_generate": "fixed"}
_FLOAT = {"min": 1 - 2**63, "max": 2**63 - 1, "step": 0.1}
_PRIMITIVES: list[tuple[str, str, str, dict[str, Any]]] = [
    ("PrimitiveInt", "Int", "INT", _INT),
    ("PrimitiveFloat", "Float", "FLOAT", _FLOAT),
    ("PrimitiveString", "Text", "STRING", {"multiline": False}),
    ("PrimitiveStringMultiline", "Text (Multiline)", "STRING", {"multiline": True}),
    ("PrimitiveBoolean", "Boolean", "BOOLEAN", {}),
]

NODES = [
    NodeClass(
        name="SaveImage",
        display_name="Save Image",
        category="image",
        description="Saves the pictures to the server's output folder, with the workflow inside.",
        run=_save_image,
        required={
            "images": ["IMAGE", {"tooltip": "The images to save."}],
            "filename_prefix": [
                "STRING",
                {
                    "default": "ComfyUI",
                    "tooltip": "How the file names begin; may hold folders, %width%, %year%.",
                },
            ],
        },
        hidden=_HIDDEN,
        outputs=("IMAGE",),
        output_names=("images",),
        output_node=True,
    ),
    NodeClass(
        name="PreviewImage",
        display_name="Preview Image",
        category="image",
        description="Shows the pictures without keeping them.",
        run=_preview_image,
        required={"images": ["IMAGE"]},
        hidden=_HIDDEN,
        outputs=("IMAGE",),
        output_names=("images",),
        output_node=True,
    ),
    NodeClass(
        name="SaveImageWebsocket",
        display_name="Save Image (Websocket)",
        category="image",
        description="Sends the pictures over the websocket, as full-size PNGs; nothing is saved.",
        run=_send_image,
        required={"images": ["IMAGE"]},
        output_node=True,
        python_module="custom_nodes.websocket_image_save",
        changed=_always_new,
    ),
    NodeClass(
        name="PreviewAny",
        display_name="Preview as Text",
        category="utilities",
        description="Shows any value as text.",
        run=_preview_any,
        required={"source": ["*", {}]},
        outputs=("STRING",),
        output_node=True,
        python_module="comfy_extras.nodes_preview_any",
    ),
    NodeClass(
        name="LoadImage",
        display_name="Load Image",
        category="image",
        description="Loads a picture from the server's input folder. The mask is 1 minus its alpha.",
        run=_load_image,
        required={"image": [[], {"image_upload": True}]},
        outputs=("IMAGE", "MASK"),
        choices=lambda folders: {"image": folders.inputs()},
        changed=_image_digest,
        checks={"image": _image_problem},
    ),
    NodeClass(
        name="LoadImageMask",
        display_name="Load Image (as Mask)",
        category="image",
        description="Loads one channel of a picture as a mask; of alpha it is 1 minus alpha.",
        run=_load_mask,
        required={
            "image": [[], {"image_upload": True}],
            "channel": choice(["alpha", "red", "green", "blue"]),
        },
        outputs=("MASK",),
        choices=lambda folders: {"image": folders.inputs()},
        changed=_image_digest,
        checks={"image": _image_problem},
    ),
    *(
        NodeClass(
            name=name,
            display_name=title,
            category="utilities/primitive",
            description="A value to link to.",
            run=gives(_itself),
            required={"value": [kind, options]},
            outputs=(kind,),
            python_module="comfy_extras.nodes_primitive",
        )
        for name, title, kind, options in _PRIMITIVES
    ),
]
