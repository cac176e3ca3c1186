"""The light of the landscapes world: twelve palettes, each a consistent set of colours for every part.

Colours are named after what they paint. Objects with a colour of their own ("#b5532f") are lit by the palette's
`ambient`, which is what turns a house at night blue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Palette:
    """One light. `colours` is a table of hex colours by name; `tags` are the words that ask for this palette."""

    name: str
    tags: frozenset[str]
    ambient: str
    colours: dict[str, str]


@dataclass(frozen=True, slots=True)
class Tint:
    """One colour under each of several palettes: [G, 3], -1 to 1."""

    rgb: Floats

    def mix(self, other: Tint, amount: float) -> Tint:
        """Move towards `other`; 0 is this colour, 1 the other."""
        return Tint((self.rgb + (other.rgb - self.rgb) * amount).astype(np.float32))


class Ink:
    """Resolves colours under one or several palettes at once."""

    def __init__(self, palettes: Sequence[Palette]) -> None:
        self._palettes = tuple(palettes)
        self._known: dict[str, Tint] = {}

    def __len__(self) -> int:
        return len(self._palettes)

    def __call__(self, colour: str | Tint) -> Tint:
        """Give a colour: a palette's name for it, "#rrggbb" for an object lit by the palette, "*rrggbb" for a light."""
        if isinstance(colour, Tint):
            return colour
        if colour not in self._known:
            rgb = np.array([_resolve(palette, colour) for palette in self._palettes], np.float32)
            self._known[colour] = Tint(rgb)
        return self._known[colour]

    def mix(self, first: str | Tint, second: str | Tint, amount: float) -> Tint:
        """Mix two colours; 0 is the first, 1 the second."""
        return self(first).mix(self(second), amount)


@cache
def _rgb(hex_colour: str) -> Floats:
    return np.frombuffer(bytes.fromhex(hex_colour[1:]), np.uint8).astype(np.float32) / np.float32(255.0)


def _resolve(palette: Palette, colour: str) -> Floats:
    if colour.startswith("*"):
        return _rgb("#" + colour[1:]) * 2.0 - 1.0
    own = palette.colours.get(colour)
    if own is not None:
        return _rgb(own) * 2.0 - 1.0
    lit = _rgb(LIT.get(colour, colour)) * _rgb(palette.ambient)
    air = _rgb(palette.colours["horizon"])
    return ((lit + (air - lit) * 0.05) * 2.0 - 1.0).astype(np.float32)


LIT = {
    "bird": "#3a4560",
    "snow": "#ffffff",
    "snow_shade": "#c3d5ea",
    "sand": "#f0d7a2",
    "sand_shade": "#d3ac72",
    "earth": "#a98462",
    "earth_dark": "#6f5240",
    "stone": "#a7a4ad",
    "stone_dark": "#77747f",
    "leaf": "#5aa845",
    "leaf_light": "#8cc95a",
    "leaf_dark": "#2f7040",
    "pine": "#2f6b52",
    "pine_dark": "#1d4a3f",
    "bloom_a": "#f4586b",
    "bloom_b": "#ffd24a",
    "bloom_c": "#fff6f0",
}
"""Things that have a colour of their own, which a palette may still override."""


def _palette(name: str, tags: str, ambient: str, colours: str) -> Palette:
    words = colours.split()
    table = {key: f"#{value}" for key, value in zip(words[::2], words[1::2], strict=True)}
    return Palette(name, frozenset([name, *tags.split()]), f"#{ambient}", table)


