"""What lies in front: the bottom band, in perspective, so that everything grows towards the viewer."""

from __future__ import annotations

from functools import partial

from comfy_nb.server.worlds.landscapes.grounds.barren import frozen_lake, oasis, sand, snow
from comfy_nb.server.worlds.landscapes.grounds.fields import farmland, flowers, meadow, path, rows, wheat
from comfy_nb.server.worlds.landscapes.grounds.waters import beach, lake, river
from comfy_nb.server.worlds.landscapes.parts import Part, variants

_NO_SNOW = frozenset({"summer", "autumn", "mars"})


GROUNDS: tuple[Part, ...] = (
    *variants(
        "meadow",
        "meadow grass field lawn nature green",
        (meadow, partial(meadow, tufts=110)),
    ),
    *variants("farmland", "meadow grass farm fence hay countryside rural", (farmland,)),
    *variants(
        "flowers",
        "flower meadow blossom bloom garden wildflower",
        (
            partial(flowers, kinds=("bloom_a", "bloom_b", "bloom_c"), count=120),
            partial(flowers, kinds=("bloom_a", "bloom_c"), count=160),
            partial(flowers, kinds=("bloom_b", "bloom_c"), count=140),
        ),
        rare_in=frozenset({"winter"}),
    ),
    *variants(
        "tulips",
        "flower tulip field garden row",
        (partial(rows, colours=("#e2485a", "#ff8a80"), vanish=0.42),),
        rare_in=frozenset({"winter", "mars"}),
    ),
    *variants(
        "lavender",
        "flower lavender field provence row",
        (partial(rows, colours=("#8d63cf", "#b999f0"), vanish=0.6),),
        rare_in=frozenset({"winter", "mars"}),
    ),
    *variants(
        "wheat", "wheat grain corn field harvest", (wheat, wheat), rare_in=frozenset({"winter", "aurora"})
    ),
    *variants(
        "lake",
        "lake water pond reflection shore",
        (partial(lake, top=0.69), partial(lake, top=0.715), partial(lake, top=0.75)),
    ),
    *variants("lily pond", "lake pond water lily", (partial(lake, top=0.7, lilies=True),)),
    *variants(
        "river",
        "river water stream creek",
        (partial(river, start=0.55, bend=0.12), partial(river, start=0.36, bend=-0.14)),
    ),
    *variants(
        "beach", "beach sand coast shore sea wave", (partial(beach, top=0.74), partial(beach, top=0.79))
    ),
    *variants("snow", "snow snowy winter ice", (snow, partial(snow, trees=True)), rare_in=_NO_SNOW),
    *variants("frozen lake", "snow ice lake frozen frost winter", (frozen_lake,), rare_in=_NO_SNOW),
    *variants("sand", "sand desert dune sandy", (sand, partial(sand, rocks=True))),
    *variants("oasis", "sand desert oasis water", (partial(oasis, u=0.4), partial(oasis, u=0.66))),
    *variants(
        "path",
        "path road trail way walk",
        (
            partial(path, start=0.56, bend=0.1),
            partial(path, start=0.4, bend=-0.13),
            partial(path, start=0.5, bend=0.04),
        ),
    ),
)
