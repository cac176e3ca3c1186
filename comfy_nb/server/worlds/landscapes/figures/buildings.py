"""A house, a castle, a windmill, a lighthouse, a tent."""

from __future__ import annotations

import math
from functools import partial

from comfy_nb.server.worlds.landscapes.canvas import Point
from comfy_nb.server.worlds.landscapes.figures.stage import Stage


def _window(stage: Stage, x: float, y: float, half: float, tall: float) -> None:
    stage.fill(
        stage.outline().box(x - half - 0.005, y - tall - 0.005, x + half + 0.005, y + tall + 0.005, 0.003),
        "#f6ead8",
    )
    stage.fill(stage.outline().box(x - half, y - tall, x + half, y + tall), "lamp")
    bars = (
        stage.outline()
        .box(x - 0.002, y - tall, x + 0.002, y + tall)
        .box(x - half, y - 0.002, x + half, y + 0.002)
    )
    stage.fill(bars, "#f6ead8")


def house(stage: Stage) -> None:
    """A cottage with a tiled roof, a lit window and a smoking chimney."""
    stage.shadow(0.19)
    smoke = ((0.085, -0.335, 0.017), (0.1, -0.37, 0.023), (0.088, -0.41, 0.027))
    for x, y, r in smoke:
        stage.fill(stage.outline().ellipse(x, y, r), stage.ink.mix("cloud", "horizon", 0.3), 0.6)
    stage.fill(stage.outline().box(0.068, -0.32, 0.1, -0.2), "#9c5a4a")
    stage.fill(stage.outline().box(0.062, -0.326, 0.106, -0.31), "#6f3d38")
    wall = stage.outline().box(-0.14, -0.17, 0.14, 0.002)
    stage.fill(wall, "#f0dcbc")
    stage.shade(wall, "#c8a888", stage.outline().box(-0.2, -0.18, 0.2, -0.15), 0.8)
    stage.shade(wall, "#cbb193", stage.outline().box(0.1, -0.2, 0.2, 0.1), 0.45)
    stage.fill(stage.outline().box(-0.14, -0.014, 0.14, 0.004), "#a89888")
    roof = stage.outline().polygon([(-0.175, -0.155), (-0.1, -0.29), (0.1, -0.29), (0.175, -0.155)])
    stage.fill(roof, "#c05340")
    tiles = stage.outline()
    for row in range(1, 5):
        tiles.line([(-0.2, -0.29 + row * 0.029), (0.2, -0.29 + row * 0.029)], 0.004)
    stage.shade(roof, "#8a3634", tiles, 0.7)
    stage.shade(
        roof,
        "#7a2f33",
        stage.outline().polygon([(0.06, -0.3), (0.3, -0.3), (0.3, -0.1), (0.13, -0.15)]),
        0.35,
    )
    stage.fill(stage.outline().box(-0.028, -0.112, 0.028, 0.002, 0.004), "#7a4a30")
    stage.fill(stage.outline().box(-0.021, -0.104, 0.021, 0.002, 0.003), "#94603c")
    stage.fill(stage.outline().ellipse(0.013, -0.05, 0.004), "*ffd873")
    _window(stage, -0.084, -0.09, 0.023, 0.027)
    _window(stage, 0.084, -0.09, 0.023, 0.027)
    bush = stage.outline()
    for x in (-0.13, -0.105, 0.118, 0.142):
        bush.ellipse(x, -0.012, 0.024, 0.02)
    stage.fill(bush, "leaf_dark")
    blooms = stage.outline()
    for x in (-0.135, -0.118, -0.1, 0.112, 0.13, 0.148):
        blooms.ellipse(x, -0.018 - 0.006 * math.sin(x * 200), 0.005)
    stage.fill(blooms, "bloom_a")


def _battlement(stage: Stage, left: float, right: float, top: float, teeth: int) -> None:
    wall = stage.outline().box(left, top, right, 0.002)
    pitch = (right - left) / (2 * teeth - 1)
    for i in range(teeth):
        wall.box(left + 2 * i * pitch, top - 0.022, left + (2 * i + 1) * pitch, top + 0.002)
    stage.fill(wall, "stone")
    cut = stage.outline().box(left + (right - left) * 0.62, top - 0.1, right + 0.1, 0.1)
    stage.shade(wall, "stone_dark", cut, 0.75)


