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

FOOT = 0.88
"""Where subjects stand, as a height in the picture."""

Figure = Callable[[Stage], None]


def _nothing(canvas: Canvas, rng: Random) -> None:
    del canvas, rng


def _placed(figure: Figure, u: float, foot: float, size: float) -> Callable[[Canvas, Random], None]:
    def draw(canvas: Canvas, rng: Random) -> None:
        figure(Stage(canvas, rng, u * canvas.aspect, foot, size))

    return draw


def _at(
    name: str,
    tags: str,
    figure: Figure,
    places: tuple[float, ...],
    size: float,
    foot: float = FOOT,
    rare_in: frozenset[str] = frozenset(),
) -> tuple[Part, ...]:
    words = frozenset(tags.split())
    return tuple(
        Part(f"{name} {number}", words, _placed(figure, u, foot, size), rare_in)
        for number, u in enumerate(places, start=1)
    )


_COLD = frozenset({"winter", "aurora"})
_WARM = frozenset({"summer", "autumn", "mars", "sunset"})

SUBJECTS: tuple[Part, ...] = (
    Part("nothing", frozenset({"empty", "nothing"}), _nothing, bonus=1.0),
    *_at(
        "galaxy bottle",
        "bottle glass galaxy purple magic",
        objects.galaxy_bottle,
        (0.5, 0.34, 0.67),
        1.12,
        0.9,
    ),
    *_at("red bottle", "bottle glass red potion", objects.red_bottle, (0.64,), 1.0, 0.9),
    *_at("green bottle", "bottle glass green potion", objects.green_bottle, (0.36,), 1.0, 0.9),
    *_at("ship in a bottle", "bottle glass ship", objects.ship_bottle, (0.5,), 1.0, 0.91),
    *_at("tree", "tree oak leaf leaves", plants.tree, (0.3, 0.7), 1.0),
    *_at("pine", "pine fir tree conifer", plants.big_pine, (0.26, 0.72), 1.0),
    *_at("palm", "palm tree coconut", plants.palm, (0.32, 0.68), 1.0, rare_in=_COLD),
    *_at("house", "house cottage home hut cabin", buildings.house, (0.3, 0.5, 0.7), 1.0, 0.87),
    *_at("castle", "castle fortress tower palace", buildings.castle, (0.36, 0.64), 1.0, 0.87),
    *_at("windmill", "windmill mill", buildings.windmill, (0.34, 0.68), 1.0, 0.87),
    *_at("lighthouse", "lighthouse beacon tower", buildings.lighthouse, (0.28, 0.72), 1.0, 0.87),
    *_at("tent", "tent camp camping campfire", buildings.tent, (0.38, 0.62), 1.0, 0.89),
    *_at("sailboat", "boat sailboat ship sail yacht", objects.sailboat, (0.34, 0.6), 1.0, 0.83),
    *_at("rocket", "rocket spaceship shuttle", objects.rocket, (0.4, 0.66), 1.0, 0.88),
    *_at("cactus", "cactus saguaro", plants.cactus, (0.32, 0.68), 1.0, rare_in=_COLD),
    *_at("mushroom", "mushroom toadstool fungus", plants.mushroom, (0.4, 0.62), 1.0, 0.9),
    *_at("snowman", "snowman", objects.snowman, (0.36, 0.64), 1.0, 0.89, _WARM),
    *_at("black cat", "cat black kitten kitty", animals.black_cat, (0.42,), 1.0, 0.9),
    *_at("orange cat", "cat orange ginger kitten kitty", animals.orange_cat, (0.6,), 1.0, 0.9),
    *_at("white cat", "cat white kitten kitty", animals.white_cat, (0.5,), 1.0, 0.9),
    *_at("fox", "fox", animals.fox, (0.38, 0.64), 1.0, 0.9),
    *_at("deer", "deer stag", animals.deer, (0.36, 0.66), 1.0, 0.89),
)
