"""What is in the sky: the top band. Everything fades out before the band ends, so that no seam shows."""

from __future__ import annotations

from functools import partial

from comfy_nb.server.worlds.landscapes.palettes import BRIGHT, DARK
from comfy_nb.server.worlds.landscapes.parts import Part, variants
from comfy_nb.server.worlds.landscapes.skies.day import (
    balloons,
    cirrus,
    clear,
    cumulus,
    flock,
    overcast,
    rainbow,
    rays,
    sun,
    sun_and_cloud,
)
from comfy_nb.server.worlds.landscapes.skies.night import (
    aurora,
    comet,
    crescent,
    full_moon,
    milky_way,
    planet,
    spiral_galaxy,
    stars,
)

_RED_BALLOON = ("#e8484f", "#ffd166")


_BLUE_BALLOON = ("#3f7fd9", "#fff1d6")


_SATURN = ("*f2bd85", "*cf8058", "*f8dcb0")


_VIOLET_WORLD = ("*9fb4f5", "*6f6fd8", "*f5c4ea")


SKIES: tuple[Part, ...] = (
    *variants("clear sky", "clear cloudless empty", (clear,)),
    *variants(
        "sun",
        "sun sunshine sunny",
        (
            partial(sun, u=0.74, y=0.14, radius=0.062),
            partial(sun, u=0.27, y=0.12, radius=0.056),
            partial(sun, u=0.5, y=0.21, radius=0.078),
            partial(rays, u=0.7, y=0.12),
        ),
        rare_in=DARK,
    ),
    *variants(
        "sun and clouds",
        "sun sunny cloud cloudy",
        (partial(sun_and_cloud, u=0.68, v=0.22), partial(sun_and_cloud, u=0.3, v=0.76)),
        rare_in=DARK,
    ),
    *variants(
        "full moon",
        "moon moonlight moonlit full night",
        (
            partial(full_moon, u=0.29, y=0.145, radius=0.072),
            partial(full_moon, u=0.73, y=0.13, radius=0.064),
        ),
        rare_in=BRIGHT,
    ),
    *variants(
        "crescent moon",
        "moon moonlight crescent night",
        (partial(crescent, u=0.3, y=0.13, radius=0.062), partial(crescent, u=0.72, y=0.15, radius=0.068)),
        rare_in=BRIGHT,
    ),
    *variants(
        "stars",
        "star starry starlight night",
        (partial(stars, count=70), partial(stars, count=110), partial(stars, count=160)),
        rare_in=BRIGHT,
    ),
    *variants(
        "galaxy",
        "galaxy milky nebula star starry cosmic space universe night",
        (
            partial(milky_way, u=0.5, slope=-0.36),
            partial(milky_way, u=0.45, slope=0.3),
            partial(spiral_galaxy, u=0.66, y=0.15, turn=0.4),
            partial(spiral_galaxy, u=0.34, y=0.16, turn=2.0),
        ),
        rare_in=BRIGHT | {"sunset"},
    ),
    *variants(
        "clouds",
        "cloud cloudy cumulus",
        (
            partial(cumulus, places=((0.24, 0.15, 0.075), (0.72, 0.24, 0.055))),
            partial(cumulus, places=((0.66, 0.14, 0.085), (0.2, 0.25, 0.05), (0.95, 0.27, 0.05))),
            partial(cumulus, places=((0.42, 0.2, 0.095), (0.88, 0.1, 0.045))),
        ),
    ),
    *variants(
        "thin clouds",
        "cloud cloudy cirrus windy wind",
        (partial(cirrus, coverage=0.56), partial(cirrus, coverage=0.66)),
    ),
    *variants("overcast", "cloud cloudy overcast", (overcast, overcast)),
    *variants(
        "rainbow",
        "rainbow",
        (partial(rainbow, u=0.42, radius=0.36), partial(rainbow, u=0.68, radius=0.4)),
        rare_in=DARK,
    ),
    *variants(
        "birds",
        "bird gull flock flying",
        (partial(flock, u=0.64, y=0.13), partial(flock, u=0.34, y=0.16)),
        rare_in=DARK,
    ),
    *variants(
        "planet",
        "planet saturn ring space night",
        (
            partial(planet, u=0.7, y=0.15, radius=0.07, colours=_SATURN),
            partial(planet, u=0.3, y=0.15, radius=0.078, colours=_VIOLET_WORLD),
        ),
        rare_in=BRIGHT,
    ),
    *variants(
        "balloons",
        "balloon air flying",
        (
            partial(
                balloons, spots=((0.72, 0.115, 0.072, *_RED_BALLOON), (0.3, 0.19, 0.036, *_BLUE_BALLOON))
            ),
            partial(balloons, spots=((0.27, 0.11, 0.068, *_BLUE_BALLOON), (0.6, 0.2, 0.034, *_RED_BALLOON))),
        ),
        rare_in=DARK,
    ),
    *variants(
        "northern lights",
        "aurora northern polar borealis night",
        (
            partial(aurora, colours=("*5dffb0", "*a45cff"), drop=0.29),
            partial(aurora, colours=("*4af0e0", "*ff6bd0"), drop=0.26),
        ),
        rare_in=BRIGHT | {"sunset"},
    ),
    *variants(
        "shooting star",
        "comet meteor shooting star night",
        (partial(comet, u=0.36, y=0.2), partial(comet, u=0.56, y=0.17)),
        rare_in=BRIGHT,
    ),
)
