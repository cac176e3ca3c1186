"""What has to be there before the first widget of ours."""

from __future__ import annotations

import functools

import ipywidgets

from comfy_nb.kernel.host import may_be_vscode

__all__ = ["begin"]


@functools.cache
def begin() -> ipywidgets.Layout | None:
    """Once in a process: a model that VS Code has built in, before the first that it loads by script.

    An extension of VS Code's own (for Mermaid in Markdown cells) leaves an anonymous AMD `define` behind, and requirejs
    throws "Mismatched anonymous define()" at the first widget that it loads by script: no widget is shown at all. After
    a model that needs no script it does not.
    """
    return ipywidgets.Layout() if may_be_vscode() else None
