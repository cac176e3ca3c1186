"""Whose message is it? Nothing of one prompt may ever show on another.

JSON messages carry their prompt's id. Three kinds may not: preview pictures of old servers or lost flags (type 1),
lines of text (type 3), and the word that greets a socket which re-joins a running prompt. Those belong to the prompt
that this socket last saw start, if it is ours and has not ended, and a text only if the node is one of its own. The
greeting comes before anything was seen to start, but only ever to the owner of the prompt that runs: if one prompt
alone is open, it is that one's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from comfy_nb.wire import messages as wire

__all__ = ["Router"]


class Router:
    """Remembers which prompt the server's worker is on, as this socket saw it."""

    def __init__(self, ours: Collection[str], has_node: Callable[[str, str], bool]) -> None:
        """`ours` holds the ids of our open prompts; `has_node(prompt_id, node_id)` tells whether a node is of one."""
        self._ours, self._has_node = ours, has_node
        self.running: str | None = None

    def forget(self) -> None:
        """The connection was lost: what runs now is not known."""
        self.running = None

    def owner(self, message: wire.Message) -> str | None:
        """The id of our prompt that `message` belongs to, or None."""
        match message:
            case wire.PreviewImage():
                return self._current()
            case wire.ProgressText(prompt_id=None, node=node):
                owner = self._current()
                return owner if owner and self._has_node(owner, node) else None
            case wire.Executing(prompt_id=None, node=str(node)):
                owner = self._current() or self._only()
                return owner if owner and self._has_node(owner, node) else None
            case wire.Status() | wire.FeatureFlags() | wire.Unknown():
                return None
            case _:
                return self._by_id(message)

    def _current(self) -> str | None:
        return self.running if self.running is not None and self.running in self._ours else None

    def _only(self) -> str | None:
        return next(iter(self._ours)) if len(self._ours) == 1 and self.running is None else None

    def _by_id(self, message: wire.Message) -> str | None:
        prompt_id = getattr(message, "prompt_id", None)
        if not isinstance(prompt_id, str):
            return None
        match message:
            case wire.ExecutionError(blocked=True):
                pass  # not the end: the run goes on
            case wire.ExecutionStart() | wire.ExecutionCached() | wire.ProgressState() | wire.Progress():
                self.running = prompt_id
            case wire.Executing(node=str()):
                self.running = prompt_id
            case (
                wire.ExecutionSuccess()
                | wire.ExecutionError()
                | wire.ExecutionInterrupted()
                | wire.Executing(node=None)
            ):
                self.running = None if self.running == prompt_id else self.running
            case _:
                pass
        return prompt_id if prompt_id in self._ours else None
