"""What a server's `/object_info` says about its node classes, as far as a client needs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from comfy_nb.workflow.values import is_mapping

__all__ = ["Classes", "InputSpec", "NodeClass"]

WIDGET_TYPES = frozenset(
    {
        "INT",
        "FLOAT",
        "STRING",
        "BOOLEAN",
        "COMBO",
        "COMFY_DYNAMICCOMBO_V3",
        "COMFY_DYNAMICGROUP_V3",
        "MARKDOWN",
        "TEXTAREA",
        "IMAGEUPLOAD",
        "COLOR",
        "COLORS",
        "CURVE",
        "BOUNDING_BOX",
        "BOUNDING_BOXES",
        "IMAGECOMPARE",
        "COMPOSITOR",
        "LOAD_3D",
        "WEBCAM",
        "AUDIO_RECORD",
        "CHART",
        "GALLERIA",
        "LIGHT_INFO_PREVIEW",
        "PAINTER",
        "RANGE",
        "RESOLUTION_PREVIEW",
        "VIDEO_EDIT",
    }
)
"""The types that the front end draws a widget for; all others are sockets only."""

LINK_TYPES = frozenset(
    {
        "MODEL",
        "CLIP",
        "VAE",
        "CONDITIONING",
        "LATENT",
        "IMAGE",
        "MASK",
        "AUDIO",
        "VIDEO",
        "CONTROL_NET",
        "CLIP_VISION",
        "CLIP_VISION_OUTPUT",
        "STYLE_MODEL",
        "GLIGEN",
        "UPSCALE_MODEL",
        "SAMPLER",
        "SIGMAS",
        "GUIDER",
        "NOISE",
        "HOOKS",
        "MESH",
        "VOXEL",
        "SVG",
    }
)
"""Types of links that ComfyUI itself makes: never a widget's, whatever part of a server's classes is known."""

_DEFAULTS: Mapping[str, object] = {
    "INT": 0,
    "FLOAT": 0,
    "BOOLEAN": False,
    "COLOR": "#000000",
    "COLORS": [],
    "BOUNDING_BOXES": [],
    "COMPOSITOR": {},
}

MAX_ROWS = 200
"""Rows of a dynamic group that are read."""

UPLOADS = ("image_upload", "video_upload", "audio_upload", "file_upload", "animated_image_upload")
"""Options of an input that takes the name of an uploaded file."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of a class: its type ("COMBO" for every list of choices), options, and default."""

    name: str
    type: str
    options: Mapping[str, object] = field(default_factory=dict[str, object])
    required: bool = True

    @property
    def is_widget(self) -> bool:
        """Whether the front end draws a widget for it, so that it can hold a value."""
        if self.options.get("forceInput"):
            return False
        # "socketless" is only said of widgets, also of kinds not known here.
        return self.widget_type in WIDGET_TYPES or "socketless" in self.options

    @property
    def is_unknown_kind(self) -> bool:
        """Whether its type is none that is known here, so that packs may draw a widget for it."""
        return not (
            self.is_widget
            or self.options.get("forceInput")
            or self.type in ("*", "COMFY_AUTOGROW_V3", "COMFY_MATCHTYPE_V3")
            or not LINK_TYPES.isdisjoint(self.type.split(","))
        )

    @property
    def widget_type(self) -> str:
        """The type whose widget is drawn; differs from `type` for inputs that take several."""
        other = self.options.get("widgetType")
        return other if isinstance(other, str) else self.type

    @property
    def choices(self) -> list[object] | None:
        """What may be chosen; None if it is no list of choices."""
        found = self.options.get("options")
        if self.type == "COMFY_DYNAMICCOMBO_V3":
            return [item.get("key") for item in self._option_items()]
        return cast("list[object]", found) if self.type == "COMBO" and isinstance(found, list) else None

    @property
    def default(self) -> object:
        """What the front end puts in a new node."""
        if "default" in self.options:
            return self.options["default"]
        choices = self.choices
        if choices is not None:
            return [] if self.options.get("multiselect") else next(iter(choices), None)
        if self.type == "COMFY_DYNAMICGROUP_V3":
            return self.rows[0]
        return _DEFAULTS.get(self.widget_type, "")

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """The smallest and the largest number allowed, None where there is no limit."""
        low, high = self.options.get("min"), self.options.get("max")
        return low if isinstance(low, int | float) else None, high if isinstance(high, int | float) else None

    @property
    def least(self) -> int:
        """How many inputs an autogrow input has at least."""
        template = self.options.get("template")
        found = template.get("min") if is_mapping(template) else None
        return found if isinstance(found, int) else 1

    def grown_name(self, number: int) -> str:
        """The name of the autogrow input of that number, without the group's."""
        template = self.options.get("template")
        names = _items(template.get("names")) if is_mapping(template) else []
        prefix = template.get("prefix") if is_mapping(template) else None
        return str(names[number]) if number < len(names) else f"{prefix or ''}{number}"

    @property
    def allowed_types(self) -> str:
        """The types that a match-type input takes, with commas between them."""
        template = self.options.get("template")
        return _type(template.get("allowed_types")) if is_mapping(template) else "*"

    @property
    def group(self) -> str:
        """The name of the group that a match-type input belongs to."""
        template = self.options.get("template")
        return str(template.get("template_id", "")) if is_mapping(template) else ""

    @property
    def takes_upload(self) -> bool:
        """Whether it names a file that people upload."""
        return any(self.options.get(name) for name in UPLOADS)

    def branch(self, value: object) -> tuple[InputSpec, ...]:
        """The inputs that a dynamic combo adds when `value` is chosen; their names are not prefixed yet."""
        for item in self._option_items():
            if item.get("key") == value:
                return tuple(_specs(item.get("inputs")))
        return ()

    def added(self, value: object) -> tuple[InputSpec, ...]:
        """The inputs that a pack's page adds after a list of choices when `value` is chosen: its "formats"."""
        formats = self.options.get("formats")
        found = formats.get(value) if is_mapping(formats) and isinstance(value, str) else None
        return tuple(
            _spec(name, parts[1:], required=True)
            for item in _items(found)
            if len(parts := _items(item)) > 1 and isinstance(name := parts[0], str)
        )

    @property
    def rows(self) -> tuple[int, int]:
        """The fewest and the most rows of a dynamic group."""
        low, high = self.options.get("min"), self.options.get("max")
        most = min(high, MAX_ROWS) if isinstance(high, int) else MAX_ROWS
        return (low if isinstance(low, int) and 0 <= low <= most else 0), most

    def row(self) -> tuple[InputSpec, ...]:
        """The inputs of each row of a dynamic group."""
        return tuple(_specs(self.options.get("template")))

    def template(self) -> tuple[InputSpec, ...]:
        """The inputs that an autogrow input repeats."""
        template = self.options.get("template")
        return tuple(_specs(template.get("input"))) if is_mapping(template) else ()

    def _option_items(self) -> list[Mapping[object, object]]:
        found = self.options.get("options")
        items = cast("list[object]", found) if isinstance(found, list) else []
        return [item for item in items if is_mapping(item)]


