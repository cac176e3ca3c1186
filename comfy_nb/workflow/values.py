"""What an input may hold: the API format's values, and how they are told apart.

A two-item list of (text, number) is a link to an output of another node. A list that is a value must be
wrapped, as `{"__value__": [...]}`: ComfyUI takes any other list for a link, or for a bad one.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple, TypedDict, TypeGuard, cast

from comfy_nb.errors import WorkflowError

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class Meta(TypedDict):
    """What the API format says about a node for people's eyes."""

    title: str


class ApiNode(TypedDict):
    """One node of the API format."""

    class_type: str
    inputs: dict[str, Json]
    _meta: Meta


Prompt = dict[str, ApiNode]


class Link(NamedTuple):
    """The output `slot` (0 is the first) of the node `node_id`, as an input refers to it."""

    node_id: str
    slot: int = 0


class _Random(int):
    """The type of `RANDOM`. It is a number, 0, so that nothing breaks where it is not known."""

    def __repr__(self) -> str:
        return "RANDOM"

    __str__ = __repr__

    def __reduce__(self) -> str:
        return "RANDOM"  # there is only one


RANDOM: int = _Random()
"""A seed to be drawn anew for every job: `wf["KSampler"].seed = RANDOM`. The job's parameters have what was drawn."""

SEEDS = 2**50
"""Drawn seeds are below this, as in ComfyUI's own front end: JavaScript keeps such numbers exact."""


def drawn(value: Json) -> Json:
    """The value; a number where it is `RANDOM`."""
    return secrets.randbelow(SEEDS) if value is RANDOM else value


def is_seed(input_name: str) -> bool:
    """Whether an input's name says that it is a seed, also of a sub-graph or a row."""
    return input_name.rpartition(".")[2] in ("seed", "noise_seed")


def is_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    """Whether the value is a mapping, its content still unknown."""
    return isinstance(value, Mapping)


def read_link(value: object) -> Link | None:
    """The link that an API value means, or None if it is a plain value."""
    if not isinstance(value, list):
        return None
    match cast("list[object]", value):
        case [str(node_id), int() | float() as slot] if not isinstance(slot, bool):
            # The server takes 1.0 for 1, and any other number for an output that does not exist.
            return Link(node_id, int(slot) if slot == slot // 1 else -1)
        case _:
            return None


def read_value(value: Json) -> Any:
    """An API value as people read it: a link as `Link`, a wrapped list as a list; lists and dicts copied."""
    link = read_link(value)
    if link is not None:
        return link
    if isinstance(value, dict) and value.keys() == {"__value__"}:
        value = value["__value__"]
    return copy_json(value)


def copy_json(value: Json) -> Json:
    """A copy that shares no list or dict with the original."""
    if isinstance(value, list):
        return [copy_json(item) for item in value]
    if isinstance(value, dict):
        return {key: copy_json(item) for key, item in value.items()}
    return value


def as_json(value: object, where: str) -> Json:
    """The value in plain Python types, shared with nobody; NumPy scalars become numbers, tuples lists.

    Raises `WorkflowError`, starting with `where`, for anything that JSON cannot carry.
    """
    if value is RANDOM:
        return RANDOM
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, default=_plain)
        text.encode()
        return json.loads(text)
    except UnicodeEncodeError:
        reason = "holds half of a surrogate pair, which is not text"
    except RecursionError:
        reason = "is nested too deeply"
    except TypeError as error:
        kind = error.kind if isinstance(error, _UnfitError) else "a dict whose keys are not text"
        reason = (
            f"cannot hold {kind}; allowed are text, numbers, true or false, lists and "
            "dicts of these, and links; a picture or file is uploaded first, and its name set"
        )
    except ValueError as error:
        looped = "ircular" in str(error)
        reason = (
            "contains itself"
            if looped
            else "holds a number that JSON cannot carry (NaN, infinite or too long)"
        )
    raise WorkflowError(f"{where} {reason}.")


class _UnfitError(TypeError):
    """Raised inside `json` for a value of a kind that JSON does not know."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = f"a value of type {kind}"


def _plain(value: object) -> object:
    """Called by `json` for what it does not know: lets NumPy's (and torch's) scalars through."""
    item = getattr(value, "item", None)
    if getattr(value, "shape", None) == () and callable(item):
        return item()
    raise _UnfitError(type(value).__name__)


_SECRET = re.compile(
    r"(?:^|[._\s-])(?:api_?key|auth_?token|access_?token|token|password|passwd|secret)$", re.IGNORECASE
)


def is_secret(input_name: str) -> bool:
    """Whether an input's name says that its value is nobody's business, such as "api_key"."""
    return _SECRET.search(input_name) is not None
