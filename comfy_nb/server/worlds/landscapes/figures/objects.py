"""Bottles, a boat, a rocket, a snowman."""

from __future__ import annotations

import math

import numpy as np

from comfy_nb.server.worlds.landscapes.canvas import arc, smooth
from comfy_nb.server.worlds.landscapes.figures.stage import Outline, Stage


def _bottle_shape(stage: Stage, inset: float = 0.0) -> Outline:
    half, neck = 0.096 - inset, 0.033 - inset * 0.5
    shoulder = arc(0.0, -0.262, half, 0.075 - inset * 0.4, 180, 252)
    right = [(-x, y) for x, y in reversed(shoulder)]
    left_neck = [(-neck, -0.345), (-neck, -0.41 + inset)]
    outline = stage.outline().polygon(
        [
            (-half, -0.05),
            *shoulder,
            *left_neck,
            *[(-x, y) for x, y in reversed(left_neck)],
            *right,
            (half, -0.05),
        ]
    )
    return outline.box(-half, -0.27, half, -inset, 0.032)


def _glass(stage: Stage, tint: str) -> Outline:
    """The empty bottle: shadow, coloured light on the ground, glass; gives the room inside."""
    stage.shadow(0.105)
    stage.fill(stage.halo(0.03, 0.0, 0.10), tint, 0.28)
    stage.fill(_bottle_shape(stage), stage.ink.mix(tint, "*eaf4ff", 0.45), 0.62)
    return _bottle_shape(stage, 0.012)


def _cork_and_shine(stage: Stage, tint: str) -> None:
    edge = _bottle_shape(stage).without(_bottle_shape(stage, 0.007))
    stage.fill(edge, stage.ink.mix(tint, "*ffffff", 0.62), 0.78)
    lip = stage.outline().box(-0.042, -0.425, 0.042, -0.398, 0.01)
    stage.fill(lip, stage.ink.mix(tint, "*ffffff", 0.5))
    cork = stage.outline().box(-0.028, -0.462, 0.028, -0.418, 0.007)
    stage.fill(cork, "#b9834f")
    stage.shade(cork, "#8a5a34", stage.outline().box(0.006, -0.47, 0.04, -0.41))
    shine = stage.outline().box(-0.078, -0.245, -0.062, -0.07, 0.008).ellipse(-0.07, -0.045, 0.008)
    shine.line([(-0.07, -0.265), (-0.058, -0.298)], 0.012).line([(-0.022, -0.35), (-0.022, -0.39)], 0.009)
    stage.fill(shine, "*ffffff", 0.85)
    stage.fill(stage.outline().box(0.072, -0.22, 0.079, -0.1, 0.003), "*ffffff", 0.4)


def galaxy_bottle(stage: Stage) -> None:
    """A glass bottle with a spiral galaxy inside, glowing on the ground."""
    stage.fill(stage.halo(0.0, -0.16, 0.17), "*b04bff", 0.42)
    inside = _glass(stage, "*9a5cff")
    stage.fill(inside, "*1b0750", 0.97)
    room = inside.pen.mask()
    x0, y0 = stage.place(0.0, -0.15)
    dx, dy = (stage.canvas.x - x0) / stage.size, (stage.canvas.y - y0) / stage.size
    seed = 4021
    cloud = stage.canvas.noise(seed, 0.06 * stage.size, octaves=3)
    stage.fill(room * smooth(cloud * 2.4 - 0.6) * smooth((dy + 0.34) / 0.25), "*6a1fd0", 0.85)
    tilt = -0.5
    along, across = (
        dx * math.cos(tilt) + dy * math.sin(tilt),
        (dy * math.cos(tilt) - dx * math.sin(tilt)) / 0.62,
    )
    radius = np.hypot(along, across) + 1e-4
    arms = 0.5 + 0.5 * np.cos(2.0 * (np.arctan2(across, along) - 2.3 * np.log(radius / 0.02)))
    stage.fill(room * np.exp(-np.square(radius / 0.085)), "*a53bf0", 0.8)
    stage.fill(room * np.exp(-np.square(radius / 0.09)) * smooth(arms * 1.8 - 0.5), "*ff7ae8", 0.95)
    stage.fill(room * np.exp(-np.square(radius / 0.055)) * smooth(arms * 1.8 - 0.9), "*7fc4ff", 0.7)
    stage.fill(room * np.exp(-np.square(radius / 0.02)), "*fff6e0", 1.0)
    stars = stage.outline()
    for _ in range(46):
        x, y = stage.rng.uniform(-0.085, 0.085), -0.01 - 0.3 * stage.rng.random()
        stars.ellipse(x, y, 0.0013 + 0.0026 * stage.rng.random() ** 2)
    stage.fill(stars.within(inside), "*ffffff", 0.95)
    _cork_and_shine(stage, "*b58cff")


