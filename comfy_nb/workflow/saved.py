"""The workflows saved on a server, as a mapping that fetches what is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from comfy_nb.workflow.graph import Workflow
from comfy_nb.workflow.names import listing, nearest

__all__ = ["SavedWorkflows"]


class SavedWorkflows(Mapping[str, Workflow]):
    """Names, with folders, of saved workflows; each is fetched and converted when it is asked for."""

    def __init__(self, names: Sequence[str], fetch: Callable[[str], Workflow]) -> None:
        self._names = tuple(names)
        self._fetch = fetch

    def __getitem__(self, name: str) -> Workflow:
        """The workflow of that name, with or without ".json". Raises `KeyError`, and what loading raises."""
        for known in (name, f"{name}.json"):
            if known in self._names:
                return self._fetch(known)
        there = f"there are {listing(nearest(str(name), self._names))}" if self._names else "there is none"
        raise KeyError(f"no workflow {name!r} is saved on the server; {there}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._names)

    def __repr__(self) -> str:
        return "\n".join(self._names) or "no workflow is saved on the server"
