"""What Tab offers in IPython, from matchers of ours: added to the list that IPython keeps for that."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Matches", "add_matcher"]


OURS = "comfy_nb"


class Matches(NamedTuple):
    """What may stand in place of `fragment`, the last characters before the cursor; with the kind of each."""

    fragment: str
    texts: Sequence[tuple[str, str]]


Matcher = Callable[[str, Mapping[str, Any]], Matches | None]
"""Takes the line up to the cursor and the user's names; gives all there is to offer, None where others know more."""


def add_matcher(matcher: Matcher) -> None:
    """Have Tab ask `matcher` first, if this is IPython and it can; else nothing."""
    if "IPython" not in sys.modules:
        return
    from IPython.core.getipython import get_ipython  # noqa: PLC0415 - only where it runs anyway

    completer: Any = getattr(get_ipython(), "Completer", None)
    if not hasattr(completer, "custom_matchers"):  # before IPython 8.6
        return
    from IPython.core import completer as ipython  # noqa: PLC0415 - the same

    def ours(context: Any) -> dict[str, Any]:
        found = matcher(context.text_until_cursor, completer.namespace)
        if found is None:
            return {"completions": [], "suppress": False}
        made = [ipython.SimpleCompletion(text, type=kind) for text, kind in found.texts]
        return {"completions": made, "matched_fragment": found.fragment, "suppress": True, "ordered": True}

    asked_first: Any = ipython.context_matcher  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    others = [known for known in completer.custom_matchers if _name(known) != OURS]  # imported once more
    completer.custom_matchers = [*others, asked_first(identifier=OURS, priority=200)(ours)]


def _name(matcher: object) -> object:
    return getattr(matcher, "matcher_identifier", None)
