"""One prompt while it runs: its nodes, their inputs and results, and what its client and its history are told."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from comfy_nb.server.graph import option
from comfy_nb.server.nodes import NODE_CLASSES
from comfy_nb.server.nodes.base import Blocked, NodeClass, NodeResult
from comfy_nb.server.progress import Progress
from comfy_nb.server.queue import QueuedPrompt
from comfy_nb.server.shapes import is_list
from comfy_nb.wire import messages as m
from comfy_nb.wire.packing import pack

__all__ = ["PromptRun", "now"]

# `current_inputs` of an error are for reading; a whole latent as text is not.
INPUT_TEXT_LIMIT = 2000


@dataclass
class PromptRun:
    """One prompt while it runs, and what its history will say.

    `nodes` are those of the prompt and those that they wrote; `expanded` the results of nodes that wait for the nodes
    they wrote; `asked` the lazy inputs, as (node id, name), that were found to be needed.
    """

    item: QueuedPrompt
    progress: Progress
    cache: dict[str, NodeResult]
    signatures: dict[str, str]
    nodes: dict[str, Any]
    expanded: dict[str, NodeResult] = field(default_factory=dict[str, NodeResult])
    asked: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    messages: list[list[Any]] = field(default_factory=list[list[Any]])
    outputs: dict[str, dict[str, list[Any]]] = field(default_factory=dict[str, "dict[str, list[Any]]"])
    executed: dict[str, None] = field(default_factory=dict[str, None])

    def record(self, message: m.Message, *, broadcast: bool = False) -> None:
        """Tell a milestone, and keep it for the history."""
        told = json.loads(pack(message))
        self.messages.append([told["type"], told["data"]])
        self.progress.tell(message, broadcast=broadcast)

    def cached(self, node_id: str) -> NodeResult | None:
        """The node's result, if it is known."""
        return self.cache.get(self.signatures.get(node_id, ""))

    def value(self, given: Any) -> Any:
        """A literal, or the output that a link points at."""
        if not is_list(given):
            return given
        result = self.cached(given[0])
        if result is None:
            raise LookupError(f"Node {given[0]} has no result to read.")
        return result.values[given[1]]

    def inputs(self, node_id: str) -> Iterator[tuple[str, Any]]:
        """The node's inputs, by name; of an optional one that is not given, what it is declared to be then."""
        given = self.nodes[node_id]["inputs"]
        for name, config in self.node_class(node_id).declared.items():
            if name not in given:
                yield name, config[1].get("default")
            elif option(config, "rawLink"):
                yield name, given[name]
            elif option(config, "lazy") and is_list(given[name]) and (node_id, name) not in self.asked:
                yield name, None
            else:
                yield name, self.value(given[name])

    def ask(self, node_id: str, inputs: dict[str, Any]) -> list[str]:
        """The nodes behind the lazy inputs that this node turns out to need."""
        given = self.nodes[node_id]["inputs"]
        names = [
            name
            for name in self.node_class(node_id).needs(inputs)
            if is_list(given.get(name)) and (node_id, name) not in self.asked
        ]
        self.asked.update((node_id, name) for name in names)
        return [given[name][0] for name in names]

    def node_class(self, node_id: str) -> NodeClass:
        """The node's class."""
        return NODE_CLASSES[self.nodes[node_id]["class_type"]]

    def started(self) -> None:
        """Tell that the prompt runs, and which of its nodes need not."""
        self.record(m.ExecutionStart(self.item.prompt_id, now()))
        cached = tuple(node_id for node_id in self.item.prompt if self.cached(node_id) is not None)
        self.record(m.ExecutionCached(self.item.prompt_id, cached, now()))

    def interrupted(self, node_id: str) -> None:
        """Tell that the prompt was stopped at this node."""
        real, kind = self.posted(node_id)
        stopped = m.ExecutionInterrupted(self.item.prompt_id, real, kind, tuple(self.executed), now())
        self.record(stopped, broadcast=True)

    def failed(self, node_id: str, inputs: dict[str, Any], error: Exception) -> None:
        """Tell that this node raised, and with which inputs."""
        real, kind = self.posted(node_id)
        raised = type(error)
        builtin = raised.__module__ == "builtins"
        self.record(
            m.ExecutionError(
                prompt_id=self.item.prompt_id,
                node_id=real,
                node_type=kind,
                exception_type=raised.__qualname__
                if builtin
                else f"{raised.__module__}.{raised.__qualname__}",
                exception_message=f"{error}\n",
                traceback=tuple(traceback.format_tb(error.__traceback__)),
                executed=tuple(self.executed),
                timestamp=now(),
                current_inputs={name: [str(value)[:INPUT_TEXT_LIMIT]] for name, value in inputs.items()},
                current_outputs=tuple(each for each in self.signatures if self.cached(each) is not None),
            )
        )

    def blocked(self, node_id: str, block: Blocked) -> NodeResult:
        """The result of a node that may not run: its outputs are blocked too. Tells the message, once."""
        node_class = self.node_class(node_id)
        if block.message:
            told = m.ExecutionError(
                prompt_id=self.item.prompt_id,
                node_id=node_id,
                node_type=node_class.name,
                exception_type="ExecutionBlocked",
                exception_message=f"Execution Blocked: {block.message}",
                traceback=(),
                executed=tuple(self.executed),
                timestamp=None,
                current_inputs={},
            )
            # No milestone: the prompt goes on, and its history does not know of it.
            self.progress.tell(told, broadcast=True)
        return NodeResult((Blocked(),) * len(node_class.outputs))

    def show(self, node_id: str, result: NodeResult) -> None:
        """Keep what the node shows; tell it if there is something, or if it came from the cache."""
        if result.ui is not None:
            self.outputs[node_id] = result.ui
        if result.ui is not None or node_id not in self.executed:
            output: dict[str, m.Json] = {kind: [*values] for kind, values in (result.ui or {}).items()}
            shown_at = self.progress.lineage.real(node_id)
            self.progress.tell(m.Executed(node_id, shown_at, output, self.item.prompt_id))

    def posted(self, node_id: str) -> tuple[str, str]:
        """(id, class) of the posted node that this one is, or comes from: where people see what happens to it."""
        real = self.progress.lineage.real(node_id)
        return real, self.item.prompt[real]["class_type"]

    def history(self, *, success: bool) -> dict[str, Any]:
        """The part of the history entry that the run makes."""
        lineage = self.progress.lineage
        meta = {
            node_id: {
                "node_id": node_id,
                "display_node": lineage.real(node_id),
                "parent_node": lineage.parent(node_id),
                "real_node_id": lineage.real(node_id),
            }
            for node_id in self.outputs
        }
        status = {
            "status_str": "success" if success else "error",
            "completed": success,
            "messages": self.messages,
        }
        return {"outputs": self.outputs, "status": status, "meta": meta}


def now() -> int:
    """Milliseconds since the epoch."""
    return int(time.time() * 1000)
