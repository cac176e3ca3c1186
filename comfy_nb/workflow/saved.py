"""The workflows saved on a server, as a mapping that fetches what is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from comfy_nb.errors import UnknownWorkflow
from comfy_nb.workflow.graph import Workflow
from comfy_nb.workflow.names import clip, listing, nearest

__all__ = ["SavedWorkflows"]


class SavedWorkflows(Mapping[str, Workflow]):
    """Names, with folders, of saved workflows; each is fetched and converted when it is asked for."""

    def __init__(self, names: Sequence[str], fetch: Callable[[str], Workflow]) -> None:
        self._names = tuple(names)
        self._fetch = fetch

    def __getitem__(self, name: str) -> Workflow:
        """The workflow of that name, with or without ".json". Raises `UnknownWorkflow`, and what loading raises."""
        known = self._known(name)
        if known is None:
            raise UnknownWorkflow(self._nothing_like(str(name)))
        return self._fetch(known)

    def __contains__(self, name: object) -> bool:
        """Whether it can be asked for; fetches nothing."""
        return self._known(name) is not None

    def _known(self, name: object) -> str | None:
        found = [known for known in self._names if known in (name, f"{name}.json")]
        return min(found, key=len, default=None)

    def _nothing_like(self, name: str) -> str:
        if not self._names:
            return f"No workflow is saved on the server, so there is no {clip(name)!r}."
        found = nearest(name, self._names)
        return f"No workflow {clip(name)!r} is saved on the server. There are: {listing(found)}."

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._names)

    def __repr__(self) -> str:
        return "\n".join(self._names) or "no workflow is saved on the server"
