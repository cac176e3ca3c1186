"""A board that stands still: one picture of many and a list in words, for notebooks that are read without a kernel.

Decodes and encodes: for the workers.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

from PIL import Image

from comfy_nb.kernel.display import stand_in_style
from comfy_nb.pictures import open_picture, smaller

__all__ = ["contact_sheet", "sheet_bundle"]

COLUMNS = 6
GROUND = "#808080"  # between pictures; a JPEG cannot let the page's own colour through, light or dark
CELLS = (144, 112, 80, 48)  # pixels; the first that fits is taken
GAP = 4  # pixels
MAX_BYTES = 55_000  # of the picture, which a bundle holds twice, in four characters for three bytes
MAX_ROWS = 60  # jobs in the list


def contact_sheet(pictures: Sequence[bytes]) -> bytes:
    """The pictures in rows of up to six, as a JPEG of at most 55 kB; empty if there are none."""
    if not pictures:
        return b""
    for cell in CELLS:
        out = io.BytesIO()
        _sheet(pictures, cell).save(out, "JPEG", quality=82, optimize=True)
        if out.tell() <= MAX_BYTES:
            return out.getvalue()
    return contact_sheet(pictures[: len(pictures) // 2])


def _sheet(pictures: Sequence[bytes], cell: int) -> Image.Image:
    rows = -(-len(pictures) // COLUMNS)
    columns = -(-len(pictures) // rows)  # of equal length, as far as that goes
    sheet = Image.new("RGB", (columns * (cell + GAP) - GAP, rows * (cell + GAP) - GAP), GROUND)
    for place, data in enumerate(pictures):
        small = smaller(open_picture(data), cell, "RGB")
        column, row = place % columns, place // columns
        left, top = (cell - small.width) // 2, (cell - small.height) // 2
        sheet.paste(small, (column * (cell + GAP) + left, row * (cell + GAP) + top))
    return sheet


def sheet_bundle(
    headline: str, rows: Sequence[tuple[str, str]], jpeg: bytes, *, mark: str = ""
) -> dict[str, str]:
    """Picture, headline, and a list of titles and states as plain text, by media type. `mark` is a class."""
    data = base64.b64encode(jpeg).decode("ascii")
    look = "display:block;max-width:100%;height:auto;border-radius:4px;margin-bottom:4px"
    picture = f'<img alt="" style="{look}" src="data:image/jpeg;base64,{data}">' if data else ""
    items = "".join(
        f"<li><bdi>{escape(title)}</bdi>: {escape(state)}</li>" for title, state in rows[:MAX_ROWS]
    )
    more = f"<p>… and {len(rows) - MAX_ROWS} more</p>" if len(rows) > MAX_ROWS else ""
    listed = f"<ul>{items}</ul>{more}" if items else ""
    style = stand_in_style(mark) if mark and headline else ""
    html = f'{style}<div class="{mark}">{picture}<strong>{escape(headline)}</strong>{listed}</div>'
    return {"text/plain": headline, "text/html": html} | ({"image/jpeg": data} if data else {})
