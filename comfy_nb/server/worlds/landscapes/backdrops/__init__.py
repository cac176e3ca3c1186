"""What stands on the horizon: the middle band, from far to near, each layer deeper in tone than the one behind."""

from __future__ import annotations

from functools import partial

from comfy_nb.server.worlds.landscapes.backdrops.heights import hills, mountains
from comfy_nb.server.worlds.landscapes.backdrops.skylines import city, forest, sea, woods
from comfy_nb.server.worlds.landscapes.backdrops.wonders import dunes, mesas, pyramids, volcano, waterfall
from comfy_nb.server.worlds.landscapes.parts import Part, variants

BACKDROPS: tuple[Part, ...] = (
    *variants(
        "mountains",
        "mountain peak alps alpine landscape scenery nature snowcapped",
        (
            partial(mountains, peaks=((0.24, 0.41, 0.30), (0.66, 0.385, 0.34), (0.95, 0.46, 0.24))),
            partial(mountains, peaks=((0.5, 0.38, 0.36), (0.13, 0.46, 0.27), (0.86, 0.44, 0.26))),
            partial(mountains, peaks=((0.77, 0.385, 0.33), (0.36, 0.43, 0.28), (0.04, 0.45, 0.26))),
            partial(mountains, peaks=((0.18, 0.385, 0.33), (0.56, 0.455, 0.25), (0.87, 0.42, 0.28))),
            partial(
                mountains,
                peaks=((0.34, 0.40, 0.26), (0.6, 0.43, 0.24), (0.84, 0.40, 0.25), (0.08, 0.45, 0.22)),
            ),
        ),
    ),
    *variants(
        "rocky mountains",
        "mountain peak rock rocky cliff",
        (
            partial(mountains, peaks=((0.3, 0.4, 0.3), (0.72, 0.42, 0.28)), snow=False),
            partial(mountains, peaks=((0.62, 0.39, 0.32), (0.16, 0.44, 0.25), (0.93, 0.46, 0.2)), snow=False),
        ),
    ),
    *variants(
        "hills",
        "hill valley countryside rolling nature",
        (
            partial(hills, waves=0.9, lift=1.0),
            partial(hills, waves=1.3, lift=1.25),
            partial(hills, waves=0.6, lift=1.4),
            partial(hills, waves=1.7, lift=0.8),
        ),
    ),
    *variants(
        "pine forest",
        "forest pine tree wood fir conifer nature",
        (
            partial(forest, tall=1.0, crowd=26),
            partial(forest, tall=1.25, crowd=22),
            partial(forest, tall=0.8, crowd=32),
        ),
    ),
    *variants("woods", "forest wood tree grove jungle", (woods, woods)),
    *variants(
        "city",
        "city skyline town skyscraper building urban downtown",
        (
            partial(city, tallest=0.27, middle=0.5),
            partial(city, tallest=0.27, middle=0.28),
            partial(city, tallest=0.28, middle=0.74),
            partial(city, tallest=0.2, middle=0.5),
        ),
    ),
    *variants(
        "dunes",
        "dune desert sahara sand",
        (partial(dunes, count=3), partial(dunes, count=4), partial(dunes, count=3)),
        rare_in=frozenset({"winter", "aurora", "autumn"}),
    ),
    *variants(
        "canyon",
        "canyon desert mesa cliff rock western",
        (
            partial(mesas, places=((0.25, 0.43, 0.13), (0.78, 0.47, 0.1))),
            partial(mesas, places=((0.66, 0.42, 0.16), (0.2, 0.5, 0.08))),
        ),
        rare_in=frozenset({"winter", "aurora", "candy"}),
    ),
    *variants(
        "pyramids",
        "pyramid egypt desert",
        (partial(pyramids, places=((0.72, 0.5, 0.19), (0.34, 0.42, 0.27))),),
        rare_in=frozenset({"winter", "aurora", "candy"}),
    ),
    *variants(
        "sea",
        "sea ocean water island coast bay horizon",
        (
            partial(sea, islands=((0.24, 0.07, 0.2), (0.8, 0.045, 0.16))),
            partial(sea, islands=((0.7, 0.095, 0.17),)),
            partial(sea, islands=((0.12, 0.05, 0.22), (0.5, 0.03, 0.1), (0.88, 0.11, 0.15))),
        ),
    ),
    *variants(
        "volcano",
        "volcano lava eruption fire",
        (partial(volcano, u=0.5, top=0.44), partial(volcano, u=0.7, top=0.45)),
    ),
    *variants(
        "waterfall", "waterfall cliff fall river", (partial(waterfall, u=0.34), partial(waterfall, u=0.7))
    ),
)
