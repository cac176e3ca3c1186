"""Trees, a cactus and a toadstool."""

from __future__ import annotations

import math

from comfy_nb.server.worlds.landscapes.figures.stage import Stage


def tree(stage: Stage) -> None:
    """A broad tree in leaf: three tones of foliage, lit from the upper left."""
    stage.shadow(0.16, strength=0.36)
    trunk = stage.outline().polygon(
        [(-0.026, 0.004), (-0.017, -0.09), (-0.016, -0.22), (0.016, -0.22), (0.018, -0.09), (0.032, 0.004)]
    )
    trunk.polygon([(-0.01, -0.17), (-0.08, -0.25), (-0.07, -0.26), (0.0, -0.2)]).polygon(
        [(0.008, -0.16), (0.08, -0.235), (0.07, -0.245), (0.0, -0.19)]
    )
    stage.fill(trunk, "#7a5238")
    stage.shade(
        trunk,
        "#4f3428",
        stage.outline().polygon([(0.004, -0.25), (0.1, -0.25), (0.1, 0.01), (0.006, 0.01)]),
        0.8,
    )
    crowns = [
        (0.0, -0.335, 0.1),
        (-0.085, -0.285, 0.08),
        (0.088, -0.28, 0.078),
        (-0.045, -0.385, 0.07),
        (0.055, -0.38, 0.072),
        (-0.13, -0.24, 0.05),
        (0.135, -0.235, 0.05),
        (0.0, -0.25, 0.08),
    ]
    for dx, dy, scale, colour in (
        (0.0, 0.0, 1.0, "leaf_dark"),
        (-0.012, -0.014, 0.86, "leaf"),
        (-0.028, -0.034, 0.5, "leaf_light"),
    ):
        blob = stage.outline()
        for x, y, r in crowns:
            blob.ellipse(x + dx, y + dy, r * scale, r * scale * 0.92)
        stage.fill(blob, colour)
    specks = stage.outline()
    for _ in range(34):
        angle, far = stage.rng.uniform(0, math.tau), math.sqrt(stage.rng.random())
        specks.ellipse(0.14 * far * math.cos(angle), -0.31 + 0.11 * far * math.sin(angle), 0.0065, 0.0048)
    stage.fill(specks, stage.ink.mix("leaf_light", "glow", 0.2), 0.7)


def big_pine(stage: Stage) -> None:
    """A tall conifer, its right side in shade."""
    stage.shadow(0.12)
    stage.fill(stage.outline().box(-0.016, -0.07, 0.016, 0.004), "#6b4630")
    for tier in range(5):
        low, half = -0.05 - 0.077 * tier, 0.128 - 0.0215 * tier
        top = low - 0.155 + 0.006 * tier
        teeth = [
            (-half + 2 * half * i / 10, low + (0.012 if i % 2 else -0.004) - 0.01 * abs(i - 5) / 5)
            for i in range(11)
        ]
        skirt = stage.outline().polygon([*teeth, (0.0, top)])
        stage.fill(skirt, "pine")
        stage.shade(
            skirt,
            "pine_dark",
            stage.outline().polygon([(0.0, top), (0.02, low + 0.03), (0.3, low + 0.03), (0.3, top)]),
        )
        light = stage.outline().polygon(
            [(0.0, top + 0.01), (-half * 0.8, low - 0.012), (-half * 0.45, low - 0.012)]
        )
        stage.shade(skirt, stage.ink.mix("pine", "leaf_light", 0.45), light, 0.75)


def palm(stage: Stage) -> None:
    """A leaning palm with coconuts."""
    stage.shadow(0.1)
    spine = [
        (-0.02 + 0.075 * t + 0.02 * math.sin(3 * t), -0.36 * t)
        for t in (0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0)
    ]
    widths = [0.02 - 0.011 * i / 7 for i in range(8)]
    left = [(x - w, y) for (x, y), w in zip(spine, widths, strict=True)]
    right = [(x + w, y) for (x, y), w in zip(spine, widths, strict=True)]
    trunk = stage.outline().polygon([*left, *reversed(right)])
    stage.fill(trunk, "#a5764c")
    rings = stage.outline()
    for i in range(1, 14):
        y = -0.36 * i / 14
        rings.line([(-0.06, y), (0.12, y - 0.012)], 0.005)
    stage.shade(trunk, "#6f4a34", rings, 0.7)
    x, y = spine[-1]
    for number, (angle, reach) in enumerate(
        ((200, 0.17), (338, 0.17), (158, 0.16), (22, 0.16), (228, 0.14), (312, 0.14), (128, 0.1), (52, 0.1))
    ):
        way = math.cos(math.radians(angle))
        rise = -math.sin(math.radians(angle)) * -0.55
        tip = (x + reach * way, y + reach * (rise + 0.34))
        bend = (x + reach * 0.55 * way, y + reach * (rise - 0.22))
        leaf = stage.outline().polygon(
            [(x, y), (bend[0], bend[1] - 0.016), tip, (bend[0] - 0.012 * way, bend[1] + 0.034)]
        )
        stage.fill(leaf, ("leaf_dark", "leaf")[number % 2])
        stage.shade(leaf, "leaf_light", stage.outline().line([(x, y), bend, tip], 0.006), 0.7)
    for dx, dy in ((-0.012, 0.012), (0.012, 0.014), (0.0, 0.022)):
        stage.fill(stage.outline().ellipse(x + dx, y + dy, 0.0125), "#5f3d2a")


