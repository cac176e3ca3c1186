"""What lies in front: the bottom band, in perspective, so that everything grows towards the viewer."""

from __future__ import annotations

import math
from functools import partial
from random import Random

from comfy_nb.server.worlds.landscapes.canvas import Canvas, Floats, Pen, Point, smooth
from comfy_nb.server.worlds.landscapes.palettes import Tint
from comfy_nb.server.worlds.landscapes.parts import HORIZON, Part, rolling, variants

DEPTH = 1.0 - HORIZON


def _near(y: float) -> float:
    """How near a height on the ground is: 0 at the horizon, 1 at the lower edge."""
    return max(0.0, (y - HORIZON) / DEPTH)


def _plain(canvas: Canvas, far: str | Tint, near: str | Tint, reach: float = 0.75) -> None:
    """Ground of two tones, with the haze of the distance at its far edge."""
    canvas.fill(1.0 + 0.0 * canvas.y, far)
    canvas.fill(smooth((canvas.y - HORIZON) / (DEPTH * reach)), near)
    canvas.fill(canvas.fade(HORIZON - 0.01, HORIZON + 0.07), canvas.ink.mix("horizon", "glow", 0.2), 0.3)


def _spots(rng: Random, aspect: float, count: int) -> list[tuple[float, float, float]]:
    """Places on the ground as (x, y, nearness), far ones first, crowded towards the horizon as perspective does."""
    places = [
        (rng.random() * aspect, HORIZON + 0.012 + (DEPTH - 0.015) * rng.random() ** 1.4) for _ in range(count)
    ]
    return [(x, y, _near(y)) for x, y in sorted(places, key=lambda place: place[1])]


def _tuft(pen: Pen, rng: Random, x: float, y: float, size: float) -> None:
    for _ in range(3):
        lean, height = rng.uniform(-0.5, 0.5) * size, size * rng.uniform(0.7, 1.2)
        pen.polygon([(x - size * 0.13, y), (x + lean, y - height), (x + size * 0.13, y)])


def _grass(canvas: Canvas, rng: Random, count: int) -> None:
    dark, light = canvas.pen(), canvas.pen()
    for number, (x, y, near) in enumerate(_spots(rng, canvas.aspect, count)):
        _tuft(dark if number % 2 else light, rng, x, y, 0.010 + 0.024 * near)
    canvas.fill(light, canvas.ink.mix("grass_far", "glow", 0.12), 0.55)
    canvas.fill(dark, "grass_dark", 0.6)


def _fringe(canvas: Canvas, rng: Random, height: float = 0.05) -> None:
    """Dark blades along the lower edge, close to the eye."""
    blades = canvas.pen()
    for i in range(58):
        x, tall = canvas.aspect * (i + rng.random()) / 58, height * rng.uniform(0.35, 1.0)
        lean = rng.uniform(-0.012, 0.012)
        blades.polygon([(x - 0.008, 1.01), (x + lean, 1.0 - tall), (x + 0.008, 1.01)])
    canvas.fill(blades, canvas.ink.mix("grass_dark", "shadow", 0.4), 0.92)


def _swells(canvas: Canvas, rng: Random, colours: tuple[tuple[float, float, str, str, float], ...]) -> None:
    for base, height, first, second, amount in colours:
        line = rolling(rng, canvas.aspect, base, height, 0.8)
        canvas.fill(canvas.pen().polygon(line), canvas.ink.mix(first, second, amount))


_MEADOW = (
    (0.79, 0.06, "grass_far", "grass", 0.55),
    (0.9, 0.07, "grass", "grass_dark", 0.12),
    (1.02, 0.08, "grass", "grass_dark", 0.42),
)


def _meadow(canvas: Canvas, rng: Random, tufts: int = 60) -> None:
    _plain(canvas, "grass_far", "grass")
    _swells(canvas, rng, _MEADOW)
    _grass(canvas, rng, tufts)
    _fringe(canvas, rng)


def _bloom(
    pens: dict[str, Pen], rng: Random, x: float, y: float, size: float, kinds: tuple[str, ...]
) -> None:
    kind = kinds[rng.randrange(len(kinds))]
    pens["stem"].line([(x, y), (x + size * 0.2, y + size * 2.2)], size * 0.3)
    for i in range(5):
        angle = math.tau * i / 5
        pens[kind].ellipse(
            x + 0.62 * size * math.cos(angle), y + 0.5 * size * math.sin(angle), size * 0.5, size * 0.42
        )
    pens["heart"].ellipse(x, y, size * 0.34, size * 0.28)


