"""What stands in front of it all, over the two lower bands. Every subject is centred at x = 0 with its foot at y = 0.

Subjects cover the same pixels under every palette (the exact denoiser relies on that); only their light changes.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from comfy_nb.server.worlds.landscapes.canvas import Canvas
from comfy_nb.server.worlds.landscapes.figures import animals, buildings, objects, plants
from comfy_nb.server.worlds.landscapes.figures.stage import Stage
from comfy_nb.server.worlds.landscapes.parts import Part

Figure = Callable[[Stage], None]


def _nothing(canvas: Canvas, rng: Random) -> None:
    del canvas, rng


def _placed(figure: Figure, u: float, foot: float, size: float) -> Callable[[Canvas, Random], None]:
    def draw(canvas: Canvas, rng: Random) -> None:
        figure(Stage(canvas, rng, u * canvas.aspect, foot, size))

    return draw


def _at(
    figure: Figure,
    name: str,
    tags: str,
    places: tuple[float, ...],
    *,
    foot: float = 0.88,
    size: float = 1.0,
    on: frozenset[str] = frozenset(),
    rare_in: frozenset[str] = frozenset(),
) -> tuple[Part, ...]:
    """Make one subject for each place, given as a share of the width; `foot` is its height in the picture."""
    words = frozenset(tags.split())
    return tuple(
        Part(f"{name} {number}", words, _placed(figure, u, foot, size), rare_in, at_home=on)
        for number, u in enumerate(places, start=1)
    )


_COLD = frozenset({"winter", "aurora"})
_WARM = frozenset({"summer", "autumn", "mars", "sunset"})
_LAND = frozenset({"meadow", "field", "snow", "sand", "path"})
_GREEN = frozenset({"meadow", "field", "path"})

SUBJECTS: tuple[Part, ...] = (
    Part("nothing", frozenset({"empty", "nothing"}), _nothing, bonus=1.0),
    *_at(
        objects.galaxy_bottle,
        "galaxy bottle",
        "bottle glass galaxy purple magic",
        (0.5, 0.34, 0.67),
        foot=0.9,
        size=1.12,
        on=_LAND,
    ),
    *_at(objects.red_bottle, "red bottle", "bottle glass red potion", (0.64,), foot=0.9, on=_LAND),
    *_at(objects.green_bottle, "green bottle", "bottle glass green potion", (0.36,), foot=0.9, on=_LAND),
    *_at(objects.ship_bottle, "ship in a bottle", "bottle glass ship", (0.5,), foot=0.91, on=_LAND),
    *_at(plants.tree, "tree", "tree oak leaf", (0.3, 0.7), on=_GREEN),
    *_at(plants.big_pine, "pine", "pine fir tree conifer", (0.26, 0.72), on=_GREEN | {"snow"}),
    *_at(plants.palm, "palm", "palm tree coconut", (0.32, 0.68), on=frozenset({"sand"}), rare_in=_COLD),
    *_at(buildings.house, "house", "house cottage home hut cabin", (0.3, 0.5, 0.7), foot=0.87, on=_LAND),
    *_at(buildings.castle, "castle", "castle fortress palace", (0.36, 0.64), foot=0.87, on=_LAND),
    *_at(buildings.windmill, "windmill", "windmill mill", (0.34, 0.68), foot=0.87, on=_GREEN),
    *_at(buildings.lighthouse, "lighthouse", "lighthouse beacon", (0.28, 0.72), foot=0.87),
    *_at(buildings.tent, "tent", "tent camp camping campfire", (0.38, 0.62), foot=0.89, on=_LAND),
    *_at(
        objects.sailboat,
        "sailboat",
        "boat sailboat ship sail sailing yacht",
        (0.34, 0.6),
        foot=0.83,
        on=frozenset({"lake"}),
    ),
    *_at(objects.rocket, "rocket", "rocket spaceship shuttle", (0.4, 0.66), on=_LAND),
    *_at(plants.cactus, "cactus", "cactus saguaro", (0.32, 0.68), on=frozenset({"sand"}), rare_in=_COLD),
    *_at(plants.mushroom, "mushroom", "mushroom toadstool", (0.4, 0.62), foot=0.9, on=_GREEN),
    *_at(
        objects.snowman, "snowman", "snowman", (0.36, 0.64), foot=0.89, on=frozenset({"snow"}), rare_in=_WARM
    ),
    *_at(animals.black_cat, "black cat", "cat black kitten kitty", (0.42,), foot=0.9, on=_LAND),
    *_at(animals.orange_cat, "orange cat", "cat orange ginger kitten kitty", (0.6,), foot=0.9, on=_LAND),
    *_at(animals.white_cat, "white cat", "cat white kitten kitty", (0.5,), foot=0.9, on=_LAND),
    *_at(animals.fox, "fox", "fox", (0.38, 0.64), foot=0.9, on=_LAND),
    *_at(animals.deer, "deer", "deer stag", (0.36, 0.66), foot=0.89, on=_LAND),
)
