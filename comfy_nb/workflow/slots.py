"""A saved node's inputs as the front end would show them: sockets with their links, widgets with their values.

`widgets_values` is a list in the order of the widgets, so which value is whose follows from the class. The
rules are those of the front end; "§" is a section of the protocol notes that they were taken from, and every
special case by class names the rule that it carries out.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from comfy_nb.workflow.classes import InputSpec, NodeClass
from comfy_nb.workflow.pages import added_by_page
from comfy_nb.workflow.ui import UiNode, UiSlot
from comfy_nb.workflow.values import is_mapping

__all__ = ["MISSING", "UNDEFINED", "Layout", "Slot", "lay_out", "misfits"]

MISSING = object()
"""No value, where None would be one."""

UNDEFINED = object()
"""The value of a widget that has none, such as a list of choices without any; it is not sent."""

# §9.3 step 4, "every widget with a name": these the front end adds itself, so no server speaks of them.
# They come after all others.
_ADDED: Mapping[str, InputSpec] = {
    "SaveGLB": InputSpec("image", "PREVIEW_3D", {"default": ""}),
    "Preview3D": InputSpec("image", "PREVIEW_3D", {"default": ""}),
}
# §9.3 step 4 again: the buttons above the viewer of a class that loads 3D models have names, and a fixed text each.
_BUTTONS_3D = {
    "upload 3d model": "upload3dmodel",
    "upload extra resources": "uploadExtraResources",
    "clear": "clear",
}


@dataclass(frozen=True, slots=True)
class Slot:
    """One input of a saved node. `value` is its widget's, or `MISSING` if it has none."""

    name: str
    type: str
    link: str | None = None
    value: object = MISSING
    is_socket: bool = True
    """Whether a link could come in."""
    is_dynamic_prompt: bool = False
    """Whether the front end takes its text for a dynamic prompt, "{a|b}"."""
    home: int | str = -1
    """Where its value stands in `widgets_values`: the number or the name; -1 if it does not."""
    control: str = ""
    """What the page does with it after each run: "randomize", "increment" or "decrement"."""
    group: str = ""
    """Of a match-type input: the inputs and outputs of one group take on one type."""

    @property
    def has_widget(self) -> bool:
        """Whether it can hold a value."""
        return self.value is not MISSING


@dataclass(frozen=True, slots=True)
class Layout:
    """The inputs of a node, and how well the saved values fit its class."""

    slots: list[Slot]
    defaulted: tuple[str, ...] = ()
    """Widgets for which the file has no value: it is older than they are. They have their defaults."""
    surplus: tuple[object, ...] = ()
    """Values that no widget took, without those that the front end keeps for its own use."""
    lost: tuple[str, ...] = ()
    """Names, or types, of values with a structure that no widget took: a pack's page knows what they mean."""
    emptied: tuple[str, ...] = ()
    """Widgets for which the file has null, where only a value makes sense. They have their defaults."""
    by_name: bool = False
    """Whether the values were given out by the names of the node's inputs, as their order is not the class's."""


CONTROLS = ("fixed", "increment", "decrement", "randomize", "increment-wrap")
_CONTROL_NAMES = ("control_after_generate", "control_filter_list", "control_before_generate")
_NO_INPUT = (None, "", "image", "video", "audio", "refresh", *CONTROLS)
"""Values that mean nothing to a server: nothing at all, the texts of buttons, and what the page does after a run."""


