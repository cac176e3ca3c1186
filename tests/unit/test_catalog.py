"""One class name that a server or a proxy cannot be asked for harms nothing else."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from comfy_nb.client.catalog import Catalog

LIST = {name: {"input": {}, "output": []} for name in ("KSampler //Inspire", "VAELoader")}


class Proxied:
    """The one method of `Http` that a catalog calls, behind a proxy that decodes %2F: such a name is not found."""

    def __init__(self, *, has_list: bool = True) -> None:
        self.asked: list[str | None] = []
        self.has_list = has_list

    async def object_info(self, name: str | None = None) -> dict[str, Any] | None:
        self.asked.append(name)
        if name is None:
            return dict(LIST) if self.has_list else None
        return None if "/" in name or not self.has_list else {key: LIST[key] for key in LIST if key == name}


def classes(proxied: Proxied, *rounds: list[str]) -> list[Any]:
    catalog = Catalog(cast("Any", proxied), cast("Any", None))

    async def ask() -> list[Any]:
        return [await catalog.classes(names) for names in rounds]

    return asyncio.run(ask())


def test_the_whole_list_is_asked_before_giving_up():
    proxied = Proxied()
    odd = ["KSampler //Inspire", "No/Such", "VAELoader"]
    first, second = classes(proxied, odd, odd)
    assert set(first) == set(second) == set(LIST)
    assert proxied.asked.count(None) == 1


def test_a_server_without_the_route_is_not_asked_again():
    proxied = Proxied(has_list=False)
    assert classes(proxied, ["VAELoader"], ["KSampler"]) == [None, None]
    assert proxied.asked == ["VAELoader", None]