def _turret(stage: Stage, x: float, half: float, top: float, flag: float) -> None:
    _battlement(stage, x - half, x + half, top, 3)
    stage.fill(
        stage.outline().box(x - half - 0.008, top - 0.004, x + half + 0.008, top + 0.008), "stone_dark"
    )
    roof = stage.outline().polygon(
        [(x - half - 0.014, top - 0.01), (x, top - 0.13), (x + half + 0.014, top - 0.01)]
    )
    stage.fill(stage.outline().line([(x, top - 0.12), (x, top - 0.16)], 0.004), "#5a4030")
    stage.fill(
        stage.outline().polygon([(x, top - 0.162), (x + flag, top - 0.15), (x, top - 0.137)]), "#e8484f"
    )
    stage.fill(roof, "#5f6fc4")
    stage.shade(
        roof, "#3d478f", stage.outline().polygon([(x, top - 0.14), (x + 0.2, top), (x + 0.01, top)]), 0.85
    )
    stage.fill(stage.outline().box(x - 0.009, top + 0.035, x + 0.009, top + 0.07, 0.009), "lamp")


def castle(stage: Stage) -> None:
    """A castle with three towers under blue roofs."""
    stage.shadow(0.24, strength=0.38)
    _turret(stage, 0.0, 0.05, -0.285, 0.04)
    _battlement(stage, -0.15, 0.15, -0.15, 9)
    courses = stage.outline()
    for row in range(4):
        for i in range(9):
            if (row + i) % 3 == 0:
                courses.box(
                    -0.14 + i * 0.032, -0.13 + row * 0.032, -0.122 + i * 0.032, -0.119 + row * 0.032, 0.002
                )
    stage.fill(courses, "stone_dark", 0.4)
    _turret(stage, -0.152, 0.042, -0.21, 0.035)
    _turret(stage, 0.152, 0.042, -0.21, 0.035)
    gate = stage.outline().box(-0.04, -0.06, 0.04, 0.003).ellipse(0.0, -0.06, 0.04)
    stage.fill(gate, "stone_dark")
    door = stage.outline().box(-0.03, -0.058, 0.03, 0.003).ellipse(0.0, -0.058, 0.03)
    stage.fill(door, "#5a3a28")
    bars = stage.outline()
    for x in (-0.018, -0.006, 0.006, 0.018):
        bars.box(x - 0.0016, -0.1, x + 0.0016, 0.01)
    stage.shade(door, "#2f1f1a", bars)
    for x in (-0.09, 0.09):
        stage.fill(stage.outline().box(x - 0.008, -0.1, x + 0.008, -0.07, 0.008), "lamp")


def _turned(hub: Point, angle: float, along: float, across: float) -> Point:
    """A place on a sail that points to `angle`."""
    cos, sin = math.cos(angle), math.sin(angle)
    return hub[0] + along * cos - across * sin, hub[1] + along * sin + across * cos


def windmill(stage: Stage) -> None:
    """A Dutch mill with four sails."""
    stage.shadow(0.13)
    tower = stage.outline().polygon([(-0.082, 0.002), (-0.048, -0.265), (0.048, -0.265), (0.082, 0.002)])
    stage.fill(tower, "#f2e6d2")
    stage.shade(
        tower, "#c2ad96", stage.outline().polygon([(0.02, -0.3), (0.1, -0.3), (0.1, 0.1), (0.032, 0.1)]), 0.85
    )
    stage.shade(tower, "#b0604a", stage.outline().box(-0.2, -0.03, 0.2, 0.1), 0.9)
    stage.fill(
        stage.outline().polygon(
            [
                (-0.062, -0.255),
                *[
                    (0.056 * math.cos(a), -0.265 + 0.072 * math.sin(a))
                    for a in [math.pi + math.pi * i / 12 for i in range(13)]
                ],
                (0.062, -0.255),
            ]
        ),
        "#7a4034",
    )
    stage.fill(stage.outline().box(-0.02, -0.075, 0.02, 0.002, 0.008), "#6b4630")
    _window(stage, 0.0, -0.145, 0.013, 0.017)
    hub = (-0.004, -0.268)
    for turn in range(4):
        at = partial(_turned, hub, math.radians(24 + 90 * turn))
        sail = stage.outline().polygon(
            [at(0.035, 0.004), at(0.165, 0.004), at(0.165, 0.042), at(0.035, 0.036)]
        )
        stage.fill(sail, "#fff6e6")
        grid = stage.outline()
        for i in range(6):
            grid.line([at(0.035 + 0.026 * i, 0.004), at(0.035 + 0.026 * i, 0.04)], 0.003)
        stage.fill(grid, "#a58468")
        stage.fill(stage.outline().line([hub, at(0.168, 0.0)], 0.0085), "#5f3f2c")
    stage.fill(stage.outline().ellipse(*hub, 0.012), "#4a3024")


