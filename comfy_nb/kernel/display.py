"""What a notebook shows and stores of an object of ours: the live widget, and what stands in for it.

A front end shows the widget if it can. Where it cannot (an export, a web page, a terminal), it shows the HTML, else
the picture, else the text.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Mapping
from html import escape
from typing import Any, cast

__all__ = ["WIDGET", "bundle", "publish", "replace", "stand_in_style", "static_bundle", "summary_html"]

WIDGET = "application/vnd.jupyter.widget-view+json"

_Bundle = tuple[dict[str, Any], dict[str, Any]]


def bundle(view: object, *, text: str, html: str = "", png: bytes | None = None) -> _Bundle:
    """Data and metadata for `_repr_mimebundle_`, by media type.

    `view` is a widget, or None. `text` is the one line for a terminal. `html` must come from `summary_html()` or
    be as safe; left out, it is `text`. `png` is the picture, as a file's bytes. Without a view, or with one that
    was closed, the static parts stand alone.
    """
    data: dict[str, Any] = {"text/plain": text, "text/html": html or summary_html(text)}
    if png is not None:
        data["image/png"] = base64.b64encode(png).decode("ascii")
    live, metadata = _widget_part(view)
    return data | live, metadata


def summary_html(headline: str, details: Mapping[str, str] | None = None) -> str:
    """A small static summary: a headline and a list of names and values, all of them shown as plain text."""
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in (details or {}).items()
    )
    return f"<div><strong>{escape(headline)}</strong>{f'<dl>{rows}</dl>' if rows else ''}</div>"


def static_bundle(text: str, *, jpeg: bytes = b"", mark: str = "") -> dict[str, str]:
    """A line of text under a picture, by media type, for front ends that know no widgets or no HTML.

    `mark` is a class for style sheets, and of a stand-in beside a live view. An empty text makes an output that shows
    nothing.
    """
    data = base64.b64encode(jpeg).decode("ascii")
    look = "display:block;max-width:100%;height:auto;border-radius:4px;margin-bottom:4px"
    picture = f'<img alt="" style="{look}" src="data:image/jpeg;base64,{data}">' if data else ""
    marked = f'{stand_in_style(mark) if text else ""}<div class="{mark}">' if mark else "<div>"
    images = {"image/jpeg": data} if data else {}
    return {"text/plain": text, "text/html": f"{marked}{picture}{escape(text)}</div>", **images}


def stand_in_style(mark: str) -> str:
    """What hides the live view before a stand-in of class `mark` where it is none any more.

    JupyterLab without the kernel has "model not found" there, an export its text. Where an output's styles are not
    trusted, that stays.
    """
    remains = ".jp-RenderedText,.jupyter-widgets:not(:has(*))"
    return f"<style>.jp-OutputArea-child:has(+.jp-OutputArea-child .{mark})>:is({remains}){{display:none}}</style>"


def publish(name: str, data: Mapping[str, Any]) -> None:
    """Display something in the cell that runs, under a name by which it can be replaced."""
    _publish(name, data, update=False)


def replace(name: str, data: Mapping[str, Any]) -> None:
    """Put something else where `name` is displayed; from any thread. Does nothing where nothing can be replaced."""
    if _can_replace():
        _publish(name, data, update=True)


def _publish(name: str, data: Mapping[str, Any], *, update: bool) -> None:
    shell = _shell()
    if shell is not None:
        shell.display_pub.publish(dict(data), {}, transient={"display_id": name}, update=update)


def _can_replace() -> bool:
    """Not in a terminal, where a second output would only be one more line."""
    return getattr(_shell(), "kernel", None) is not None


def _shell() -> Any | None:
    """The running IPython, or None; never imports it."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def _widget_part(view: object) -> _Bundle:
    ask: Any = getattr(view, "_repr_mimebundle_", None)  # a closed widget has None there
    made: Any = ask() if callable(ask) else None
    data, metadata = cast(_Bundle, made if isinstance(made, tuple) else (made or {}, {}))
    return {WIDGET: data[WIDGET]} if WIDGET in data else {}, metadata
