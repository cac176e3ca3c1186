"""What a notebook shows and stores of an object of ours: the live widget, and what stands in for it.

A front end shows the widget if it can. Where it cannot (a saved notebook on a web page, an export, a terminal), it
shows the picture, else the HTML, else the text.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from typing import Any, Protocol

__all__ = ["WIDGET", "Displayable", "bundle", "summary_html"]

WIDGET = "application/vnd.jupyter.widget-view+json"


class Displayable(Protocol):
    """A widget, as IPython sees it."""

    def _repr_mimebundle_(
        self, **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]] | dict[str, Any] | None: ...


def bundle(
    view: Displayable | None, *, text: str, html: str = "", png: bytes | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Data and metadata for `_repr_mimebundle_`, by media type.

    `text` is the one line for a terminal. `html` must come from `summary_html()` or be as safe; left out, it is
    `text`. `png` is the picture, as a file's bytes. Without a `view`, or with one that was closed, the static
    parts stand alone.
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


def _widget_part(view: Displayable | None) -> tuple[dict[str, Any], dict[str, Any]]:
    made = None if view is None else view._repr_mimebundle_()  # pyright: ignore[reportPrivateUsage] - it is how IPython asks
    data, metadata = made if isinstance(made, tuple) else (made or {}, {})
    return {WIDGET: data[WIDGET]} if WIDGET in data else {}, metadata