def lighthouse(stage: Stage) -> None:
    """A striped tower on a rock, with its beam."""
    beam = stage.outline().polygon([(0.0, -0.395), (0.42, -0.47), (0.42, -0.3), (0.0, -0.372)])
    stage.fill(
        beam.pen.mask() * (1.0 - stage.canvas.fade(0.38, 0.43)) * stage.halo(0.0, -0.385, 0.24),
        "*fff2b0",
        0.6,
    )
    back = stage.outline().polygon([(0.0, -0.392), (-0.3, -0.43), (-0.3, -0.335), (0.0, -0.376)])
    stage.fill(back.pen.mask() * stage.halo(0.0, -0.385, 0.17), "*fff2b0", 0.4)
    rock = stage.outline().polygon(
        [
            (-0.15, 0.012),
            (-0.12, -0.03),
            (-0.07, -0.038),
            (-0.03, -0.062),
            (0.05, -0.056),
            (0.09, -0.03),
            (0.14, -0.018),
            (0.17, 0.012),
        ]
    )
    stage.fill(rock, "stone_dark")
    stage.shade(
        rock,
        "stone",
        stage.outline().polygon(
            [(-0.2, 0.0), (-0.12, -0.03), (-0.03, -0.07), (0.02, -0.06), (-0.06, -0.015)]
        ),
        0.8,
    )
    tower = stage.outline().polygon([(-0.056, -0.045), (-0.036, -0.345), (0.036, -0.345), (0.056, -0.045)])
    stage.fill(tower, "#f8f2ea")
    for top in (-0.3, -0.2, -0.1):
        stage.shade(tower, "#d8434c", stage.outline().box(-0.1, top, 0.1, top + 0.05))
    stage.shade(
        tower,
        "#2c2340",
        stage.outline().polygon([(0.01, -0.36), (0.1, -0.36), (0.1, 0.0), (0.016, 0.0)]),
        0.28,
    )
    stage.fill(stage.outline().box(-0.049, -0.356, 0.049, -0.343, 0.003), "#3c3a48")
    stage.fill(stage.outline().box(-0.026, -0.41, 0.026, -0.354), "*fff0a0")
    stage.fill(
        stage.outline()
        .box(-0.028, -0.41, -0.022, -0.354)
        .box(0.022, -0.41, 0.028, -0.354)
        .box(-0.003, -0.41, 0.003, -0.354),
        "#3c3a48",
    )
    stage.fill(stage.outline().polygon([(-0.038, -0.408), (0.0, -0.452), (0.038, -0.408)]), "#a52b40")
    stage.fill(stage.outline().ellipse(0.0, -0.454, 0.006), "#3c3a48")
    stage.fill(stage.outline().box(-0.012, -0.09, 0.012, -0.044, 0.01), "#4a3a44")
    stage.fill(stage.halo(0.0, -0.382, 0.05), "*fff6c8", 0.7)


def tent(stage: Stage) -> None:
    """A tent, open in front, beside a fire."""
    stage.shadow(0.2)
    side = stage.outline().polygon([(-0.155, 0.002), (-0.035, -0.215), (0.085, -0.19), (0.155, 0.002)])
    stage.fill(side, "#d9692f")
    front = stage.outline().polygon([(-0.155, 0.002), (-0.035, -0.215), (0.07, 0.002)])
    stage.fill(front, "#f39a3f")
    door = stage.outline().polygon([(-0.088, 0.002), (-0.036, -0.165), (0.012, 0.002)])
    stage.fill(door, "#4a2a30")
    stage.shade(door, "*ffc861", stage.outline().ellipse(-0.036, -0.02, 0.05, 0.06), 0.55)
    flap = stage.outline().polygon([(-0.036, -0.165), (-0.115, 0.002), (-0.082, 0.002)])
    stage.fill(flap, "#ffc07a")
    stage.fill(stage.outline().line([(-0.035, -0.212), (-0.035, -0.235)], 0.005), "#5f3f2c")
    stage.fill(stage.outline().line([(-0.033, -0.212), (0.086, -0.188)], 0.006), "#a84a26")
    stage.fill(stage.halo(0.23, -0.03, 0.11), "*ffb347", 0.6)
    stage.fill(
        stage.outline()
        .line([(0.195, 0.005), (0.262, -0.014)], 0.012)
        .line([(0.2, -0.014), (0.262, 0.005)], 0.012),
        "#5f3f2c",
    )
    stage.fill(
        stage.outline().polygon(
            [
                (0.2, -0.012),
                (0.208, -0.06),
                (0.222, -0.046),
                (0.232, -0.095),
                (0.244, -0.05),
                (0.254, -0.062),
                (0.258, -0.012),
            ]
        ),
        "*ff7a2c",
    )
    stage.fill(
        stage.outline().polygon(
            [(0.214, -0.01), (0.22, -0.034), (0.23, -0.064), (0.24, -0.034), (0.246, -0.01)]
        ),
        "*ffe27a",
    )