def _potion(stage: Stage, tint: str, deep: str, light: str) -> None:
    inside = _glass(stage, tint)
    level = stage.outline().box(-0.2, -0.2, 0.2, 0.0).ellipse(0.0, -0.2, 0.084, 0.012)
    stage.shade(inside, tint, level)
    stage.shade(
        inside, deep, stage.outline().box(-0.2, -0.09, 0.2, 0.0).ellipse(0.05, -0.09, 0.08, 0.03), 0.55
    )
    stage.shade(inside, light, stage.outline().ellipse(0.0, -0.2, 0.083, 0.011), 0.9)
    bubbles = stage.outline()
    for _ in range(11):
        bubbles.ellipse(
            stage.rng.uniform(-0.06, 0.06), stage.rng.uniform(-0.18, -0.02), stage.rng.uniform(0.003, 0.009)
        )
    stage.fill(bubbles, light, 0.75)
    _cork_and_shine(stage, tint)


def red_bottle(stage: Stage) -> None:
    """A bottle of something red that bubbles."""
    _potion(stage, "*e8283f", "*8f0c2c", "*ff9a8f")


def green_bottle(stage: Stage) -> None:
    """A bottle of something green that bubbles."""
    _potion(stage, "*2fc46a", "*0a6b45", "*b8ffc0")


def ship_bottle(stage: Stage) -> None:
    """A bottle with a little sailing ship on a sea of its own."""
    inside = _glass(stage, "*8fd0e8")
    stage.fill(inside, "*bfe6f5", 0.75)
    stage.shade(
        inside,
        "*2f86b8",
        stage.outline().polygon(
            [(-0.12, -0.075), (-0.05, -0.088), (0.02, -0.07), (0.12, -0.085), (0.12, 0), (-0.12, 0)]
        ),
    )
    stage.fill(
        stage.outline().polygon([(-0.055, -0.105), (0.058, -0.105), (0.04, -0.07), (-0.036, -0.07)]),
        "*7a4526",
    )
    stage.fill(stage.outline().line([(0.0, -0.1), (0.0, -0.25)], 0.006), "*5a3420")
    stage.fill(stage.outline().polygon([(0.006, -0.24), (0.058, -0.118), (0.006, -0.118)]), "*fffaf0")
    stage.fill(stage.outline().polygon([(-0.006, -0.225), (-0.052, -0.118), (-0.006, -0.118)]), "*f2d9b8")
    stage.fill(stage.outline().polygon([(0.0, -0.25), (0.03, -0.243), (0.0, -0.234)]), "*e8484f")
    _cork_and_shine(stage, "*a8dcf0")


def sailboat(stage: Stage) -> None:
    """A small boat under two sails, with its reflection."""
    ripple = stage.outline()
    for i in range(5):
        ripple.ellipse(0.01 * (-1) ** i, 0.014 + i * 0.017, 0.125 - 0.018 * i, 0.0042)
    stage.fill(ripple, "glint", 0.45)
    stage.fill(stage.outline().ellipse(0.0, 0.008, 0.14, 0.014), "shadow", 0.35)
    hull = stage.outline().polygon([(-0.15, -0.052), *arc(0.0, -0.052, 0.16, 0.062, 162, 18), (0.165, -0.06)])
    stage.fill(hull, "#c8503c")
    stage.shade(hull, "#8a2f30", stage.outline().box(-0.3, -0.022, 0.3, 0.1))
    stage.fill(
        stage.outline().polygon([(-0.156, -0.062), (0.172, -0.068), (0.162, -0.05), (-0.15, -0.048)]),
        "#fff1dc",
    )
    stage.fill(stage.outline().line([(0.0, -0.055), (0.0, -0.425)], 0.009), "#6b4630")
    main = stage.outline().polygon([(0.012, -0.41), (0.06, -0.3), (0.125, -0.085), (0.012, -0.085)])
    stage.fill(main, "#fff8ea")
    stage.shade(
        main,
        "#e3cdb4",
        stage.outline().polygon([(0.012, -0.41), (0.03, -0.25), (0.05, -0.085), (0.0, -0.085)]),
        0.8,
    )
    stage.shade(main, "#e8735a", stage.outline().box(-0.1, -0.2, 0.3, -0.165))
    jib = stage.outline().polygon([(-0.012, -0.385), (-0.06, -0.23), (-0.125, -0.085), (-0.012, -0.095)])
    stage.fill(jib, "#f3e2cb")
    stage.fill(stage.outline().polygon([(0.0, -0.43), (0.045, -0.418), (0.0, -0.404)]), "#e8484f")