def _flowers(canvas: Canvas, rng: Random, kinds: tuple[str, ...], count: int) -> None:
    _plain(canvas, "grass_far", "grass")
    _swells(canvas, rng, _MEADOW)
    _grass(canvas, rng, 30)
    pens = {name: canvas.pen() for name in ("stem", "bloom_a", "bloom_b", "bloom_c", "heart")}
    for x, y, near in _spots(rng, canvas.aspect, count):
        _bloom(pens, rng, x, y - 0.004, 0.0042 + 0.0125 * near, kinds)
    canvas.fill(pens["stem"], "grass_dark", 0.8)
    for name in kinds:
        canvas.fill(pens[name], name)
    canvas.fill(pens["heart"], canvas.ink.mix("bloom_b", "earth", 0.3))
    _fringe(canvas, rng, 0.03)


def _rows(canvas: Canvas, rng: Random, colours: tuple[str, str], vanish: float) -> None:
    """A planted field: rows that run together at a point on the horizon."""
    _plain(canvas, canvas.ink.mix("grass_far", colours[0], 0.25), "grass_dark")
    x0 = vanish * canvas.aspect
    heads, lights = canvas.pen(), canvas.pen()
    for row in range(-9, 10):
        foot = x0 + row * 0.19
        for i in range(22):
            t = (i / 21) ** 1.9
            y = HORIZON + 0.006 + DEPTH * 1.06 * t
            x, size = x0 + (foot - x0) * (0.03 + t * 1.05), 0.0035 + 0.034 * t
            heads.ellipse(x + rng.uniform(-0.2, 0.2) * size, y, size * 1.15, size * 0.75)
            lights.ellipse(x - size * 0.25, y - size * 0.32, size * 0.62, size * 0.3)
    canvas.fill(heads, colours[0])
    canvas.fill(lights, colours[1], 0.7)


def _water(canvas: Canvas, rng: Random, top: float, sheen: float = 0.5) -> Floats:
    """Water below `top` that mirrors the sky: bright far away, deep near by; gives its mask."""
    line = rolling(rng, canvas.aspect, top + 0.008, 0.016, 1.7)
    mask = canvas.pen().polygon(line).mask()
    t = smooth((canvas.y - top) / (1.02 - top))
    canvas.fill(mask, canvas.ink.mix("water", "horizon", sheen))
    canvas.fill(mask * smooth(t * 1.7), "water")
    canvas.fill(mask * smooth(t * 1.5 - 0.5), "water_dark", 0.9)
    return mask


def _ripples(canvas: Canvas, rng: Random, top: float, count: int, mask: Floats) -> None:
    dark, bright = canvas.pen(), canvas.pen()
    for number in range(count):
        y = top + 0.012 + (1.0 - top) * rng.random() ** 1.3
        near = _near(y)
        x, width = rng.random() * canvas.aspect, (0.018 + 0.075 * near) * rng.uniform(0.4, 1.1)
        (dark if number % 3 == 0 else bright).ellipse(x, y, width, 0.0013 + 0.0036 * near)
    canvas.fill(dark, "water_dark", 0.5 * mask)
    canvas.fill(bright, "glint", 0.42 * mask)


def _lake(canvas: Canvas, rng: Random, top: float, lilies: bool = False) -> None:
    _plain(canvas, "grass_far", canvas.ink.mix("grass", "grass_dark", 0.3))
    mask = _water(canvas, rng, top)
    streaks = canvas.noise(rng.randrange(1 << 30), 0.3, 0.02, 2)
    canvas.fill(smooth(streaks * 2.4 - 1.2) * mask, "horizon", 0.3)
    _ripples(canvas, rng, top, 64, mask)
    if lilies:
        _lily_pads(canvas, rng)
    _reeds(canvas, rng)


def _lily_pads(canvas: Canvas, rng: Random) -> None:
    pads, tops, blooms = canvas.pen(), canvas.pen(), canvas.pen()
    for number, (x, y, near) in enumerate(_spots(rng, canvas.aspect, 20)):
        size = 0.014 + 0.03 * near
        y = max(y, 0.74)
        pads.ellipse(x, y, size, size * 0.36)
        tops.ellipse(x - size * 0.06, y - size * 0.05, size * 0.86, size * 0.27)
        if number % 3 == 0:
            blooms.ellipse(x, y - size * 0.22, size * 0.34, size * 0.26)
    canvas.fill(pads, "grass_dark")
    canvas.fill(tops, "grass")
    canvas.fill(blooms, "bloom_a")


