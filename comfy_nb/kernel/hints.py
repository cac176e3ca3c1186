"""One more sentence below an error that is not ours, but about something of ours: a job or board in a layout.

Layouts of ipywidgets take widgets and nothing that has one, and say so in words that do not help. IPython tells when a
cell has ended with an error.
"""

from __future__ import annotations

import re
import sys
from typing import Any

__all__ = ["give_hints", "hint"]

_NO_WIDGET = re.compile(
    r"expected a Widget(?: or None)?, not the (Job|JobBoard) <|^'(Job|JobBoard)' object has no attribute 'layout'"
)


def hint(error: BaseException | None) -> str:
    """What to do about an error; an empty text where we do not know better."""
    found = _NO_WIDGET.search(str(error)) if error is not None else None
    if found is None:
        return ""
    name, such = ("board", "JobBoard") if "JobBoard" in found.groups() else ("job", "Job")
    return f"A {such} is not a widget itself, it has one: put {name}.view there, as in HBox([{name}.view])."


def give_hints() -> None:
    """Have IPython print hints below the errors of cells, if this is IPython."""
    if "IPython" not in sys.modules:
        return
    from IPython.core.getipython import get_ipython  # noqa: PLC0415 - only where it runs anyway

    shell: Any = get_ipython()
    if shell is not None:
        shell.events.register("post_run_cell", _after_cell)  # once, however often it is registered


def _after_cell(result: Any) -> None:
    if text := hint(result.error_in_exec):
        print(text, file=sys.stderr)  # noqa: T201 - below the traceback
