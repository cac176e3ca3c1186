"""What the server logs, bounded: a prompt can make lines as long as itself, and a server lives for days."""

from __future__ import annotations

import logging
import os
import stat
import sys

__all__ = ["BoundedHandler", "log_to_stderr"]

LINE_LIMIT = 2_000
"""The longest record, in characters."""
FILE_LIMIT = 1_000_000
"""Bytes after which a log file begins anew."""


class BoundedHandler(logging.StreamHandler):  # pyright: ignore[reportMissingTypeArgument]
    """Writes to standard error: long records are cut, and a file that has grown long begins anew."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text, its middle left out if it is long: the end of a traceback says what happened."""
        text = super().format(record)
        if len(text) <= LINE_LIMIT:
            return text
        half = LINE_LIMIT // 2
        return f"{text[:half]} … ({len(text) - 2 * half:,} characters left out) … {text[-half:]}"

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self._begin_anew()
        super().emit(record)

    def _begin_anew(self) -> None:
        found = os.fstat(sys.stderr.fileno())
        if stat.S_ISREG(found.st_mode) and found.st_size > FILE_LIMIT:
            # Who started us opened it for appending: what is written next stands at its beginning.
            os.ftruncate(sys.stderr.fileno(), 0)


def log_to_stderr() -> None:
    """Log warnings of all libraries, by this handler only."""
    handler = BoundedHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
