"""What a server says about its node classes: fetched class by class as they are needed, and kept.

Lists of files (models, pictures) change while a connection lives, so what looks wrong by an old answer is asked
again before anybody is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from comfy_nb.client.exchange import TooMuch
from comfy_nb.client.http import Http
from comfy_nb.loop import Loop
from comfy_nb.workflow.check import Problems, check
from comfy_nb.workflow.classes import Classes

__all__ = ["Catalog"]

ALL_AT_ONCE = 60  # from so many classes on, one large answer is quicker than many small ones


class Catalog:
    """The classes of one server. Everything here runs on the loop thread."""

    def __init__(self, http: Http, loop: Loop) -> None:
        self._http = http
        self._loop = loop
        self._raw: dict[str, object] = {}  # None for a class that the server does not have
        self._names: tuple[str, ...] = ()
        self._told = True  # whether the server has the route at all
        self._too_many = False  # whether all classes at once are too much

    async def classes(self, names: Collection[str], *, fresh: bool = False) -> Classes | None:
        """The classes of these names that the server has; None if it does not tell. Raises `ComfyError`."""
        wanted = [name for name in dict.fromkeys(names) if fresh or name not in self._raw]
        if not self._told:
            return None
        if len(wanted) >= ALL_AT_ONCE and await self._fetch_all():
            pass
        elif wanted and self._told:
            found = await asyncio.gather(*map(self._http.object_info, wanted))
            for name, info in zip(wanted, found, strict=True):
                if info is not None:
                    self._raw[name] = info.get(name)
            # No answer for one name, such as one with a "/" in it, says nothing about the route: the list does.
            if any(info is None for info in found):
                await self._fetch_all()
                if not self._told:
                    return None
                for name in wanted:
                    self._raw.setdefault(name, None)
        return Classes({name: self._raw[name] for name in names if self._raw.get(name) is not None})

    async def names(self) -> tuple[str, ...]:
        """The names of all classes; empty if the server does not tell, or has too many. Raises `ComfyError`."""
        if not self._names and self._told:
            await self._fetch_all()
        return self._names

    async def check(self, api: dict[str, Any]) -> Problems | None:
        """What the server would refuse about a prompt; None if it does not tell its classes. Raises `ComfyError`."""
        used = {str(node["class_type"]) for node in api.values()}
        for fresh in (False, True):
            classes = await self.classes(used, fresh=fresh)
            if classes is None:
                return None
            names = await self.names() if len(classes) < len(used) else ()
            problems = await self._loop.work(check, api, classes, names)
            if not problems:
                break
        return Problems(self._http.veil.record(found) for found in problems)

    async def _fetch_all(self) -> bool:
        """Ask for all classes at once; False if the server does not tell, or tells more than memory should hold."""
        if self._too_many:
            return False
        try:
            info = await self._http.object_info()
        except TooMuch:
            self._too_many = True
            return False
        if info is None:
            self._told = False
            return False
        # Classes that went away are none any more.
        self._raw.update(dict.fromkeys(self._raw))
        self._raw.update(info)
        self._names = tuple(info)
        return True
