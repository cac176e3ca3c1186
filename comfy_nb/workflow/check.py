"""What a server would refuse about a prompt, found before it is sent.

ComfyUI stops at the first unknown class, checks only what leads to an output, and words its faults for logs.
Here every fault is found at once, and named by the node's title. The rules are the server's own (0.33); what it
leaves to a class's own code, such as whether an uploaded file is there, is left to it.

A fault is certain, or only likely: a class from a pack of custom nodes may judge its values itself, which nobody
sees from outside. What is only likely is no reason not to send a prompt.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from comfy_nb.errors import Problem
from comfy_nb.workflow.classes import LINK_TYPES, Classes, InputSpec, NodeClass
from comfy_nb.workflow.names import clip, nearest
from comfy_nb.workflow.values import ApiNode, Json, Link, Prompt, is_seed, read_link, read_value

__all__ = ["Fault", "Problems", "check"]

SHOWN = 3
"""Nearest names in one sentence."""

_ANY = ("*", "COMFY_MATCHTYPE_V3")
# Classes whose own check agrees to every value: of this one, people write the list of choices themselves.
_TAKES_ALL = ("CustomCombo",)
_HELD = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")


@dataclass(frozen=True, slots=True)
class Fault(Problem):
    """A problem of which the server may think otherwise, unless it is certain."""

    certain: bool = True


class Problems(tuple[Problem, ...]):
    """Faults of a workflow, one per node and input; empty, and false, if there is none."""

    __slots__ = ()

    @property
    def certain(self) -> Problems:
        """Those for which a server refuses the prompt."""
        return Problems(found for found in self if not isinstance(found, Fault) or found.certain)

    @property
    def likely(self) -> Problems:
        """Those that a server may see otherwise, as a class may judge its values itself; they are warnings."""
        return Problems(found for found in self if isinstance(found, Fault) and not found.certain)

    def __repr__(self) -> str:
        return "\n".join(f"- {problem}" for problem in self) or "no problems found"


def check(prompt: Prompt, classes: Mapping[str, NodeClass], names: Collection[str] = ()) -> Problems:
    """All faults of a prompt, in the order of its nodes; empty if a server with these classes would take it.

    `names` are all classes that the server has, to suggest the nearest from, where `classes` are only those that
    the prompt uses.
    """
    problems: list[Problem] = []
    known = {node_id: classes.get(node["class_type"]) for node_id, node in prompt.items()}
    outputs = [node_id for node_id, found in known.items() if found is not None and found.is_output]
    missing = any(found is None for found in known.values())
    # Without all classes nobody knows what leads to an output, so everything counts.
    counted = set(prompt) if missing or not outputs else _upstream(prompt, outputs)
    for node_id, node in prompt.items():
        node_class = known[node_id]
        label = clip(node["_meta"]["title"])
        if node_class is None:
            near = _nearest(node["class_type"], names or classes)
            message = f"the server has no class {clip(node['class_type'])!r}{near}"
            problems.append(Problem(message, node_id, label))
        elif node_id in counted:
            made = classes.made if isinstance(classes, Classes) else frozenset[str]()
            for name, message, certain in _node_faults(prompt, node, node_class, known, made):
                problems.append(Fault(message, node_id, label, name, certain))
    problems += _cycles(prompt, counted)
    if not outputs and not missing:
        problems.append(Problem("no node puts anything out, such as Save Image or Preview Image"))
    return Problems(problems)


def _upstream(prompt: Prompt, targets: Iterable[str]) -> set[str]:
    """The nodes that these need, and they themselves."""
    seen = set(targets)
    pending = list(seen)
    while pending:
        for link in _links(prompt[pending.pop()]):
            if link.node_id in prompt and link.node_id not in seen:
                seen.add(link.node_id)
                pending.append(link.node_id)
    return seen


def _links(node: ApiNode) -> Iterator[Link]:
    return (link for value in node["inputs"].values() if (link := read_link(value)) is not None)


def _node_faults(
    prompt: Prompt,
    node: ApiNode,
    node_class: NodeClass,
    known: Mapping[str, NodeClass | None],
    made: frozenset[str],
) -> Iterator[tuple[str, str, bool]]:
    """Input and sentence of each fault of one node, and whether it is certain."""
    plain = not node_class.is_custom
    for name, spec in _expected(node_class.inputs, node["inputs"], ""):
        if name not in node["inputs"]:
            if spec.required:
                # A server does not demand what it cannot know to be there: the inputs of rows, and of packs.
                yield name, "it is required and missing", plain and node_class.input(name) is not None
            continue
        value = node["inputs"][name]
        link = read_link(value)
        if link is not None:
            if message := _link_fault(prompt, link, spec, known):
                # A class of a pack may take other types than it declares; what is not there is not there.
                yield name, message, plain or not message.startswith("it takes ")
        elif node["class_type"] not in _TAKES_ALL and (message := _value_fault(spec, value, made)):
            # A server takes any value for what should be linked, and fails when it runs.
            yield name, message, plain and not message.startswith("it takes ")


def _expected(
    specs: Iterable[InputSpec], inputs: Mapping[str, Json], prefix: str
) -> Iterator[tuple[str, InputSpec]]:
    """The inputs that a node has with what it holds: dynamic ones written out."""
    for spec in specs:
        name = prefix + spec.name
        if spec.type == "COMFY_AUTOGROW_V3":
            yield from _grown(spec, inputs, name)
            continue
        if spec.type == "COMFY_DYNAMICGROUP_V3":
            yield from _rows(spec, inputs, name)
            continue
        if spec.type == "COMFY_DYNAMICCOMBO_V3" and name not in inputs:
            continue  # which no server demands
        yield name, spec
        if spec.type == "COMFY_DYNAMICCOMBO_V3":
            yield from _expected(spec.branch(inputs.get(name)), inputs, f"{name}.")


def _grown(spec: InputSpec, inputs: Mapping[str, Json], name: str) -> Iterator[tuple[str, InputSpec]]:
    template = spec.template()
    if len(template) != 1:
        return
    least = spec.least if template[0].required else 0
    there = [key for key in inputs if key.startswith(f"{name}.")]
    for key in there:
        yield key, template[0]
    if len(there) < least:
        yield f"{name}.{spec.grown_name(len(there))}", template[0]


def _rows(spec: InputSpec, inputs: Mapping[str, Json], name: str) -> Iterator[tuple[str, InputSpec]]:
    """The fields of the rows that a dynamic group has, "name.0.field"."""
    keys = (key[len(name) + 1 :].split(".", 1) for key in inputs if key.startswith(f"{name}."))
    numbers = sorted({int(key[0]) for key in keys if len(key) == 2 and key[0].isdecimal()})
    for number in numbers[: spec.rows[1]]:
        yield from _expected(spec.row(), inputs, f"{name}.{number}.")


def _link_fault(
    prompt: Prompt, link: Link, spec: InputSpec, known: Mapping[str, NodeClass | None]
) -> str | None:
    if link.node_id not in prompt:
        return f"it is linked to node {clip(link.node_id)!r}, which is not in the workflow"
    source = known[link.node_id]
    if source is None:  # told of already
        return None
    label = clip(prompt[link.node_id]["_meta"]["title"])
    if not 0 <= link.slot < len(source.outputs):
        count = len(source.outputs)
        has = f"has {count} output{'s' * (count != 1)}, counted from 0" if count else "has no outputs"
        return f"it is linked to output {link.slot} of {label!r}, which {has}"
    made = source.outputs[link.slot]
    if _fits(made, spec.type):
        return None
    return f"it takes {clip(spec.type)}, but {label!r} gives {clip(made)}"


def _fits(made: str, wanted: str) -> bool:
    made_types, wanted_types = ({part.strip() for part in kind.split(",")} for kind in (made, wanted))
    return not made_types.isdisjoint(wanted_types) or not (made_types | wanted_types).isdisjoint(_ANY)


def _value_fault(spec: InputSpec, value: Json, made: frozenset[str]) -> str | None:
    plain = read_value(value)
    if spec.type in ("INT", "FLOAT"):
        return _number_fault(spec, plain)
    choices = spec.choices
    if choices is not None:
        return _choice_fault(spec, plain, choices)
    kinds = {part.strip() for part in spec.type.split(",")}
    # A type that no output has is that of a widget, which the page of a pack draws.
    is_linked = any(kind.upper() in made or kind in LINK_TYPES for kind in kinds)
    sockets = is_linked and not spec.is_widget and not kinds & {*_HELD, *_ANY}
    if sockets and isinstance(plain, str | int | float):
        return f"it takes a link to {clip(spec.type)}, not the value {_short(plain)}"
    return None


def _number_fault(spec: InputSpec, value: object) -> str | None:
    try:
        number = int(cast("str", value)) if spec.type == "INT" else float(cast("str", value))
    except (TypeError, ValueError, OverflowError):
        kind = "a whole number" if spec.type == "INT" else "a number"
        return f"it is {_short(value)}, which is not {kind}{_range(spec)}"
    low, high = spec.limits
    if number != number:  # noqa: PLR0124 - NaN is all that is not itself
        return f"it is not a number{_range(spec)}"
    if low is not None and number < low:
        remedy = (
            "; for a new seed with every job set comfy_nb.RANDOM"
            if number == -1 and is_seed(spec.name)
            else ""
        )
        return f"{number} is too small{_range(spec)}{remedy}"
    if high is not None and number > high:
        return f"{number} is too big{_range(spec)}"
    return None


def _range(spec: InputSpec) -> str:
    match spec.limits:
        case None, None:
            return ""
        case low, None:
            return f" (allowed: {low} or more)"
        case None, high:
            return f" (allowed: {high} or less)"
        case low, high:
            return f" (allowed: {low} to {high})"


def _choice_fault(spec: InputSpec, value: object, choices: list[object]) -> str | None:
    # The list of an upload holds one folder only, and that of a remote one is elsewhere: the class checks these.
    elsewhere = any(name.startswith("remote") for name in spec.options)
    if spec.takes_upload or elsewhere or spec.options.get("folder"):
        return None
    several = isinstance(value, list) and spec.options.get("multiselect")
    chosen = cast("list[object]", value) if several else [cast("object", value)]
    wrong = [one for one in chosen if one not in choices]
    if not wrong:
        return None
    if not choices:
        return f"{_short(wrong[0])} is not in the list, which is empty: the server has no file for it"
    names = [choice for choice in choices if isinstance(choice, str)]
    near = _nearest(wrong[0], names) if len(choices) > 12 else f" (allowed: {_listed(choices)})"
    where = "on the server" if any("." in name[-12:] for name in names) else "in the list"
    return f"{_short(wrong[0])} is not {where}{near}"


def _nearest(name: object, names: Collection[str]) -> str:
    if not isinstance(name, str) or not names:
        return ""
    return f"; the nearest are {_listed(nearest(name, names)[:SHOWN])}"


def _listed(values: Iterable[object]) -> str:
    return ", ".join(_short(value) for value in values)


def _short(value: object) -> str:
    return repr(clip(value)) if isinstance(value, str) else clip(repr(value))


def _cycles(prompt: Prompt, counted: set[str]) -> Iterator[Problem]:
    """A ring of nodes that wait for each other, the first that there is."""
    done: set[str] = set()
    for start in prompt:
        if start not in counted or start in done:
            continue
        # Depth first, without recursion: graphs may be thousands of nodes deep.
        path: list[str] = []
        place: dict[str, int] = {}
        ways = [iter([Link(start)])]
        while ways:
            link = next(ways[-1], None)
            if link is None:
                ways.pop()
                if path:
                    done.add(path.pop())
                    place.pop(next(reversed(place)))
            elif link.node_id in place:
                yield _ring(prompt, path[place[link.node_id] :][:6])
                return
            elif link.node_id in prompt and link.node_id not in done:
                place[link.node_id] = len(path)
                path.append(link.node_id)
                ways.append(_links(prompt[link.node_id]))


def _ring(prompt: Prompt, ring: list[str]) -> Problem:
    titles = [clip(prompt[node_id]["_meta"]["title"], 30) for node_id in [*ring, ring[0]]]
    return Problem(f"it waits for itself: {' ← '.join(titles)}", ring[0], clip(titles[0]))
