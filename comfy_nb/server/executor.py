"""Runs one prompt at a time, in ComfyUI's order, with its messages, and remembers results for the next one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from comfy_nb.server.files import Folders
from comfy_nb.server.graph import RunOrder, signatures
from comfy_nb.server.hub import Hub
from comfy_nb.server.nodes.base import Blocked, Context, Expansion, Interrupted, NodeResult
from comfy_nb.server.progress import Progress
from comfy_nb.server.queue import PromptQueue, QueuedPrompt
from comfy_nb.server.run import PromptRun, now
from comfy_nb.wire import messages as m

__all__ = ["Executor", "run_worker"]

_FAILED: dict[str, Any] = {
    "outputs": {},
    "status": {"status_str": "error", "completed": False, "messages": []},
    "meta": {},
}

logger = logging.getLogger(__name__)


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
        # What the nodes are worth that a posted node, of this id and class, wrote last.
        self._written: dict[tuple[str, str], set[str]] = {}

    def set_step_time(self, seconds: float) -> None:
        """How many seconds each sampling step takes at least, from the next node on."""
        self._step_time = seconds

    def execute(self, item: QueuedPrompt) -> dict[str, Any]:
        """Run one prompt to its end, good or bad; returns its history entry without the prompt."""
        known = signatures(item.prompt, item.outputs, self._folders)
        self._forget(item.prompt, known)
        progress = Progress(self._hub, item.prompt_id, item.client_id)
        run = PromptRun(item, progress, self._cache, known, dict(item.prompt))
        run.started()
        try:
            success = self._run_nodes(run)
        finally:
            self.running_node = None
        if success:
            run.record(m.ExecutionSuccess(item.prompt_id, now()))
        return run.history(success=success)

    def _forget(self, prompt: dict[str, Any], known: dict[str, str]) -> None:
        """Like the original's default cache: what the new prompt does not need is forgotten.

        What a node wrote itself out into is kept while that node is still there.
        """
        posted = {(node_id, node["class_type"]) for node_id, node in prompt.items()}
        self._written = {key: self._written[key] for key in self._written.keys() & posted}
        kept = set(known.values()).union(*self._written.values())
        self._cache = {key: result for key, result in self._cache.items() if key in kept}

    def _run_nodes(self, run: PromptRun) -> bool:
        order = RunOrder(run.nodes, run.item.outputs, lambda node_id: run.cached(node_id) is not None)
        while (node_id := order.take()) is not None:
            if not self._run_node(run, order, node_id):
                return False
        return True

    def _run_node(self, run: PromptRun, order: RunOrder, node_id: str) -> bool:
        """Run or recall one node, or put it back until others have run; False if that ended the prompt."""
        result = run.cached(node_id)
        if result is None:
            inputs: dict[str, Any] = {}
            try:
                result = self._result(run, order, node_id, inputs)
            except Interrupted:
                run.interrupted(node_id)
                return False
            except Exception as error:  # noqa: BLE001 - whatever a node raises is the prompt's failure, not ours
                run.failed(node_id, inputs, error)
                return False
            if result is None:
                return True
            run.cache[run.signatures[node_id]] = result
            run.executed[node_id] = None
        run.show(node_id, result)
        run.progress.finish(node_id)
        order.done(node_id)
        return True

    def _result(
        self, run: PromptRun, order: RunOrder, node_id: str, inputs: dict[str, Any]
    ) -> NodeResult | None:
        """What the node gives, or None if it must wait: for lazy inputs, or for the nodes that it wrote."""
        if (written := run.expanded.pop(node_id, None)) is not None:
            return NodeResult(tuple(run.value(link) for link in written.values), written.ui)
        self.running_node = run.progress.lineage.real(node_id)
        run.progress.start(node_id)
        inputs.update(run.inputs(node_id))
        if block := next((value for value in inputs.values() if isinstance(value, Blocked)), None):
            return run.blocked(node_id, block)
        if sources := run.ask(node_id, inputs):
            order.wait_for(node_id, sources)
            return None
        result = self._call(run, node_id, inputs)
        if result.expand is None:
            return result
        self._expand(run, order, node_id, result, result.expand)
        return None

    def _expand(
        self, run: PromptRun, order: RunOrder, node_id: str, result: NodeResult, written: Expansion
    ) -> None:
        """Add the nodes that this one wrote; of those run the outputs, and what its result is made of."""
        if taken := [new for new in written.nodes if new in run.nodes]:
            raise ValueError(
                f"Node {node_id} writes a node of the id {taken[0]}, which the prompt has already."
            )
        run.expanded[node_id] = result
        run.nodes.update(written.nodes)
        for new in written.nodes:
            run.progress.lineage.add(new, node_id)
        known = signatures(run.nodes, written.nodes, self._folders, run.signatures)
        run.signatures.update(known)
        self._remember(run, node_id, {known[new] for new in written.nodes})
        for new in written.nodes:
            if run.node_class(new).output_node:
                order.add(new)
        order.wait_for(node_id, [link[0] for link in result.values])

    def _remember(self, run: PromptRun, node_id: str, digests: set[str]) -> None:
        """Say that these are what the posted node wrote now; what it had written before that is dropped."""
        key = run.posted(node_id)
        self._written[key] = digests if key[0] == node_id else self._written.get(key, set()) | digests

    def _call(self, run: PromptRun, node_id: str, inputs: dict[str, Any]) -> NodeResult:
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
        return run.node_class(node_id).run(context, inputs)


def _wanted(preview_method: Any, default: bool) -> bool:
    """Whether a prompt gets previews: what it says, else what the server was told. All methods are one here."""
    known = {"none": False, "auto": True, "latent2rgb": True, "taesd": True}
    return known.get(preview_method, default) if isinstance(preview_method, str) else default


def run_worker(queue: PromptQueue, executor: Executor, hub: Hub, prepare: Callable[[], object]) -> None:
    """The worker thread: one prompt after the other, until the queue is closed."""
    prepare()
    while (item := queue.take()) is not None:
        try:
            entry = executor.execute(item)
        except Exception:  # a worker that dies leaves its prompt running for ever: this ends that one only
            logger.exception("Prompt %s could not be run", item.prompt_id)
            entry = _FAILED
        queue.finish(entry)
        Progress(hub, item.prompt_id, item.client_id).end()
