"""The 251 workflows of tests/data/conversion, and how a prompt is compared with what the front end made."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from comfy_nb.workflow.classes import Classes

DATA = Path(__file__).parent.parent / "data" / "conversion"


@cache
def read(name: str) -> dict[str, Any]:
    return json.loads(lzma.decompress((DATA / f"{name}.json.xz").read_bytes()))


@cache
def classes() -> Classes:
    return Classes(read("object_info"))


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
    """What differs between two prompts, one line each: nodes, classes, titles, inputs, values and their types."""
    for node_id in sorted(ours.keys() | theirs.keys()):
        if node_id not in ours or node_id not in theirs:
            yield f"node {node_id}: only {'ours' if node_id in ours else 'theirs'} has it"
            continue
        a, b = ours[node_id], theirs[node_id]
        for key in ("class_type", "_meta"):
            if a[key] != b[key]:
                yield f"node {node_id}: {key} {a[key]!r}, not {b[key]!r}"
        for name in sorted(a["inputs"].keys() | b["inputs"].keys()):
            left, right = a["inputs"].get(name, "absent"), b["inputs"].get(name, "absent")
            if not same(left, right):
                yield f"node {node_id} ({b['class_type']}), {name}: {left!r:.80}, not {right!r:.80}"


def same(a: object, b: object) -> bool:
    """Equal as JSON: 1 is 1.0, but neither is true."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b and isinstance(a, bool) == isinstance(b, bool)
