"""What a notebook shows and stores of an object of ours: the live widget, and what stands in for it.

A front end shows the widget if it can. Where it cannot (a saved notebook on a web page, an export, a terminal), it
shows the picture, else the HTML, else the text.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from typing import Any, cast

__all__ = ["WIDGET", "bundle", "summary_html"]

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


def _widget_part(view: object) -> _Bundle:
    ask: Any = getattr(view, "_repr_mimebundle_", None)  # a closed widget has None there
    made: Any = ask() if callable(ask) else None
    data, metadata = cast(_Bundle, made if isinstance(made, tuple) else (made or {}, {}))
    return {WIDGET: data[WIDGET]} if WIDGET in data else {}, metadata