@dataclass(frozen=True, slots=True)
class NodeClass:
    """One class: its inputs (required ones first, in the front end's order) and the types of its outputs."""

    name: str
    display_name: str
    inputs: tuple[InputSpec, ...]
    outputs: tuple[str, ...]
    is_output: bool = False
    groups: tuple[str, ...] = ()
    """Of outputs that take on the type of what is connected: the group of inputs that they go by, else ""."""
    is_custom: bool = False
    """Whether it comes from a pack of custom nodes, whose code and page scripts may judge otherwise than is seen."""

    def input(self, name: str) -> InputSpec | None:
        """The input of that name, not looking into dynamic ones."""
        return next((spec for spec in self.inputs if spec.name == name), None)


class Classes(Mapping[str, NodeClass]):
    """The classes of a server, parsed as they are asked for; made from the JSON of `/object_info`."""

    def __init__(self, object_info: Mapping[str, object]) -> None:
        self._raw = object_info
        self._parsed: dict[str, NodeClass] = {}

    def __getitem__(self, name: str) -> NodeClass:
        if name not in self._parsed:
            raw = self._raw[name]
            if not is_mapping(raw):
                raise KeyError(name)
            self._parsed[name] = _node_class(name, raw)
        return self._parsed[name]

    @cached_property
    def made(self) -> frozenset[str]:
        """The types that any output of these classes has, in capitals."""
        outputs = (raw.get("output") for raw in self._raw.values() if is_mapping(raw))
        kinds = (kind for output in outputs for kind in _items(output) if isinstance(kind, str))
        return frozenset(part.strip().upper() for kind in kinds for part in kind.split(","))

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


def _node_class(name: str, raw: Mapping[object, object]) -> NodeClass:
    display = raw.get("display_name")
    groups = [item if isinstance(item, str) else "" for item in _items(raw.get("output_matchtypes"))]
    return NodeClass(
        name=name,
        display_name=display if isinstance(display, str) and display else name,
        inputs=tuple(_specs(raw.get("input"), raw.get("input_order"))),
        outputs=tuple(_type(item) for item in _items(raw.get("output"))),
        is_output=raw.get("output_node") is True,
        groups=tuple(groups),
        is_custom=str(raw.get("python_module", "")).startswith("custom_nodes"),
    )


def _specs(data: object, order: object = None) -> Iterator[InputSpec]:
    if not is_mapping(data):
        return
    for section in ("required", "optional"):
        inputs = data.get(section)
        if not is_mapping(inputs):
            continue
        first = _items(order.get(section)) if is_mapping(order) else []
        for name in dict.fromkeys([*(n for n in first if isinstance(n, str) and n in inputs), *inputs]):
            if isinstance(name, str):
                yield _spec(name, inputs[name], required=section == "required")


def _spec(name: str, data: object, *, required: bool) -> InputSpec:
    parts = _items(data)
    kind = parts[0] if parts else "*"
    found = parts[1] if len(parts) > 1 else None
    options = {str(key): value for key, value in found.items()} if is_mapping(found) else {}
    if isinstance(kind, list):  # the older way to write a list of choices
        options["options"] = _items(cast("object", kind))
    return InputSpec(name, _type(cast("object", kind)), options, required)


def _type(data: object) -> str:
    if isinstance(data, list):
        return "COMBO"
    return data if isinstance(data, str) and data else "*"


def _items(data: object) -> list[object]:
    return cast("list[object]", data) if isinstance(data, list) else []
