"""A board that stands still: one picture of many, and a list in words, for notebooks that are read without a kernel."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape

from PIL import Image

__all__ = ["contact_sheet", "summary"]

COLUMNS = 6
CELL = 112  # pixels
GAP = 4  # pixels
MAX_BYTES = 150_000
MAX_ROWS = 60  # jobs in the list


def contact_sheet(pictures: Sequence[bytes]) -> bytes | None:
    """The pictures in rows of six, as a PNG of at most 150 kB; None if there are none. Decodes and encodes."""
    if not pictures:
        return None
    for cell, colours in ((CELL, 256), (CELL, 64), (CELL // 2, 64)):
        sheet = _sheet(pictures, cell).quantize(colours)
        out = io.BytesIO()
        sheet.save(out, "PNG", optimize=True)
        if out.tell() <= MAX_BYTES:
            return out.getvalue()
    return contact_sheet(pictures[: len(pictures) // 2])


def _sheet(pictures: Sequence[bytes], cell: int) -> Image.Image:
    columns = min(COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (cell + GAP) - GAP, rows * (cell + GAP) - GAP), "white")
    for place, data in enumerate(pictures):
        with Image.open(io.BytesIO(data)) as picture:
            small = picture.convert("RGB")
        small.thumbnail((cell, cell), Image.Resampling.LANCZOS)
        column, row = place % columns, place // columns
        corner = (cell - small.width) // 2, (cell - small.height) // 2
        sheet.paste(small, (column * (cell + GAP) + corner[0], row * (cell + GAP) + corner[1]))
    return sheet


def summary(headline: str, rows: Sequence[tuple[str, str]]) -> str:
    """The headline, and a list of titles and states, all as plain text in HTML."""
    items = "".join(
        f"<li><bdi>{escape(title)}</bdi>: {escape(state)}</li>" for title, state in rows[:MAX_ROWS]
    )
    more = f"<p>… and {len(rows) - MAX_ROWS} more</p>" if len(rows) > MAX_ROWS else ""
    return f"<div><strong>{escape(headline)}</strong>{f'<ul>{items}</ul>' if items else ''}{more}</div>"
