"""What Tab offers after our own things, where Python alone would not know: public names, inputs, and allowed values.

Nothing of the user's is called: only names, what our modules hold, and nodes looked up by a literal are followed.
"""

from __future__ import annotations

import ast
import inspect
import keyword
import re
import threading
from collections.abc import Collection, Mapping
from types import ModuleType
from typing import Any

from comfy_nb.errors import ComfyError
from comfy_nb.kernel.completing import Matches
from comfy_nb.workflow.classes import NodeClass
from comfy_nb.workflow.graph import Workflow
from comfy_nb.workflow.node import Node, choices
from comfy_nb.workflow.sources import offered

__all__ = ["complete"]

PATIENCE = 2.0  # seconds that Tab waits for a server to tell a class; the next Tab finds it known
PACKAGE = __name__.partition(".")[0]

_QUOTED = r"""(?:"[^"\\\n]*"|'[^'\\\n]*')"""
_THING = rf"""(?<![\w.\])}}"'])(?P<thing>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\s*(?:{_QUOTED}|\d+)\s*\])*)"""
_OPEN = r"""(?P<quote>["'])(?P<begun>[^"'\\\n]*)$"""  # a text that is still being written
_ATTRIBUTE = re.compile(rf"{_THING}\.(?P<begun>\w*)$")
_KEY = re.compile(rf"{_THING}\[\s*{_OPEN}")
_VALUE = re.compile(rf"{_THING}\s*=\s*{_OPEN}")


def complete(line: str, names: Mapping[str, Any]) -> Matches | None:
    """What may come next on a line that is written up to the cursor; None where others know better."""
    if found := _VALUE.search(line):
        return _values(found["thing"], found["begun"], names)
    if found := _KEY.search(line):
        node = _resolve(found["thing"], names)
        return _matches(found["begun"], dict.fromkeys(node, "property")) if isinstance(node, Node) else None
    if (found := _ATTRIBUTE.search(line)) and not found["begun"].startswith("_"):
        thing = _resolve(found["thing"], names)
        if isinstance(thing, Node):
            return _matches(found["begun"], _node_names(thing))
        if isinstance(thing, ModuleType) and _is_ours(thing):
            return _matches(found["begun"], _public_names(thing))
    return None


def _values(target: str, begun: str, names: Mapping[str, Any]) -> Matches | None:
    """The texts that an input may be set to: `wf["KSampler"].sampler_name = "eu`."""
    match _parsed(target):
        case (
            ast.Attribute(value=holder, attr=name)
            | ast.Subscript(value=holder, slice=ast.Constant(value=str(name)))
        ):
            node = _follow(holder, names)
        case _:
            return None
    if not isinstance(node, Node):
        return None
    allowed = [text for text in choices(node, name, _ask_server) if isinstance(text, str)]
    return _matches(begun, dict.fromkeys(allowed, "value")) if allowed else None


def _matches(begun: str, offers: Mapping[str, str]) -> Matches:
    return Matches(begun, [(text, kind) for text, kind in offers.items() if text.startswith(begun)])


def _node_names(node: Node) -> dict[str, str]:
    """Its inputs, then what it has itself."""
    inputs = [name for name in node if name.isidentifier() and not keyword.iskeyword(name)]
    own = {
        name: "function" if inspect.isroutine(value) else "property"
        for name, value in vars(Node).items()
        if not name.startswith("_")
    }
    return {name: "property" for name in inputs if name not in own} | own


def _public_names(module: ModuleType) -> dict[str, str]:
    """What the module means to be used: functions, classes, the rest; last errors, which are read more than written."""
    kinds = {
        name: _kind(vars(module)[name]) for name in getattr(module, "__all__", ()) if name in vars(module)
    }
    order = ("function", "class", "instance", "module", "error")
    ranked = sorted(kinds, key=lambda name: (order.index(kinds[name]), name.lower()))
    return {name: "class" if kinds[name] == "error" else kinds[name] for name in ranked}


def _kind(value: object) -> str:
    if inspect.isclass(value):
        return "error" if issubclass(value, BaseException) else "class"
    return "function" if callable(value) else "module" if inspect.ismodule(value) else "instance"


def _resolve(expression: str, names: Mapping[str, Any]) -> object:
    parsed = _parsed(expression)
    return None if parsed is None else _follow(parsed, names)


def _parsed(expression: str) -> ast.expr | None:
    try:
        return ast.parse(expression, mode="eval").body
    except SyntaxError:  # such as a keyword for a name
        return None


def _follow(expression: ast.expr, names: Mapping[str, Any]) -> object:
    """The module, workflow or node that an expression means; None if finding out would call something else."""
    match expression:
        case ast.Name(id=name):
            return names.get(name)
        case ast.Attribute(value=holder, attr=name):
            module = _follow(holder, names)
            return vars(module).get(name) if isinstance(module, ModuleType) and _is_ours(module) else None
        case ast.Subscript(value=holder, slice=ast.Constant(value=str() | int() as key)):
            workflow = _follow(holder, names)
            try:
                return workflow[key] if isinstance(workflow, Workflow) else None
            except ComfyError:  # no such node, or several: running the cell will say so
                return None
        case _:
            return None


def _is_ours(module: ModuleType) -> bool:
    return module.__name__.partition(".")[0] == PACKAGE


def _ask_server(class_names: Collection[str]) -> Mapping[str, NodeClass] | None:
    """The classes of the connection that was opened last, if it tells them soon."""
    lookup = offered()
    if lookup is None:
        return None
    told: list[Mapping[str, NodeClass]] = []

    def ask() -> None:
        try:
            told.append(lookup(class_names) or {})
        except (ComfyError, TimeoutError):
            told.append({})  # nothing to offer; whoever runs something hears why

    asking = threading.Thread(target=ask, name="comfy_nb-tab", daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return told[0] if told else None