def _reeds(canvas: Canvas, rng: Random) -> None:
    stems, heads = canvas.pen(), canvas.pen()
    for side in (0.03, 0.97):
        for _ in range(11):
            x, tall = (side + rng.uniform(-0.05, 0.05)) * canvas.aspect, rng.uniform(0.07, 0.19)
            lean = rng.uniform(-0.02, 0.02)
            stems.polygon([(x - 0.006, 1.01), (x + lean, 1.0 - tall), (x + 0.006, 1.01)])
            heads.box(
                x + lean * 0.9 - 0.005, 1.0 - tall - 0.008, x + lean * 0.9 + 0.005, 1.0 - tall + 0.028, 0.005
            )
    canvas.fill(stems, canvas.ink.mix("grass_dark", "shadow", 0.35))
    canvas.fill(heads, canvas.ink.mix("earth_dark", "shadow", 0.3))


def _beach(canvas: Canvas, rng: Random, top: float) -> None:
    """Sea that runs out on sand, with lines of foam."""
    canvas.fill(1.0 + 0.0 * canvas.y, canvas.ink.mix("water", "horizon", 0.2))
    canvas.fill(smooth((canvas.y - HORIZON) / 0.1), canvas.ink.mix("water", "glint", 0.12))
    _ripples(canvas, rng, HORIZON, 26, 1.0 - canvas.fade(top - 0.05, top) * 0.0 + 0.0 * canvas.x)
    for offset, colour, amount in ((0.0, "glint", 0.0), (0.012, "sand_shade", 0.25), (0.034, "sand", 0.0)):
        shore = rolling(Random(7), canvas.aspect, top + offset + 0.04, 0.045, 0.9)
        canvas.fill(canvas.pen().polygon(shore), canvas.ink.mix(colour, "water_dark", amount))
    sand = canvas.pen().polygon(rolling(Random(7), canvas.aspect, top + 0.074, 0.045, 0.9))
    canvas.fill(sand, canvas.ink.mix("sand", "sand_shade", 0.35), smooth((canvas.y - top) / 0.25))
    pebbles = canvas.pen()
    for x, y, near in _spots(rng, canvas.aspect, 40):
        if y > top + 0.08:
            pebbles.ellipse(x, y, 0.003 + 0.008 * near, 0.0016 + 0.004 * near)
    canvas.fill(pebbles, canvas.ink.mix("sand_shade", "shadow", 0.3), 0.7)
    star_x = canvas.aspect * rng.uniform(0.1, 0.25)
    star = [
        (star_x + r * math.cos(a), 0.94 + 0.6 * r * math.sin(a))
        for a, r in ((math.tau * i / 10 - math.pi / 2, 0.026 if i % 2 == 0 else 0.010) for i in range(10))
    ]
    canvas.fill(canvas.pen().polygon(star), "#e8624a")


def _snow(canvas: Canvas, rng: Random, trees: bool = False) -> None:
    _plain(canvas, canvas.ink.mix("snow", "snow_shade", 0.35), "snow")
    for base, height, amount in ((0.78, 0.05, 0.3), (0.89, 0.07, 0.12), (1.0, 0.07, 0.0)):
        line = rolling(rng, canvas.aspect, base, height, 0.7)
        drift = canvas.pen().polygon(line)
        shade = smooth((canvas.y - base + height) / 0.16)
        canvas.fill(drift, canvas.ink.mix("snow", "snow_shade", amount))
        canvas.fill(drift, "snow_shade", 0.6 * shade)
        rim = canvas.pen().polygon(line).without(canvas.pen().polygon([(x, y + 0.008) for x, y in line]))
        canvas.fill(rim, canvas.ink.mix("snow", "glow", 0.25), 0.9)
    if trees:
        _saplings(canvas, rng)
    glints = canvas.pen()
    for x, y, near in _spots(rng, canvas.aspect, 60):
        glints.ellipse(x, y, 0.0012 + 0.0024 * near)
    canvas.fill(glints, "*ffffff", 0.8)


def _saplings(canvas: Canvas, rng: Random) -> None:
    for u, y, size in ((0.08, 0.8, 0.1), (0.93, 0.77, 0.085), (0.02, 0.93, 0.15), (0.985, 0.95, 0.17)):
        x = (u + rng.uniform(-0.02, 0.02)) * canvas.aspect
        for tier in range(3):
            low, half = y - size * 0.28 * tier, size * (0.3 - 0.075 * tier)
            green = canvas.pen().polygon([(x - half, low), (x, low - size * 0.48), (x + half, low)])
            canvas.fill(green, "pine")
            white = canvas.pen().polygon(
                [
                    (x - half * 0.8, low - size * 0.05),
                    (x, low - size * 0.48),
                    (x + half * 0.35, low - size * 0.2),
                ]
            )
            canvas.fill(white.within(green), "snow", 0.9)


