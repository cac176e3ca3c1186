"""The server's three folders, and names in them that cannot lead outside."""

from __future__ import annotations

import random
import re
import string
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FOLDER_TYPES", "FilePlace", "Folders", "ImpossibleName", "OutsideFolder"]

FOLDER_TYPES = ("output", "input", "temp")
# Bytes of a whole name and of each of its parts; what is longer makes file systems fail in many ways.
MAX_NAME, MAX_PART = 1000, 255
_ANNOTATION = re.compile(r"^(.*) \[(output|input|temp)\]$", re.DOTALL)


class OutsideFolder(ValueError):
    """A path that would leave the folder it was given for."""


class ImpossibleName(OutsideFolder):
    """A name that no file can have, in any folder."""


@dataclass(frozen=True)
class FilePlace:
    """One file to be written, with the reference that /view understands."""

    path: Path
    filename: str
    subfolder: str
    type: str

    def reference(self) -> dict[str, str]:
        """What `executed` messages and the history say of this file."""
        return {"filename": self.filename, "subfolder": self.subfolder, "type": self.type}


class Folders:
    """`output`, `input` and `temp`, and `user` for a front end's own files, under one root that the server owns."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._salt = random.random()
        self._lock = threading.Lock()
        self.user = self.root / "user"
        for kind in (*FOLDER_TYPES, "user"):
            (self.root / kind).mkdir(parents=True, exist_ok=True)

    def folder(self, kind: str, subfolder: str = "") -> Path:
        """The folder of that type; OutsideFolder if `subfolder` would leave it."""
        return self.within(self.root / kind, subfolder)

    def within(self, base: Path, name: str) -> Path:
        """The place of that name in or below `base`, links followed; OutsideFolder if it would leave it."""
        path = _resolve(base, name)
        if not path.is_relative_to(base):
            raise OutsideFolder(f"{name!r} is outside of the {base.name} folder.")
        return path

    def find(self, name: str, kind: str = "input", subfolder: str = "") -> Path | None:
        """The file of that name, which may hold folders and end in ` [output]`; None if there is none."""
        if match := _ANNOTATION.match(name):
            name, kind = match.groups()
        folder = self.folder(kind, subfolder)
        try:
            path = _resolve(folder, name)
        except ImpossibleName:
            return None
        return path if path.is_relative_to(folder) and path.is_file() else None

    def inputs(self) -> list[str]:
        """The names of the files in the input folder, its sub-folders included, sorted."""
        base = self.root / "input"
        return sorted(path.relative_to(base).as_posix() for path in base.rglob("*") if path.is_file())

    def reserve(self, kind: str, prefix: str, values: Mapping[str, object], count: int) -> list[FilePlace]:
        """Places for `count` new PNG files named `<prefix>_<5 digits>_.png`, numbered after the last one there.

        `prefix` may hold folders and ComfyUI's variables (`%year%` … `%second%`, and those in `values`).
        """
        subfolder, _, stem = _expand(prefix, values).replace("\\", "/").rpartition("/")
        folder = self.folder(kind, subfolder)
        with self._lock:
            folder.mkdir(parents=True, exist_ok=True)
            places: list[FilePlace] = []
            first: dict[str, int] = {}
            for index in range(count):
                name = stem.replace("%batch_num%", str(index))
                number = first.setdefault(name, _next_number(folder, name))
                first[name] += 1
                filename = f"{name}_{number:05}_.png"
                (folder / filename).touch()
                places.append(FilePlace(folder / filename, filename, subfolder, kind))
        return places

    def store(self, data: bytes, name: str, kind: str, subfolder: str, *, overwrite: bool) -> FilePlace:
        """Write a file under its name; if another file has that name, under `name (1).ext` and so on.

        Without `overwrite` a file with the same bytes is used again. Raises OutsideFolder.
        """
        folder = self.folder(kind, subfolder)
        path = _resolve(folder, name)
        if not path.is_relative_to(folder) or path == folder:
            raise OutsideFolder(f"File name {name!r} is outside of the {kind} folder.")
        with self._lock:
            path.parent.mkdir(parents=True, exist_ok=True)
            stem, number = path.stem, 0
            while not overwrite and path.exists() and not (path.is_file() and path.read_bytes() == data):
                number += 1
                path = path.with_name(f"{stem} ({number}){path.suffix}")
            path.write_bytes(data)
        where = path.parent.relative_to(self.root / kind).as_posix()
        return FilePlace(path, path.name, "" if where == "." else where, kind)

    def temp_prefix(self, node_id: str) -> str:
        """`ComfyUI_temp_` and five letters, the same ones for a node as long as the server lives."""
        letters = random.Random(f"{self._salt} {node_id}").choices(string.ascii_lowercase, k=5)
        return "ComfyUI_temp_" + "".join(letters)


def _resolve(base: Path, name: str) -> Path:
    parts = name.encode(errors="replace").split(b"/")
    if "\0" in name or len(name) > MAX_NAME or max(map(len, parts)) > MAX_PART or not _is_text(name):
        raise ImpossibleName("No file can have this name.")
    return (base / name).resolve()


def _is_text(name: str) -> bool:
    """Whether it has no half of a surrogate pair, which JSON can carry and a file name cannot."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _expand(prefix: str, values: Mapping[str, object]) -> str:
    now = time.localtime()
    moment = {"year": now.tm_year, "month": f"{now.tm_mon:02}", "day": f"{now.tm_mday:02}"}
    moment |= {"hour": f"{now.tm_hour:02}", "minute": f"{now.tm_min:02}", "second": f"{now.tm_sec:02}"}
    for name, value in {**moment, **values}.items():
        prefix = prefix.replace(f"%{name}%", str(value))
    return prefix


def _next_number(folder: Path, stem: str) -> int:
    pattern = re.compile(re.escape(stem) + r"_(\d+)_")
    matches = (pattern.match(path.name) for path in folder.iterdir())
    return max((int(match.group(1)) for match in matches if match), default=0) + 1