def rocket(stage: Stage) -> None:
    """A rocket that has just lit its engine."""
    stage.fill(stage.halo(0.0, -0.02, 0.14), "*ffb347", 0.6)
    for x, y, r in (
        (-0.09, -0.01, 0.04),
        (0.09, -0.012, 0.042),
        (-0.045, 0.004, 0.045),
        (0.045, 0.004, 0.045),
        (0, 0.01, 0.045),
        (-0.13, 0.006, 0.026),
        (0.135, 0.006, 0.026),
    ):
        stage.fill(stage.outline().ellipse(x, y, r, r * 0.72), stage.ink.mix("#e9e2e6", "*ffb070", 0.25))
    stage.fill(
        stage.outline().polygon(
            [(-0.034, -0.095), (-0.046, -0.05), (0.0, 0.03), (0.046, -0.05), (0.034, -0.095)]
        ),
        "*ff7a2c",
    )
    stage.fill(
        stage.outline().polygon(
            [(-0.02, -0.095), (-0.026, -0.06), (0.0, -0.005), (0.026, -0.06), (0.02, -0.095)]
        ),
        "*fff0a0",
    )
    for way in (-1, 1):
        fin = [(0.04 * way, -0.2), (0.108 * way, -0.1), (0.1 * way, -0.055), (0.04 * way, -0.1)]
        stage.fill(stage.outline().polygon(fin), "#d8434c" if way < 0 else "#a52b40")
    body = stage.outline().polygon(
        [*arc(0.0, -0.24, 0.062, 0.225, 180, 360), (0.05, -0.095), (-0.05, -0.095)]
    )
    stage.fill(body, "#f4f1ee")
    stage.shade(
        body,
        "#b9bccb",
        stage.outline().polygon([(0.012, -0.5), (0.1, -0.5), (0.1, -0.05), (0.02, -0.05)]),
        0.8,
    )
    stage.shade(body, "#e2515a", stage.outline().box(-0.1, -0.5, 0.1, -0.385))
    stage.shade(
        body,
        "#a52b40",
        stage.outline().polygon([(0.012, -0.5), (0.1, -0.5), (0.1, -0.385), (0.014, -0.385)]),
        0.7,
    )
    stage.shade(body, "#d8434c", stage.outline().box(-0.1, -0.125, 0.1, -0.09))
    stage.fill(stage.outline().ellipse(0.0, -0.29, 0.031), "#8890a0")
    stage.fill(stage.outline().ellipse(0.0, -0.29, 0.023), "*5ad0f0")
    stage.fill(stage.outline().ellipse(-0.008, -0.298, 0.008), "*ffffff", 0.9)
    stage.fill(
        stage.outline().polygon([(-0.008, -0.2), (0.008, -0.2), (0.006, -0.06), (-0.006, -0.06)]), "#a52b40"
    )


def snowman(stage: Stage) -> None:
    """Three balls of snow with a hat, a scarf and a carrot."""
    stage.shadow(0.12)
    arms = (
        stage.outline()
        .line([(-0.07, -0.19), (-0.15, -0.25)], 0.009)
        .line([(-0.125, -0.23), (-0.15, -0.215)], 0.006)
    )
    arms.line([(0.07, -0.19), (0.15, -0.24)], 0.009).line([(0.125, -0.226), (0.13, -0.262)], 0.006)
    stage.fill(arms, "#6b4630")
    for y, r in ((-0.085, 0.105), (-0.212, 0.076), (-0.312, 0.056)):
        ball = stage.outline().ellipse(0.0, y, r, r * 0.96)
        stage.fill(ball, "snow")
        stage.shade(
            ball,
            "snow_shade",
            stage.outline()
            .ellipse(0.0, y, r)
            .without(stage.outline().ellipse(-r * 0.28, -r * 0.2 + y, r * 1.0)),
        )
    stage.fill(
        stage.outline()
        .box(-0.062, -0.278, 0.06, -0.254, 0.011)
        .polygon([(0.02, -0.262), (0.06, -0.17), (0.032, -0.166), (0.005, -0.258)]),
        "#d8434c",
    )
    coal = stage.outline().ellipse(-0.02, -0.328, 0.0072).ellipse(0.02, -0.328, 0.0072)
    for y in (-0.225, -0.19, -0.12):
        coal.ellipse(0.0, y, 0.0082)
    stage.fill(coal, "#2b2a33")
    stage.fill(stage.outline().polygon([(-0.004, -0.318), (-0.004, -0.302), (0.055, -0.306)]), "#f0842c")
    stage.fill(
        stage.outline().box(-0.068, -0.368, 0.068, -0.354, 0.005).box(-0.043, -0.44, 0.043, -0.36, 0.007),
        "#34323f",
    )
    stage.fill(stage.outline().box(-0.043, -0.382, 0.043, -0.367), "#d8434c")