def _sand(canvas: Canvas, rng: Random, rocks: bool = False) -> None:
    _plain(canvas, canvas.ink.mix("sand", "horizon", 0.25), "sand")
    for base, height, amount in ((0.79, 0.05, 0.12), (0.9, 0.07, 0.3), (1.03, 0.08, 0.05)):
        canvas.fill(
            canvas.pen().polygon(rolling(rng, canvas.aspect, base, height, 0.7)),
            canvas.ink.mix("sand", "sand_shade", amount),
        )
    waves = canvas.pen()
    phase = rng.uniform(0, math.tau)
    for i in range(13):
        y = HORIZON + 0.03 + DEPTH * (i / 13) ** 1.4
        size = 0.004 + 0.012 * _near(y)
        line = [(canvas.aspect * j / 60, y + size * math.sin(j * 0.42 + phase + i * 0.9)) for j in range(61)]
        waves.line(line, 0.0022 + 0.004 * _near(y))
    canvas.fill(waves, "sand_shade", 0.55)
    if rocks:
        _rocks(canvas, rng)


def _rocks(canvas: Canvas, rng: Random) -> None:
    for x, y, near in _spots(rng, canvas.aspect, 9):
        size = 0.016 + 0.042 * near * rng.uniform(0.6, 1.0)
        canvas.fill(
            canvas.pen().ellipse(x + size * 0.4, y + size * 0.06, size * 1.4, size * 0.22), "shadow", 0.3
        )
        points = [
            (x - size, y),
            (x - size * 0.7, y - size * 0.7),
            (x + size * 0.1, y - size),
            (x + size * 0.8, y - size * 0.55),
            (x + size, y),
        ]
        stone = canvas.pen().polygon(points)
        canvas.fill(stone, canvas.ink.mix("stone", "earth", 0.35))
        dark = canvas.pen().polygon(
            [
                (x + size * 0.1, y - size),
                (x + size * 0.3, y),
                (x + size, y),
                (x + size * 0.8, y - size * 0.55),
            ]
        )
        canvas.fill(dark.within(stone), canvas.ink.mix("stone_dark", "shadow", 0.25))


def _winding(
    start: float, bend: float, widths: tuple[float, float], aspect: float
) -> tuple[list[Point], list[Point]]:
    """Both edges of a way that winds from the horizon to the viewer."""
    left: list[Point] = []
    right: list[Point] = []
    for i in range(41):
        t = i / 40
        y = HORIZON + (DEPTH + 0.02) * t**1.6
        x = start * aspect + bend * math.sin(t * 5.2) * (0.05 + t * 0.95)
        half = widths[0] + (widths[1] - widths[0]) * t**1.7
        left.append((x - half, y))
        right.append((x + half, y))
    return left, right


def _path(canvas: Canvas, rng: Random, start: float, bend: float) -> None:
    _plain(canvas, "grass_far", "grass")
    _swells(canvas, rng, _MEADOW)
    _grass(canvas, rng, 46)
    left, right = _winding(start, bend, (0.006, 0.16), canvas.aspect)
    way = canvas.pen().polygon([*left, *reversed(right)])
    canvas.fill(way, canvas.ink.mix("earth", "sand", 0.5))
    inner = [(a * 0.35 + b * 0.65, y) for (a, y), (b, _) in zip(left, right, strict=True)]
    canvas.fill(
        canvas.pen().polygon([*inner, *reversed(right)]).within(way),
        canvas.ink.mix("earth", "earth_dark", 0.3),
        0.6,
    )
    stones = canvas.pen()
    for x, y, near in _spots(rng, canvas.aspect, 70):
        stones.ellipse(x, y, 0.003 + 0.010 * near, 0.0015 + 0.005 * near)
    canvas.fill(stones.within(way), canvas.ink.mix("sand", "glow", 0.2), 0.6)
    _fringe(canvas, rng, 0.034)


def _river(canvas: Canvas, rng: Random, start: float, bend: float) -> None:
    _plain(canvas, "grass_far", "grass")
    _swells(canvas, rng, _MEADOW)
    _grass(canvas, rng, 46)
    left, right = _winding(start, bend, (0.008, 0.24), canvas.aspect)
    banks = (
        [(x - 0.004 - 0.022 * _near(y), y) for x, y in left],
        [(x + 0.004 + 0.022 * _near(y), y) for x, y in right],
    )
    canvas.fill(
        canvas.pen().polygon([*banks[0], *reversed(banks[1])]), canvas.ink.mix("grass_dark", "earth", 0.4)
    )
    stream = canvas.pen().polygon([*left, *reversed(right)])
    mask = stream.mask()
    canvas.fill(mask, canvas.ink.mix("water", "horizon", 0.5))
    canvas.fill(mask * smooth((canvas.y - HORIZON) / 0.24), "water")
    canvas.fill(mask * smooth((canvas.y - 0.84) / 0.2), "water_dark", 0.7)
    _ripples(canvas, rng, HORIZON, 90, mask)
    _fringe(canvas, rng, 0.03)


