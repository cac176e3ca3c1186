"""Runs one prompt at a time, in ComfyUI's order, with its messages, and remembers results for the next one."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from comfy_nb.server.files import Folders
from comfy_nb.server.graph import RunOrder, signatures
from comfy_nb.server.hub import Hub
from comfy_nb.server.nodes import NODE_CLASSES
from comfy_nb.server.nodes.base import Context, Interrupted, NodeResult
from comfy_nb.server.progress import Progress
from comfy_nb.server.queue import PromptQueue, QueuedPrompt
from comfy_nb.server.shapes import is_list
from comfy_nb.wire import messages as m
from comfy_nb.wire.packing import pack

__all__ = ["Executor", "run_worker"]

# `current_inputs` of an error are for reading; a whole latent as text is not.
INPUT_TEXT_LIMIT = 2000

_FAILED: dict[str, Any] = {
    "outputs": {},
    "status": {"status_str": "error", "completed": False, "messages": []},
    "meta": {},
}

logger = logging.getLogger(__name__)


@dataclass
class _Run:
    """One prompt while it runs, and what its history will say."""

    item: QueuedPrompt
    progress: Progress
    cache: dict[str, NodeResult]
    signatures: dict[str, str]
    messages: list[list[Any]] = field(default_factory=list[list[Any]])
    outputs: dict[str, dict[str, list[Any]]] = field(default_factory=dict[str, "dict[str, list[Any]]"])
    executed: list[str] = field(default_factory=list[str])

    def record(self, message: m.Message, *, broadcast: bool = False) -> None:
        """Tell a milestone, and keep it for the history."""
        told = json.loads(pack(message))
        self.messages.append([told["type"], told["data"]])
        self.progress.tell(message, broadcast=broadcast)

    def cached(self, node_id: str) -> NodeResult | None:
        """The node's result, if it is known."""
        return self.cache.get(self.signatures.get(node_id, ""))

    def show(self, node_id: str, result: NodeResult) -> None:
        """Keep what the node shows; tell it if there is something, or if it came from the cache."""
        if result.ui is not None:
            self.outputs[node_id] = result.ui
        if result.ui is not None or node_id not in self.executed:
            output: dict[str, m.Json] = {kind: [*values] for kind, values in (result.ui or {}).items()}
            self.progress.tell(m.Executed(node_id, node_id, output, self.item.prompt_id))

    def history(self, *, success: bool) -> dict[str, Any]:
        """The part of the history entry that the run makes."""
        meta = {
            node_id: {
                "node_id": node_id,
                "display_node": node_id,
                "parent_node": None,
                "real_node_id": node_id,
            }
            for node_id in self.outputs
        }
        status = {
            "status_str": "success" if success else "error",
            "completed": success,
            "messages": self.messages,
        }
        return {"outputs": self.outputs, "status": status, "meta": meta}