PALETTES: tuple[Palette, ...] = (
    _palette(
        "day",
        "blue daylight sunny bright daytime",
        "ffffff",
        """
        zenith 2273cf  sky 5fadeb  horizon d9f0fb  glow fff6dc  light fff7cf  star ffffff  cloud ffffff
        cloud_shade c4d9ee  far a3c6de  mid 6d9db5  near 3c7a78  grass_far a9d275  grass 74b648
        grass_dark 3f8440  water 4f9fd0  water_dark 2b6fa6  glint ffffff  lamp 5b84a8  shadow 1f4a50
        """,
    ),
    _palette(
        "summer",
        "tropical turquoise noon teal holiday",
        "fffaf0",
        """
        zenith 0085b8  sky 2fbccb  horizon dcf7e8  glow fffbd6  light fffbd0  star f4ffff  cloud ffffff
        cloud_shade b9e2e2  far 8fd3cd  mid 4fae9f  near 1f7c66  grass_far c6e06b  grass 93c73e
        grass_dark 4b9236  water 1fb4bd  water_dark 0a7f9a  glint f2fffb  lamp 4d8a96  shadow 12504e
        sand fae6b4  sand_shade e6c382
        """,
    ),
    _palette(
        "sunset",
        "dusk evening orange golden",
        "ffc69c",
        """
        zenith 2c2a6b  sky b4487c  horizon ffb65a  glow ffe08a  light fff0b8  star ffe9d6  cloud ff9f80
        cloud_shade 8f4583  far c4627a  mid 833f74  near 47265c  grass_far a8604f  grass 7a4350
        grass_dark 482a4a  water d9715f  water_dark 6b3a72  glint ffe3a0  lamp ffe28a  bird ffe3b8
        shadow 2c1740
        """,
    ),
    _palette(
        "dawn",
        "sunrise morning pastel lavender",
        "fbe3e4",
        """
        zenith 6d8ad0  sky e9b3cc  horizon ffe7bd  glow fff3c9  light fffbe3  star fffaf0  cloud fff1ea
        cloud_shade c9a6cf  far c3add6  mid 8f86bd  near 5d6499  grass_far c3c795  grass 8daa82
        grass_dark 577c75  water bfa9d0  water_dark 7c7fb8  glint fff4da  lamp ffeeb0  shadow 3d4272
        """,
    ),
    _palette(
        "night",
        "midnight dark nighttime",
        "6a83c4",
        """
        zenith 050a22  sky 10235c  horizon 44689f  glow 86a6cf  light fdf6d8  star ffffff  cloud 42598f
        cloud_shade 1f3266  far 2e4a82  mid 1c3061  near 0e1c40  grass_far 24505a  grass 173a49
        grass_dark 0b2233  water 27488a  water_dark 0e2052  glint dbe8ff  lamp ffd873  bird c9d8ff
        shadow 050d24
        """,
    ),
    _palette(
        "galaxy",
        "purple violet space cosmic cosmos magic fantasy nebula",
        "b08be0",
        """
        zenith 10052e  sky 43157c  horizon c65fcf  glow ff9be0  light ffe9fb  star ffffff  cloud 8d4bc0
        cloud_shade 4a2088  far 7d44b5  mid 512892  near 2a1160  grass_far 5e3596  grass 412273
        grass_dark 23104e  water 7a3fc0  water_dark 341470  glint ffd6fb  lamp ffd98a  bird ffd6fb
        shadow 140638
        """,
    ),
    _palette(
        "storm",
        "grey gray stormy rain rainy gloomy moody",
        "a9b4bd",
        """
        zenith 27323e  sky 566573  horizon b9c5c6  glow e4eae2  light f3f5ea  star dfe7ee  cloud 8996a3
        cloud_shade 434f5d  far 8d9ba3  mid 5b6b75  near 33424c  grass_far 8b987a  grass 5f7260
        grass_dark 374a46  water 70828e  water_dark 3a4b5a  glint e6eef0  lamp ffe19a  bird eef3f5
        shadow 1a262e
        """,
    ),
    _palette(
        "aurora",
        "green emerald northern polar arctic",
        "7fc4b4",
        """
        zenith 031321  sky 063d49  horizon 38a184  glow 8ff0b4  light effff0  star f2fff8  cloud 2a7a78
        cloud_shade 0f4753  far 1f6f70  mid 114c55  near 082d3a  grass_far 2b7562  grass 175248
        grass_dark 0a3034  water 1f7f78  water_dark 0a3d4b  glint b8ffd8  lamp ffe08a  bird c8ffe4
        shadow 031a22
        """,
    ),
    _palette(
        "autumn",
        "fall october november yellow harvest",
        "ffedd0",
        """
        zenith 5f93b5  sky b6cfc8  horizon ffe8b0  glow fff0bd  light fff3c0  star fff8e8  cloud fff8ea
        cloud_shade d6c2a8  far c7b08f  mid b4784e  near 8a4a34  grass_far dcb65a  grass c08a3a
        grass_dark 86572f  water 8fb0ae  water_dark 527f88  glint fff6d8  lamp ffe08c  shadow 4b2c28
        leaf d9702a  leaf_light f2a83c  leaf_dark 9c3f26  pine a2622f  pine_dark 6f3d2a  bloom_a c6402e
        bloom_b f09a2c  bloom_c ffe9a8
        """,
    ),
    _palette(
        "winter",
        "cold white frost ice frozen icy",
        "eef5ff",
        """
        zenith 6c9cca  sky b5d3ea  horizon fbf4f2  glow fff6ea  light fffdf2  star ffffff  cloud ffffff
        cloud_shade bccfe4  far c8d9e9  mid 97b4cf  near 5f83a6  grass_far dfe7e4  grass b5cac6
        grass_dark 7d9ea3  water a5c8df  water_dark 6897bd  glint ffffff  lamp ffe6a0  shadow 3f6288
        leaf a9cbd0  leaf_light dcecee  leaf_dark 6d9aa8  pine 5f8d98  pine_dark 3c6a7c
        """,
    ),
    _palette(
        "mars",
        "red martian alien crimson",
        "ffb896",
        """
        zenith 2b0d16  sky 8f3227  horizon f3a05f  glow ffd091  light fff0d2  star ffe8da  cloud d9785a
        cloud_shade 7c2f30  far c0603f  mid 8a3830  near 551f26  grass_far b9583a  grass 8f3d30
        grass_dark 5a2327  water b3473c  water_dark 641f2c  glint ffd9a8  lamp ffe08a  bird ffd9b0
        shadow 33101a  sand e58a56  sand_shade b65a3a
        """,
    ),
    _palette(
        "candy",
        "pink sakura cherry blossom spring sweet",
        "fff0f4",
        """
        zenith f07fae  sky fbb0cb  horizon fff3e2  glow fff7d8  light fffbe6  star fffafc  cloud fffafc
        cloud_shade f3b9d8  far e6b3dc  mid bf8fd0  near 8d6bb8  grass_far c4ecc6  grass 8fd9b3
        grass_dark 55ac96  water 8fd3ee  water_dark 5ea5d8  glint ffffff  lamp fff0a8  shadow 7a4a90
        leaf f49ac1  leaf_light ffc9de  leaf_dark d2649c  pine 63b7a4  pine_dark 3d8a86  bloom_a ff5f97
        bloom_b ffd35a  bloom_c ffffff
        """,
    ),
)

DARK = frozenset({"night", "galaxy", "aurora"})
BRIGHT = frozenset({"day", "summer", "autumn", "winter", "candy", "storm", "dawn"})
