"""Finding nodes and inputs by what people call them.

A name is a title, a class or an id. One reading is the answer; several are an `AmbiguousName` that shows
them, with one exception: a node whose title is its class ("KSampler", as ComfyUI itself names it) is meant
rather than the nodes of that class that have been given titles of their own. "Positive" and "Negative" also mean
the nodes that hold these texts, where nothing has that name.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator

from comfy_nb.errors import AmbiguousName, UnknownInput, UnknownNode
from comfy_nb.workflow.roles import ROLES, nodes_of_role
from comfy_nb.workflow.values import Prompt

SHOWN = 12
"""Names listed in an error before "and … more"."""


class Names:
    """An index of a prompt's titles and classes. Inputs are looked up in the prompt, so they may change."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._titles: dict[str, list[str]] = {}
        self._classes: dict[str, list[str]] = {}
        for node_id, node in prompt.items():
            self._titles.setdefault(node["_meta"]["title"], []).append(node_id)
            self._classes.setdefault(node["class_type"], []).append(node_id)
        self._lengths = {len(name) for name in (*self, *ROLES)}
        self._readings: dict[str, list[str]] = {}

    def __iter__(self) -> Iterator[str]:
        """Titles, then classes, then ids; each once."""
        return iter(dict.fromkeys([*self._titles, *self._classes, *self._prompt]))

    def readings(self, name: str) -> list[str]:
        """The ids of all nodes that a name can mean; empty if there is none."""
        if name not in self._readings:
            found = self._find_readings(name)
            if not found:  # not to be kept: a role goes by the links, which change
                return nodes_of_role(self._prompt, name) if name in ROLES else found
            self._readings[name] = found
        return self._readings[name]

    def _find_readings(self, name: str) -> list[str]:
        titled = self._titles.get(name, [])
        classed = self._classes.get(name, [])
        if len(titled) == 1 and titled[0] in classed:
            classed = []
        by_id = [name] if name in self._prompt else []
        return list(dict.fromkeys([*by_id, *titled, *classed]))

    def find(self, name: str | int) -> str:
        """The id of the one node that a name means. Raises `UnknownNode`, `AmbiguousName`."""
        text = str(name)
        found = self.readings(text) if isinstance(name, str) else [text] * (text in self._prompt)
        if not found:
            if self.path_readings(text):
                raise UnknownNode(
                    f"{clip(text)!r} is an input's path, not a node; use it with get() or set()."
                )
            raise UnknownNode(f"There is no node {clip(text)!r}; the nodes are {self._nearest_nodes(text)}.")
        if len(found) > 1:
            raise self._ambiguous(text, found)
        return found[0]

    def path_readings(self, path: str) -> list[tuple[str, str]]:
        """All (node id, input name) that a path such as "KSampler.cfg" can mean; empty if there is none.

        Both parts may hold dots; the longest name of a node that has the input wins.
        """
        for name, input_name in self._splits(path):
            found = [i for i in self.readings(name) if input_name in self._prompt[i]["inputs"]]
            if found:
                return [(node_id, input_name) for node_id in found]
        return []

    def resolve(self, path: str) -> tuple[str, str]:
        """The one (node id, input name) that a path means.

        Raises `UnknownNode`, `UnknownInput`, `AmbiguousName`.
        """
        path = str(path)  # a number would not be a path, but deserves the same sentence
        found = self.path_readings(path)
        if len(found) == 1:
            return found[0]
        if found:
            raise self._ambiguous(path, [node_id for node_id, _ in found])
        for name, input_name in self._splits(path):
            if self.readings(name):
                raise self.unknown_input(self.find(name), input_name)
        nodes = self._nearest_nodes(path.rpartition(".")[0] or path)
        raise UnknownNode(f"{clip(path)!r} is not a node's name, a dot and an input; the nodes are {nodes}.")

    def unknown_input(self, node_id: str, input_name: str) -> UnknownInput:
        """The error for an input that a node does not have, listing those that it has, nearest first."""
        inputs, input_name = self._prompt[node_id]["inputs"], str(input_name)
        have = f"its inputs are {listing(nearest(input_name, inputs))}" if inputs else "it has no inputs"
        return UnknownInput(f"{self.label(node_id)} has no input {clip(input_name)!r}; {have}.")

    def label(self, node_id: str) -> str:
        """How an error names a node: title and id."""
        return f"{clip(self._prompt[node_id]['_meta']['title'])!r} (node {clip(node_id)})"

    def _splits(self, path: str) -> Iterator[tuple[str, str]]:
        """The ways to cut a path at a dot after what may be a node's name, the longest first."""
        at = path.rfind(".")
        while at >= 0:
            if at in self._lengths:
                yield path[:at], path[at + 1 :]
            at = path.rfind(".", 0, at)

    def _nearest_nodes(self, name: str) -> str:
        ranked = nearest(name, self)
        ids = dict.fromkeys(node_id for known in ranked for node_id in self.readings(known))
        return listing(ids, self.label)

    def _ambiguous(self, name: str, node_ids: list[str]) -> AmbiguousName:
        def full(node_id: str) -> str:
            return f"{self.label(node_id)[:-1]}, {clip(self._prompt[node_id]['class_type'])})"

        return AmbiguousName(
            f"{clip(name)!r} can mean {listing(node_ids, full)}; use the id, such as {clip(node_ids[0])!r}."
        )


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """The known names, those most like `name` first."""
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(clip(name).casefold())

    def roughly(other: str) -> float:
        matcher.set_seq1(clip(other).casefold())
        return matcher.quick_ratio()

    def exactly(other: str) -> float:
        matcher.set_seq1(clip(other).casefold())
        return matcher.ratio()

    # The exact likeness is slow, and only the first few are shown.
    ranked = sorted(known, key=roughly, reverse=True)
    return sorted(ranked[:100], key=exactly, reverse=True) + ranked[100:]


def listing(items: Iterable[str], show: Callable[[str], str] | None = None) -> str:
    """Names as one phrase, at most `SHOWN` of them."""
    everything = list(items)
    shown = [show(item) if show else repr(clip(item)) for item in everything[:SHOWN]]
    more = len(everything) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def clip(text: str, limit: int = 60) -> str:
    """Text short enough for one line."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def opening(subject: str) -> str:
    """What a sentence begins with: "the text" gets its capital, and a path stays as it is."""
    return f"T{subject[1:]}" if subject.startswith("the ") else subject