def _wheat(canvas: Canvas, rng: Random) -> None:
    """A field of grain: golden, with ears along the front."""
    gold = canvas.ink("#e6b84d")
    deep = canvas.ink("#b67f2f")
    _plain(canvas, gold.mix(canvas.ink("horizon"), 0.3), gold)
    seed = rng.randrange(1 << 30)
    canvas.fill(smooth(canvas.noise(seed, 0.35, 0.035, 3) * 2.6 - 1.0), deep, 0.45)
    stalks, ears = canvas.pen(), canvas.pen()
    for x, y, near in _spots(rng, canvas.aspect, 150):
        tall, lean = 0.012 + 0.07 * near, rng.uniform(-0.3, 0.5)
        stalks.line([(x, y + tall), (x + lean * tall * 0.5, y)], 0.0016 + 0.003 * near)
        ears.ellipse(x + lean * tall * 0.5, y - tall * 0.1, 0.0025 + 0.006 * near, 0.005 + 0.016 * near)
    canvas.fill(stalks, deep, 0.85)
    canvas.fill(ears, gold.mix(canvas.ink("glow"), 0.35))
    _fringe_gold(canvas, rng, deep)


def _fringe_gold(canvas: Canvas, rng: Random, tone: Tint) -> None:
    blades = canvas.pen()
    for i in range(40):
        x, tall = canvas.aspect * (i + rng.random()) / 40, rng.uniform(0.02, 0.055)
        blades.polygon([(x - 0.006, 1.01), (x + rng.uniform(-0.02, 0.02), 1.0 - tall), (x + 0.006, 1.01)])
    canvas.fill(blades, tone.mix(canvas.ink("shadow"), 0.45), 0.9)


_NO_SNOW = frozenset({"summer", "autumn", "mars"})

GROUNDS: tuple[Part, ...] = (
    *variants(
        "meadow",
        "meadow grass field lawn nature green",
        (_meadow, partial(_meadow, tufts=110), partial(_meadow, tufts=30)),
    ),
    *variants(
        "flowers",
        "flower meadow blossom bloom garden wildflower",
        (
            partial(_flowers, kinds=("bloom_a", "bloom_b", "bloom_c"), count=120),
            partial(_flowers, kinds=("bloom_a", "bloom_c"), count=160),
            partial(_flowers, kinds=("bloom_b", "bloom_c"), count=140),
        ),
        rare_in=frozenset({"winter"}),
    ),
    *variants(
        "tulips",
        "flower tulip field garden row",
        (partial(_rows, colours=("#e2485a", "#ff8a80"), vanish=0.42),),
        rare_in=frozenset({"winter", "mars"}),
    ),
    *variants(
        "lavender",
        "flower lavender field provence row",
        (partial(_rows, colours=("#8d63cf", "#b999f0"), vanish=0.6),),
        rare_in=frozenset({"winter", "mars"}),
    ),
    *variants(
        "wheat", "wheat grain corn field harvest", (_wheat, _wheat), rare_in=frozenset({"winter", "aurora"})
    ),
    *variants(
        "lake",
        "lake water pond reflection shore",
        (partial(_lake, top=0.69), partial(_lake, top=0.715), partial(_lake, top=0.75)),
    ),
    *variants("lily pond", "lake pond water lily", (partial(_lake, top=0.7, lilies=True),)),
    *variants(
        "river",
        "river water stream creek",
        (partial(_river, start=0.55, bend=0.12), partial(_river, start=0.36, bend=-0.14)),
    ),
    *variants(
        "beach", "beach sand coast shore sea wave", (partial(_beach, top=0.74), partial(_beach, top=0.79))
    ),
    *variants("snow", "snow snowy winter ice", (_snow, _snow, partial(_snow, trees=True)), rare_in=_NO_SNOW),
    *variants("sand", "sand desert dune sandy", (_sand, partial(_sand, rocks=True), _sand)),
    *variants(
        "path",
        "path road trail way walk",
        (
            partial(_path, start=0.56, bend=0.1),
            partial(_path, start=0.4, bend=-0.13),
            partial(_path, start=0.5, bend=0.04),
        ),
    ),
)