class _Values:
    """`widgets_values` being handed out, widget by widget."""

    def __init__(
        self, node: UiNode, node_class: NodeClass, named: Mapping[object, object] | None = None
    ) -> None:
        values = node.values
        self._by_name = named or (values if isinstance(values, Mapping) else node.named)
        self._is_object = isinstance(values, Mapping)
        self._rest = [] if isinstance(values, Mapping) else _without_forced(values, node_class)
        self._moved = len(self._rest) != len(values)
        # Newer files hold the values twice, in one order.
        names = [] if self._by_name is None or self._is_object else list(self._by_name)
        self._order = {name: at for at, name in enumerate(names)} if len(names) == len(values) else {}
        self._used: set[object] = set()
        self._odd: dict[object, object] = {}
        self._next = 0
        self.home: int | str = -1  # where the value that was taken last stands in the file
        self.control = ""
        self.defaulted: list[str] = []
        self.emptied: list[str] = []

    def take(self, name: str, default: object, controls: int = 0) -> object:
        """The value of a widget; `default` if the file has none (it may be older than the input)."""
        at = self._next
        self._next += 1 + controls
        self.control = ""
        if self._by_name is not None:
            self.home = name if self._is_object else self._order.get(name, -1)
            self._used.update((name, *(control for control in _CONTROL_NAMES if controls)))
            if controls:
                after = itertools.dropwhile(lambda key: key != name, self._by_name)
                self._note_control(self._by_name.get(next(itertools.islice(after, 1, None), None)))
            if name in self._by_name:
                return self._by_name[name]
        else:
            self.home = at if at < len(self._rest) and not self._moved else -1
            if controls and at + 1 < len(self._rest):
                self._note_control(self._rest[at + 1])
                if self._rest[at + 1] not in (None, *CONTROLS):  # a value in the place of the control
                    self._odd[at + 1] = self._rest[at + 1]
            if at < len(self._rest):
                return self._rest[at]
        self.home = -1
        self.defaulted.append(name)
        return default

    def _note_control(self, word: object) -> None:
        self.control = word if isinstance(word, str) and word in CONTROLS[1:] else ""

    def rest(self) -> dict[object, object]:
        """What no widget took, by its name, or its place in the list."""
        if self._by_name is not None:
            left = {name: value for name, value in self._by_name.items() if name not in self._used}
            named = Counter(map(repr, self._by_name.values()))
            for at, value in enumerate(self._rest):  # where the file holds the values twice, and they differ
                named[repr(value)] -= 1
                if named[repr(value)] < 0:
                    left[at] = value
            return left
        return self._odd | dict(enumerate(self._rest[self._next :], self._next))


def lay_out(
    node: UiNode,
    node_class: NodeClass,
    made: frozenset[str] | None = None,
    named: Mapping[object, object] | None = None,
) -> Layout:
    """The inputs of a node in the front end's order: sockets, widgets, then what only the file knows.

    `made` are the types of all outputs that are known, `named` the values by name where the file's order is wrong.
    """
    values = _Values(node, node_class, named)
    saved = {slot.name: slot for slot in node.inputs}
    drawn = _drawn(node, node_class, made, saved)
    sockets = [
        slot
        for spec in node_class.inputs
        if not spec.is_widget and spec.name not in drawn
        for slot in _sockets(spec, spec.name, saved)
    ]
    widgets = [
        slot
        for spec in node_class.inputs
        if spec.is_widget or spec.name in drawn
        for slot in _widgets(spec, spec.name, values, saved, node_class)
    ]
    widgets += _added(node, values, widgets[0].value if widgets else MISSING)
    known = {slot.name for slot in (*sockets, *widgets)}
    left = values.rest()
    page = added_by_page(node, node_class, left, known)
    for name, value, home in page.inputs:
        widgets.append(Slot(name, "*", saved[name].link if name in saved else None, value, home=home))
        known.add(name)
    dynamic = tuple(f"{spec.name}." for spec in node_class.inputs if spec.type == "COMFY_DYNAMICCOMBO_V3")
    # A dynamic combo drops the inputs of what is not chosen; all others that the file has are kept.
    rest = [
        Slot(slot.name, slot.type, slot.link)
        for slot in saved.values()
        if slot.name not in known and not slot.name.startswith(dynamic)
    ]
    surplus = tuple(
        value
        for name, value in left.items()
        if name not in page.taken and name not in _CONTROL_NAMES and not _means_nothing(value)
    )
    lost = tuple(
        str(name) if isinstance(name, str) else f"a {type(value).__name__}"
        for name, value in left.items()
        if node_class.is_custom and name not in page.taken and _has_structure(value)
    )
    slots, emptied = _filled([*sockets, *widgets, *rest], node_class)
    layout = Layout(slots, tuple(values.defaulted), surplus, lost, emptied, by_name=named is not None)
    # A name is a better guide than the order, but the order is what the front end goes by, so it comes first.
    if (
        named is None
        and node.named is None
        and next(misfits(layout), None)
        and (names := _names_of_values(node))
    ):
        other = lay_out(node, node_class, made, names)
        return layout if next(misfits(other), None) else other
    return layout