def cactus(stage: Stage) -> None:
    """A saguaro with two arms and a flower."""
    stage.shadow(0.08)
    body = stage.outline().box(-0.036, -0.37, 0.036, 0.004, 0.036)
    body.box(-0.118, -0.255, -0.072, -0.12, 0.023).box(-0.118, -0.165, -0.02, -0.12, 0.022)
    body.box(0.074, -0.3, 0.12, -0.16, 0.023).box(0.02, -0.205, 0.12, -0.16, 0.022)
    stage.fill(body, "#3f9a56")
    dark = (
        stage.outline()
        .box(0.012, -0.4, 0.045, 0.01)
        .box(0.102, -0.31, 0.13, -0.15)
        .box(-0.086, -0.26, -0.07, -0.17)
    )
    stage.shade(body, "#256b46", dark)
    ribs = stage.outline()
    for x in (-0.02, -0.004):
        ribs.line([(x, -0.34), (x, -0.01)], 0.004)
    ribs.line([(-0.1, -0.235), (-0.1, -0.15)], 0.004).line([(0.09, -0.28), (0.09, -0.19)], 0.004)
    stage.fill(ribs, "#8fd07a", 0.85)
    stage.fill(
        stage.outline()
        .ellipse(0.0, -0.376, 0.018, 0.013)
        .ellipse(-0.013, -0.383, 0.009)
        .ellipse(0.013, -0.383, 0.009),
        "#ff6fa0",
    )
    stage.fill(stage.outline().ellipse(0.097, -0.305, 0.011, 0.009), "#ff6fa0")


def mushroom(stage: Stage) -> None:
    """A big toadstool and a small one."""
    stage.shadow(0.13)
    _toadstool(stage, 0.13, 0.0, 0.5)
    _toadstool(stage, 0.0, 0.0, 1.0)


def _toadstool(stage: Stage, x: float, y: float, s: float) -> None:
    stem = stage.outline().polygon(
        [
            (x - 0.046 * s, y),
            (x - 0.03 * s, y - 0.1 * s),
            (x - 0.034 * s, y - 0.2 * s),
            (x + 0.034 * s, y - 0.2 * s),
            (x + 0.03 * s, y - 0.1 * s),
            (x + 0.046 * s, y),
        ]
    )
    stem.ellipse(x, y, 0.046 * s, 0.014 * s)
    stage.fill(stem, "#f7ead8")
    stage.shade(
        stem, "#cdb59f", stage.outline().box(x + 0.008 * s, y - 0.3 * s, x + 0.1 * s, y + 0.05 * s), 0.8
    )
    stage.fill(stage.outline().ellipse(x, y - 0.192 * s, 0.125 * s, 0.026 * s), "#e3c9b4")
    gills = stage.outline().ellipse(x, y - 0.19 * s, 0.105 * s, 0.016 * s)
    stage.fill(gills, "#b9927c")
    cap = (
        stage.outline()
        .ellipse(x, y - 0.2 * s, 0.14 * s, 0.135 * s)
        .without(stage.outline().box(x - s, y - 0.195 * s, x + s, y + s))
    )
    stage.fill(cap, "#e03a41")
    stage.shade(
        cap,
        "#a82136",
        stage.outline()
        .ellipse(x, y - 0.2 * s, 0.15 * s, 0.14 * s)
        .without(stage.outline().ellipse(x - 0.045 * s, y - 0.22 * s, 0.145 * s, 0.13 * s)),
        0.8,
    )
    spots = stage.outline()
    for dx, dy, r in (
        (-0.01, -0.29, 0.024),
        (-0.078, -0.245, 0.019),
        (0.06, -0.262, 0.02),
        (0.108, -0.216, 0.012),
        (-0.115, -0.207, 0.011),
        (0.012, -0.22, 0.016),
    ):
        spots.ellipse(x + dx * s, y + dy * s, r * s, r * s * 0.82)
    stage.shade(cap, "#fff8f0", spots)
    stage.fill(stage.outline().ellipse(x - 0.055 * s, y - 0.3 * s, 0.022 * s, 0.012 * s), "*ffffff", 0.35)
