"""The graph of a prompt: links between nodes, the order they run in, and what makes a result re-usable."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from comfy_nb.server.files import Folders
from comfy_nb.server.nodes import NODE_CLASSES
from comfy_nb.server.shapes import is_list

__all__ = ["RunOrder", "links", "option", "signatures"]

# How near to an output a node must stand to go before others: 0 is an output, 1 feeds one, 2 feeds that.
NEAR = 2


def links(prompt: Mapping[str, Any], node_id: str, *, lazy: bool = True) -> list[tuple[str, int]]:
    """(node id, slot) of every declared input of the node that is linked, in the order of the prompt.

    Without `lazy`, only of those that the node always needs.
    """
    node = prompt[node_id]
    declared = NODE_CLASSES[node["class_type"]].declared
    return [
        (value[0], value[1])
        for name, value in node["inputs"].items()
        if name in declared and is_list(value) and (lazy or not option(declared[name], "lazy"))
    ]


def option(config: list[Any], name: str) -> bool:
    """Whether a declared input has an option turned on."""
    return len(config) > 1 and config[1].get(name) is True


def signatures(
    prompt: Mapping[str, Any],
    outputs: Iterable[str],
    folders: Folders,
    known: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """For each node that the outputs need: a digest of its class, its inputs and everything above it.

    Equal digests mean equal results. The graph must have no cycles. Digests that are `known` are taken as they are.
    """
    known = dict(known or {})

    def digest(node_id: str) -> str:
        node = prompt[node_id]
        node_class = NODE_CLASSES[node["class_type"]]
        declared = node_class.declared
        inputs = {name: value for name, value in node["inputs"].items() if name in declared}
        parts = [
            [name, "link", known[value[0]], value[1]] if is_list(value) else [name, "value", value]
            for name, value in sorted(inputs.items())
        ]
        changed = node_class.changed(folders, inputs) if node_class.changed else ""
        return hashlib.sha256(json.dumps([node["class_type"], changed, parts]).encode()).hexdigest()

    for node_id in _inputs_first(prompt, outputs, known):
        known[node_id] = digest(node_id)
    return known


def _inputs_first(prompt: Mapping[str, Any], outputs: Iterable[str], known: Container[str]) -> list[str]:
    """The nodes that the outputs need, each after all it is linked to, without the known ones.

    Not recursive: chains may be long.
    """
    ordered: dict[str, None] = {}
    stack = [(node_id, False) for node_id in outputs]
    while stack:
        node_id, sources_done = stack.pop()
        if node_id in ordered or node_id in known:
            continue
        if sources_done:
            ordered[node_id] = None
        else:
            stack.append((node_id, True))
            stack.extend((source, False) for source, _ in links(prompt, node_id))
    return list(ordered)


class RunOrder:
    """Which node runs next: as on the original, outputs come before what feeds them only because they wait.

    Of the nodes whose inputs are there, one that is an output goes first, then one that feeds an output, then
    one that feeds such a node; else the one found first when walking from the outputs upwards.
    The prompt may grow while it runs, and a node may find that it must wait for more.
    """

    def __init__(
        self, prompt: Mapping[str, Any], outputs: Iterable[str], is_cached: Callable[[str], bool]
    ) -> None:
        self._prompt = prompt
        self._is_cached = is_cached
        self._waits_for: dict[str, set[str]] = {}
        self._feeds: dict[str, set[str]] = {}
        # Steps to an output, NEAR + 1 for all that are further; and when the node was found.
        self._distance: dict[str, int] = {}
        self._found: dict[str, int] = {}
        # (distance, found, node) of what is ready. A node that turned out to be nearer stands here twice.
        self._ready: list[tuple[int, int, str]] = []
        for output in outputs:
            self.add(output)

    def add(self, start: str) -> None:
        """Run this node too, and first all that it needs."""
        stack, added = [start], list[str]()
        while stack:
            node_id = stack.pop()
            if node_id in self._waits_for:
                continue
            added.append(node_id)
            self._waits_for[node_id] = set()
            self._found[node_id] = len(self._found)
            self._come_nearer(node_id, 0 if self._is_output(node_id) else NEAR + 1)
            if self._is_cached(node_id):
                continue
            for source, _ in links(self._prompt, node_id, lazy=False):
                if not self._is_cached(source):
                    self._link(source, node_id)
                    stack.append(source)
        for node_id in added:
            self._offer(node_id)

    def wait_for(self, node_id: str, sources: Iterable[str]) -> None:
        """Put a taken node back, until these have run as well."""
        for source in sources:
            if not self._is_cached(source):
                self.add(source)
                self._link(source, node_id)
        self._offer(node_id)

    def _is_output(self, node_id: str) -> bool:
        return NODE_CLASSES[self._prompt[node_id]["class_type"]].output_node

    def _link(self, source: str, node_id: str) -> None:
        self._waits_for[node_id].add(source)
        self._feeds.setdefault(source, set()).add(node_id)
        self._come_nearer(source, self._distance[node_id] + 1)

    def _come_nearer(self, node_id: str, distance: int) -> None:
        """The node is this near to an output; with it comes nearer what it waits for."""
        if distance >= self._distance.get(node_id, NEAR + 2):
            return
        self._distance[node_id] = distance
        self._offer(node_id)
        for source in self._waits_for.get(node_id, ()) if distance < NEAR else ():
            self._come_nearer(source, distance + 1)

    def _offer(self, node_id: str) -> None:
        if node_id in self._waits_for and not self._waits_for[node_id]:
            heapq.heappush(self._ready, (self._distance[node_id], self._found[node_id], node_id))

    def take(self) -> str | None:
        """The next node to run, or None when all are done. Before taking another, call `done` or `wait_for`."""
        while self._ready:
            distance, _, node_id = heapq.heappop(self._ready)
            if self._waits_for.get(node_id) == set() and distance == self._distance[node_id]:
                return node_id
        return None

    def done(self, node_id: str) -> None:
        """The node has run."""
        del self._waits_for[node_id]
        for consumer in self._feeds.get(node_id, ()):
            # Not there if the consumer did without: it found the result before it came to its turn.
            if (waiting := self._waits_for.get(consumer)) is not None:
                waiting.discard(node_id)
                self._offer(consumer)