def _means_nothing(value: object) -> bool:
    return any(value is nothing or (isinstance(value, str) and value == nothing) for nothing in _NO_INPUT)


def _has_structure(value: object) -> bool:
    return isinstance(value, dict | list) and value not in ({}, [])


def _filled(slots: list[Slot], node_class: NodeClass) -> tuple[list[Slot], tuple[str, ...]]:
    """Widgets for numbers with null for a value get their default: no server takes null for a number."""
    emptied: list[str] = []
    for index, slot in enumerate(slots):
        if slot.value is None and slot.type in ("INT", "FLOAT", "BOOLEAN"):
            spec = node_class.input(slot.name)
            slots[index] = replace(slot, value=spec.default if spec else UNDEFINED)
            emptied.append(slot.name)
    return slots, tuple(emptied)


def _drawn(
    node: UiNode, node_class: NodeClass, made: frozenset[str] | None, saved: Mapping[str, UiSlot]
) -> set[str]:
    """The inputs of kinds that are not known here and that are widgets: no link is of such a type.

    Where not all classes are known, the file tells: every socket of a node is among its inputs.
    """
    found: set[str] = set()
    for spec in node_class.inputs:
        if spec.is_unknown_kind:
            slot = saved.get(spec.name)
            if slot is not None:
                is_widget = slot.widget is not None
            else:
                is_widget = made is not None and spec.type.upper() not in made and len(node.values) > 0
            if is_widget:
                found.add(spec.name)
    return found


def _names_of_values(node: UiNode) -> dict[object, object]:
    """The values by the names of the widgets among the node's inputs, which stood in the order of the values."""
    values = node.values if isinstance(node.values, list) else []
    names = [slot.widget for slot in node.inputs if slot.widget]
    found: dict[object, object] = {}
    at = 0
    for name in names:
        if at >= len(values):
            return {}
        found[name] = values[at]
        at += 1
        if at < len(values) and values[at] in CONTROLS and len(values) - at > len(names) - len(found):
            found.setdefault("control_after_generate", values[at])
            at += 1
    return found if len(found) > 1 and all(_means_nothing(value) for value in values[at:]) else {}


def misfits(layout: Layout) -> Iterator[Slot]:
    """The widgets whose saved value is not of their type: the values of the file belong to other widgets."""
    for slot in layout.slots:
        kinds = _KINDS.get(slot.type)
        if kinds is not None and slot.has_widget and slot.value is not UNDEFINED:
            # A text may hold a number, and 0 and 1 are as good as false and true.
            as_text = slot.type in ("INT", "FLOAT") and isinstance(slot.value, str) and _is_number(slot.value)
            if slot.value is not None and not isinstance(slot.value, kinds) and not as_text:
                yield slot


_KINDS: Mapping[str, tuple[type, ...]] = {
    "INT": (int, float),
    "FLOAT": (int, float),
    "BOOLEAN": (bool, int),
    "STRING": (str, int, float),
}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _sockets(spec: InputSpec, name: str, saved: Mapping[str, UiSlot]) -> Iterator[Slot]:
    if spec.type == "COMFY_AUTOGROW_V3":
        yield from _grown(spec, name, saved)
    else:
        link = saved[name].link if name in saved else None
        if spec.type == "COMFY_MATCHTYPE_V3":
            yield Slot(name, spec.allowed_types, link, group=spec.group)
        else:
            yield Slot(name, spec.type, link)


def _grown(spec: InputSpec, name: str, saved: Mapping[str, UiSlot]) -> Iterator[Slot]:
    """The inputs that an autogrow input grew: those that the file has, in its order."""
    template = spec.template()
    for slot in saved.values():
        if slot.name.startswith(f"{name}."):
            yield Slot(slot.name, template[0].type if len(template) == 1 else slot.type, slot.link)


