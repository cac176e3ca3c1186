"""Files that are saved here under names from elsewhere: names that every system takes, and nothing overwritten."""

from __future__ import annotations

import contextlib
import itertools
import re
import unicodedata
from pathlib import Path

__all__ = ["safe_name", "write_new"]

MAX_NAME = 200  # bytes; 255 is what most file systems take, and a number may be added
MAX_ENDING = 20  # bytes of what stands behind the last dot, if it is to stay there
MOST = 100_000  # files of one name

_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')  # by Windows; the slash by all
# What Windows takes for a device, whatever follows the dot.
_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³])\s*(?:\..*)?", re.IGNORECASE)


def safe_name(name: str, otherwise: str = "output") -> str:
    """The last part of `name` as a name that is safe on every system; `otherwise` if nothing is left of it.

    Control characters, marks of direction and other invisible ones go, as terminals and lists of files obey them.
    """
    last = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1])
    seen = "".join(
        c for c in last if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    )
    clean = _FORBIDDEN.sub("_", seen).strip().lstrip(".").rstrip(". ")
    if not clean:
        return otherwise
    if clean.startswith(("-", "~")) or _DEVICE.fullmatch(
        clean
    ):  # programs take it for an option; a shell for a home
        clean = f"_{clean}"
    stem, dot, ending = clean.rpartition(".")
    if not dot or len(ending.encode()) > MAX_ENDING:
        stem, dot, ending = clean, "", ""
    room = MAX_NAME - len(dot + ending)
    stem = stem.encode()[:room].decode(errors="ignore").rstrip(". ") if len(stem.encode()) > room else stem
    return f"{stem}{dot}{ending}"


def write_new(folder: Path, name: str, data: bytes) -> Path:
    """Write a new file into `folder`, as `name`, or with a number if that is taken. Raises OSError, and leaves no half.

    Also where two names differ in their case alone, on systems that take them for one.
    """
    stem, dot, ending = name.rpartition(".") if "." in name else (name, "", "")
    for count in itertools.count():
        path = folder / f"{stem}{f'-{count}' if count else ''}{dot}{ending}"
        try:
            file = path.open("xb")
        except FileExistsError:
            if count >= MOST:
                raise
            continue
        try:
            with file:
                file.write(data)
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        return path
    raise AssertionError  # it counts for ever