class Executor:
    """Runs prompts and keeps the results of the latest one, so that only what changed runs again.

    `running_node` is what a client that joins late is told.
    """

    def __init__(
        self, hub: Hub, queue: PromptQueue, folders: Folders, *, step_time: float, previews: bool = True
    ) -> None:
        self.running_node: str | None = None
        self._hub = hub
        self._queue = queue
        self._folders = folders
        self._step_time = step_time
        self._previews = previews
        self._cache: dict[str, NodeResult] = {}

    def execute(self, item: QueuedPrompt) -> dict[str, Any]:
        """Run one prompt to its end, good or bad; returns its history entry without the prompt."""
        known = signatures(item.prompt, item.outputs, self._folders)
        # Like the original's default cache: what the new prompt does not need is forgotten.
        self._cache = {key: self._cache[key] for key in known.values() if key in self._cache}
        run = _Run(item, Progress(self._hub, item.prompt_id, item.client_id), self._cache, known)
        run.record(m.ExecutionStart(item.prompt_id, _now()))
        cached = tuple(node_id for node_id in item.prompt if run.cached(node_id) is not None)
        run.record(m.ExecutionCached(item.prompt_id, cached, _now()))
        try:
            success = self._run_nodes(run)
        finally:
            self.running_node = None
        if success:
            run.record(m.ExecutionSuccess(item.prompt_id, _now()))
        return run.history(success=success)

    def _run_nodes(self, run: _Run) -> bool:
        order = RunOrder(run.item.prompt, run.item.outputs, lambda node_id: run.cached(node_id) is not None)
        while (node_id := order.take()) is not None:
            if not self._run_node(run, node_id):
                return False
            order.done(node_id)
        return True

    def _run_node(self, run: _Run, node_id: str) -> bool:
        """Run or recall one node; False if that ended the prompt."""
        result = run.cached(node_id)
        if result is None:
            self.running_node = node_id
            run.progress.start(node_id)
            inputs: dict[str, Any] = {}
            try:
                result = self._call(run, node_id, inputs)
            except Interrupted:
                node_type = run.item.prompt[node_id]["class_type"]
                stopped = m.ExecutionInterrupted(
                    run.item.prompt_id, node_id, node_type, tuple(run.executed), _now()
                )
                run.record(stopped, broadcast=True)
                return False
            except Exception as error:  # noqa: BLE001 - whatever a node raises is the prompt's failure, not ours
                run.record(_describe(run, node_id, inputs, error))
                return False
            run.cache[run.signatures[node_id]] = result
            run.executed.append(node_id)
        run.show(node_id, result)
        run.progress.finish(node_id)
        return True

    def _call(self, run: _Run, node_id: str, inputs: dict[str, Any]) -> NodeResult:
        node = run.item.prompt[node_id]
        node_class = NODE_CLASSES[node["class_type"]]
        inputs.update(
            {name: _input(run, node["inputs"], name, config) for name, config in node_class.declared.items()}
        )
        extra = run.item.extra_data
        context = Context(
            node_id=node_id,
            prompt=run.item.prompt,
            extra_data=extra,
            folders=self._folders,
            progress=run.progress,
            interrupt=self._queue.interrupt,
            step_time=extra.get("step_time", self._step_time),
            previews=_wanted(extra.get("preview_method"), self._previews),
        )
        context.check()
        return node_class.run(context, inputs)


def _wanted(preview_method: Any, default: bool) -> bool:
    """Whether a prompt gets previews: what it says, else what the server was told. All methods are one here."""
    known = {"none": False, "auto": True, "latent2rgb": True, "taesd": True}
    return known.get(preview_method, default) if isinstance(preview_method, str) else default


def _now() -> int:
    """Milliseconds since the epoch."""
    return int(time.time() * 1000)


def _describe(run: _Run, node_id: str, inputs: dict[str, Any], error: Exception) -> m.ExecutionError:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return m.ExecutionError(
        prompt_id=run.item.prompt_id,
        node_id=node_id,
        node_type=run.item.prompt[node_id]["class_type"],
        exception_type=name,
        exception_message=f"{error}\n",
        traceback=tuple(traceback.format_tb(error.__traceback__)),
        executed=tuple(run.executed),
        timestamp=_now(),
        current_inputs={name: [str(value)[:INPUT_TEXT_LIMIT]] for name, value in inputs.items()},
        current_outputs=tuple(each for each in run.signatures if run.cached(each) is not None),
    )


def _input(run: _Run, given: dict[str, Any], name: str, config: list[Any]) -> Any:
    """An input's value; of an optional one that is not given, what it is declared to be then."""
    return _value(run, given[name]) if name in given else config[1].get("default")


def _value(run: _Run, value: Any) -> Any:
    """A literal, or the output that a link points at."""
    if not is_list(value):
        return value
    result = run.cached(value[0])
    if result is None:
        raise LookupError(f"Node {value[0]} has no result to read.")
    return result.values[value[1]]


def run_worker(queue: PromptQueue, executor: Executor, hub: Hub, prepare: Callable[[], object]) -> None:
    """The worker thread: one prompt after the other, until the queue is closed."""
    prepare()
    while (item := queue.take()) is not None:
        try:
            entry = executor.execute(item)
        except Exception:
            # A worker that dies leaves its prompt running for ever, so a fault of ours ends this prompt only.
            logger.exception("Prompt %s could not be run", item.prompt_id)
            entry = _FAILED
        queue.finish(entry)
        Progress(hub, item.prompt_id, item.client_id).end()