def _widgets(
    spec: InputSpec, name: str, values: _Values, saved: Mapping[str, UiSlot], node_class: NodeClass
) -> Iterator[Slot]:
    if spec.type == "LOAD_3D" and node_class.input("model_file") is not None:
        for button, text in _BUTTONS_3D.items():
            yield Slot(button, "BUTTON", None, values.take(button, text), is_socket=False)
    if spec.type == "COMFY_DYNAMICGROUP_V3":
        yield from _rows(spec, name, values, saved, node_class)
        return
    controls = _controls(spec, name)
    if (
        spec.type == "IMAGECOMPARE"
    ):  # §9.3 step 4: a widget, but one that is never saved and empty when it is queued
        value: object = ["", ""]
    else:
        default = UNDEFINED if spec.default is None else spec.default
        value = values.take(name, default, controls)
    yield Slot(
        name,
        spec.type,
        saved[name].link if name in saved else None,
        value,
        is_socket=not spec.options.get("socketless"),
        is_dynamic_prompt=spec.type == "STRING" and spec.options.get("dynamicPrompts") is True,
        home=values.home if spec.type != "IMAGECOMPARE" else -1,
        control=values.control if controls else "",
    )
    yield from _refresh_button(spec, values)
    # §9.3: "dynamic combos add widgets depending on the value chosen".
    for inner in spec.branch(value):
        yield from _inner(inner, f"{name}.{inner.name}", values, saved, node_class)
    for more in spec.added(value):
        yield from _inner(more, more.name, values, saved, node_class)


def _rows(
    spec: InputSpec, name: str, values: _Values, saved: Mapping[str, UiSlot], node_class: NodeClass
) -> Iterator[Slot]:
    """A dynamic group: how many rows there are, which is not sent, and then their fields, "name.0.field"."""
    low, most = spec.rows
    count = values.take(name, low)
    fields = spec.row()
    for number in range(max(low, min(count, most)) if isinstance(count, int) else low):
        for inner in fields:
            yield from _inner(inner, f"{name}.{number}.{inner.name}", values, saved, node_class)


def _inner(
    spec: InputSpec, name: str, values: _Values, saved: Mapping[str, UiSlot], node_class: NodeClass
) -> Iterator[Slot]:
    if spec.is_widget:
        yield from _widgets(spec, name, values, saved, node_class)
    else:
        yield from _sockets(spec, name, saved)


def _refresh_button(spec: InputSpec, values: _Values) -> Iterator[Slot]:
    """§9.3 step 4: a list that the page fetches itself has a button to fetch it again, with a name and a fixed text.

    Before it stands a switch, whether to do so after every run, which is saved but never sent.
    """
    remote = spec.options.get("remote")
    if is_mapping(remote) and remote.get("refresh_button"):
        values.take("refresh after every run", default=False)
        yield Slot("refresh", "BUTTON", None, values.take("refresh", "refresh"), is_socket=False)


def _added(node: UiNode, values: _Values, choice: object) -> Iterator[Slot]:
    spec = _ADDED.get(node.type)
    if spec is not None:
        yield Slot(spec.name, spec.type, None, values.take(spec.name, spec.default), is_socket=False)
    if node.type == "CustomCombo":
        yield from _own_choices(values, choice)


def _own_choices(values: _Values, choice: object) -> Iterator[Slot]:
    """§9.3 step 4 for CustomCombo: people write the choices; an empty one more is there to be written."""
    values.take("index", -1)
    written: list[object] = [values.take("option1", "")]
    while written[-1]:
        written.append(values.take(f"option{len(written) + 1}", ""))
    index = written.index(choice) if choice in written else -1
    yield Slot("index", "INT", None, index, is_socket=False)
    for number, option in enumerate(written, 1):
        yield Slot(f"option{number}", "STRING", None, option, is_socket=False)


def _controls(spec: InputSpec, name: str) -> int:
    """§9.3: the entries that follow for control_after_generate: one, and a filter after a combo's."""
    kind = spec.widget_type
    option = spec.options.get("control_after_generate")
    if kind == "COMBO":
        return 2 if option else 0
    if kind != "INT":
        return 0
    return int(bool(option) if option is not None else name in ("seed", "noise_seed"))


def _without_forced(values: list[object], node_class: NodeClass) -> list[object]:
    """§9.3: files older than front end 1.16 hold entries for forceInput inputs, if the count says so."""
    forced: list[bool] = []
    for spec in node_class.inputs:
        is_forced = bool(spec.options.get("forceInput"))
        if is_forced or spec.is_widget:
            forced += [is_forced, *[False] * bool(spec.options.get("control_after_generate"))]
    if not any(forced) or len(forced) != len(values):
        return values
    return [value for value, drop in zip(values, forced, strict=True) if not drop]
